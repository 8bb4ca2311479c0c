"""A job, and what becomes of it."""

from __future__ import annotations

import time
from typing import Any, Self

from .errors import ResqueError
from .job import Job
from .status import Status
from .store import Seen, store
from .store.outbox import outbox

LOOK_AGAIN = 5.0
"""Seconds between two looks at the status of a job that is waited for, for the case that its end was not heard."""


class TrackedJob(Job):
    """A job, and what is known of its life.

    Redis is asked when the first of `status`, `result`, … is read; from then on they say the same, until `refresh`.
    Statuses are kept for ``STATUS_TTL`` seconds after the end, those of failures for a day at least.
    """

    __slots__ = ("_seen",)

    @classmethod
    def get(cls, job_id: str) -> Self | None:
        """The job with this id; None when nothing is known of it, or not any more.

        Its arguments are not kept with its status: ``args`` and ``options`` are empty. Raises a `StoreError`.
        """
        if outbox.in_use:
            return next((cls.of(job) for job in outbox if job.id == job_id), None)
        seen = store().statuses.seen(job_id)
        if seen is None:
            return None
        job = cls(command=seen.command, queue=seen.queue, id=job_id, enqueued_at=seen.enqueued_at or 0.0)
        object.__setattr__(job, "_seen", seen)
        return job

    @classmethod
    def of(cls, job: Job) -> Self:
        """The same job, of this class."""
        if isinstance(job, cls):
            return job
        return cls(job.command, job.args, job.options, job.queue, job.id, job.enqueued_at, job.extra)

    def refresh(self) -> Self:
        """Look up what is known of the job now. Gives the job itself. Raises a `StoreError`."""
        if outbox.in_use:
            due = self._seen.due if hasattr(self, "_seen") else None
            found = Status.UNKNOWN
            if any(job.id == self.id for job in outbox):
                found = Status.WAITING if due is None else Status.SCHEDULED
            self._note(Seen(self.status_id, found, due=due))
        else:
            self._note(store().statuses.seen(self.status_id))
        return self

    def collected(self, due: float | None) -> None:
        """It is in the outbox of the tests, ``due`` at this unix time or at once."""
        self._note(Seen(self.status_id, Status.WAITING if due is None else Status.SCHEDULED, due=due))

    def _note(self, seen: Seen | None) -> Seen:
        known = Seen(self.status_id, Status.UNKNOWN) if seen is None else seen
        object.__setattr__(self, "_seen", known)
        return known

    @property
    def seen(self) -> Seen:
        """All that was known of the job when it was looked up."""
        try:
            return self._seen  # type: ignore[attr-defined,no-any-return]
        except AttributeError:
            return self.refresh().seen

    @property
    def status(self) -> Status:
        """Where in its life the job is; ``Status.UNKNOWN`` before it is pushed, when it is not tracked, or after too
        long a time."""
        return self.seen.status

    @property
    def result(self) -> Any:
        """What the command returned, or has set as its result; None when there is none (yet)."""
        return self.seen.result

    @property
    def progress(self) -> tuple[float, float | None, str] | None:
        """How much is done, of how much (None: not known), and a message; None when the job has not said."""
        return self.seen.progress

    @property
    def outcome(self) -> str:
        """How the job ended when it did not by itself: ``expired``, ``cancelled``, or ``not performed`` because a
        receiver did not want it; else empty."""
        return self.seen.outcome

    @property
    def due(self) -> float | None:
        """When a job with the status SCHEDULED is going to its queue (unix time); None when that is not known."""
        return self.seen.due

    @property
    def attempts(self) -> int:
        """How often the job has been tried, the present attempt included; 0 before it has begun."""
        return self.seen.attempt

    @property
    def worker(self) -> str:
        """The id of the worker that performs, or has last performed, the job; empty when none has."""
        return self.seen.worker

    @property
    def begun(self) -> float | None:
        """When the last attempt began (unix time); None before the first."""
        return self.seen.begun

    @property
    def finished(self) -> float | None:
        """When the job ended (unix time); None as long as it has not."""
        return self.seen.finished

    @property
    def duration(self) -> float | None:
        """How long the last attempt took, in seconds; None as long as that is not known."""
        return self.seen.duration

    @property
    def output(self) -> str:
        """The end of what the job has written so far, up to 64 KB, read anew each time. It is kept for a day."""
        if outbox.in_use:
            return ""
        return str(store().statuses.output(self.status_id), "utf-8", "replace")

    def wait(self, timeout: float | None = None) -> Status:
        """Wait until the job has ended, and give ``Status.COMPLETE`` or ``Status.FAILED``; or UNKNOWN, when its
        status went away meanwhile.

        Raises ``TimeoutError`` after ``timeout`` seconds (None: never). A job that is to be tried again has not ended.
        One whose status is not known, because the transaction it waits for is still open, is waited for. Raises
        `ResqueError` when the job is not tracked, so that nobody would ever know, and a `StoreError`.
        """
        if self.extra.get("track") is False:
            raise ResqueError(f"{self} is not tracked, so its end cannot be waited for")
        if outbox.in_use:
            raise TimeoutError(f"{self} is in the outbox of the tests, where nobody performs it")
        deadline = None if timeout is None else time.monotonic() + timeout
        known = False
        with store().statuses.ending(self.status_id) as ending:
            while True:
                seen = self._note(ending.look())
                if seen.ended or (known and seen.status is Status.UNKNOWN):
                    return seen.status
                known = known or seen.status is not Status.UNKNOWN
                left = LOOK_AGAIN if deadline is None else min(LOOK_AGAIN, deadline - time.monotonic())
                if timeout is not None and left <= 0:
                    raise TimeoutError(f"{self} has not ended within {timeout:g} s, it is {seen.status.word}")
                ending.wait(left)
