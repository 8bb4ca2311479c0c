"""Everything in Redis, and the only door to it.

`store` gives the `Store` of the settings in force. One class for each noun, one method for each verb; what must happen
together is a script in ``lua/``.
"""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Sequence
from typing import TypeVar

from redis import ConnectionPool, Redis

from ..conf import Config, config
from .bell import Bell
from .connection import make_client, make_pool
from .control import Control, Replies
from .counts import Counts, Spread, read_counts
from .dead_state import DeadState, Forgotten
from .delayed import Cancelled, Delayed, DelayedJob, Due, Health, Promoted, Promotion, Taken
from .ends import End, read_head
from .failure_filter import FailureFilter
from .failure_table import FailureHead, FailureTable, read_failure_table
from .failures import Failures, Retried
from .glance import Glance, read_glance
from .job_counts import Count, JobCounts, job_counts
from .keys import Keys
from .line import Line
from .overview import Overview, read_overview
from .parked import Parked
from .past import LastJob, Missed, Past, read_past
from .processes import Population, Processes, ProcessState, WorkerProcessInfo
from .producers import Outgoing, Producers
from .queue_table import QueueState, QueueTable, read_queue_table
from .queue_view import QueueView, read_queue_view
from .queues import Queues, Removed
from .reading import reading
from .recent import Recent
from .removal import Found
from .request import Request
from .reservations import Answer, Bequest, Burial, Entry, Look, Process, Remains, Reservations, Reserved, Turn
from .retries import Retries, Revived, WaitingRetry
from .schedule import Fired, Schedule, Timetable
from .seek import Haystack, Hit, Hits, seek
from .server import Server, ServerInfo
from .statistics import Figures, Outcome, Point, Statistics
from .stats import Counters, Stats
from .statuses import Ending, Seen, Statuses
from .stretch import Stretch
from .worker_table import WorkerTable, read_worker_table
from .workers import StaleWorker, Worker, Workers

T = TypeVar("T")

__all__ = [
    "Answer",
    "Bell",
    "Bequest",
    "Burial",
    "Cancelled",
    "Count",
    "Counters",
    "Counts",
    "Delayed",
    "DelayedJob",
    "Due",
    "End",
    "Ending",
    "Entry",
    "FailureFilter",
    "FailureHead",
    "FailureTable",
    "Figures",
    "Fired",
    "Forgotten",
    "Found",
    "Glance",
    "Haystack",
    "Health",
    "Hit",
    "Hits",
    "JobCounts",
    "LastJob",
    "Line",
    "Look",
    "Missed",
    "Outcome",
    "Outgoing",
    "Overview",
    "Parked",
    "Past",
    "Point",
    "Population",
    "Process",
    "ProcessState",
    "Promoted",
    "Promotion",
    "QueueState",
    "QueueTable",
    "QueueView",
    "Remains",
    "Removed",
    "Replies",
    "Request",
    "Reservations",
    "Reserved",
    "Retried",
    "Retries",
    "Revived",
    "Seen",
    "ServerInfo",
    "Spread",
    "StaleWorker",
    "Store",
    "Stretch",
    "Taken",
    "Timetable",
    "Turn",
    "WaitingRetry",
    "Worker",
    "WorkerProcessInfo",
    "WorkerTable",
    "store",
]


class Store:
    """One Redis, one namespace. Nothing connects before the first use."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.keys = Keys.under(config.namespace)
        self._idle_lines: deque[Line] = deque()
        self._pid = os.getpid()

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
        return Queues(self.client, self.keys, self.ask, self.config.status_ttl)

    @functools.cached_property
    def parked(self) -> Parked:
        return Parked(self.client, self.keys, self.ask, self.config.status_ttl)

    @functools.cached_property
    def statuses(self) -> Statuses:
        return Statuses(self.client, self.keys, self.pool)

    @functools.cached_property
    def recent(self) -> Recent:
        return Recent(self.client, self.keys)

    @functools.cached_property
    def delayed(self) -> Delayed:
        return Delayed(self.client, self.keys, self.ask, self.config.status_ttl)

    @functools.cached_property
    def retries(self) -> Retries:
        return Retries(self.client, self.keys, self.ask, self.config.status_ttl)

    @functools.cached_property
    def schedule(self) -> Schedule:
        return Schedule(self.keys)

    @functools.cached_property
    def failures(self) -> Failures:
        return Failures(self.client, self.keys, self.config.failed_max, self.ask)

    @functools.cached_property
    def workers(self) -> Workers:
        return Workers(self.client, self.keys)

    @functools.cached_property
    def processes(self) -> Processes:
        return Processes(self.client, self.keys)

    @functools.cached_property
    def control(self) -> Control:
        return Control(self.client, self.keys, self.pool)

    @functools.cached_property
    def stats(self) -> Stats:
        return Stats(self.client, self.keys)

    @functools.cached_property
    def statistics(self) -> Statistics:
        return Statistics(self.client, self.keys)

    @functools.cached_property
    def dead_state(self) -> DeadState:
        return DeadState(self.client, self.keys, self.ask)

    @functools.cached_property
    def server(self) -> Server:
        return Server(self.client)

    def overview(self, now: float, others: Sequence[str]) -> Overview:
        """What the first page shows beside the queues, in one round trip. ``now`` is a unix time by Redis' clock,
        ``others`` are workers of other programs."""
        return read_overview(self.client, self.keys, self.server, now, others)

    def counts(self) -> Counts:
        """How long everything is, in one round trip."""
        return read_counts(self.client, self.keys)

    def failure_table(self) -> FailureTable:
        """The newest failures at a glance, in two round trips."""
        return read_failure_table(self.client, self.keys)

    def queue_table(self) -> QueueTable:
        """All queues at a glance, in two round trips."""
        return read_queue_table(self.client, self.keys)

    def glance(self, status_id: str) -> Glance:
        """What there is to know about one job, and where it might be; in one round trip."""
        return read_glance(self.client, self.keys, status_id)

    def seek(self, text: bytes, haystacks: Sequence[Haystack]) -> Hits:
        """What contains ``text``, in one round trip."""
        return seek(self.client, text, haystacks)

    def worker_table(self) -> WorkerTable:
        """All workers at a glance, in two round trips."""
        return read_worker_table(self.client, self.keys, self.processes)

    def past(self, names: Sequence[str]) -> Past:
        """What has become of these entries of the schedule, in two round trips."""
        return read_past(self.client, self.keys, self.statuses, names)

    def queue_view(self, name: str) -> QueueView:
        """A single queue at a glance, in two round trips."""
        return read_queue_view(self.client, self.keys, name)

    def job_counts(self) -> JobCounts:
        """How many jobs there are in each state, in one round trip."""
        return self.ask(job_counts(self.keys))

    def queue_head(self, queue: str) -> End:
        """The next jobs of a queue, as many as one looks through, in two round trips."""
        return read_head(self.client, self.keys.queue(queue))

    def recent_head(self) -> End:
        """The statuses of the jobs that ended last, the last one to end first, in the same way."""
        return read_head(self.client, self.keys.recent)

    def reservations(self, process: str, identity: str) -> Reservations:
        """The requests of the worker process of this name; ``identity`` is what others on its machine tell it by."""
        return Reservations(self.keys, self.config, process, identity)

    def line(self, **limits: float) -> Line:
        """A connection of its own for requests, not connected yet. ``limits`` are those of `Line`."""
        return Line(self.pool, **limits)

    def ask(self, request: Request[T]) -> T:
        """What Redis answers to ``request``, within about five seconds. Raises a `StoreError`; one that is
        `StoreUnavailable` and ``sent`` may have been carried out."""
        if self._pid != os.getpid():  # a forked child must not speak on its parent's connections
            self._idle_lines, self._pid = deque(), os.getpid()
        try:
            line = self._idle_lines.pop()
        except IndexError:
            line = self.line()
        try:
            return line.ask(request)
        finally:
            self._idle_lines.append(line)

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
        while self._idle_lines:
            self._idle_lines.pop().close()
        if "pool" in self.__dict__:
            self.pool.disconnect()


def store() -> Store:
    """The store of the settings in force, the same object until they change."""
    return _store(config())


@functools.lru_cache(maxsize=1)
def _store(config: Config) -> Store:
    return Store(config)
