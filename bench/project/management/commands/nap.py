"""A job that sleeps, and notes from when to when."""

from typing import Any

from django.core.management.base import CommandParser

from django_resque.management import JobCommand
from project import work


class Command(JobCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("seconds", type=float)

    def handle(self, *args: Any, **options: Any) -> None:
        work.nap(options["seconds"])
