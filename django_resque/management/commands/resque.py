"""``manage.py resque VERB``: everything that can be asked for and done from a command line, except working."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...errors import ResqueError, StoreUnavailable
from ..terminal import Terminal, escaped
from ..verbs import USAGE, VERBS

INTERRUPTED = 130
"""The exit status that a shell gives to what Ctrl-C has ended."""


class Command(BaseCommand):
    """Parses, has the verb run, exits."""

    help = "Starts, stops and watches workers, and looks after jobs. VERB --help tells about each verb."
    requires_system_checks = []  # what is wrong with the project must not keep anybody from stopping a worker

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # Else it would take what belongs to a command that is enqueued for its own options.
        parser = super().create_parser(prog_name, subcommand, allow_abbrev=False, **kwargs)
        self._parser = parser
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
        for kind in VERBS:
            verb = kind()
            first, _, _ = verb.help.partition("\n")
            subparser = verbs.add_parser(
                verb.name, help=first, description=verb.help, allow_abbrev=False, conflict_handler="resolve"
            )
            self._add_base_arguments(subparser)
            if verb.has_json:
                subparser.add_argument("--json", action="store_true", help="write one JSON document")
            verb.add_arguments(subparser)
            subparser.set_defaults(run=verb.run)

    def _add_base_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Let the options of every command stand behind the verb as well."""
        group = parser.add_argument_group("options of every command")
        for names, settings in (
            (("-v", "--verbosity"), {"type": int, "choices": [0, 1, 2, 3]}),
            (("--settings",), {}),
            (("--pythonpath",), {}),
            (("--traceback",), {"action": "store_true"}),
            (("--no-color",), {"action": "store_true"}),
            (("--force-color",), {"action": "store_true"}),
        ):
            group.add_argument(*names, default=argparse.SUPPRESS, help=argparse.SUPPRESS, **settings)

    def handle(self, *args: Any, **options: Any) -> None:
        terminal = Terminal(self.stdout, self.stderr, as_json=bool(options.get("json")))
        if options["verb"] is None:
            self._parser.print_help()
            sys.exit(USAGE)
        try:
            status = options["run"](options, terminal)
            self.stdout.flush()
        except StoreUnavailable as error:
            raise CommandError(escaped(f"Redis is not available: {error}")) from error
        except ResqueError as error:
            raise CommandError(escaped(str(error))) from error
        except CommandError as error:  # its message may name what others have written into Redis
            raise CommandError(escaped(str(error)), returncode=error.returncode) from error
        except KeyboardInterrupt:
            status = INTERRUPTED
        except BrokenPipeError:
            status = _close_stdout()
        if status:
            sys.exit(status)


def _close_stdout() -> int:
    """Nobody reads any more, as behind ``| head``: nothing is left to be flushed when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
