"""Which failures a visitor asks for, as addresses say it, and finding them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..failure import Failure
from ..store import FailureFilter, FailureTable
from ..store.failure_filter import text_of
from .redaction import Redactor
from .text import line, number
from .visit import LONGEST, Visit

SPANS = {"1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7)}
SIZE = 50
"""Failures on a page."""
MOST_READ = 4_000
"""Records that are read in full to find a text; the others are passed over because it cannot be in them."""
MOST_VEILED = 1_000
"""Records that are looked through where sensitive values have to be hidden first, which takes longer. Not only those
are counted that may fit: how far it comes would tell what stands in them."""
LACKING = ("job", "exception")
"""What records may lack that are asked for with ``none=``: an address cannot name what is empty."""


@dataclass(frozen=True, slots=True)
class FailureSearch:
    """The parameters of an address, each empty where it says nothing. ``exception`` is the whole name that a record
    gives, ``since`` is among `SPANS`, ``none`` among `LACKING`."""

    command: str = ""
    exception: str = ""
    queue: str = ""
    since: str = ""
    q: str = ""
    none: str = ""

    @classmethod
    def of(cls, visit: Visit) -> FailureSearch:
        since, none = visit.text("since"), visit.text("none")
        return cls(
            command=visit.name("command"),
            exception=visit.name("exception"),
            queue=visit.name("queue"),
            since=since if since in SPANS else "",
            q=visit.text("q"),
            none=none if none in LACKING else "",
        )

    @classmethod
    def of_group(cls, command: str, exception: str) -> FailureSearch | None:
        """The one that finds a group of failures; None where an address cannot name it. Those without a job are one
        group, whatever the exceptions."""
        if not command:
            return cls(none="job")
        if not (can_be_asked_for(command) and can_be_asked_for(exception)):
            return None
        return cls(command=command, exception=exception, none="" if exception else "exception")

    def query(self) -> Mapping[str, Any]:
        """The parameters of the same address."""
        return {name: getattr(self, name) for name in self.__slots__}

    def filter(self, now: datetime, redactor: Redactor) -> FailureFilter:
        """Those that are meant at this time, by what the visitor may see."""
        return FailureFilter(
            command="" if self.none == "job" else self.command or None,
            exactly="" if self.none == "exception" else self.exception or None,
            queue=self.queue or None,
            since=now - SPANS[self.since] if self.since else None,
            text=self.q or None,
            shown=None if redactor.reveal else lambda failure: shown_text(failure, redactor),
        )

    def in_words(self) -> str:
        """The same for the log, in which what is looked for may be too much."""
        said = [f"{name}={line(value)}" for name, value in self.query().items() if value and name != "q"]
        return ", ".join([*said, *([_("with a text")] if self.q else [])])


def can_be_asked_for(name: str) -> bool:
    """Whether an address can hold it, and a `Visit` reads it again as it was."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return name == name.strip() and len(name) <= LONGEST


def shown_text(failure: Failure, redactor: Redactor) -> str:
    """What a record says to those who may not see sensitive values; of what is no JSON, nobody knows what they are."""
    if failure.is_unreadable:
        return ""
    job = failure.job
    return redactor.text(text_of(replace(failure, job=redactor.job(job)) if job else failure), job)


# -- finding them ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """A page of the list: what is on it, how many there are (None: not known), whether more follow, and what to say
    about it."""

    failures: Sequence[Failure]
    total: int | None
    more: bool
    notes: Sequence[str] = ()


def find(visit: Visit, search: FailureSearch, start: int, time: datetime) -> Found:
    """Up to `SIZE` of those that are meant at this time, the newest first, behind the first ``start`` ones."""
    if search == FailureSearch():
        count = visit.store.failures.count()
        return Found(visit.store.failures.page(start, SIZE), count, count > start + SIZE)
    which = search.filter(time, visit.redactor)
    return _with_text(visit, which, start) if search.q else _of_kind(visit, which, start)


def _of_kind(visit: Visit, which: FailureFilter, start: int) -> Found:
    """By what the records say in short; those of the page alone are read in full."""
    table = visit.store.failure_table()
    places = [
        head.position for head in table.heads if which.fits(head.command, head.exception, head.queue, head.failed_at)
    ]
    shown = visit.store.failures.at(places[start : start + SIZE])
    # when records were removed meanwhile, others are in their places
    fitting = [failure for failure in shown if which(failure)]
    return Found(fitting, len(places), len(places) > start + SIZE, notes(table))


def _with_text(visit: Visit, which: FailureFilter, start: int) -> Found:
    """By the whole records, until the page is full."""
    end = visit.store.failures.tail()
    found: list[Failure] = []
    seen = read = 0
    for raw in end.elements if visit.redactor.reveal else end.elements[:MOST_VEILED]:
        if len(found) > start + SIZE or read == MOST_READ:
            break
        seen += 1
        if which.may_be_in(raw):
            read += 1
            failure = Failure.from_record(raw)
            if which(failure):
                found.append(failure)
    more = len(found) > start + SIZE
    said = [looked_through(seen, end.count)] if seen < end.count and not more else []
    return Found(found[start : start + SIZE], None if more or said else len(found), more, said)


def veiled(visit: Visit, which: FailureFilter) -> tuple[list[Failure], bool]:
    """Those of the newest `MOST_VEILED` that fit, where sensitive values are hidden, and whether these are all."""
    end = visit.store.failures.tail()
    some = map(Failure.from_record, end.elements[:MOST_VEILED])
    return [failure for failure in some if which(failure)], end.count <= MOST_VEILED


def notes(table: FailureTable) -> Sequence[str]:
    """What was not looked at, if anything."""
    said = []
    if table.seen < table.count:
        said.append(looked_through(table.seen, table.count))
    if table.unread:
        text = ngettext(
            "%(count)s record is too large to be looked at here.",
            "%(count)s records are too large to be looked at here.",
            table.unread,
        )
        said.append(text % {"count": number(table.unread)})
    return said


def looked_through(seen: int, count: int) -> str:
    return _("Only the newest %(seen)s of %(count)s failures were looked through.") % {
        "seen": number(seen),
        "count": number(count),
    }
