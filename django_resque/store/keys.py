"""The names of all keys, and nothing else. What is in them stands in ``docs/wire.md``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names below one namespace.

    ``prefix`` is the namespace with its colon; scripts build the keys that depend on what they read from it.
    """

    prefix: str

    @classmethod
    def under(cls, namespace: str) -> Keys:
        return cls(f"{namespace}:")

    # -- the family's ------------------------------------------------------------------------------------------------

    @property
    def queues(self) -> str:
        return f"{self.prefix}queues"

    def queue(self, name: str) -> str:
        return f"{self.prefix}queue:{name}"

    @property
    def workers(self) -> str:
        return f"{self.prefix}workers"

    def worker(self, worker_id: str) -> str:
        return f"{self.prefix}worker:{worker_id}"

    def started(self, worker_id: str) -> str:
        return f"{self.prefix}worker:{worker_id}:started"

    @property
    def heartbeats(self) -> str:
        return f"{self.prefix}workers:heartbeat"

    def stat(self, name: str) -> str:
        return f"{self.prefix}stat:{name}"

    @property
    def pruning(self) -> str:
        """STRING: the Ruby worker that prunes at the moment."""
        return f"{self.prefix}pruning_dead_workers_in_progress"

    @property
    def failed(self) -> str:
        return f"{self.prefix}failed"

    def status(self, status_id: str) -> str:
        return f"{self.prefix}job:{status_id}:status"

    # -- our own -----------------------------------------------------------------------------------------------------

    @property
    def processes(self) -> str:
        """ZSET: the registered worker processes, each its name and what its machine tells it by; scored by the end of
        its lease."""
        return f"{self.prefix}django:processes"

    def process(self, name: str) -> str:
        """HASH: the last turn of a worker process and what it was answered."""
        return f"{self.prefix}django:process:{name}"

    def reservations(self, name: str) -> str:
        """HASH token → queue, line feed, payload: the only copy of the jobs a worker process holds. Behind the queue,
        after a tab, stands the worker that has begun it, where it must not begin twice."""
        return f"{self.prefix}django:reservations:{name}"

    def producer(self, name: str) -> str:
        """STRING: the number of a producer's last push."""
        return f"{self.prefix}django:producer:{name}"

    @property
    def bell(self) -> str:
        """Channel on which the name of a queue is published when it stops being empty."""
        return f"{self.prefix}django:bell"

    @property
    def crashes(self) -> str:
        """HASH SHA-1 of a payload → how often its performer died; 0 when it may have been begun. It expires 72 hours
        after the last crash of any job."""
        return f"{self.prefix}django:crashes"

    @property
    def none(self) -> str:
        """A key that never exists: deleting it as a script's first write opens the way when the memory is full."""
        return f"{self.prefix}django:none"

    @property
    def pause_all(self) -> str:
        return f"{self.prefix}pause-all-workers"
