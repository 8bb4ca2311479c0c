"""Where a job is: in a queue, at a worker, among those that wait for their time, in the failed list."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .errors import InvalidPayload, StoreError
from .failure import Failure
from .job import Job, load_json
from .status import Status
from .store import DelayedJob, Glance, Haystack, Hit, Parked, Seen, WaitingRetry, store
from .store.removal import Found, read_payload

LONGEST_ID = 100
"""Characters that the id of a job has at most."""
MOST_WORKERS = 500
_SKEW = 3
"""Seconds around the one at which its status says that a delayed job is due: it was another clock that said so."""


class Kind(StrEnum):
    """Where a job may be."""

    WORKER = "worker"
    QUEUE = "queue"
    PARKED = "parked"
    DELAYED = "delayed"
    RETRIES = "retries"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Place:
    """``name`` is the worker's id, the queue's name, or the key of concurrency under which it is parked."""

    kind: Kind
    name: str = ""

    def __str__(self) -> str:
        return {
            Kind.WORKER: f"the worker {self.name}",
            Kind.QUEUE: f"the queue {self.name}",
            Kind.PARKED: f"parked, until fewer run under {self.name}",
            Kind.DELAYED: "the delayed jobs",
            Kind.RETRIES: "the retries",
            Kind.FAILED: "the failed list",
        }[self.kind]


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """A job and where it was found, by its exact bytes ``raw``. ``item`` is what it is there, in the failed list and
    among what waits for its time."""

    place: Place
    raw: bytes
    job: Job
    item: Failure | DelayedJob | WaitingRetry | None = None

    @property
    def failure(self) -> Failure | None:
        return self.item if isinstance(self.item, Failure) else None

    @property
    def due(self) -> float | None:
        """When it waits no longer (unix time)."""
        return self.item.due if isinstance(self.item, DelayedJob | WaitingRetry) else None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a job, at one ``time`` of Redis' clock.

    ``seen`` is what its status says, and ``status`` the status to the byte; both are kept for a while only. ``found``
    is the job itself, with its arguments: those are where it waits, runs or has failed, and nowhere after a success.
    ``whole``: it was looked for everywhere where it can be. ``output`` are the last bytes it has written.
    """

    id: str
    time: datetime
    seen: Seen | None
    status: bytes | None
    output: bytes
    found: Whereabouts | None
    whole: bool
    trouble: Sequence[str] = ()

    @property
    def is_nothing(self) -> bool:
        return self.seen is None and self.found is None


def may_have_failure(seen: Seen) -> bool:
    """Whether a record in the failed list may tell how the job ended; a cancelled one may have run, or not."""
    return seen.status is Status.FAILED and seen.outcome in ("", "cancelled")


# -- at a glance -------------------------------------------------------------------------------------------------------


def glance(job_id: str) -> Known:
    """Look where the job is likely to be, in four round trips at most: about ten thousand elements at either end of
    what is long. Raises a `StoreError`."""
    first = store().glance(job_id)
    found, whole = None, True
    if 0 < len(job_id) <= LONGEST_ID:
        for places in _stages(first):
            found, seen_all = _seek(job_id, places)
            whole = whole and seen_all
            if found is not None:
                break
    return _known(job_id, first, found, whole and first.whole)


def _known(job_id: str, first: Glance, found: Whereabouts | None, whole: bool) -> Known:
    looked = first
    if found is not None and first.seen is None and found.job.status_id != job_id:
        looked = store().glance(found.job.status_id)  # a php-resque has given it a prefix
    return Known(job_id, first.time, looked.seen, looked.status, looked.output, found, whole, first.trouble)


_Part = tuple[Haystack, Mapping[str, Place]]
"""What is to be looked through, and where each of its keys is."""
_Places = Sequence[_Part]


def _stages(first: Glance) -> Iterator[_Places]:
    """Where to look at first and, where a job may still be elsewhere, then."""
    seen = first.seen
    status = Status.UNKNOWN if seen is None else seen.status
    elsewhere = [_workers(first), _queues(first), _delayed(first.seconds), _retries(), _parked(first), _failed()]
    if status in (Status.COMPLETE, Status.FAILED):
        yield [_failed()]  # others retry a failure, and leave its record where it is
        return
    if status is Status.RUNNING:
        yield [_workers(first)]
    elif status is Status.WAITING and seen is not None:
        yield [_queue(seen.queue), _workers(first), _parked(first)]
    elif status is Status.SCHEDULED and seen is not None:
        yield [_delayed(_around(seen.due)), _retries()]
    yield elsewhere


def _around(due: float | None) -> Sequence[int]:
    return [] if due is None else range(math.floor(due) - _SKEW, math.ceil(due) + _SKEW + 1)


def _haystack(places: Mapping[str, Place], most: int = 10_000, *, tail: bool = False) -> _Part:
    return Haystack(list(places), most, tail), places


def _workers(first: Glance) -> _Part:
    named = [first.seen.worker] if first.seen is not None and first.seen.worker else []
    ids = dict.fromkeys([*named, *first.workers][:MOST_WORKERS])
    return _haystack({store().keys.worker(worker): Place(Kind.WORKER, worker) for worker in ids}, len(ids))


def _queue(name: str) -> _Part:
    return _haystack({store().keys.queue(name): Place(Kind.QUEUE, name)} if name else {})


def _queues(first: Glance) -> _Part:
    return _haystack({store().keys.queue(name): Place(Kind.QUEUE, name) for name in first.queues})


def _parked(first: Glance) -> _Part:
    return _haystack({store().keys.parked(name): Place(Kind.PARKED, name) for name in first.parking})


def _delayed(seconds: Sequence[int]) -> _Part:
    return _haystack({store().keys.delayed(second): Place(Kind.DELAYED, str(second)) for second in seconds})


def _retries() -> _Part:
    return _haystack({store().keys.retries: Place(Kind.RETRIES)})


def _failed() -> _Part:
    return _haystack({store().keys.failed: Place(Kind.FAILED)}, tail=True)


def _seek(job_id: str, places: _Places) -> tuple[Whereabouts | None, bool]:
    text = json.dumps(job_id, ensure_ascii=False).encode("utf-8", "surrogatepass")
    hits = store().seek(text, [haystack for haystack, _places in places])
    by_key = {key: place for _haystack, named in places for key, place in named.items()}
    read = (_read(hit, by_key[hit.key]) for hit in hits.found)
    return next((each for each in read if each is not None and each.job.id == job_id), None), hits.whole


def _read(hit: Hit, place: Place) -> Whereabouts | None:
    raw = hit.raw
    match place.kind:
        case Kind.WORKER:
            return _whereabouts(place, raw, _current(raw))
        case Kind.QUEUE:
            return _whereabouts(place, raw, read_payload(raw, place.name).job)
        case Kind.PARKED:
            return _whereabouts(place, raw, Parked.read(raw).job)
        case Kind.DELAYED:
            return _of_delayed(DelayedJob.read(int(place.name), raw))
        case Kind.RETRIES:
            return _of_retry(WaitingRetry.read(raw, hit.score or 0.0))
        case Kind.FAILED:
            return _of_failure(Failure.from_record(raw))


def _whereabouts(place: Place, raw: bytes, job: Job | None) -> Whereabouts | None:
    return None if job is None else Whereabouts(place, raw, job)


def _current(raw: bytes) -> Job | None:
    """The job that a worker says it performs."""
    try:
        record = load_json(raw)
        if not isinstance(record, dict) or not isinstance(record.get("payload"), dict):
            return None
        queue = record.get("queue")
        return Job.from_mapping(record["payload"], queue if isinstance(queue, str) else "")
    except InvalidPayload:
        return None


def _of_delayed(delayed: DelayedJob) -> Whereabouts | None:
    if delayed.job is None:
        return None
    return Whereabouts(Place(Kind.DELAYED), delayed.raw, delayed.job, delayed)


def _of_retry(retry: WaitingRetry) -> Whereabouts | None:
    return None if retry.job is None else Whereabouts(Place(Kind.RETRIES), retry.raw, retry.job, retry)


def _of_failure(failure: Failure) -> Whereabouts | None:
    if failure.job is None:
        return None
    return Whereabouts(Place(Kind.FAILED), failure.raw, failure.job, failure)


# -- everywhere --------------------------------------------------------------------------------------------------------


def look_up(job_id: str) -> Known:
    """The same, and however long it takes: where a glance does not reach, all is looked through. Raises a
    `StoreError`."""
    known = glance(job_id)
    if known.found is not None or known.whole:
        return known
    seen = known.seen
    places = iter(()) if seen is not None and seen.ended else _everywhere(job_id, seen)
    found = next(places, None)
    if found is None and (seen is None or not seen.ended or may_have_failure(seen)):
        found = next(filter(None, map(_of_failure, _failures_of(job_id))), None)
    return Known(known.id, known.time, seen, known.status, known.output, found, True, known.trouble)


def _everywhere(job_id: str, seen: Seen | None) -> Iterator[Whereabouts]:
    def is_it(job: Job) -> bool:
        return job.id == job_id

    for worker in store().workers.all(MOST_WORKERS):
        if worker.job is not None and is_it(worker.job):
            yield Whereabouts(Place(Kind.WORKER, worker.id), b"", worker.job)
    queues = store().queues.in_use()
    if seen is not None and seen.queue in queues:
        queues = [seen.queue, *(name for name in queues if name != seen.queue)]
    for name in queues:
        for found in store().queues.find(name, is_it):
            if found.job is not None:
                yield Whereabouts(Place(Kind.QUEUE, name), found.raw, found.job)
    yield from filter(None, map(_of_delayed, store().delayed.find(is_it)))
    yield from filter(None, map(_of_retry, store().retries.find(is_it)))
    for key in store().parked.names():
        for window in store().parked.windows(key):
            for raw in window.elements:
                job = store().parked.read(raw).job
                if job is not None and is_it(job):
                    yield Whereabouts(Place(Kind.PARKED, key), raw, job)


def _failures_of(job_id: str) -> Iterator[Failure]:
    return (each for each in store().failures.iterate() if each.job is not None and each.job.id == job_id)


# -- taking it away ----------------------------------------------------------------------------------------------------


def take_out(found: Whereabouts) -> bool:
    """Take a job out of its queue, or out of those that are parked, by its exact bytes; its status says so. False when
    it is not there any more: it is performed then. Raises a `StoreError`, also where no job waits in such a place."""
    place, element = found.place, Found(found.raw, found.job)
    match place.kind:
        case Kind.QUEUE:
            return store().ask(store().queues.dequeue(place.name, [element])) == [True]
        case Kind.PARKED:
            return store().ask(store().parked.dequeue(place.name, [element])) == [True]
    raise StoreError(f"{found.job} is not in a queue, but at {place}")
