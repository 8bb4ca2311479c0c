"""A worker process's dialogue with Redis about the jobs it has taken.

A *turn* is one script call that tells what became of jobs and asks for more. Turns are numbered: the same number again
gets the same answer and does nothing, so a turn whose answer was lost is simply sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis import ConnectionPool

from ..conf import Config
from .keys import Keys
from .line import Line
from .scripts import script

CRASH_MEMORY = 72 * 3600
"""Seconds that a job's crashes are remembered after the last one."""
FAILURE_STATUS_TTL = 24 * 3600
"""Least number of seconds the status of a failed job is kept."""


@dataclass(frozen=True, slots=True)
class Reserved:
    """A job that this process holds. ``crashes`` is how often a performer has died of these bytes."""

    token: str
    queue: str
    payload: bytes
    crashes: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """What a turn tells about one job, or one worker.

    ``kind`` is ``running``, ``done``, ``failed``, ``crashed``, ``given back`` (about the reservation ``token``) or
    ``beat``. ``record`` is the failure record, the current job for the boards, or the heartbeat. ``requeued`` is the
    status that a crashed job gets when it is not its last crash.
    """

    kind: str
    worker: str
    token: str = ""
    status_id: str = ""
    status: bytes = b""
    requeued: bytes = b""
    record: bytes = b""


@dataclass(frozen=True, slots=True)
class Turn:
    """One numbered request: ``entries``, and up to ``wanted`` jobs from the first of ``queues`` that has any."""

    number: int
    entries: Sequence[Entry] = ()
    wanted: int = 0
    queues: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What Redis answered to a turn.

    ``state`` is ``ok``, ``paused`` (no jobs while all workers are paused) or ``gone`` (this process is not known any
    more). ``time`` is the server's, in unix seconds. ``refused`` are tokens of entries about reservations
    that were not this process's any more, ``trouble`` are errors on keys that others broke, ``dropped`` counts failure
    records cut off at the bound. ``wanted`` is how many jobs the turn had asked for.
    """

    state: str
    time: int
    refused: Sequence[str]
    jobs: Sequence[Reserved]
    trouble: Sequence[str]
    dropped: int
    wanted: int


class Reservations:
    """The turns of the worker process called ``name``, on a connection of its own."""

    def __init__(self, pool: ConnectionPool, keys: Keys, config: Config, name: str) -> None:
        self._line = Line(pool)
        self._keys = keys
        self._config = config
        self.name = name

    def register(self, workers: Sequence[str], *, started: str, heartbeat: str) -> bool:
        """Make this process known, with the ids of its ``workers``. False when another has its name.

        Raises a `StoreError`; it may then be done again.
        """
        keys = self._keys
        reply = self._line.run(
            script("register"),
            [
                keys.none,
                keys.process(self.name),
                keys.processes,
                keys.workers,
                keys.heartbeats,
                *map(keys.started, workers),
            ],
            [self.name, started, heartbeat, *workers],
        )
        return bool(reply)

    def turn(self, turn: Turn) -> Answer:
        """Take a turn. Raises a `StoreError`; the same turn may then be taken again."""
        keys, config = self._keys, self._config
        args: list[str | bytes | int] = [
            keys.prefix,
            turn.number,
            turn.wanted,
            config.max_crashes,
            CRASH_MEMORY,
            10 * config.failed_max,
            config.status_ttl,
            max(config.status_ttl, FAILURE_STATUS_TTL),
            len(turn.queues),
            *turn.queues,
        ]
        for entry in turn.entries:
            args += entry.kind, entry.token, entry.worker, entry.status_id
            args += entry.status, entry.requeued, entry.record
        reply = self._line.run(
            script("turn"),
            [
                keys.none,
                keys.process(self.name),
                keys.reservations(self.name),
                keys.failed,
                keys.queues,
                keys.heartbeats,
                keys.crashes,
                keys.stat("processed"),
                keys.stat("failed"),
                keys.pause_all,
                keys.bell,
            ],
            args,
        )
        return _answer(reply, turn.wanted)

    def unregister(self, workers: Sequence[str]) -> int:
        """Take this process off the boards; returns how many reservations it still holds (it stays known then)."""
        keys = self._keys
        worker_keys = [
            key
            for worker in workers
            for key in (
                keys.worker(worker),
                keys.started(worker),
                keys.stat(f"processed:{worker}"),
                keys.stat(f"failed:{worker}"),
            )
        ]
        reply = self._line.run(
            script("unregister"),
            [
                keys.process(self.name),
                keys.processes,
                keys.reservations(self.name),
                keys.workers,
                keys.heartbeats,
                *worker_keys,
            ],
            [self.name, *workers],
        )
        return int(reply)

    def close(self) -> None:
        """Close the connection; in a forked child, the child's copy of it alone."""
        self._line.close()


def _answer(reply: list[Any], wanted: int) -> Answer:
    state, now, refused, jobs, trouble, dropped = reply
    return Answer(
        state=state.decode(),
        time=int(now),
        refused=[token.decode() for token in refused],
        jobs=[
            Reserved(jobs[at].decode(), jobs[at + 1].decode(), jobs[at + 2], int(jobs[at + 3]))
            for at in range(0, len(jobs), 4)
        ],
        trouble=[str(text, "utf-8", "replace") for text in trouble],
        dropped=int(dropped),
        wanted=wanted,
    )
