"""One connection that runs scripts, and knows whether a request had gone out when it failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import ConnectionPool
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from ..errors import StoreError, StoreUnavailable
from .scripts import Script

_NOT_NOW = ("MASTERDOWN", "NOREPLICAS", "MISCONF", "LOADING", "CLUSTERDOWN", "UNKILLABLE", "BUSY", "READONLY")
"""Error replies of a server that is there but cannot serve at the moment."""
_NOT_NOW_BY_CLASS = (BusyLoadingError, ClusterDownError, ReadOnlyError, TryAgainError)
"""Those for which redis-py has classes, and takes the word away."""


class OutOfMemory(StoreError):
    """The server has reached its ``maxmemory``; nothing was written."""


class Line:
    """A connection of its own, outside of the pool whose settings it shares.

    Not thread-safe: whoever holds it uses it alone. After any failure the next call connects anew.
    """

    def __init__(self, pool: ConnectionPool, **limits: float) -> None:
        """``limits`` are other ``socket_timeout`` and ``socket_connect_timeout`` than the pool's, in seconds."""
        self._connection = pool.connection_class(**{**pool.connection_kwargs, **limits})

    def run(self, script: Script, keys: Sequence[str], args: Sequence[str | bytes | int | float]) -> Any:
        """Run a script and return its reply.

        Raises `StoreUnavailable` when the server cannot be reached or does not serve now, `OutOfMemory` when it is
        full, and `StoreError` for any other error reply.
        """
        sent = False
        try:
            self._connect()
            sent = True
            self._connection.send_command("EVALSHA", script.sha, len(keys), *keys, *args)
            try:
                return self._connection.read_response()
            except NoScriptError:
                self._connection.send_command("EVAL", script.source, len(keys), *keys, *args)
                return self._connection.read_response()
        except AuthenticationError as error:
            self._connection.disconnect()
            raise StoreUnavailable(f"Redis refused the credentials: {error}", sent=False) from error
        except _NOT_NOW_BY_CLASS as error:
            self._connection.disconnect()  # the primary may be another one by now
            raise StoreUnavailable(str(error), sent=False) from error
        except (ConnectionError, TimeoutError, OSError) as error:
            self._connection.disconnect()
            raise StoreUnavailable(str(error), sent=sent) from error
        except ResponseError as error:
            raise _named(error) from error
        except RedisError as error:  # no reply that could be understood
            self._connection.disconnect()
            raise StoreUnavailable(str(error), sent=sent) from error
        except BaseException:
            self._connection.disconnect()  # else a reply that comes later would be taken for the next one's
            raise

    def _connect(self) -> None:
        """Connect; anew, when the server has closed the connection since: what is sent into a dead one is in doubt."""
        if getattr(self._connection, "_sock", None) is not None:
            try:
                stale = self._connection.can_read(timeout=0)
            except (ConnectionError, TimeoutError, OSError):
                stale = True
            if stale:
                self._connection.disconnect()
        self._connection.connect()

    def close(self) -> None:
        """Close the connection; in a forked child, the child's copy of the socket alone."""
        self._connection.disconnect()


def _named(error: ResponseError) -> StoreError:
    text = str(error)
    if "OOM " in text or text.startswith("OOM") or "used memory >" in text:
        return OutOfMemory(text)
    if any(text.startswith(word) or f"-{word} " in text for word in _NOT_NOW):
        return StoreUnavailable(text, sent=False)
    return StoreError(text)
