"""``manage.py resque_worker``: perform jobs until told to stop."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ...command import job_commands
from ...conf import config
from ...errors import ResqueError
from ...store import store
from ...worker import Dispatcher, Options
from ...worker.selection import Selection
from ..logging_options import add_logging_arguments, configure_logging
from ..running import at_least, open_missing_streams, pidfile, process_info, seconds


class Command(BaseCommand):
    """Parses the options and runs a `Dispatcher`."""

    help = (
        "Performs jobs from the queues named with -q, the first one first. TERM and Ctrl-C let running jobs finish,"
        " within the grace period; asked a second time it stops at once. QUIT waits without limit."
        " USR1 ends the running jobs now, as failures. USR2 and TSTP pause: no further jobs are taken; CONT resumes."
        " HUP opens the file of --log anew."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        open_missing_streams()  # first: Django's own checks would fail without them
        super().__init__(*args, **kwargs)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "-q",
            "--queues",
            metavar="QUEUES",
            help="queues in order of priority, separated by commas; * and ? match any name, ! leaves out"
            ' (default: those that the project\'s commands declare, then RESQUE["QUEUE"])',
        )
        parser.add_argument(
            "-n", "--performers", type=at_least(1), default=1, metavar="N", help="jobs at the same time (default: 1)"
        )
        parser.add_argument("--burst", action="store_true", help="stop when the queues are empty")
        parser.add_argument(
            "-i",
            "--interval",
            type=seconds(0.01),
            default=1.0,
            metavar="SECONDS",
            help="how often to look for jobs of programs that do not ring our bell (default: 1)",
        )
        parser.add_argument(
            "--max-jobs",
            type=at_least(1),
            metavar="N",
            help='replace a performer after so many jobs (default: RESQUE["MAX_JOBS"], 10000)',
        )
        parser.add_argument(
            "--max-rss",
            type=at_least(1),
            metavar="MB",
            help='replace a performer that has grown beyond this (default: RESQUE["MAX_RSS"], no limit)',
        )
        parser.add_argument(
            "--max-age",
            type=seconds(1),
            metavar="SECONDS",
            help='replace a performer that is older than this (default: RESQUE["MAX_AGE"], no limit)',
        )
        parser.add_argument(
            "--grace",
            type=seconds(0),
            metavar="SECONDS",
            help='time for running jobs to finish when told to stop (default: RESQUE["GRACE"], 25)',
        )
        parser.add_argument(
            "--quiet-jobs", action="store_true", help="do not copy what commands write to the worker's own stderr"
        )
        parser.add_argument(
            "--no-scheduler",
            action="store_true",
            help="leave delayed jobs, retries and the schedule to other workers, or to resque_scheduler",
        )
        parser.add_argument("--pidfile", type=Path, metavar="PATH", help="write the process id there while running")
        add_logging_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        configure_logging(options)
        try:
            dispatcher = Dispatcher(store(), _worker_options(options))
        except ResqueError as error:
            raise CommandError(str(error)) from error
        with pidfile(options["pidfile"]):
            dispatcher.run()


def _worker_options(options: dict[str, Any]) -> Options:
    settings = config()
    commands = job_commands()  # loads them: performers share the memory
    declared = {info.queue for info in commands.values() if info.queue}
    queues = options["queues"]
    if queues is None:
        queues = ",".join(dict.fromkeys([*sorted(declared), settings.queue]))

    def given(name: str) -> Any:
        return getattr(settings, name) if options[name] is None else options[name]

    return Options(
        selection=Selection(queues),
        performers=options["performers"],
        burst=options["burst"],
        interval=options["interval"],
        grace=given("grace"),
        max_jobs=given("max_jobs"),
        max_rss=given("max_rss"),
        max_age=given("max_age"),
        quiet_jobs=options["quiet_jobs"],
        scheduler=not options["no_scheduler"],
        commands=commands,
        info=process_info("worker", queues, options["performers"]),
    )
