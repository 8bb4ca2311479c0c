"""The overview in a real browser, as one who can see, one who cannot, and one with a small screen use it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import redis
from playwright.sync_api import Page, expect

from django_resque.failure import failure_record
from django_resque.job import Job
from tests.browser.live import next_look, turn_on
from tests.servers import RedisServer

pytestmark = pytest.mark.browser

URL = "/admin/django_resque/dashboard/"
InBrowser = Callable[..., None]


@pytest.fixture
def busy(clean_redis: redis.Redis) -> redis.Redis:
    """A site at work: queues with jobs, workers of ours and of Ruby's, what they did, failures."""
    now = datetime.now(UTC)
    for minute in range(200):
        second = (int(now.timestamp()) // 60 - minute) * 60
        key = f"resque:django:stats:throughput:{second // 3600 * 3600}"
        clean_redis.hset(key, mapping={f"p{second // 60 % 60}": 20 + minute % 7, f"f{second // 60 % 60}": minute % 3})
    for queue, count in {"default": 1284, "high": 2, "mail": 37, "thumbnails": 0}.items():
        clean_redis.sadd("resque:queues", queue)
        if count:
            clean_redis.rpush(f"resque:queue:{queue}", *[Job("send_welcome").payload()] * count)
    working = {
        "queue": "mail",
        "run_at": (now - timedelta(seconds=75)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "payload": json.loads(Job("email_sender", ("send_sign_up_email", 42)).payload()),
        "worker": "box1~k3f9ad-1:4711:high,mail,default",
    }
    clean_redis.set(f"resque:worker:{working['worker']}", json.dumps(working))
    for worker in (working["worker"], "box1~k3f9ad-2:4711:high,mail,default", "ruby1:123:*"):
        clean_redis.sadd("resque:workers", worker)
        clean_redis.hset("resque:workers:heartbeat", worker, now.isoformat())
    for number in range(25):
        record = failure_record(
            payload=Job("email_sender", ("send_sign_up_email", number)).payload(),
            queue="mail",
            worker=working["worker"],
            exception="SMTPServerDisconnected",
            error=f"Connection unexpectedly closed ({number}) " + "and-an-endless-word-" * 20,
            backtrace=["Traceback (most recent call last):", f'  File "{"x" * 200}.py", line 31, in handle'],
            extra={"output": "connecting to mail.example.com\n"},
            now=now - timedelta(minutes=25 - number),
        )
        clean_redis.rpush("resque:failed", record)
    return clean_redis


def test_the_index_leads_to_a_page_that_reads_well(in_browser: InBrowser, busy: redis.Redis):
    def look(page: Page) -> None:
        page.goto("/admin/")
        page.get_by_role("main").get_by_role("link", name="Dashboard").click()
        expect(page).to_have_title("Dashboard | Django site admin")
        expect(page.get_by_role("heading", level=1)).to_have_text("Dashboard")
        expect(page.get_by_role("navigation", name="Breadcrumbs")).to_contain_text("Home › Resque › Dashboard")

        queues = page.get_by_role("region", name="Queues")
        columns = ["Queue", "Jobs waiting", "Oldest", "Running", "Workers", "State"]
        expect(queues.get_by_role("columnheader")).to_have_text(columns)
        expect(queues.get_by_role("row").filter(has=page.get_by_role("rowheader", name="mail"))).to_contain_text("37")
        expect(queues.get_by_role("row").nth(1)).to_contain_text("default")

        failures = page.get_by_role("region", name="Failures")
        expect(failures.get_by_role("row")).to_have_count(1 + 5)

        throughput = page.get_by_role("region", name="Throughput")
        expect(throughput.get_by_role("img", name="Last hour")).to_be_visible()
        expect(throughput.get_by_role("img", name="Last 24 hours")).to_be_visible()

    in_browser(look)


def test_all_that_is_told_leads_to_where_there_is_more(in_browser: InBrowser, busy: redis.Redis):
    def look(page: Page) -> None:
        for name, title in {
            "1,323": "Queues",
            "All queues": "Queues",
            "All failures": "Failures",
            "Redis": "Redis",
        }.items():
            page.goto(URL)
            page.locator("#resque-live").get_by_role("link", name=name, exact=True).first.click()
            expect(page.get_by_role("heading", level=1)).to_have_text(title)

    in_browser(look)


@pytest.mark.parametrize("scripts", [True, False])
def test_the_drawing_can_be_read_as_a_table_by_keyboard(in_browser: InBrowser, busy: redis.Redis, scripts: bool):
    def look(page: Page) -> None:
        page.goto(URL)
        hour = page.get_by_role("figure").first
        expect(hour.get_by_role("table")).to_be_hidden()
        hour.locator("summary").focus()
        page.keyboard.press("Enter")
        expect(hour.get_by_role("table")).to_be_visible()
        expect(hour.get_by_role("columnheader")).to_have_text(["From", "Processed", "Failed"])
        assert hour.get_by_role("row").count() in (1 + 12, 1 + 13)

    in_browser(look, java_script_enabled=scripts)


def test_the_highest_bar_fits_into_the_drawing(in_browser: InBrowser, busy: redis.Redis):
    def look(page: Page) -> None:
        page.goto(URL)
        for drawing in page.locator(".resque-plot svg").all():
            frame, bars = drawing.bounding_box(), drawing.locator("path.resque-done").bounding_box()
            assert frame is not None
            assert bars is not None
            assert frame["y"] <= bars["y"]
            assert bars["y"] + bars["height"] <= frame["y"] + frame["height"] + 0.1
            assert bars["height"] > 20

    in_browser(look)


def test_it_follows_while_it_is_live(in_browser: InBrowser, busy: redis.Redis):
    def look(page: Page) -> None:
        page.clock.install()
        page.goto(URL)
        page.get_by_role("figure").first.locator("summary").click()
        turn_on(page)
        busy.rpush("resque:queue:mail", *[Job("send_welcome").payload()] * 1_000)
        next_look(page)
        expect(page.get_by_role("link", name="2,323")).to_be_visible()
        expect(page.get_by_role("figure").first.get_by_role("table")).to_be_visible()

    in_browser(look)


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_sticks_out_of_a_window_of_any_width(in_browser: InBrowser, busy: redis.Redis, width: int):
    busy.sadd("resque:queues", "q" * 100)
    busy.sadd("resque:workers", f"{'h' * 100}:1:{','.join(['q' * 100] * 5)}")

    def look(page: Page) -> None:
        page.goto(URL)
        page.evaluate("document.querySelectorAll('details').forEach(element => element.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for region in page.locator(".resque-scroll").all():
            assert region.evaluate("element => element.scrollWidth - element.clientWidth") == 0

    in_browser(look, viewport={"width": width, "height": 800})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_background(in_browser: InBrowser, busy: redis.Redis, scheme: str):
    busy.hset("resque:workers:heartbeat", "ruby1:123:*", "2020-01-01T00:00:00+00:00")
    busy.set("resque:pause-all-workers", "true")

    def look(page: Page) -> None:
        page.goto(URL)
        page.evaluate("document.querySelectorAll('details').forEach(element => element.open = true)")
        faint = page.evaluate(FAINT_TEXTS)
        assert not faint
        assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")

    in_browser(look, color_scheme=scheme)


def test_without_redis_the_page_says_so_and_no_more(in_browser: InBrowser, redis_server: RedisServer):
    redis_server.stop()

    def look(page: Page) -> None:
        page.goto(URL)
        expect(page.get_by_role("alert")).to_contain_text("Redis did not answer")
        expect(page.get_by_role("region")).to_have_count(0)

    in_browser(look)


# The contrast that WCAG 2 asks of small texts, 4.5 to 1, for every text below .resque.
FAINT_TEXTS = """() => {
  const channels = color => color.match(/[\\d.]+/g).map(Number)
  const luminance = ([red, green, blue]) => {
    const [r, g, b] = [red, green, blue].map(value => {
      const share = value / 255
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const background = element => {
    for (let at = element; at; at = at.parentElement) {
      const color = channels(getComputedStyle(at).backgroundColor)
      if (color.length === 3 || color[3] === 1) return color
    }
    return [255, 255, 255]
  }
  const faint = []
  for (const element of document.querySelectorAll('.resque *')) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())
    if (!own) continue
    const style = getComputedStyle(element)
    const behind = background(element)
    const opacity = Number(style.opacity)
    const front = channels(style.color).slice(0, 3).map((value, at) => value * opacity + behind[at] * (1 - opacity))
    const [dark, light] = [luminance(front), luminance(behind)].sort((one, other) => one - other)
    const contrast = (light + 0.05) / (dark + 0.05)
    if (contrast < 4.5) faint.push(`${element.tagName}.${element.className} ${contrast.toFixed(2)}`)
  }
  return [...new Set(faint)]
}"""
