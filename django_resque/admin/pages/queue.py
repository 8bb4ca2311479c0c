"""To be replaced."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from ..action import Action
from ..page import Page
from ..visit import Visit


class QueuePage(Page):
    """To be replaced."""

    slug = "queue"
    title = _("Queue")
    template = "stub.html"
    in_menu = False

    def context(self, visit: Visit) -> dict[str, Any]:
        return {}


PAGE = QueuePage()
ACTIONS: tuple[Action, ...] = ()
