"""A single queue at a glance: how long it is, who serves it, whether it is paused; in two round trips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis import Redis

from .control import says_paused
from .keys import Keys
from .queue_table import WORKERS, QueueState, lengths_and_running
from .reading import reading


@dataclass(frozen=True, slots=True)
class QueueView:
    """A queue at one ``time`` of Redis' clock.

    ``exists``: it is in the set of queues. ``workers`` are the queues that each worker on the boards serves, as its id
    says, and ``worker_count`` is how many there are. ``trouble`` is what could not be read.
    """

    time: datetime
    state: QueueState
    exists: bool
    all_paused: bool
    workers: Sequence[str]
    worker_count: int
    trouble: Sequence[str]


@reading()
def read_queue_view(client: Redis, keys: Keys, name: str) -> QueueView:
    """Look at the queue of this name, whether it exists or not, and at up to `WORKERS` workers. Raises a
    `StoreError`."""
    pipeline: Any = client.pipeline(transaction=False)
    pipeline.time()
    pipeline.get(keys.pause_all)
    pipeline.sismember(keys.queues, name)
    pipeline.sismember(keys.paused_queues, name)
    pipeline.hget(keys.paused_by, name)
    pipeline.scard(keys.workers)
    pipeline.execute_command("SSCAN", keys.workers, 0, "COUNT", WORKERS)  # bounded, where SMEMBERS is not
    time, pause, *replies = pipeline.execute(raise_on_error=False)
    if isinstance(time, Exception):
        raise time
    read = (keys.queues, keys.paused_queues, keys.paused_by, keys.workers)
    trouble = [f"{key}: {reply}" for key, reply in zip(read, replies, strict=False) if isinstance(reply, Exception)]
    exists, paused, paused_by, worker_count, scanned = (
        None if isinstance(reply, Exception) else reply for reply in replies
    )
    workers = sorted({str(raw, "utf-8", "replace") for raw in (scanned[1] if scanned else ())})[:WORKERS]
    lengths, running = lengths_and_running(client, keys, [name], workers)
    length, oldest = lengths[name]
    by = str(paused_by or b"", "utf-8", "replace")
    if length is None:
        trouble.append(f"{keys.queue(name)} cannot be read as a list")
    return QueueView(
        time=datetime.fromtimestamp(time[0] + time[1] / 1e6, UTC),
        state=QueueState(name, length, oldest, running[name], bool(paused), by),
        exists=bool(exists) or bool(length),
        all_paused=says_paused(pause),
        workers=[worker.partition(":")[2].partition(":")[2] for worker in workers],
        worker_count=worker_count or 0,
        trouble=trouble,
    )
