from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.http import Http404

from django_resque.management import JobCommand
from pages.kept import warm_up


class Command(JobCommand):
    help = "Make a page and put it into the cache, before anybody has to wait for it."
    queue = "low"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", help="Such as /cities/berlin/")

    def handle(self, *args: Any, path: str, **options: Any) -> None:
        try:
            response = warm_up(path)
        except Http404 as error:
            raise CommandError(f"{path} cannot be warmed up: {error}") from error
        if response.status_code != 200:
            raise CommandError(f"{path} answers {response.status_code}.")
        self.stdout.write(f"{path} is in the cache ({len(response.content):,} bytes)")
