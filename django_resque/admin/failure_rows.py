"""Failures as rows of a list, and what can be done with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..command_line import line_of
from ..failure import Failure
from .failure_search import can_be_asked_for
from .items import attempts_of, failed
from .job_actions import FAILED
from .page import Button, buttons
from .redaction import HIDDEN
from .text import Time, line, number
from .visit import Visit

ERROR = 300
"""Characters of a message in a list."""
COMMAND_LINE = 160
LARGE = 100_000
"""Bytes of a record whose arguments and message are left to its own page."""


@dataclass(frozen=True, slots=True)
class FailureRow:
    """A failure in a list; any of it may be empty, and addresses are where there is nothing to link to."""

    digest: str
    url: str
    command: str
    command_url: str
    command_line: str
    exception: str
    error: str
    queue: str
    queue_url: str
    worker: str
    time: Time | None
    attempts: str
    id: str
    job_url: str
    buttons: Sequence[Button]

    @classmethod
    def of(cls, failure: Failure, visit: Visit, now: datetime) -> FailureRow:
        job = failure.job
        return cls(
            digest=failure.digest,
            url=visit.url("failure", digest=failure.digest),
            command=line(job.command) if job else "",
            command_url=visit.url("failures/list", command=job.command)
            if job and can_be_asked_for(job.command)
            else "",
            command_line=_command_line(failure, visit),
            exception=line(failure.exception),
            error=error_of(failure, visit, ERROR),
            queue=line(failure.queue),
            queue_url=queue_url_of(failure, visit),
            worker=line(failure.worker),
            time=Time.of(failure.failed_at, now) if failure.failed_at else None,
            attempts=_attempts(failure),
            id=line(failure.job_id),
            job_url=visit.url("job", id=failure.job_id) if failure.job_id else "",
            buttons=buttons_of(failure, visit),
        )


def buttons_of(failure: Failure, visit: Visit) -> Sequence[Button]:
    """What the visitor may do with this one, as far as it is possible."""
    item = failed(failure)
    about = line(item.command) or _("(no job)")
    return buttons(visit, [each for each in FAILED if each.can(item)], one=failure.digest, about=about)


def queue_url_of(failure: Failure, visit: Visit) -> str:
    """The address of the queue from which the job came."""
    return visit.url("queue", name=failure.queue) if failure.queue and can_be_asked_for(failure.queue) else ""


def error_of(failure: Failure, visit: Visit, limit: int) -> str:
    """The message on one line; of what is no record the beginning, for those who may see everything."""
    if visit.redactor.reveal:
        return line(failure.error, limit)
    if failure.is_unreadable:
        return HIDDEN
    if len(failure.raw) > LARGE:
        return _("(too large to be shown here)")
    return line(visit.redactor.text(failure.error, failure.job), limit)


def _attempts(failure: Failure) -> str:
    count = attempts_of(failure)
    return ngettext("%(count)s attempt", "%(count)s attempts", count) % {"count": number(count)} if count else ""


def _command_line(failure: Failure, visit: Visit) -> str:
    if failure.job is None or len(failure.raw) > LARGE:
        return ""
    return line_of(visit.redactor.job(failure.job), limit=COMMAND_LINE)
