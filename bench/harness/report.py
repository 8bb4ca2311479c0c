"""RESULTS.md."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from .measure import Measure, Row, Samples, show
from .systems import ALL, version

Results = Sequence[tuple[Measure, Samples]]

HOW = """Each round has every system once, in rotating order, with the same jobs on the same Redis; figures are medians
of the rounds. The start of consumers does not count: the first and the last jobs note the time."""

WAYS = """Output goes to /dev/null, log levels are those that each system ships with, the database is SQLite.

- django_resque: `resque_worker -n 1`, `-n 2`; as shipped, so jobs are checked and tracked and their output is captured.
- huey: `run_huey -w 1 -k process`, `-w 2`; as shipped. Results that are None, as here, are not stored.
- dramatiq with django_dramatiq: `rundramatiq -p 1 -t 8`, `-p 2 -t 8`, and `-p 2 -t 1` where jobs sleep; no result
  backend, the middleware that dramatiq ships with, without the admin's, which writes each job to the database.
- Celery: `worker -P prefork -c 1`, `-c 2`; no result backend, prefetch multiplier 64, as its documentation advises for
  many short tasks.
- django-q2: `qcluster` with 1 or 2 workers on its Redis broker; successes are not saved (`save_limit` -1). As shipped,
  a worker is replaced after 500 jobs, which takes it half a second.
- RQ with django-rq: `rqworker`, `rqworker-pool --num-workers 2`; with the default worker, which forks for each job, and
  with SimpleWorker, which does not. Results are kept for 500 s, as shipped."""


def write(path: Path, results: Results, *, redis: str, load: float, notes: Path, command: str) -> None:
    """The whole report. What stands in ``notes`` is repeated in it, so that it survives the next run."""
    path.write_text("\n".join(_report(results, _machine(redis, load), notes.read_text(), command)) + "\n")


def table(results: Results) -> Iterator[str]:
    """The lines of the table of what was to be reached."""
    yield "| measure | target | django_resque | best peer | ratio | reached |"
    yield "|---|---|---|---|---|---|"
    for measure, samples in results:
        for row in measure.rows(samples):
            yield _line(row.measure, row.target, row.ours, row.peer, row.ratio, _reached(row))


def _report(results: Results, machine: Iterator[str], notes: str, command: str) -> Iterator[str]:
    yield "# django_resque beside its peers"
    yield ""
    yield f"Written by `{command}`."
    yield HOW
    yield ""
    yield from machine
    yield ""
    yield "## Targets"
    yield ""
    yield from table(results)
    yield ""
    yield "## Where the time goes"
    yield ""
    yield notes.strip()
    yield ""
    yield "## How the systems were run"
    yield ""
    yield WAYS
    yield ""
    yield "## All figures"
    yield ""
    yield from _figures(results)


def _machine(redis: str, load: float) -> Iterator[str]:
    yield f"- {datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"
    yield f"- {os.cpu_count()} × {_processor()}, {platform.system()} {platform.release()}"
    yield f"- load before the run: {load:.2f}"
    yield f"- Python {platform.python_version()}, Django {version('Django')}, redis-py {version('redis')}"
    yield f"- {redis}, without persistence"
    yield f"- {', '.join(dict.fromkeys(system.versions for system in ALL))}"


def _figures(results: Results) -> Iterator[str]:
    yield "Medians, and the lowest and the highest of the rounds."
    for measure, samples in results:
        yield ""
        yield f"### {measure.title}"
        yield ""
        yield f"`--only {measure.name}`, {samples.seconds:.0f} s"
        yield ""
        yield _line("", *measure.units, "rounds", "")
        yield _line(*["---"] * (len(measure.units) + 3))
        for label in measure.contestants:
            cells = [_cell(samples.all(label, figure), unit) for figure, unit in measure.units.items()]
            remark = samples.errors.get(label) or measure.remark(label)
            yield _line(label, *cells, str(len(samples.rounds.get(label, []))), remark)


def _cell(values: Sequence[float], unit: str) -> str:
    if not values:
        return "–"
    median = show(statistics.median(values), unit)
    return median if len(values) == 1 else f"{median} ({show(min(values), '')}–{show(max(values), '')})"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _reached(row: Row) -> str:
    return "?" if row.reached is None else "yes" if row.reached else "**no**"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
