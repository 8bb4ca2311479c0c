"""Makes the pictures in ``images/``: the testproject at work, seen with Chromium. Run it when the pages have changed.

    python docs/screenshots.py

It needs the dependency group ``test`` and a Chromium, which ``DJANGO_RESQUE_CHROMIUM`` may name. Everything else
happens in a temporary folder.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

DOCS = Path(__file__).resolve().parent
IMAGES = DOCS / "images"
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
        make_busy()
        photograph(f"http://127.0.0.1:{port}/admin/django_resque/dashboard/", IMAGES / "dashboard.png")


def make_busy() -> None:
    """Jobs that are done, that fail, that run, and that wait."""
    from django_resque import enqueue, enqueue_many
    from django_resque.store import store
    from pages.models import City
    from social.models import Position

    cities = [((f"/cities/{slug}/",), {}) for slug in City.objects.values_list("slug", flat=True)]
    positions = [((pk,), {}) for pk in Position.objects.values_list("pk", flat=True)]
    enqueue_many("warm_page", cities)
    enqueue("warm_page", "/cities/atlantis/")
    wait_until(lambda: store().queues.size("low") == 0)
    enqueue("erp", "book_invoice", 4711)
    wait_until(lambda: store().failures.count() == 2)
    enqueue("email_sender", "send_sign_up_email", 99_999)
    wait_until(lambda: store().failures.count() == 3)
    enqueue_many("mail_friends", positions[:38])
    enqueue_many("refresh_caches", positions[:12])
    enqueue_many("recommend_friends", positions[:1200])
    wait_until(lambda: all(worker.job for worker in store().workers.all()))


def wait_until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not fact():
        if time.monotonic() > deadline:
            sys.exit("The testproject does not do its jobs.")
        time.sleep(0.05)


def photograph(url: str, file: Path) -> None:
    """The page at ``url``, which asks for a login first, from top to bottom."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--disable-dev-shm-usage"])
        page = browser.new_page(viewport={"width": 1140, "height": 1060}, device_scale_factor=1.5)
        page.goto(url)
        page.get_by_label("Username").fill("admin")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("button", name="Toggle navigation").click()
        page.screenshot(path=file, full_page=True)
        browser.close()
    with Image.open(file) as picture:
        few_colours = picture.convert("RGB").quantize(128)  # a third of the size
    few_colours.save(file, optimize=True)


def chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("DJANGO_RESQUE_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    return found or sys.exit(f"No browser: {', '.join(names)} are not on PATH, and DJANGO_RESQUE_CHROMIUM names none.")


if __name__ == "__main__":
    main()
