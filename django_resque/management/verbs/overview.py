"""``stats`` and ``top``: how things are."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ...command_line import line_of
from ...errors import StoreError
from ...failure import Failure
from ...log_format import clean
from ...store import Counters, Health, Worker, WorkerProcessInfo, store
from .. import moments
from ..records import failure_record, job_record, unix
from ..running import seconds
from ..terminal import HAS_RICH, CtrlC, Terminal
from .queues import pauses, queue_records, show_queues
from .verb import OK, UsageError, Verb

if HAS_RICH:
    from rich import box
    from rich.console import Console, Group
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

FAILURES = 5
"""Shown by top."""
MOST = 20
"""Queues, and workers, that top shows."""


@dataclass(frozen=True, slots=True)
class Board:
    """How things are at one moment."""

    time: float
    counters: Counters
    queues: Sequence[Mapping[str, Any]]
    processes: Sequence[WorkerProcessInfo]
    workers: Sequence[Worker]
    failures: Sequence[Failure]
    failed: int
    delayed: int
    retries: int
    parked: int
    health: Health
    all_paused: bool

    @classmethod
    def read(cls) -> Board:
        """Raises a `StoreError`."""
        found = store()
        health = found.delayed.health()
        return cls(
            time=health.time,
            counters=found.stats.counters(),
            queues=queue_records(),
            processes=found.processes.all(),
            workers=found.workers.all(),
            failures=found.failures.latest(FAILURES),
            failed=found.failures.count(),
            delayed=found.delayed.count(),
            retries=found.retries.count(),
            parked=sum(map(found.parked.size, found.parked.names())),
            health=health,
            all_paused=found.control.all_paused(),
        )

    @property
    def waiting(self) -> int:
        return sum(queue["waiting"] or 0 for queue in self.queues)

    @property
    def busy(self) -> list[Worker]:
        """The workers that perform a job, the longest first."""
        return sorted(
            (worker for worker in self.workers if worker.job is not None or worker.run_at is not None),
            key=lambda worker: unix(worker.run_at) or self.time,
        )

    @property
    def alerts(self) -> list[str]:
        """What somebody should look at; check tells more."""
        found = pauses(self.processes, self.queues, all_paused=self.all_paused)
        if self.health.abandoned:
            found.append("Delayed jobs or retries wait, and no scheduler is alive.")
        if self.health.foreign:
            found.append(f"The scheduler {self.health.foreign} of another program enqueues delayed jobs.")
        dead = [process.name for process in self.processes if not process.alive]
        if dead:
            found.append(f"The lease of {len(dead)} worker process(es) has ended: {', '.join(dead[:5])}.")
        unserved = [queue["queue"] for queue in self.queues if queue["waiting"] and not queue["workers"]]
        if unserved:
            found.append(f"Jobs wait in queues that nobody serves: {', '.join(unserved[:5])}.")
        return found

    def record(self) -> dict[str, Any]:
        """It as an object."""
        alive = [process for process in self.processes if process.alive]
        return {
            "time": self.time,
            "processed": self.counters.processed,
            "failed": self.counters.failed,
            "waiting": self.waiting,
            "running": len(self.busy),
            "delayed": self.delayed,
            "retries": self.retries,
            "parked": self.parked,
            "failures": self.failed,
            "workers": len(self.workers),
            "processes": len(alive),
            "schedulers": sum(process.kind == "scheduler" for process in alive),
            "paused": self.all_paused,
            "queues": list(self.queues),
            "alerts": self.alerts,
        }


class Stats(Verb):
    """Tells numbers."""

    name = "stats"
    help = (
        "Tell how many jobs wait, run, are delayed, have been processed and have failed, and what calls for attention."
    )
    has_json = True

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        board = Board.read()
        terminal.json(board.record())
        terminal.table(["jobs and workers", "count"], _numbers(board))
        if board.queues:
            terminal.line()
            show_queues(board.queues[:MOST], terminal)
        for alert in board.alerts:
            terminal.line()
            terminal.line(f"! {alert}")
        return OK


def _numbers(board: Board) -> list[tuple[str, int]]:
    record = board.record()
    return [
        (name, record[name])
        for name in (
            "waiting",
            "running",
            "delayed",
            "retries",
            "parked",
            "processed",
            "failed",
            "failures",
            "workers",
            "processes",
        )
    ]


class Top(Verb):
    """Shows it live."""

    name = "top"
    help = (
        "Show queues, workers and failures live in the terminal, until Ctrl-C.\n\n"
        "It needs rich (pip install django_resque[cli]) and a terminal; --once shows it once, anywhere."
    )
    has_json = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="once, and not live")
        parser.add_argument(
            "--interval", type=seconds(0.2), default=1.0, metavar="SECONDS", help="how often to look (default: 1)"
        )

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        if options["once"] or options["json"]:
            board = Board.read()
            terminal.json(_live_record(board))
            _show_once(board, terminal)
            return OK
        if not HAS_RICH:
            raise UsageError("top needs rich: pip install 'django_resque[cli]', or give --once")
        console = terminal.console()
        if console is None:
            raise UsageError("top needs a terminal: give --once, or --json")
        with suppress(KeyboardInterrupt):  # the way to end it
            _live(console, options["interval"])
        return OK


def _live_record(board: Board) -> dict[str, Any]:
    return {
        **board.record(),
        "busy": [
            {
                "worker": worker.id,
                "since": unix(worker.run_at),
                "job": job_record(worker.job) if worker.job else None,
            }
            for worker in board.busy
        ],
        "latest_failures": [failure_record(failure) for failure in board.failures],
    }


def _headline(board: Board, rate: float | None) -> str:
    per_second = "" if rate is None else f" ({rate:,.1f}/s)"
    return (
        f"{board.waiting:,} waiting   {len(board.busy):,} running   {board.delayed + board.retries:,} delayed   "
        f"{board.counters.processed:,} processed{per_second}   {board.counters.failed:,} failed   "
        f"{len(board.workers):,} workers"
    )


def _queue_rows(board: Board) -> list[tuple[str, ...]]:
    longest = sorted(board.queues, key=lambda queue: -(queue["waiting"] or 0))[:MOST]
    return [
        (
            queue["queue"],
            "?" if queue["waiting"] is None else f"{queue['waiting']:,}",
            f"{queue['workers']:,}",
            "paused" if queue["paused"] else "",
        )
        for queue in longest
    ]


def _worker_rows(board: Board) -> list[tuple[str, ...]]:
    return [
        (
            worker.id.rpartition(":")[0],
            moments.elapsed(max(0.0, board.time - (unix(worker.run_at) or board.time))),
            worker.job.queue if worker.job else "",
            line_of(worker.job, limit=60) if worker.job else "?",
        )
        for worker in board.busy[:MOST]
    ]


def _failure_rows(board: Board) -> list[tuple[str, ...]]:
    return [
        (
            moments.ago(failure.failed_at, board.time),
            line_of(failure.job, limit=60) if failure.job else "(no job)",
            f"{failure.exception.rpartition('.')[2]}: {failure.error}"[:60],
        )
        for failure in board.failures
    ]


_TABLES = (
    (("queue", "waiting", "workers", ""), _queue_rows),
    (("worker", "for", "queue", "job"), _worker_rows),
    (("failed", "job", "exception"), _failure_rows),
)


def _show_once(board: Board, terminal: Terminal) -> None:
    terminal.line(_headline(board, None))
    for headers, rows_of in _TABLES:
        rows = rows_of(board)
        if rows:
            terminal.line()
            terminal.table(headers, rows)
    for alert in board.alerts:
        terminal.line()
        terminal.line(f"! {alert}")


# -- live --------------------------------------------------------------------------------------------------------------


def _live(console: Console, interval: float) -> None:
    before: tuple[float, int] | None = None
    with CtrlC() as asked, Live(console=console, screen=True, auto_refresh=False) as live:
        while not asked.to_end:
            try:
                board = Board.read()
            except StoreError as error:  # it may come back
                live.update(_text(f"Redis is not available: {error}"), refresh=True)
            else:
                rate = None
                if before is not None and board.time > before[0]:
                    rate = max(0, board.counters.processed - before[1]) / (board.time - before[0])
                before = board.time, board.counters.processed
                live.update(_frame(board, rate), refresh=True)
            asked.wait(interval)


def _text(text: str, style: str = "") -> Text:
    return Text(clean(text), style=style)


def _frame(board: Board, rate: float | None) -> Group:
    parts: list[Text | Table] = [
        _text(_headline(board, rate), "bold"),
        *(_text(f"! {alert}", "bold red") for alert in board.alerts),
    ]
    for headers, rows_of in _TABLES:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
        for header in headers:
            table.add_column(header, justify="right" if header in ("waiting", "workers", "for") else "left")
        for row in rows_of(board):
            table.add_row(*map(_text, row))
        parts.append(table)
    parts.append(_text("Ctrl-C ends this", "dim"))
    return Group(*parts)
