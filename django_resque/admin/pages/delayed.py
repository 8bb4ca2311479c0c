"""What waits for its time: delayed jobs, and retries to come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ...errors import StoreError, StoreUnavailable
from ...moments import LAST_SECOND
from ...store import Health, Stretch
from .. import items
from ..action import Action
from ..items import Later
from ..job_actions import DELAYED, OF_STATE
from ..job_filter import JobFilter, sift
from ..job_rows import JobRow
from ..page import Page, Pager, buttons, start_of
from ..text import MESSAGE, Time, from_unix, line, moment, number, reason
from ..visit import LONGEST, Visit

SIZE = 50
"""Jobs on a page."""
COMMANDS = 12
"""Commands that are counted by name."""
RETRYING = "retrying"
"""The state that is not the usual one here."""


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
        retries = visit.text("state") == RETRYING
        fits = JobFilter.of(visit, health.time)
        stretch, trouble = _stretch(visit, fits, health, retries=retries)
        first = start_of(visit, SIZE)
        rest = replace(fits, start=None)  # from there on it was read
        found = sift(stretch.items, lambda each: each.raw, items.later, rest, start=first, size=SIZE)
        left = stretch.left if found.more or found.looked == len(stretch.items) else stretch.items[found.looked].due
        shown = [item for _place, item in found.shown]
        now = from_unix(stretch.time) or datetime.now(timezone.get_current_timezone())
        actions = OF_STATE[RETRYING if retries else "scheduled"]
        asked = visit.asked(p=None)  # an action is about what this page shows
        return {
            "now": Time.of(now, now),
            "kinds": _kinds(visit, retries=retries),
            "retries": retries,
            "q": line(fits.text, LONGEST),
            "filtered": not fits.is_empty,
            "narrowed": _narrowed(visit, fits),
            "all_url": visit.url(self.slug, state=RETRYING if retries else ""),
            "kept": {name: line(value, LONGEST) for name, value in visit.asked(p=None, q=None).items() if value},
            "rows": [JobRow.of(item, visit, now, to_come=True, actions=actions) for item in shown],
            "time_title": _("Due in"),
            "columns": ("queue", "exact", "attempt") if retries else ("queue", "exact"),
            "counts": _counts(visit, stretch.items),
            "looked": _looked_through(found.looked) if left is not None else "",
            "later": _later(visit, stretch, left, fits.start),
            "earlier": visit.here(**{"from": None, "p": None}) if fits.start is not None else "",
            "notices": _notices(health),
            "trouble": trouble,
            "pager": Pager.of(visit, start=first, shown=len(shown), total=found.total, more=found.more, size=SIZE),
            "buttons": buttons(visit, actions),
            "all_buttons": buttons(visit, actions, asked, all=True) if shown else [],
        }


def _stretch(visit: Visit, fits: JobFilter, health: Health, *, retries: bool) -> tuple[Stretch[Later], Sequence[str]]:
    """What is looked through, and what is wrong with it."""
    store = visit.store
    found: Stretch[Any]
    try:
        found = store.retries.stretch(fits.start) if retries else store.delayed.stretch(fits.start)
    except StoreUnavailable:
        raise
    except StoreError as error:  # a key of the wrong type
        return Stretch([], None, health.time), [reason(error)]
    trouble = [line(text, MESSAGE) for text in found.trouble]
    return Stretch(found.items, found.left, found.time), trouble


def _kinds(visit: Visit, *, retries: bool) -> list[dict[str, Any]]:
    """Links between which one chooses; what is looked for does not go along."""
    kinds = (("", _("Delayed jobs")), (RETRYING, _("Retries to come")))
    return [
        {"label": label, "url": visit.url("delayed", state=state), "current": bool(state) == retries}
        for state, label in kinds
    ]


def _narrowed(visit: Visit, fits: JobFilter) -> str:
    """What the jobs have in common that are shown, beside a text."""
    since = {"1h": _("enqueued within an hour"), "24h": _("within a day"), "7d": _("within a week")}
    found = [line(fits.command, LONGEST)]
    if fits.queue:
        found.append(_("queue %(name)s") % {"name": line(fits.queue, LONGEST)})
    found.append(since.get(visit.text("since"), ""))
    return ", ".join(filter(None, found))


def _counts(visit: Visit, those: Sequence[Later]) -> list[Count]:
    """The commands with the most jobs, and how many these are."""
    found = Counter(each.job.command for each in those if each.job is not None)
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


def _looked_through(count: int) -> str:
    return ngettext(
        "%(count)s was looked through: there are more.", "%(count)s were looked through: there are more.", count
    ) % {"count": number(count)}


def _later(visit: Visit, stretch: Stretch[Later], left: float | None, start: int | None) -> tuple[str, str] | None:
    """Where the rest is, from the second ``left`` on, and when that is; the address is empty when so many are due in
    one second that there is no way to the others."""
    if left is None:
        return None
    time = from_unix(left)
    if time is None or not 0 < left <= LAST_SECOND or (start is not None and int(left) <= start):
        return "", ""
    if stretch.items and int(left) <= stretch.items[0].due:
        return "", ""
    return visit.here(**{"from": int(left), "p": None}), moment(time)


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


PAGE = DelayedPage()
ACTIONS: tuple[Action, ...] = (*DELAYED,)
