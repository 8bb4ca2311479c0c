"""Taking jobs out of where they wait, before they are performed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from ..choices import unique_of
from ..errors import InvalidPayload
from ..job import Job
from .delayed import cancelled_status
from .keys import Keys
from .request import Request

MOST = 100
"""Jobs in one call of the script."""
MOST_LOOKED_AT = 500_000
"""Elements of a list that one call may compare: about 5 ms."""
MOST_BYTES = 5_000_000
"""About how much one call sends."""

T = TypeVar("T")


class Found(NamedTuple):
    """An element of a list of jobs, its exact bytes, and the job in it; None when it cannot be read."""

    raw: bytes
    job: Job | None


def read_payload(raw: bytes, queue: str) -> Found:
    """An element of a queue."""
    try:
        return Found(raw, Job.from_payload(raw, queue))
    except InvalidPayload:
        return Found(raw, None)


def removal(keys: Keys, key: str, found: Sequence[Found], kept: int) -> Request[list[bool]]:
    """Remove these elements from the list ``key``; the statuses of their jobs say so for ``kept`` seconds.

    Gives for each whether it was still there. May be done again. At most `MOST` at once, or as few as `at_once` says.
    """
    names = [keys.none, key, keys.crashes, keys.waited]
    args: list[str | bytes | int | float] = [kept]
    for raw, job in found:
        names += [keys.none, keys.none] if job is None else [keys.status(job.status_id), _unique(keys, job)]
        if job is None:
            args += raw, b"", b"", b""
        else:
            args += raw, job.id, cancelled_status(job), keys.ended(job.status_id)
    return Request("dequeue", names, args, lambda reply: [count == 1 for count in reply])


def _unique(keys: Keys, job: Job) -> str:
    unique = unique_of(job)
    return keys.none if unique is None else keys.unique(unique[0])


def at_once(depth: int) -> int:
    """How many elements one call may remove that stand up to ``depth`` elements from the tail of their list."""
    return max(1, min(MOST, MOST_LOOKED_AT // max(1, depth)))


def batches(items: Sequence[T], most: int, size: Any) -> Iterator[Sequence[T]]:
    """``items`` in pieces of up to ``most`` and, by ``size`` of each, about `MOST_BYTES`."""
    start = bytes_so_far = 0
    for at, item in enumerate(items):
        bytes_so_far += size(item)
        if at > start and (at - start >= most or bytes_so_far > MOST_BYTES):
            yield items[start:at]
            start, bytes_so_far = at, size(item)
    if start < len(items):
        yield items[start:]


def one_after_the_other(
    payloads: Sequence[bytes], passed_over: int, ask: Callable[[Sequence[bytes]], Sequence[bool]]
) -> int:
    """Ask for what is to be taken from a list, in pieces; gives how many of them were there. They come in the order in
    which a search finds them, which passes over up to ``passed_over`` others."""
    return sum(list(ask(piece)).count(True) for piece in batches(payloads, at_once(passed_over), len))
