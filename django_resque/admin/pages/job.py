"""To be replaced."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from ..action import Action
from ..page import Page
from ..visit import Visit


class JobPage(Page):
    """To be replaced."""

    slug = "job"
    title = _("Job")
    template = "stub.html"
    in_menu = False

    def context(self, visit: Visit) -> dict[str, Any]:
        return {}


PAGE = JobPage()
ACTIONS: tuple[Action, ...] = ()
