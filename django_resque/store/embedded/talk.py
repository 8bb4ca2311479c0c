"""Talking to the server."""

from __future__ import annotations

import os
import select
import socket
from enum import Enum, auto
from pathlib import Path
from typing import Self


class Line:
    """A connection for the few questions that are asked here, which need no client library. Raises `OSError`s."""

    def __init__(self, path: Path, *, timeout: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(os.fsencode(path))
        except OSError:
            self._socket.close()
            raise
        self._replies = self._socket.makefile("rb")

    def ask(self, command: str) -> bytes:
        """The reply to a command: a line, or what it announces."""
        self._socket.sendall(f"{command}\r\n".encode())
        line = self._replies.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError("the server has closed the connection")
        if line.startswith(b"$"):
            return self._replies.read(int(line[1:]) + 2)
        return line

    def somebody_else(self) -> bool:
        """Whether anybody else is connected."""
        mine = b"id=%d " % int(self.ask("CLIENT ID")[1:])
        return any(not line.startswith(mine) for line in self.ask("CLIENT LIST").splitlines() if line)

    def ends(self, *, within: float) -> bool:
        """Wait for the server's end. False when that many seconds have passed."""
        return bool(select.select([self._socket], [], [], within)[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._replies.close()
        self._socket.close()


class State(Enum):
    """What is found where a server would listen."""

    ABSENT = auto()
    LOADING = auto()
    READY = auto()


def state_of(path: Path) -> State:
    """Whether a server listens here and has loaded its data.

    One that is there and says nothing is busy: that is for its clients' time limits, another server would not help.
    """
    try:
        with Line(path, timeout=1) as line:
            return State.LOADING if line.ask("PING").startswith(b"-LOADING") else State.READY
    except TimeoutError:
        return State.READY
    except OSError:
        return State.ABSENT
