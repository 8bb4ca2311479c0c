"""To be replaced."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from ..action import Action
from ..page import Page
from ..visit import Visit


class FailurePage(Page):
    """To be replaced."""

    slug = "failure"
    title = _("Failure")
    template = "stub.html"
    in_menu = False

    def context(self, visit: Visit) -> dict[str, Any]:
        return {}


PAGE = FailurePage()
ACTIONS: tuple[Action, ...] = ()
