"""A command that says on its class when it is tried again."""

from __future__ import annotations

import builtins
from typing import Any

from django.core.management.base import CommandParser

from django_resque import current_job
from django_resque.management import JobCommand

from .act import facts


def wait(error: BaseException, attempt: int) -> float | None:
    """For `MemoryError` never again, and with a bug for `NotImplementedError`."""
    if isinstance(error, NotImplementedError):
        raise ZeroDivisionError("the backoff is broken")
    return None if isinstance(error, MemoryError) else 0.01 * attempt


class Command(JobCommand):
    max_attempts = 3
    backoff = staticmethod(wait)
    retry_on = (LookupError, MemoryError, NotImplementedError)
    give_up_on = KeyError

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("exception")

    def handle(self, *args: Any, **options: Any) -> None:
        """Count the attempts under the name of an exception, and raise it."""
        job = current_job()
        facts().rpush(options["exception"], job.attempt if job else 0)
        raise getattr(builtins, options["exception"])("as it was told")
