"""``manage.py resque_worker``: perform jobs until told to stop."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ... import log
from ...command import JobCommand, job_commands
from ...conf import config
from ...errors import ResqueError
from ...store import store
from ...worker import Dispatcher, Options
from ...worker.selection import Selection


class Command(BaseCommand):
    """Parses the options and runs a `Dispatcher`."""

    help = (
        "Performs jobs from the queues named with -q, the first one first. TERM and Ctrl-C let running jobs finish,"
        " within the grace period; asked a second time it stops at once. QUIT waits without limit."
        " USR1 ends the running jobs now, as failures. USR2 and TSTP pause: no further jobs are taken; CONT resumes."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _open_missing_streams()  # first: Django's own checks would fail without them
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
            "-n", "--performers", type=_at_least(1), default=1, metavar="N", help="jobs at the same time (default: 1)"
        )
        parser.add_argument("--burst", action="store_true", help="stop when the queues are empty")
        parser.add_argument(
            "--interval",
            type=_seconds(0.01),
            default=1.0,
            metavar="SECONDS",
            help="how often to look for jobs of programs that do not ring our bell (default: 1)",
        )
        parser.add_argument(
            "--max-jobs",
            type=_at_least(1),
            metavar="N",
            help='replace a performer after so many jobs (default: RESQUE["MAX_JOBS"], 10000)',
        )
        parser.add_argument(
            "--max-rss",
            type=_at_least(1),
            metavar="MB",
            help='replace a performer that has grown beyond this (default: RESQUE["MAX_RSS"], no limit)',
        )
        parser.add_argument(
            "--max-age",
            type=_seconds(1),
            metavar="SECONDS",
            help='replace a performer that is older than this (default: RESQUE["MAX_AGE"], no limit)',
        )
        parser.add_argument(
            "--grace",
            type=_seconds(0),
            metavar="SECONDS",
            help='time for running jobs to finish when told to stop (default: RESQUE["GRACE"], 25)',
        )
        parser.add_argument(
            "--quiet-jobs", action="store_true", help="do not copy what commands write to the worker's own stderr"
        )
        parser.add_argument("--pidfile", type=Path, metavar="PATH", help="write the process id there while running")

    def handle(self, *args: Any, **options: Any) -> None:
        log.configure_default(options["verbosity"])
        try:
            dispatcher = Dispatcher(store(), _worker_options(options))
        except ResqueError as error:
            raise CommandError(str(error)) from error
        with _pidfile(options["pidfile"]):
            dispatcher.run()


def _worker_options(options: dict[str, Any]) -> Options:
    settings = config()
    commands = job_commands()  # loads them: performers share the memory
    declared = {info.queue for info in commands.values() if info.queue}
    for info in commands.values():
        if issubclass(info.cls, JobCommand) and info.cls.max_attempts:
            log.not_in_effect_yet(info.name)
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
        commands=commands,
    )


def _at_least(least: int) -> Callable[[str], int]:
    def integer(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}")
        return value

    return integer


def _seconds(least: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = float(text)
        if not least <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"must be a number of seconds, at least {least:g}")
        return value

    return number


def _open_missing_streams() -> None:
    """Put /dev/null where a standard stream was closed (``2>&-``), or the next socket would be taken for it."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            try:
                os.fstat(descriptor)
            except OSError:
                null = os.open(os.devnull, os.O_RDWR)
                if null != descriptor:
                    os.dup2(null, descriptor)
                    os.close(null)
            setattr(sys, name, open(os.devnull, "w" if descriptor else "r"))  # noqa: SIM115  for as long as we live


@contextmanager
def _pidfile(path: Path | None) -> Iterator[None]:
    if path is None:
        yield
        return
    try:
        path.write_text(f"{os.getpid()}\n")
    except OSError as error:
        raise CommandError(f"The process id cannot be written to {path}: {error.strerror}") from error
    try:
        yield
    finally:
        with suppress(OSError):
            if path.read_text() == f"{os.getpid()}\n":  # another worker may have written its own since
                path.unlink()
