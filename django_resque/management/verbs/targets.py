"""Which workers a verb is for, and what came of it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from ...control import TIMEOUT, Result, Target, Wanted, listed, select
from ...errors import NoSuchWorker
from ...store import Population, store
from ..running import seconds
from ..terminal import Terminal
from .arguments import said
from .verb import NO, OK, UsageError


def add_target_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ids, ``--host``, ``-q`` and ``--all``, which `chosen` obeys."""
    group = parser.add_argument_group("which workers", "without any of these: the only one, or those chosen in a menu")
    group.add_argument(
        "workers",
        nargs="*",
        type=said,
        metavar="WORKER",
        help="the name of a worker process, or the id of one of its workers",
    )
    group.add_argument("--host", type=said, help="those of this host")
    group.add_argument("-q", "--queue", type=said, help="those that serve this queue")
    group.add_argument("-a", "--all", action="store_true", help="all of them, on all hosts")


def add_timeout_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--timeout``."""
    parser.add_argument(
        "--timeout",
        type=seconds(0),
        default=TIMEOUT,
        metavar="SECONDS",
        help=f"how long to wait until it has happened (default: {TIMEOUT:g})",
    )


def chosen(
    options: Mapping[str, Any], terminal: Terminal, verb: str, *, kind: str = "", mode: str = ""
) -> list[Target]:
    """Those that the options name; else the only one there is; else those that somebody chooses from a menu.

    ``kind`` and ``mode`` are what a worker has to be, to be chosen without being named. Raises `NoSuchWorker` when
    there is none, and `UsageError` when there are several and nobody is there to choose.
    """
    population = store().processes.population()
    narrowed = bool(options["host"] or options["queue"] or options["all"])
    if options["workers"]:
        if narrowed:
            raise UsageError("Name workers, or give --host, -q or --all, not both")
        return named(population, options["workers"])
    if not population.processes and not population.others:
        raise NoSuchWorker("No worker is registered")
    wanted = Wanted(host=options["host"] or "", queue=options["queue"] or "", kind=kind)
    ours = _ours(select(population, wanted), terminal)
    return ours if narrowed else _one_or_chosen(ours, terminal, verb, mode)


def named(population: Population, names: Sequence[str]) -> list[Target]:
    """The workers with these names or ids. Raises `NoSuchWorker`."""
    found: dict[str, Target] = {}
    for name in names:
        try:
            targets = select(population, Wanted(worker=name))
        except NoSuchWorker:
            targets = select(population, Wanted(process=name))
        found.update((target.name, target) for target in targets)
    return list(found.values())


def _ours(targets: Sequence[Target], terminal: Terminal) -> list[Target]:
    """Without other programs' workers, which take no messages; those are told when they are named."""
    ours = [target for target in targets if target.process is not None]
    if not ours:
        raise NoSuchWorker(f"The only workers are other programs', which take no messages: {listed(targets)}")
    if len(ours) < len(targets):
        terminal.note(f"{len(targets) - len(ours)} worker(s) of other programs are left out: they take no messages")
    return ours


def _one_or_chosen(targets: Sequence[Target], terminal: Terminal, verb: str, mode: str) -> list[Target]:
    fitting = [target for target in targets if not mode or (target.process and target.process.mode == mode)]
    if not fitting:
        raise NoSuchWorker(f"No worker is {mode}")
    if len(fitting) == 1:
        return fitting
    if not terminal.is_interactive:
        raise UsageError(
            f"There are {len(fitting)} workers: {listed(fitting)}. Say which: --all, --host HOST, -q QUEUE,"
            " or their names"
        )
    return terminal.choose(f"Which workers do you want to {verb}?", fitting)


# -- what came of it ---------------------------------------------------------------------------------------------------


def show_results(results: Sequence[Result], terminal: Terminal) -> int:
    """Write what came of it, a line for each; the exit code, which is 0 when all of it has happened."""
    terminal.json([result_as_json(result) for result in results])
    if results:
        terminal.table(
            ["worker", "host", "queues", "result", ""],
            [
                (
                    result.target.name,
                    result.target.process.host if result.target.process else "",
                    result.target.process.queues if result.target.process else "",
                    result.outcome.value,
                    result.detail,
                )
                for result in results
            ],
        )
    else:
        terminal.line("Nothing was chosen.")
    return OK if results and all(result.done for result in results) else NO


def result_as_json(result: Result) -> dict[str, Any]:
    """A result as an object for programs."""
    process = result.target.process
    return {
        "worker": result.target.name,
        "kind": process.kind if process else None,
        "host": process.host if process else None,
        "pid": process.pid if process else None,
        "queues": process.queues if process else None,
        "outcome": result.outcome.name.lower(),
        "done": result.done,
        "detail": result.detail,
        "jobs": list(result.jobs),
        "running": list(result.running),
    }
