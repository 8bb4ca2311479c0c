"""What the verbs of ``manage.py resque`` have in common."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.management.base import CommandError

from ..terminal import Terminal

OK = 0
NO = 1
"""The exit code where the answer is no, nothing was found, or not everything could be done."""
USAGE = 2
"""The exit code where the command line makes no sense; argparse's."""


class Verb:
    """One verb. Its class docstring is not shown; `help` is, and the first line of it in the list of all verbs.

    With ``has_json`` it has the option ``--json``, which `Terminal` obeys: then `Terminal.json` is to be called once,
    and what goes to `Terminal.line` and `Terminal.table` is not shown.
    """

    name: ClassVar[str]
    help: ClassVar[str]
    has_json: ClassVar[bool] = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare its arguments to ``parser``."""

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        """Do it; the exit code. Raises `ResqueError` (shown in one line, exit code 1) and `CommandError`."""
        raise NotImplementedError


class UsageError(CommandError):
    """The command line makes no sense: the message says which option to give."""

    def __init__(self, message: str) -> None:
        super().__init__(message, returncode=USAGE)


def add_yes_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``-y``/``--yes``, which `confirmed` obeys."""
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def confirmed(question: str, options: Mapping[str, Any], terminal: Terminal) -> bool:
    """Whether to go on: ``--yes`` was given, or somebody at the terminal says so. Raises `UsageError` without both."""
    if options["yes"]:
        return True
    if not terminal.is_interactive:
        raise UsageError(f"{question} Nobody is there to be asked: add --yes")
    return terminal.confirm(question)
