"""Taking jobs out before they are performed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from .arguments import normalise
from .job import Job
from .store import Found, Request, store
from .store.outbox import outbox
from .store.removal import at_once, batches, read_payload
from .store.windows import Window


@dataclass(frozen=True, slots=True)
class Dequeued:
    """``seen`` jobs were looked at, and ``removed`` of them taken out."""

    seen: int
    removed: int

    def __add__(self, other: Dequeued) -> Dequeued:
        return Dequeued(self.seen + other.seen, self.removed + other.removed)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which jobs are to be taken out: those that fit everything that is said here."""

    command: str | None = None
    ids: frozenset[str] | None = None
    args: Sequence[Any] | None = None
    options: Mapping[str, Any] | None = None
    queue: str | None = None

    def __call__(self, job: Job) -> bool:
        return (
            (self.command is None or job.command == self.command)
            and (self.ids is None or job.id in self.ids)
            and (self.args is None or list(job.args) == list(self.args))
            and (self.options is None or job.options == self.options)
            and (self.queue is None or job.queue == self.queue)
        )

    @property
    def is_a_whole_queue(self) -> bool:
        return self == Wanted(queue=self.queue)

    def may_be_in(self, payload: bytes) -> bool:
        """Whether it is worth while to read this payload; that costs a hundred times as much."""
        if b"\\" in payload:  # its texts may be written in more than one way
            return True
        command = self.command is None or self.command.encode("utf-8", "surrogatepass") in payload
        return command and (
            self.ids is None or any(job_id.encode("utf-8", "surrogatepass") in payload for job_id in self.ids)
        )


def dequeue(
    *,
    command: str | None = None,
    id: str | None = None,
    ids: Iterable[str] | None = None,
    args: Sequence[Any] | None = None,
    options: Mapping[str, Any] | None = None,
    queue: str | None = None,
) -> Dequeued:
    """Take waiting jobs out: those of this ``command``, with this ``id`` or one of these ``ids``, with exactly these
    ``args`` and these ``options``, in this ``queue``. What is not said does not matter; ``queue`` alone clears it.

    Waiting, delayed, parked and to be tried again: each is either removed, or performed after all, when a worker was
    quicker. The status of what is removed becomes failed, with the outcome ``cancelled``. Raises ``TypeError`` when
    nothing is said, `InvalidArguments` for arguments that no job can have, and a `StoreError`.
    """
    wanted_ids = None if id is None and ids is None else frozenset([*([] if id is None else [id]), *(ids or ())])
    values, named = normalise(args or (), options or {})
    wanted = Wanted(command, wanted_ids, None if args is None else values, None if options is None else named, queue)
    if wanted == Wanted():
        raise TypeError("dequeue() needs to know which jobs: a command, an id, arguments or a queue")
    if outbox.in_use:
        return _from_outbox(wanted)
    if wanted.is_a_whole_queue and queue is not None:
        found = _from_elsewhere(wanted)  # first: what is due meanwhile goes from there to the queue
        count = store().queues.clear(queue)
        return found + Dequeued(count, count)
    return sum(_everywhere(wanted), Dequeued(0, 0))


def _everywhere(wanted: Wanted) -> Iterator[Dequeued]:
    """Looks into one place after the other, until every job that has an id is found. Those first from which jobs go
    to the queues when their time comes. What has the name of a queue and is no list is passed over, unless it is meant.
    """
    queues = store().queues
    found = _from_elsewhere(wanted)
    yield found
    removed = found.removed
    if wanted.ids is not None and removed >= len(wanted.ids):
        return
    for name in queues.in_use() if wanted.queue is None else [wanted.queue]:
        found = _from_list(
            queues.windows(name),
            partial(read_payload, queue=name),
            partial(queues.dequeue, name),
            wanted,
        )
        yield found
        removed += found.removed
        if wanted.ids is not None and removed >= len(wanted.ids):
            return


def _from_elsewhere(wanted: Wanted) -> Dequeued:
    """From where jobs wait that are in no queue yet, or not any more."""
    parked, delayed, retries = store().parked, store().delayed, store().retries
    found = Dequeued(0, 0)
    for name in parked.names():
        found += _from_list(parked.windows(name), parked.read, partial(parked.dequeue, name), wanted)
    for cancelled in (delayed.cancel_matching(wanted), retries.cancel_matching(wanted)):
        found += Dequeued(cancelled.seen, cancelled.cancelled)
    return found


def _from_list(
    windows: Iterator[Window],
    read: Callable[[bytes], Found],
    removal: Callable[[Sequence[Found]], Request[list[bool]]],
    wanted: Wanted,
) -> Dequeued:
    seen = removed = left = 0
    for elements, again in windows:
        found = [read(raw) for raw in elements if wanted.may_be_in(raw)]
        matching = [each for each in found if each.job is not None and wanted(each.job)]
        left += len(elements)
        for batch in batches(matching, at_once(left), lambda each: len(each.raw)):
            gone = store().ask(removal(batch)).count(True)
            removed, left = removed + gone, left - gone
        seen += len(elements) - again
        if wanted.ids is not None and removed >= len(wanted.ids):
            break
    return Dequeued(seen, removed)


def _from_outbox(wanted: Wanted) -> Dequeued:
    jobs = list(outbox)
    matching = [job for job in jobs if wanted(job)]
    outbox.discard(matching)
    return Dequeued(len(jobs), len(matching))
