"""The options that say where a worker or scheduler logs."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError

from .. import log_target
from ..errors import ConfigurationError

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def add_logging_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--log``, ``--log-handler``, ``--log-level`` and ``--log-json``."""
    group = parser.add_argument_group("logging")
    where = group.add_mutually_exclusive_group()
    where.add_argument(
        "--log",
        metavar="PATH",
        help="log to this file instead of standard error; {pid} and {host} in its name are filled in, folders are made,"
        " and it may be renamed at any time",
    )
    where.add_argument(
        "--log-handler", metavar="NAME", help="log to this handler of the project's LOGGING, and to no other"
    )
    group.add_argument(
        "--log-level",
        type=str.upper,
        choices=LEVELS,
        help="log from this level on (default: what -v says: 0 is WARNING, 1 INFO, 2 DEBUG)",
    )
    group.add_argument("--log-json", action="store_true", help="write JSON lines, to --log or to standard error")


def configure_logging(options: Mapping[str, Any]) -> None:
    """Log as the options of a command say: the four above, and Django's ``verbosity``.

    Raises `CommandError` when that cannot be done.
    """
    path, handler, as_json = options["log"], options["log_handler"], options["log_json"]
    chosen = options["log_level"]
    level = log_target.level_of(options["verbosity"]) if chosen is None else logging.getLevelNamesMapping()[chosen]
    _check(path, handler, as_json)
    try:
        if path is not None:
            log_target.to_file(path, level, as_json=as_json)
        elif handler is not None:
            log_target.to_handler(handler, level)
        elif not log_target.project_decides():
            log_target.to_stderr(level, as_json=as_json)
        elif chosen is not None:
            log_target.logger.setLevel(level)
    except ConfigurationError as error:
        raise CommandError(str(error)) from error


def _check(path: str | None, handler: str | None, as_json: bool) -> None:
    if path is not None and handler is not None:  # by call_command, which does not look at exclusive groups
        raise CommandError("Give --log or --log-handler, not both")
    if path == "":
        raise CommandError("--log needs the path of a file")
    if as_json and path is None and (handler is not None or log_target.project_decides()):
        raise CommandError(
            "--log-json is for the file of --log, or for standard error, and LOGGING sends our records elsewhere. Add"
            ' --log PATH, or give the handler in LOGGING the formatter {"()": "django_resque.log_format.JsonFormatter"}'
        )
