"""``start``, ``startscheduler`` and ``load``: workers in the background."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ... import launching
from ...conf import config
from ...errors import ConfigurationError, NotStarted
from ...hint import did_you_mean
from .. import background
from ..background import Outcome, Plan
from ..commands.resque_scheduler import Command as SchedulerCommand
from ..commands.resque_worker import Command as WorkerCommand
from ..running import at_least, seconds
from ..terminal import Terminal
from .verb import NO, OK, UsageError, Verb


class Start(Verb):
    """Starts processes of ``resque_worker``, whose options it has as well."""

    name = "start"
    help = (
        "Start workers in the background.\n\n"
        "Each is a resque_worker, a process of its own in a session of its own, and goes on when this terminal is"
        " closed. Waits until it has registered; if it does not, the end of its log is shown, and the exit code is 1."
    )
    has_json = True
    command: type[BaseCommand] = WorkerCommand
    command_name = "resque_worker"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        self.command().add_arguments(parser)  # type: ignore[arg-type]
        self._actions = [action for action in parser._actions if action.dest not in _OURS]
        self.add_own_arguments(parser)
        add_timeout_argument(parser)

    def add_own_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "-n",
            "--workers",
            type=at_least(1),
            default=1,
            metavar="N",
            help="how many worker processes (default: 1); jobs at the same time are this times --performers",
        )

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        return start([self.plan(options)], options["timeout"], terminal)

    def plan(self, options: Mapping[str, Any]) -> Plan:
        """What the options ask for. Raises `UsageError`."""
        count = options.get("workers", 1)
        if count > 1 and options["pidfile"]:
            raise UsageError("--pidfile is for one worker: leave -n out")
        log = options["log"] or str(background.default_log())
        log = os.path.abspath(os.path.expanduser(log))
        arguments = [self.command_name, *background.options_as_given(self._actions, options)]
        if options["log_handler"] is None:
            arguments.append(f"--log={log}")
        if options["verbosity"] != 1:
            arguments.append(f"--verbosity={options['verbosity']}")
        return Plan(arguments, log, count)


class StartScheduler(Start):
    """Starts a process of ``resque_scheduler``."""

    name = "startscheduler"
    help = (
        "Start a scheduler in the background.\n\n"
        "It enqueues delayed jobs, retries and the jobs of the schedule, and performs none. Workers do that too, so it"
        " is of use where they have --no-scheduler, or do not run all the time."
    )
    command = SchedulerCommand
    command_name = "resque_scheduler"

    def add_own_arguments(self, parser: argparse.ArgumentParser) -> None:
        """It has none."""


class Load(Verb):
    """Starts what the settings name."""

    name = "load"
    help = 'Start the workers that the settings predefine in RESQUE["WORKERS"], or some of them.'
    has_json = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME", help="their names in the settings (default: all)")
        add_timeout_argument(parser)

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        known = config().workers
        if not known:
            raise CommandError('RESQUE["WORKERS"] names no workers')
        for name in options["names"]:
            if name not in known:
                hint = did_you_mean(name, known) or f" (there are {', '.join(known)})"
                raise CommandError(f'RESQUE["WORKERS"] has no {name!r}{hint}')
        wanted = options["names"] or list(known)
        plans = [plan_of(name, known[name], options["verbosity"]) for name in dict.fromkeys(wanted)]
        return start(plans, options["timeout"], terminal)


def plan_of(name: str, entry: Mapping[str, Any], verbosity: int = 1) -> Plan:
    """How the entry ``name`` of ``RESQUE["WORKERS"]`` is started. Raises `ConfigurationError`."""
    verb = Start()
    parser = CommandParser(called_from_command_line=False, conflict_handler="resolve", add_help=False)
    verb.add_arguments(parser)
    argv = [f"{_OPTIONS[key]}={value}" for key, value in entry.items() if key in _OPTIONS]
    if "log" in entry:
        argv.append(f"--log={background.below_base_dir(entry['log'])}")
    try:
        found = vars(parser.parse_args([*argv, *entry.get("options", ())]))
        return verb.plan({"verbosity": verbosity, **found})
    except CommandError as error:
        raise ConfigurationError(f"RESQUE['WORKERS'][{name!r}]: {error}") from error


def start(plans: Sequence[Plan], timeout: float, terminal: Terminal) -> int:
    """Start what is planned, and show what came of it; the exit code."""
    outcomes: list[Outcome] = []
    all_begun = True
    for plan in plans:
        try:
            outcomes += background.start(plan, timeout)
        except NotStarted as error:  # the others are to start all the same
            all_begun = False
            terminal.error(str(error))
    terminal.json([outcome.as_json() for outcome in outcomes])
    return OK if background.show(outcomes, timeout, terminal) and all_begun else NO


def add_timeout_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--timeout``."""
    parser.add_argument(
        "--timeout",
        type=seconds(0),
        default=launching.TIMEOUT,
        metavar="SECONDS",
        help=f"how long to wait until they have registered (default: {launching.TIMEOUT:g})",
    )


_OURS = frozenset(
    {"help", "log", "json", "verbosity", "settings", "pythonpath", "traceback", "no_color", "force_color"}
)
"""Options that are not handed on as they are."""
_OPTIONS = {
    "queues": "--queues",
    "count": "--workers",
    "performers": "--performers",
    "interval": "--interval",
}
"""The keys of an entry, and the options of `Start` that they stand for."""
