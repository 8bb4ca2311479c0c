"""A browser as far as the demo needs one: cookies, forms, and a stopwatch."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from html import unescape
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, OpenerDirector, Request, build_opener

TIMEOUT = 60


class Refused(Exception):
    """The site did not take a form."""


class _NoRedirects(HTTPRedirectHandler):
    """A form is answered when its redirect is here; the page behind that is another request."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


@dataclass
class Browser:
    """Remembers who is logged in, as a person's browser does."""

    site: str

    def __post_init__(self) -> None:
        self._cookies = CookieJar()
        self._opener: OpenerDirector = build_opener(HTTPCookieProcessor(self._cookies), _NoRedirects())

    def get(self, path: str) -> str:
        """The page at ``path``."""
        with self._opener.open(f"{self.site}{path}", timeout=TIMEOUT) as response:
            page: bytes = response.read()
        return page.decode()

    def submit(self, page: str, fields: dict[str, object], *, to: str | None = None, **headers: str) -> float:
        """Open the ``page`` with the form, fill it in, send it. Returns how many seconds the answer took.

        ``to`` is where the form is sent, when that is elsewhere. Raises `Refused` when the site shows the form again.
        """
        self.get(page)
        token = next(cookie.value for cookie in self._cookies if cookie.name == "csrftoken")
        data = urlencode({**fields, "csrfmiddlewaretoken": token}).encode()
        request = Request(
            f"{self.site}{to or page}", data, {name.replace("_", "-"): text for name, text in headers.items()}
        )
        started = time.perf_counter()
        try:
            with self._opener.open(request, timeout=TIMEOUT) as response:
                answer: bytes = response.read()
        except HTTPError as found:
            if found.code == 302:
                return time.perf_counter() - started
            raise Refused(f"{request.full_url} answered {found.code}{_reason(found.read())}") from found
        raise Refused(f"{request.full_url} did not take the form{_reason(answer)}")


def _reason(page: bytes) -> str:
    """What the page says is wrong."""
    text = page.decode(errors="replace")
    found = re.findall(r'<ul class="errorlist[^>]*>(.*?)</ul>|<title>(.*?)</title>', text, re.DOTALL)
    words = [unescape(re.sub(r"<[^>]+>", " ", part)).strip() for pair in found for part in pair if part]
    return ": " + "; ".join(words) if words else ""
