"""A command with limits of its own."""

from typing import Any

from django_resque.management import JobCommand


class Command(JobCommand):
    timeout = 30
    max_attempts = 3

    def handle(self, *args: Any, **options: Any) -> None:
        """Do nothing."""
