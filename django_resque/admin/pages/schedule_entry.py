"""To be replaced."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from ..action import Action
from ..page import Page
from ..visit import Visit


class ScheduleEntryPage(Page):
    """To be replaced."""

    slug = "schedule/entry"
    title = _("Schedule entry")
    template = "stub.html"
    in_menu = False

    def context(self, visit: Visit) -> dict[str, Any]:
        return {}


PAGE = ScheduleEntryPage()
ACTIONS: tuple[Action, ...] = ()
