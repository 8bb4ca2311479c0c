"""What fails, by command and exception."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ...store import FailureHead, FailureTable
from ..action import Action
from ..failure_search import SPANS, FailureSearch, notes
from ..job_actions import FAILED, Retry
from ..page import Button, Page, buttons, choices
from ..text import Time, line, number
from ..visit import Visit

SIZE = 100
"""Groups on the page."""
_ALL = len(SPANS)


@dataclass(slots=True)
class Group:
    """Failures of one kind: how many there are in each of `SPANS`, and in all, and when the last one was."""

    command: str
    exception: str
    counts: list[int]
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """A number, and the list of what it counts; without an address where there is none."""

    label: Any
    count: str
    url: str


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group as a row. ``command`` is empty where there is no job; it is not a link where no address can name it."""

    command: str
    exception: str
    url: str
    last: Time | None
    cells: Sequence[Cell]
    buttons: Sequence[Button]


class FailuresPage(Page):
    """Failures by command and exception."""

    slug = "failures"
    title = gettext_lazy("Failures")
    template = "failures.html"
    every = 10

    def context(self, visit: Visit) -> dict[str, Any]:
        table = visit.store.failure_table()
        since = FailureSearch.of(visit).since
        found = _groups(table)
        place = list(SPANS).index(since) if since else _ALL
        wanted = [group for group in found if group.counts[place]]
        wanted.sort(key=lambda group: ([-count for count in group.counts], group.command, group.exception))
        totals = [sum(group.counts[at] for group in found) for at in range(_ALL + 1)]
        return {
            "now": Time.of(table.time, table.time),
            "since": since,
            "options": choices(since, since_options(), visit, "since"),
            "labels": _labels(),
            "rows": [_row(visit, group, table.time) for group in wanted[:SIZE]],
            "more": _more_groups(len(wanted) - SIZE),
            "totals": _cells(visit, FailureSearch(), totals),
            "has_any": bool(found),
            "has_buttons": bool(buttons(visit, FAILED)),
            "notes": notes(table),
            "list_url": visit.url("failures/list"),
        }


def since_options() -> Sequence[tuple[str, Any]]:
    """Between which spans of time one chooses."""
    return [("1h", _("Last hour")), ("24h", _("Last 24 hours")), ("7d", _("Last 7 days")), ("", _("All"))]


def _groups(table: FailureTable) -> list[Group]:
    starts = [table.time - span for span in SPANS.values()]
    groups: dict[tuple[str, str], Group] = {}
    for head in table.heads:
        key = head.command, head.exception if head.command else ""
        group = groups.get(key)
        if group is None:
            group = groups[key] = Group(*key, [0] * (_ALL + 1))
        _count(group, head, starts)
    return list(groups.values())


def _count(group: Group, head: FailureHead, starts: Iterable[datetime]) -> None:
    group.counts[_ALL] += 1
    if head.failed_at is None:
        return
    if group.last is None or head.failed_at > group.last:
        group.last = head.failed_at
    for place, start in enumerate(starts):
        group.counts[place] += head.failed_at >= start


def _row(visit: Visit, group: Group, now: datetime) -> GroupRow:
    search = FailureSearch.of_group(group.command, group.exception)
    return GroupRow(
        command=line(group.command),
        exception=line(group.exception),
        url=visit.url("failures/list", search.query()) if search else "",
        last=Time.of(group.last, now) if group.last else None,
        cells=_cells(visit, search, group.counts),
        buttons=_buttons(visit, search, group),
    )


def _cells(visit: Visit, search: FailureSearch | None, counts: Sequence[int]) -> Sequence[Cell]:
    return [
        Cell(
            label,
            number(count),
            visit.url("failures/list", replace(search, since=since).query()) if search and count else "",
        )
        for label, since, count in zip(_labels(), [*SPANS, ""], counts, strict=True)
    ]


def _buttons(visit: Visit, search: FailureSearch | None, group: Group) -> Sequence[Button]:
    if search is None:
        return []
    about = line(f"{group.command or _('(no job)')} {group.exception}")
    able = [action for action in FAILED if group.command or not isinstance(action, Retry)]  # there is nothing to retry
    return buttons(visit, able, search.query(), all=True, about=about)


def _labels() -> Sequence[str]:
    return [_("1 h"), _("24 h"), _("7 d"), _("All")]


def _more_groups(count: int) -> str:
    if count <= 0:
        return ""
    text = ngettext("and %(count)s more group", "and %(count)s more groups", count)
    return text % {"count": number(count)}


PAGE = FailuresPage()
ACTIONS: tuple[Action, ...] = ()
