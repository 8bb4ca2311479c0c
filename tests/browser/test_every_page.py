"""Every page of the dashboard, and the question of every action: for those who use a screen reader, a dark screen, a
narrow one, no scripts. That no page has errors in the console, `in_browser` sees to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from django_resque.admin.pages import ACTIONS, PAGES
from tests.browser.live import next_look, turn_on
from tests.browser.test_admin import FAINT_TEXTS
from tests.dashboard import url
from tests.full_store import JOB_ID, addresses, failures, fill, sha1

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

InBrowser = Callable[..., None]
TEXT = "mail_friends"
SERIOUS = ("serious", "critical")


@pytest.fixture
def full(clean_redis: redis.Redis) -> redis.Redis:
    fill(clean_redis, TEXT)
    clean_redis.sadd("resque:queues", "a-queue-with-a-long-name-" * 4)
    return clean_redis


def one_address_a_page() -> list[str]:
    """The fullest one: the last that is asked for by name."""
    found = {address.partition("?")[0]: address for address in addresses(TEXT)}
    found[url("jobs")] = url("jobs")
    found[url("job")] = url("job", id=JOB_ID)
    found[url("failures")] = url("failures")
    found[url("failures/list")] = url("failures/list")
    found[url("failure")] = url("failure", digest=sha1(failures(TEXT)[-1]))
    found[url("delayed")] = url("delayed")
    found[url("queue")] = url("queue", name=TEXT)
    found[url("run")] = url("run", command="mailing", subcommand="send_sign_up_email")
    found[url("statistics")] = url("statistics")
    return list(found.values())


def test_each_page_is_among_those_that_are_looked_at():
    assert {address.partition("?")[0] for address in one_address_a_page()} == {url(page.slug) for page in PAGES}


def violations(page: Page) -> list[str]:
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{page.url}: {each['id']}: {each['help']}: {[node['html'][:200] for node in each['nodes'][:3]]}"
        for each in found
        if each["impact"] in SERIOUS
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_and_all_texts_stand_out(in_browser: InBrowser, full: redis.Redis, scheme: str):
    def look(page: Page) -> None:
        wrong: list[str] = []
        for address in one_address_a_page():
            page.goto(address)
            page.evaluate("document.querySelectorAll('details').forEach(element => element.open = true)")
            wrong += violations(page)
            wrong += [f"{address}: {faint}" for faint in page.evaluate(FAINT_TEXTS)]
        assert wrong == []

    in_browser(look, color_scheme=scheme)


@pytest.mark.parametrize("width", [320, 768, 1280])
def test_nothing_sticks_out_of_a_window_of_any_width(in_browser: InBrowser, full: redis.Redis, width: int):
    def look(page: Page) -> None:
        wide = []
        for address in one_address_a_page():
            page.goto(address)
            page.evaluate("document.querySelectorAll('details').forEach(element => element.open = true)")
            if page.evaluate("document.documentElement.scrollWidth") > width:
                wide.append((address, page.evaluate(WIDEST, width)))
        assert wide == []

    in_browser(look, viewport={"width": width, "height": 800})


def test_every_page_works_without_scripts(in_browser: InBrowser, full: redis.Redis):
    def look(page: Page) -> None:
        for address in one_address_a_page():
            page.goto(address)
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            expect(page.locator("#resque-live > *").first).to_be_visible()
            expect(page.get_by_role("switch")).to_have_count(0)

    in_browser(look, java_script_enabled=False)


def test_every_page_is_live_without_errors(in_browser: InBrowser, full: redis.Redis):
    def look(page: Page) -> None:
        page.goto(url())
        turn_on(page)
        for address in one_address_a_page():
            page.clock.install()
            page.goto(address)
            every = int(page.locator("#resque-live").get_attribute("data-every") or 0)
            if every:
                assert next_look(page, every).status == 200
                expect(page.locator("#resque-live > *").first).to_be_visible()

    in_browser(look)


def test_all_of_a_page_can_be_reached_by_keyboard(in_browser: InBrowser, full: redis.Redis):
    def look(page: Page) -> None:
        for address in one_address_a_page():
            page.goto(address)
            unreachable = page.evaluate(
                "[...document.querySelectorAll('.resque button, .resque a, .resque input, .resque summary')]"
                ".filter(each => each.tabIndex < 0 && !each.hidden && each.type !== 'hidden')"
                ".map(each => each.outerHTML)"
            )
            assert unreachable == []

    in_browser(look)


def test_each_question_is_accessible_too(in_browser: InBrowser, full: redis.Redis):
    def look(page: Page) -> None:
        wrong: list[str] = []
        for address in one_address_a_page():
            page.goto(address)
            for action in sorted(set(page.locator("[formaction]").evaluate_all(FORM_ACTIONS))):
                page.goto(address)
                page.locator(f'[formaction="{action}"]').first.click()
                if page.locator(".resque-confirm").count():
                    wrong += violations(page)
        assert wrong == []

    in_browser(look)


def test_every_action_has_a_button_somewhere(in_browser: InBrowser, full: redis.Redis):
    """Or a form; but for those that need what is not in this store."""

    forms = "[...document.querySelectorAll('form[method=post][action]')].map(each => each.getAttribute('action'))"

    def look(page: Page) -> None:
        found: set[str] = set()

        def collect(address: str) -> None:
            page.goto(address)
            for action in [*page.locator("[formaction]").evaluate_all(FORM_ACTIONS), *page.evaluate(forms)]:
                found.add(action.partition("?")[0])

        for address in [*one_address_a_page(), *addresses(TEXT)]:
            collect(address)
        full.set("resque:pause-all-workers", "true")
        collect(url("workers"))
        assert {url(action.slug) for action in ACTIONS} - found == set()

    in_browser(look)


FORM_ACTIONS = "buttons => buttons.map(each => each.getAttribute('formaction'))"
WIDEST = """width => [...document.querySelectorAll('.resque *')]
  .filter(each => each.getBoundingClientRect().right > width + 1)
  .slice(0, 3).map(each => each.outerHTML.slice(0, 200))"""
