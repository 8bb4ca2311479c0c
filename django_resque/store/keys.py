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

    @property
    def delayed_schedule(self) -> str:
        """ZSET: the unix seconds at which jobs are due, each its own score."""
        return f"{self.prefix}delayed_queue_schedule"

    def delayed(self, second: int) -> str:
        """LIST: the items that are due at this unix second."""
        return f"{self.prefix}delayed:{second}"

    def timestamps(self, item: bytes) -> bytes:
        """SET: where an item stands, as ``delayed:<second>``. Its name holds the item's exact bytes."""
        return self.prefix.encode() + b"timestamps:" + item

    @property
    def master_lock(self) -> str:
        """STRING: the scheduler that Ruby's take for the master. The namespace stands there twice."""
        return f"{self.prefix}{self.prefix}resque_scheduler_master_lock"

    @property
    def leader_lock(self) -> str:
        """STRING: the scheduler that node's take for the leader."""
        return f"{self.prefix}resque_scheduler_leader_lock"

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

    @property
    def retries(self) -> str:
        """ZSET: jobs whose attempt failed and that are to be tried again, by the unix time at which they are due. A
        member is ``<process>.<token> <status id>``, the queue and the payload, with line feeds between."""
        return f"{self.prefix}django:retries"

    def unique(self, key: str) -> str:
        """STRING: the id of the job that waits under this key of uniqueness."""
        return f"{self.prefix}django:unique:{key}"

    def permits(self, key: str) -> str:
        """HASH: the reservations, ``<process>.<token>``, that run under this key of concurrency, and how many may."""
        return f"{self.prefix}django:permits:{key}"

    def parked(self, key: str) -> str:
        """LIST: jobs that wait for a permit, each its queue, a line feed, its payload."""
        return f"{self.prefix}django:parked:{key}"

    def unparked(self, key: str) -> str:
        """ZSET, expires: the SHA-1s of the payloads that are back in their queues and are the first to get a permit, or
        to wait for one, by when they went there (unix time)."""
        return f"{self.prefix}django:unparked:{key}"

    @property
    def parking(self) -> str:
        """SET: the keys of concurrency under which jobs are parked."""
        return f"{self.prefix}django:parking"

    def control(self, process: str) -> str:
        """LIST: what a worker process is asked to do, as JSON; it expires."""
        return f"{self.prefix}django:control:{process}"

    def reply(self, message_id: str) -> str:
        """LIST: what a worker process has answered to a message; it expires."""
        return f"{self.prefix}django:reply:{message_id}"

    @property
    def paused_queues(self) -> str:
        """SET: the queues from which no jobs are taken."""
        return f"{self.prefix}django:paused-queues"

    @property
    def paused_by(self) -> str:
        """HASH: who has paused a queue, its name → who."""
        return f"{self.prefix}django:paused-by"

    def cleared(self, token: str) -> str:
        """LIST, expires: what stood in a queue that somebody is clearing."""
        return f"{self.prefix}django:cleared:{token}"

    @property
    def recent(self) -> str:
        """LIST: the last jobs that ended, the newest first, as their status tells it."""
        return f"{self.prefix}django:recent"

    def output(self, job_id: str) -> str:
        """STRING: the last 64 KB that a job has written."""
        return f"{self.prefix}django:output:{job_id}"

    @property
    def waited(self) -> str:
        """STRING, expires: somebody waits for a job to end."""
        return f"{self.prefix}django:waited"

    def ended(self, job_id: str) -> str:
        """Channel on which the end of a job is told while somebody waits for one."""
        return f"{self.prefix}django:ended:{job_id}"

    @property
    def schedule(self) -> str:
        """HASH: the schedule entries that were added at run time, name → JSON."""
        return f"{self.prefix}django:schedule"

    @property
    def schedule_slots(self) -> str:
        """HASH: the last slot of each schedule entry that is done with, name → unix seconds."""
        return f"{self.prefix}django:schedule:slots"

    @property
    def schedule_seen(self) -> str:
        """HASH: since when an entry has stood in the schedule as it does, and until when: name, blank and digest → two
        unix seconds."""
        return f"{self.prefix}django:schedule:seen"

    @property
    def schedule_paused(self) -> str:
        """SET: the names of the schedule entries that are paused."""
        return f"{self.prefix}django:schedule:paused"

    @property
    def schedule_jobs(self) -> str:
        """HASH: the last job that a schedule entry has enqueued, name → its slot (unix seconds), blank, id."""
        return f"{self.prefix}django:schedule:jobs"

    @property
    def schedule_missed(self) -> str:
        """HASH: the slots that a schedule entry has missed last, name → the first and the last of them, how many jobs
        were enqueued for them, and when they were dealt with (unix seconds), with blanks between them."""
        return f"{self.prefix}django:schedule:missed"

    @property
    def schedule_version(self) -> str:
        """STRING: a counter that every change of the schedule raises."""
        return f"{self.prefix}django:schedule:version"

    @property
    def scheduler(self) -> str:
        """STRING, expires: the process of ours that last looked for what is due."""
        return f"{self.prefix}django:scheduler"

    def minute_statistics(self, second: int) -> str:
        """HASH, expires: what ended in the minute that began at this unix second: command, tab, queue → count,
        failures, retries, microseconds, those of the longest, and a histogram, with blanks between them."""
        return f"{self.prefix}django:stats:minute:{second}"

    def hour_statistics(self, second: int) -> str:
        """HASH, expires: the same of an hour."""
        return f"{self.prefix}django:stats:hour:{second}"

    def day_statistics(self, second: int) -> str:
        """HASH, expires: the same of a day, by UTC."""
        return f"{self.prefix}django:stats:day:{second}"

    def throughput(self, second: int) -> str:
        """HASH, expires: how many jobs ended in each minute of the hour that began at this unix second, as
        ``p<minute>``, and failed, as ``f<minute>``."""
        return f"{self.prefix}django:stats:throughput:{second}"
