"""One failure, with all that its record says."""

from __future__ import annotations

import re
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..action import Action
from ..failure_details import FailureDetails
from ..page import Page
from ..text import Time
from ..visit import Visit

_DIGEST = re.compile("[0-9a-f]{40}")


class FailurePage(Page):
    """The failure whose bytes have this SHA-1."""

    slug = "failure"
    title = gettext_lazy("Failure")
    template = "failure.html"
    section = "failures"
    every = 10

    def context(self, visit: Visit) -> dict[str, Any]:
        digest = visit.text("digest").lower()
        time = visit.time()
        failure = visit.store.failures.find(digest) if _DIGEST.fullmatch(digest) else None
        told: dict[str, Any] = {"now": Time.of(time, time), "list_url": visit.url("failures/list")}
        if failure is None:
            return {**told, "every": 0}
        found = FailureDetails.of(failure, visit, time)
        title = _("Failure of %(command)s") % {"command": found.command or _("(no job)")}
        return {**told, "failure": found, "title": title}


PAGE = FailurePage()
ACTIONS: tuple[Action, ...] = ()
