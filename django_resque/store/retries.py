"""The jobs whose attempt has failed and that wait to be tried again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Self, cast

from redis import Redis

from ..errors import InvalidPayload, StoreError
from ..job import Job, digest
from ..status import Status, status_record
from .delayed import AT_ONCE, CANCELLED_TTL, CHUNK, MOST_BYTES, MOST_LOOKED_THROUGH, Cancelled, Taken, cancelled_status
from .keys import Keys
from .reading import reading
from .request import Request
from .stretch import MOST, Stretch
from .stretch import MOST_BYTES as MOST_BYTES_OF_STRETCH

PUT_OFF = 60
"""Seconds by which a retry is put off that cannot go back, because its queue's key is no list."""


@dataclass(frozen=True, slots=True)
class WaitingRetry:
    """A job that is tried again when it is ``due`` (unix time). ``raw`` are the exact bytes that identify it.

    ``job`` is None when the payload is none, or when this is no retry at all; then ``queue`` is empty.
    """

    due: float
    raw: bytes
    queue: str
    payload: bytes
    job: Job | None

    @classmethod
    def read(cls, member: bytes, due: float) -> Self:
        """Read a member, whatever it is."""
        _token, _, rest = member.partition(b"\n")
        name, _, payload = rest.partition(b"\n")
        queue = str(name, "utf-8", "replace")
        try:
            return cls(due, member, queue, payload, Job.from_payload(payload, queue))
        except InvalidPayload:
            return cls(due, member, queue, payload, None)


@dataclass(frozen=True, slots=True)
class Revived:
    """``count`` retries went back to their queues. ``left`` is when the next is due, None when there is none; ``time``
    is the server's (unix times)."""

    count: int
    left: float | None
    time: float
    trouble: Sequence[str]


class Retries:
    """The retries to come. ``ask`` carries out a request; ``status_ttl`` is how long the status of an ended job is
    kept, in seconds."""

    def __init__(self, client: Redis, keys: Keys, ask: Callable[[Request[Any]], Any], status_ttl: int) -> None:
        self._client = client
        self._keys = keys
        self._ask = ask
        self._ended_ttl = max(status_ttl, CANCELLED_TTL)

    def revive(self, limit: int = 100) -> Request[Revived]:
        """Put what is due back on its queue, up to ``limit`` jobs and about `MOST_BYTES`.

        What cannot go back is put off by `PUT_OFF` seconds. May be asked again, and by any number of processes.
        """
        keys = self._keys
        return Request(
            "revive",
            [keys.none, keys.retries, keys.queues, keys.bell],
            [keys.prefix, limit, MOST_BYTES, PUT_OFF],
            _revived,
        )

    # -- looking -------------------------------------------------------------------------------------------------------

    @reading()
    def count(self) -> int:
        """How many retries wait."""
        return self._client.zcard(self._keys.retries)

    @reading()
    def page(self, start: int = 0, count: int = 100) -> list[WaitingRetry]:
        """``count`` retries in the order of time, without the first ``start``; one round trip."""
        found = cast(
            "list[Any]", self._client.zrange(self._keys.retries, start, start + max(0, count) - 1, withscores=True)
        )
        return [WaitingRetry.read(member, float(due)) for member, due in found] if count > 0 else []

    def find(self, match: Callable[[Job], bool]) -> Iterator[WaitingRetry]:
        """The retries for which ``match`` is true, in no order; read about a thousand at a time. What is there
        throughout is found, at times more than once."""
        return (retry for retry in self.each() if retry.job is not None and match(retry.job))

    def each(self) -> Iterator[WaitingRetry]:
        """All retries, in the same way."""
        cursor, first = 0, True
        while first or cursor:
            cursor, found = self._scan(cursor)
            first = False
            yield from (WaitingRetry.read(member, float(due)) for member, due in found)

    def stretch(self, start: float | None = None, *, most: int = MOST) -> Stretch[WaitingRetry]:
        """The first retries that are due at ``start`` (unix time; None: at any time) or later; one round trip.

        Up to ``most`` of them, fewer when they are large.
        """
        args = ["-inf" if start is None else start, most, MOST_BYTES_OF_STRETCH]
        found: Stretch[WaitingRetry] = self._ask(Request("retries_stretch", [self._keys.retries], args, _stretch))
        return found

    def named(self, wanted: Sequence[str], *, most: int = MOST_LOOKED_THROUGH) -> list[WaitingRetry]:
        """Those of these retries that are among the first ``most``, each named by the SHA-1 of its member."""
        missing, found = set(wanted), []
        for start in range(0, most, CHUNK) if missing else ():
            some = self.page(start, CHUNK)
            for retry in some:
                name = digest(retry.raw)
                if name in missing:
                    missing.remove(name)
                    found.append(retry)
            if not missing or len(some) < CHUNK:
                break
        return found

    @reading()
    def _scan(self, cursor: int) -> tuple[int, list[tuple[bytes, float]]]:
        position, found = cast("Any", self._client.zscan(self._keys.retries, cursor, count=CHUNK))
        return int(position), found

    # -- taking away ---------------------------------------------------------------------------------------------------

    def cancel(self, retries: Iterable[WaitingRetry]) -> int:
        """Cancel ``retries``: none of them is tried again, except those that have gone to their queues meanwhile.

        They count as processed, and their status is failed, with the outcome ``cancelled``. Gives how many there were.
        """
        return sum(letters.count("d") for letters in self._take(retries, "cancel"))

    def cancel_matching(self, match: Callable[[Job], bool]) -> Cancelled:
        """Cancel those retries for which ``match`` is true."""
        seen: set[bytes] = set()  # a scan may come across one twice

        def matching() -> Iterator[WaitingRetry]:
            for retry in self.each():
                seen.add(retry.raw.partition(b"\n")[0])
                if retry.job is not None and match(retry.job):
                    yield retry

        return Cancelled(cancelled=self.cancel(matching()), seen=len(seen))

    def run_now(self, retry: WaitingRetry) -> bool:
        """Put ``retry`` on its queue. False, and nothing is done, when it does not wait any more.

        Raises `StoreError` when it can go nowhere.
        """
        if not retry.queue:
            raise StoreError("This is no retry, though it is among them: it names no queue")
        (letters,) = self._take([retry], "run")
        if letters == "w":
            raise StoreError(f"{self._keys.queue(retry.queue)} is no list: nothing was done")
        return letters == "d"

    def run_all(self, retries: Sequence[WaitingRetry]) -> Taken:
        """Put ``retries`` on their queues, a hundred at a time. Those that can go nowhere stay."""
        able = [retry for retry in retries if retry.queue]
        return Taken.told("".join(self._take(able, "run")), stuck=len(retries) - len(able))

    def _take(self, retries: Iterable[WaitingRetry], act: str) -> Iterator[str]:
        keys = self._keys
        retries = iter(retries)
        while some := list(islice(retries, AT_ONCE)):
            args: list[str | bytes | int] = [keys.prefix]
            for retry in some:
                args += self._wish(retry, act)
            yield self._ask(
                Request(
                    "unretry",
                    [keys.none, keys.retries, keys.queues, keys.stat("processed"), keys.bell],
                    args,
                    lambda reply: str(reply[0], "ascii"),
                )
            )

    def _wish(self, retry: WaitingRetry, act: str) -> Iterable[str | bytes | int]:
        job = retry.job
        if job is None:
            return retry.raw, act, retry.queue, retry.payload, "", b"", ""
        if act == "cancel":
            return retry.raw, act, retry.queue, retry.payload, job.status_id, cancelled_status(job), self._ended_ttl
        waiting = status_record(Status.WAITING, job)
        return retry.raw, act, retry.queue, retry.payload, job.status_id, waiting, ""


def _revived(reply: list[Any]) -> Revived:
    count, left, time, trouble = reply
    return Revived(
        int(count), float(left) if left else None, float(time), [str(text, "utf-8", "replace") for text in trouble]
    )


def _stretch(reply: list[Any]) -> Stretch[WaitingRetry]:
    time, found, left = reply
    return Stretch(
        [WaitingRetry.read(member, float(due)) for member, due in zip(found[::2], found[1::2], strict=True)],
        left=float(left) if left else None,
        time=float(time),
    )
