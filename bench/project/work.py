"""The jobs, as plain functions; what they note, the harness reads (harness/notes.py)."""

from __future__ import annotations

import os
import struct
import time
from functools import cache

NOTE = struct.Struct("=dddq")  # begun, ended, seconds asked for, process


def noop(number: int) -> None:
    """Do nothing."""


def mark(number: int) -> None:
    """Note the time."""
    note(time.monotonic())


def stamp(sent: float) -> None:
    """Note when this was sent, and as the end the moment that it is here."""
    note(sent, time.monotonic())


def nap(seconds: float) -> None:
    """Sleep, and note from when to when."""
    begun = time.monotonic()
    time.sleep(seconds)
    note(begun, time.monotonic(), seconds)


def sit(seconds: float) -> None:
    """Note the time, then sleep."""
    note(time.monotonic(), seconds=seconds)
    time.sleep(seconds)


def note(begun: float, ended: float = 0, seconds: float = 0) -> None:
    """Append one record; as it is one write of few bytes, those of several processes and threads do not mix."""
    os.write(_notes(), NOTE.pack(begun, ended, seconds, os.getpid()))


@cache
def _notes() -> int:
    return os.open(os.environ["BENCH_NOTES"], os.O_WRONLY | os.O_APPEND)
