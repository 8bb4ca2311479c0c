"""To be replaced."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from ..action import Action
from ..page import Page
from ..visit import Visit


class FailuresPage(Page):
    """To be replaced."""

    slug = "failures"
    title = _("Failures")
    template = "stub.html"
    in_menu = True

    def context(self, visit: Visit) -> dict[str, Any]:
        return {}


PAGE = FailuresPage()
ACTIONS: tuple[Action, ...] = ()
