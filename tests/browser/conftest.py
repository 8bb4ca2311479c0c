"""A real browser for the tests: a Chromium that is installed already, driven by playwright.

Playwright's synchronous API leaves an event loop running in the thread that uses it, and in such a thread Django
refuses to ask the database. So the browser has a thread of its own: what happens in it is a function, handed to
`in_browser`, and all around it is a test like any other.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, sync_playwright
from pytest_django.live_server_helper import LiveServer

Scenario = Callable[[Page], None]


@dataclass
class Chromium:
    """The browser in its thread."""

    executable: str
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "browser"))
    _playwright: Playwright | None = None
    _browser: Browser | None = None

    def start(self) -> None:
        def start() -> None:
            self._playwright = sync_playwright().start()
            self._browser = self._playwright.chromium.launch(
                executable_path=self.executable, args=["--disable-dev-shm-usage"]
            )

        self._thread.submit(start).result()

    def run(self, scenario: Scenario, *, base_url: str, cookies: list[Any], options: dict[str, Any]) -> None:
        """Play ``scenario`` in a new window; fail when the console shows an error or a page raises one."""

        def run() -> None:
            assert self._browser is not None
            with self._browser.new_context(base_url=base_url, **options) as context:
                context.set_default_timeout(10_000)
                context.add_cookies(cookies)
                page = context.new_page()
                errors: list[str] = []

                def listen(message: ConsoleMessage) -> None:
                    is_icon = message.location["url"].endswith("/favicon.ico")  # which the tests' project has not
                    if message.type in ("error", "warning") and not is_icon:
                        errors.append(f"{message.text} ({message.location})")

                page.on("console", listen)
                page.on("pageerror", lambda error: errors.append(str(error)))
                scenario(page)
                assert not errors

        self._thread.submit(run).result()

    def stop(self) -> None:
        def stop() -> None:
            if self._browser:
                self._browser.close()
            if self._playwright:
                self._playwright.stop()

        self._thread.submit(stop).result()
        self._thread.shutdown()


@pytest.fixture(scope="package")
def chromium() -> Iterator[Chromium]:
    """The browser of all tests in this folder.

    On a machine without one they are skipped; where ``CI`` is "true" they fail.
    """
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("DJANGO_RESQUE_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        message = f"no browser: {', '.join(names)} are not on PATH, and DJANGO_RESQUE_CHROMIUM names none"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    browser = Chromium(found)
    try:
        browser.start()
        yield browser
    finally:
        browser.stop()


@pytest.fixture
def in_browser(live_server: LiveServer, chromium: Chromium, admin_client: Any) -> Callable[..., None]:
    """Play a function that takes a playwright ``Page``, as a superuser who is logged in to the admin.

    Further arguments are those of playwright's ``new_context``, such as ``color_scheme="dark"``.
    """
    cookies = [
        {"name": name, "value": cookie.value, "url": live_server.url} for name, cookie in admin_client.cookies.items()
    ]

    def play(scenario: Scenario, **options: Any) -> None:
        chromium.run(scenario, base_url=live_server.url, cookies=cookies, options=options)

    return play
