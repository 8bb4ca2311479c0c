"""Jobs as rows of a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .items import Item
from .job_actions import OnJobs
from .page import Button, buttons
from .text import Time, duration, from_unix, line, number
from .visit import LONGEST, Visit


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as a row.

    What is not known is empty or None, and so are addresses where there is nothing to go to, and ``key`` where nothing
    can be done with it. ``place`` is where in its list it stands, ``is_job`` whether it is one.
    """

    key: str
    place: str
    line: str
    is_job: bool
    id: str
    url: str
    queue: str
    queue_url: str
    time: Time | None
    attempt: str
    took: str
    worker: str
    worker_url: str
    note: str
    note_url: str
    buttons: Sequence[Button] = ()

    @property
    def again(self) -> bool:
        """Whether an attempt of it has failed."""
        return self.attempt not in ("", "1")

    @property
    def name(self) -> str:
        """By which its tick box is told from the others."""
        return f"{self.line} {self.id}".strip()

    @classmethod
    def of(
        cls,
        item: Item,
        visit: Visit,
        now: datetime,
        *,
        to_come: bool = False,
        place: int | None = None,
        note_url: str = "",
        actions: Iterable[OnJobs] = (),
        asked: Mapping[str, Any] | None = None,
    ) -> JobRow:
        """``to_come``: its time is. ``actions`` are for such jobs, with ``asked`` in their addresses; there are buttons
        for those that can be done with this one."""
        time = from_unix(item.time)
        key = item.key if 0 < len(item.key) <= LONGEST else ""
        shown = item.line(visit.redactor)
        about = line(item.id) or shown
        return cls(
            key=key,
            place="" if place is None else number(place),
            line=shown,
            is_job=bool(item.command),
            id=line(item.id),
            url=visit.url("job", id=item.id) if 0 < len(item.id) <= LONGEST else "",
            queue=line(item.queue),
            queue_url=visit.url("queue", name=item.queue) if 0 < len(item.queue) <= LONGEST else "",
            time=None if time is None else Time.until(time, now) if to_come else Time.of(time, now),
            attempt=number(item.attempt) if item.attempt else "",
            took="" if item.took is None else duration(item.took),
            worker=line(item.worker),
            worker_url=visit.url("workers", q=item.worker) if 0 < len(item.worker) <= LONGEST else "",
            note=item.note(visit.redactor),
            note_url=note_url,
            buttons=buttons(visit, [each for each in actions if each.can(item)], asked, one=key, about=about)
            if key
            else [],
        )
