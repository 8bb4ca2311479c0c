"""What has become of the schedule so far: the last job of each entry, and the slots that it has missed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

from .keys import Keys
from .reading import reading
from .statuses import Seen, Statuses

_JOB = re.compile(rb"([0-9]{1,11}) ([!-~]{1,100})")
_MISSED = re.compile(rb"([0-9]{1,11}) ([0-9]{1,11}) ([0-9]{1,11}) ([0-9]{1,11})")


@dataclass(frozen=True, slots=True)
class LastJob:
    """The job that was enqueued for the last ``slot`` that has one (unix seconds). ``seen`` is what is known of it;
    None when nothing is, or not any more."""

    slot: int
    id: str
    seen: Seen | None


@dataclass(frozen=True, slots=True)
class Missed:
    """The slots from ``first`` to ``last`` had passed when somebody came to enqueue their jobs, at ``noted`` (unix
    seconds); ``made_up`` jobs were enqueued for them all the same."""

    first: int
    last: int
    made_up: int
    noted: int


@dataclass(frozen=True, slots=True)
class Past:
    """Both by the names of the entries, where there is something to say. ``trouble`` is what could not be read."""

    jobs: Mapping[str, LastJob]
    missed: Mapping[str, Missed]
    trouble: Sequence[str]


def read_past(client: Redis, keys: Keys, statuses: Statuses, names: Sequence[str]) -> Past:
    """What has become of these entries; two round trips. Raises a `StoreError`."""
    (jobs, missed), trouble = _noted(client, (keys.schedule_jobs, keys.schedule_missed), names)
    last = {name: (int(match[1]), match[2].decode()) for name, raw in jobs.items() if (match := _JOB.fullmatch(raw))}
    seen = statuses.seen_many([job_id for _slot, job_id in last.values()])
    return Past(
        jobs={
            name: LastJob(slot, job_id, found) for (name, (slot, job_id)), found in zip(last.items(), seen, strict=True)
        },
        missed={
            name: Missed(*map(int, match.groups())) for name, raw in missed.items() if (match := _MISSED.fullmatch(raw))
        },
        trouble=trouble,
    )


@reading()
def _noted(
    client: Redis, keys: Sequence[str], names: Sequence[str]
) -> tuple[Sequence[Mapping[str, bytes]], Sequence[str]]:
    """What stands under ``names`` in each of these hashes, and what kept us from reading one."""
    if not names:
        return [{} for _key in keys], []
    pipeline: Any = client.pipeline(transaction=False)
    for key in keys:
        pipeline.hmget(key, names)
    found: list[Mapping[str, bytes]] = []
    trouble = []
    for key, reply in zip(keys, pipeline.execute(raise_on_error=False), strict=True):
        if isinstance(reply, Exception):
            trouble.append(f"{key}: {reply}")
            reply = []
        found.append({name: raw for name, raw in zip(names, reply, strict=False) if raw is not None})
    return found, trouble
