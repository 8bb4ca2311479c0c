"""``workers``: who performs jobs, and what each is doing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...store import Worker, store
from .. import moments
from ..terminal import Terminal
from .verb import OK, Verb


class Workers(Verb):
    """Lists them."""

    name = "workers"
    help = (
        "List the workers and schedulers: since when they are there, what they do, and how many jobs they did.\n\n"
        "A worker process with several performers is listed with each of them; workers of other programs are, too."
    )
    has_json = True

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        rows = worker_records()
        terminal.json(rows)
        if rows:
            terminal.table(
                ["worker", "state", "since", "processed", "failed", "job"],
                [
                    (
                        row["worker"],
                        row["state"],
                        moments.shown(row["started"]),
                        "" if row["processed"] is None else row["processed"],
                        "" if row["failed"] is None else row["failed"],
                        _job(row),
                    )
                    for row in rows
                ],
            )
        else:
            terminal.line("There are no workers.")
        return OK


def worker_records() -> list[dict[str, Any]]:
    """Each worker as an object, and each scheduler, whose numbers are None."""
    processes = store().processes.all()
    modes = {worker: process for process in processes for worker in process.workers}
    workers = store().workers.all()
    counters = store().stats.of_workers([worker.id for worker in workers])
    rows: list[dict[str, Any]] = [
        {
            "worker": worker.id,
            "process": modes[worker.id].name if worker.id in modes else None,
            "state": _state(worker, modes[worker.id].mode if worker.id in modes else ""),
            "started": worker.started.timestamp() if worker.started else None,
            "processed": counters[worker.id].processed,
            "failed": counters[worker.id].failed,
            "job": worker.job.id if worker.job else None,
            "command": worker.job.command if worker.job else None,
            "since": worker.run_at.timestamp() if worker.run_at else None,
        }
        for worker in workers
    ]
    rows += [
        {
            "worker": f"{process.host}~{process.name}:{process.pid}",
            "process": process.name,
            "state": "scheduler" if process.mode in ("", "running") else process.mode,
            "started": process.started or None,
            **dict.fromkeys(("processed", "failed", "job", "command", "since")),
        }
        for process in processes
        if process.kind == "scheduler"
    ]
    return rows


def _state(worker: Worker, mode: str) -> str:
    """What it is doing; a paused one may still have a job."""
    if mode in ("paused", "stopping"):
        return mode
    return "working" if worker.job is not None or worker.run_at is not None else "waiting"


def _job(row: Mapping[str, Any]) -> str:
    return f"{row['command']} {row['job'] or ''}".strip() if row["command"] else ""
