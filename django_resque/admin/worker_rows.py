"""Workers as rows of a page. No arguments of their jobs are among them: the jobs' own pages show these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..store import Counters, Worker, WorkerProcessInfo
from ..store.processes import process_of
from .page import Button
from .text import Time, from_unix, line, number
from .visit import Visit

SILENT = timedelta(minutes=2)
"""A worker is marked when it has not been heard from for so long. All of the family that send heartbeats at all send
one a minute."""
MODES: Mapping[str, Any] = {
    "running": gettext_lazy("running"),
    "paused": gettext_lazy("paused"),
    "stopping": gettext_lazy("stopping"),
}


@dataclass(frozen=True, slots=True)
class RunningJob:
    """What a worker performs; ``command`` is empty where what it says about that is no job."""

    command: str
    url: str
    id: str
    id_url: str
    queue: str
    queue_url: str
    since: Time | None

    @classmethod
    def of(cls, worker: Worker, visit: Visit, now: datetime) -> RunningJob | None:
        """None for a worker that performs nothing."""
        job = worker.job
        if job is None and worker.run_at is None:
            return None
        return cls(
            command=line(job.command) if job else "",
            url=visit.url("jobs", state="running", command=job.command) if job else "",
            id=line(job.id) if job else "",
            id_url=visit.url("job", id=job.id) if job and job.id else "",
            queue=line(job.queue) if job else "",
            queue_url=visit.url("queue", name=job.queue) if job and job.queue else "",
            since=Time.of(worker.run_at, now) if worker.run_at else None,
        )


@dataclass(frozen=True, slots=True)
class SlotRow:
    """A slot of a worker process of ours; ``number`` is its place in the process."""

    number: str
    job: RunningJob | None
    processed: str
    failed: str
    buttons: Sequence[Button]

    @classmethod
    def of(cls, worker: Worker, counters: Counters, visit: Visit, now: datetime, buttons: Sequence[Button]) -> SlotRow:
        return cls(
            number=line(worker.host.rpartition("-")[2] if process_of(worker.id) else worker.id),
            job=RunningJob.of(worker, visit, now),
            processed=number(counters.processed),
            failed=number(counters.failed),
            buttons=buttons,
        )


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """A worker process of ours, or a scheduler.

    ``key`` is what it is addressed by, empty when it cannot be. ``silent`` says why it is marked. ``heard`` is when it
    last renewed its lease. What it does not tell is empty or None. ``slots_left_out`` says how many are not shown.
    """

    name: str
    key: str
    host: str
    pid: str
    is_scheduler: bool
    queues: str
    mode: str
    is_running: bool
    silent: str
    version: str
    memory: str
    processed: str
    failed: str
    started: Time | None
    heard: Time | None
    slots: Sequence[SlotRow]
    slots_left_out: str
    buttons: Sequence[Button]

    @classmethod
    def of(
        cls,
        process: WorkerProcessInfo,
        slots: Sequence[SlotRow],
        counters: Sequence[Counters],
        now: datetime,
        *,
        key: str,
        buttons: Sequence[Button],
    ) -> ProcessRow:
        left_out = len(process.workers) - len(slots)
        return cls(
            name=line(process.name),
            key=key,
            host=line(process.host),
            pid=str(process.pid) if process.pid else "",
            is_scheduler=process.kind == "scheduler",
            queues=line(process.queues.replace(",", ", ")),
            mode=str(MODES.get(process.mode, line(process.mode))),
            is_running=process.mode == "running",
            silent=_silence(process, now),
            version=line(process.version),
            memory=filesizeformat(process.memory) if process.memory else "",
            processed=number(sum(each.processed for each in counters)),
            failed=number(sum(each.failed for each in counters)),
            started=Time.of_unix(process.started or None, now),
            heard=Time.of_unix(process.heard or None, now),
            slots=slots,
            slots_left_out=_("%(count)s more slots") % {"count": number(left_out)} if left_out > 0 else "",
            buttons=buttons,
        )


def _silence(process: WorkerProcessInfo, now: datetime) -> str:
    if not process.alive:
        return _("its lease has ended")
    heard = from_unix(process.heard or None)
    return _("not heard from") if heard is not None and now - heard > SILENT else ""


@dataclass(frozen=True, slots=True)
class OtherRow:
    """A worker of another program. ``orphan``: its id is like ours, but its process is not registered."""

    id: str
    host: str
    pid: str
    queues: str
    orphan: bool
    job: RunningJob | None
    processed: str
    failed: str
    started: Time | None
    heard: Time | None
    silent: bool

    @classmethod
    def of(cls, worker: Worker, counters: Counters, visit: Visit, now: datetime) -> OtherRow:
        return cls(
            id=line(worker.id),
            host=line(worker.host),
            pid=line(worker.pid),
            queues=line(", ".join(worker.queues)),
            orphan=process_of(worker.id) != "",
            job=RunningJob.of(worker, visit, now),
            processed=number(counters.processed),
            failed=number(counters.failed),
            started=Time.of(worker.started, now) if worker.started else None,
            heard=Time.of(worker.heartbeat, now) if worker.heartbeat else None,
            silent=worker.heartbeat is not None and now - worker.heartbeat > SILENT,
        )
