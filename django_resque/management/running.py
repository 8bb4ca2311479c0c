"""What the commands that run until they are told to stop have in common."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from ..launching import LAUNCH, seal
from ..log_target import path_in_use


def process_info(kind: str, queues: str = "", performers: int = 0) -> dict[str, Any]:
    """What other processes are to know of this one: `django_resque.store.processes` reads it."""
    about = {
        "kind": kind,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "queues": queues,
        "performers": performers,
        "started": time.time(),
        "launch": os.environ.get(LAUNCH, ""),
        "argv": sys.argv[1:],
        "log": path_in_use(),
        "cwd": _folder(),
    }
    return {**about, "seal": seal(about)}


def _folder() -> str:
    """The current folder by the path on which a shell has come there: with a symbolic link to the release in force, it
    is the next release's tomorrow."""
    folder = os.environ.get("PWD", "")
    with suppress(OSError):
        if os.path.isabs(folder) and os.path.samefile(folder, "."):
            return folder
    return os.getcwd()


MOST = 1_000_000_000
"""The largest integer, and number of seconds, on a command line: more means nothing, and is too much for a clock."""


def at_least(least: int) -> Callable[[str], int]:
    """Reads an integer from a command line."""

    def integer(text: str) -> int:
        value = int(text)
        if not least <= value <= MOST:
            raise argparse.ArgumentTypeError(f"must be at least {least}" if value < least else f"must be below {MOST}")
        return value

    return integer


def seconds(least: float) -> Callable[[str], float]:
    """Reads a number of seconds from a command line."""

    def number(text: str) -> float:
        value = float(text)
        if not least <= value <= MOST:
            raise argparse.ArgumentTypeError(f"must be a number of seconds, at least {least:g}")
        return value

    return number


def open_missing_streams() -> None:
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
def pidfile(path: Path | None) -> Iterator[None]:
    """Keep the process id in a file, when one is named."""
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
