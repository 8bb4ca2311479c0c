"""An entry of the schedule: the form with which one is added or changed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ... import timetable
from ...errors import ScheduleError
from ...job import digest, dump_json
from ...schedule import ScheduleEntry, describe
from ...timetable import Listing
from ..action import Action, Done, NothingToDo, Plan
from ..entry_form import ZONES, EntryForm, NewEntryForm, job_of
from ..page import Page
from ..text import MESSAGE, from_unix, line, moment, reason
from ..visit import Visit
from .schedule import SLOTS, line_of_entry, problem_of


@dataclass(frozen=True, slots=True)
class Changeable:
    """An entry that this visitor may change, and what tells whether it is still the same."""

    entry: ScheduleEntry
    version: str


def find(visit: Visit, name: str) -> Changeable:
    """The entry of this name. Raises `NothingToDo` with the reason why this visitor cannot change it."""
    listing = Listing()
    try:
        raw = listing.raw(name)
    except ScheduleError as error:
        raise NothingToDo(reason(error)) from error
    listed = listing[name]
    if listed.entry is None:
        raise NothingToDo(
            _("It cannot be used: delete it, and add it anew. %(why)s") % {"why": problem_of(listed, visit)}
        )
    job = job_of(listed.entry)
    if visit.redactor.job(job) != job:
        raise NothingToDo(_("Some of its arguments are hidden from you: those who may see them can change it."))
    return Changeable(listed.entry, digest(raw))


class ScheduleEntryPage(Page):
    """The form for a new entry, or for the one that ``name`` names."""

    slug = "schedule/entry"
    title = gettext_lazy("Schedule entry")
    template = "schedule_entry.html"
    section = "schedule"

    def context(self, visit: Visit) -> dict[str, Any]:
        name = visit.name("name")
        title = _("Change %(name)s") % {"name": line(name)} if name else _("Add a schedule entry")
        context: dict[str, Any] = {"title": title, "every": 0, "zones_id": ZONES, "zones": _zones()}
        context["schedule_url"] = visit.url("schedule")
        if not visit.may("change_schedule"):
            return {**context, "obstacle": _("You may not change the schedule.")}
        if not name:
            return {**context, "form": NewEntryForm(), "address": visit.url("schedule/add"), "label": AddEntry.label}
        try:
            found = find(visit, name)
        except NothingToDo as obstacle:
            return {**context, "obstacle": line(str(obstacle), MESSAGE)}
        limits = visit.redactor.value(dict(found.entry.using), found.entry.command)
        return {
            **context,
            "form": EntryForm(entry=found.entry, version=found.version),
            "limits": line(dump_json(limits).decode()) if limits else "",
            "address": visit.url("schedule/change", name=name),
            "label": ChangeEntry.label,
        }


@cache
def _zones() -> list[str]:
    return sorted(name for name in available_timezones() if not name.startswith(("posix", "right", "localtime")))


class AddEntry(Action):
    """Add an entry at run time."""

    slug = "schedule/add"
    permission = "change_schedule"
    label = gettext_lazy("Add")
    page = "schedule"

    def plan(self, visit: Visit) -> Plan:
        form = NewEntryForm(visit.request.POST)
        if form.is_valid() and form.entry.name in Listing().names:
            form.add_error("name", _("The schedule has an entry of this name already."))
        return _plan(visit, form, _("Add this entry to the schedule?"))

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        added = timetable.add(plan.what.entry.name, plan.what.mapping)
        text = _("Added the entry %(name)s.") % {"name": line(added.name)}
        return Done(text, go_to=visit.url("schedule"))


class ChangeEntry(Action):
    """Change an entry that was added at run time: the one that ``name`` in the address names."""

    slug = "schedule/change"
    permission = "change_schedule"
    label = gettext_lazy("Change")
    page = "schedule"

    def plan(self, visit: Visit) -> Plan:
        found = find(visit, visit.name("name"))
        form = EntryForm(visit.request.POST, entry=found.entry, version=found.version)
        if form.is_valid() and form.cleaned_data["version"] != found.version:
            raise NothingToDo(_("The entry was changed by somebody else meanwhile: look again."))
        return _plan(visit, form, _("Change the entry %(name)s to this?") % {"name": line(found.entry.name)})

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        changed = timetable.change(plan.what.entry.name, **plan.what.mapping)
        text = _("Changed the entry %(name)s.") % {"name": line(changed.name)}
        return Done(text, go_to=visit.url("schedule"))


def _plan(visit: Visit, form: EntryForm, question: str) -> Plan:
    if not form.is_valid():
        return Plan(1, _("This cannot be an entry yet."), form=form, draft=True)
    if "again" in visit.request.POST:
        return Plan(1, _("What is the entry to be?"), form=form, draft=True)
    entry = form.entry
    slots = entry.next_slots(visit.store.time(), SLOTS)
    when = [_("next: %(when)s") % {"when": moment(time)} for time in map(from_unix, slots) if time is not None]
    items = [line(entry.name), line_of_entry(visit, entry), line(entry.cron or ""), line(describe(entry)), *when]
    return Plan(1, question, form, [item for item in items if item], again=True)


PAGE = ScheduleEntryPage()
ACTIONS: tuple[Action, ...] = (AddEntry(), ChangeEntry())
