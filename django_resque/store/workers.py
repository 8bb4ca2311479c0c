"""The workers that are registered, ours and those of the family's other programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, cast

from redis import Redis

from ..errors import InvalidPayload
from ..failure import parse_time
from ..job import Job
from .keys import Keys
from .reading import reading


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


class Workers:
    """Reading the set of workers."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    @reading()
    def all(self, limit: int = 500) -> list[Worker]:
        """Up to ``limit`` workers by id, in two round trips."""
        found = cast("set[bytes]", self._client.smembers(self._keys.workers))
        ids = [str(raw, "utf-8", "replace") for raw in islice(sorted(found), limit)]
        if not ids:
            return []
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hmget(self._keys.heartbeats, ids)
        for worker_id in ids:
            pipeline.get(self._keys.worker(worker_id))
            pipeline.get(self._keys.started(worker_id))
        beats, *rest = (
            None if isinstance(reply, Exception) else reply for reply in pipeline.execute(raise_on_error=False)
        )
        heartbeats = beats or [None] * len(ids)
        return [
            _worker(worker_id, current, started, heartbeat)
            for worker_id, current, started, heartbeat in zip(ids, rest[::2], rest[1::2], heartbeats, strict=True)
        ]


def _worker(worker_id: str, current: bytes | None, started: bytes | None, heartbeat: bytes | None) -> Worker:
    host, _, rest = worker_id.partition(":")
    pid, _, queues = rest.partition(":")
    working = _read(current)
    payload = working.get("payload")
    queue = working.get("queue")
    return Worker(
        id=worker_id,
        host=host,
        pid=pid,
        queues=queues.split(",") if queues else [],
        started=_time(started),
        heartbeat=_time(heartbeat),
        job=_job(payload, queue if isinstance(queue, str) else ""),
        run_at=parse_time(working.get("run_at")),
    )


def _read(raw: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(raw or b"")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _time(raw: bytes | None) -> datetime | None:
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
