"""The first page: a little of everything."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from ..action import Action
from ..board import Board
from ..page import Page
from ..visit import Visit


class OverviewPage(Page):
    """Queues, workers, counters and the last failures."""

    slug = ""
    title = _("Dashboard")
    template = "overview.html"

    def context(self, visit: Visit) -> dict[str, Any]:
        board = Board(visit.store.overview(), visit.store.delayed.health())
        return {"board": board, "now": board.time}


PAGE = OverviewPage()
ACTIONS: tuple[Action, ...] = ()
