"""Commands that a test defines itself, installed as if they stood in the app ``tests.jobs``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from unittest.mock import patch

from django.core.management import get_commands
from django.core.management.base import BaseCommand, CommandParser
from django.test import override_settings


@contextmanager
def installed(cls: type[BaseCommand], name: str = "sample", *, allowed: bool = True) -> Iterator[type[BaseCommand]]:
    """The command ``name`` is ``cls``; with ``allowed`` it is named in ``RESQUE["COMMANDS"]``."""
    path = f"tests.jobs.management.commands.{name}"
    module = ModuleType(path)
    module.Command = cls  # type: ignore[attr-defined]
    with (
        patch.dict(sys.modules, {path: module}),
        patch.dict(get_commands(), {name: "tests.jobs"}),
        override_settings(RESQUE={"COMMANDS": [name] if allowed else []}),
    ):
        yield cls


def command(add_arguments: Callable[[CommandParser], object], **attributes: Any) -> type[BaseCommand]:
    """A plain command with these arguments, that does nothing."""

    def add(self: BaseCommand, parser: CommandParser) -> None:
        add_arguments(parser)

    def handle(self: BaseCommand, *args: Any, **options: Any) -> None:
        pass

    return type("Command", (BaseCommand,), {"add_arguments": add, "handle": handle, **attributes})
