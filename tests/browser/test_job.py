"""The page of one job in a real browser: following it while it runs, copying its line, each of its actions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from django_resque import enqueue, using
from django_resque.failure import failure_record
from django_resque.job import Job
from django_resque.status import Status
from django_resque.store import store
from tests.browser.test_admin import FAINT_TEXTS
from tests.dashboard import url
from tests.workers import WorkerProcess, told, until

pytestmark = pytest.mark.browser

InBrowser = Callable[..., None]


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    store().close()


def fail(job: Job, **more: Any) -> None:
    record = failure_record(
        payload=job.payload(),
        queue=job.queue,
        worker="box1~abc123-1:42:mail",
        exception="SMTPServerDisconnected",
        error="Connection unexpectedly closed " + "and-an-endless-word-" * 20,
        backtrace=["Traceback (most recent call last):", f'  File "{"x" * 200}.py", line 31, in handle'],
        extra=more,
        now=datetime.now(UTC),
    )
    store().client.rpush("resque:failed", record)


def test_progress_and_output_follow_while_it_runs_and_stop_at_its_end(
    in_browser: InBrowser, worker: Callable[..., WorkerProcess], facts: redis.Redis
):
    worker()
    job = enqueue("life", "advance", "a")
    told(facts, "a:half")
    until(lambda: job.refresh().progress and job.output)

    def look(page: Page) -> None:
        page.goto(url("job", id=job.id))
        bar = page.get_by_role("progressbar", name="0 of 1,000 (0%)")
        expect(bar).to_have_attribute("max", "1000")
        page.get_by_role("switch", name="Live").click()
        facts.rpush("a:go", "x")
        expect(page.get_by_role("progressbar", name="1,000 of 1,000 (100%)")).to_have_attribute("value", "1000")
        expect(page.get_by_role("region", name="Output")).to_contain_text("half of it")
        facts.rpush("a:go", "x")
        expect(page.get_by_role("heading", name="done", exact=True)).to_be_visible()
        expect(page.locator("#resque-live")).to_have_attribute("data-every", "0")
        expect(page.get_by_text("Its arguments are not kept.")).to_be_visible()

    in_browser(look)


def test_its_line_is_copied_exactly(in_browser: InBrowser, clean_redis: redis.Redis):
    job = enqueue("act", "tell", "it's  here\n")

    def look(page: Page) -> None:
        page.goto(url("job", id=job.id))
        page.get_by_role("button", name="Copy").click()
        expect(page.locator("[data-copy][data-done]")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == "manage.py act tell $'it\\'s  here\\u000a'"

    in_browser(look, permissions=["clipboard-read", "clipboard-write"])


@pytest.mark.parametrize("scripts", [True, False])
def test_a_job_that_waits_is_cancelled_after_a_confirmation(
    in_browser: InBrowser, clean_redis: redis.Redis, scripts: bool
):
    job = enqueue("act", "tell", "x")

    def look(page: Page) -> None:
        page.goto(url("job", id=job.id))
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_text("Delete 1 job?")).to_be_visible()
        assert clean_redis.llen("resque:queue:default") == 1
        page.get_by_role("link", name="No, take me back").click()
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_text("Deleted 1 job.")).to_be_visible()
        expect(page.get_by_role("heading", name="cancelled", exact=True)).to_be_visible()
        assert clean_redis.llen("resque:queue:default") == 0

    in_browser(look, java_script_enabled=scripts)


def test_a_delayed_job_is_run_moved_and_deleted_from_here(in_browser: InBrowser, clean_redis: redis.Redis):
    first, second = (using(delay=3_600).enqueue("act", "tell", name) for name in "ab")

    def look(page: Page) -> None:
        page.goto(url("job", id=first.id))
        expect(page.get_by_role("button", name="Reschedule")).to_be_visible()
        page.get_by_role("button", name="Run now").click()
        page.get_by_role("button", name="Run now").click()
        expect(page.get_by_role("heading", name="waiting", exact=True)).to_be_visible()
        page.goto(url("job", id=second.id))
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("heading", name="cancelled", exact=True)).to_be_visible()

    in_browser(look)
    assert clean_redis.llen("resque:queue:default") == 1


def test_a_job_that_runs_is_ended(in_browser: InBrowser, worker: Callable[..., WorkerProcess], facts: redis.Redis):
    worker()
    job = enqueue("act", "wait", "a")
    told(facts, "a:started")
    until(lambda: job.refresh().status is Status.RUNNING)

    def look(page: Page) -> None:
        page.goto(url("job", id=job.id))
        page.get_by_role("button", name="End", exact=True).click()
        expect(page.get_by_text("End 1 running job? It becomes a failure,")).to_be_visible()
        page.get_by_role("button", name="End", exact=True).click()
        expect(page.get_by_text("Ended 1 job.")).to_be_visible()

    in_browser(look)
    assert job.wait(30) is Status.FAILED


def test_a_failure_is_retried_discarded_and_enqueued_with_other_arguments(
    in_browser: InBrowser, clean_redis: redis.Redis
):
    jobs = [Job("mailing", ("remind", number), {"subject": "Hi"}, queue="mail") for number in range(3)]
    for job in jobs:
        fail(job)

    def look(page: Page) -> None:
        page.goto(url("job", id=jobs[0].id))
        expect(page.get_by_role("region", name="SMTPServerDisconnected")).to_contain_text("Traceback")
        page.get_by_role("button", name="Retry").click()
        page.get_by_role("button", name="Retry").click()
        expect(page.get_by_role("heading", name="waiting", exact=True)).to_be_visible()
        page.goto(url("job", id=jobs[1].id))
        page.get_by_role("button", name="Discard").click()
        page.get_by_role("button", name="Discard").click()
        expect(page.get_by_text("Nothing is known of this job")).to_be_visible()
        page.goto(url("job", id=jobs[2].id))
        page.get_by_role("link", name="Retry with changed arguments").click()
        page.get_by_label("user_ids").fill("2\n7")
        page.get_by_label("Discard the failure").check()
        page.get_by_role("button", name="Enqueue").click()
        expect(page.get_by_text("manage.py mailing remind 2 7 --subject=Hi")).to_be_visible()
        page.get_by_role("button", name="Enqueue").click()
        expect(page.get_by_role("heading", name="waiting", exact=True)).to_be_visible()

    in_browser(look)
    assert store().failures.count() == 0
    payloads = [json.loads(raw) for raw in clean_redis.lrange("resque:queue:mail", 0, -1)]
    assert [each["args"][0] for each in payloads] == [
        ["remind", 0, {"subject": "Hi"}],
        ["remind", 2, 7, {"subject": "Hi"}],
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_it_reads_well_in_light_and_dark_wide_and_narrow(
    in_browser: InBrowser, clean_redis: redis.Redis, scheme: str, width: int
):
    history = [
        {"attempt": 1, "failed_at": "2026/11/20 13:21:45 UTC", "exception": "E", "error": "x" * 200, "duration": 1.5}
    ]
    job = Job("mailing", ("remind", 1, "x" * 300), queue="mail", extra={"history": history, "attempt": 1})
    fail(job, attempts=2, history=history, output="a line\n" * 5)

    def look(page: Page) -> None:
        page.goto(url("job", id=job.id))
        page.evaluate("document.querySelectorAll('details').forEach(element => element.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(FAINT_TEXTS) == []
        violations = Axe().run(page).response["violations"]
        assert [each["help"] for each in violations if each["impact"] in ("serious", "critical")] == []

    in_browser(look, color_scheme=scheme, viewport={"width": width, "height": 800})
