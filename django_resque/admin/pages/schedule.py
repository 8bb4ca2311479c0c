"""To be replaced."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from ..action import Action
from ..page import Page
from ..visit import Visit


class SchedulePage(Page):
    """To be replaced."""

    slug = "schedule"
    title = _("Schedule")
    template = "stub.html"
    in_menu = True

    def context(self, visit: Visit) -> dict[str, Any]:
        return {}


PAGE = SchedulePage()
ACTIONS: tuple[Action, ...] = ()
