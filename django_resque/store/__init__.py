"""Everything in Redis, and the only door to it.

`store` gives the `Store` of the settings in force. One class for each noun, one method for each verb; what must happen
together is a script in ``lua/``.
"""

from __future__ import annotations

import functools

from redis import ConnectionPool, Redis

from ..conf import Config, config
from .bell import Bell
from .connection import make_client, make_pool
from .failures import Failures
from .keys import Keys
from .line import Line
from .overview import Overview, read_overview
from .producers import Outgoing, Producers
from .queues import Queues
from .reading import reading
from .request import Request
from .reservations import Answer, Bequest, Burial, Entry, Look, Process, Remains, Reservations, Reserved, Turn
from .stats import Counters, Stats
from .workers import StaleWorker, Worker, Workers

__all__ = [
    "Answer",
    "Bell",
    "Bequest",
    "Burial",
    "Counters",
    "Entry",
    "Line",
    "Look",
    "Outgoing",
    "Overview",
    "Process",
    "Remains",
    "Request",
    "Reservations",
    "Reserved",
    "StaleWorker",
    "Store",
    "Turn",
    "Worker",
    "store",
]


class Store:
    """One Redis, one namespace. Nothing connects before the first use."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.keys = Keys.under(config.namespace)

    @functools.cached_property
    def pool(self) -> ConnectionPool:
        return make_pool(self.config)

    @functools.cached_property
    def client(self) -> Redis:
        return make_client(self.pool)

    @functools.cached_property
    def producers(self) -> Producers:
        return Producers(self.pool, self.keys)

    @functools.cached_property
    def queues(self) -> Queues:
        return Queues(self.client, self.keys)

    @functools.cached_property
    def failures(self) -> Failures:
        return Failures(self.client, self.keys, self.config.failed_max)

    @functools.cached_property
    def workers(self) -> Workers:
        return Workers(self.client, self.keys)

    @functools.cached_property
    def stats(self) -> Stats:
        return Stats(self.client, self.keys)

    def overview(self) -> Overview:
        """What a board shows first, in four round trips."""
        return read_overview(self.client, self.keys, self.queues, self.workers)

    def reservations(self, process: str, identity: str) -> Reservations:
        """The requests of the worker process of this name; ``identity`` is what others on its machine tell it by."""
        return Reservations(self.keys, self.config, process, identity)

    def line(self, **limits: float) -> Line:
        """A connection of its own for requests, not connected yet. ``limits`` are those of `Line`."""
        return Line(self.pool, **limits)

    def bell(self) -> Bell:
        """A subscription to the bell, not connected yet."""
        return Bell(self.pool, self.keys)

    @reading()
    def time(self) -> int:
        """The server's clock, in unix seconds."""
        seconds, _microseconds = self.client.time()
        return seconds

    def close(self) -> None:
        """Close all connections of this process."""
        if "producers" in self.__dict__:
            self.producers.close()
        if "pool" in self.__dict__:
            self.pool.disconnect()


def store() -> Store:
    """The store of the settings in force, the same object until they change."""
    return _store(config())


@functools.lru_cache(maxsize=1)
def _store(config: Config) -> Store:
    return Store(config)
