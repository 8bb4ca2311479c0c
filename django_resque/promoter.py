"""Puts delayed jobs on their queues when they are due, and jobs that are to be tried again.

One for each dispatcher; any number of them, and other programs' schedulers, may be at it at the same time: what moves a
job is a script that looks whether it is still there.
"""

from __future__ import annotations

import time as clocks
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from . import log
from .errors import DontCreate, InvalidPayload, StoreError
from .failure import failure_record, message_of
from .job import Job
from .signals import before_delayed_enqueue
from .status import Status, status_record
from .store import DelayedJob, Due, Promoted, Promotion, Request, Revived, Store
from .store.delayed import cancelled_status, holder_of
from .tracking import TrackedJob

LOOK_EVERY = 5.0
"""Seconds after which it looks although nothing is known to be due: that renews the schedulers' locks, and shows the
boards that somebody cares."""
LAG = 0.4
"""Seconds by which all but one of our processes leave what is due to that one, which has the schedulers' lock."""
AFTER_FAILURE = 1.0
"""Seconds without a request after one that was not answered."""
AT_ONCE = 200
"""Jobs in one request."""
REMIND = 60.0
"""Seconds in which the same trouble is not said twice."""


class Promoter:
    """Promotes through ``ask``, which carries out a request and calls back with what it gives, or with None when Redis
    did not answer or refused; one request at a time.

    ``identity`` tells this process from all others, as ``<host>:<pid>:<random>``. ``clock`` is the monotonic one, that
    the moments given to the methods are read from.
    """

    def __init__(
        self,
        store: Store,
        ask: Callable[[Request[Any], Callable[[Any], None]], None],
        *,
        identity: str,
        clock: Callable[[], float] = clocks.monotonic,
    ) -> None:
        self._store = store
        self._ask = ask
        self._identity = identity
        self._clock = clock
        self._look_at = 0.0
        self._delayed_at: float | None = None
        self._retries_at: float | None = None
        self._wait_until = 0.0
        self._to_promote: list[tuple[Promotion, Job | None, BaseException | None]] = []
        self._broken: set[str] = set()
        self._leads = False
        self._holder = ""
        self._said: dict[str, float] = {}

    def look(self, *, due: float | None, retry_due: float | None, time: float, now: float) -> None:
        """Take note of when the first delayed job and the first retry are due (unix times; None: there is none), as
        read at the server's ``time`` and our monotonic ``now``."""
        self._delayed_at = None if due is None or self._holder else now + due - time
        self._retries_at = None if retry_due is None else now + retry_due - time

    def expect_retry(self, at: float) -> None:
        """Take note that there is a retry that is due at this monotonic moment."""
        self._retries_at = at if self._retries_at is None else min(at, self._retries_at)

    @property
    def next_at(self) -> float:
        """When it next has something to do, monotonic; never before the job that is due then."""
        if self._to_promote:
            return self._wait_until
        return max(self._wait_until, min(self._next_look, self._next_revival))

    @property
    def _next_look(self) -> float:
        if self._delayed_at is None:
            return self._look_at
        return min(self._look_at, self._delayed_at + (0 if self._leads else LAG))

    @property
    def _next_revival(self) -> float:
        return float("inf") if self._retries_at is None else self._retries_at

    def has_work(self, now: float) -> bool:
        """Whether `work` has something to do."""
        return now >= self.next_at

    def work(self, now: float) -> None:
        """Make the next request."""
        delayed = self._store.delayed
        if self._to_promote:
            batch, self._to_promote = self._to_promote, []
            request: Request[Any] = delayed.promote([promotion for promotion, _, _ in batch])
            self._ask(request, lambda promoted: self._promoted(batch, promoted))
        elif self._next_revival < self._next_look and self._next_revival <= now:
            self._ask(self._store.retries.revive(AT_ONCE), self._revived)
        else:
            self._ask(delayed.due(f"django:{self._identity}", AT_ONCE), self._found)

    def release(self) -> Request[int]:
        """What gives up the schedulers' locks, unless others of our processes need them. To be asked at the end, while
        the process is still registered."""
        return self._store.delayed.release()

    # -- what is due ---------------------------------------------------------------------------------------------------

    def _found(self, due: Due | None) -> None:
        now = self._clock()
        if due is None:
            self._wait_until = self._look_at = now + AFTER_FAILURE
            self._delayed_at = None  # so that retries, which may be there to be read, have their turn
            return
        self._look_at = now + LOOK_EVERY
        self._leads = due.leads
        self._pass_on(due.holder)
        self._mention(due.trouble)
        heard = before_delayed_enqueue.has_listeners(Job)
        self._to_promote = [self._decide(second, raw, heard=heard) for second, raw in due.items]
        if not due.items:
            self._broken.clear()
        self._delayed_at = None if due.left is None else now + due.left - due.time
        self._retries_at = None if due.retry is None else now + due.retry - due.time

    def _decide(self, second: int, raw: bytes, *, heard: bool) -> tuple[Promotion, Job | None, BaseException | None]:
        delayed = DelayedJob.read(second, raw)
        job, queue = delayed.job, delayed.queue
        if not queue:
            error: BaseException | None = InvalidPayload(f"This delayed job cannot go to a queue: {delayed.problem}")
            return Promotion(second, raw, record=self._record(raw, "", error)), None, error
        if job is None:
            error = StoreError(f"{self._store.keys.queue(queue)} is no list") if queue in self._broken else None
            return Promotion(second, raw, queue, record=self._record(raw, queue, error)), None, error
        error = _objection(job) if heard else None
        if isinstance(error, DontCreate):
            return (
                Promotion(second, raw, "", job.status_id, b"", cancelled_status(job), b"", holder_of(job)),
                job,
                error,
            )
        waiting = status_record(Status.WAITING, job)
        if error is None and queue not in self._broken:
            return Promotion(second, raw, queue, job.status_id, waiting), job, None
        to = queue if error is None else ""
        error = error or StoreError(f"{self._store.keys.queue(queue)} is no list: the job cannot go there")
        ended = status_record(Status.FAILED, job)
        record = self._record(raw, queue, error)
        return Promotion(second, raw, to, job.status_id, waiting, ended, record, holder_of(job)), job, error

    def _record(self, raw: bytes, queue: str, error: BaseException | None) -> bytes:
        if error is None:
            return b""
        return failure_record(
            payload=raw,
            queue=queue,
            worker=self._identity,
            exception=type(error).__name__,
            error=message_of(error),
            backtrace=[] if error.__traceback__ is None else traceback.format_tb(error.__traceback__),
            now=datetime.now(UTC),
        )

    def _promoted(
        self, batch: Sequence[tuple[Promotion, Job | None, BaseException | None]], promoted: Promoted | None
    ) -> None:
        now = self._clock()
        if promoted is None:  # what of it was done will not be found again
            self._wait_until = now + AFTER_FAILURE
            self._delayed_at = now
            return
        self._mention(promoted.trouble)
        for (promotion, job, error), outcome in zip(batch, promoted.outcomes, strict=True):
            if outcome == "w":
                self._broken.add(promotion.queue)
                self._delayed_at = now
            elif outcome == "d" and job is not None:
                log.delayed_job_dropped(job)
            elif outcome == "f" and error is not None:
                if job is None:
                    log.delayed_item_failed(promotion.second, error)
                else:
                    log.job_failed(job, error, 0.0)

    def _revived(self, revived: Revived | None) -> None:
        now = self._clock()
        if revived is None:
            self._wait_until = now + AFTER_FAILURE
            return
        self._mention(revived.trouble)
        self._retries_at = None if revived.left is None else now + revived.left - revived.time

    # -- what there is to say ------------------------------------------------------------------------------------------

    def _pass_on(self, holder: str) -> None:
        if holder and holder != self._holder:
            log.delayed_left_to(holder)
        elif self._holder and not holder:
            log.delayed_taken_over()
        self._holder = holder

    def _mention(self, trouble: Sequence[str]) -> None:
        now = self._clock()
        for message in trouble:
            if now >= self._said.get(message, 0.0):
                if len(self._said) > 100:
                    self._said.clear()
                self._said[message] = now + REMIND
                log.redis_trouble(message)


def _objection(job: Job) -> BaseException | None:
    """What a receiver of ``before_delayed_enqueue`` has against ``job``."""
    try:
        before_delayed_enqueue.send(sender=TrackedJob, job=TrackedJob.of(job))
    except BaseException as error:  # a receiver may raise anything, SystemExit too: it concerns this job alone
        return error
    return None
