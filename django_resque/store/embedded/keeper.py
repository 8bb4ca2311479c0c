"""The keeper: the process that ends a server which nobody uses."""

from __future__ import annotations

import signal
import time
from contextlib import suppress

from .locks import LockFile, identity_of
from .log import limit
from .place import Place
from .talk import Line


class Keeper:
    """Ends the server when nobody has been connected for a while; ends when the server has."""

    def __init__(self, place: Place, keeping: LockFile, look_every: float, idle: float) -> None:
        self.place = place
        self.keeping = keeping
        self.look_every = look_every
        self.idle = idle
        self.running = LockFile(place.running)

    def run(self) -> None:
        """Keep the server until it has ended, whatever becomes of the connection to it."""
        while True:
            with suppress(OSError), Line(self.place.socket, timeout=5) as line:
                self.watch(line)
            if not self.server_lives():
                return
            time.sleep(min(1, self.look_every))  # too busy to answer, or our connection was closed

    def watch(self, line: Line) -> None:
        """Look who is connected, again and again, until the server closes this connection."""
        door = identity_of(self.place.socket)
        alone_since = time.monotonic()
        while not line.ends(within=self.look_every):
            limit(self.place.log)
            if self.is_homeless() or identity_of(self.place.socket) != door:
                self.kill()
            elif line.somebody_else():
                alone_since = time.monotonic()
            elif time.monotonic() - alone_since >= self.idle:
                self.end_unless_used(line)

    def end_unless_used(self, line: Line) -> None:
        """End the server, unless somebody came. Who comes in the meantime finds no socket, and waits for the lock."""
        with self.place.locked():
            self.place.socket.replace(self.place.closed)
            ended = False
            try:
                line.ask("PING")  # now everybody who came before has been let in
                ended = not line.somebody_else() and self.place.end_server(self.running, signal.SIGTERM)
            finally:
                if ended:
                    self.place.tidy()
                else:
                    self.place.closed.replace(self.place.socket)

    def server_lives(self) -> bool:
        """Whether there is a server to keep. When there is none, the next one will have a keeper of its own."""
        if self.is_homeless():
            self.kill()
            return False
        with self.place.locked():
            if not self.running.take():
                return True
            self.running.release()
            self.keeping.release()
            return False

    def is_homeless(self) -> bool:
        """Whether somebody has deleted the folder, though there may be another of its name by now."""
        return identity_of(self.place.running) != self.running.identity()

    def kill(self) -> None:
        """End a server that nobody can come to any more, for those who are there to go where others are.

        With KILL, because at the end that TERM asks for it would delete its successor's socket.
        """
        self.place.end_server(self.running, signal.SIGKILL)
