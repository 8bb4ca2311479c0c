"""Which server is the primary now, as the Sentinels say.

redis-py asks them at every connect. Its way of asking is replaced: it forgets Sentinels when two threads ask at the
same time, asks no further when one of them refuses, waits for each of them as often as its options say, and some of
its versions write passwords into the error when none has an answer.
"""

from __future__ import annotations

from typing import Any

from redis import Redis
from redis.connection import SSLConnection
from redis.exceptions import ConnectionError, MasterDownError, ReadOnlyError, RedisError, ResponseError
from redis.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool, SentinelManagedConnection

TIMEOUT = 0.5
"""Seconds for a connection to a Sentinel, and again for its answer: there are others to ask, and somebody waits."""


def make_ours(pool: SentinelConnectionPool) -> None:
    """Have the pool lead to the primary in our way."""
    pool.sentinel_manager = pool.proxy.sentinel_manager = Sentinels(pool.sentinel_manager)
    pool.is_master = pool.proxy.is_master = True  # whatever "?is_master=0" says: replicas take no jobs
    secure = issubclass(pool.connection_class, SSLConnection)  # redis-py forgets the Sentinels where it reads rediss://
    pool.connection_class = SentinelSSLConnection if secure else SentinelConnection


class Sentinels:
    """The Sentinels of a django-redis alias. Stands where redis-py has its ``Sentinel``."""

    def __init__(self, theirs: Sentinel) -> None:
        self._theirs = theirs
        self._sentinels: list[Redis] = list(theirs.sentinels)
        self._best = 0

    def discover_master(self, service: str) -> tuple[str, int]:
        """The address of the primary called ``service``: what the first Sentinel says that knows one, beginning with
        the one that knew it last time. Raises a ``ConnectionError`` when none does."""
        said = []
        best = self._best
        for number in sorted(range(len(self._sentinels)), key=lambda number: number != best):
            sentinel = self._sentinels[number]
            try:
                primaries: Any = sentinel.sentinel_masters()
            except (RedisError, OSError) as error:
                said.append(f"{_address(sentinel)}: {error or type(error).__name__}")
                continue
            finally:
                # It is asked seldom, and what a process has open its children have too.
                sentinel.connection_pool.disconnect(inuse_connections=False)
            state = primaries.get(service)
            if state is None:
                said.append(f"{_address(sentinel)} knows {', '.join(map(repr, primaries)) or 'none'}")
            elif not self._theirs.check_master_state(state, service):  # type: ignore[no-untyped-call]
                said.append(f"{_address(sentinel)} says that it is down")
            else:
                self._best = number
                return getattr(self._theirs, "_force_master_ip", None) or state["ip"], state["port"]
        raise MasterNotFoundError(f"no Sentinel knows a primary {service!r} ({'; '.join(said)})")


def _address(sentinel: Redis) -> str:
    options = sentinel.connection_pool.connection_kwargs
    return f"{options.get('host')}:{options.get('port')}"


def is_not_the_primary(error: BaseException | None) -> bool:
    """Whether this is a server's answer that it is a replica; or that none follows it any more, which a primary that
    was replaced notices seconds before the Sentinels tell it."""
    return isinstance(error, ReadOnlyError | MasterDownError) or "NOREPLICAS" in str(error)


class SentinelConnection(SentinelManagedConnection):
    """A connection to the primary of the moment in which it is made."""

    def can_read(self, timeout: float = 0) -> Any:
        """Whether there is something to read, which is asked before anything is sent. Raises a ``ConnectionError`` when
        another connection has found the primary elsewhere since: the one of old may be frozen or cut off, and would
        take jobs that nobody performs."""
        primary = self.connection_pool.master_address
        if self._sock is not None and primary not in (None, (self.host, self.port)):
            raise ConnectionError(f"the primary is not at {self.host}:{self.port} any more")
        return super().can_read(timeout=timeout)

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """Read a reply. An error reply stays one: of a replica's, redis-py makes a lost connection, after which nobody
        would know that nothing was written."""
        try:
            return super(SentinelManagedConnection, self).read_response(*args, **kwargs)
        except ResponseError as error:
            if is_not_the_primary(error):
                self.disconnect()  # type: ignore[no-untyped-call]  # and the next connect asks who is
            raise


class SentinelSSLConnection(SentinelConnection, SSLConnection):
    """The same, with TLS."""
