"""A job that says what it was given."""

from __future__ import annotations

import json
from argparse import SUPPRESS
from typing import Any

from django.core.management.base import CommandParser

from django_resque.management import JobCommand

from .act import facts

OPTIONS = "abefklnsx"


class Command(JobCommand):
    """Pushes its arguments to the list ``echo``, as JSON: the positional ones, then the options."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("texts", nargs="*")
        for name in OPTIONS:
            parser.add_argument(f"--{name}", default=SUPPRESS)

    def handle(self, *args: Any, **options: Any) -> None:
        given = {name: options[name] for name in OPTIONS if name in options}
        facts().rpush("echo", json.dumps([options["texts"], given]))
