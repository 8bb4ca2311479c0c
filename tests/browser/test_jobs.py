"""Jobs by state in a browser: states, filters, and each action clicked through."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import redis
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from django_resque import enqueue
from django_resque.job import Job
from django_resque.status import Status, status_record
from django_resque.store import store
from tests.browser.test_admin import FAINT_TEXTS
from tests.dashboard import url
from tests.full_store import STATES
from tests.test_admin_jobs import delay, end, fail, job, push, retry_later, run
from tests.workers import told, until

pytestmark = pytest.mark.browser

InBrowser = Callable[..., None]


@pytest.fixture
def busy(clean_redis: redis.Redis) -> redis.Redis:
    """Three jobs in each state."""
    for number in range(3):
        push(clean_redis, job("queued", number))
        delay(clean_redis, job("scheduled", number))
        run(clean_redis, job("running", number), f"box1~k3f9ad-{number}:42:mail,low,default")
        retry_later(clean_redis, job("retrying", number, extra={"attempt": 1, "history": [{"exception": "OSError"}]}))
        end(clean_redis, job("done", number))
        fail(clean_redis, job("failed", number), error="an-endless-word-" * 30)
    clean_redis.sadd("resque:django:parking", "import")
    clean_redis.rpush("resque:django:parked:import", b"low\n" + job("parked").payload())
    return clean_redis


def states(page: Page):
    return page.get_by_role("navigation", name="States")


def rows(page: Page):
    return page.get_by_role("region").get_by_role("row")


def confirm(page: Page, question: str, button: str, answer: str) -> None:
    expect(page.get_by_text(question)).to_be_visible()
    page.get_by_role("button", name=button).click()
    expect(page.get_by_text(answer)).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False])
def test_one_goes_from_state_to_state_with_a_filter(in_browser: InBrowser, busy: redis.Redis, scripts: bool):
    def look(page: Page) -> None:
        page.goto(url("jobs"))
        expect(states(page).get_by_role("link")).to_have_text(
            [
                "Queued 3",
                "Waiting for a permit 1",
                "Scheduled 3",
                "Running 3",
                "Retrying 3",
                "Done 3",
                "Failed 3",
            ]
        )
        for state in STATES:
            states(page).get_by_role("link", name=state.capitalize()).click()
            expect(page.get_by_role("heading", level=2)).to_have_text(state.capitalize())
            expect(rows(page)).to_have_count(1 + 3)
        page.get_by_label("Text or id").fill("failed 2")
        page.get_by_label("Since").select_option("a day ago")
        page.get_by_role("button", name="Search").click()
        expect(rows(page)).to_have_count(1 + 1)
        states(page).get_by_role("link", name="Queued").click()
        expect(page.get_by_text("Nothing like this.")).to_be_visible()
        expect(page.get_by_label("Text or id")).to_have_value("failed 2")
        expect(page.get_by_label("Since")).to_have_value("24h")

    in_browser(look, java_script_enabled=scripts)


def test_an_id_leads_to_the_job(in_browser: InBrowser, busy: redis.Redis):
    sought = job("sought")
    fail(busy, sought)
    busy.set(f"resque:job:{sought.id}:status", status_record(Status.FAILED, sought))

    def look(page: Page) -> None:
        page.goto(url("jobs"))
        page.get_by_label("Text or id").fill(sought.id)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=2)).to_have_text("Failed")
        expect(rows(page)).to_have_count(1 + 1)
        page.get_by_role("link", name="Show it").click()
        expect(page).to_have_url(re.compile(re.escape(url("job", id=sought.id)) + "$"))

    in_browser(look)


def test_queued_jobs_are_deleted(in_browser: InBrowser, busy: redis.Redis):
    def look(page: Page) -> None:
        page.goto(url("jobs", state="queued"))
        rows(page).filter(has_text="queued 1").get_by_role("button", name="Delete").click()
        confirm(page, "Delete 1 job?", "Delete", "Deleted 1 job.")
        page.get_by_label("Tick all").check()
        page.get_by_role("paragraph").filter(has_text="ticked").get_by_role("button", name="Delete").click()
        confirm(page, "Delete 2 jobs?", "Delete", "Deleted 2 jobs.")
        expect(page.get_by_text("There is none.")).to_be_visible()
        page.goto(url("jobs", state="parked"))
        page.get_by_role("paragraph").filter(has_text="match").get_by_role("button", name="Delete").click()
        confirm(page, "Delete 1 job?", "Delete", "Deleted 1 job.")
        assert store().job_counts().queued.number == store().job_counts().waiting_for_a_permit.number == 0

    in_browser(look)


@pytest.mark.parametrize("state", ["scheduled", "retrying"])
def test_jobs_to_come_are_run_and_cancelled(in_browser: InBrowser, busy: redis.Redis, state: str):
    def look(page: Page) -> None:
        page.goto(url("jobs", state=state))
        rows(page).filter(has_text=f"{state} 1").get_by_role("button", name="Run now").click()
        confirm(page, "Run 1 job now?", "Run now", "1 job is in its queue now.")
        page.get_by_role("paragraph").filter(has_text="match").get_by_role("button", name="Delete").click()
        confirm(page, "Delete 2 jobs?", "Delete", "Deleted 2 jobs.")
        assert store().queues.size("mail") == 4

    in_browser(look)


def test_failures_are_retried_and_discarded(in_browser: InBrowser, busy: redis.Redis):
    def look(page: Page) -> None:
        page.goto(url("jobs", state="failed"))
        rows(page).filter(has_text="failed 0").get_by_role("button", name="Retry").click()
        confirm(page, "Retry 1 failure?", "Retry", "Retried 1 failure.")
        rows(page).filter(has_text="failed 1").get_by_role("checkbox").check()
        page.get_by_role("paragraph").filter(has_text="ticked").get_by_role("button", name="Discard").click()
        confirm(page, "Discard 1 failure?", "Discard", "Discarded 1 failure.")
        page.get_by_role("link", name="ValueError").click()
        expect(page).to_have_url(re.compile("/failure/.digest="))
        page.wait_for_load_state("load")

    in_browser(look)


def test_a_running_job_is_ended(in_browser: InBrowser, worker, facts, clean_redis: redis.Redis):
    running = enqueue("act", "wait", "job")
    worker()
    told(facts, "job:started")
    until(lambda: store().job_counts().busy)

    def look(page: Page) -> None:
        page.goto(url("jobs", state="running"))
        rows(page).filter(has_text=running.id).get_by_role("button", name="End").click()
        confirm(page, "End 1 running job?", "End", "Ended 1 job.")

    in_browser(look)
    until(lambda: store().failures.count() == 1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_state_is_accessible_and_all_texts_stand_out(in_browser: InBrowser, busy: redis.Redis, scheme: str):
    def look(page: Page) -> None:
        for state in (*STATES, "parked"):
            page.goto(url("jobs", state=state))
            found = Axe().run(page).response["violations"]
            assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
            assert page.evaluate(FAINT_TEXTS) == []

    in_browser(look, color_scheme=scheme)


@pytest.mark.parametrize("width", [320, 768, 1280])
def test_every_state_fits_in_a_window_of_any_width(in_browser: InBrowser, busy: redis.Redis, width: int):
    push(busy, Job("act", ("x" * 500,), {"option": "an endless line " * 50}))

    def look(page: Page) -> None:
        for state in (*STATES, "parked"):
            page.goto(url("jobs", state=state))
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            for region in page.locator(".resque-scroll").all():
                assert region.evaluate("element => element.scrollWidth - element.clientWidth") == 0, state

    in_browser(look, viewport={"width": width, "height": 800})
