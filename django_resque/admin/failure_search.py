"""Which failures a visitor asks for, as addresses say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from ..failure import Failure
from ..store import FailureFilter
from ..store.failure_filter import text_of
from .redaction import Redactor
from .text import line
from .visit import LONGEST, Visit

SPANS = {"1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7)}
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
