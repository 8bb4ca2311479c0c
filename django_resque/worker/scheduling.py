"""What a worker process does for all: put on their queues what is due, and what the schedule says."""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Callable
from typing import Any

from ..promoter import Promoter
from ..recurring import Recurring
from ..store import Look, Request, Store


class Scheduling:
    """Delayed jobs, jobs that are to be tried again, and schedule entries, one request at a time through ``ask``."""

    def __init__(self, store: Store, ask: Callable[[Request[Any], Callable[[Any], None]], None]) -> None:
        host = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())
        self._promoter = Promoter(store, ask, identity=f"{host}:{os.getpid()}:{secrets.token_hex(4)}")
        self._recurring = Recurring(store, ask, config=store.config)

    def look(self, look: Look, time: float, now: float) -> None:
        """Take note of what is due when, at the server's ``time`` and our monotonic ``now``."""
        self._promoter.look(due=look.due, retry_due=look.retry_due, time=time, now=now)
        self._recurring.look(version=look.schedule, time=time, now=now)

    def expect_retry(self, at: float) -> None:
        """Take note that a job is to be tried again at this monotonic moment."""
        self._promoter.expect_retry(at)

    @property
    def next_at(self) -> float | None:
        """When there is something to do, monotonic."""
        moments = (self._promoter.next_at, self._recurring.next_at)
        return min((moment for moment in moments if moment is not None), default=None)

    def has_work(self, now: float) -> bool:
        """Whether `work` has something to do."""
        return self._promoter.has_work(now) or self._recurring.has_work(now)

    def work(self, now: float) -> None:
        """Make the next request."""
        if self._recurring.has_work(now):
            self._recurring.work(now)
        else:
            self._promoter.work(now)

    def release(self) -> Request[Any] | None:
        """What is to be asked when this process ends."""
        return self._promoter.release()
