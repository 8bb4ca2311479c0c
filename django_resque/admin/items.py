"""Jobs in all their states, as the dashboard names, filters and shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from ..command_line import line_of
from ..failure import Failure
from ..job import Job, digest
from ..limits import failed_attempts
from ..store import DelayedJob, Seen, WaitingRetry, Worker
from ..store.failures import why_not_retried
from ..store.parked import Parked
from ..store.processes import process_of
from ..store.removal import Found, read_payload
from .redaction import Redactor
from .text import LINE, MESSAGE, from_unix, line, number

Later = DelayedJob | WaitingRetry
"""What waits for its time."""


@dataclass(frozen=True, slots=True)
class Item:
    """A job in some state; what is not known is empty, None or 0.

    ``key`` is what it is named by in forms, ``raw`` the bytes in which it stands. ``job`` is None where none can be
    read, or its arguments are not kept. ``came`` is when it came into this state or, as long as it has not begun, when
    it was enqueued; ``time`` is what a list shows, which may be to come (unix times). ``took`` is in seconds,
    ``attempt`` which one it is, was or will be, ``outcome`` how it ended when it did not by itself, or why it is none.
    ``remark`` may hold what not everybody may see. ``goes``: it could be put on a queue, now or again.
    """

    key: str
    raw: bytes
    job: Job | None
    id: str
    command: str
    queue: str
    came: float | None
    time: float | None
    attempt: int = 0
    worker: str = ""
    took: float | None = None
    outcome: str = ""
    remark: str = ""
    goes: bool = True

    def line(self, redactor: Redactor, limit: int = LINE) -> str:
        """The line that one would type; what is no job as it is, for those who may see everything."""
        if self.job is not None:
            return line(line_of(redactor.job(self.job), limit=limit), limit)
        if self.command:
            return line(self.command, limit)
        if redactor.reveal and self.raw:
            return line(self.raw[:MESSAGE].decode(errors="backslashreplace"), limit)
        return _("%(count)s bytes") % {"count": number(len(self.raw))} if self.raw else _("(unreadable)")

    def note(self, redactor: Redactor) -> str:
        """Outcome and remark, as far as the visitor may see them."""
        remark = redactor.told(self.remark[: 10 * MESSAGE], self.command, self.job)
        return line(" · ".join(text for text in (self.outcome, remark) if text))


def queued(raw: bytes, queue: str, key: str) -> Item:
    """An element of a queue."""
    return _waiting(read_payload(raw, queue), queue, key)


def parked(raw: bytes, key: str) -> Item:
    """A job that waits for a permit."""
    name, _feed, _payload = raw.partition(b"\n")
    return _waiting(Parked.read(raw), str(name, "utf-8", "replace"), key)


def _waiting(found: Found, queue: str, key: str) -> Item:
    raw, job = found
    came = None if job is None else job.enqueued_at or None
    return Item(
        key=key,
        raw=raw,
        job=job,
        id=_id(job, raw),
        command=job.command if job else "",
        queue=queue,
        came=came,
        time=came,
        attempt=failed_attempts(job) + 1 if job else 0,
    )


def later(waiting: Later) -> Item:
    """A job that is delayed, or to be tried again; its key begins with the second of a delayed one."""
    job, sha = waiting.job, digest(waiting.raw)
    return Item(
        key=f"{waiting.second}-{sha}" if isinstance(waiting, DelayedJob) else sha,
        raw=waiting.raw,
        job=job,
        id=_id(job, waiting.raw),
        command=job.command if job else "",
        queue=waiting.queue,
        came=job.enqueued_at or None if job else None,
        time=waiting.due,
        attempt=failed_attempts(job) + 1 if job else 1,
        outcome=" · ".join(_oddities(waiting)),
        remark=_last_error(job) if job else "",
        goes=bool(waiting.queue),
    )


def _oddities(waiting: Later) -> Iterator[str]:
    if isinstance(waiting, DelayedJob) and waiting.problem:
        yield waiting.problem
    elif not waiting.queue:
        yield _("It names no queue.")
    if from_unix(waiting.due) is None:
        yield _("No calendar has the second %(second)s.") % {"second": f"{waiting.due:.0f}"}


def running(worker: Worker) -> Item | None:
    """What a worker says that it performs; without a key where it cannot be ended: other programs' workers take no
    messages. None when it performs nothing."""
    job = worker.job
    if job is None and worker.run_at is None:
        return None
    since = worker.run_at.timestamp() if worker.run_at else None
    return Item(
        key=job.id if job and process_of(worker.id) else "",
        raw=b"",
        job=job,
        id=job.id if job else "",
        command=job.command if job else "",
        queue=job.queue if job else "",
        came=since,
        time=since,
        attempt=failed_attempts(job) + 1 if job else 0,
        worker=worker.id,
    )


def unknown(job_id: str) -> Item:
    """A job of which nothing but its id is known."""
    return Item(key=job_id, raw=b"", job=None, id=job_id, command="", queue="", came=None, time=None)


def ended(raw: bytes) -> Item:
    """The status of a job that has ended. Its arguments are not in it."""
    seen = Seen.from_json(raw)
    return Item(
        key=seen.id,
        raw=raw,
        job=None,
        id=seen.id,
        command=seen.command,
        queue=seen.queue,
        came=seen.finished,
        time=seen.finished,
        attempt=seen.attempt,
        worker=seen.worker,
        took=seen.duration,
        outcome=seen.outcome,
    )


def failed(failure: Failure) -> Item:
    """A failure record."""
    job = failure.job
    at = failure.failed_at.timestamp() if failure.failed_at else None
    return Item(
        key=failure.digest,
        raw=failure.raw,
        job=job,
        id=failure.job_id,
        command=job.command if job else "",
        queue=failure.queue,
        came=at,
        time=at,
        attempt=attempts_of(failure),
        worker=failure.worker,
        remark=_error({"exception": failure.exception, "error": failure.error}),
        goes=not why_not_retried(failure),
    )


def attempts_of(failure: Failure) -> int:
    """How often the job was tried; 0 where that is not known: other programs do not tell."""
    told = failure.extra.get("attempts")
    if type(told) is int and 0 < told < 1_000_000:
        return told
    return failed_attempts(failure.job) + 1 if failure.job is not None and failure.is_ours else 0


def _id(job: Job | None, raw: bytes) -> str:
    """Empty where it came without one: it is given another one each time it is read."""
    return job.id if job is not None and job.id.encode() in raw else ""


def _last_error(job: Job) -> str:
    history = job.extra.get("history")
    last: Any = history[-1] if isinstance(history, list) and history else None
    return _error(last) if isinstance(last, Mapping) else ""


def _error(record: Mapping[str, Any]) -> str:
    said = (record.get(name) for name in ("exception", "error"))
    return ": ".join(text for text in said if isinstance(text, str) and text)
