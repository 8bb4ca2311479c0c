"""Failures in a real browser: from the groups to the list to one alone, retrying and discarding on the way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from django_resque.failure import Failure, failure_record
from django_resque.job import Job
from django_resque.store import store
from tests.browser.live import next_look, turn_on
from tests.browser.test_admin import FAINT_TEXTS
from tests.dashboard import url

pytestmark = pytest.mark.browser

InBrowser = Callable[..., None]
NOW = datetime.now(UTC)


def test_of_a_long_output_the_end_is_seen(in_browser: InBrowser, clean_redis: redis.Redis):
    failure = fail(clean_redis, "act", minutes=1)

    def look(page: Page) -> None:
        page.goto(url("failure", digest=failure.digest))
        output = page.locator("pre[data-key=output]")
        assert output.evaluate("each => each.scrollHeight > each.clientHeight")
        assert output.evaluate("each => each.scrollTop + each.clientHeight >= each.scrollHeight - 1")

    in_browser(look)


def fail(client: redis.Redis, command: str, *args: Any, minutes: int, **given: Any) -> Failure:
    fields: dict[str, Any] = {
        "queue": "mail",
        "worker": "box1~k3f9ad-1:42:mail",
        "exception": "ValueError",
        "error": "went wrong",
        "backtrace": ["Traceback (most recent call last):", f'  File "{"x" * 200}.py", line 31, in handle'],
        "extra": {
            "output": "connecting\n" * 40,
            "attempts": 2,
            "history": [{"attempt": 1, "failed_at": "2026/11/20 13:21:45 UTC", "exception": "OSError", "error": "no"}],
        },
        "now": NOW - timedelta(minutes=minutes),
    }
    raw = failure_record(payload=Job(command, args, {"subject": "Hello"}).payload(), **{**fields, **given})
    client.rpush("resque:failed", raw)
    return Failure.from_record(raw)


@pytest.fixture
def some(clean_redis: redis.Redis) -> list[Failure]:
    clean_redis.rpush("resque:failed", "no JSON at all")
    found = [fail(clean_redis, "send_welcome", number, minutes=200 - number) for number in range(60)]
    found.append(fail(clean_redis, "clean_up_" * 15, exception="shop.errors.NoStock" + "AndMore" * 12, minutes=3))
    return found


def row(page: Page, text: str) -> Any:
    return page.get_by_role("row").filter(has_text=text)


@pytest.mark.parametrize("scripts", [True, False])
def test_from_the_groups_to_the_list_to_a_failure_that_is_retried(
    in_browser: InBrowser, some: list[Failure], clean_redis: redis.Redis, scripts: bool
):
    def look(page: Page) -> None:
        page.goto(url("failures"))
        row(page, "send_welcome").get_by_role("link", name="60").last.click()
        expect(page.get_by_role("heading", name="60 failures")).to_be_visible()
        expect(page.get_by_label("Command")).to_have_value("send_welcome")
        page.get_by_role("link", name="Next").click()
        expect(page.get_by_text("51–60 of 60")).to_be_visible()
        page.get_by_label("Text or job id").fill(some[7].job_id)
        page.get_by_role("button", name="Search").click()
        expect(page.get_by_role("heading", name="1 failure")).to_be_visible()
        page.get_by_role("link", name="ValueError").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Failure of send_welcome")
        expect(page.get_by_label("Text of the traceback")).to_contain_text("line 31, in handle")
        expect(row(page, "OSError")).to_contain_text("no")
        page.get_by_text("All of it, as it is").click()
        expect(page.get_by_label("All of it, as it is")).to_contain_text('"class": "send_welcome"')
        page.get_by_role("button", name="Retry send_welcome").click()
        expect(page.get_by_text("Retry 1 failure?")).to_be_visible()
        page.get_by_role("button", name="Retry").click()
        expect(page.get_by_text("Retried 1 failure.")).to_be_visible()
        expect(page.get_by_text("This failure is gone: retried or discarded.")).to_be_visible()
        page.get_by_role("main").get_by_role("link", name="List of failures").click()
        expect(page.get_by_role("heading", name="61 failures")).to_be_visible()

    in_browser(look, java_script_enabled=scripts)
    assert clean_redis.llen("resque:queue:mail") == 1


def test_a_group_is_discarded(in_browser: InBrowser, some: list[Failure]):
    def look(page: Page) -> None:
        page.goto(url("failures"))
        row(page, "send_welcome").get_by_role("button", name="Discard").click()
        expect(page.get_by_text("Discard 60 failures?")).to_be_visible()
        expect(page.get_by_text("This cannot be taken back.")).to_be_visible()
        page.get_by_role("link", name="No, take me back").click()
        row(page, "send_welcome").get_by_role("button", name="Discard").click()
        page.get_by_role("button", name="Discard").click()
        expect(page.get_by_text("Discarded 60 failures.")).to_be_visible()
        expect(row(page, "send_welcome")).to_have_count(0)
        row(page, "(no job)").get_by_role("button", name="Discard").click()
        page.get_by_role("button", name="Discard").click()
        expect(page.get_by_text("Discarded 1 failure.")).to_be_visible()

    in_browser(look)
    assert store().failures.count() == 1


def test_those_that_are_ticked_and_all_that_match(in_browser: InBrowser, some: list[Failure], clean_redis: redis.Redis):
    def look(page: Page) -> None:
        page.goto(url("failures/list", command="send_welcome"))
        for place in (0, 2):
            page.locator("input[name=tick]").nth(place).check()
        page.get_by_text("Those that are ticked:").get_by_role("button", name="Retry").click()
        page.get_by_role("button", name="Retry").click()
        expect(page.get_by_text("Retried 2 failures.")).to_be_visible()
        page.get_by_role("button", name="Discard all that match").click()
        expect(page.get_by_text("Discard 58 failures?")).to_be_visible()
        page.get_by_role("button", name="Discard").click()
        expect(page.get_by_text("Discarded 58 failures.")).to_be_visible()
        expect(page.get_by_text("No failure is like this.")).to_be_visible()

    in_browser(look)
    queued = clean_redis.lrange("resque:queue:mail", 0, -1)
    assert [Job.from_payload(raw, "mail").id for raw in queued] == [some[59].job_id, some[57].job_id]


def test_the_groups_and_the_list_follow(in_browser: InBrowser, some: list[Failure], clean_redis: redis.Redis):
    def look(page: Page) -> None:
        page.clock.install()
        page.goto(url("failures"))
        turn_on(page)
        fail(clean_redis, "another", minutes=0)
        next_look(page, 10)
        expect(row(page, "another")).to_be_visible()
        page.goto(url("failures/list"))
        page.locator("input[name=tick]").nth(1).check()
        chosen = page.locator("input[name=tick]").nth(1).get_attribute("value")
        fail(clean_redis, "yet_another", minutes=0)
        next_look(page, 10)
        expect(row(page, "yet_another")).to_be_visible()
        expect(page.locator("input[name=tick]:checked")).to_have_attribute("value", str(chosen))

    in_browser(look)


def addresses(some: list[Failure]) -> list[str]:
    return [
        url("failures"),
        url("failures/list"),
        url("failures/list", none="job"),
        url("failures/list", q="nowhere"),
        url("failure", digest=some[-1].digest),
        url("failure", digest="0" * 40),
    ]


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_sticks_out_of_a_window_of_any_width(in_browser: InBrowser, some: list[Failure], width: int):
    def look(page: Page) -> None:
        for address in addresses(some):
            page.goto(address)
            page.evaluate("document.querySelectorAll('details').forEach(element => element.open = true)")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, address
            for region in page.locator(".resque-scroll").all():
                assert region.evaluate("element => element.scrollWidth - element.clientWidth") == 0, address

    in_browser(look, viewport={"width": width, "height": 800})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_and_all_texts_stand_out(in_browser: InBrowser, some: list[Failure], scheme: str):
    def look(page: Page) -> None:
        for address in addresses(some):
            page.goto(address)
            page.evaluate("document.querySelectorAll('details').forEach(element => element.open = true)")
            violations = Axe().run(page, ".resque").response["violations"]
            assert [each["id"] for each in violations if each["impact"] in ("serious", "critical")] == [], address
            assert page.evaluate(FAINT_TEXTS) == [], address

    in_browser(look, color_scheme=scheme)
