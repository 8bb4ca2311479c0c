"""Where the dispatcher learns that performers have reported; it may look away for a moment."""

from __future__ import annotations

import selectors
import socket
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """The sockets of all performers, each with something that says whose it is; one entry in ``selector``.

    To be woken by each report costs the dispatcher and the performer more than the report does. While performers have
    enough to do, `look_away` lets reports come in unnoticed, to be read together.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._inner = selectors.DefaultSelector()
        self._outer = selector
        self._outer.register(self._inner, selectors.EVENT_READ, self)
        self._looks = True

    def add(self, reader: socket.socket, owner: T) -> None:
        self._inner.register(reader, selectors.EVENT_READ, owner)

    def remove(self, reader: socket.socket) -> None:
        """Take a socket out; it may have been taken out before."""
        if reader.fileno() >= 0 and reader in self._inner.get_map():
            self._inner.unregister(reader)

    def look_away(self, away: bool) -> None:
        """Whether reports are to leave the selector asleep from now on."""
        if away and self._looks:
            self._outer.unregister(self._inner)
        elif not away and not self._looks:
            self._outer.register(self._inner, selectors.EVENT_READ, self)
        self._looks = not away

    def owners(self) -> list[T]:
        """Whose reports can be read now."""
        return [key.data for key, _ in self._inner.select(0)]

    def close(self) -> None:
        self._inner.close()
