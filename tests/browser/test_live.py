"""What the dashboard's script adds: the live switch, ticking all rows; and that all else works without it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import redis
from playwright.sync_api import Page, expect

from django_resque.failure import failure_record
from django_resque.job import Job
from django_resque.store import store
from tests.browser.live import is_fragment, next_look, turn_on

pytestmark = pytest.mark.browser

QUEUES = "/admin/django_resque/dashboard/queues/"
InBrowser = Callable[..., None]


@pytest.fixture
def mail(clean_redis: redis.Redis) -> redis.Redis:
    clean_redis.sadd("resque:queues", "mail", "low")
    clean_redis.rpush("resque:queue:mail", Job("send_welcome").payload())
    return clean_redis


@pytest.mark.parametrize("scripts", [True, False])
def test_a_queue_is_paused_and_resumed_after_a_confirmation(in_browser: InBrowser, mail: redis.Redis, scripts: bool):
    def look(page: Page) -> None:
        page.goto(QUEUES)
        row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="mail"))
        row.get_by_role("button", name="Pause mail").click()
        expect(page.get_by_text("Pause 1 queue?")).to_be_visible()
        assert store().control.paused_queues() == []
        page.get_by_role("link", name="No, take me back").click()
        expect(row).to_contain_text("no worker listens")
        row.get_by_role("button", name="Pause mail").click()
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_text("Paused 1 queue.")).to_be_visible()
        expect(row).to_contain_text("paused by admin")
        assert store().control.paused_queues() == ["mail"]
        row.get_by_role("button", name="Resume mail").click()
        page.get_by_role("button", name="Resume").click()
        expect(row).to_contain_text("no worker listens")

    in_browser(look, java_script_enabled=scripts)


def test_a_page_that_is_not_answered_any_more_says_so(in_browser: InBrowser, mail: redis.Redis):
    def look(page: Page) -> None:
        page.clock.install()
        page.goto(QUEUES)
        turn_on(page)
        lost = page.locator("#resque-lost")
        expect(lost).to_be_empty()
        page.route("**/queues/", lambda route: route.fulfill(status=204))
        next_look(page)
        expect(lost).to_have_text("The page is not answered: this is how it was.")
        page.unroute("**/queues/")
        next_look(page)
        expect(lost).to_be_empty()
        page.context.clear_cookies()
        page.clock.run_for(5_000)
        expect(lost).to_have_text("The page is closed to you now: load it anew.")
        expect(page.get_by_role("switch", name="Live")).to_have_attribute("aria-checked", "false")

    in_browser(look)


def test_all_rows_can_be_ticked_at_once(in_browser: InBrowser, mail: redis.Redis):
    def look(page: Page) -> None:
        page.goto(QUEUES)
        page.get_by_label("Tick all").check()
        expect(page.locator("input[name=tick]:checked")).to_have_count(2)
        page.get_by_role("paragraph").get_by_role("button", name="Pause").click()
        expect(page.get_by_text("Pause 2 queues?")).to_be_visible()

    in_browser(look)


def test_the_page_follows_while_the_switch_is_on_and_remembers_it(in_browser: InBrowser, mail: redis.Redis):
    def look(page: Page) -> None:
        answers: list[int] = []
        page.on("response", lambda response: answers.append(response.status) if is_fragment(response) else None)
        page.clock.install()
        page.goto(QUEUES)
        page.clock.run_for(60_000)
        assert answers == []
        row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="low"))
        row.get_by_role("checkbox").check()
        switch = page.get_by_role("switch", name="Live")
        turn_on(page)
        expect(switch).to_have_attribute("aria-checked", "true")
        mail.rpush("resque:queue:low", Job("send_welcome").payload())
        next_look(page)
        expect(row.get_by_role("cell").nth(1)).to_have_text("1")
        expect(row.get_by_role("checkbox")).to_be_checked()
        assert next_look(page).status == 304
        page.reload()
        next_look(page)
        expect(switch).to_have_attribute("aria-checked", "true")
        switch.click()
        answers.clear()
        page.clock.run_for(60_000)
        assert answers == []

    in_browser(look)


def test_a_hidden_tab_asks_nothing_and_a_tab_that_is_seen_again_asks_at_once(in_browser: InBrowser, mail: redis.Redis):
    def look(page: Page) -> None:
        answers: list[int] = []
        page.on("response", lambda response: answers.append(response.status) if is_fragment(response) else None)
        page.clock.install()
        page.goto(QUEUES)
        turn_on(page)
        _set_hidden(page, True)
        answers.clear()
        page.clock.run_for(60_000)
        assert answers == []
        with page.expect_response(is_fragment):
            _set_hidden(page, False)

    in_browser(look)


def test_it_stops_when_the_visitor_is_logged_out(in_browser: InBrowser, mail: redis.Redis):
    def look(page: Page) -> None:
        page.clock.install()
        page.goto(QUEUES)
        switch = page.get_by_role("switch", name="Live")
        turn_on(page)
        page.context.clear_cookies()
        page.clock.run_for(5_000)
        expect(switch).to_have_attribute("aria-checked", "false")
        expect(page.get_by_role("rowheader", name="mail")).to_be_visible()

    in_browser(look)


def test_the_focus_stays_on_the_button_where_it_was(in_browser: InBrowser, clean_redis: redis.Redis):
    def fail(message: str) -> None:
        record = failure_record(
            payload=Job("send_welcome").payload(),
            queue="mail",
            worker="box1~abc123-1:42:mail",
            exception="ValueError",
            error=message,
            now=datetime.now(UTC),
        )
        clean_redis.rpush("resque:failed", record)

    def look(page: Page) -> None:
        page.clock.install()
        page.goto("/admin/django_resque/dashboard/failures/list/")
        turn_on(page)
        row = page.get_by_role("row").filter(has_text="the old one")
        for name in ("Discard", "Retry"):
            row.get_by_role("button", name=name).focus()
            fail(f"new when {name} was focused")
            next_look(page)
            expect(page.get_by_text(f"new when {name} was focused")).to_be_visible()
            expect(row.get_by_role("button", name=name)).to_be_focused()

    fail("the old one")
    in_browser(look)


def _set_hidden(page: Page, hidden: bool) -> None:
    """What a browser does when another tab is looked at; a headless one has no such tab."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", {value: hidden, configurable: true})
            document.dispatchEvent(new Event("visibilitychange"))
        }""",
        hidden,
    )
