"""All that one failure says, fit for a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from ..command_line import line_of
from ..failure import Failure, parse_time
from ..job import Job
from ..store.failures import why_not_retried
from .failure_rows import LARGE, buttons_of, queue_url_of
from .failure_search import FailureSearch, can_be_asked_for
from .items import attempts_of
from .page import Button
from .redaction import HIDDEN, Redactor
from .text import MESSAGE, Time, block, line, number
from .visit import Visit

MOST_ATTEMPTS = 100
MOST_TEXTS = 300
"""Texts of a record in which values are hidden one by one; those behind them are hidden altogether."""
COMMAND_LINE = 1_000


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt before the last one."""

    number: str
    time: Time | None
    exception: str
    error: str


@dataclass(frozen=True, slots=True)
class FailureDetails:
    """A failure on a page of its own; any of it may be empty, and addresses are where there is nothing to link to."""

    digest: str
    command: str
    command_url: str
    command_line: str
    id: str
    job_url: str
    exception: str
    group_url: str
    error: str
    time: Time | None
    queue: str
    queue_url: str
    worker: str
    attempts: str
    exit_status: str
    signal: str
    retried_at: str
    backtrace: str
    output: str
    history: Sequence[Attempt]
    arguments: str
    raw: str
    refused: str
    buttons: Sequence[Button]

    @classmethod
    def of(cls, failure: Failure, visit: Visit, now: datetime) -> FailureDetails:
        job, redactor = failure.job, visit.redactor
        shown = redactor.job(job) if job else None
        extra = failure.extra
        group = FailureSearch.of_group(job.command if job else "", failure.exception)
        return cls(
            digest=failure.digest,
            command=line(job.command) if job else "",
            command_url=visit.url("jobs", command=job.command) if job and can_be_asked_for(job.command) else "",
            command_line=line_of(shown, limit=COMMAND_LINE) if shown and len(failure.raw) <= LARGE else "",
            id=line(failure.job_id),
            job_url=visit.url("job", id=failure.job_id) if failure.job_id else "",
            exception=line(failure.exception),
            group_url=visit.url("failures/list", group.query()) if group else "",
            error=block(_text(failure.error, failure, redactor), MESSAGE),
            time=Time.of(failure.failed_at, now) if failure.failed_at else None,
            queue=line(failure.queue),
            queue_url=queue_url_of(failure, visit),
            worker=line(failure.worker),
            attempts=number(attempts_of(failure)) if attempts_of(failure) else "",
            exit_status=line(_scalar(extra.get("exit_status"))),
            signal=line(_scalar(extra.get("signal"))),
            retried_at=line(_scalar(extra.get("retried_at"))),
            backtrace=block(_text("\n".join(failure.backtrace), failure, redactor)),
            output=block(_text(_scalar(extra.get("output")), failure, redactor)),
            history=_history(failure, redactor, now),
            arguments=_arguments(failure, shown),
            raw=raw_of(failure, redactor),
            refused=why_not_retried(failure),
            buttons=buttons_of(failure, visit),
        )


def _text(text: str, failure: Failure, redactor: Redactor) -> str:
    """A text of the record; of what is no record nobody knows what is to be hidden in it."""
    if failure.is_unreadable and not redactor.reveal:
        return HIDDEN
    return redactor.text(text, failure.job)


def _scalar(value: object) -> str:
    return str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""


def _history(failure: Failure, redactor: Redactor, now: datetime) -> Sequence[Attempt]:
    found = failure.extra.get("history")
    if not isinstance(found, list) and failure.job is not None:
        found = failure.job.extra.get("history")
    told = [each for each in found[:MOST_ATTEMPTS] if isinstance(each, dict)] if isinstance(found, list) else []
    return [_attempt(each, failure, redactor, now) for each in told]


def _attempt(told: Mapping[str, Any], failure: Failure, redactor: Redactor, now: datetime) -> Attempt:
    count, time = told.get("attempt"), parse_time(told.get("failed_at"))
    error = _scalar(told.get("error"))[:MESSAGE]
    return Attempt(
        number=number(count) if type(count) is int and 0 <= count < 1_000_000 else "",
        time=Time.of(time, now) if time else None,
        exception=line(_scalar(told.get("exception"))),
        error=line(redactor.text(error, failure.job), MESSAGE),
    )


def _arguments(failure: Failure, shown: Job | None) -> str:
    if shown is None or not (shown.args or shown.options):
        return ""
    return block(_json([*shown.args, shown.options] if shown.options else list(shown.args), failure))


def raw_of(failure: Failure, redactor: Redactor) -> str:
    """The record: as JSON that is easy to read, or its bytes where it is none. What is sensitive is hidden before it is
    written again; a record that is not understood is hidden altogether."""
    if redactor.reveal:
        if failure.is_unreadable or len(failure.raw) > LARGE:
            return block(str(failure.raw, "utf-8", "backslashreplace"))
        return block(_json(json.loads(failure.raw), failure))
    if failure.is_unreadable:
        return HIDDEN
    if len(failure.raw) > LARGE:
        return _("(too large to be shown without what is sensitive)")
    return block(_json(_Veil(failure, redactor).record(), failure))


def _json(value: Any, failure: Failure) -> str:
    try:
        return json.dumps(value, indent=2 if len(failure.raw) <= LARGE else None, ensure_ascii=False)
    except RecursionError:
        return _("(nested too deeply to be shown)")


class _Veil:
    """Hides what is sensitive in a record that is written again."""

    def __init__(self, failure: Failure, redactor: Redactor) -> None:
        self._failure = failure
        self._redactor = redactor
        self._left = MOST_TEXTS

    def record(self) -> Any:
        record: dict[str, Any] = json.loads(self._failure.raw)
        job = self._failure.job
        seen = {key: value for key, value in record.items() if key != "payload"}
        if isinstance(seen.get("backtrace"), list):
            seen["backtrace"] = self._text("\n".join(self._failure.backtrace)).split("\n")
        try:
            return {
                **{key: value if key == "backtrace" else self._hidden(value, key) for key, value in seen.items()},
                **({"payload": HIDDEN if job is None else self._payload(job)} if "payload" in record else {}),
            }
        except RecursionError:
            return HIDDEN

    def _payload(self, job: Job) -> Any:
        shown = self._redactor.job(job)
        told = {"class": job.command, "args": [*shown.args, shown.options], "queue_time": job.enqueued_at}
        return {**told, **{key: self._hidden(value, key) for key, value in job.extra.items()}}

    def _hidden(self, value: Any, key: str) -> Any:
        command = self._failure.job.command if self._failure.job else ""
        return self._texts(self._redactor.value({key: value}, command)[key])

    def _texts(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self._texts(each) for each in value]
        if isinstance(value, dict):
            return {name: self._texts(each) for name, each in value.items()}
        return value

    def _text(self, text: str) -> str:
        self._left -= 1
        return self._redactor.text(text, self._failure.job) if self._left >= 0 else HIDDEN
