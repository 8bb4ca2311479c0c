"""A command with a ``handle()`` that returns what is no text."""

from __future__ import annotations

from typing import Any

from django_resque.management import JobCommand


class Command(JobCommand):
    def handle(self, *args: Any, **options: Any) -> Any:
        """Return a dict."""
        return {"rows": 3}
