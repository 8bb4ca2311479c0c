"""The page of the workers in a real browser, with real workers behind it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from django_resque import enqueue_to
from django_resque.job import Job
from django_resque.store import store
from tests.browser.live import next_look, turn_on
from tests.browser.test_admin import FAINT_TEXTS
from tests.dashboard import url
from tests.test_admin_workers import add_other, add_process, now, perform
from tests.workers import WorkerProcess, told, until

pytestmark = [pytest.mark.browser]

InBrowser = Callable[..., None]


@pytest.fixture
def busy(worker: Callable[..., WorkerProcess], facts: redis.Redis, clean_redis: redis.Redis) -> WorkerProcess:
    """A worker with two slots, one of which performs a job, beside one of Ruby's."""
    add_other(clean_redis, "ruby1:123:*", heard=500)
    process = worker("-q", "default,mail", "-n", "2")
    enqueue_to("mail", "act", "wait", "long")
    told(facts, "long:started")
    until(lambda: any(each.job for each in store().workers.all()))
    return process


def row_of(page: Page, process: WorkerProcess) -> Locator:
    return page.get_by_role("row").filter(has_text=f"process {process.pid}")


@pytest.mark.parametrize("scripts", [True, False])
def test_a_worker_is_paused_and_resumed(in_browser: InBrowser, busy: WorkerProcess, scripts: bool):
    def look(page: Page) -> None:
        page.goto(url("workers"))
        row = row_of(page, busy)
        expect(row).to_contain_text("running")
        expect(page.get_by_role("row").filter(has_text="slot 1")).to_contain_text("from mail")
        row.get_by_role("button", name="Pause").click()
        expect(page.get_by_text("Pause 1 worker process?")).to_be_visible()
        page.get_by_role("button", name="Pause").click()
        expect(page.locator(".messagelist .success")).to_contain_text("Paused:")
        expect(row).to_contain_text("paused")
        row.get_by_role("checkbox").check()
        page.get_by_role("paragraph").get_by_role("button", name="Resume").click()
        page.get_by_role("button", name="Resume").click()
        expect(page.locator(".messagelist .success")).to_contain_text("Resumed:")
        expect(row).to_contain_text("running")

    in_browser(look, java_script_enabled=scripts)


def test_a_running_job_is_ended_and_its_worker_goes_on(in_browser: InBrowser, busy: WorkerProcess):
    def look(page: Page) -> None:
        page.goto(url("workers"))
        page.get_by_role("button", name="End the job").click()
        expect(page.get_by_text("End 1 running job? It becomes a failure,")).to_be_visible()
        page.get_by_role("button", name="End", exact=True).click()
        expect(page.get_by_text("Ended 1 job.")).to_be_visible()
        expect(row_of(page, busy)).to_contain_text("running")

    in_browser(look)
    until(lambda: store().failures.count() == 1)
    assert store().failures.latest()[0].exception == "JobEnded"


def test_a_worker_that_still_works_is_stopped_now(in_browser: InBrowser, busy: WorkerProcess):
    def look(page: Page) -> None:
        page.goto(url("workers"))
        row_of(page, busy).get_by_role("button", name="Stop", exact=False).first.click()
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_text("Acknowledged, not done yet")).to_contain_text("1 job(s) were running")
        expect(row_of(page, busy)).to_contain_text("stopping")
        row_of(page, busy).get_by_role("button", name="Stop now").click()
        page.get_by_role("button", name="Stop now").click()
        expect(page.get_by_text("Stopped:")).to_be_visible()
        expect(row_of(page, busy)).to_have_count(0)

    in_browser(look)
    assert busy.wait() == 0
    assert store().queues.size("mail") == 1


def test_what_is_ticked_stays_so_while_the_page_is_live(in_browser: InBrowser, busy: WorkerProcess):
    def look(page: Page) -> None:
        page.clock.install()
        page.goto(url("workers"))
        row_of(page, busy).get_by_role("checkbox").check()
        turn_on(page)
        next_look(page)
        expect(row_of(page, busy).get_by_role("checkbox")).to_be_checked()

    in_browser(look)


# -- for everybody -----------------------------------------------------------------------------------------------------


@pytest.fixture
def everything(clean_redis: redis.Redis) -> redis.Redis:
    """Processes in all states, with names of all lengths."""
    slot = "box1~k3f9ad-1:4711:high,mail"
    add_process(clean_redis, "k3f9ad", slot, "box1~k3f9ad-2:4711:high,mail", mode="paused")
    add_process(clean_redis, "dead00", lease=-300, heard=now() - 330)
    add_process(clean_redis, "sched1", info={"kind": "scheduler", "queues": ""}, mode="stopping")
    add_process(clean_redis, "q" * 60, info={"host": "h" * 100, "queues": ",".join(["q" * 100] * 5)})
    add_other(clean_redis, f"{'h' * 100}:1:{','.join(['q' * 100] * 5)}", heard=500)
    add_other(clean_redis, "php1:99:mail,low")
    perform(clean_redis, slot, Job("a_command_with_a_long_name_" * 3))
    return clean_redis


@pytest.mark.parametrize("slug", ["workers", "redis"])
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_sticks_out_of_a_window_of_any_width(in_browser, everything: redis.Redis, slug: str, width: int):
    def look(page: Page) -> None:
        page.goto(url(slug))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for region in page.locator(".resque-scroll").all():
            assert region.evaluate("element => element.scrollWidth - element.clientWidth") == 0

    in_browser(look, viewport={"width": width, "height": 800})


@pytest.mark.parametrize("slug", ["workers", "redis", ""])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_and_axe_finds_nothing_serious(in_browser, everything, slug: str, scheme: str):
    def look(page: Page) -> None:
        page.goto(url(slug))
        page.evaluate("document.querySelectorAll('details').forEach(element => element.open = true)")
        assert not page.evaluate(FAINT_TEXTS)
        found = Axe().run(page).response["violations"]
        assert [each for each in found if each["impact"] in ("serious", "critical")] == []

    in_browser(look, color_scheme=scheme)
