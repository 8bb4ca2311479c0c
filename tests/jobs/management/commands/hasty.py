"""A command with a time limit that it exceeds."""

import time
from typing import Any

from django_resque.management import JobCommand


class Command(JobCommand):
    timeout = 0.2

    def handle(self, *args: Any, **options: Any) -> None:
        """Sleep."""
        time.sleep(60)
