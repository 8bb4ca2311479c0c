"""One job: how it stands, what became of each attempt, what it wrote; and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ... import whereabouts
from ...command import find
from ...command_line import line_of
from ...status import Status
from ...store import DelayedJob, WaitingRetry
from ...whereabouts import Kind, Known, Place, Whereabouts
from ..action import Action, Done, NothingToDo, Plan
from ..failure_search import can_be_asked_for
from ..job_details import JobDetails
from ..page import Button, Page
from ..text import MESSAGE, Time, line, number
from ..visit import Visit
from ..waiting import Waiting
from .delayed import CancelWaiting, MoveWaiting, RunWaiting
from .workers import EndJob

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
    buttons: list[Button] = []
    match known.found:
        case Whereabouts(place=Place(kind=Kind.QUEUE | Kind.PARKED)):
            buttons += _allowed(visit, [CancelJob], known.id)
        case Whereabouts(item=DelayedJob() as item):
            buttons += _allowed(visit, [RunWaiting, MoveWaiting, CancelWaiting], Waiting(item).key)
        case Whereabouts(item=WaitingRetry() as item):
            buttons += _allowed(visit, [RunWaiting, CancelWaiting], Waiting(item).key)
    if is_running(known):
        buttons += _allowed(visit, [EndJob], known.id)
    if details.failure is not None:
        buttons += details.failure.buttons
    return buttons


def _allowed(visit: Visit, actions: Sequence[type[Action]], key: str) -> Sequence[Button]:
    return [Button(action.label, visit.url(action.slug), one=key) for action in actions if visit.may(action.permission)]


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


def _one(visit: Visit) -> str:
    if len(visit.ticked) != 1:
        raise NothingToDo(_("No job was chosen."))
    return visit.ticked[0]


class CancelJob(Action):
    """Take a job out of its queue, or out of those that wait until fewer run."""

    slug = "job/cancel"
    permission = "clear_queue"
    label = gettext_lazy("Cancel")
    page = "queues"

    def plan(self, visit: Visit) -> Plan:
        found = whereabouts.look_up(_one(visit)).found
        if found is None or found.place.kind not in (Kind.QUEUE, Kind.PARKED):
            raise NothingToDo(_("This job waits in no queue any more: it runs, or has ended."))
        return Plan(
            count=1,
            question=ngettext(
                "Cancel %(count)s job? It is not performed, and its state becomes “cancelled”.",
                "Cancel %(count)s jobs? They are not performed, and their state becomes “cancelled”.",
                1,
            )
            % {"count": number(1)},
            what=found,
            items=[_in_words(found, visit)],
            grave=True,
        )

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        found: Whereabouts = plan.what
        words = {"command": line(found.job.command), "id": line(found.job.id)}
        if whereabouts.take_out(found):
            return Done(_("Cancelled %(command)s, job %(id)s.") % words)
        text = _("Too late: a worker has taken %(command)s, job %(id)s.") % words
        return Done(text, level=messages.WARNING)


def _in_words(found: Whereabouts, visit: Visit) -> str:
    return line(line_of(visit.redactor.job(found.job), limit=MESSAGE), MESSAGE)


PAGE = JobPage()
ACTIONS: tuple[Action, ...] = (CancelJob(),)
