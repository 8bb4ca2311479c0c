"""All jobs by state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy

from ...store import JobCounts, Seen
from ..action import Action
from ..job_actions import OF_STATE, Delete, End, OnJobs
from ..job_filter import SPANS, JobFilter
from ..job_rows import JobRow
from ..job_states import SIZE, STATES, USUAL, Asked, Listed, counted, listed, state_of
from ..page import Page, Pager, buttons, start_of
from ..text import MESSAGE, Time, line
from ..visit import LONGEST, Visit

LEAST_OF_AN_ID = 8
"""Characters of a text that may be an id."""
QUEUES = 100
"""Queues that are suggested."""
SINCE: Sequence[tuple[str, Any]] = (
    ("", gettext_lazy("any time")),
    ("1h", gettext_lazy("an hour ago")),
    ("24h", gettext_lazy("a day ago")),
    ("7d", gettext_lazy("a week ago")),
)
TO_COME = ("scheduled", "retrying")
"""States in which a job's time is to come."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """A job whose id was looked for: what is known of it, and where its page is."""

    id: str
    state: str
    url: str


class JobsPage(Page):
    """The jobs in one state, those that fit a filter."""

    slug = "jobs"
    title = gettext_lazy("Jobs")
    template = "jobs.html"

    def context(self, visit: Visit) -> dict[str, Any]:
        counts = visit.store.job_counts()
        seen = _seen(visit)
        name = visit.text("state") if visit.text("state") in STATES else ""
        chosen = name or (seen and state_of(seen)) or USUAL
        state = STATES[chosen]
        fits = JobFilter.of(visit, counts.time.timestamp())
        start = start_of(visit, SIZE)
        found = listed(state, Asked(visit, counts, fits, start))
        actions = OF_STATE.get(chosen, ())
        asked = visit.asked(state=chosen, p=None)  # an action is about what this page shows
        shown = len(found.items)
        return {
            "now": Time.of(counts.time, counts.time),
            "state": name,
            "label": state.label,
            "states": _states(visit, chosen, counts),
            "q": line(fits.text, LONGEST),
            "command": line(fits.command, LONGEST),
            "queue": line(fits.queue, LONGEST),
            "queues": [line(queue) for queue in list(counts.queues)[:QUEUES]],
            "spans": SINCE,
            "since": visit.text("since") if visit.text("since") in SPANS else "",
            "found": _lookup(visit, seen),
            "filtered": not fits.is_empty,
            "rows": _rows(visit, chosen, counts, found, actions),
            "time_title": state.time,
            "ago": state.ago,
            "columns": ("queue", *state.columns),
            "trouble": [*(line(text, MESSAGE) for text in counts.trouble), *found.trouble],
            "looked": found.looked,
            "more_url": _elsewhere(visit, chosen) if found.looked else "",
            "pager": Pager.of(visit, start=start, shown=shown, total=found.total, more=found.more, size=SIZE),
            "buttons": buttons(visit, actions),
            "all_buttons": buttons(visit, actions, asked, all=True) if found.items else [],
        }


def _seen(visit: Visit) -> Seen | None:
    """What is known of the job whose id is looked for, if it is one."""
    text = visit.text("q")
    if len(text) < LEAST_OF_AN_ID or not text.isascii() or any(character.isspace() for character in text):
        return None
    return visit.store.statuses.seen(text)


def _lookup(visit: Visit, seen: Seen | None) -> Lookup | None:
    if seen is None:
        return None
    state = STATES.get(state_of(seen))
    word = str(state.label) if state is not None else seen.status.word
    return Lookup(line(seen.id), word, visit.url("job", id=seen.id))


def _states(visit: Visit, chosen: str, counts: JobCounts) -> list[Mapping[str, Any]]:
    """Links to the states, with how many jobs are in each, whatever is looked for."""
    return [
        {
            "label": state.label,
            "url": visit.here(state=name, p=None),
            "current": name == chosen,
            "count": counted(state.count(counts)),
        }
        for name, state in STATES.items()
        if name != "parked" or name == chosen or state.count(counts).number
    ]


def _rows(visit: Visit, chosen: str, counts: JobCounts, found: Listed, actions: Sequence[OnJobs]) -> list[JobRow]:
    return [
        JobRow.of(
            item,
            visit,
            counts.time,
            to_come=chosen in TO_COME,
            note_url=visit.url("failure", digest=item.key) if chosen == "failed" else "",
            actions=actions,
        )
        for item in found.items
    ]


def _elsewhere(visit: Visit, chosen: str) -> str:
    """The page on which one can go on, where this one does not look through all; empty when there is none."""
    text, command = visit.text("q"), visit.name("command")
    if chosen in TO_COME:
        state, queue = "retrying" if chosen == "retrying" else "", visit.name("queue")
        return visit.url("delayed", state=state, command=command, queue=queue, since=visit.text("since"), q=text)
    return ""


PAGE = JobsPage()
ACTIONS: tuple[Action, ...] = (Delete(), End())
