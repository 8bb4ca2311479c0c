"""The list of failures, in which one searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ...failure import Failure
from ..action import Action
from ..failure_actions import DiscardFailures, RetryFailures
from ..failure_rows import FailureRow, allowed_actions
from ..failure_search import FailureSearch
from ..page import Button, Page, Pager, choices, start_of
from ..text import Time, line, number
from ..visit import LONGEST, Visit
from .failures import looked_through, notes, since_options

SIZE = 50
"""Failures on a page."""
MOST_READ = 4_000
"""Records that are read in full to find a text; the others are passed over because it cannot be in them."""
MOST_VEILED = 1_000
"""Records that are looked through where sensitive values have to be hidden first, which takes longer. Not only those
are counted that may fit: how far it comes would tell what stands in them."""


@dataclass(frozen=True, slots=True)
class Found:
    """A page of the list: what is on it, how many there are (None: not known), whether more follow, at which time of
    Redis' clock, and what to say about it."""

    failures: Sequence[Failure]
    total: int | None
    more: bool
    time: datetime
    notes: Sequence[str] = ()


class FailureListPage(Page):
    """Failures, the newest first."""

    slug = "failures/list"
    title = gettext_lazy("List of failures")
    template = "failure_list.html"
    section = "failures"
    every = 10

    def context(self, visit: Visit) -> dict[str, Any]:
        search = FailureSearch.of(visit)
        start = start_of(visit, SIZE)
        found = _found(visit, search, start)
        return {
            "now": Time.of(found.time, found.time),
            "search": {name: line(value, LONGEST) for name, value in search.query().items()},
            "is_filtered": search != FailureSearch(),
            "options": choices(search.since, since_options(), visit, "since"),
            "lacks": _lacks(search),
            "all_url": visit.url(self.slug),
            "groups_url": visit.url("failures"),
            "rows": [FailureRow.of(failure, visit, found.time) for failure in found.failures],
            "count": _count(found.total),
            "notes": found.notes,
            "pager": Pager.of(
                visit, start=start, shown=len(found.failures), total=found.total, more=found.more, size=SIZE
            ),
            "buttons": [Button(action.label, visit.url(action.slug)) for action in allowed_actions(visit)],
            "all_buttons": [
                Button(action.label, visit.url(action.slug, search.query()), all=True, about=_("all that match"))
                for action in allowed_actions(visit)
            ],
        }


def _found(visit: Visit, search: FailureSearch, start: int) -> Found:
    if search == FailureSearch():
        return _newest(visit, start)
    return _with_text(visit, search, start) if search.q else _of_kind(visit, search, start)


def _newest(visit: Visit, start: int) -> Found:
    failures = visit.store.failures
    time, count = _time(visit), failures.count()
    return Found(failures.page(start, SIZE), count, count > start + SIZE, time)


def _of_kind(visit: Visit, search: FailureSearch, start: int) -> Found:
    """By what the records say in short; those of the page alone are read in full."""
    table = visit.store.failure_table()
    which = search.filter(table.time, visit.redactor)
    places = [
        head.position for head in table.heads if which.fits(head.command, head.exception, head.queue, head.failed_at)
    ]
    shown = visit.store.failures.at(places[start : start + SIZE])
    # when records were removed meanwhile, others are in their places
    fitting = [failure for failure in shown if which(failure)]
    return Found(fitting, len(places), len(places) > start + SIZE, table.time, notes(table))


def _with_text(visit: Visit, search: FailureSearch, start: int) -> Found:
    """By the whole records, until the page is full."""
    time = _time(visit)
    which = search.filter(time, visit.redactor)
    end = visit.store.failures.tail()
    found: list[Failure] = []
    seen = read = 0
    for raw in end.elements if visit.redactor.reveal else end.elements[:MOST_VEILED]:
        if len(found) > start + SIZE or read == MOST_READ:
            break
        seen += 1
        if which.may_be_in(raw):
            read += 1
            failure = Failure.from_record(raw)
            if which(failure):
                found.append(failure)
    more = len(found) > start + SIZE
    said = [looked_through(seen, end.count)] if seen < end.count and not more else []
    return Found(found[start : start + SIZE], None if more or said else len(found), more, time, said)


def _time(visit: Visit) -> datetime:
    return datetime.fromtimestamp(visit.store.time(), UTC)


def _count(total: int | None) -> str:
    if total is None:
        return ""
    return ngettext("%(count)s failure", "%(count)s failures", total) % {"count": number(total)}


def _lacks(search: FailureSearch) -> str:
    return {"job": _("without a job that could be read"), "exception": _("without an exception")}.get(search.none, "")


PAGE = FailureListPage()
ACTIONS: tuple[Action, ...] = (RetryFailures(), DiscardFailures())
