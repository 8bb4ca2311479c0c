"""A performer by itself: what it does with the jobs in its inbox, and what it reports."""

from __future__ import annotations

import ast
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_resque.errors import DontPerform
from django_resque.job import Job
from django_resque.signals import before_perform
from django_resque.store.embedded import is_embedded_server, stop
from django_resque.worker.descendants import mark
from django_resque.worker.performer import Packet
from tests.jobs.management.commands.life import Command as Life
from tests.performers import PerformerProcess
from tests.workers import told, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what these promise, they promise on Linux")

HOW = ["plain", "setsid", "twice", "forked"]


@pytest.fixture
def performer() -> Iterator[PerformerProcess]:
    with PerformerProcess() as process:
        yield process


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def described(facts: Any, performer: PerformerProcess, **how: Any) -> dict[str, Any]:
    assert performer.perform("describe", "about", **how).exception == ""
    return ast.literal_eval(told(facts, "about"))


@pytest.mark.parametrize(
    "packet",
    [
        Packet("1.1", "8d1f", "default", b"{}"),
        Packet("1.1", "8d1f", "größe", b"\n\n{}\xff", 2.5, True),
        Packet("1.1", "", "default", b"", 60.0),
    ],
)
def test_a_packet_arrives_as_it_was_sent(packet: Packet):
    assert Packet.load(packet.dump()) == packet


def test_a_timeout_of_0_is_none():
    assert Packet.load(Packet("1.1", "8d1f", "default", b"{}", 0).dump()).timeout is None


# -- reports -----------------------------------------------------------------------------------------------------------


def test_a_job_is_reported_with_the_time_that_it_took(performer):
    report = performer.perform("nap", "0.05")
    assert (report.exception, report.leaving) == ("", False)
    assert 0.05 <= report.duration < 5
    report = performer.perform("refuse", "no way")
    assert (report.exception, report.error, report.leaving) == ("ValueError", "no way", False)
    assert 0 < report.duration < 5


def test_what_is_no_job_is_reported(performer):
    performer.give(payload=b"not json")
    report = performer.report()
    assert (report.exception, report.duration) == ("InvalidPayload", 0)
    assert performer.perform("leave", "0").exception == ""


def test_jobs_that_wait_in_the_inbox_are_reported_one_by_one(performer):
    tokens = [performer.give("leave", "0") for _ in range(20)]
    assert [performer.report().token for _ in tokens] == tokens


def test_a_performer_ends_when_its_inbox_is_closed(performer):
    performer.perform("leave", "0")
    performer.inbox.close()
    assert performer.wait() == 0


def test_a_performer_leaves_after_its_number_of_jobs(facts):
    with PerformerProcess(max_jobs=2) as performer:
        assert not performer.perform("leave", "0").leaving
        assert performer.perform("leave", "0").leaving
        assert performer.wait() == 0


@pytest.mark.parametrize(("options", "leaves"), [({"max_age": 0}, True), ({"max_age": 3600}, False)])
def test_a_performer_leaves_when_it_is_old(options, leaves):
    with PerformerProcess(**options) as performer:
        assert performer.perform("leave", "0").leaving is leaves


@pytest.mark.parametrize(("options", "leaves"), [({"max_rss": 1}, True), ({"max_rss": 100_000}, False)])
def test_a_performer_leaves_when_it_has_grown(options, leaves):
    with PerformerProcess(**options) as performer:
        assert performer.perform("leave", "0").leaving is leaves


def test_the_title_says_since_when_a_job_is_running(performer, facts):
    until(lambda: performer.title().endswith(f"[django {mark()}]: Waiting"))
    for number in range(3):  # one after the other, within a second or not
        performer.give("wait", f"job {number}")
        told(facts, f"job {number}:started")
        title = performer.title().partition("]")[2]  # where the environment is small there is no room for all of it
        assert title.startswith(": Processing d")
        assert ": Processing default since ".startswith(title) or title.startswith(": Processing default since ")
        facts.rpush(f"job {number}:go", "now")
        performer.report()
    until(lambda: performer.title().endswith(": Waiting"))


# -- what a job knows, and what it leaves ------------------------------------------------------------------------------


@pytest.mark.parametrize("redelivered", [True, False])
def test_a_job_knows_whether_it_may_have_been_begun_before(performer, facts, redelivered):
    about = described(facts, performer, redelivered=redelivered)
    assert about["redelivered"] is redelivered
    assert about["job"][3] == 1


def test_a_job_leaves_nothing_behind_and_the_mark_stays(performer, facts):
    before = described(facts, performer)
    assert performer.perform("make_a_mess").exception == ""
    after = described(facts, performer)
    for changing in ("job", "descriptors", "title"):
        before.pop(changing), after.pop(changing)
    assert before == after
    assert after["mark"] == mark()


def test_an_alarm_that_a_job_leaves_rings_nowhere(performer):
    for _ in range(50):
        assert performer.perform("leave_an_alarm").exception in ("", "TimeoutError")
        assert performer.perform("leave", "0").exception == ""


# -- timeouts ----------------------------------------------------------------------------------------------------------


def test_a_job_that_takes_too_long_fails_where_it_is(performer):
    report = performer.perform("nap", "60", timeout=0.2)
    assert (report.exception, report.error) == ("JobTimeout", "The job took longer than its timeout of 0.2 s")
    assert any("time.sleep(seconds)" in line for line in report.backtrace)
    assert 0.2 <= report.duration < 10
    assert report.leaving
    assert performer.wait() == 0


def test_a_job_that_swallows_its_timeout_has_failed_all_the_same(performer):
    report = performer.perform("swallow", timeout=0.1)
    assert (report.exception, report.leaving) == ("JobTimeout", True)


def test_a_job_that_raises_something_else_at_its_timeout_fails_with_that(performer):
    report = performer.perform("translate", timeout=0.1)
    assert (report.exception, report.error, report.leaving) == ("ValueError", "it took too long", True)
    assert any(line.startswith("django_resque.errors.JobTimeout") for line in report.backtrace)


def test_a_timeout_ends_with_its_job(performer, facts):
    assert performer.perform("find_timers", "during", timeout=30).exception == ""
    (seconds, again), _, _ = ast.literal_eval(told(facts, "during"))
    assert 0 < seconds <= 30
    assert again == 0
    assert performer.perform("leave", "0", timeout=30).leaving is False
    assert performer.perform("refuse", "no", timeout=30).leaving is False
    assert performer.perform("find_timers", "after").exception == ""
    assert ast.literal_eval(told(facts, "after"))[0] == (0, 0)


def test_a_job_may_use_the_alarm_itself(performer, facts):
    assert performer.perform("own_alarm", "0.05", timeout=30).exception == ""
    assert performer.perform("own_alarm", "0.05").exception == ""
    assert performer.perform("nap", "60", timeout=0.1).exception == "JobTimeout"


# -- what a job says, and how it may end -------------------------------------------------------------------------------


def life(*args: Any, **extra: Any) -> bytes:
    """The payload of a job for ``life``."""
    return Job("life", args, extra=extra).payload()


def test_what_a_job_returns_is_reported(performer):
    performer.give(payload=life("give", '{"a": [1, null]}'))
    report = performer.report()
    assert (report.exception, report.outcome, report.result) == ("", "", b'{"a":[1,null]}')
    performer.give(payload=life("give", "null"))
    assert performer.report().result == b""


def test_how_far_a_job_has_come_is_told_before_its_end_and_not_too_often(performer, facts):
    token = performer.give(payload=life("advance", "key"))
    told(facts, "key:half")
    facts.rpush("key:go", "now")
    told(facts, "key:all")
    facts.rpush("key:go", "now")
    assert performer.report().exception == ""
    assert [progress.token for progress in performer.told] == [token] * len(performer.told)
    found = [json.loads(progress.progress) for progress in performer.told]
    assert found[0] == [0, 1000, "on the way \\udcff\n"]
    assert found[-1] == [1000, 1000, ""]
    assert len(found) < 100


def test_an_attempt_that_is_not_the_last_is_reported_with_its_wait(performer):
    chosen = {"max_attempts": 2, "backoff": [7]}
    performer.give(payload=life("fail", "key", 9, **chosen))
    report = performer.report()
    assert (report.exception, report.retry) == ("LookupError", 7)
    performer.give(payload=life("fail", "key", 9, **chosen, attempt=1))
    report = performer.report()
    assert (report.exception, report.error, report.retry) == ("LookupError", "attempt 2 came to nothing", None)
    performer.give(payload=life("ask", "key", 2.5, 9))
    report = performer.report()
    assert (report.exception, report.retry) == ("Retry", 2.5)


@pytest.mark.parametrize("wait", [float("inf"), float("nan"), "soon", None, -1])
def test_a_wait_that_a_project_reckons_wrongly_ends_no_performer(monkeypatch: pytest.MonkeyPatch, wait: Any):
    monkeypatch.setattr(Life, "backoff", lambda error, attempt: wait)
    with PerformerProcess() as performer:
        performer.give(payload=life("fail", "key", 9, max_attempts=2))
        report = performer.report()
        assert report.exception == "LookupError"
        assert (report.retry is None) == (wait is None)
        performer.give(payload=life("give", "5"))
        assert performer.report().result == b"5"


def test_a_job_that_a_receiver_does_not_want_is_done_without_having_been_performed():
    def refuse(**sent: object) -> None:
        raise DontPerform

    before_perform.connect(refuse)
    try:
        with PerformerProcess() as performer:
            performer.give(payload=life("fail", "key", 9, max_attempts=2))
            report = performer.report()
    finally:
        before_perform.disconnect(refuse)
    assert (report.exception, report.outcome, report.retry) == ("", "not performed", None)


# -- what a job has started --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", HOW)
def test_what_a_job_has_started_ends_with_it(performer, facts, how):
    report = performer.perform("leave_running", "left", how)
    assert (report.exception, report.leaving) == ("", True)
    assert not lives(int(told(facts, "left")))


def test_a_child_that_has_ended_is_no_reason_to_leave(performer):
    assert performer.perform("say", "hello").leaving is False
    assert performer.perform("leave_dead").leaving is False
    assert not Path(f"/proc/{performer.pid}/task/{performer.pid}/children").read_text()


def test_an_embedded_server_that_a_job_has_started_lives_on(performer):
    home = Path(tempfile.mkdtemp(prefix="resque-")).resolve()
    folder = home / "server"
    try:
        report = performer.perform("start_embedded", str(folder))
        assert (report.exception, report.leaving) == ("", False)
        assert performer.perform("start_embedded", str(folder)).exception == ""  # and after the job after that
        server, keeper = (int((folder / name).read_text()) for name in ("running.lock", "keeper.lock"))
        assert is_embedded_server(server)
        assert is_embedded_server(keeper)
        performer.inbox.close()
        assert performer.wait() == 0
        assert is_embedded_server(server)
        assert is_embedded_server(keeper)
    finally:
        stop(folder)
        shutil.rmtree(home)


# -- spare performers --------------------------------------------------------------------------------------------------


def test_a_spare_performer_begins_when_it_is_let_in():
    with PerformerProcess(spare=True) as performer:
        until(lambda: performer.title().endswith(": Waiting"))
        performer.give("leave", "0")
        assert performer.inbox.receive(wait=False) is not None  # nobody has taken it
        token = performer.give("leave", "0")
        performer.gate.send(b"!")
        assert performer.report().token == token
        assert performer.gate.recv(1) == b""  # its own end is closed


def test_a_spare_performer_that_is_not_wanted_leaves():
    with PerformerProcess(spare=True) as performer:
        performer.gate.close()
        assert performer.wait() == 0
