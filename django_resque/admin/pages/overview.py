"""The first page: a little of everything, and what needs somebody's attention."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from ...store.processes import process_of
from ..action import Action
from ..board import DAY, Board
from ..page import Page
from ..visit import Visit


class OverviewPage(Page):
    """Numbers, throughput, alerts, the longest queues, the last failures."""

    slug = ""
    title = _("Dashboard")
    template = "overview.html"

    def context(self, visit: Visit) -> dict[str, Any]:
        """Five round trips: two for the queues, one for each of the others."""
        store = visit.store
        table = store.queue_table()
        now = table.time.timestamp()
        others = [worker for worker in table.worker_ids if not process_of(worker)]
        board = Board(
            visit,
            table,
            store.delayed.health(),
            store.statistics.throughput(now, DAY),
            store.overview(now, others),
        )
        return {"board": board, "now": board.time}


PAGE = OverviewPage()
ACTIONS: tuple[Action, ...] = ()
