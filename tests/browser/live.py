"""Following a live page, whose clock the test has installed: each look is over when these return."""

from __future__ import annotations

from playwright.sync_api import Page, Response, expect


def is_fragment(response: Response) -> bool:
    """Whether it answers a look of the page's script."""
    return "x-resque-fragment" in response.request.headers


def turn_on(page: Page) -> None:
    """Press the switch; the page looks at once."""
    with page.expect_response(is_fragment):
        page.get_by_role("switch", name="Live").click()
    is_over(page)


def next_look(page: Page, seconds: int = 5) -> Response:
    """Let the time pass after which the page looks again; the answer that it gets."""
    with page.expect_response(is_fragment) as answered:
        page.clock.run_for(seconds * 1000)
    is_over(page)
    return answered.value


def is_over(page: Page) -> None:
    """Wait until the answer is shown, and the next look planned."""
    expect(page.locator("#resque-live")).to_have_attribute("aria-busy", "false")
