"""What was enqueued during a request, and where in the code: for a developer to look at, with ``DEBUG`` on.

A log belongs to a request, whichever threads and tasks work for it. It begins and ends with Django's signals and needs
no middleware. It has what was asked for: that a transaction was rolled back afterwards does not take a job out.
"""

from __future__ import annotations

import contextvars
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext
from django.conf import settings
from django.core.signals import request_finished, request_started

from .job import Job

MOST = 1_000
"""Jobs of which a log takes note; it counts the others."""

_SKIPPED = frozenset({"django_resque", "django", "asgiref", "asyncio", "concurrent", "contextlib", "threading"})
"""Packages whose code is not where somebody wanted to enqueue something."""


@dataclass(frozen=True, slots=True)
class Enqueued:
    """One job that was enqueued.

    ``due`` is the unix time before which it is not performed, None when it is not delayed; after a delay in seconds it
    is by this machine's clock, where Redis goes by its own. ``file``, ``line`` and ``function`` are the innermost code
    that is neither Django's nor ours; empty and 0 when there was none, as in a thread that ``sync_to_async`` runs
    ``enqueue`` in.
    """

    job: Job
    due: float | None
    file: str
    line: int
    function: str

    @property
    def place(self) -> str:
        """``file:line:function``, or nothing."""
        return f"{self.file}:{self.line}:{self.function}" if self.file else ""


class Log(list[Enqueued]):
    """What was enqueued, in order. ``left_out`` counts the jobs beyond the first `MOST`."""

    def __init__(self) -> None:
        super().__init__()
        self.left_out = 0
        self._lock = threading.Lock()

    def add(self, jobs: Sequence[Job], due: float | None, place: tuple[str, int, str]) -> None:
        """Take note of jobs that were enqueued in one call."""
        with self._lock:
            taken = jobs[: max(0, MOST - len(self))]
            self.extend(Enqueued(job, due, *place) for job in taken)
            self.left_out += len(jobs) - len(taken)


_collecting: contextvars.ContextVar[tuple[Log, ...]] = contextvars.ContextVar("django_resque_collecting", default=())
_request: contextvars.ContextVar[Log | None] = contextvars.ContextVar("django_resque_request", default=None)
# Under ASGI Django sends its signals in tasks of their own, whose context variables nobody else sees. All that works
# for the request has its ThreadSensitiveContext, though.
_async_requests: weakref.WeakKeyDictionary[ThreadSensitiveContext, Log] = weakref.WeakKeyDictionary()


def note(jobs: Sequence[Job], due: float | None = None) -> None:
    """Take note of ``jobs`` that were enqueued in one call, for the logs that there are; there may be none.

    ``due`` is the unix time of delayed ones.
    """
    collecting, of_request = _collecting.get(), _of_request()
    if not collecting and of_request is None:
        return
    place = _calling_code()
    for log in collecting if of_request is None else (*collecting, of_request):
        log.add(jobs, due, place)


def current() -> Log:
    """What has been enqueued during the present request. Empty without one, and when ``DEBUG`` was off at its start."""
    log = _of_request()
    return Log() if log is None else log


@contextmanager
def collect() -> Iterator[Log]:
    """Collect what is enqueued inside the block, requests of a test client included, whatever ``DEBUG`` is."""
    log = Log()
    token = _collecting.set((*_collecting.get(), log))
    try:
        yield log
    finally:
        _collecting.reset(token)


def connect() -> None:
    """Keep a log of each request from now on, when ``DEBUG`` is on."""
    request_started.connect(_begin, dispatch_uid="django_resque.enqueue_log")
    request_finished.connect(_end, dispatch_uid="django_resque.enqueue_log")


def _begin(**sent: Any) -> None:
    log = Log() if settings.DEBUG else None
    _request.set(log)
    context = _asgi_context()
    if log is not None and context is not None:
        _async_requests[context] = log


def _end(**sent: Any) -> None:
    _request.set(None)
    context = _asgi_context()
    if context is not None:
        _async_requests.pop(context, None)


def _of_request() -> Log | None:
    log = _request.get()
    if log is None and _async_requests:
        context = _asgi_context()
        log = _async_requests.get(context) if context is not None else None
    return log


def _asgi_context() -> ThreadSensitiveContext | None:
    return SyncToAsync.thread_sensitive_context.get(None)


def _calling_code() -> tuple[str, int, str]:
    """File, line and function of the innermost frame that is not skipped."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if str(frame.f_globals.get("__name__")).partition(".")[0] not in _SKIPPED:
            return frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname
        frame = frame.f_back
    return "", 0, ""
