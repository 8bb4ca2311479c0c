"""All workers at a glance: our worker processes, and who else is on the boards; in two round trips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis import Redis

from .control import says_paused
from .keys import Keys
from .processes import Processes, WorkerProcessInfo
from .reading import reading

PROCESSES = 500
"""Worker processes that are read at most."""
WORKERS = 500
"""Workers on the boards that are read at most."""


@dataclass(frozen=True, slots=True)
class WorkerTable:
    """Who was there at one ``time`` of Redis' clock.

    ``processes`` are ours, schedulers last, by host. ``others`` are the ids of the workers on the boards that belong to
    none of these. ``all_paused``: no worker takes jobs, whoever it is. ``process_count`` and ``worker_count`` are how
    many there are, all workers counted in the latter; ``trouble`` is what could not be read.
    """

    time: datetime
    processes: Sequence[WorkerProcessInfo]
    others: Sequence[str]
    all_paused: bool
    process_count: int
    worker_count: int
    trouble: Sequence[str]


@reading()
def read_worker_table(client: Redis, keys: Keys, processes: Processes) -> WorkerTable:
    """Read up to `PROCESSES` processes, and `WORKERS` workers on the boards. Raises a `StoreError`."""
    pipeline: Any = client.pipeline(transaction=False)
    pipeline.time()
    pipeline.get(keys.pause_all)
    pipeline.zcard(keys.processes)
    pipeline.zrange(keys.processes, 0, PROCESSES - 1, desc=True, withscores=True)  # those that are alive come first
    pipeline.scard(keys.workers)
    pipeline.execute_command("SSCAN", keys.workers, 0, "COUNT", WORKERS)  # bounded, where SMEMBERS is not
    time, pause, *replies = pipeline.execute(raise_on_error=False)
    if isinstance(time, Exception):
        raise time
    named = ((keys.processes, replies[0]), (keys.workers, replies[2]))
    trouble = [f"{key}: {reply}" for key, reply in named if isinstance(reply, Exception)]
    process_count, members, worker_count, scanned = (
        None if isinstance(reply, Exception) else reply for reply in replies
    )
    now = time[0] + time[1] / 1e6
    found = processes.described(members or [], now)
    known = {worker for process in found for worker in process.workers}
    boards = sorted({str(raw, "utf-8", "replace") for raw in (scanned[1] if scanned else ())})
    return WorkerTable(
        time=datetime.fromtimestamp(now, UTC),
        processes=sorted(found, key=lambda each: (each.kind == "scheduler", each.host, each.pid, each.name)),
        others=[worker for worker in boards[:WORKERS] if worker not in known],
        all_paused=says_paused(pause),
        process_count=process_count or 0,
        worker_count=worker_count or 0,
        trouble=trouble,
    )
