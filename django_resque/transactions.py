"""Pushing jobs when the database transactions that are open have been committed.

A callback is registered at once on *every* connection with an open transaction, and the last one that fires pushes. A
rollback, of a savepoint too, needs no code: Django drops the callback, so the last one never fires. The other way,
registering on one connection and from its callback on the next, would push in spite of a rollback on the second that
comes before the commit on the first; this one is right in whatever order they end.

Two limits are Django's own. With autocommit off and no ``atomic()`` there are no callbacks; enqueueing is refused
there. And somebody else's callback that raises, and is not a ``robust`` one, keeps those behind it from being called.
"""

from __future__ import annotations

import sys
import time
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from . import log
from .errors import EnqueueError, InvalidJob
from .job import Job
from .signals import after_enqueue, after_schedule, enqueue_failed
from .store import Outgoing, store
from .store.outbox import opened_by_a_test_case, outbox
from .tracking import TrackedJob


def push(items: Sequence[Outgoing]) -> None:
    """Push jobs now. Raises `EnqueueError`."""
    others: Mapping[int, str] = {}
    if outbox.in_use:
        outbox.collect(item.job for item in items)
        for item in items:
            if item.delayed and isinstance(item.job, TrackedJob):
                item.job.collected(time.time() + item.delay if item.delay is not None else item.due)
    else:
        others = store().producers.push(items)
        for place, job_id in others.items():
            # Its caller has had it since before the commit, and it stands for the one that waits in its place.
            object.__setattr__(items[place].job, "id", job_id)
    _tell([item for place, item in enumerate(items) if place not in others] if others else items)


def _tell(items: Sequence[Outgoing]) -> None:
    """Tell who wants to know what has been pushed."""
    if after_enqueue.receivers or after_schedule.receivers:
        for item in items:
            job = TrackedJob.of(item.job)
            log.receivers_failed(after_enqueue.send_robust(TrackedJob, job=job), job)
            if item.delayed:
                log.receivers_failed(after_schedule.send_robust(TrackedJob, job=job, due=item.due), job)


def push_after_commit(items: Sequence[Outgoing]) -> None:
    """Push jobs when every transaction that is open now has been committed; now, when none is open."""
    waiting = list(open_transactions())
    if not waiting:
        push(items)
    elif outbox.in_use and any(map(_inside_a_test_case, waiting)):
        _collect_until_rollback([item.job for item in items], waiting)
    else:
        _Batch.to_join(waiting).add(items)


def open_transactions() -> Iterable[BaseDatabaseWrapper]:
    """The connections of this thread on which a transaction is open, other than one that a ``TestCase`` has opened
    around a test. Raises `InvalidJob` for one whose commit Django would not report."""
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            if not all(map(opened_by_a_test_case, connection.atomic_blocks)):
                yield connection
        elif connection.connection is not None and not connection.autocommit:
            raise InvalidJob(
                f"The connection {connection.alias!r} has autocommit switched off, so that nobody can say when its"
                " transaction is committed: enqueue inside transaction.atomic(), or after the commit with"
                " using(on_commit=False)"
            )


def _inside_a_test_case(connection: BaseDatabaseWrapper) -> bool:
    return any(map(opened_by_a_test_case, connection.atomic_blocks))


class _Batch:
    """Jobs that wait for the same transactions, in order."""

    def __init__(self, waiting: Sequence[BaseDatabaseWrapper]) -> None:
        self.items: list[Outgoing] = []
        self.awaited = len(waiting)
        for connection in waiting:
            connection.on_commit(_Commit(self).happened, robust=True)

    @classmethod
    def to_join(cls, waiting: Sequence[BaseDatabaseWrapper]) -> _Batch:
        """The batch of the enqueue before, when it waits for the same and nothing was registered in between; else a
        new one."""
        batch, *others = map(_batch_at_the_end, waiting)
        if batch is not None and batch.awaited == len(waiting) and all(other is batch for other in others):
            return batch
        return cls(waiting)

    def add(self, items: Sequence[Outgoing]) -> None:
        self.items += items

    def committed(self) -> None:
        """One more of the transactions has been committed. The last one pushes."""
        self.awaited -= 1
        if self.awaited:
            return
        try:
            push(self.items)
        except EnqueueError as error:
            _report(error, self.items)
        except Exception as error:  # whatever it was, these jobs are lost unless it is told here
            failure = EnqueueError(f"Not pushed: {error}", tuple(item.job for item in self.items))
            failure.__cause__ = error
            _report(failure, self.items)


class _Commit:
    """The callback for one connection's commit. Django alone holds it, and drops it at a rollback."""

    __slots__ = ("_fired", "batch")

    def __init__(self, batch: _Batch) -> None:
        self.batch = batch
        self._fired = False

    def happened(self) -> None:
        if not self._fired:  # captureOnCommitCallbacks(execute=True), nested, calls it more than once
            self._fired = True
            self.batch.committed()


def _batch_at_the_end(connection: BaseDatabaseWrapper) -> _Batch | None:
    """The batch whose callback is the last one that was registered on the connection, in the same savepoints.

    Inside a ``TestCase`` None: ``captureOnCommitCallbacks`` counts the callbacks that are new.
    """
    if not connection.run_on_commit or _inside_a_test_case(connection):
        return None
    savepoints, callback, *_ = connection.run_on_commit[-1]
    commit = getattr(callback, "__self__", None)
    return commit.batch if isinstance(commit, _Commit) and savepoints == set(connection.savepoint_ids) else None


# -- a push that failed ------------------------------------------------------------------------------------------------


def _report(error: EnqueueError, items: Sequence[Outgoing]) -> None:
    """Tell everybody that jobs whose transaction is committed were not pushed."""
    lost = {job.id for job in error.jobs}
    for item in items:
        if item.job.id in lost:
            log.push_failed(item.job, item.payload, error)
            enqueue_failed.send_robust(TrackedJob, job=TrackedJob.of(item.job), error=error)
    _raise_after_the_other_callbacks(error)


def _raise_after_the_other_callbacks(error: EnqueueError) -> None:
    """Let ``error`` come out of the commit, behind every callback that is registered already.

    Django goes through a list that only its own frame knows, and a new callback would be called on the spot. Without
    that frame the error is raised here, and Django logs it, the callback being a robust one.
    """

    def raise_error() -> None:
        raise error

    frame = sys._getframe().f_back
    while frame is not None:
        if frame.f_code.co_name == "run_and_clear_commit_hooks" and "current_run_on_commit" in frame.f_locals:
            frame.f_locals["current_run_on_commit"].append((set(), raise_error, False))
            return
        frame = frame.f_back
    raise_error()


# -- in the outbox of a test -------------------------------------------------------------------------------------------


def _collect_until_rollback(jobs: list[Job], waiting: Sequence[BaseDatabaseWrapper]) -> None:
    """Collect jobs at once, and take them out again when Django drops one of the callbacks uncalled."""
    outbox.collect(jobs)
    for connection in waiting:
        connection.on_commit(_Kept(jobs).happened, robust=True)


class _Kept:
    """The callback of jobs that are in the outbox already."""

    def __init__(self, jobs: list[Job]) -> None:
        self._discard: Any = weakref.finalize(self, outbox.discard, jobs)
        self._discard.atexit = False

    def happened(self) -> None:
        self._discard.detach()
