"""A command that knows nothing of jobs, and returns a text, which is printed."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    def handle(self, *args: Any, **options: Any) -> str:
        return "a text"
