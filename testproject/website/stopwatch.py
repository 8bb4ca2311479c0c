"""How long a form took to be answered, shown on the page that follows."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse

from .switch import in_the_request


class StopwatchMiddleware:
    """Adds a message to every answered form: ``Answered in 0.04 s, with django_resque``."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        response = self.get_response(request)
        if request.method == "POST" and response.status_code == 302 and not request.path.startswith("/admin/"):
            took = time.perf_counter() - started
            how = "everything inside the request" if in_the_request() else "with django_resque"
            messages.debug(request, f"Answered in {took:.2f} s, {how}.")
        return response
