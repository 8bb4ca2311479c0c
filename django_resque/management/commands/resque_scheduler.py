"""``manage.py resque_scheduler``: enqueue what is due, and perform nothing."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ...errors import ResqueError
from ...store import store
from ...worker import Dispatcher, Options
from ...worker.selection import Selection
from ..logging_options import add_logging_arguments, configure_logging
from ..running import open_missing_streams, pidfile, process_info


class Command(BaseCommand):
    """Runs a `Dispatcher` without performers."""

    help = (
        "Enqueues delayed jobs, retries and the jobs of the schedule when they are due. Every worker does that as well,"
        " unless it has --no-scheduler, and any number of them do it once. TERM and Ctrl-C stop it."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        open_missing_streams()  # first: Django's own checks would fail without them
        super().__init__(*args, **kwargs)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--pidfile", type=Path, metavar="PATH", help="write the process id there while running")
        add_logging_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        configure_logging(options)
        try:
            scheduler = Dispatcher(
                store(),
                Options(selection=Selection(store().config.queue), performers=0, info=process_info("scheduler")),
            )
        except ResqueError as error:
            raise CommandError(str(error)) from error
        with pidfile(options["pidfile"]):
            scheduler.run()
