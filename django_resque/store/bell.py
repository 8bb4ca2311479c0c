"""The bell: Redis tells at once when a queue stops being empty.

It only saves time. A ring may be lost, and foreign producers do not ring; a worker polls besides.
"""

from __future__ import annotations

from redis import ConnectionPool
from redis.exceptions import RedisError

from ..errors import StoreUnavailable
from .keys import Keys

_LIMITS = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0}
"""Seconds that connecting may keep the loop waiting, for each of its steps."""


class Bell:
    """A subscription on a connection of its own."""

    def __init__(self, pool: ConnectionPool, keys: Keys) -> None:
        self._connection = pool.connection_class(**{**pool.connection_kwargs, **_LIMITS})
        self._channel = keys.bell
        self._unanswered = False

    def listen(self) -> None:
        """Connect and ask for the subscription; `rung` tells when it is there. Raises `StoreUnavailable`."""
        try:
            self._connection.connect()
            self._connection.send_command("SUBSCRIBE", self._channel)
        except (RedisError, OSError) as error:
            self.close()
            raise StoreUnavailable(str(error), sent=False) from error
        self._unanswered = False

    def fileno(self) -> int:
        """The socket to select on; -1 when not connected."""
        socket = getattr(self._connection, "_sock", None)
        return -1 if socket is None else socket.fileno()

    def rung(self) -> set[str]:
        """The queues that have rung since the last call, and an empty name when it can be heard from now on.

        Raises `StoreUnavailable` when the subscription is lost or refused.
        """
        queues: set[str] = set()
        try:
            while self._connection.can_read(timeout=0):  # the parser may hold more than the socket shows
                message = self._connection.read_response()
                self._unanswered = False
                if isinstance(message, list) and message[0] == b"message":
                    queues.add(str(message[2], "utf-8", "replace"))
                elif isinstance(message, list) and message[0] == b"subscribe":
                    queues.add("")
        except (RedisError, OSError) as error:
            self.close()
            raise StoreUnavailable(str(error), sent=False) from error
        return queues

    def ping(self) -> None:
        """Ask for a sign of life. Raises `StoreUnavailable` when the last ping has found no answer."""
        if self._unanswered:
            self.close()
            raise StoreUnavailable("the bell's connection is silent", sent=False)
        try:
            self._connection.send_command("PING")
        except (RedisError, OSError) as error:
            self.close()
            raise StoreUnavailable(str(error), sent=False) from error
        self._unanswered = True

    def close(self) -> None:
        """Close the connection; in a forked child, the child's copy of it alone."""
        self._connection.disconnect()
