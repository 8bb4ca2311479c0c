"""The schedule: its entries, when they are due, what became of them; pausing, resuming, running, deleting them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import messages
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ... import timetable
from ...command_line import line_of
from ...errors import ResqueError, StoreUnavailable
from ...schedule import MISSED_AFTER, ScheduleEntry
from ...status import Status
from ...store import LastJob, Missed, Past
from ...timetable import Listed, Listing
from ..action import Action, Done, NothingToDo, Plan
from ..entry_form import job_of
from ..page import Button, Page, Pager, buttons, start_of
from ..text import MESSAGE, Time, duration, from_unix, line, moment, number, reason
from ..visit import LONGEST, Visit

SIZE = 50
"""Entries on a page."""
SLOTS = 3
"""Slots to come that are shown."""
SHOWN = 10
"""Entries that a confirmation names."""


@dataclass(frozen=True, slots=True)
class LastRow:
    """The last job of an entry; ``outcome`` is a word, and ``bad`` says whether it is a bad one."""

    slot: Time
    url: str
    outcome: str
    took: str
    bad: bool


@dataclass(frozen=True, slots=True)
class EntryRow:
    """An entry as a row. ``key`` is empty where nobody can ask for it."""

    name: str
    key: str
    url: str
    origin: str
    paused: bool
    problem: str
    line: str
    command_url: str
    queue: str
    queue_url: str
    cron: str
    description: str
    next: Time | None
    further: Sequence[str]
    overdue: Time | None
    last: LastRow | None
    missed: str
    buttons: Sequence[Button]


class SchedulePage(Page):
    """All entries by name."""

    slug = "schedule"
    title = gettext_lazy("Schedule")
    template = "schedule.html"

    def context(self, visit: Visit) -> dict[str, Any]:
        listing = Listing()
        health = visit.store.delayed.health()
        wanted = visit.text("q").casefold()
        names = [name for name in listing.names if wanted in name.casefold()]
        start = start_of(visit, SIZE)
        shown = names[start : start + SIZE]
        past = visit.store.past(shown)
        now = from_unix(listing.time)
        assert now is not None
        more = len(names) > start + SIZE
        return {
            "now": Time.of(now, now),
            "q": line(visit.text("q"), LONGEST),
            "rows": [_row(visit, listing[name], past, now) for name in shown],
            "nobody": bool(names) and not health.ours,
            "left_out": number(listing.left_out) if listing.left_out else "",
            "trouble": [line(text, MESSAGE) for text in past.trouble],
            "pager": Pager.of(visit, start=start, shown=len(shown), total=len(names), more=more, size=SIZE),
            "buttons": buttons(visit, [RunEntries, PauseEntries, ResumeEntries, DeleteEntries]),
            "add_url": visit.url("schedule/entry") if visit.may("change_schedule") else "",
        }


def _row(visit: Visit, listed: Listed, past: Past, now: datetime) -> EntryRow:
    entry = listed.entry
    key = listed.name if len(listed.name) <= LONGEST else ""
    slots = [time for time in map(from_unix, listed.next_slots(SLOTS)) if time is not None]
    overdue = from_unix(listed.overdue)
    queue = (entry.queue if entry else "") or ""
    is_ours = listed.origin != "settings"
    may = bool(key) and visit.may("change_schedule")
    return EntryRow(
        name=line(listed.name),
        key=key,
        url=visit.url("schedule/entry", name=key) if may and is_ours and entry else "",
        origin=_("added at run time") if is_ours else _("of the settings"),
        paused=listed.paused,
        problem=problem_of(listed, visit),
        line=line_of_entry(visit, entry) if entry else "",
        command_url=visit.url("jobs", state="done", command=entry.command) if entry else "",
        queue=line(queue),
        queue_url=visit.url("queue", name=queue) if queue else "",
        cron=line(entry.cron or "") if entry else "",
        description=line(listed.description),
        next=Time.until(slots[0], now) if slots else None,
        further=[moment(slot) for slot in slots],
        overdue=Time.of(overdue, now) if overdue and (now - overdue).total_seconds() > MISSED_AFTER else None,
        last=_last(visit, past.jobs.get(listed.name), now),
        missed=_missed(past.missed.get(listed.name)),
        buttons=_buttons(visit, listed, key) if key else [],
    )


def problem_of(listed: Listed, visit: Visit) -> str:
    """Why an entry cannot be used; empty when it can. What is wrong may be told with arguments of it."""
    if listed.problem and not visit.redactor.reveal:
        return _("It cannot be used; what is wrong is hidden from you.")
    return line(listed.problem, MESSAGE)


def line_of_entry(visit: Visit, entry: ScheduleEntry) -> str:
    """The line that one would type, as far as the visitor may see it."""
    return line(line_of(visit.redactor.job(job_of(entry)), limit=200))


def _buttons(visit: Visit, listed: Listed, key: str) -> list[Button]:
    actions: list[type[Action]] = [ResumeEntries if listed.paused else PauseEntries]
    if listed.entry is not None:
        actions.insert(0, RunEntries)
    if listed.origin != "settings":
        actions.append(DeleteEntries)
    return buttons(visit, actions, one=key, about=line(listed.name))


def _last(visit: Visit, last: LastJob | None, now: datetime) -> LastRow | None:
    slot = from_unix(last.slot) if last else None
    if last is None or slot is None:
        return None
    seen = last.seen
    status = seen.status if seen else Status.UNKNOWN
    words = {
        Status.UNKNOWN: _("not known any more"),
        Status.WAITING: _("waits"),
        Status.SCHEDULED: _("is to be tried again"),
        Status.RUNNING: _("runs"),
        Status.COMPLETE: _("done"),
        Status.FAILED: _("failed"),
    }
    took = seen.duration if seen is not None and seen.ended else None
    return LastRow(
        slot=Time.of(slot, now),
        url=visit.url("job", id=last.id),
        outcome=line(seen.outcome) if seen is not None and seen.outcome else words[status],
        took="" if took is None else duration(took),
        bad=status is Status.FAILED,
    )


def _missed(missed: Missed | None) -> str:
    if missed is None:
        return ""
    first, last = from_unix(missed.first), from_unix(missed.last)
    if first is None or last is None:
        return ""
    if missed.first == missed.last:
        when = _("Missed: %(when)s") % {"when": moment(first)}
    else:
        when = _("Missed: from %(first)s to %(last)s") % {"first": moment(first), "last": moment(last)}
    made_up = ngettext("%(count)s job was enqueued later", "%(count)s jobs were enqueued later", missed.made_up) % {
        "count": number(missed.made_up)
    }
    return f"{when}; {made_up}" if missed.made_up else f"{when}; {_('skipped')}"


# -- actions -----------------------------------------------------------------------------------------------------------


class _OnEntries(Action):
    """What is done with entries of the schedule, one after the other."""

    permission = "change_schedule"
    page = "schedule"
    grave: ClassVar[bool] = False

    def plan(self, visit: Visit) -> Plan:
        if not visit.ticked:
            raise NothingToDo(_("No entry was chosen: tick some first."))
        listing = Listing()
        known = set(listing.names)
        there = [listing[name] for name in visit.ticked if name in known]
        able = [listed.name for listed in there if self._can(listed)]
        if not able:
            raise NothingToDo(self._why_not() if there else _("The schedule has no such entry any more."))
        question = self._question(len(able)) % {"count": number(len(able))}
        if len(able) < len(visit.ticked):
            count = len(visit.ticked) - len(able)
            left_out = ngettext("%(count)s is left out: %(why)s", "%(count)s are left out: %(why)s", count)
            question = f"{question} {left_out % {'count': number(count), 'why': self._why_not()}}"
        return Plan(len(able), question, able, [line(name) for name in able[:SHOWN]], grave=self.grave)

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        done: list[str] = []
        problems: list[str] = []
        for name in plan.what:
            try:
                if self._act(name):
                    done.append(name)
            except StoreUnavailable as error:  # neither will the others be
                problems.append(reason(error))
                break
            except ResqueError as error:
                problems.append(self._told(visit, name, error))
            except Exception as error:  # whatever importing a command raises
                problems.append(f"{line(name)}: {type(error).__name__}")
        text = self._message(len(done)) % {"count": number(len(done))}
        level = messages.ERROR if problems and not done else messages.WARNING if problems else messages.SUCCESS
        return Done(" ".join([text, *problems]), f"{text} {line(', '.join(done))}", level)

    def _told(self, visit: Visit, name: str, error: ResqueError) -> str:
        """What went wrong with an entry, without what the visitor may not see of its arguments."""
        try:
            entry = timetable.entry(name).entry
        except ResqueError:
            entry = None
        if entry is None and not visit.redactor.reveal:
            return f"{line(name)}: {type(error).__name__}"
        return reason(ResqueError(visit.redactor.text(str(error), job_of(entry) if entry else None)))

    @abstractmethod
    def _act(self, name: str) -> bool:
        """Do it with one; False when there was nothing to do. Raises a `ResqueError`."""

    @abstractmethod
    def _can(self, listed: Listed) -> bool:
        """Whether it can be done with this entry."""

    @abstractmethod
    def _why_not(self) -> str:
        """Why it cannot."""

    @abstractmethod
    def _question(self, count: int) -> str: ...

    @abstractmethod
    def _message(self, count: int) -> str: ...


class PauseEntries(_OnEntries):
    """Have nothing enqueued for entries until they are resumed."""

    slug = "schedule/pause"
    label = gettext_lazy("Pause")

    def _act(self, name: str) -> bool:
        return timetable.pause(name)

    def _can(self, listed: Listed) -> bool:
        return not listed.paused

    def _why_not(self) -> str:
        return _("It is paused already, or gone.")

    def _question(self, count: int) -> str:
        return ngettext(
            "Pause %(count)s entry? Nothing is enqueued for it until it is resumed.",
            "Pause %(count)s entries? Nothing is enqueued for them until they are resumed.",
            count,
        )

    def _message(self, count: int) -> str:
        return ngettext("Paused %(count)s entry.", "Paused %(count)s entries.", count)


class ResumeEntries(_OnEntries):
    """Go on with entries."""

    slug = "schedule/resume"
    label = gettext_lazy("Resume")

    def _act(self, name: str) -> bool:
        return timetable.resume(name)

    def _can(self, listed: Listed) -> bool:
        return listed.paused

    def _why_not(self) -> str:
        return _("It is not paused, or gone.")

    def _question(self, count: int) -> str:
        return ngettext(
            "Resume %(count)s entry? What was due meanwhile is not made up for.",
            "Resume %(count)s entries? What was due meanwhile is not made up for.",
            count,
        )

    def _message(self, count: int) -> str:
        return ngettext("Resumed %(count)s entry.", "Resumed %(count)s entries.", count)


class RunEntries(_OnEntries):
    """Enqueue the jobs of entries once, now."""

    slug = "schedule/run"
    label = gettext_lazy("Run now")

    def _act(self, name: str) -> bool:
        timetable.run_now(
            name, on_commit=False
        )  # what goes wrong is told here, and not after the request's transaction
        return True

    def _can(self, listed: Listed) -> bool:
        return listed.entry is not None

    def _why_not(self) -> str:
        return _("It cannot be used, or is gone.")

    def _question(self, count: int) -> str:
        return ngettext(
            "Enqueue the job of %(count)s entry now, beside what is due?",
            "Enqueue the jobs of %(count)s entries now, beside what is due?",
            count,
        )

    def _message(self, count: int) -> str:
        return ngettext("Enqueued %(count)s job.", "Enqueued %(count)s jobs.", count)


class DeleteEntries(_OnEntries):
    """Delete entries that were added at run time."""

    slug = "schedule/delete"
    label = gettext_lazy("Delete")
    grave = True

    def _act(self, name: str) -> bool:
        timetable.delete(name)
        return True

    def _can(self, listed: Listed) -> bool:
        return listed.origin != "settings"

    def _why_not(self) -> str:
        return _("It stands in the settings and is deleted there, or it is gone.")

    def _question(self, count: int) -> str:
        return ngettext("Delete %(count)s entry?", "Delete %(count)s entries?", count)

    def _message(self, count: int) -> str:
        return ngettext("Deleted %(count)s entry.", "Deleted %(count)s entries.", count)


PAGE = SchedulePage()
ACTIONS: tuple[Action, ...] = (RunEntries(), PauseEntries(), ResumeEntries(), DeleteEntries())
