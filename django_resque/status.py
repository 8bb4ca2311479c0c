"""The status of a job, as php-resque keeps it under ``job:<id>:status``."""

from __future__ import annotations

import enum
import json
import time
from functools import lru_cache

from .job import Job

_LONGEST = 200


class Status(enum.IntEnum):
    """The numbers that php-resque and resque-scheduler use. UNKNOWN, which is never written: nothing is known of the
    job, or not any more."""

    UNKNOWN = 0
    WAITING = 1
    RUNNING = 2
    FAILED = 3
    COMPLETE = 4
    SCHEDULED = 63

    def __str__(self) -> str:
        return self.word

    def __format__(self, spec: str) -> str:
        return format(self.word, spec)

    @property
    def word(self) -> str:
        """In words: ``waiting``, ``scheduled`` (also one that is to be tried again), ``running``, …"""
        return self.name.lower()


def status_record(status: Status, job: Job, more: bytes = b"") -> bytes:
    """The JSON kept for ``job``: its status, when that was set and when the job was enqueued (unix seconds), then what
    php-resque does not know: id, command and queue, and ``more`` members, which begin with a comma."""
    return b'{"status":%d,"updated":%d,"started":%d,"id":%b,%b%b}' % (
        status,
        time.time(),
        job.enqueued_at,
        _text(job.id),
        _what(job.command, job.queue),
        more,
    )


def performance(worker: str, attempt: int, duration: float, outcome: str = "") -> bytes:
    """Members for `status_record`: who performed it, which attempt it was, from when to now (unix time, seconds)."""
    members = b',"worker":%b,"attempt":%d,"begun":%.3f,"duration":%.6f' % (
        _known_text(worker),
        attempt,
        time.time() - duration,
        duration,
    )
    return members + b',"outcome":%b' % _text(outcome) if outcome else members


@lru_cache(maxsize=1_000)
def _what(command: str, queue: str) -> bytes:
    return b'"class":%b,"queue":%b' % (_text(command[:_LONGEST]), _text(queue[:_LONGEST]))


def _text(value: str) -> bytes:
    return b'"%b"' % value.encode() if value.isalnum() and value.isascii() else json.dumps(value).encode()


_known_text = lru_cache(maxsize=1_000)(_text)
