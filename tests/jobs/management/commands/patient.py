"""A command with a time limit, that also declares what takes effect in a later release."""

from typing import Any

from django_resque.management import JobCommand


class Command(JobCommand):
    timeout = 30
    max_attempts = 3

    def handle(self, *args: Any, **options: Any) -> None:
        """Do nothing."""
