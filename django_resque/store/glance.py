"""What there is to know about one job before anybody looks for it, and where it might be; in one round trip."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis import Redis

from .keys import Keys
from .queue_table import QUEUES, WORKERS
from .reading import reading
from .statuses import Seen

PARKING = 100
"""Keys of concurrency that are read at most."""
SECONDS = 1_000
"""Seconds with delayed jobs that are read at most, the next ones."""


@dataclass(frozen=True, slots=True)
class Glance:
    """What the status says (``seen``, and ``status`` to the byte; None: there is none), and what the job has written
    last, at one ``time`` of Redis' clock.

    ``queues``, ``workers``, ``parking`` (keys of concurrency) and ``seconds`` (that have delayed jobs) are all there
    are, as long as these are ``whole``. ``trouble`` is what could not be read.
    """

    time: datetime
    seen: Seen | None
    status: bytes | None
    output: bytes
    queues: Sequence[str]
    workers: Sequence[str]
    parking: Sequence[str]
    seconds: Sequence[int]
    whole: bool
    trouble: Sequence[str]


@reading()
def read_glance(client: Redis, keys: Keys, status_id: str) -> Glance:
    """Raises a `StoreError` when Redis does not answer."""
    pipeline: Any = client.pipeline(transaction=False)
    pipeline.time()
    pipeline.get(keys.status(status_id))
    pipeline.get(keys.output(status_id))
    sets = [(keys.queues, QUEUES), (keys.workers, WORKERS), (keys.parking, PARKING)]
    for key, most in sets:
        pipeline.execute_command("SSCAN", key, 0, "COUNT", most)  # bounded, where SMEMBERS is not
    pipeline.zrange(keys.delayed_schedule, 0, SECONDS)
    time, *replies = pipeline.execute(raise_on_error=False)
    if isinstance(time, Exception):
        raise time
    names = [keys.status(status_id), keys.output(status_id), *(key for key, _most in sets), keys.delayed_schedule]
    trouble = [f"{name}: {reply}" for name, reply in zip(names, replies, strict=True) if isinstance(reply, Exception)]
    status, output, *scans, seconds = (None if isinstance(reply, Exception) else reply for reply in replies)
    found = [sorted({str(name, "utf-8", "replace") for name in scan[1]}) if scan else [] for scan in scans]
    whole = len(seconds or ()) <= SECONDS and all(
        int(scan[0]) == 0 and len(some) <= most
        for scan, some, (_key, most) in zip(scans, found, sets, strict=True)
        if scan
    )
    queues, workers, parking = (some[:most] for some, (_key, most) in zip(found, sets, strict=True))
    return Glance(
        time=datetime.fromtimestamp(time[0] + time[1] / 1e6, UTC),
        seen=None if status is None else Seen.from_json(status, status_id),
        status=status,
        output=output or b"",
        queues=queues,
        workers=workers,
        parking=parking,
        seconds=[int(member) for member in seconds or () if re.fullmatch(rb"0|-?[1-9][0-9]{0,14}", member)][:SECONDS],
        whole=whole,
        trouble=trouble,
    )
