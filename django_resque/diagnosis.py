"""Why it would not work: what keeps jobs from being performed, or endangers them, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from . import timetable
from .command import find
from .conf import config
from .errors import InvalidJob, ResqueError, StoreError
from .job import Job
from .store import Health, Population, ServerInfo, WorkerProcessInfo, store
from .store.processes import process_of
from .worker.selection import serves

LEAST_VERSION = (6, 2)
"""The oldest Redis that all scripts run on."""
CLOCKS_DIFFER = 2.0
"""Seconds between this host's clock and the server's that are worth a word."""
ALMOST_FULL = 0.9
"""The part of ``maxmemory`` above which it is worth a word."""
LATE = 60.0
"""Seconds by which a delayed job may be late while a scheduler works."""
LOOKED_AT = 100
"""Jobs of each queue whose commands are looked at."""


class Level(StrEnum):
    """How bad it is."""

    ERROR = "error"
    """As things are, something is not done."""
    WARNING = "warning"
    """Something may be lost or late some day."""


@dataclass(frozen=True, slots=True)
class Finding:
    """``what`` is wrong and ``advice``, what to do about it; ``topic`` is one word for programs."""

    level: Level
    topic: str
    what: str
    advice: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found, the worst first. ``server`` and the rest is None where Redis did not say it."""

    findings: Sequence[Finding]
    server: ServerInfo | None = None

    @property
    def ok(self) -> bool:
        """Whether there is no error among the findings."""
        return all(finding.level is not Level.ERROR for finding in self.findings)


def diagnose() -> Diagnosis:
    """Look at everything. Reads alone; raises nothing for a Redis that cannot be reached, but says so."""
    try:
        server = store().server.info()
    except ResqueError as error:
        return Diagnosis([_error("redis", f"Redis is not available: {error}", _START_REDIS)])
    findings = list(of_server(server))
    for part in (_of_workers_and_queues, _of_delayed, _of_schedule):
        try:
            findings += part()
        except StoreError as error:
            findings.append(_error("redis", f"Redis cannot be read: {error}", _START_REDIS))
    return Diagnosis(sorted(findings, key=lambda finding: list(Level).index(finding.level)), server)


_START_REDIS = (
    'Start it, or correct the address in CACHES, at the alias that RESQUE["CACHE"] names; look at its log and its'
    " firewall."
)


def _error(topic: str, what: str, advice: str) -> Finding:
    return Finding(Level.ERROR, topic, what, advice)


def _warning(topic: str, what: str, advice: str) -> Finding:
    return Finding(Level.WARNING, topic, what, advice)


# -- the server --------------------------------------------------------------------------------------------------------


def of_server(server: ServerInfo) -> Iterator[Finding]:
    """What is wrong with a server that describes itself so."""
    if server.version and server.version_numbers < LEAST_VERSION:
        yield _error("version", f"The server is {server.name} {server.version}.", "Use Redis 6.2 or newer, or Valkey.")
    if server.role in ("slave", "replica"):
        yield _error(
            "replica", "The server is a replica, which takes no jobs.", "Give the address of its primary in CACHES."
        )
    if server.is_cluster and "{" not in config().namespace:
        yield _error(
            "cluster",
            "The server is part of a cluster, and the keys of the jobs are spread over it.",
            'Give them a hash tag: RESQUE["NAMESPACE"] = "{resque}".',
        )
    if server.loading:
        yield _error("loading", "The server still loads its data.", "Wait for it.")
    if server.writes_fail:
        yield _error("disk", f"The server takes no writes: {server.writes_fail}.", "Look at its disk and its log.")
    yield from _of_memory(server)
    yield from _of_persistence(server)
    if abs(server.ahead) > CLOCKS_DIFFER + server.round_trip:
        words = "ahead of" if server.ahead > 0 else "behind"
        yield _warning(
            "clock",
            f"The server's clock is {abs(server.ahead):.1f} s {words} this host's: delays, expiries and times in logs"
            " differ by that.",
            "Have both set by NTP.",
        )


def _of_memory(server: ServerInfo) -> Iterator[Finding]:
    if server.policy.startswith("allkeys-"):
        finding = _error if server.max_memory else _warning
        yield finding(
            "eviction",
            f"maxmemory-policy is {server.policy}: the server deletes queues when its memory is full.",
            "Set maxmemory-policy noeviction; keep caches on another server.",
        )
    elif server.policy.startswith("volatile-"):
        yield _warning(
            "eviction",
            f"maxmemory-policy is {server.policy}: when its memory is full, the server deletes what says how jobs are"
            " and what keeps them from being enqueued twice.",
            "Set maxmemory-policy noeviction; keep caches on another server.",
        )
    if server.max_memory and server.memory >= ALMOST_FULL * server.max_memory:
        full = server.memory >= server.max_memory
        finding = _error if full else _warning
        yield finding(
            "memory",
            f"The server uses {server.memory / server.max_memory:.0%} of its maxmemory"
            + ("; jobs cannot be enqueued." if full else "."),
            "Raise maxmemory, start workers, or clear what nobody needs (resque queues, resque discard).",
        )


def _of_persistence(server: ServerInfo) -> Iterator[Finding]:
    if server.appendonly or server.appendonly is None:
        return
    if server.save == "":
        what = "The server keeps nothing on disk: a restart loses all jobs."
    else:
        what = "The server writes snapshots alone: a crash loses the jobs since the last one."
    yield _warning("persistence", what, "Set appendonly yes.")


# -- workers and queues ------------------------------------------------------------------------------------------------


def listeners(population: Population, queue: str) -> int:
    """How many workers serve ``queue``: performers of ours that are alive, and other programs' workers."""
    ours = sum(
        process.performers
        for process in population.processes
        if process.alive and process.kind == "worker" and serves(process.queues, queue)
    )
    foreign = [worker.partition(":")[2].partition(":")[2] for worker in population.others if not process_of(worker)]
    return ours + sum(serves(queues, queue) for queues in foreign)


def _of_workers_and_queues() -> Iterator[Finding]:
    population = store().processes.population()
    queues = store().queues.sizes(store().queues.names())
    waiting = {name: size for name, size in queues.items() if size}
    yield from _of_leases(population.processes)
    for name, size in queues.items():
        if size is None:
            yield _error(
                "queue",
                f"The key of the queue {name} is no list.",
                f"Find out who has written it, and delete or rename {store().keys.queue(name)}.",
            )
    yield from _of_pauses(population, waiting)
    heard = {name: listeners(population, name) for name in waiting}
    if waiting and not _is_anybody_alive(population):
        yield _error(
            "workers",
            f"No worker is alive that would take the {sum(waiting.values()):,} waiting jobs.",
            f"Start one: manage.py resque_worker -q {','.join(waiting)}",
        )
    else:
        for name, workers in heard.items():
            if not workers:
                yield _error(
                    "queue",
                    f"Nobody takes jobs from the queue {name}, in which {waiting[name]:,} wait.",
                    f"Start a worker with -q {name}, or clear it: manage.py resque clear {name}",
                )
    served = [name for name in waiting if _is_ours(population, name)]
    yield from _of_commands(
        job for name in served for _, job in store().queues.page(name, count=LOOKED_AT) if job is not None
    )


def _is_anybody_alive(population: Population) -> bool:
    ours = any(process.alive and process.kind == "worker" for process in population.processes)
    return ours or not all(map(process_of, population.others))


def _is_ours(population: Population, queue: str) -> bool:
    """Whether workers of ours would take the queue's jobs, as far as anybody does."""
    others = [worker for worker in population.others if not process_of(worker)]
    foreign = any(serves(worker.partition(":")[2].partition(":")[2], queue) for worker in others)
    ours = any(serves(process.queues, queue) for process in population.processes if process.kind == "worker")
    return ours or not foreign


def _of_leases(processes: Sequence[WorkerProcessInfo]) -> Iterator[Finding]:
    dead = [process for process in processes if not process.alive]
    if not dead:
        return
    finding = _error if len(dead) == len(processes) else _warning
    names = ", ".join(f"{process.name} on {process.host or 'an unknown host'}" for process in dead[:10])
    more = f" and {len(dead) - 10} more" if len(dead) > 10 else ""
    yield finding(
        "lease",
        f"The lease of {len(dead)} worker process(es) has ended: {names}{more}. They are dead, frozen or cut off.",
        "Another worker gives back the jobs that they held, within seconds of its start; manage.py resque reset"
        " forgets those that hold none.",
    )


def _of_pauses(population: Population, waiting: Mapping[str, int]) -> Iterator[Finding]:
    finding = _error if waiting else _warning
    if store().control.all_paused():
        yield finding("paused", "All workers are paused.", "manage.py resque resume --everything")
    for name in store().control.paused_queues():
        finding = _error if name in waiting else _warning
        yield finding(
            "paused", f"The queue {name} is paused.", f"Let workers take its jobs: manage.py resque resumequeue {name}"
        )
    alive = [process for process in population.processes if process.alive and process.kind == "worker"]
    if alive and all(process.mode == "paused" for process in alive):
        finding = _error if waiting else _warning
        yield finding("paused", "Each worker is paused.", "Let them go on: manage.py resque resume")


# -- commands ----------------------------------------------------------------------------------------------------------


def _of_commands(jobs: Iterable[Job]) -> Iterator[Finding]:
    """The commands of waiting jobs exist here and may be jobs. Programs that only enqueue do not have them."""
    if not config().check:
        return
    names: dict[str, str] = {}
    for job in jobs:
        names.setdefault(job.command, job.queue)
    for name, queue in sorted(names.items()):
        try:
            find(name)
        except InvalidJob as error:
            yield _error(
                "command",
                f"A job in the queue {queue} will fail: {error}.",
                f"Correct that, or take the jobs out: manage.py resque dequeue --queue {queue} --command {name}",
            )
        except Exception as error:  # whatever importing its module raises
            yield _error(
                "command",
                f"A job in the queue {queue} will fail: the command {name!r} cannot be imported"
                f" ({type(error).__name__}: {error}).",
                "Correct its module.",
            )


# -- what is due -------------------------------------------------------------------------------------------------------


def _of_delayed() -> Iterator[Finding]:
    health = store().delayed.health()
    if health.foreign:
        yield _warning(
            "scheduler",
            f"The scheduler {health.foreign} of another program holds the lock: it enqueues delayed jobs, ours do not.",
            "Let one of the two do it; when the other one has ended, ours go on within three minutes.",
        )
    if health.abandoned:
        yield _error("scheduler", f"{_what_waits(health)}, and no scheduler is alive.", _START_SCHEDULER)
    elif health.overdue > LATE:
        yield _error(
            "scheduler",
            f"{_what_waits(health)}, and the first is {health.overdue:.0f} s late, although a scheduler is alive.",
            "Look at its log.",
        )
    jobs = [item.job for item in store().delayed.page(count=LOOKED_AT)]
    jobs += [retry.job for retry in store().retries.page(count=LOOKED_AT)]
    yield from _of_commands(job for job in jobs if job is not None)


_START_SCHEDULER = "Start a worker without --no-scheduler, or manage.py resque_scheduler."


def _what_waits(health: Health) -> str:
    kinds = [
        name
        for name, due in (("Delayed jobs", health.delayed), ("Retries", health.retries))
        if due is not None and (name == "Retries" or not health.foreign)
    ]
    late = f", overdue by {health.overdue:.0f} s" if health.abandoned and health.overdue else ""
    return f"{' and '.join(kinds)} wait{late}"


def _of_schedule() -> Iterator[Finding]:
    entries = timetable.entries()
    for entry in entries:
        if entry.problem:
            yield _error("schedule", entry.problem, "Correct it, or delete it: manage.py resque schedule delete")
    if any(not entry.paused and not entry.problem for entry in entries) and not store().delayed.health().ours:
        yield _error("schedule", "The schedule has entries, and no scheduler of ours is alive.", _START_SCHEDULER)
