"""The workers that are registered, ours and those of the family's other programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, cast

from redis import Redis

from ..errors import InvalidPayload
from ..failure import parse_time
from ..job import MAX_READABLE, Job
from .keys import Keys
from .reading import reading
from .request import Request
from .working import LONGEST, TAIL, read_working

STALE_AFTER = 300
"""Seconds without a heartbeat after which Ruby's workers prune one another."""
_LONGEST_TIME = 100


@dataclass(frozen=True, slots=True)
class Worker:
    """What the boards know of one worker.

    ``id`` is as registered; ``host``, ``pid`` and ``queues`` are read from it. ``job`` is the current job, since
    ``run_at``; None when the worker waits, or says something that is no job. Its id is empty where the payload has
    none, as Ruby's. Times are aware datetimes or None.
    """

    id: str
    host: str
    pid: str
    queues: Sequence[str]
    started: datetime | None
    heartbeat: datetime | None
    job: Job | None
    run_at: datetime | None


@dataclass(frozen=True, slots=True)
class StaleWorker:
    """A worker of another program whose last heartbeat is long ago.

    ``heartbeat`` and ``current`` (its job; None when it had none) are the exact bytes that say so.
    """

    id: str
    heartbeat: bytes
    current: bytes | None


class Workers:
    """The set of workers: reading it, and pruning those of other programs."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    @reading()
    def all(self, limit: int = 500) -> list[Worker]:
        """Up to ``limit`` workers by id, in two round trips."""
        found = cast("set[bytes]", self._client.smembers(self._keys.workers))
        return self.some([str(raw, "utf-8", "replace") for raw in islice(sorted(found), limit)])

    @reading()
    def some(self, ids: Sequence[str]) -> list[Worker]:
        """The workers with these ids, whether they are on the boards or not, in one round trip.

        Where a job is longer than `LONGEST` bytes it is given without its arguments.
        """
        if not ids:
            return []
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hmget(self._keys.heartbeats, list(ids))
        for worker_id in ids:
            pipeline.getrange(self._keys.worker(worker_id), 0, LONGEST - 1)
            pipeline.getrange(self._keys.worker(worker_id), -TAIL, -1)
            pipeline.getrange(self._keys.started(worker_id), 0, _LONGEST_TIME)
        beats, *rest = (
            None if isinstance(reply, Exception) else reply for reply in pipeline.execute(raise_on_error=False)
        )
        heartbeats = beats or [None] * len(ids)
        parts = zip(ids, rest[::3], rest[1::3], rest[2::3], heartbeats, strict=True)
        return [
            _worker(worker_id, read_working(current, tail or b""), started, heartbeat)
            for worker_id, current, tail, started, heartbeat in parts
        ]

    def stale_foreign(self, limit: int = 100) -> Request[list[StaleWorker]]:
        """Up to ``limit`` workers of other programs without a heartbeat for `STALE_AFTER` seconds of Redis' clock.

        Those that never had a heartbeat, or one that is no time, are left alone, as Ruby leaves them: they are other
        programs' workers. There are none while a Ruby worker prunes.
        """
        keys = self._keys
        return Request(
            "stale",
            [keys.workers, keys.heartbeats, keys.pruning],
            [keys.prefix, STALE_AFTER, limit, MAX_READABLE],
            _stale,
        )

    def prune(self, worker: StaleWorker, record: bytes | None) -> Request[bool]:
        """Take ``worker`` off the boards, and put the failure ``record`` of its job into the failed list.

        False, and nothing is done, when it has given a sign of life since, or another program is pruning it.

        The job is counted as processed and as failed. Ruby counts neither when it prunes; but every job that was pushed
        ends once in the counters here, and this is the end of that job.
        """
        keys = self._keys
        return Request(
            "prune",
            [
                keys.none,
                keys.workers,
                keys.heartbeats,
                keys.failed,
                keys.stat("processed"),
                keys.stat("failed"),
                keys.pruning,
            ],
            [
                keys.prefix,
                worker.id,
                worker.heartbeat,
                "" if worker.current is None else "working",
                worker.current or b"",
                record or b"",
            ],
            bool,
        )


def _stale(reply: list[bytes]) -> list[StaleWorker]:
    found = []
    for at in range(0, len(reply), 4):
        raw, heartbeat, working, current = reply[at : at + 4]
        try:
            found.append(StaleWorker(raw.decode(), heartbeat, current if working else None))
        except UnicodeDecodeError:  # no worker's name; nobody would know what is taken away
            continue
    return found


def _worker(worker_id: str, working: Mapping[str, Any], started: bytes | None, heartbeat: bytes | None) -> Worker:
    host, _, rest = worker_id.partition(":")
    pid, _, queues = rest.partition(":")
    payload = working.get("payload")
    queue = working.get("queue")
    return Worker(
        id=worker_id,
        host=host,
        pid=pid,
        queues=queues.split(",") if queues else [],
        started=read_time(started),
        heartbeat=read_time(heartbeat),
        job=_job(payload, queue if isinstance(queue, str) else ""),
        run_at=parse_time(working.get("run_at")),
    )


def read_time(raw: bytes | None) -> datetime | None:
    """A heartbeat or a start, as any program of the family writes it; None for what is no time."""
    text = str(raw or b"", "utf-8", "replace")
    return parse_time(int(text) if text.isascii() and text.isdigit() and len(text) < 20 else text)


def _job(payload: object, queue: str) -> Job | None:
    if not isinstance(payload, dict):
        return None
    try:
        job = Job.from_mapping(payload, queue)
    except InvalidPayload:
        return None
    return job if job.id == payload.get("id") else replace(job, id="")
