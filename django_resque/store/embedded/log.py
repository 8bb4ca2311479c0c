"""The log that server and keeper share."""

from __future__ import annotations

import os
from pathlib import Path

LONGEST_LOG = 1_000_000
"""Bytes that the log may have before another is begun."""


def limit(log: Path) -> None:
    """Begin another log when this one is long. The server opens it anew for each line."""
    if log.exists() and log.stat().st_size > LONGEST_LOG:
        log.replace(log.with_name("server.log.1"))


def tail(log: Path, since: int = 0) -> str:
    """The last lines of the log, of those after its first ``since`` bytes."""
    try:
        return "\n".join(log.read_bytes()[since:].decode(errors="replace").splitlines()[-15:])
    except OSError:
        return ""


def say_into(log: Path) -> None:
    """From here on what this process says goes into the log; who started it waits for the end of what it says."""
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
