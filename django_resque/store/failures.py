"""The failed list."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from redis import Redis

from ..choices import unique_of
from ..errors import InvalidPayload, StoreError
from ..failure import Failure
from ..job import Job, json_members
from ..job import digest as sha1
from ..status import Status, status_record
from .keys import Keys
from .producers import WAITING_TTL
from .reading import reading
from .removal import MOST, at_once, batches
from .request import Request
from .windows import windows

MOST_BYTES = 1_000_000
"""About how much of the failed list is moved at once."""

Progress = Callable[[int, int], object]
"""Is told how many are done, and of how many."""


@dataclass(frozen=True, slots=True)
class FailureFilter:
    """Which failures are meant: those that fit everything that is said here.

    ``exception``: the name of a class, with or without what stands before its last ``.`` ``:`` or ``\\``. ``since``: an
    aware datetime; what has no time that could be read is left out. ``text`` is looked for, whatever its case, in what
    the record says, arguments and backtrace included.
    """

    command: str | None = None
    exception: str | None = None
    since: datetime | None = None
    queue: str | None = None
    text: str | None = None

    def __call__(self, failure: Failure) -> bool:
        return (
            (self.command is None or (failure.job is not None and failure.job.command == self.command))
            and (self.queue is None or failure.queue == self.queue)
            and (self.exception is None or _is_called(failure.exception, self.exception))
            and (self.since is None or (failure.failed_at is not None and failure.failed_at >= self.since))
            and (self.text is None or self.text.casefold() in _text(failure).casefold())
        )


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
        for window in windows(self._client, self._keys.failed):
            for raw in window.elements:
                failure = Failure.from_record(raw)
                if which is None or which(failure):
                    yield failure

    def find(self, digest: str) -> Failure | None:
        """The record whose bytes have this SHA-1; None when it is not there (any more)."""
        for window in windows(self._client, self._keys.failed):
            for raw in window.elements:
                if sha1(raw) == digest:
                    return Failure.from_record(raw)
        return None

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
        return self._retry_all(_in_hundreds(failures), progress, len(failures), depth=self.count())

    def retry_all(self, which: FailureFilter | None = None, progress: Progress | None = None) -> Retried:
        """Retry all that are meant, the newest first, and none that is added meanwhile.

        ``progress`` is told how many records were looked at, of how many there were. Raises a `StoreError`.
        """
        return self._retry_all(self._windows(), progress, self.count(), which)

    def discard_many(self, failures: Sequence[Failure], progress: Progress | None = None) -> int:
        """Remove the records of these, and give how many were still there. As `retry_many`."""
        return self._discard_all(_in_hundreds(failures), progress, len(failures), depth=self.count())

    def discard_all(self, which: FailureFilter | None = None, progress: Progress | None = None) -> int:
        """Remove all records that are meant, and give how many. As `retry_all`."""
        return self._discard_all(self._windows(), progress, self.count(), which)

    def clear(self, progress: Progress | None = None) -> int:
        """Remove all records, in one step, and give how many there were."""
        count: int = self._ask(Request("clear_failed", [self._keys.failed], [], int))
        if progress is not None:
            progress(count, count)
        return count

    def _windows(self) -> Iterator[Sequence[Failure]]:
        for window in windows(self._client, self._keys.failed):
            yield [Failure.from_record(raw) for raw in window.elements]

    def _retry_all(
        self,
        groups: Iterable[Sequence[Failure]],
        progress: Progress | None,
        total: int,
        which: FailureFilter | None = None,
        depth: int = 0,
    ) -> Retried:
        seen = retried = refused = 0
        for batch in _batches(groups, which, progress, total, depth):
            seen += len(batch)
            possible = [failure for failure in batch if _can_be_retried(failure)]
            outcomes = self._ask(self._retry(possible)) if possible else []
            retried += sum(outcome is True for outcome in outcomes)
            refused += len(batch) - len(possible) + sum(isinstance(outcome, str) for outcome in outcomes)
        return Retried(seen, retried, refused)

    def _discard_all(
        self,
        groups: Iterable[Sequence[Failure]],
        progress: Progress | None,
        total: int,
        which: FailureFilter | None = None,
        depth: int = 0,
    ) -> int:
        return sum(sum(self._ask(self._discard(batch))) for batch in _batches(groups, which, progress, total, depth))

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
            args += int(tracked and _is_ours(failure)), job.id, 0 if unique is None else max(1, round(unique[1]))
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


def _can_be_retried(failure: Failure) -> bool:
    """Whether it can be among many that are retried. Ruby leaves a record where it is and adds ``retried_at``."""
    try:
        _retriable(failure)
    except InvalidPayload:
        return False
    return not failure.extra.get("retried_at")


def _is_ours(failure: Failure) -> bool:
    """Whether a worker of ours has written the record: other programs give a status only to jobs that asked for one."""
    return "~" in failure.worker.partition(":")[0]


def _outcomes(reply: list[int | bytes]) -> list[bool | str]:
    return [str(each, "utf-8", "replace") if isinstance(each, bytes) else each == 1 for each in reply]


def _one(outcomes: Sequence[bool | str]) -> bool:
    (outcome,) = outcomes
    if isinstance(outcome, str):
        raise StoreError(outcome)
    return outcome


def _in_hundreds(failures: Sequence[Failure]) -> Iterator[Sequence[Failure]]:
    return batches(failures, MOST, lambda failure: len(failure.raw))


def _batches(
    groups: Iterable[Sequence[Failure]],
    which: FailureFilter | None,
    progress: Progress | None,
    total: int,
    depth: int,
) -> Iterator[Sequence[Failure]]:
    """Those of ``groups`` that are meant, as many at a time as one call may remove; ``depth`` records stand between the
    first group and the tail of the list."""
    done = 0
    for group in groups:
        meant = [failure for failure in group if which is None or which(failure)]
        yield from batches(meant, at_once(depth + len(group)), lambda failure: len(failure.raw))
        done += len(group)
        depth += len(group) - len(meant)
        if progress is not None:
            progress(min(done, total), total)


# -- what fits a filter ------------------------------------------------------------------------------------------------


def _is_called(exception: str, name: str) -> bool:
    return exception == name or re.split(r"[.:\\]", exception)[-1] == name


def _text(failure: Failure) -> str:
    job = failure.job
    said = [failure.exception, failure.error, failure.queue, failure.worker, *failure.backtrace]
    if job is not None:
        said += job.command, job.id, json.dumps([*job.args, job.options], ensure_ascii=False)
    return "\n".join(said)
