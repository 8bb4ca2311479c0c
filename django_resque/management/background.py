"""Starting workers as a command does: where they log, on which command line, and what is said about it."""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from .. import launching
from ..errors import NotStarted
from ..launching import Started
from .terminal import Terminal

LOG = Path("var", "log", "resque.log")
"""Below ``BASE_DIR``: where workers in the background log unless they are told."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``count`` processes of one command line. ``log`` is the path of their log, as ``--log`` takes it: it may hold
    ``{pid}`` and ``{host}``. ``cwd`` is where they start; here, when it is empty or no folder any more."""

    arguments: Sequence[str]
    log: str
    count: int = 1
    cwd: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A process that was started, and the log in which to look for what it says."""

    started: Started
    log: str
    log_end: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        """An object for programs."""
        process = self.started.process
        return {
            "worker": process.name if process else None,
            "registered": self.started.registered,
            "pid": self.started.pid,
            "queues": process.queues if process else None,
            "log": self.log,
            "status": self.started.status,
            "log_end": list(self.log_end),
        }


def default_log() -> Path:
    """Where workers log unless they are told. Raises `NotStarted` when the settings have no ``BASE_DIR``."""
    if getattr(settings, "BASE_DIR", None) is None:
        raise NotStarted("The settings have no BASE_DIR below which workers could log: give --log PATH")
    return below_base_dir(LOG)


def below_base_dir(path: Path | str) -> Path:
    """A path out of the settings, which does not depend on the folder in which a command is typed."""
    return Path(getattr(settings, "BASE_DIR", None) or "").absolute() / Path(path).expanduser()


def options_as_given(actions: Iterable[argparse.Action], options: Mapping[str, Any]) -> list[str]:
    """The command line on which ``actions`` would read ``options``, without what is left at its default."""
    found = []
    for action in actions:
        value = options.get(action.dest, action.default)
        if value == action.default or not action.option_strings:
            continue
        name = action.option_strings[-1]
        found.append(name if action.nargs == 0 else f"{name}={value}")
    return found


def start(plan: Plan, timeout: float) -> list[Outcome]:
    """Start what is planned, and wait until each process has registered or ended, up to ``timeout`` seconds. Raises
    `NotStarted`."""
    stream = Path(_filled_in(plan.log, "start"))
    try:
        stream.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotStarted(f"The folder {stream.parent} cannot be made: {error.strerror}. Give --log PATH") from error
    cwd = Path(plan.cwd) if os.path.isdir(plan.cwd) else None
    env = {"PWD": str(cwd)} if cwd else {}  # as a shell would have it
    found = launching.start(plan.arguments, count=plan.count, log=stream, env=env, cwd=cwd, timeout=timeout)
    return [_outcome(started, plan.log, stream) for started in found]


def _outcome(started: Started, pattern: str, stream: Path) -> Outcome:
    """What a process says before it can log is in ``stream``; when ``pattern`` has its number, the rest is not."""
    own = Path(_filled_in(pattern, str(started.pid)))
    end = list(started.log_end)
    if not started.registered and own != stream:
        end += launching.last_lines(own)
    return Outcome(started, str(own), end)


def _filled_in(pattern: str, pid: str) -> str:
    return pattern.replace("{pid}", pid).replace("{host}", socket.gethostname())


def show(outcomes: Sequence[Outcome], timeout: float, terminal: Terminal) -> bool:
    """Write what was started, and what was not, and why; True when all have registered."""
    registered = [(outcome, outcome.started.process) for outcome in outcomes if outcome.started.process]
    if registered:
        terminal.table(
            ["worker", "kind", "pid", "queues", "performers", "log"],
            [
                (process.name, process.kind, str(process.pid), process.queues, process.performers, outcome.log)
                for outcome, process in registered
            ],
        )
    for outcome in outcomes:
        if not outcome.started.registered:
            terminal.error(_why_not(outcome, timeout))
            for line in outcome.log_end:
                terminal.note(f"    {line}")
    return len(registered) == len(outcomes)


def _why_not(outcome: Outcome, timeout: float) -> str:
    pid, status = outcome.started.pid, outcome.started.status
    if status is None:
        what = f"Process {pid} has not registered within {timeout:g} s, and goes on trying"
    elif status < 0:
        what = f"Process {pid} was ended by signal {-status} before it had registered"
    else:
        what = f"Process {pid} has ended with exit status {status} before it had registered"
    where = f"in {outcome.log}" if os.path.exists(outcome.log) else "in its log"
    return f"{what}. " + (f"The end of what it has written {where}:" if outcome.log_end else "It has written nothing.")
