"""The delayed jobs: those that are due, going through those that wait, taking one away.

They stand in the family's own format, a list for each unix second, and any program of the family may promote them at
the same time; so every step is a script that acts only on bytes that are still where they were read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Self, cast

from redis import Redis

from ..choices import unique_of
from ..errors import InvalidPayload, StoreError
from ..job import MAX_READABLE, Job, digest
from ..status import Status, status_record
from .keys import Keys
from .reading import reading
from .request import Request
from .stretch import MOST, Stretch
from .stretch import MOST_BYTES as MOST_BYTES_OF_STRETCH

LOCK = 180
"""Seconds that the locks of the family's schedulers hold, as theirs do."""
LOOK = 15
"""Seconds after a look for what is due in which its scheduler counts as alive."""
MOST_BYTES = 1_000_000
"""About how much is handed out at once."""
AT_ONCE = 100
"""Jobs taken away by one script."""
MOST_LOOKED_THROUGH = 100_000
"""Elements that one script looks through for jobs that are to be taken away."""
CHUNK = 1_000
"""Seconds, or jobs of one second, read in one round trip."""
CANCELLED_TTL = 24 * 3600
"""Least number of seconds the status of a cancelled job is kept."""
STATUS_MARGIN = 7 * 24 * 3600
"""Seconds after its due time that the status of a delayed job is kept."""
_QUEUE = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,1000}")
"""A queue that an item may go to: other programs have names that we would not give."""


@dataclass(frozen=True, slots=True)
class DelayedJob:
    """An item that waits for its ``second`` (unix time); ``raw`` are its exact bytes, which identify it.

    ``queue`` is where it will go, empty when it can go nowhere, and then ``problem`` says why. ``job`` is None when the
    item is no job; the id of one that has none in its item is another one each time it is read.
    """

    second: int
    raw: bytes
    queue: str
    job: Job | None
    problem: str = ""

    @property
    def due(self) -> float:
        return self.second

    @classmethod
    def read(cls, second: int, raw: bytes) -> Self:
        """Read an item that any program may have written. More is let pass than in a payload that is to be performed:
        what the item is worth will be seen when somebody takes it from its queue."""
        if len(raw) > MAX_READABLE:
            return cls(
                second, raw, "", None, f"the item has {len(raw):,} bytes, more than {MAX_READABLE:,} are not read"
            )
        try:
            payload = json.loads(raw.decode())
        except (ValueError, RecursionError) as error:
            return cls(second, raw, "", None, f"the item is not JSON: {error}")
        queue = payload.get("queue") if isinstance(payload, dict) else None
        if not isinstance(queue, str) or not _QUEUE.fullmatch(queue):
            return cls(second, raw, "", None, "the item names no queue that there could be")
        try:
            return cls(second, raw, queue, Job.from_mapping(payload, queue))
        except InvalidPayload:
            return cls(second, raw, queue, None)


@dataclass(frozen=True, slots=True)
class Due:
    """What is due.

    ``items`` are second and bytes, the earliest first. ``holder`` is another program's scheduler that does this work;
    there are no items then. ``leads`` is whether a lock is this process's own, and not of another one of ours. ``left``
    is the first second of which something is not among ``items``, ``retry`` when the first retry is due: unix times,
    None when there is nothing. ``time`` is the server's.
    """

    holder: str
    leads: bool
    items: Sequence[tuple[int, bytes]]
    left: float | None
    retry: float | None
    time: float
    trouble: Sequence[str]


@dataclass(frozen=True, slots=True)
class Promotion:
    """What becomes of an ``item`` that is due: it goes to ``queue``, and its status becomes ``waiting``.

    Where it cannot go there it becomes the failure ``record``, if there is one, with the status ``ended``; the same
    without a queue. Without either it is dropped. ``holder`` is its id and its key of uniqueness, see `holder_of`.
    """

    second: int
    item: bytes
    queue: str = ""
    status_id: str = ""
    waiting: bytes = b""
    ended: bytes = b""
    record: bytes = b""
    holder: str = ""


@dataclass(frozen=True, slots=True)
class Promoted:
    """``outcomes`` has a letter for each promotion: p pushed, f failed, d dropped, g gone (somebody else was quicker,
    or it is not the first of its second), w the key of its queue is no list, so that it stayed."""

    outcomes: str
    trouble: Sequence[str]


@dataclass(frozen=True, slots=True)
class Cancelled:
    """``seen`` jobs were looked at and ``cancelled`` of them were taken away."""

    seen: int
    cancelled: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What has become of several that were to go somewhere else: ``done`` have gone, ``gone`` were not there any more,
    and ``stuck`` have stayed, because they cannot go there."""

    done: int = 0
    gone: int = 0
    stuck: int = 0

    @classmethod
    def told(cls, letters: str, stuck: int = 0) -> Self:
        """What the letters say that the scripts give: d, g and w."""
        return cls(letters.count("d"), letters.count("g"), letters.count("w") + stuck)

    def __add__(self, other: Taken) -> Taken:
        return Taken(self.done + other.done, self.gone + other.gone, self.stuck + other.stuck)


@dataclass(frozen=True, slots=True)
class Health:
    """Whether somebody cares for what is delayed.

    ``delayed`` and ``retries`` are when the first is due (unix time; None: there is none). ``ours``: a process of ours
    has looked within `LOOK` seconds. ``foreign`` is another program's scheduler that holds a lock, or empty. ``time``
    is the server's.
    """

    delayed: float | None
    retries: float | None
    ours: bool
    foreign: str
    time: float

    @property
    def abandoned(self) -> bool:
        """Something waits for its time, and no scheduler is alive that would see to it."""
        nobody = not self.ours and not self.foreign
        return (self.delayed is not None and nobody) or (self.retries is not None and not self.ours)

    @property
    def overdue(self) -> float:
        """Seconds by which the first delayed job, or retry, is late; 0 when none is."""
        first = min((due for due in (self.delayed, self.retries) if due is not None), default=self.time)
        return max(0.0, self.time - first)


class Delayed:
    """The delayed jobs. ``ask`` carries out a request; ``status_ttl`` is how long the status of an ended job is kept,
    in seconds."""

    def __init__(self, client: Redis, keys: Keys, ask: Callable[[Request[Any]], Any], status_ttl: int) -> None:
        self._client = client
        self._keys = keys
        self._ask = ask
        self._ended_ttl = max(status_ttl, CANCELLED_TTL)

    # -- promoting -----------------------------------------------------------------------------------------------------

    def due(self, value: str, limit: int = 100) -> Request[Due]:
        """What is due, up to ``limit`` items and `MOST_BYTES`, one at least if there is any.

        Takes or renews the locks of the family's schedulers; ``value`` is what they hold, ``django:`` and what tells
        this process from others. May be asked by any number of processes.
        """
        keys = self._keys
        return Request(
            "due",
            [keys.none, keys.delayed_schedule, keys.master_lock, keys.leader_lock, keys.scheduler, keys.retries],
            [keys.prefix, value, LOCK, LOOK, limit, MOST_BYTES],
            _due,
        )

    def promote(self, promotions: Sequence[Promotion]) -> Request[Promoted]:
        """Carry out ``promotions``, in order; those of one second have to be in the order of their list.

        May be asked again, and by several processes: an item moves only while it is the first of its second.
        """
        keys = self._keys
        args: list[str | bytes | int] = [keys.prefix, self._ended_ttl]
        for each in promotions:
            args += each.second, each.item, each.queue, each.status_id, each.waiting
            if each.queue and not each.record:
                args.append("")
            else:
                args += "or", each.ended, each.record, each.holder
        return Request(
            "promote",
            [
                keys.none,
                keys.delayed_schedule,
                keys.queues,
                keys.failed,
                keys.stat("processed"),
                keys.stat("failed"),
                keys.bell,
            ],
            args,
            lambda reply: Promoted(str(reply[0], "ascii"), _texts(reply[1])),
        )

    def release(self) -> Request[int]:
        """Give up the schedulers' locks, unless another process of ours is registered, that needs them.

        To be asked while the process is still registered itself. Gives how many locks were given up.
        """
        keys = self._keys
        return Request("release", [keys.master_lock, keys.leader_lock, keys.scheduler, keys.processes], [], int)

    # -- looking -------------------------------------------------------------------------------------------------------

    def count(self) -> int:
        """How many delayed jobs there are. One round trip for each thousand seconds that have any."""
        return sum(length for seconds in self._chunks() for _second, length in self._lengths(seconds))

    def page(self, start: int = 0, count: int = 100) -> list[DelayedJob]:
        """``count`` delayed jobs in the order of time, without the first ``start``.

        One round trip for each thousand seconds that are passed over, and one for the jobs.
        """
        wanted: list[tuple[int, int, int]] = []
        passed, found = 0, 0
        for seconds in self._chunks():
            for second, length in self._lengths(seconds):
                first = max(0, start - passed)
                if first < length and found < count:
                    last = min(length, first + count - found)
                    wanted.append((second, first, last - 1))
                    found += last - first
                passed += length
            if found >= count:
                break
        return list(islice(self._jobs(wanted), count))

    def find(self, match: Callable[[Job], bool]) -> Iterator[DelayedJob]:
        """The delayed jobs for which ``match`` is true, by second; what is no job is passed over.

        They are read a thousand at a time, so what is added or moved meanwhile may be missed; what stays is not, and
        what was found may be taken away at once.
        """
        return (delayed for delayed in self.each() if delayed.job is not None and match(delayed.job))

    def each(self) -> Iterator[DelayedJob]:
        """All delayed items, by second, in the same way."""
        for seconds in self._chunks():
            short: list[tuple[int, int, int]] = []
            room = CHUNK
            for second, length in self._lengths(seconds):
                if length > room:
                    yield from self._jobs(short)
                    short, room = [], CHUNK
                if length > CHUNK:
                    # From the end: what leaves at the head, or is found and taken away, puts nothing out of sight.
                    for first in range((length - 1) // CHUNK * CHUNK, -1, -CHUNK):
                        yield from self._jobs([(second, first, first + CHUNK - 1)])
                else:
                    short.append((second, 0, CHUNK - 1))
                    room -= length
            yield from self._jobs(short)

    def stretch(self, start: int | None = None, *, most: int = MOST) -> Stretch[DelayedJob]:
        """The first delayed items that are due at ``start`` (unix time; None: at any time) or later; one round trip.

        Up to ``most`` of them, fewer when they are large.
        """
        keys = self._keys
        after = "-inf" if start is None else start
        args = [keys.prefix, after, most, MOST_BYTES_OF_STRETCH]
        found: Stretch[DelayedJob] = self._ask(Request("delayed_stretch", [keys.delayed_schedule], args, _stretch))
        return found

    def named(self, wanted: Collection[tuple[int, str]]) -> list[DelayedJob]:
        """Those of these items that are there, each named by its second and the SHA-1 of its bytes; one round trip.
        Where there are very many not all are looked at."""
        seconds = sorted({second for second, _sha in wanted})
        if not seconds:
            return []
        args: list[str | int] = [MOST_LOOKED_THROUGH, *{sha for _second, sha in wanted}]
        found: list[list[bytes]] = self._ask(
            Request("find_delayed", [self._keys.delayed(second) for second in seconds], args, list)
        )
        return [
            DelayedJob.read(second, item)
            for second, items in zip(seconds, found, strict=True)
            for item in items
            if (second, digest(item)) in wanted
        ]

    @reading()
    def health(self) -> Health:
        """Whether somebody cares for the delayed jobs; one round trip."""
        keys = self._keys
        pipeline: Any = self._client.pipeline(transaction=False)
        pipeline.time()
        pipeline.zrange(keys.delayed_schedule, 0, 0, withscores=True)
        pipeline.zrange(keys.retries, 0, 0, withscores=True)
        pipeline.exists(keys.scheduler)
        pipeline.get(keys.master_lock)
        pipeline.get(keys.leader_lock)
        replies = pipeline.execute(raise_on_error=False)
        if isinstance(replies[0], Exception):
            raise replies[0]
        seconds, microseconds = replies[0]
        first, retry, ours, *locks = (None if isinstance(reply, Exception) else reply for reply in replies[1:])
        foreign = [lock for lock in locks if lock is not None and not lock.startswith(b"django:")]
        return Health(
            delayed=float(first[0][1]) if first else None,
            retries=float(retry[0][1]) if retry else None,
            ours=bool(ours),
            foreign=_text(foreign[0]) if foreign else "",
            time=seconds + microseconds / 1e6,
        )

    # -- taking away ---------------------------------------------------------------------------------------------------

    def cancel(self, jobs: Iterable[DelayedJob]) -> int:
        """Cancel ``jobs``: none of them will be performed, except those that have gone to their queues meanwhile.

        They count as processed, and their status is failed, with the outcome ``cancelled``. Gives how many there were.
        """
        return sum(letters.count("d") for letters in self._take((job, "cancel") for job in jobs))

    def cancel_matching(self, match: Callable[[Job], bool]) -> Cancelled:
        """Cancel those jobs for which ``match`` is true."""
        seen = 0

        def matching() -> Iterator[DelayedJob]:
            nonlocal seen
            for delayed in self.each():
                seen += 1
                if delayed.job is not None and match(delayed.job):
                    yield delayed

        return Cancelled(cancelled=self.cancel(matching()), seen=seen)

    def run_now(self, job: DelayedJob) -> bool:
        """Put ``job`` on its queue. False, and nothing is done, when it is not delayed any more.

        Raises `StoreError` when it can go nowhere.
        """
        if not job.queue:
            raise StoreError(f"This delayed job cannot be run: {job.problem}")
        return self._act(job, "run")

    def move(self, job: DelayedJob, second: int) -> bool:
        """Make ``job`` due at another ``second`` (unix time). False, and nothing is done, when it is not there."""
        return self._act(job, str(second))

    def run_all(self, jobs: Sequence[DelayedJob]) -> Taken:
        """Put ``jobs`` on their queues, a hundred at a time. Those that can go nowhere stay."""
        able = [job for job in jobs if job.queue]
        return Taken.told("".join(self._take((job, "run") for job in able)), stuck=len(jobs) - len(able))

    def move_all(self, jobs: Sequence[DelayedJob], second: int) -> Taken:
        """Make ``jobs`` due at another ``second`` (unix time), a hundred at a time."""
        return Taken.told("".join(self._take((job, str(second)) for job in jobs)))

    def _act(self, job: DelayedJob, act: str) -> bool:
        (letters,) = self._take([(job, act)])
        if letters == "w":
            goal = self._keys.queue(job.queue) if act == "run" else self._keys.delayed(int(act))
            raise StoreError(f"{goal} is no list: nothing was done")
        return letters == "d"

    def _take(self, wishes: Iterable[tuple[DelayedJob, str]]) -> Iterator[str]:
        keys = self._keys
        wishes = iter(wishes)
        while some := list(islice(wishes, AT_ONCE)):
            while some:
                args: list[str | bytes | int] = [keys.prefix, MOST_LOOKED_THROUGH]
                for job, act in some:
                    args += self._wish(job, act)
                request = Request(
                    "undelay",
                    [keys.none, keys.delayed_schedule, keys.queues, keys.stat("processed"), keys.bell],
                    args,
                    lambda reply: str(reply[0], "ascii"),
                )
                letters = self._ask(request)
                yield letters
                some = some[len(letters) :]

    def _wish(self, delayed: DelayedJob, act: str) -> Iterable[str | bytes | int]:
        job = delayed.job
        if job is None:
            return delayed.second, delayed.raw, act, delayed.queue, "", b"", "", ""
        kept: int | str = ""
        if act == "cancel":
            status, kept = cancelled_status(job), self._ended_ttl
        elif act == "run":
            status = status_record(Status.WAITING, job)
        else:
            status = status_record(Status.SCHEDULED, job, b',"due":%d' % int(act))
            kept = max(0, int(act) - int(job.enqueued_at)) + STATUS_MARGIN
        return delayed.second, delayed.raw, act, delayed.queue, job.status_id, status, kept, _holder_with_seconds(job)

    # -- reading -------------------------------------------------------------------------------------------------------

    def _chunks(self) -> Iterator[list[int]]:
        """The seconds that have jobs, in order, some at a time."""
        after = "-inf"
        while found := self._seconds(after):
            yield [int(member) for member, _score in found if re.fullmatch(rb"0|-?[1-9][0-9]{0,14}", member)]
            after = f"({found[-1][1]!r}"

    @reading()
    def _seconds(self, after: str) -> list[tuple[bytes, float]]:
        schedule = self._keys.delayed_schedule
        found = self._client.zrangebyscore(schedule, after, "+inf", start=0, num=CHUNK, withscores=True)
        return [(member, float(score)) for member, score in cast("list[Any]", found)]

    @reading()
    def _lengths(self, seconds: Sequence[int]) -> list[tuple[int, int]]:
        """The seconds that are lists, each with its length."""
        pipeline = self._client.pipeline(transaction=False)
        for second in seconds:
            pipeline.llen(self._keys.delayed(second))
        replies = pipeline.execute(raise_on_error=False)
        return [(second, reply) for second, reply in zip(seconds, replies, strict=True) if isinstance(reply, int)]

    def _jobs(self, wanted: Sequence[tuple[int, int, int]]) -> Iterator[DelayedJob]:
        for (second, _first, _last), items in zip(wanted, self._items(wanted), strict=True):
            for raw in items:
                yield DelayedJob.read(second, raw)

    @reading()
    def _items(self, wanted: Sequence[tuple[int, int, int]]) -> list[list[bytes]]:
        if not wanted:
            return []
        pipeline = self._client.pipeline(transaction=False)
        for second, first, last in wanted:
            pipeline.lrange(self._keys.delayed(second), first, last)
        return [reply if isinstance(reply, list) else [] for reply in pipeline.execute(raise_on_error=False)]


def holder_of(job: Job) -> str:
    """Id and key of uniqueness with a line feed between them, as scripts take them; empty without such a key."""
    unique = unique_of(job)
    return "" if unique is None else f"{job.id}\n{unique[0]}"


def cancelled_status(job: Job) -> bytes:
    """The status of a job that was cancelled before it began."""
    return status_record(Status.FAILED, job, b',"outcome":"cancelled"')


def _holder_with_seconds(job: Job) -> str:
    unique = unique_of(job)
    return "" if unique is None else f"{job.id}\n{unique[0]}\n{unique[1]}"


def _due(reply: list[Any]) -> Due:
    holder, leads, items, left, retry, time, trouble = reply
    return Due(
        holder=_text(holder),
        leads=bool(leads),
        items=[(int(second), item) for second, some in zip(items[::2], items[1::2], strict=True) for item in some],
        left=float(left) if left else None,
        retry=float(retry) if retry else None,
        time=float(time),
        trouble=_texts(trouble),
    )


def _stretch(reply: list[Any]) -> Stretch[DelayedJob]:
    time, found, left, trouble = reply
    return Stretch(
        [
            DelayedJob.read(int(second), item)
            for second, some in zip(found[::2], found[1::2], strict=True)
            for item in some
        ],
        left=float(left) if left else None,
        time=float(time),
        trouble=_texts(trouble),
    )


def _text(raw: bytes) -> str:
    return str(raw, "utf-8", "replace")


def _texts(found: Sequence[bytes]) -> list[str]:
    return [_text(raw) for raw in found]
