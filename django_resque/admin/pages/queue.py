"""A queue: how it is, what waits in it, and what can be done with that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy

from ...errors import InvalidQueue, StoreError, StoreUnavailable
from ...job import check_queue
from ...store import QueueView
from ...worker.selection import serves
from .. import queued
from ..action import Action, Done, NothingToDo, Plan
from ..forms import TextForm
from ..job_actions import Delete, Meant, OnJobs, done, told
from ..job_filter import JobFilter, Sifted, sift
from ..job_rows import JobRow
from ..job_states import SIZE, looked_through
from ..page import Button, Page, Pager, buttons, start_of
from ..queued import Pile
from ..text import MESSAGE, Time, line, number, reason
from ..visit import LONGEST, Visit
from .queues import PauseQueues, ResumeQueues


def name_of(visit: Visit) -> str:
    """The queue that is meant. Other programs' may have names that begin with white space."""
    return visit.name("name")


class QueuePage(Page):
    """One queue and its jobs, the next one first."""

    slug = "queue"
    title = gettext_lazy("Queue")
    template = "queue.html"
    section = "queues"

    def context(self, visit: Visit) -> dict[str, Any]:
        name = name_of(visit)
        view = visit.store.queue_view(name)
        trouble = [line(text, MESSAGE) for text in view.trouble]
        fits = JobFilter(visit.redactor, text=visit.text("q"))
        start = start_of(visit, SIZE)
        found, looked = Sifted([], False, 0, 0), ""
        if view.state.length:
            try:
                found, looked = _jobs(visit, view, fits, start)
            except StoreUnavailable:
                raise
            except StoreError as error:  # it is no list any more
                trouble.append(reason(error))
        for_one = [action for action in ON_JOBS if not isinstance(action, Move)]
        asked = {"name": name, "queue": name, "state": "queued"}
        total, more = found.total, found.more
        return {
            "title": _("Queue %(name)s") % {"name": line(name)} if name else self.title,
            "now": Time.of(view.time, view.time),
            "name": line(name, LONGEST),
            "named": bool(name),
            "kept": {"name": line(name, LONGEST)},
            "exists": view.exists,
            "q": line(fits.text, LONGEST),
            "state": view.state,
            "length": "" if view.state.length is None else number(view.state.length),
            "oldest": Time.of_unix(view.state.oldest, view.time),
            "running": number(view.state.running),
            "running_url": visit.url("jobs", state="running", queue=name),
            "listening": number(_listening(view)),
            "abandoned": _is_abandoned(view),
            "paused_by": line(view.state.paused_by),
            "all_paused": view.all_paused,
            "trouble": trouble,
            "rows": [
                JobRow.of(item, visit, view.time, place=place + 1, actions=for_one, asked=asked)
                for place, item in found.shown
            ],
            "time_title": _("Waiting for"),
            "columns": ("place",),
            "looked": looked,
            "pager": Pager.of(visit, start=start, shown=len(found.shown), total=total, more=more, size=SIZE),
            "buttons": buttons(visit, ON_JOBS, asked),
            "all_buttons": buttons(visit, ON_JOBS, {**asked, "q": visit.text("q")}, all=True)
            if fits.text and found.shown
            else [],
            "queue_buttons": _queue_buttons(visit, view) if name else [],
        }


def _jobs(visit: Visit, view: QueueView, fits: JobFilter, start: int) -> tuple[Sifted, str]:
    """The jobs of the page, and what is to be said where not all were looked through."""
    name, pile = view.state.name, Pile(view.state.name)
    if fits.is_empty:
        payloads = visit.store.queues.peek(name, start=start, count=SIZE)
        total = max(view.state.length or 0, start + len(payloads) if payloads else 0)
        shown = [(place, pile.item(raw)) for place, raw in enumerate(payloads, start)]
        return Sifted(shown, total > start + SIZE, total, total), ""
    head = visit.store.queue_head(name)
    found = sift(head.elements, bytes, pile.item, fits, start=start, size=SIZE)
    looked = "" if found.more or found.looked >= head.count else looked_through(found.looked, head.count)
    return found, looked


def _listening(view: QueueView) -> int:
    return sum(serves(queues, view.state.name) for queues in view.workers)


def _is_abandoned(view: QueueView) -> bool:
    """Whether something waits and nobody listens."""
    return bool(view.state.length) and not _listening(view) and view.worker_count <= len(view.workers)


def _queue_buttons(visit: Visit, view: QueueView) -> list[Button]:
    """What can be done with the queue itself."""
    name = view.state.name
    found = buttons(visit, [ResumeQueues if view.state.paused else PauseQueues], one=name)
    if view.exists:
        found += buttons(visit, [Clear, Remove] if view.state.length else [Remove], {"name": name})
    return found


# -- jobs of the queue -------------------------------------------------------------------------------------------------


class OnQueued(OnJobs):
    """What is done with some jobs of the ``queue`` in the address; `Meant.what` are their payloads, the next one
    first."""

    permission = "clear_queue"
    page = "queue"

    def named(self, visit: Visit) -> Meant:
        pile = Pile(_named(visit, "queue"))
        return self._meant(pile, queued.named(visit.store, visit.ticked).get(pile, ()))

    def matching(self, visit: Visit) -> Meant:
        pile = Pile(_named(visit, "queue"))
        return self._meant(pile, *pile.matching(visit.store, JobFilter(visit.redactor, text=visit.text("q"))))

    @staticmethod
    def _meant(pile: Pile, payloads: Sequence[bytes], whole: bool = True) -> Meant:
        return Meant(len(payloads), map(pile.item, payloads), payloads, whole=whole)


def _named(visit: Visit, parameter: str) -> str:
    name = visit.name(parameter)
    if not name:
        raise NothingToDo(_("No queue was named."))
    return name


class Advance(OnQueued):
    """Put jobs at the head of the queue."""

    slug = "queue/front"
    label = gettext_lazy("To the front")
    question = ngettext_lazy(
        "Move %(count)s job to the front of the queue? It is performed next.",
        "Move %(count)s jobs to the front of the queue? They are performed next, in their order.",
        "number",
    )

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        meant: Meant = plan.what
        count = visit.store.queues.advance(_named(visit, "queue"), meant.what)
        text = ngettext(
            "%(count)s job is at the front of the queue now.",
            "%(count)s jobs are at the front of the queue now.",
            count,
        )
        return done(text % {"count": number(count)}, count, told(meant.gone + meant.count - count, "gone"), meant)


class QueueForm(TextForm):
    """Asks for another queue than the one of this ``name``."""

    to = forms.CharField(max_length=100, label=gettext_lazy("To the queue"))

    def __init__(self, data: Any, *, name: str) -> None:
        self._name = name
        super().__init__(data)

    def clean_to(self) -> str:
        to: str = self.cleaned_data["to"]
        try:
            check_queue(to)
        except InvalidQueue as error:
            raise forms.ValidationError(line(str(error), MESSAGE)) from error
        if to == self._name:
            raise forms.ValidationError(_("They are in this queue."))
        return to


class Move(OnQueued):
    """Put jobs at the end of another queue."""

    slug = "queue/move"
    label = gettext_lazy("Move")
    question = ngettext_lazy(
        "Move %(count)s job to the end of another queue?", "Move %(count)s jobs to the end of another queue?", "number"
    )

    def form(self, visit: Visit) -> QueueForm:
        data = visit.request.POST if "confirmed" in visit.request.POST else None
        return QueueForm(data, name=_named(visit, "queue"))

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        assert plan.form is not None
        meant: Meant = plan.what
        goal: str = plan.form.cleaned_data["to"]
        count = visit.store.queues.move(_named(visit, "queue"), meant.what, goal)
        text = ngettext(
            "Moved %(count)s job to the queue %(queue)s.", "Moved %(count)s jobs to the queue %(queue)s.", count
        ) % {"count": number(count), "queue": line(goal)}
        return done(text, count, told(meant.gone + meant.count - count, "gone"), meant)


ON_QUEUED: tuple[OnQueued, ...] = (Advance(), Move())
ON_JOBS: tuple[OnJobs, ...] = (*ON_QUEUED, Delete())


# -- the queue itself --------------------------------------------------------------------------------------------------


class OnQueue(Action):
    """What is done with a whole queue."""

    permission = "clear_queue"
    page = "queue"

    def _length(self, visit: Visit) -> tuple[int, bool]:
        """How many jobs are in it, and whether it is paused."""
        name = _named(visit, "name")
        view = visit.store.queue_view(name)
        if not view.exists:
            raise NothingToDo(_("There is no queue of this name."))
        return visit.store.queues.size(name), view.state.paused  # raises for what is no list


class Clear(OnQueue):
    """Take all jobs out of a queue."""

    slug = "queue/clear"
    label = gettext_lazy("Clear")

    def plan(self, visit: Visit) -> Plan:
        count, _paused = self._length(visit)
        if not count:
            raise NothingToDo(_("Nothing waits in this queue."))
        question = ngettext(
            "Delete the only job in the queue %(queue)s, and what comes meanwhile? It is not performed.",
            "Delete all %(count)s jobs in the queue %(queue)s, and what comes meanwhile? They are not performed.",
            count,
        ) % {"count": number(count), "queue": line(name_of(visit))}
        return Plan(count, question, grave=True)

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        count = visit.store.queues.clear(name_of(visit))
        text = ngettext("Deleted %(count)s job.", "Deleted %(count)s jobs.", count) % {"count": number(count)}
        return _done(visit, text)


class Remove(OnQueue):
    """Take all jobs out of a queue, and the queue off the list of queues."""

    slug = "queue/remove"
    label = gettext_lazy("Remove")

    def plan(self, visit: Visit) -> Plan:
        count, paused = self._length(visit)
        question = ngettext(
            "Remove the queue %(queue)s with %(count)s job? What is enqueued later makes it anew.",
            "Remove the queue %(queue)s with %(count)s jobs? What is enqueued later makes it anew.",
            count,
        ) % {"count": number(count), "queue": line(name_of(visit))}
        if paused:
            question += " " + _("It stays paused.")
        return Plan(1, question, grave=count > 0)

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        removed = visit.store.queues.remove(name_of(visit))
        text = ngettext("Deleted %(count)s job.", "Deleted %(count)s jobs.", removed.jobs) % {
            "count": number(removed.jobs)
        }
        if not removed.gone:
            stays = _("The queue is still there: a job came meanwhile.")
            return _done(visit, f"{text} {stays}", level=messages.WARNING)
        return _done(visit, " ".join([_("The queue is removed."), text]), go_to=visit.url("queues"))


def _done(visit: Visit, text: str, level: int = messages.SUCCESS, go_to: str = "") -> Done:
    return Done(text, f"{text} {line(name_of(visit))}", level, go_to)


PAGE = QueuePage()
ACTIONS: tuple[Action, ...] = (*ON_QUEUED, Clear(), Remove())
