"""What the overview shows: the state of the store as texts that are fit for a page.

No arguments of jobs are among them: those may hold what not everybody who sees this page may see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..failure import Failure
from ..store import Health, Overview, Worker
from .text import MESSAGE, Time, block, line, number

SILENT = timedelta(minutes=2)
"""A worker is marked when it has not been heard from for so long. All of the family that send heartbeats at all send
one a minute."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One number with its name."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A queue; ``waiting`` is empty where its key is no list."""

    name: str
    waiting: str


@dataclass(frozen=True, slots=True)
class JobName:
    """A job without its arguments."""

    command: str
    id: str
    queue: str


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker. ``place`` is the process and the slot that ours have in their ids. A busy one may be without ``job``,
    when what it says about it cannot be read."""

    id: str
    host: str
    place: str
    pid: str
    queues: str
    job: JobName | None
    since: Time | None
    heard: Time | None
    silent: bool

    @property
    def busy(self) -> bool:
        return self.job is not None or self.since is not None

    @classmethod
    def of(cls, worker: Worker, now: datetime) -> WorkerRow:
        host, _tilde, place = worker.host.partition("~")
        return cls(
            id=line(worker.id),
            host=line(host),
            place=line(place),
            pid=line(worker.pid),
            queues=line(", ".join(worker.queues)),
            job=JobName(line(worker.job.command), line(worker.job.id), line(worker.job.queue)) if worker.job else None,
            since=Time.of(worker.run_at, now) if worker.run_at else None,
            heard=Time.of(worker.heartbeat, now) if worker.heartbeat else None,
            silent=worker.heartbeat is not None and now - worker.heartbeat > SILENT,
        )


@dataclass(frozen=True, slots=True)
class FailureRow:
    """A failure record; any of it may be empty. ``exit_status``, ``signal`` and ``output`` are in ours alone."""

    time: Time | None
    queue: str
    worker: str
    command: str
    id: str
    exception: str
    error: str
    exit_status: str
    signal: str
    backtrace: str
    output: str

    @property
    def has_details(self) -> bool:
        return any((self.id, self.worker, self.exit_status, self.signal, self.backtrace, self.output))

    @classmethod
    def of(cls, failure: Failure, now: datetime) -> FailureRow:
        extra = {key: value for key, value in failure.extra.items() if isinstance(value, str)}
        return cls(
            time=Time.of(failure.failed_at, now) if failure.failed_at else None,
            queue=line(failure.queue),
            worker=line(failure.worker),
            command=line(failure.job.command) if failure.job else "",
            # a job that came without an id was given one when the record was read, another each time
            id=line(failure.job.id) if failure.job and failure.job.id.encode() in failure.raw else "",
            exception=line(failure.exception),
            error=block(failure.error, MESSAGE),
            exit_status=line(extra.get("exit_status", "")),
            signal=line(extra.get("signal", "")),
            backtrace=block("\n".join(failure.backtrace)),
            output=block(extra.get("output", "")),
        )


class Board:
    """The overview's parts, in the order of the page."""

    def __init__(self, overview: Overview, health: Health) -> None:
        self._overview = overview
        self.abandoned = health.abandoned
        self.time = Time.of(overview.time, overview.time)
        self.paused = overview.paused
        self.trouble = [line(text, MESSAGE) for text in overview.trouble]

    @cached_property
    def tiles(self) -> Sequence[Tile]:
        overview = self._overview
        waiting = sum(size or 0 for size in overview.queues.values())
        working = sum(worker.busy for worker in self.workers)
        return [
            Tile(_("Waiting"), number(waiting), self.queues_left_out),
            Tile(_("Running"), number(working), self.workers_left_out),
            Tile(_("Workers"), number(overview.worker_count)),
            Tile(_("Failures kept"), number(overview.failure_count)),
            Tile(_("Processed in total"), number(overview.counters.processed)),
            Tile(_("Failed in total"), number(overview.counters.failed)),
        ]

    @cached_property
    def queues(self) -> Sequence[QueueRow]:
        return [
            QueueRow(line(name), "" if size is None else number(size)) for name, size in self._overview.queues.items()
        ]

    @property
    def queues_left_out(self) -> str:
        shown, there_are = len(self._overview.queues), self._overview.queue_count
        if shown >= there_are:
            return ""
        return _("%(shown)s of %(count)s queues") % {"shown": number(shown), "count": number(there_are)}

    @cached_property
    def workers(self) -> Sequence[WorkerRow]:
        return [WorkerRow.of(worker, self._overview.time) for worker in self._overview.workers]

    @property
    def workers_left_out(self) -> str:
        shown, there_are = len(self._overview.workers), self._overview.worker_count
        if shown >= there_are:
            return ""
        return _("%(shown)s of %(count)s workers") % {"shown": number(shown), "count": number(there_are)}

    @cached_property
    def failures(self) -> Sequence[FailureRow]:
        return [FailureRow.of(failure, self._overview.time) for failure in self._overview.failures]

    @property
    def failures_left_out(self) -> str:
        shown, there_are = len(self._overview.failures), self._overview.failure_count
        if shown >= there_are:
            return ""
        return ngettext("the last one of %(count)s", "the last %(shown)s of %(count)s", shown) % {
            "shown": number(shown),
            "count": number(there_are),
        }
