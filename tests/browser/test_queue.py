"""The page of a queue in a browser: reading, searching, and each action clicked through."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from django_resque.job import Job
from django_resque.store import store
from tests.browser.live import next_look, turn_on
from tests.browser.test_admin import FAINT_TEXTS
from tests.dashboard import url

pytestmark = pytest.mark.browser

InBrowser = Callable[..., None]
QUEUE = url("queue", name="mail")


@pytest.fixture
def mail(clean_redis: redis.Redis) -> redis.Redis:
    clean_redis.sadd("resque:queues", "mail", "low")
    jobs = [Job("mailing", ("remind", number), {"subject": "A " * 60}, queue="mail") for number in range(60)]
    clean_redis.rpush("resque:queue:mail", *(job.payload() for job in jobs), "garbage " + "x" * 400)
    return clean_redis


def reminders(client: redis.Redis, queue: str = "mail") -> list[int]:
    """The numbers in the arguments of the jobs that wait."""
    return [each.job.args[1] for each in store().queues.page(queue) if each.job is not None]


def rows(page: Page):
    return page.get_by_role("region").get_by_role("row")


def row(page: Page, text: str):
    return rows(page).filter(has_text=text).first


def of_those_that_are_ticked(page: Page):
    return page.get_by_role("paragraph").filter(has_text="Those that are ticked:")


def test_from_the_list_of_queues_to_a_queue_and_through_its_pages(in_browser: InBrowser, mail: redis.Redis):
    def look(page: Page) -> None:
        page.goto(url("queues"))
        page.get_by_role("rowheader").get_by_role("link", name="mail").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Queue mail")
        expect(rows(page)).to_have_count(1 + 50)
        page.get_by_role("link", name="Next").click()
        expect(rows(page)).to_have_count(1 + 11)
        expect(row(page, "garbage")).to_contain_text("This is no job.")
        page.get_by_label("Text or id").fill("remind 42")
        page.keyboard.press("Enter")
        expect(rows(page)).to_have_count(1 + 1)

    in_browser(look)
    in_browser(look, java_script_enabled=False)


def test_a_job_goes_to_the_front_and_others_are_deleted(in_browser: InBrowser, mail: redis.Redis):
    def look(page: Page) -> None:
        page.goto(QUEUE)
        row(page, "remind 7 ").get_by_role("button", name="To the front").click()
        expect(page.get_by_text("Move 1 job to the front of the queue?")).to_be_visible()
        page.get_by_role("button", name="To the front").click()
        expect(page.get_by_text("1 job is at the front of the queue now.")).to_be_visible()
        assert reminders(mail)[:3] == [7, 0, 1]
        for text in ("remind 0 ", "remind 3 "):
            row(page, text).get_by_role("checkbox").check()
        of_those_that_are_ticked(page).get_by_role("button", name="Delete").click()
        expect(page.get_by_text("Delete 2 jobs?")).to_be_visible()
        expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(2)
        page.get_by_role("link", name="No, take me back").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Queue mail")
        assert reminders(mail)[:3] == [7, 0, 1]
        for text in ("remind 0 ", "remind 3 "):
            row(page, text).get_by_role("checkbox").check()
        of_those_that_are_ticked(page).get_by_role("button", name="Delete").click()
        expect(page.get_by_text("Delete 2 jobs?")).to_be_visible()
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_text("Deleted 2 jobs.")).to_be_visible()
        assert reminders(mail)[:4] == [7, 1, 2, 4]

    in_browser(look)


def test_all_that_match_go_to_another_queue(in_browser: InBrowser, mail: redis.Redis):
    def look(page: Page) -> None:
        page.goto(url("queue", name="mail", q="remind 5"))
        page.get_by_role("paragraph").filter(has_text="All that match:").get_by_role("button", name="Move").click()
        expect(page.get_by_text("Move 11 jobs to the end of another queue?")).to_be_visible()
        page.get_by_label("To the queue").fill("no:queue")
        page.get_by_role("button", name="Move").click()
        expect(page.get_by_text("cannot be the name of a queue")).to_be_visible()
        page.get_by_label("To the queue").fill("low")
        page.get_by_role("button", name="Move").click()
        expect(page.get_by_text("Moved 11 jobs to the queue low.")).to_be_visible()
        assert reminders(mail, "low") == [5, *range(50, 60)]

    in_browser(look)


@pytest.mark.parametrize("scripts", [True, False])
def test_a_queue_is_paused_cleared_and_removed(in_browser: InBrowser, mail: redis.Redis, scripts: bool):
    def look(page: Page) -> None:
        page.goto(QUEUE)
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_text("Pause 1 queue?")).to_be_visible()
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("definition").filter(has_text="paused")).to_contain_text("by admin")
        page.get_by_role("button", name="Resume").click()
        expect(page.get_by_text("Resume 1 queue?")).to_be_visible()
        page.get_by_role("button", name="Resume").click()
        expect(page.get_by_role("definition").filter(has_text="open")).to_be_visible()
        page.get_by_role("button", name="Clear").click()
        expect(page.get_by_text("Delete all 61 jobs in the queue mail")).to_be_visible()
        page.get_by_role("button", name="Clear").click()
        expect(page.get_by_text("Deleted 61 jobs.")).to_be_visible()
        page.get_by_role("button", name="Remove").click()
        expect(page.get_by_text("Remove the queue mail with 0 jobs?")).to_be_visible()
        page.get_by_role("button", name="Remove").click()
        expect(page.get_by_text("The queue is removed.")).to_be_visible()
        expect(page.get_by_role("heading", level=1)).to_have_text("Queues")
        expect(page.get_by_role("region").get_by_role("rowheader")).to_have_text(["low"])

    in_browser(look, java_script_enabled=scripts)


def test_the_jobs_that_a_worker_takes_leave_the_page_while_it_is_live(in_browser: InBrowser, mail: redis.Redis):
    def look(page: Page) -> None:
        page.clock.install()
        page.goto(QUEUE)
        turn_on(page)
        row(page, "remind 2 ").get_by_role("checkbox").check()
        mail.lpop("resque:queue:mail")
        next_look(page)
        expect(row(page, "remind 0 ")).to_have_count(0)
        expect(row(page, "remind 2 ").get_by_role("checkbox")).to_be_checked()

    in_browser(look)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible_and_all_texts_stand_out(in_browser: InBrowser, mail: redis.Redis, scheme: str):
    def look(page: Page) -> None:
        for address in (QUEUE, url("queue", name="mail", p=2), url("queue", name="none"), url("queue")):
            page.goto(address)
            found = Axe().run(page).response["violations"]
            assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
            assert page.evaluate(FAINT_TEXTS) == []

    in_browser(look, color_scheme=scheme)


@pytest.mark.parametrize("width", [320, 768, 1280])
def test_it_fits_in_a_window_of_any_width(in_browser: InBrowser, mail: redis.Redis, width: int):
    def look(page: Page) -> None:
        page.goto(url("queue", name="mail", p=2))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for region in page.locator(".resque-scroll").all():
            assert region.evaluate("element => element.scrollWidth - element.clientWidth") == 0

    in_browser(look, viewport={"width": width, "height": 800})
