"""How long everything is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from .keys import Keys
from .reading import reading
from .scripts import script

MOST = 1_000
"""Keys of one kind that are looked into."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Jobs in many keys: ``jobs`` in the first ones of ``there_are`` keys; ``whole``: these were all. None: what names
    the keys cannot be read."""

    jobs: int | None
    there_are: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Spreads:
    """Delayed jobs by second, reserved ones by worker process, parked ones by key of concurrency."""

    delayed: Spread
    reserved: Spread
    parked: Spread


@dataclass(frozen=True, slots=True)
class Counts:
    """How many there are of each; None where the key is something else. ``retries`` are jobs, ``recent`` those that
    ended last, ``schedule`` the entries that were added at run time, ``crashes`` jobs that are watched."""

    queues: int | None
    failed: int | None
    retries: int | None
    recent: int | None
    processes: int | None
    workers: int | None
    paused_queues: int | None
    schedule: int | None
    crashes: int | None
    spreads: Spreads


@reading()
def read_counts(client: Redis, keys: Keys) -> Counts:
    """Read them in one round trip. Raises a `StoreError`."""
    pipeline: Any = client.pipeline(transaction=False)
    pipeline.scard(keys.queues)
    pipeline.llen(keys.failed)
    pipeline.zcard(keys.retries)
    pipeline.llen(keys.recent)
    pipeline.zcard(keys.processes)
    pipeline.scard(keys.workers)
    pipeline.scard(keys.paused_queues)
    pipeline.hlen(keys.schedule)
    pipeline.hlen(keys.crashes)
    ask_spreads(pipeline, keys)
    *replies, spreads = pipeline.execute(raise_on_error=False)
    queues, failed, retries, recent, processes, workers, paused, schedule, crashes = (
        None if isinstance(reply, Exception) else int(reply) for reply in replies
    )
    found = told_spreads(spreads)
    return Counts(queues, failed, retries, recent, processes, workers, paused, schedule, crashes, found)


def ask_spreads(pipeline: Any, keys: Keys) -> None:
    """Put the question into ``pipeline`` whose answer `told_spreads` takes."""
    names = (keys.delayed_schedule, keys.processes, keys.parking)
    pipeline.eval(script("counts").source, len(names), *names, keys.prefix, MOST)


def told_spreads(answer: Any) -> Spreads:
    """What it says. Raises the error that it is, unless that is Redis' own about the script."""
    if isinstance(answer, ResponseError):
        return Spreads(*[Spread(None, 0, False)] * 3)
    if isinstance(answer, Exception):
        raise answer
    return Spreads(*(_spread(answer[at : at + 3]) for at in (0, 3, 6)))


def _spread(numbers: Sequence[int]) -> Spread:
    jobs, seen, there_are = numbers
    return Spread(None if there_are < 0 else jobs, max(0, there_are), seen >= there_are)
