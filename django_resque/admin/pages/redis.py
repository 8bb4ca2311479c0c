"""To be replaced."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from ..action import Action
from ..page import Page
from ..visit import Visit


class RedisPage(Page):
    """To be replaced."""

    slug = "redis"
    title = _("Redis")
    template = "stub.html"
    in_menu = True

    def context(self, visit: Visit) -> dict[str, Any]:
        return {}


PAGE = RedisPage()
ACTIONS: tuple[Action, ...] = ()
