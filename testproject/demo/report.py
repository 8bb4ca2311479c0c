"""What the demo prints: tables that fit into 96 columns and need no colours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .play import Counted, Performance
from .scenarios import Facts

WIDTH = 96

_OUTPUT = re.compile(r"\[(?P<id>[0-9a-f]{32})\] (?P<text>.*)")
_DONE = re.compile(r"done (?P<command>\S+) (?P<id>[0-9a-f]{32}) \[(?P<queue>\S+)\] in (?P<seconds>[0-9.]+) s$")


@dataclass(frozen=True)
class PerformedJob:
    """What the worker's log says about one job."""

    command: str
    id: str
    queue: str
    seconds: float
    output: str


def performed_jobs(log: Path) -> list[PerformedJob]:
    """The jobs in a worker's output, in the order in which they ended."""
    output: dict[str, list[str]] = {}
    jobs = []
    for line in log.read_text(errors="replace").splitlines():
        if said := _OUTPUT.fullmatch(line):
            output.setdefault(said["id"], []).append(said["text"])
        elif done := _DONE.search(line):
            jobs.append((done["command"], done["id"], done["queue"], float(done["seconds"])))
    # put together at the end: the log and the output of one job are two streams
    return [
        PerformedJob(command, job_id, queue, seconds, "; ".join(output.get(job_id, [])))
        for command, job_id, queue, seconds in jobs
    ]


def report(performances: Sequence[Performance], jobs: Sequence[PerformedJob], counted: Counted) -> str:
    """The whole report."""
    lines = [
        *_heading("How long the visitor waited"),
        *_response_times(performances),
        "",
        *_heading("What came of it, the same both ways"),
        *_effects(performances),
        "",
        *_heading("What each job did"),
        *_jobs(performances, jobs),
        "",
        *_heading("The counters in Redis"),
        *_counters(counted),
    ]
    return "\n".join(lines)


def _heading(text: str) -> Iterable[str]:
    return (text, "─" * WIDTH)


def _response_times(performances: Sequence[Performance]) -> Iterable[str]:
    yield f"{'':<22}{'without':>14}{'with':>14}{'':>14}{'all done':>14}"
    yield f"{'':<22}{'django_resque':>14}{'django_resque':>14}{'':>14}{'after':>14}"
    for one in performances:
        times = one.without / one.answered
        yield (
            f"{one.scenario.number}  {one.scenario.title:<19}{one.without:>12.2f} s{one.answered:>12.2f} s"
            f"{f'{times:.0f} × faster':>14}{one.done:>12.2f} s"
        )


def _effects(performances: Sequence[Performance]) -> Iterable[str]:
    for one in performances:
        words = _fold(_describe(one.scenario.effects), WIDTH - 22)
        for index, line in enumerate(words):
            title = f"{one.scenario.number}  {one.scenario.title}" if index == 0 else ""
            yield f"{title:<22}{line}"


def _describe(effects: Facts) -> list[str]:
    return [f"{name} {amount}".replace("-", "−") for name, amount in effects.items()]


def _fold(words: Sequence[str], width: int) -> list[str]:
    lines = [""]
    for word in words:
        joined = f"{lines[-1]}, {word}" if lines[-1] else word
        if len(joined) > width:
            lines.append(word)
        else:
            lines[-1] = joined
    return lines


def _jobs(performances: Sequence[Performance], jobs: Sequence[PerformedJob]) -> Iterable[str]:
    numbers = [one.scenario.number for one in performances for _job in range(one.scenario.jobs)]
    for number, job in zip(numbers, jobs, strict=True):
        yield (
            f"{number}  {job.command:<18}{job.id[:8]}  {job.queue:<8}{job.seconds:>6.2f} s  done  "
            f"{_shorten(job.output, WIDTH - 57)}"
        ).rstrip()


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _counters(counted: Counted) -> Iterable[str]:
    waiting = ", ".join(f"{queue} {size}" for queue, size in counted.waiting.items())
    yield f"processed {counted.counters.processed}, failed {counted.counters.failed}; still waiting: {waiting}"
    yield ""
    yield "All of this was checked: mails that arrived, bookings at the ERP, rows in the database."
    yield "To click through it yourself: make serve"
