"""The switch between the two worlds: follow-up work as jobs, or inside the request as before django_resque.

While `DEBUG` is on a request may say ``X-Without-Resque: 1`` (or send the form field ``without_resque``); then the same
commands run before it is answered (`website.without`). A real project has nothing of this.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse

_in_the_request: ContextVar[bool] = ContextVar("in_the_request", default=False)


def in_the_request(**signal: object) -> bool:
    """Whether follow-up work is done before the present request is answered."""
    return _in_the_request.get()


def in_the_background(**signal: object) -> bool:
    """Whether follow-up work is enqueued, as it is unless a request asks otherwise."""
    return not _in_the_request.get()


class SwitchMiddleware:
    """Reads the switch from the request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = _in_the_request.set(settings.DEBUG and _asked(request))
        try:
            return self.get_response(request)
        finally:
            _in_the_request.reset(token)


def _asked(request: HttpRequest) -> bool:
    return bool(request.headers.get("X-Without-Resque") or request.POST.get("without_resque"))
