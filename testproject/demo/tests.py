from __future__ import annotations

import tempfile
from io import StringIO
from pathlib import Path

from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import SimpleTestCase, TestCase

from django_resque.store import Counters
from django_resque.testing import outbox
from pages.models import City
from shop.models import Product
from social.models import Member

from . import sample
from .play import Counted, NotAsExpected, Performance, expect
from .processes import ProcessEnded, Processes, free_ports
from .report import WIDTH, PerformedJob, performed_jobs, report
from .scenarios import scenarios


class SampleData(TestCase):
    def test_it_is_loaded_once_and_enqueues_nothing(self) -> None:
        self.assertTrue(sample.load())
        loaded = [model.objects.count() for model in (Member, City, Product)]
        self.assertFalse(sample.load())
        self.assertEqual([model.objects.count() for model in (Member, City, Product)], loaded)
        self.assertGreater(min(loaded), 3)
        self.assertEqual(outbox, [])

    def test_the_administrator_has_friends_and_the_latest_password(self) -> None:
        sample.load()
        sample.make_administrator("first")
        admin = sample.make_administrator("second")
        self.assertTrue(User.objects.get(username="admin").check_password("second"))
        self.assertEqual(admin.member.friends.count(), sample.FRIENDS)
        self.assertEqual(outbox, [])


class Noop(SimpleTestCase):
    def test_it_does_nothing(self) -> None:
        output = StringIO()
        call_command("noop", stdout=output)
        self.assertEqual(output.getvalue(), "")


class Traffic(TestCase):
    def test_visitors_cause_jobs_at_once_and_later(self) -> None:
        sample.load()
        call_command("traffic", visitors=2, seed=1, stdout=StringIO())
        commands = [job.command for job in outbox]
        self.assertEqual(commands.count("refresh_caches"), 2)
        self.assertGreaterEqual(commands.count("warm_page"), 2)
        self.assertEqual(commands.count("yearly_report"), 1)

    def test_the_report_counts_the_members_of_each_place(self) -> None:
        sample.load()
        output = StringIO()
        call_command("yearly_report", 2026, pause=0, stdout=output)
        self.assertIn("2026 Berlin: ", output.getvalue())


class Reporting(SimpleTestCase):
    def setUp(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.log = folder / "worker.log"

    def test_a_job_is_read_with_its_output_from_the_log_of_the_worker(self) -> None:
        one, other = "0" * 32, "1" * 32
        self.log.write_text(
            "2026-11-20 15:00:00,000 INFO    worker x:1:mail started: 1 performer(s) for mail\n"
            f"2026-11-20 15:00:01,000 INFO    done noop {other} [default] in 0.001 s\n"
            f"[{one}] Invoice IN-1001\n"
            f"2026-11-20 15:00:02,000 INFO    done erp {one} [default] in 0.912 s\n"
        )
        self.assertEqual(
            performed_jobs(self.log),
            [
                PerformedJob("noop", other, "default", 0.001, ""),
                PerformedJob("erp", one, "default", 0.912, "Invoice IN-1001"),
            ],
        )

    def test_the_report_fits_into_a_terminal(self) -> None:
        played = scenarios("with")
        performances = [Performance(scenario, without=3.5123, answered=0.04, done=2.25) for scenario in played]
        jobs = [
            PerformedJob("recommend_friends", "0" * 32, "default", 1.5, "A sentence that goes on and on and on " * 3)
            for _job in range(sum(scenario.jobs for scenario in played))
        ]
        text = report(performances, jobs, Counted(Counters(8, 0), {"default": 0, "low": 0, "mail": 0}))
        self.assertLessEqual(max(map(len, text.splitlines())), WIDTH)
        for words in ("Update location", "3.51 s", "0.04 s", "88 × faster", "mails 6", "processed 8, failed 0"):
            with self.subTest(words):
                self.assertIn(words, text)


class Checking(SimpleTestCase):
    def test_what_did_not_happen_or_happened_too_often_is_named(self) -> None:
        _location, _sign_up, check_out = scenarios("with")
        found = {**check_out.effects, "mails": 2, "users": 1}
        del found["invoices"]
        with self.assertRaisesMessage(NotAsExpected, "Check out did not do") as raised:
            expect(check_out, found)
        for words in ("mails: +2 instead of +1", "invoices: +0 instead of +1", "users: +1 instead of +0"):
            with self.subTest(words):
                self.assertIn(words, str(raised.exception))

    def test_what_happened_as_it_should_is_no_error(self) -> None:
        for scenario in scenarios("with"):
            expect(scenario, dict(scenario.effects))


class RunningProcesses(SimpleTestCase):
    def setUp(self) -> None:
        self.logs = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_a_child_that_ends_by_itself_is_told_with_the_end_of_its_output(self) -> None:
        with (
            Processes(self.logs) as processes,
            self.assertRaisesMessage(ProcessEnded, "odd one ended unexpectedly, with status 1") as raised,
        ):
            processes.start("odd one", "no_such_command")
            processes.watch()
        self.assertIn("no_such_command", str(raised.exception))

    def test_a_port_that_is_taken_is_told_before_anything_starts(self) -> None:
        (port,) = free_ports(1)
        with Processes(self.logs) as processes:
            processes.start("first", "runserver", "--noreload", f"127.0.0.1:{port}", port=port)
            with self.assertRaisesMessage(ProcessEnded, f"second cannot start: something else listens on port {port}"):
                processes.start("second", "runserver", "--noreload", f"127.0.0.1:{port}", port=port)
