"""The failed list at a glance: what failed how and when, without tracebacks; in two round trips."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from redis import Redis

from ..failure import is_extreme, parse_time, text_in
from .keys import Keys
from .reading import reading
from .scripts import script

MOST = 10_000
"""Records that are looked at at most."""
MOST_BYTES = 16_000_000
"""Bytes that are looked at at most."""
_AT_ONCE = 100
_FIRST_BYTES = 2_000_000
_LONGEST_TIME = 100


class FailureHead(NamedTuple):
    """What a record says in short, as `Failure` reads it. ``command`` is empty where there is no job, ``position``
    counts from the list's head."""

    position: int
    command: str
    exception: str
    queue: str
    failed_at: datetime | None


@dataclass(frozen=True, slots=True)
class FailureTable:
    """The newest records, the newest first, at one ``time`` of Redis' clock; ``count`` is how many there are in all.

    ``unread`` of the newest were too large to be looked at.
    """

    time: datetime
    heads: Sequence[FailureHead]
    count: int
    unread: int

    @property
    def seen(self) -> int:
        """How many of the newest records these are, with those that are too large."""
        return len(self.heads) + self.unread


@reading()
def read_failure_table(client: Redis, keys: Keys) -> FailureTable:
    """Look at up to `MOST` records; fewer when they are large: the first hundred tell how large. Raises a `StoreError`.

    While records are removed some may be missed or be there twice.
    """
    pipeline: Any = client.pipeline(transaction=False)
    pipeline.time()
    pipeline.llen(keys.failed)
    pipeline.eval(script("failure_heads").source, 1, keys.failed, -1, _AT_ONCE, _FIRST_BYTES)
    time, count, records = pipeline.execute()
    size = sum(len(record) for record in records if record)
    wanted = min(MOST, count, MOST_BYTES * len(records) // size if size else MOST)
    records += _more(client, keys, count, wanted)
    heads = [FailureHead(count - 1 - at, *_read(record)) for at, record in enumerate(records) if record is not None]
    moment = datetime.fromtimestamp(time[0] + time[1] / 1e6, UTC)
    return FailureTable(moment, heads, max(count, len(records)), len(records) - len(heads))


def _more(client: Redis, keys: Keys, count: int, wanted: int) -> list[bytes | None]:
    """The records behind the first hundred, up to ``wanted`` with those."""
    places = range(_AT_ONCE, wanted, _AT_ONCE)
    if not places:
        return []
    pipeline: Any = client.pipeline(transaction=False)
    heads = script("failure_heads")
    for at in places:
        args = (1, keys.failed, count - 1 - at, min(_AT_ONCE, wanted - at), MOST_BYTES // len(places))
        # the first call teaches the server the script that the others name
        pipeline.eval(heads.source, *args) if at == _AT_ONCE else pipeline.evalsha(heads.sha, *args)
    return [record for records in pipeline.execute() for record in records]


def _read(record: bytes) -> tuple[str, str, str, datetime | None]:
    try:
        found = json.loads(record)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return "", "", "", None
    payload, failed_at = found.get("payload"), found.get("failed_at")
    is_short = isinstance(failed_at, str) and len(failed_at) < _LONGEST_TIME
    return (
        _command(record, payload) if isinstance(payload, dict) else "",
        text_in(found.get("exception")),
        text_in(found.get("queue")),
        _time(failed_at) if is_short else parse_time(failed_at),
    )


def _command(record: bytes, payload: dict[str, Any]) -> str:
    """The command, where `Failure` finds a job."""
    command, args = payload.get("class"), payload.get("args")
    is_job = isinstance(command, str) and (args is None or isinstance(args, (list, dict)))
    return str(command) if is_job and not is_extreme(record, payload) else ""


_time = lru_cache(maxsize=10_000)(parse_time)
"""Many records are of the same second."""
