"""One job: how it stands, what became of each attempt, what it wrote; and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ... import whereabouts
from ...command import find
from ...status import Status
from ...store import DelayedJob, WaitingRetry
from ...whereabouts import Kind, Known, Place, Whereabouts
from .. import items
from ..action import Action
from ..failure_search import can_be_asked_for
from ..items import Item
from ..job_actions import OF_STATE, Cancel, Delete
from ..job_details import JobDetails
from ..page import Button, Page, buttons
from ..queued import Pile
from ..text import MESSAGE, Time, line
from ..visit import Visit

FOLLOW = 1
"""Seconds between two looks at a job that runs."""


class JobPage(Page):
    """The job whose id is ``id``. What is not known of it (any more) is left out."""

    slug = "job"
    title = gettext_lazy("Job")
    template = "job.html"
    section = "jobs"

    def context(self, visit: Visit) -> dict[str, Any]:
        job_id = visit.text("id")
        known = whereabouts.glance(job_id)
        found: dict[str, Any] = {
            "now": Time.of(known.time, known.time),
            "id": line(job_id),
            "trouble": [line(text, MESSAGE) for text in known.trouble],
            "searched_all": known.whole,
            "jobs_url": visit.url("jobs"),
        }
        if not job_id or known.is_nothing:
            return {**found, "every": 0}
        details = JobDetails.of(known, visit)
        return {
            **found,
            "job": details,
            "title": _("Job: %(command)s") % {"command": details.command} if details.command else self.title,
            "every": _every(known),
            "arguments_unknown": known.found is None,
            "has_ended": known.seen is not None and known.seen.ended,
            "buttons": _buttons(known, details, visit),
            "change_url": _change_url(known, visit),
        }


def _every(known: Known) -> int:
    status = known.seen.status if known.seen else Status.UNKNOWN
    if status is Status.RUNNING:
        return FOLLOW
    return 0 if status is Status.COMPLETE else JobPage.every


# -- what can be done --------------------------------------------------------------------------------------------------


def _buttons(known: Known, details: JobDetails, visit: Visit) -> Sequence[Button]:
    """What the visitor may do with a job that is where this one is."""
    found: list[Button] = []
    match known.found:
        case Whereabouts(place=Place(kind=Kind.QUEUE | Kind.PARKED as kind, name=name), raw=raw):
            found += _while_it_waits(visit, "queued", Pile(name, permit=kind is Kind.PARKED).item(raw))
        case Whereabouts(item=DelayedJob() as item):
            found += _while_it_waits(visit, "scheduled", items.later(item))
        case Whereabouts(item=WaitingRetry() as item):
            found += _while_it_waits(visit, "retrying", items.later(item))
    if is_running(known):
        found += buttons(visit, OF_STATE["running"], one=known.id)
    if details.failure is not None:
        found += details.failure.buttons
    return found


def _while_it_waits(visit: Visit, state: str, item: Item) -> list[Button]:
    """As in lists of jobs, but that here one cancels it: what is known of it stays on this page."""
    return [
        replace(button, label=_("Cancel")) if isinstance(action, Delete | Cancel) else button
        for action in OF_STATE[state]
        for button in buttons(visit, [action], one=item.key)
    ]


def is_running(known: Known) -> bool:
    """Whether somebody says that the job runs."""
    at_worker = known.found is not None and known.found.place.kind is Kind.WORKER
    return at_worker or (known.seen is not None and known.seen.status is Status.RUNNING)


def _is_allowed(command: str) -> bool:
    try:
        find(command)
    except Exception:  # whatever importing its module raises
        return False
    return True


def _change_url(known: Known, visit: Visit) -> str:
    """Where the visitor enqueues the same with other arguments."""
    if known.found is None or not (visit.may("enqueue_job") and visit.may("view_arguments")):
        return ""
    if not _is_allowed(known.found.job.command) or not can_be_asked_for(known.id):
        return ""
    return visit.url("run", {"from": known.id})


PAGE = JobPage()
ACTIONS: tuple[Action, ...] = ()
