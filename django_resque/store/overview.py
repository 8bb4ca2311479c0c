"""What the first page shows beside the queues and what is delayed: a little of everything, in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis import Redis

from ..failure import Failure
from .counts import Spread, ask_spreads, told_spreads
from .keys import Keys
from .reading import reading
from .server import ANSWERS, Server, ServerInfo
from .workers import read_time

FAILURES = 5


@dataclass(frozen=True, slots=True)
class Overview:
    """The last failures, the newest first, of ``failure_count``; how many jobs are ``delayed`` and how many ``retries``
    there are; the ``server``, but for its clock.

    ``ended_leases`` is how many worker processes are registered whose lease has ended, ``heartbeats`` are the last ones
    of the workers that were asked for and have one. ``trouble`` is what could not be read.
    """

    failures: Sequence[Failure]
    failure_count: int
    delayed: Spread
    retries: int
    ended_leases: int
    heartbeats: Sequence[datetime]
    server: ServerInfo
    trouble: Sequence[str]


@reading()
def read_overview(client: Redis, keys: Keys, server: Server, now: float, workers: Sequence[str]) -> Overview:
    """Read it. Raises a `StoreError`."""
    commands: list[tuple[str | int | float, ...]] = [
        ("LRANGE", keys.failed, -FAILURES, -1),
        ("LLEN", keys.failed),
        ("ZCARD", keys.retries),
        ("ZCOUNT", keys.processes, "-inf", now),
        ("HMGET", keys.heartbeats, *(workers or [""])),
    ]
    pipeline: Any = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    ask_spreads(pipeline, keys)
    server.ask(pipeline)
    replies = pipeline.execute(raise_on_error=False)
    asked = replies[: len(commands)]
    records, failure_count, retries, ended_leases, beats = (
        None if isinstance(reply, Exception) else reply for reply in asked
    )
    trouble = {
        f"{command[1]}: {reply}": None
        for command, reply in zip(commands, asked, strict=True)
        if isinstance(reply, Exception)
    }
    heartbeats = map(read_time, beats or ())
    return Overview(
        failures=[Failure.from_record(raw) for raw in reversed(records or ())],
        failure_count=failure_count or 0,
        delayed=told_spreads(replies[len(commands)]).delayed,
        retries=retries or 0,
        ended_leases=ended_leases or 0,
        heartbeats=[beat for beat in heartbeats if beat is not None],
        server=server.told(replies[-ANSWERS:]),
        trouble=list(trouble),
    )
