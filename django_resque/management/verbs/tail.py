"""``tail``: what the workers of this host log."""

from __future__ import annotations

import argparse
import os
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ...control import Wanted, select
from ...errors import NoSuchWorker, NotStarted, StoreError, StoreUnavailable
from ...store import store
from .. import background
from ..following import Follower
from ..running import at_least
from ..terminal import CtrlC, Terminal
from .targets import named
from .verb import OK, Verb

LINES = 10
LOOK = 0.25
"""Seconds between two looks at the files."""
FIND = 2.0
"""Seconds between two looks for workers that have started since."""


class Tail(Verb):
    """Follows their files."""

    name = "tail"
    help = (
        "Follow the logs of the workers of this host, until Ctrl-C.\n\n"
        "That is each file of --log, also when it is rotated, and those of workers that start meanwhile. Several have"
        " their name before each line. When no worker runs: the file where workers in the background log by default."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "workers", nargs="*", metavar="WORKER", help="the name of a worker process, or the id of one of its workers"
        )
        parser.add_argument("-q", "--queue", default="", help="only those that serve this queue")
        parser.add_argument(
            "--lines",
            type=at_least(0),
            default=LINES,
            metavar="N",
            help=f"show the last N lines of each first (default: {LINES})",
        )
        parser.add_argument("--no-follow", dest="follow", action="store_false", help="show these lines only")

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        try:
            paths, elsewhere = logs(options)
        except StoreUnavailable as error:
            terminal.note(f"Redis is not available: {error}")
            paths, elsewhere = _default(), 0
        if elsewhere:
            terminal.note(f"{elsewhere} worker(s) of other hosts are left out: what they log is there")
        if not paths:
            raise NoSuchWorker("No worker of this host logs to a file: give resque_worker --log PATH, or use start")
        view = View(terminal)
        try:
            view.show(paths, options["lines"])
            if options["follow"]:
                with CtrlC() as asked:
                    view.follow(options, asked)
        except KeyboardInterrupt:  # the way to end it
            return OK
        finally:
            view.close()
        return OK


def logs(options: Mapping[str, Any]) -> tuple[list[str], int]:
    """The files that the workers meant by ``options`` log to on this host, and how many of these are on others."""
    population = store().processes.population()
    wanted = Wanted(queue=options["queue"])
    if options["workers"]:
        targets = named(population, options["workers"])
    elif wanted.queue or population.processes:
        targets = select(population, wanted)
    else:
        return _default(), 0
    processes = [target.process for target in targets if target.process is not None]
    here = [process for process in processes if process.host == socket.gethostname()]
    return list(dict.fromkeys(process.log for process in here if process.log)), len(processes) - len(here)


def _default() -> list[str]:
    """Where those have logged that have left."""
    try:
        path = str(background.default_log())
    except NotStarted:
        return []
    return [path] if os.path.exists(path) else []


class View:
    """Several files, shown as one."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._followers: dict[str, Follower] = {}

    def show(self, paths: Sequence[str], lines: int) -> None:
        """Show the last ``lines`` lines of each file that was not known, and follow it from now on."""
        new = [path for path in paths if path not in self._followers]
        self._followers.update((path, Follower(path)) for path in new)
        for path in new:
            self._write(path, self._followers[path].last(lines))
        self._terminal.flush()

    def follow(self, options: Mapping[str, Any], asked: CtrlC) -> None:
        """Show what is added to them, until it is asked to end, and what workers log that have started since."""
        find = time.monotonic() + FIND
        while not asked.to_end:
            for path, follower in self._followers.items():
                self._write(path, follower.new())
            self._terminal.flush()
            asked.wait(LOOK)
            if time.monotonic() >= find:
                find = time.monotonic() + FIND
                with suppress(StoreError, NoSuchWorker):  # the files are there all the same
                    self.show(logs(options)[0], LINES)

    def close(self) -> None:
        """Close the files."""
        for follower in self._followers.values():
            follower.close()

    def _write(self, path: str, lines: Sequence[str]) -> None:
        before = f"{self._name(path)} | " if len(self._followers) > 1 else ""
        for line in lines:
            self._terminal.line(before + line)

    def _name(self, path: str) -> str:
        """The name of the file, with its folder where others have the same."""
        name = os.path.basename(path)
        alike = sum(os.path.basename(other) == name for other in self._followers)
        return name if alike == 1 else path
