"""To be replaced."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from ..action import Action
from ..page import Page
from ..visit import Visit


class DelayedPage(Page):
    """To be replaced."""

    slug = "delayed"
    title = _("Delayed")
    template = "stub.html"
    in_menu = True

    def context(self, visit: Visit) -> dict[str, Any]:
        return {}


PAGE = DelayedPage()
ACTIONS: tuple[Action, ...] = ()
