"""What waits for its time, delayed jobs and retries: finding it, and what can be done with it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from ..store import DelayedJob, Store, Taken, WaitingRetry
from . import items
from .items import Later
from .job_filter import JobFilter

MOST_AT_ONCE = 100_000
"""Jobs that are looked through for an action that is about all that match."""
MOST_BYTES = 100_000_000
"""About how much one action is about."""
_DELAYED_KEY = re.compile(r"(0|-?[1-9][0-9]{0,14})-([0-9a-f]{40})")
_RETRY_KEY = re.compile(r"[0-9a-f]{40}")


def named(store: Store, keys: Iterable[str]) -> list[Later]:
    """Those of these keys that are there."""
    delayed: list[tuple[int, str]] = []
    retries: list[str] = []
    for key in keys:
        if match := _DELAYED_KEY.fullmatch(key):
            delayed.append((int(match[1]), match[2]))
        elif _RETRY_KEY.fullmatch(key):
            retries.append(key)
    return [*store.delayed.named(delayed), *store.retries.named(retries)]


def matching(store: Store, fits: JobFilter, *, retries: bool) -> tuple[list[Later], bool]:
    """All that fit, and whether all were looked through."""
    seen: Iterator[Later] = store.retries.each() if retries else store.delayed.each()
    found: list[Later] = []
    size = 0
    for waiting in islice(seen, MOST_AT_ONCE):
        if fits.may_be_in(waiting.raw) and fits(items.later(waiting)):
            found.append(waiting)
            size += len(waiting.raw)
            if size > MOST_BYTES:
                break
    if retries:  # one may be come across twice; two delayed jobs that are the same to the byte are two
        found = list({waiting.raw: waiting for waiting in found}.values())
    return found, next(seen, None) is None


def run(store: Store, those: Sequence[Later]) -> Taken:
    """Put them on their queues."""
    delayed, retries = _sorted(those)
    return store.delayed.run_all(delayed) + store.retries.run_all(retries)


def cancel(store: Store, those: Sequence[Later]) -> Taken:
    """Take them away; none of them is performed."""
    delayed, retries = _sorted(those)
    done = store.delayed.cancel(delayed) + store.retries.cancel(retries)
    return Taken(done, gone=len(those) - done)


def move(store: Store, those: Sequence[Later], second: int) -> Taken:
    """Make delayed jobs due at another second."""
    delayed, _retries = _sorted(those)
    return store.delayed.move_all(delayed, second)


def _sorted(those: Sequence[Later]) -> tuple[list[DelayedJob], list[WaitingRetry]]:
    return (
        [item for item in those if isinstance(item, DelayedJob)],
        [item for item in those if isinstance(item, WaitingRetry)],
    )
