"""What a board shows first: a little of everything, in a fixed number of round trips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis import Redis

from ..failure import Failure
from .keys import Keys
from .queues import Queues
from .reading import reading
from .stats import Counters
from .workers import Worker, Workers

QUEUES = 1_000
WORKERS = 500
FAILURES = 20


@dataclass(frozen=True, slots=True)
class Overview:
    """Queues, workers, counters and the last failures at one ``time`` of Redis' clock.

    ``queues`` maps names to the number of waiting jobs, None where the key is no list. ``queue_count``,
    ``worker_count`` and ``failure_count`` say how many there are; what is listed is bounded and may be a part of them.
    ``trouble`` is what Redis answered about keys that it could not read; what stands in them is missing here.
    """

    time: datetime
    counters: Counters
    paused: bool
    queues: Mapping[str, int | None]
    queue_count: int
    workers: Sequence[Worker]
    worker_count: int
    failures: Sequence[Failure]
    failure_count: int
    trouble: Sequence[str]


@reading()
def read_overview(client: Redis, keys: Keys, queues: Queues, workers: Workers) -> Overview:
    """Read it in four round trips, whatever there is. Raises a `StoreError`."""
    commands: list[tuple[str | int, ...]] = [
        ("TIME",),
        ("MGET", keys.stat("processed"), keys.stat("failed")),
        ("GET", keys.pause_all),
        ("SCARD", keys.queues),
        ("SSCAN", keys.queues, 0, "COUNT", QUEUES),  # bounded, where SMEMBERS is not
        ("SCARD", keys.workers),
        ("LLEN", keys.failed),
        ("LRANGE", keys.failed, -FAILURES, -1),
    ]
    pipeline: Any = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    replies = pipeline.execute(raise_on_error=False)
    trouble = [
        f"{' '.join(map(str, command[:2]))}: {reply}"
        for command, reply in zip(commands, replies, strict=True)
        if isinstance(reply, Exception)
    ]
    time, counters, pause, queue_count, scanned, worker_count, failure_count, records = (
        None if isinstance(reply, Exception) else reply for reply in replies
    )

    _cursor, found = scanned or (0, [])
    names = sorted({str(name, "utf-8", "replace") for name in found})[:QUEUES]
    sizes = queues.sizes(names) if names else {}
    trouble += [f"{keys.queue(name)} cannot be read as a list" for name, size in sizes.items() if size is None]
    return Overview(
        time=datetime.fromtimestamp(time[0] + time[1] / 1e6, UTC) if time else datetime.now(UTC),
        counters=Counters.from_replies(counters or (None, None)),
        paused=pause is not None and pause.strip().lower() == b"true",
        queues=sizes,
        queue_count=queue_count or 0,
        workers=workers.all(WORKERS) if worker_count else [],
        worker_count=worker_count or 0,
        failures=[Failure.from_record(raw) for raw in reversed(records or ())],
        failure_count=failure_count or 0,
        trouble=trouble,
    )
