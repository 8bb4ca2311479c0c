"""Running a command in a real browser: choosing it, filling in its form, putting right what is wrong, confirming."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
import redis
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from django_resque import enqueue
from django_resque.store import store
from tests.browser.test_admin import FAINT_TEXTS
from tests.dashboard import url
from tests.workers import WorkerProcess, told

pytestmark = pytest.mark.browser

InBrowser = Callable[..., None]


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    store().close()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_command_is_chosen_filled_in_confirmed_and_performed(
    in_browser: InBrowser, worker: Callable[..., WorkerProcess], facts: redis.Redis, scripts: bool
):
    worker()

    def look(page: Page) -> None:
        page.goto(url())
        page.get_by_role("link", name="Run a command").click()
        page.get_by_role("link", name="echo", exact=True).click()
        page.get_by_label("texts").fill("one\n--two\nit's three")
        page.get_by_label("--a").fill(" x ")
        page.get_by_text("More").click()
        page.get_by_label("--verbosity").select_option("2")
        page.get_by_role("button", name="Enqueue").click()
        expect(page.get_by_text("Enqueue 1 job?")).to_be_visible()
        expect(page.get_by_text("manage.py echo")).to_contain_text("--verbosity=2")
        assert facts.llen("echo") == 0
        page.get_by_role("button", name="Enqueue").click()
        expect(page.get_by_text("Enqueued echo as job")).to_be_visible()
        expect(page).to_have_title("Job: echo | Django site admin")

    in_browser(look, java_script_enabled=scripts)
    assert json.loads(told(facts, "echo")) == [["one", "--two", "it's three"], {"a": " x "}]


def test_what_is_wrong_is_put_right_and_confirmed_then(in_browser: InBrowser, clean_redis: redis.Redis):
    def look(page: Page) -> None:
        page.goto(url("run"))
        page.get_by_role("link", name="mailing", exact=True).click()
        page.get_by_role("link", name="send_sign_up_email").click()
        page.get_by_label("user_id").fill("forty-two")
        page.get_by_label("--dry-run").check()
        page.get_by_role("button", name="Enqueue").click()
        expect(page.get_by_text("Some of it is not right yet.")).to_be_visible()
        expect(page.get_by_text("invalid integer value")).to_be_visible()
        expect(page.get_by_label("--dry-run")).to_be_checked()
        page.get_by_label("user_id").fill("42")
        page.get_by_role("button", name="Enqueue").click()
        expect(page.get_by_text("manage.py mailing send_sign_up_email 42 --dry-run")).to_be_visible()
        assert clean_redis.llen("resque:queue:mail") == 0
        page.get_by_role("link", name="No, take me back").click()
        page.get_by_label("user_id").fill("42")
        page.get_by_label("--dry-run").check()
        page.get_by_role("button", name="Enqueue").click()
        page.get_by_role("button", name="Enqueue").click()
        expect(page.get_by_role("heading", name="waiting", exact=True)).to_be_visible()

    in_browser(look)
    assert json.loads(clean_redis.lindex("resque:queue:mail", 0))["args"] == [
        ["send_sign_up_email", 42, {"dry_run": True}]
    ]


@pytest.mark.parametrize("scripts", [True, False])
def test_one_goes_back_from_the_question_to_what_was_filled_in(
    in_browser: InBrowser, clean_redis: redis.Redis, scripts: bool
):
    def look(page: Page) -> None:
        page.goto(url("run", command="mailing", subcommand="send_sign_up_email"))
        page.get_by_label("user_id").fill("42")
        page.get_by_label("--dry-run").check()
        page.get_by_role("button", name="Enqueue").click()
        page.get_by_role("button", name="Back to the form").click()
        expect(page.get_by_text("What is to be enqueued?")).to_be_visible()
        expect(page.get_by_label("--dry-run")).to_be_checked()
        expect(page.get_by_label("user_id")).to_have_value("42")
        page.get_by_label("user_id").fill("43")
        page.get_by_role("button", name="Enqueue").click()
        expect(page.get_by_text("manage.py mailing send_sign_up_email 43 --dry-run")).to_be_visible()
        page.get_by_role("button", name="Enqueue").click()
        expect(page.get_by_text("Enqueued mailing as job")).to_be_visible()

    in_browser(look, java_script_enabled=scripts)
    assert clean_redis.llen("resque:queue:mail") == 1


def test_nothing_is_sent_without_what_is_required(in_browser: InBrowser, clean_redis: redis.Redis):
    def look(page: Page) -> None:
        page.goto(url("run", command="act", subcommand="tell"))
        page.get_by_role("button", name="Enqueue").click()
        expect(page.get_by_label("key")).to_be_focused()
        expect(page.get_by_text("Enqueue 1 job?")).to_have_count(0)

    in_browser(look)


def test_texts_of_several_lines_go_through_a_browser_as_they_are(in_browser: InBrowser, clean_redis: redis.Redis):
    job = enqueue("act", "tell", "\n two\nlines ", "\x1b[2J")

    def look(page: Page) -> None:
        page.goto(url("run", **{"from": job.id}))
        expect(page.get_by_label("value")).to_have_value("\\x1b[2J")
        page.get_by_role("button", name="Enqueue").click()
        page.get_by_role("button", name="Enqueue").click()
        expect(page.get_by_role("heading", name="waiting", exact=True)).to_be_visible()

    in_browser(look)
    first, second = (json.loads(raw)["args"] for raw in clean_redis.lrange("resque:queue:default", 0, -1))
    assert first == second


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_it_reads_well_in_light_and_dark_wide_and_narrow(
    in_browser: InBrowser, clean_redis: redis.Redis, scheme: str, width: int
):
    def look(page: Page) -> None:
        for query in ({}, {"command": "mailing"}, {"command": "mailing", "subcommand": "remind"}):
            page.goto(url("run", **query))
            page.evaluate("document.querySelectorAll('details').forEach(element => element.open = true)")
            check(page)
        page.get_by_label("user_ids").fill("x")
        page.get_by_role("button", name="Enqueue").click()
        expect(page.get_by_text("Some of it is not right yet.")).to_be_visible()
        check(page)

    def check(page: Page) -> None:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(FAINT_TEXTS) == []
        violations = Axe().run(page).response["violations"]
        assert [each["help"] for each in violations if each["impact"] in ("serious", "critical")] == []

    in_browser(look, color_scheme=scheme, viewport={"width": width, "height": 800})
