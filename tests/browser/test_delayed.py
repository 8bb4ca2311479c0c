"""Delayed jobs, retries and the schedule, clicked through in a browser."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from django_resque import enqueue_in, timetable
from django_resque.job import Job
from django_resque.store import store
from tests.browser.test_admin import FAINT_TEXTS
from tests.dashboard import url
from tests.test_store_stretch import delay, retry

pytestmark = pytest.mark.browser

InBrowser = Callable[..., None]


@pytest.fixture
def waiting(clean_redis: redis.Redis) -> redis.Redis:
    """Delayed jobs, one of them overdue, garbage among them, and retries."""
    delay(clean_redis, int(time.time()) - 300, Job("act", ("late",), queue="mail").delayed_item(), b"garbage" * 100)
    for number in range(60):
        enqueue_in(600 + number, "mailing", "send_sign_up_email", number, template="fancy" * 20)
    retry(clean_redis, time.time() + 600, 1)
    return clean_redis


@pytest.fixture
def planned(clean_redis: redis.Redis, settings: Any) -> redis.Redis:
    """Entries of all sorts."""
    entries = {"nightly": {"command": "echo", "args": ["x" * 200], "cron": "0 3 * * *"}, "odd": {"command": "echo"}}
    settings.RESQUE = {**settings.RESQUE, "SCHEDULE": entries}
    timetable.add("report", {"command": "act", "args": ["tell", "key"], "every": 3600, "queue": "mail"})
    timetable.add("p" * 100, {"command": "act", "args": ["tell", "key"], "every": 3600})
    timetable.pause("p" * 100)
    time_ = clean_redis.time()[0]
    clean_redis.hset("resque:django:schedule:jobs", "report", f"{time_ - 500} abc")
    clean_redis.set("resque:job:abc:status", json.dumps({"status": 3, "duration": 2.5, "updated": time_}))
    clean_redis.hset("resque:django:schedule:missed", "report", f"{time_ - 9000} {time_ - 500} 1 {time_}")
    return clean_redis


@pytest.mark.parametrize("scripts", [True, False])
def test_a_delayed_job_is_run_rescheduled_and_deleted(in_browser: InBrowser, clean_redis: redis.Redis, scripts: bool):
    jobs = {name: enqueue_in(600, "act", "tell", name) for name in ("first", "second", "third")}

    def look(page: Page) -> None:
        page.goto(url("delayed"))
        page.get_by_role("row").filter(has_text="tell first").get_by_role("button", name="Run now").click()
        expect(page.get_by_text("Run 1 job now?")).to_be_visible()
        page.get_by_role("button", name="Run now").click()
        expect(page.get_by_text("1 job is in its queue now.")).to_be_visible()
        expect(page.get_by_text("tell first")).to_have_count(0)

        page.get_by_role("row").filter(has_text="tell second").get_by_role("button", name="Reschedule").click()
        page.get_by_label("or in").fill("90000")
        page.get_by_role("textbox", name="At:").fill("2035-06-01T12:00:00")
        page.get_by_role("button", name="Reschedule").click()
        expect(page.get_by_text("Say when: a date and time, or a number of seconds.")).to_be_visible()
        page.get_by_role("textbox", name="At:").fill("")
        page.get_by_role("button", name="Reschedule").click()
        expect(page.get_by_text("1 job is due ")).to_be_visible()
        row = page.get_by_role("row").filter(has_text="tell second")
        expect(row).to_contain_text("1 d 5")

        page.get_by_role("row").filter(has_text="tell third").get_by_role("checkbox").check()
        page.get_by_role("paragraph").filter(has_text="ticked").get_by_role("button", name="Delete").click()
        expect(page.get_by_text("This cannot be taken back.")).to_be_visible()
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_text("Deleted 1 job.")).to_be_visible()

    in_browser(look, java_script_enabled=scripts)
    assert store().queues.size("default") == 1
    assert [job.refresh().outcome for job in jobs.values()] == ["", "", "cancelled"]
    assert 85_000 < jobs["second"].due - time.time() < 95_000


def test_all_that_match_are_deleted_and_retries_are_run(in_browser: InBrowser, waiting: redis.Redis):
    def look(page: Page) -> None:
        page.goto(url("delayed"))
        expect(page.get_by_text("overdue by 5 min")).to_have_count(2)
        page.get_by_role("navigation", name="Per command").get_by_role("link", name="mailing 60").click()
        expect(page.get_by_text("1–50", exact=True)).to_be_visible()
        page.get_by_role("link", name="Next").click()
        expect(page.get_by_text("51–60 of 60")).to_be_visible()
        page.get_by_role("paragraph").filter(has_text="All that match").get_by_role("button", name="Delete").click()
        expect(page.get_by_text("Delete 60 jobs?")).to_be_visible()
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_text("Deleted 60 jobs.")).to_be_visible()
        page.get_by_role("link", name="Retries to come").click()
        page.get_by_role("row").filter(has_text="act 1").get_by_role("button", name="Run now").click()
        page.get_by_role("button", name="Run now").click()
        expect(page.get_by_text("No job waits for its next attempt.")).to_be_visible()

    in_browser(look)
    assert store().queues.size("mail") == 1


@pytest.mark.parametrize("scripts", [True, False])
def test_an_entry_is_added_changed_paused_run_and_deleted(
    in_browser: InBrowser, clean_redis: redis.Redis, scripts: bool
):
    def look(page: Page) -> None:
        page.goto(url("schedule"))
        page.get_by_role("link", name="Add an entry").click()
        page.get_by_label("Name").fill("report")
        page.get_by_label("Command").select_option("mailing")
        page.get_by_label("Arguments").fill("send_sign_up_email 42 --template=fancy")
        page.get_by_label("Cron expression").fill("0 25 * * *")
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_text("cannot be read: it takes 0 to 23")).to_be_visible()
        page.get_by_label("Cron expression").fill("0 6 * * 1")
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_text("Add this entry to the schedule?")).to_be_visible()
        expect(page.get_by_role("listitem").filter(has_text="next:")).to_have_count(3)
        page.get_by_role("button", name="Add").click()
        row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="report"))
        expect(row).to_contain_text("0 6 * * 1")

        row.get_by_role("link", name="Change").click()
        page.get_by_label("Cron expression").fill("")
        page.get_by_label("Or every").fill("90")
        page.get_by_role("button", name="Change").click()
        page.get_by_role("button", name="Change").click()
        expect(row).to_contain_text("Every 1 minute and 30 seconds")

        row.get_by_role("button", name="Pause").click()
        page.get_by_role("button", name="Pause").click()
        expect(row).to_contain_text("paused")
        row.get_by_role("button", name="Resume").click()
        page.get_by_role("button", name="Resume").click()
        row.get_by_role("button", name="Run now").click()
        page.get_by_role("button", name="Run now").click()
        expect(page.get_by_text("Enqueued 1 job.")).to_be_visible()
        row.get_by_role("button", name="Delete").click()
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_text("The schedule has no entries.")).to_be_visible()

    in_browser(look, java_script_enabled=scripts)
    assert store().queues.size("mail") == 1


ADDRESSES = [
    url("delayed"),
    url("delayed", state="retrying"),
    url("schedule"),
    url("schedule/entry"),
    url("schedule/entry", name="report"),
]


@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1280])
def test_nothing_sticks_out_of_a_window_of_any_width(
    in_browser: InBrowser, waiting: redis.Redis, planned: redis.Redis, width: int
):
    def look(page: Page) -> None:
        for address in ADDRESSES:
            page.goto(address)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, address

    in_browser(look, viewport={"width": width, "height": 800})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_can_be_read_and_axe_finds_nothing(
    in_browser: InBrowser, waiting: redis.Redis, planned: redis.Redis, scheme: str
):
    def check(page: Page) -> None:
        assert page.evaluate(FAINT_TEXTS) == []
        violations = Axe().run(page).response["violations"]
        assert [(page.url, each["id"], each["nodes"][0]["html"]) for each in violations] == []

    def look(page: Page) -> None:
        for address in ADDRESSES:
            page.goto(address)
            check(page)
        page.goto(url("delayed"))
        page.get_by_role("button", name="Reschedule").first.click()
        expect(page.get_by_text("Reschedule 1 job?")).to_be_visible()
        page.wait_for_load_state()
        check(page)
        page.get_by_role("button", name="Reschedule").click()
        expect(page.get_by_text("Say when")).to_be_visible()
        page.wait_for_load_state()
        check(page)

    in_browser(look, color_scheme=scheme)
