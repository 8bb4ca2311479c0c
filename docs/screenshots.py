"""Makes the pictures in ``images/dashboard/``: every page of the testproject at work, light and dark.

Run it when the pages have changed:

    python docs/screenshots.py

It needs the dependency group ``test`` and a Chromium, which ``DJANGO_RESQUE_CHROMIUM`` may name. Everything else
happens in a temporary folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

DOCS = Path(__file__).resolve().parent
IMAGES = DOCS / "images" / "dashboard"
PASSWORD = "for a picture"

sys.path[:0] = [str(DOCS.parent), str(DOCS.parent / "testproject")]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        name_settings(folder)

        import django

        django.setup()
        take_pictures(Path(folder))


def name_settings(folder: str) -> None:
    """Let the testproject write into ``folder``, and have ports of its own."""
    from demo.processes import free_ports

    mail_port, services_port = free_ports(2)
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "website.settings",
        "TESTPROJECT_VAR": folder,
        "TESTPROJECT_TRAFFIC": "yes",
        "TESTPROJECT_MAIL_PORT": str(mail_port),
        "TESTPROJECT_SERVICES_PORT": str(services_port),
    }


def take_pictures(folder: Path) -> None:
    from django.core.management import call_command

    from demo import sample
    from demo.processes import Processes, embedded_server, free_ports, start_site

    call_command("migrate", verbosity=0)
    sample.load()
    sample.make_administrator(PASSWORD)
    (port,) = free_ports(1)
    with Processes(logs=folder / "logs") as processes, embedded_server(processes):
        start_site(processes, port)
        running = make_busy()
        photograph(f"http://127.0.0.1:{port}", pages(running), here=[str(folder), str(DOCS.parent)])
    (IMAGES / "made-of.txt").write_text(f"{made_of()}\n")


def made_of() -> str:
    """The digest of what the pages look like: ``tests/test_docs.py`` compares it with that of the pictures."""
    package = DOCS.parent / "django_resque"
    files = sorted([*package.glob("templates/**/*.html"), *package.glob("static/**/*.css")])
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def make_busy() -> str:
    """Jobs that are done, that fail, that run, that wait, that are delayed; the id of one that runs."""
    from django_resque import enqueue, enqueue_in, enqueue_many, timetable, using
    from django_resque.status import Status
    from django_resque.store import store
    from pages.models import City
    from social.models import Position

    slugs = list(City.objects.values_list("slug", flat=True))
    positions = [((pk,), {}) for pk in Position.objects.values_list("pk", flat=True)]
    timetable.add("warm Berlin", {"command": "warm_page", "args": ["/cities/berlin/"], "cron": "*/15 8-18 * * MON-FRI"})
    timetable.add("old report", {"command": "yearly_report", "args": [2025], "every": 86_400})
    timetable.pause("old report")
    enqueue_many("warm_page", [((f"/cities/{slug}/",), {}) for slug in slugs])
    for city in ("atlantis", "el-dorado", "avalon"):
        enqueue("warm_page", f"/cities/{city}/")
    wait_until(lambda: store().queues.size("low") == 0)
    enqueue("erp", "book_invoice", 4711)
    enqueue("erp", "book_stock_movement", 4711)
    enqueue("email_sender", "send_sign_up_email", 99_999)
    wait_until(lambda: store().failures.count() >= 6)
    using(max_attempts=5, backoff=300).enqueue("warm_page", "/cities/shangri-la/")
    wait_until(lambda: store().retries.count() > 0)
    for place, slug in enumerate(slugs[:12]):
        enqueue_in(90 + 400 * place, "warm_page", f"/cities/{slug}/")
    report = enqueue("yearly_report", 2026, pause=4)
    wait_until(lambda: (report.refresh().progress or (0,))[0] >= 4 and report.status is Status.RUNNING)
    enqueue_many("mail_friends", positions[:38])
    enqueue_many("refresh_caches", positions[:12])
    enqueue_many("recommend_friends", positions[:1200])
    wait_until(lambda: all(worker.job for worker in store().workers.all()))
    return report.id


def pages(running: str) -> dict[str, str]:
    """What is taken a picture of, by the picture's name: the address below the dashboard's."""
    from django_resque.store import store

    failed = next(failure for failure in store().failures.latest() if failure.backtrace)
    return {
        "overview": "",
        "queues": "queues/",
        "queue": "queue/?name=low",
        "jobs": "jobs/?state=queued&queue=low",
        "job": f"job/?id={running}",
        "failures": "failures/?since=all",
        "failures_list": "failures/list/",
        "failure": f"failure/?digest={failed.digest}",
        "workers": "workers/",
        "delayed": "delayed/",
        "schedule": "schedule/",
        "schedule_entry": "schedule/entry/",
        "run": "run/?command=yearly_report",
        "statistics": "statistics/?span=hour",
        "redis": "redis/",
    }


def wait_until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not fact():
        if time.monotonic() > deadline:
            sys.exit("The testproject does not do its jobs.")
        time.sleep(0.05)


def photograph(site: str, pages: dict[str, str], here: list[str]) -> None:
    """Each page, from top to bottom, light and dark. Where the files lie ``here`` is nobody's business."""
    from playwright.sync_api import sync_playwright

    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--disable-dev-shm-usage"])
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 1240, "height": 700}, color_scheme=scheme)
            page.goto(f"{site}/admin/")
            page.get_by_label("Username").fill("admin")
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Log in").click()
            for place, (name, address) in enumerate(pages.items()):
                page.goto(f"{site}/admin/django_resque/dashboard/{address}")
                if not place:
                    page.get_by_role("button", name="Toggle navigation").click()
                page.evaluate(ELSEWHERE, here)
                file = IMAGES / f"{name}-{scheme}.png"
                page.screenshot(path=file, full_page=True)
                shrink(file)
        browser.close()


# Writes another folder in the place of these in all texts of the page.
ELSEWHERE = """folders => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (texts.nextNode()) {
    for (const folder of folders) texts.currentNode.data = texts.currentNode.data.replaceAll(folder, "/srv/site")
  }
}"""


def shrink(file: Path) -> None:
    """Fewer colours: a third of the size."""
    from PIL import Image

    with Image.open(file) as picture:
        few_colours = picture.convert("RGB").quantize(128)
    few_colours.save(file, optimize=True)


def chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("DJANGO_RESQUE_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    return found or sys.exit(f"No browser: {', '.join(names)} are not on PATH, and DJANGO_RESQUE_CHROMIUM names none.")


if __name__ == "__main__":
    main()
