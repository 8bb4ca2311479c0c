"""The attempts to perform a job, as far as anybody has told of them: its status, its payload, its failure record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from ..failure import Failure, parse_time
from ..job import Job
from ..status import Status
from ..store import Seen
from ..whereabouts import Known
from .redaction import Redactor
from .text import MESSAGE, Time, duration, from_unix, line, number

MOST = 100
"""Attempts that are shown, the last ones."""
MOST_ATTEMPTS = 1_000_000


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt; what nobody has told is empty. ``running``: it goes on, since it ``began``."""

    number: str
    worker: str
    began: Time | None
    took: str
    outcome: str
    error: str = ""
    running: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True)
class _Told:
    """What is told of one attempt, before it is fit for a page."""

    worker: str = ""
    begun: datetime | None = None
    duration: float | None = None
    outcome: str = ""
    error: str = ""
    running: bool = False
    failed: bool = False


def attempts_of(known: Known, redactor: Redactor) -> list[Attempt]:
    """All attempts that are known of, the first one first."""
    job = known.found.job if known.found else None
    failure = known.found.failure if known.found else None
    told: dict[int, _Told] = {}
    for number_, each in _history(job, failure):
        told[number_] = each
    if failure is not None:
        last = _count(failure.extra.get("attempts")) or max(told, default=0) + 1
        told[last] = _failed(failure)
    if known.seen is not None and (known.seen.attempt or known.seen.worker):
        last = known.seen.attempt if 0 < known.seen.attempt < MOST_ATTEMPTS else 1
        told[last] = _with_status(told.get(last), known.seen)
    return [_shown(at, told[at], redactor, job, known.time) for at in sorted(told)[-MOST:]]


def _history(job: Job | None, failure: Failure | None) -> Iterator[tuple[int, _Told]]:
    """The failed attempts before the last one, as the worker writes them into payloads and failure records."""
    found = failure.extra.get("history") if failure is not None else None
    if not isinstance(found, list) and job is not None:
        found = job.extra.get("history")
    for each in found[-MOST:] if isinstance(found, list) else ():
        count = _count(each.get("attempt")) if isinstance(each, dict) else 0
        if count:
            yield count, _of_history(each)


def _of_history(each: Mapping[str, Any]) -> _Told:
    took = each.get("duration")
    seconds = took if isinstance(took, (int, float)) and not isinstance(took, bool) and 0 <= took < 1e9 else None
    return _Told(
        worker=_text(each.get("worker")),
        begun=_before(parse_time(each.get("failed_at")), seconds),
        duration=seconds,
        outcome=_("failed"),
        error=_error(_text(each.get("exception")), _text(each.get("error"))),
        failed=True,
    )


def _failed(failure: Failure) -> _Told:
    return _Told(
        worker=failure.worker,
        outcome=_("failed"),
        error=_error(failure.exception, failure.error),
        failed=True,
    )


def _with_status(told: _Told | None, seen: Seen) -> _Told:
    """What the status says of the last attempt; the message of a failed one is known from elsewhere."""
    running = seen.status is Status.RUNNING
    failed = seen.status in (Status.FAILED, Status.SCHEDULED)
    outcome = {
        Status.RUNNING: _("running"),
        Status.COMPLETE: _("done"),
        Status.FAILED: _("ended on demand") if seen.outcome == "cancelled" else _("failed"),
        Status.SCHEDULED: _("failed"),
    }.get(seen.status, "")
    known = told if told is not None and failed else _Told()
    return replace(
        known,
        worker=seen.worker or known.worker,
        begun=from_unix(seen.begun) or known.begun,
        duration=known.duration if running or seen.duration is None else seen.duration,
        outcome=outcome,
        running=running,
        failed=failed,
    )


def _shown(at: int, told: _Told, redactor: Redactor, job: Job | None, now: datetime) -> Attempt:
    return Attempt(
        number=number(at),
        worker=line(told.worker),
        began=Time.of(told.begun, now) if told.begun else None,
        took=duration(told.duration) if told.duration is not None and told.duration >= 0 else "",
        outcome=told.outcome,
        error=line(redactor.text(told.error[:MESSAGE], job), MESSAGE),
        running=told.running,
        failed=told.failed,
    )


def _error(exception: str, message: str) -> str:
    return f"{exception}: {message}" if exception and message else exception or message


def _before(moment: datetime | None, seconds: float | None) -> datetime | None:
    try:
        return None if moment is None or seconds is None else moment - timedelta(seconds=seconds)
    except OverflowError:
        return None


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < MOST_ATTEMPTS else 0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
