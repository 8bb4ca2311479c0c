"""Pushing jobs, each exactly once.

redis-py would resend a push whose reply was lost and so double the job. Here a resend is safe: every push carries the
name of its producer and a number, and the script ignores a number it has seen. A producer belongs to one connection
and is held by one caller from the first send to the reply; a counter shared by overlapping callers would make the
script take one caller's push for a repetition of another's.
"""

from __future__ import annotations

import math
import os
import secrets
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from redis import ConnectionPool

from ..errors import EnqueueError, QueueFull, StoreError, StoreUnavailable
from ..job import Job
from ..status import Status, status_record
from .keys import Keys
from .line import Line, OutOfMemory
from .scripts import script
from .sentinel import is_not_the_primary

CHUNK = 100
"""Jobs in one call of the script, so that it never keeps Redis busy for long."""
CONNECT_TIMEOUT = 0.5
"""Seconds for a connection to be made."""
TIMEOUT = 0.8
"""Seconds that one attempt waits for its answer."""
RESEND_WITHIN = 1.1
"""Seconds from the first attempt in which another may begin, so that all is over after 2.5 seconds."""
RESEND_PAUSE = 0.02
"""Seconds between attempts to reach a server that a push has gone out to and that is not there now."""
MEMORY = 3600
"""Seconds the number of a producer's last push is remembered: longer than any resend takes."""
WAITING_TTL = 7 * 24 * 3600
"""Seconds the status of a job that nobody performs is kept."""
PAUSE = 1.0
"""Seconds in which nothing more is tried after Redis was unreachable, so that requests do not queue up behind it."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A job that has been checked and is ready to be sent: ``payload`` are its bytes, ``track`` asks for a status.

    ``due``: not now, but at this unix second. ``delay``: in so many seconds from now, by Redis' clock. ``unique`` is a
    key and the seconds for which no other job is pushed under it while this one waits.
    """

    job: Job
    payload: bytes
    track: bool
    due: int | None = None
    delay: float | None = None
    unique: tuple[str, float] | None = None

    @property
    def delayed(self) -> bool:
        return self.due is not None or self.delay is not None


class Producers:
    """The producers of this process; as many as threads push at the same time."""

    def __init__(self, pool: ConnectionPool, keys: Keys) -> None:
        self._pool = pool
        self._keys = keys
        self._idle: deque[Producer] = deque()
        self._pid = os.getpid()
        self._down_until = 0.0
        self._down_because = ""

    def push(self, items: Sequence[Outgoing]) -> dict[int, str]:
        """Put jobs on their queues, or among the delayed ones, `CHUNK` of them in a round trip.

        Gives the ids of the jobs that wait already in the place of some of these, by the place of these. Raises
        `QueueFull` when Redis is out of memory and `EnqueueError` for any other failure, with the jobs that were not,
        or not certainly, pushed.
        """
        others: dict[int, str] = {}
        with self._held() as producer:
            for first in range(0, len(items), CHUNK):
                try:
                    found = self._push_chunk(producer, items[first : first + CHUNK])
                except StoreError as error:
                    raise _enqueue_error(error, items[first:]) from error
                for place, job_id in found.items():
                    others[first + place] = job_id
        return others

    def _push_chunk(self, producer: Producer, items: Sequence[Outgoing]) -> dict[int, str]:
        if self._down_because:
            if time.monotonic() < self._down_until:
                raise StoreUnavailable(f"{self._down_because} (not tried again within a second)", sent=False)
            self._down_until = time.monotonic() + PAUSE  # this caller finds out, the others wait for what it finds
        try:
            others = producer.push(items)
        except StoreUnavailable as error:
            self._down_until, self._down_because = time.monotonic() + PAUSE, str(error)
            raise
        self._down_because = ""
        return others

    @contextmanager
    def _held(self) -> Iterator[Producer]:
        if self._pid != os.getpid():  # a forked child must not speak on its parent's connections
            self._idle, self._pid = deque(), os.getpid()
        try:
            producer = self._idle.pop()
        except IndexError:
            producer = Producer(
                Line(self._pool, socket_timeout=TIMEOUT, socket_connect_timeout=CONNECT_TIMEOUT), self._keys
            )
        try:
            yield producer
        finally:
            self._idle.append(producer)

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()


class Producer:
    """One connection with a name and a counter of its own."""

    def __init__(self, line: Line, keys: Keys) -> None:
        self._line = line
        self._keys = keys
        self._name = secrets.token_hex(8)
        self._number = 0

    def push(self, items: Sequence[Outgoing]) -> dict[int, str]:
        """Push up to `CHUNK` jobs; gives the others that wait already, by the place. Raises a `StoreError`."""
        self._number += 1
        keys = [
            self._keys.producer(self._name),
            self._keys.queues,
            self._keys.bell,
            self._keys.delayed_schedule,
        ]
        args: list[str | bytes | int] = [self._number, MEMORY, WAITING_TTL, self._keys.prefix]
        for item in items:
            job = item.job
            keys += self._keys.queue(job.queue), self._keys.status(job.status_id)
            status = b""
            if item.track:
                status = _scheduled(item) if item.delayed else status_record(Status.WAITING, job)
            args += job.queue, item.payload, status
            args.append(_how(item) if item.delayed or item.unique is not None else "")
        reply = self._send(keys, args)
        return {reply[at]: str(reply[at + 1], "ascii", "replace") for at in range(0, len(reply), 2)}

    def _send(self, keys: Sequence[str], args: Sequence[str | bytes | int]) -> list[Any]:
        """Send, and resend while there is time once it is in doubt, for the script carries out one of them; or when the
        server is not the primary any more, for the next connection may lead to the one that is."""
        deadline = time.monotonic() + RESEND_WITHIN
        sent = False
        while True:
            try:
                reply: list[Any] = self._line.run(script("push"), keys, args)
                return reply
            except StoreUnavailable as error:
                sent = sent or error.sent
                resend = sent or is_not_the_primary(error.__cause__)
                if not resend or time.monotonic() > deadline:
                    raise StoreUnavailable(str(error), sent=sent) from error
                if not error.sent:
                    time.sleep(RESEND_PAUSE)

    def close(self) -> None:
        self._line.close()


def _scheduled(item: Outgoing) -> bytes:
    due = float(item.due) if item.due is not None else time.time() + (item.delay or 0)
    return status_record(Status.SCHEDULED, item.job, b',"due":%.3f' % due)


def _how(item: Outgoing) -> str:
    due = "" if item.due is None else str(item.due)
    if item.delay is not None:
        due = f"+{item.delay:.6f}"
    key, seconds = item.unique or ("", 0)
    return f"{due}\n{item.job.id}\n{key}\n{math.ceil(seconds)}"


def _enqueue_error(error: StoreError, items: Sequence[Outgoing]) -> EnqueueError:
    jobs = tuple(item.job for item in items)
    what = str(jobs[0]) if len(jobs) == 1 else f"{jobs[0]} and {len(jobs) - 1:,} more"
    if isinstance(error, OutOfMemory):
        return QueueFull(f"Not enqueued: {what}. Redis has reached its maxmemory and takes no more", jobs)
    if isinstance(error, StoreUnavailable) and error.sent:
        return EnqueueError(f"Perhaps not enqueued: {what}. Redis did not answer: {error}", jobs, uncertain=True)
    return EnqueueError(f"Not enqueued: {what}. {error}", jobs)
