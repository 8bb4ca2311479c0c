"""To be replaced."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from ..action import Action
from ..page import Page
from ..visit import Visit


class RunPage(Page):
    """To be replaced."""

    slug = "run"
    title = _("Run a command")
    template = "stub.html"
    in_menu = True

    def context(self, visit: Visit) -> dict[str, Any]:
        return {}


PAGE = RunPage()
ACTIONS: tuple[Action, ...] = ()
