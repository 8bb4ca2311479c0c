"""What the jobs have noted: the file that project/work.py appends to."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from project.work import NOTE

LOOK_EVERY = 0.005  # seconds; to look costs 3 µs


class Note(NamedTuple):
    """One record. `begun` and `ended` are moments of the monotonic clock; ``seconds`` is what a nap was asked for."""

    begun: float
    ended: float
    seconds: float
    pid: int


class Notes:
    """The records, in the order in which they were written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clear()

    def clear(self) -> None:
        self.path.write_bytes(b"")

    def read(self) -> list[Note]:
        return [Note(*record) for record in NOTE.iter_unpack(self.path.read_bytes())]

    def count(self) -> int:
        return self.path.stat().st_size // NOTE.size

    def wait(self, count: int, *, seconds: float, while_true: Callable[[], bool] = lambda: True) -> list[Note]:
        """The records as soon as there are so many."""
        deadline = time.monotonic() + seconds
        while (found := self.count()) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{found} of {count} jobs within {seconds:.0f} s")
            if not while_true():
                raise RuntimeError(f"the consumer or Redis has ended after {found} of {count} jobs")
            time.sleep(LOOK_EVERY)
        return self.read()
