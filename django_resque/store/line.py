"""One connection that runs scripts, and knows whether a request had gone out when it failed."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

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
from .request import Request
from .scripts import Script, script

T = TypeVar("T")

_NOT_NOW = ("MASTERDOWN", "NOREPLICAS", "MISCONF", "LOADING", "CLUSTERDOWN", "UNKILLABLE", "BUSY", "READONLY")
"""Error replies of a server that is there but cannot serve at the moment."""
_NOT_NOW_BY_CLASS = (BusyLoadingError, ClusterDownError, ReadOnlyError, TryAgainError)
"""Those for which redis-py has classes, and takes the word away."""
_REST_OF_A_REPLY = 0.01
"""Seconds that `Line.receive` waits for the rest of a reply whose beginning is there."""
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class OutOfMemory(StoreError):
    """The server has reached its ``maxmemory``; nothing was written."""


class Line:
    """A connection of its own, outside of the pool whose settings it shares.

    `ask` waits for the reply. A loop that must not wait uses `send`, watches `fileno` (for writing as well while
    `sending`), and calls `receive` when it is ready; only connecting waits, up to the limits. One request at a time.
    Not thread-safe: whoever holds it uses it alone. After any failure the next call connects anew.
    """

    def __init__(self, pool: ConnectionPool, **limits: float) -> None:
        """``limits`` are other ``socket_timeout`` and ``socket_connect_timeout`` than the pool's, in seconds."""
        self._connection = pool.connection_class(**{**pool.connection_kwargs, **limits})
        self._request: Request[Any] | None = None
        self._unsent = b""
        self._has_other_limits = False
        self.connections = 0
        """How often it has connected: a new socket may have the number of the one before."""

    # -- waiting for the reply -----------------------------------------------------------------------------------------

    def ask(self, request: Request[T]) -> T:
        """Send and wait for the reply. Raises as `run`."""
        return request.read(self.run(script(request.script), request.keys, request.args))

    def run(self, script: Script, keys: Sequence[str], args: Sequence[str | bytes | int | float]) -> Any:
        """Run a script and return its reply.

        Raises `StoreUnavailable` when the server cannot be reached or does not serve now, `OutOfMemory` when it is
        full, and `StoreError` for any other error reply.
        """
        sent = False
        try:
            self._connect()
            if self._has_other_limits:
                self._connection._sock.settimeout(self._connection.socket_timeout)
                self._has_other_limits = False
            sent = True
            self._connection.send_packed_command([_pack("EVALSHA", script.sha, keys, args)], check_health=False)
            try:
                reply = self._connection.read_response()
            except NoScriptError:
                self._connection.send_packed_command([_pack("EVAL", script.source, keys, args)], check_health=False)
                reply = self._connection.read_response()
        except BaseException:  # here, and not around it all, because a context manager costs each push 2 µs
            with self._failing(sent=sent):
                raise
        return reply

    # -- not waiting ---------------------------------------------------------------------------------------------------

    @property
    def sending(self) -> bool:
        """Whether a part of the request is still to be sent: call `flush` when the socket can be written."""
        return bool(self._unsent)

    def fileno(self) -> int:
        """The socket; -1 when not connected."""
        sock = getattr(self._connection, "_sock", None)
        return -1 if sock is None else sock.fileno()

    def send(self, request: Request[Any]) -> None:
        """Connect if need be, and send as much of the request as the socket takes at once. Raises as `run`."""
        with self._failing(sent=False):
            self._connect()
        self._request = request
        self._put("EVALSHA", script(request.script).sha, request)

    def _put(self, command: str, body: str | bytes, request: Request[Any]) -> None:
        self._unsent = _pack(command, body, request.keys, request.args)
        self.flush()

    def flush(self) -> None:
        """Send more of the request. Raises as `run`."""
        self._has_other_limits = True
        with self._failing(sent=True):
            sock: Any = self._connection._sock
            sock.settimeout(0)
            try:
                while self._unsent:
                    self._unsent = self._unsent[sock.send(self._unsent) :]
            except _WOULD_BLOCK:
                pass

    def receive(self) -> tuple[Any] | None:
        """The reply to what was sent, as its request reads it, in a tuple; None when it is not all there yet.

        Raises as `run`.
        """
        request = self._request
        if request is None:
            return None
        with self._failing(sent=True):
            sock: Any = self._connection._sock
            sock.settimeout(_REST_OF_A_REPLY)
            try:
                reply = self._connection.read_response(disconnect_on_error=False)
            except TimeoutError:
                return None  # what has come is kept, and read again when there is more
            except NoScriptError:
                self._put("EVAL", script(request.script).source, request)
                return None
        self._request = None
        return (request.read(reply),)

    # -- below ---------------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        """Connect; anew, when the server has closed the connection since: what is sent into a dead one is in doubt."""
        if getattr(self._connection, "_sock", None) is not None:
            try:
                stale = self._connection.can_read(timeout=0)
            except (ConnectionError, TimeoutError, OSError):
                stale = True
            if stale or self._request is not None:
                self.close()
        if getattr(self._connection, "_sock", None) is None:
            self.connections += 1
        self._connection.connect()

    @contextmanager
    def _failing(self, *, sent: bool) -> Iterator[None]:
        """Close the connection and raise one of our errors where redis-py raises its own."""
        try:
            yield
        except AuthenticationError as error:
            self.close()
            raise StoreUnavailable(f"Redis refused the credentials: {error}", sent=False) from error
        except _NOT_NOW_BY_CLASS as error:
            self.close()  # the primary may be another one by now
            raise StoreUnavailable(str(error), sent=False) from error
        except (ConnectionError, TimeoutError, OSError) as error:
            self.close()
            raise StoreUnavailable(str(error), sent=sent) from error
        except ResponseError as error:
            self._request = None
            raise _named(error) from error
        except RedisError as error:  # no reply that could be understood
            self.close()
            raise StoreUnavailable(str(error), sent=sent) from error
        except BaseException:
            self.close()  # else a reply that comes later would be taken for the next one's
            raise

    def close(self) -> None:
        """Close the connection; in a forked child, the child's copy of the socket alone."""
        self._request = None
        self._unsent = b""
        self._connection.disconnect()


def _pack(command: str, body: str | bytes, keys: Sequence[str], args: Sequence[str | bytes | int | float]) -> bytes:
    """The request as the server reads it: an array of bulk strings (RESP). redis-py's own way takes twice as long, and
    a turn has hundreds of arguments."""
    parts = [b"*%d\r\n" % (3 + len(keys) + len(args))]
    for value in (command, body, len(keys), *keys, *args):
        data = value if type(value) is bytes else str(value).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


def _named(error: ResponseError) -> StoreError:
    text = str(error)
    if "OOM " in text or text.startswith("OOM") or "used memory >" in text:
        return OutOfMemory(text)
    if any(text.startswith(word) or f"-{word} " in text for word in _NOT_NOW):
        return StoreUnavailable(text, sent=False)
    return StoreError(text)
