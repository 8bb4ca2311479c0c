"""What waits for its time: delayed jobs, and retries to come; running them now, moving them, deleting them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ...errors import StoreError, StoreUnavailable
from ...moments import LAST_SECOND, due_second
from ...store import Health, Stretch, Taken
from .. import waiting
from ..action import Action, Done, NothingToDo, Plan
from ..forms import TextForm
from ..page import Button, Page, Pager, start_of
from ..text import MESSAGE, Time, from_unix, line, moment, number, reason
from ..visit import LONGEST, Visit
from ..waiting import Filter, Waiting

SIZE = 50
"""Jobs on a page."""
COMMANDS = 12
"""Commands that are counted by name."""
SHOWN = 10
"""Jobs that a confirmation names."""


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """A delayed job, or a retry, as a row. ``due`` is None, and ``second`` says when, where no calendar has the day;
    the addresses are empty where there is nothing to go to."""

    key: str
    due: Time | None
    second: str
    line: str
    is_job: bool
    id: str
    url: str
    queue: str
    queue_url: str
    attempt: str
    problem: str
    buttons: Sequence[Button]


@dataclass(frozen=True, slots=True)
class Count:
    """How many of what was looked through are jobs of a command."""

    command: str
    count: str
    url: str
    current: bool


class DelayedPage(Page):
    """Delayed jobs in the order of time, or retries."""

    slug = "delayed"
    title = gettext_lazy("Delayed")
    template = "delayed.html"

    def context(self, visit: Visit) -> dict[str, Any]:
        health = visit.store.delayed.health()
        start, trouble = waiting.start(visit), []
        try:
            stretch = waiting.stretch(visit, start)
        except StoreUnavailable:
            raise
        except StoreError as error:  # a key of the wrong type
            stretch = Stretch([], None, health.time)
            trouble = [reason(error)]
        trouble += [line(text, MESSAGE) for text in stretch.trouble]
        fits = Filter.of(visit)
        found = [each for each in stretch.items if fits(each)] if fits.command or fits.text else stretch.items
        first = start_of(visit, SIZE)
        shown = found[first : first + SIZE]
        more = len(found) > first + SIZE
        now = from_unix(stretch.time) or datetime.now(timezone.get_current_timezone())
        retries = waiting.are_retries(visit)
        return {
            "now": Time.of(now, now),
            "kinds": _kinds(visit, retries=retries),
            "retries": retries,
            "q": line(fits.text, LONGEST),
            "command": line(fits.command, LONGEST),
            "kept": {"kind": waiting.RETRIES if retries else "", "command": fits.command, "from": start or ""},
            "rows": [_row(visit, each, now) for each in shown],
            "counts": _counts(visit, stretch.items),
            "looked": _looked_through(stretch),
            "later": _later(visit, stretch, start, now),
            "earlier": visit.here(**{"from": None, "p": None}) if start is not None else "",
            "notices": _notices(health),
            "trouble": trouble,
            "pager": Pager.of(visit, start=first, shown=len(shown), total=len(found), more=more, size=SIZE),
            "buttons": _buttons(visit, ""),
            "all_buttons": _all_buttons(visit) if found else [],
        }


def _kinds(visit: Visit, *, retries: bool) -> list[dict[str, Any]]:
    """Links between which one chooses; what is looked for does not go along."""
    kinds = (("", _("Delayed jobs")), (waiting.RETRIES, _("Retries to come")))
    return [
        {"label": label, "url": visit.url("delayed", kind=kind), "current": bool(kind) == retries}
        for kind, label in kinds
    ]


def _row(visit: Visit, each: Waiting, now: datetime) -> WaitingRow:
    due = from_unix(each.due)
    return WaitingRow(
        key=each.key,
        due=None if due is None else Time.until(due, now),
        second=line(f"{each.due:.0f}"),
        line=each.line(visit.redactor),
        is_job=each.job is not None,
        id=line(each.id),
        url=visit.url("job", id=each.id) if each.id else "",
        queue=line(each.queue),
        queue_url=visit.url("queue", name=each.queue) if 0 < len(each.queue) <= LONGEST else "",
        attempt=number(each.attempt),
        problem=line(each.problem),
        buttons=_buttons(visit, each.key, about=line(each.id or each.key), can_run=bool(each.queue)),
    )


def _actions(visit: Visit) -> list[type[Action]]:
    if not visit.may("change_delayed"):
        return []
    return [RunWaiting, CancelWaiting] if waiting.are_retries(visit) else [RunWaiting, MoveWaiting, CancelWaiting]


def _buttons(visit: Visit, key: str, about: str = "", *, can_run: bool = True) -> list[Button]:
    """Buttons for the row of this key; without one for those that are ticked."""
    return [
        Button(action.label, visit.url(action.slug), one=key, about=about)
        for action in _actions(visit)
        if can_run or action is not RunWaiting
    ]


def _all_buttons(visit: Visit) -> list[Button]:
    asked = {name: visit.name(name) for name in ("kind", "command", "q", "from")}
    return [Button(action.label, visit.url(action.slug, asked), all=True) for action in _actions(visit)]


def _counts(visit: Visit, items: Sequence[Waiting]) -> list[Count]:
    """The commands with the most jobs, and how many these are."""
    found = Counter(each.job.command for each in items if each.job is not None)
    chosen = visit.text("command")
    return [
        Count(
            line(command),
            number(count),
            visit.here(command=None if command == chosen else command, p=None),
            command == chosen,
        )
        for command, count in found.most_common(COMMANDS)
        if len(command) <= LONGEST
    ]


def _looked_through(stretch: Stretch[Waiting]) -> str:
    """Empty when all there is was looked through."""
    if stretch.left is None:
        return ""
    count = len(stretch.items)
    return ngettext(
        "%(count)s was looked through: there are more.", "%(count)s were looked through: there are more.", count
    ) % {"count": number(count)}


def _later(visit: Visit, stretch: Stretch[Waiting], start: int | None, now: datetime) -> tuple[str, str] | None:
    """Where the rest is, and from when on; the address is empty when so many are due in one second that there is no
    way to the others."""
    if stretch.left is None:
        return None
    left = from_unix(stretch.left)
    if left is None or not 0 < stretch.left <= LAST_SECOND or (start is not None and int(stretch.left) <= start):
        return "", ""
    if stretch.items and int(stretch.left) <= stretch.items[0].due:
        return "", ""
    return visit.here(**{"from": int(stretch.left), "p": None}), moment(left)


def _notices(health: Health) -> list[tuple[str, str]]:
    """Level and text of what there is to say about those who look after all this."""
    found = []
    if health.abandoned:
        found.append(
            (
                "error",
                _(
                    "Delayed jobs or retries wait, and no scheduler is alive: start a worker, or manage.py"
                    " resque_scheduler."
                ),
            )
        )
    if health.foreign:
        text = _(
            "The scheduler of another program looks after the delayed jobs: %(holder)s. Ours leave them to it, and"
            " look after the retries."
        )
        found.append(("warning", text % {"holder": line(health.foreign)}))
    return found


# -- actions -----------------------------------------------------------------------------------------------------------


class _OnWaiting(Action):
    """What is done with delayed jobs and retries: those that are named, or all that fit the filter."""

    permission = "change_delayed"
    page = "delayed"

    def _meant(self, visit: Visit) -> tuple[list[Waiting], list[str]]:
        """Those that are there, and what is to be said about the others."""
        if visit.all_matching:
            found, whole = waiting.matching(visit)
            said = [] if whole else [_("Not all were looked through: there are too many.")]
        else:
            keys = visit.ticked
            if not keys:
                raise NothingToDo(_("No job was chosen: tick some first."))
            found = waiting.named(visit.store, keys)
            said = _told(len(keys) - len(found), "gone")
        able = [each for each in found if self._can(each)]
        if not able:
            raise NothingToDo(self._why_not(found))
        return able, said + _told(len(found) - len(able), "unfit")

    def _can(self, each: Waiting) -> bool:
        return True

    def _why_not(self, found: Sequence[Waiting]) -> str:
        return _("There is no such job any more.")

    def _plan(self, visit: Visit, ask: Any, form: forms.Form | None = None, *, grave: bool = False) -> Plan:
        those, said = self._meant(visit)
        question = " ".join([ask(len(those)), *said])
        items = [each.line(visit.redactor) for each in those[:SHOWN]]
        return Plan(len(those), question, those, items, form, grave)


class RunWaiting(_OnWaiting):
    """Put jobs on their queues before their time."""

    slug = "delayed/run"
    label = gettext_lazy("Run now")

    def plan(self, visit: Visit) -> Plan:
        return self._plan(
            visit,
            lambda count: (
                ngettext(
                    "Run %(count)s job now? It goes to its queue.",
                    "Run %(count)s jobs now? They go to their queues.",
                    count,
                )
                % {"count": number(count)}
            ),
        )

    def _can(self, each: Waiting) -> bool:
        return bool(each.queue)

    def _why_not(self, found: Sequence[Waiting]) -> str:
        return _("This names no queue to which it could go.") if found else super()._why_not(found)

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        taken = waiting.run(visit.store, plan.what)
        text = ngettext("%(count)s job is in its queue now.", "%(count)s jobs are in their queues now.", taken.done) % {
            "count": number(taken.done)
        }
        return _done(text, taken, plan.what)


class MomentForm(TextForm):
    """Asks for another moment, or for so many seconds from ``now`` (unix time) on."""

    at = forms.DateTimeField(
        required=False,
        label=gettext_lazy("At"),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": 1}, format="%Y-%m-%dT%H:%M:%S"),
    )
    seconds = forms.IntegerField(required=False, min_value=0, max_value=LAST_SECOND, label=gettext_lazy("or in"))

    def __init__(self, data: Any, *, now: int) -> None:
        self._now = now
        super().__init__(data)
        zone = timezone.get_current_timezone_name()
        self.fields["at"].help_text = _("Date and time, in the time zone %(zone)s.") % {"zone": zone}
        self.fields["seconds"].help_text = _("Seconds from now on, in place of that.")

    def clean(self) -> dict[str, Any]:
        super().clean()
        given: dict[str, Any] = self.cleaned_data
        at, seconds = given.get("at"), given.get("seconds")
        if self.errors:
            return given
        if (at is None) == (seconds is None):
            raise forms.ValidationError(_("Say when: a date and time, or a number of seconds."))
        wanted = self._now + int(seconds or 0) if at is None else at
        try:
            second = due_second(wanted, zone=timezone.get_current_timezone())
        except (ValueError, OverflowError) as error:
            raise forms.ValidationError(line(str(error))) from error
        if second < self._now:
            raise forms.ValidationError(_("That moment has passed."))
        given["second"] = second
        return given


class MoveWaiting(_OnWaiting):
    """Make delayed jobs due at another time."""

    slug = "delayed/move"
    label = gettext_lazy("Reschedule")

    def plan(self, visit: Visit) -> Plan:
        data = visit.request.POST if "confirmed" in visit.request.POST else None
        return self._plan(
            visit,
            lambda count: (
                ngettext(
                    "Reschedule %(count)s job? It waits for another time then.",
                    "Reschedule %(count)s jobs? They wait for another time then.",
                    count,
                )
                % {"count": number(count)}
            ),
            MomentForm(data, now=visit.store.time()),
        )

    def _can(self, each: Waiting) -> bool:
        return not each.is_retry

    def _why_not(self, found: Sequence[Waiting]) -> str:
        if found:
            return _("A retry can be run now or deleted, and not be rescheduled.")
        return super()._why_not(found)

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        assert plan.form is not None
        second: int = plan.form.cleaned_data["second"]
        taken = waiting.move(visit.store, plan.what, second)
        when = from_unix(second)
        text = ngettext("%(count)s job is due %(when)s now.", "%(count)s jobs are due %(when)s now.", taken.done)
        return _done(
            text % {"count": number(taken.done), "when": moment(when) if when else number(second)}, taken, plan.what
        )


class CancelWaiting(_OnWaiting):
    """Take jobs away before their time: they are never performed."""

    slug = "delayed/cancel"
    label = gettext_lazy("Delete")

    def plan(self, visit: Visit) -> Plan:
        return self._plan(
            visit,
            lambda count: (
                ngettext(
                    "Delete %(count)s job? It is not performed, and its state becomes “cancelled”.",
                    "Delete %(count)s jobs? They are not performed, and their state becomes “cancelled”.",
                    count,
                )
                % {"count": number(count)}
            ),
            grave=True,
        )

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        taken = waiting.cancel(visit.store, plan.what)
        text = ngettext("Deleted %(count)s job.", "Deleted %(count)s jobs.", taken.done) % {"count": number(taken.done)}
        return _done(text, taken, plan.what)


def _told(count: int, what: str) -> list[str]:
    """The sentence about so many that nothing is done with; none about none."""
    if count <= 0:
        return []
    texts = {
        "gone": ngettext("%(count)s is not there any more.", "%(count)s are not there any more.", count),
        "unfit": ngettext("%(count)s is left out: that cannot be.", "%(count)s are left out: that cannot be.", count),
        "stuck": ngettext(
            "%(count)s has stayed: it cannot go there.", "%(count)s have stayed: they cannot go there.", count
        ),
    }
    return [texts[what] % {"count": number(count)}]


def _done(text: str, taken: Taken, those: Sequence[Waiting]) -> Done:
    message = " ".join([text, *_told(taken.gone, "gone"), *_told(taken.stuck, "stuck")])
    commands = Counter(each.job.command for each in those if each.job is not None).most_common(3)
    note = f"{message} {', '.join(line(command, 60) for command, _count in commands)}"
    level = messages.WARNING if taken.gone or taken.stuck else messages.SUCCESS
    return Done(message, note, level)


PAGE = DelayedPage()
ACTIONS: tuple[Action, ...] = (RunWaiting(), MoveWaiting(), CancelWaiting())
