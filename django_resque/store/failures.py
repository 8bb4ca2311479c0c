"""The failed list."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from redis import Redis

from ..choices import unique_of
from ..errors import InvalidPayload, StoreError
from ..failure import Failure
from ..job import Job, json_members
from ..job import digest as sha1
from ..status import Status, status_record
from .ends import End, read_tail
from .failure_filter import FailureFilter
from .keys import Keys
from .producers import WAITING_TTL
from .reading import reading
from .removal import MOST, at_once, batches
from .request import Request
from .scripts import script
from .windows import windows

MOST_BYTES = 1_000_000
"""About how much of the failed list is moved at once."""
SOUGHT_FIRST = 1_000
"""The newest records, among which the one that is looked for usually is."""
SOUGHT_AT_ONCE = 50
"""Records that one call looks at."""

Progress = Callable[[int, int], object]
"""Is told how many are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Retried:
    """What became of failures that were to be retried.

    ``seen`` were meant and ``retried`` of them are back in their queues. ``refused`` cannot be retried, for want of a
    job that could be read, or were retried by a program that leaves the record where it is. The others were gone.
    """

    seen: int
    retried: int
    refused: int


class Failures:
    """The failed list, whose newest record is its last element.

    Its newest ``kept_full`` records are full ones, older ones are replaced by shorter ones; beyond ten times as many,
    the turns of the workers drop them. A failure is identified by its exact bytes, never by its place.
    """

    def __init__(self, client: Redis, keys: Keys, kept_full: int, ask: Callable[[Request[Any]], Any]) -> None:
        self._client = client
        self._keys = keys
        self._kept_full = kept_full
        self._ask = ask

    # -- reading -------------------------------------------------------------------------------------------------------

    @reading()
    def count(self) -> int:
        """How many records there are."""
        return self._client.llen(self._keys.failed)

    def latest(self, count: int = 20) -> list[Failure]:
        """Up to ``count`` records, the newest first."""
        return self.page(0, count)

    @reading()
    def page(self, start: int, count: int) -> list[Failure]:
        """Up to ``count`` records behind the ``start`` newest ones, the newest first."""
        records = cast("list[bytes]", self._client.lrange(self._keys.failed, -start - count, -start - 1))
        return [Failure.from_record(raw) for raw in reversed(records)]

    def iterate(self, which: FailureFilter | None = None) -> Iterator[Failure]:
        """The records that are meant, the newest first, read about a thousand at a time.

        Those that are added meanwhile are left out; when others are removed, some may come twice. It always ends.
        """
        for group in self._windows(which):
            yield from group.meant

    @reading()
    def at(self, positions: Sequence[int]) -> list[Failure]:
        """The records at these positions, counted from the head, as far as there are any."""
        pipeline: Any = self._client.pipeline(transaction=False)
        for position in positions:
            pipeline.lindex(self._keys.failed, position)
        return [Failure.from_record(raw) for raw in (pipeline.execute() if positions else []) if raw is not None]

    @reading()
    def tail(self) -> End:
        """The newest records as they are, the newest first; see `read_tail`."""
        return read_tail(self._client, self._keys.failed)

    @reading()
    def find(self, digest: str) -> Failure | None:
        """The record whose bytes have this SHA-1; None when it is not there (any more). In up to three round trips."""
        count = self._client.llen(self._keys.failed)
        for newest, oldest in ((count - 1, count - SOUGHT_FIRST), (count - SOUGHT_FIRST - 1, 0)):
            found = self._find(digest, newest, max(0, oldest))
            if found is not None:
                return Failure.from_record(found)
        return None

    def _find(self, digest: str, newest: int, oldest: int) -> bytes | None:
        """Only what is found is sent: the server makes the sums itself, of a few records in each call."""
        places = range(newest, oldest - 1, -SOUGHT_AT_ONCE)
        if not places:
            return None
        pipeline: Any = self._client.pipeline(transaction=False)
        seek = script("find_failure")
        for at in places:
            args = (1, self._keys.failed, digest, max(oldest, at - SOUGHT_AT_ONCE + 1), at)
            # the first call teaches the server the script that the others name
            pipeline.eval(seek.source, *args) if at == newest else pipeline.evalsha(seek.sha, *args)
        return next((found for found in pipeline.execute() if found is not None), None)

    def find_all(self, digests: Collection[str]) -> list[Failure]:
        """The records whose bytes have these SHA-1s, the newest first, as far as they are there."""
        found: dict[str, Failure] = {}
        for window in windows(self._client, self._keys.failed) if digests else ():
            for raw in window.elements:
                digest = sha1(raw)
                if digest in digests and digest not in found:
                    found[digest] = Failure.from_record(raw)
            if len(found) == len(digests):
                break
        return list(found.values())

    # -- retrying and discarding ---------------------------------------------------------------------------------------

    def retry(self, failure: Failure) -> Request[bool]:
        """Put the job of ``failure`` back on its queue, as if it had not been tried yet. False when the record is gone.

        Raises `InvalidPayload` when there is no job in it that could be put back; asking raises a `StoreError` when its
        queue is no list.
        """
        request = self._retry([failure])
        return Request(request.script, request.keys, request.args, lambda reply: _one(request.read(reply)))

    def discard(self, failure: Failure) -> Request[bool]:
        """Remove the record of ``failure``. False when it is gone already."""
        request = self._discard([failure])
        return Request(request.script, request.keys, request.args, lambda reply: request.read(reply)[0])

    def retry_many(self, failures: Sequence[Failure], progress: Progress | None = None) -> Retried:
        """Retry these; ``progress`` is told how many are done, of how many. Raises a `StoreError`."""
        return self._retry_all(_in_hundreds(failures), progress, len(failures), self.count())

    def retry_all(self, which: FailureFilter | None = None, progress: Progress | None = None) -> Retried:
        """Retry all that are meant, the newest first, and none that is added meanwhile.

        ``progress`` is told how many records were looked at, of how many there were. Raises a `StoreError`.
        """
        return self._retry_all(self._windows(which), progress, self.count())

    def discard_many(self, failures: Sequence[Failure], progress: Progress | None = None) -> int:
        """Remove the records of these, and give how many were still there. As `retry_many`."""
        return self._discard_all(_in_hundreds(failures), progress, len(failures), self.count())

    def discard_all(self, which: FailureFilter | None = None, progress: Progress | None = None) -> int:
        """Remove all records that are meant, and give how many. As `retry_all`."""
        return self._discard_all(self._windows(which), progress, self.count())

    def clear(self, progress: Progress | None = None) -> int:
        """Remove all records, in one step, and give how many there were."""
        count: int = self._ask(Request("clear_failed", [self._keys.failed], [], int))
        if progress is not None:
            progress(count, count)
        return count

    def _windows(self, which: FailureFilter | None) -> Iterator[_Group]:
        for window in windows(self._client, self._keys.failed):
            read = (Failure.from_record(raw) for raw in window.elements if which is None or which.may_be_in(raw))
            meant = [failure for failure in read if which is None or which(failure)]
            yield _Group(len(window.elements), meant)

    def _retry_all(self, groups: Iterable[_Group], progress: Progress | None, total: int, depth: int = 0) -> Retried:
        seen = retried = refused = 0
        for batch in _batches(groups, progress, total, depth):
            seen += len(batch)
            possible = [failure for failure in batch if not why_not_retried(failure)]
            outcomes = self._ask(self._retry(possible)) if possible else []
            retried += sum(outcome is True for outcome in outcomes)
            refused += len(batch) - len(possible) + sum(isinstance(outcome, str) for outcome in outcomes)
        return Retried(seen, retried, refused)

    def _discard_all(self, groups: Iterable[_Group], progress: Progress | None, total: int, depth: int = 0) -> int:
        return sum(sum(self._ask(self._discard(batch))) for batch in _batches(groups, progress, total, depth))

    def _retry(self, failures: Sequence[Failure]) -> Request[list[bool | str]]:
        """True for each that is retried, False where the record is gone, else why it cannot be."""
        keys = self._keys
        names = [keys.none, keys.failed, keys.queues, keys.bell]
        args: list[str | bytes | int | float] = [WAITING_TTL]
        for failure in failures:
            job, payload = _retriable(failure)
            has_id = job.id.encode() in payload  # else it was given one when it was read
            unique = unique_of(job) if has_id else None
            names += keys.queue(job.queue), keys.status(job.status_id)
            names.append(keys.none if unique is None else keys.unique(unique[0]))
            tracked = has_id and job.extra.get("track") is not False
            args += failure.raw, job.queue, payload, status_record(Status.WAITING, job) if tracked else b""
            # other programs give a status only to jobs that asked for one
            args += int(tracked and failure.is_ours), job.id, 0 if unique is None else max(1, round(unique[1]))
        return Request("retry", names, args, _outcomes)

    def _discard(self, failures: Sequence[Failure]) -> Request[list[bool]]:
        keys = [self._keys.none, self._keys.failed]
        return Request("discard", keys, [failure.raw for failure in failures], lambda reply: [n == 1 for n in reply])

    # -- shortening ----------------------------------------------------------------------------------------------------

    def old_ones(self, limit: int = 100, *, before: int | None = None) -> Request[list[tuple[int, bytes]]]:
        """The newest of the records that need not be full any more, each behind its position, the newest first.

        ``before``: only those at lower positions. There are ``limit`` of them, or fewer when they have more than
        `MOST_BYTES`; at least one when there is any. The position counts from the head: it stays the same while records
        are added.
        """
        args = [self._kept_full, limit, MOST_BYTES, "" if before is None else before]
        return Request("old_failures", [self._keys.failed], args, _with_positions)

    def replace(self, pairs: Sequence[tuple[int, bytes, bytes]]) -> Request[int]:
        """Put new records in the place of old ones: position, old bytes, new bytes.

        A record that is not at its position any more is left as it is. Returns how many were replaced.
        """
        args = [value for pair in pairs for value in pair]
        return Request("shrink", [self._keys.none, self._keys.failed], args, int)


def _with_positions(reply: list[int | bytes]) -> list[tuple[int, bytes]]:
    return [(cast("int", reply[at]), cast("bytes", reply[at + 1])) for at in range(0, len(reply), 2)]


# -- what can be retried -----------------------------------------------------------------------------------------------


def _retriable(failure: Failure) -> tuple[Job, bytes]:
    """The job of a failure, and the payload to push: the record's, to the byte, but without its attempts and expiry."""
    if failure.job is None:
        raise InvalidPayload("This failure cannot be retried: there is no job in its record that could be read")
    if not failure.queue or not failure.queue.isprintable():
        raise InvalidPayload("This failure cannot be retried: its record does not say from which queue the job came")
    payload = dict(json_members(failure.raw))["payload"]
    members = json_members(payload)
    kept = [(key, value) for key, value in members if key not in ("attempt", "history", "expires")]
    if failure.job.extra.get("expires") is not None:
        kept.append(("expires", b"null"))  # that of a delayed job stands inside its arguments
    if kept != members:
        payload = b"{%b}" % b",".join(json.dumps(key).encode() + b":" + value for key, value in kept)
    return failure.job, payload


def why_not_retried(failure: Failure) -> str:
    """Why this one is refused among many that are retried; empty when it is not. Ruby leaves a record where it is and
    adds ``retried_at``."""
    try:
        _retriable(failure)
    except InvalidPayload as error:
        return str(error)
    return "This failure was retried already, by a program that keeps its record" * bool(
        failure.extra.get("retried_at")
    )


def _outcomes(reply: list[int | bytes]) -> list[bool | str]:
    return [str(each, "utf-8", "replace") if isinstance(each, bytes) else each == 1 for each in reply]


def _one(outcomes: Sequence[bool | str]) -> bool:
    (outcome,) = outcomes
    if isinstance(outcome, str):
        raise StoreError(outcome)
    return outcome


class _Group(NamedTuple):
    """Records that were looked at, and those of them that are meant."""

    size: int
    meant: Sequence[Failure]


def _in_hundreds(failures: Sequence[Failure]) -> Iterator[_Group]:
    for batch in batches(failures, MOST, lambda failure: len(failure.raw)):
        yield _Group(len(batch), batch)


def _batches(
    groups: Iterable[_Group], progress: Progress | None, total: int, depth: int
) -> Iterator[Sequence[Failure]]:
    """Those of ``groups`` that are meant, as many at a time as one call may remove; ``depth`` records stand between the
    first group and the tail of the list."""
    done = 0
    for size, meant in groups:
        yield from batches(meant, at_once(depth + size), lambda failure: len(failure.raw))
        done += size
        depth += size - len(meant)
        if progress is not None:
            progress(min(done, total), total)
