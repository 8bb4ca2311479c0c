"""Jobs, failures and statuses as objects for programs, and as words for people.

All times are unix times, in seconds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..command_line import line_of
from ..failure import Failure
from ..job import Job, digest
from ..log_format import clean
from ..store import Found, Seen

SHORT = 12
"""Hexadecimal digits of a digest that are shown; as many as one likes can be typed."""


def job_record(job: Job) -> dict[str, Any]:
    """A job as an object; ``extra`` are its limits, and what others have written into its payload."""
    return {
        "id": job.id,
        "command": job.command,
        "args": list(job.args),
        "options": dict(job.options),
        "queue": job.queue,
        "enqueued_at": job.enqueued_at or None,
        "extra": {key: value for key, value in job.extra.items() if key != "queue"},  # a delayed one names it there
    }


def found_record(found: Found, queue: str) -> dict[str, Any]:
    """A job that waits in ``queue``; one that cannot be read has its bytes as text under ``raw`` instead."""
    if found.job is None:
        return {"queue": queue, "raw": str(found.raw, "utf-8", "backslashreplace")}
    return job_record(found.job)


def failure_record(failure: Failure, *, in_full: bool = False) -> dict[str, Any]:
    """A failure as an object, with traceback, output and all else when it is wanted ``in_full``."""
    job = failure.job
    record: dict[str, Any] = {
        "digest": failure.digest,
        "failed_at": unix(failure.failed_at),
        "exception": failure.exception,
        "error": failure.error,
        "command": job.command if job else None,
        "args": list(job.args) if job else None,
        "options": dict(job.options) if job else None,
        "id": job.id if job else None,
        "queue": failure.queue,
        "worker": failure.worker,
    }
    if in_full:
        record |= {"backtrace": list(failure.backtrace), "extra": dict(failure.extra)}
    return record


def seen_record(seen: Seen) -> dict[str, Any]:
    """What is known of a job as an object."""
    progress = seen.progress
    return {
        "id": seen.id,
        "status": seen.status.word,
        "command": seen.command,
        "queue": seen.queue,
        "enqueued_at": seen.enqueued_at,
        "due": seen.due,
        "begun": seen.begun,
        "finished": seen.finished,
        "duration": seen.duration,
        "attempt": seen.attempt,
        "worker": seen.worker,
        "outcome": seen.outcome,
        "progress": None if progress is None else {"done": progress[0], "total": progress[1], "message": progress[2]},
        "result": seen.result,
        "updated": seen.updated,
    }


def unix(moment: datetime | None) -> float | None:
    """A moment as unix time."""
    return None if moment is None else moment.timestamp()


# -- words -------------------------------------------------------------------------------------------------------------


def line_of_found(found: Found, *, limit: int = 0) -> str:
    """The same for what stands in a queue."""
    if found.job is not None:
        return line_of(found.job, limit=limit)
    return f"(no job: {str(found.raw[:60], 'utf-8', 'backslashreplace')})"


def exception_of(failure: Failure) -> str:
    """What went wrong, on one line: the exception, without its module, and its message."""
    return clean(f"{failure.exception.rpartition('.')[2]}: {failure.error}")


def id_of(raw: bytes, job: Job | None) -> str:
    """By what a job that waits is named: its id, or the beginning of the SHA-1 of its bytes when it has none."""
    return job.id if job is not None and job.id.encode() in raw else digest(raw)[:SHORT]


def progress_of(seen: Seen) -> str:
    """How far a job is, in words."""
    if seen.progress is None:
        return ""
    done, total, message = seen.progress
    share = f"{done:,g}" if not total else f"{done:,g} of {total:,g} ({done / total:.0%})"
    return f"{share} {message}".rstrip()
