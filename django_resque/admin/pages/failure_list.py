"""The list of failures, in which one searches."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..action import Action
from ..failure_rows import FailureRow
from ..failure_search import SIZE, FailureSearch, find
from ..job_actions import FAILED
from ..page import Page, Pager, buttons, choices, start_of
from ..text import Time, line, number
from ..visit import LONGEST, Visit
from .failures import since_options


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
        time = visit.time()
        found = find(visit, search, start, time)
        return {
            "now": Time.of(time, time),
            "search": {name: line(value, LONGEST) for name, value in search.query().items()},
            "is_filtered": search != FailureSearch(),
            "options": choices(search.since, since_options(), visit, "since"),
            "lacks": _lacks(search),
            "all_url": visit.url(self.slug),
            "rows": [FailureRow.of(failure, visit, time) for failure in found.failures],
            "count": _count(found.total),
            "notes": found.notes,
            "pager": Pager.of(
                visit, start=start, shown=len(found.failures), total=found.total, more=found.more, size=SIZE
            ),
            "buttons": buttons(visit, FAILED),
            "all_buttons": buttons(visit, FAILED, search.query(), all=True, about=_("all that match"))
            if found.failures
            else [],
        }


def _count(total: int | None) -> str:
    if total is None:
        return ""
    return ngettext("%(count)s failure", "%(count)s failures", total) % {"count": number(total)}


def _lacks(search: FailureSearch) -> str:
    return {"job": _("without a job that could be read"), "exception": _("without an exception")}.get(search.none, "")


PAGE = FailureListPage()
ACTIONS: tuple[Action, ...] = (*FAILED,)
