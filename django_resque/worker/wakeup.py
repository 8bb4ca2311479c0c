"""Signals as notes for a loop to find."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterable
from types import FrameType
from typing import Any


class Wakeup:
    """Takes note of the given signals and makes a selector that watches `fileno` return at once.

    A context manager: on leaving, the handlers are as they were.
    """

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._numbers = tuple(numbers)
        self._received: list[signal.Signals] = []
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)
        self._writing.setblocking(False)

    def __enter__(self) -> Wakeup:
        self._before: dict[signal.Signals, Any] = {
            number: signal.signal(number, self._receive) for number in self._numbers
        }
        self._fd_before = signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *error: object) -> None:
        signal.set_wakeup_fd(self._fd_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self.close()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._received.append(signal.Signals(number))

    def fileno(self) -> int:
        return self._reading.fileno()

    def received(self) -> list[signal.Signals]:
        """The signals since the last call, in order."""
        try:
            while self._reading.recv(4096):
                pass
        except BlockingIOError:
            pass
        received, self._received = self._received, []
        return received

    def close(self) -> None:
        """Close the descriptors; what a forked child does with its copies."""
        self._reading.close()
        self._writing.close()
