"""How many jobs there are in each state, in one round trip."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from .keys import Keys
from .request import Request

NAMES = 1_000
"""Queues, workers and keys of concurrency that are looked at at most, each."""
MOST = 1_000
"""Delayed seconds, and jobs that ended last, that are looked at at most, each."""
_COMPLETE = re.compile(rb'\{"status": ?4,')


class Count(NamedTuple):
    """How many there are; with ``more`` at least so many."""

    number: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class JobCounts:
    """How many jobs there were at one ``time`` of Redis' clock.

    ``queues`` maps names to lengths, None where the key is no list, and ``parked`` keys of concurrency to the number of
    jobs that wait for a permit. ``busy`` are the ids of the workers that say they perform something. ``done`` are those
    that are complete among the last that ended. ``trouble`` is what could not be read.
    """

    time: datetime
    queues: Mapping[str, int | None]
    more_queues: bool
    parked: Mapping[str, int]
    more_parked: bool
    scheduled: Count
    busy: Sequence[str]
    more_workers: bool
    retrying: int
    done: Count
    failed: int
    trouble: Sequence[str]

    @property
    def queued(self) -> Count:
        return Count(sum(length or 0 for length in self.queues.values()), self.more_queues)

    @property
    def waiting_for_a_permit(self) -> Count:
        return Count(sum(self.parked.values()), self.more_parked)

    @property
    def running(self) -> Count:
        return Count(len(self.busy), self.more_workers)

    @classmethod
    def read(cls, reply: list[Any]) -> Self:
        """What the script answers."""
        time, queues, queue_count, parked, parked_count, delayed, seconds_left, busy, workers_left, *rest = reply
        retrying, complete, ended_left, failed, trouble = rest
        lengths, waiting = _lengths(queues), _lengths(parked)
        return cls(
            time=datetime.fromtimestamp(int(time[0]) + int(time[1]) / 1e6, UTC),
            queues=lengths,
            more_queues=queue_count > len(lengths),
            parked={key: length for key, length in waiting.items() if length},
            more_parked=parked_count > len(waiting),
            scheduled=Count(delayed, seconds_left > 0),
            busy=sorted(map(_text, busy)),
            more_workers=workers_left > 0,
            retrying=retrying,
            done=Count(complete, ended_left > 0),
            failed=failed,
            trouble=list(dict.fromkeys(map(_text, trouble))),
        )


def job_counts(keys: Keys) -> Request[JobCounts]:
    """Count them, as far as that is bounded."""
    names = [keys.queues, keys.delayed_schedule, keys.workers, keys.retries, keys.recent, keys.failed, keys.parking]
    return Request("job_counts", names, [keys.prefix, NAMES, MOST], JobCounts.read)


def is_complete(status: bytes) -> bool:
    """Whether this is the status of a job that is complete; without taking it apart."""
    return _COMPLETE.match(status) is not None


def _lengths(reply: Sequence[Any]) -> dict[str, int | None]:
    """By name, sorted."""
    pairs = zip(map(_text, reply[::2]), reply[1::2], strict=True)
    return {name: None if length < 0 else length for name, length in sorted(pairs)}


def _text(raw: bytes) -> str:
    return str(raw, "utf-8", "replace")
