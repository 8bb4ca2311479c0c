"""Arguments that several verbs take."""

from __future__ import annotations

import argparse
from argparse import PARSER, REMAINDER
from collections.abc import Sequence
from typing import Any

from ...conf import config
from ...errors import InvalidArguments, InvalidQueue
from ...job import check_queue
from ...typed_line import Call, read_line, read_plainly
from ..running import at_least
from .verb import UsageError


def add_line_argument(parser: argparse.ArgumentParser, *, may_be_missing: bool = False) -> None:
    """Add a command with its arguments: whatever stands behind its name belongs to it. See `typed`."""
    parser.add_argument(
        "line",
        nargs=REMAINDER if may_be_missing else PARSER,
        metavar="COMMAND [ARGUMENTS]",
        help="the line that one would type behind manage.py; what is behind the command's name belongs to it",
    )


def typed(line: Sequence[str], *, check: bool = True) -> tuple[str, Call]:
    """The command and the call that were typed; the command is asked unless ``check`` or ``RESQUE["CHECK"]`` is off.

    Raises `UsageError`, also where the command does not take the arguments, and what else `read_line` raises.
    """
    name, *words = line[1:] if line[:1] == ["--"] else line
    if name.startswith("-"):
        raise UsageError(f"{name} is unknown here; what belongs to the command stands behind its name")
    read = read_line if check and config().check else read_plainly
    try:
        return name, read(name, words)
    except InvalidArguments as error:
        # It names an option that it does not know only when nothing else is wrong.
        strange = "unrecognized arguments: -" in str(error)
        hidden = "arguments are required" in str(error) and any(word.startswith("-") for word in words)
        hint = " (what is not for the command stands before its name)" if strange or hidden else ""
        raise UsageError(f"{error}{hint}") from error


def add_page_arguments(parser: argparse.ArgumentParser, *, limit: int = 50) -> None:
    """Add ``--limit`` and ``--offset``."""
    parser.add_argument("--limit", type=at_least(1), default=limit, metavar="N", help=f"how many (default: {limit})")
    parser.add_argument("--offset", type=at_least(0), default=0, metavar="N", help="how many to pass over before that")


def add_act(acts: Any, name: str, words: str) -> argparse.ArgumentParser:
    """Add what can be done below a verb, an act, to its subparsers ``acts``; its parser."""
    parser: argparse.ArgumentParser = acts.add_parser(name, help=words, description=words, allow_abbrev=False)
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="write one JSON document")
    return parser


def said(text: str) -> str:
    """Reads a name that selects something: an empty one, as of a variable that is not set, would select all."""
    if not text:
        raise argparse.ArgumentTypeError("is empty: leave it out, or say which")
    return text


def queue_name(text: str) -> str:
    """Reads the name of a queue to enqueue to."""
    try:
        return check_queue(text)
    except InvalidQueue as error:
        raise argparse.ArgumentTypeError(str(error)) from None
