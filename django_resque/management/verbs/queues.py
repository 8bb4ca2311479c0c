"""``queues``, ``jobs``, ``dequeue`` and ``clear``: what waits, and taking it out."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from ...dequeueing import Dequeued, dequeue
from ...diagnosis import listeners
from ...store import Found, WorkerProcessInfo, store
from .. import moments
from ..records import found_record, id_of, line_of_found
from ..terminal import Terminal
from .arguments import add_line_argument, add_page_arguments, typed
from .verb import NO, OK, UsageError, Verb, add_yes_argument, confirmed

PAGE = 1_000
"""Jobs read in one round trip."""
WIDTH = 100
NAMED = 5
"""Paused queues that are named."""


class Queues(Verb):
    """Lists them."""

    name = "queues"
    help = "List the queues: how many jobs wait in each, how many workers serve it, and whether it is paused."
    has_json = True

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        records = queue_records()
        terminal.json(records)
        if records:
            show_queues(records, terminal)
        else:
            terminal.line("There are no queues.")
        # The table has marked the queues that are paused.
        for alert in pauses(store().processes.all(), [], all_paused=store().control.all_paused()):
            terminal.line()
            terminal.line(f"! {alert}")
        return OK


def queue_records() -> list[dict[str, Any]]:
    """Each queue as an object, those that are only paused too."""
    paused = store().control.paused_queues()
    sizes = store().queues.sizes(sorted({*store().queues.names(), *paused}))
    population = store().processes.population()
    return [
        {"queue": name, "waiting": size, "workers": listeners(population, name), "paused": name in paused}
        for name, size in sizes.items()
    ]


def pauses(
    processes: Sequence[WorkerProcessInfo], queues: Sequence[Mapping[str, Any]], *, all_paused: bool
) -> list[str]:
    """What is paused, in sentences; ``queues`` as `queue_records` gives them."""
    found = ["All workers are paused."] if all_paused else []
    workers = [process for process in processes if process.alive and process.kind == "worker"]
    paused = sum(process.mode == "paused" for process in workers)
    if paused:
        found.append(f"{paused} of {len(workers)} worker processes {'is' if paused == 1 else 'are'} paused.")
    names = [queue["queue"] for queue in queues if queue["paused"]]
    if names:
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        found.append(f"No jobs are taken from paused queues: {', '.join(names[:NAMED])}{more}.")
    return found


def show_queues(records: Sequence[Mapping[str, Any]], terminal: Terminal) -> None:
    """Write what `queue_records` gives as a table."""
    terminal.table(
        ["queue", "waiting", "workers", ""],
        [
            (
                record["queue"],
                "not a list" if record["waiting"] is None else record["waiting"],
                record["workers"],
                "paused" if record["paused"] else "",
            )
            for record in records
        ],
    )


class Jobs(Verb):
    """Lists what waits."""

    name = "jobs"
    help = (
        "List the jobs that wait in queues, the next one to be performed first.\n\n"
        "Those that are delayed, or to be tried again, are listed by delayed."
    )
    has_json = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("queues", nargs="*", metavar="QUEUE", help="these alone (default: all)")
        parser.add_argument("--command", metavar="NAME", help="jobs of this command alone")
        add_page_arguments(parser)

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        sizes = store().queues.sizes(options["queues"] or store().queues.names())
        found = _fitting([name for name, size in sizes.items() if size], options["command"])
        page = list(islice(found, options["offset"], options["offset"] + options["limit"]))
        terminal.json([found_record(job, queue) for queue, job in page])
        if page:
            terminal.table(
                ["queue", "id", "enqueued", "job"],
                [
                    (
                        queue,
                        id_of(*each),
                        moments.shown(each.job.enqueued_at or None) if each.job else "",
                        line_of_found(each, limit=WIDTH),
                    )
                    for queue, each in page
                ],
            )
            shown, waiting = options["offset"] + len(page), sum(size or 0 for size in sizes.values())
            if options["command"] is None and shown < waiting:
                terminal.line(f"{shown:,} of {waiting:,}; more with --offset {shown}")
        else:
            chosen = options["queues"] or options["command"] or options["offset"]
            terminal.line("No such job waits." if chosen else "No job waits.")
        return OK


def _fitting(queues: Sequence[str], command: str | None) -> Iterator[tuple[str, Found]]:
    for name in queues:
        start = 0
        while found := store().queues.page(name, start, PAGE if command else 100):
            start += len(found)
            for each in found:
                if command is None or (each.job is not None and each.job.command == command):
                    yield name, each


class Dequeue(Verb):
    """Takes jobs out."""

    name = "dequeue"
    help = (
        "Take jobs out before they are performed, in queues, delayed, parked or to be tried again.\n\n"
        "Those of a command; or, with arguments behind its name, those of exactly this line; or by their ids; or all"
        " of a queue. Each is either removed or performed, never both; it counts as cancelled. The exit code is 1 when"
        " none was found."
    )
    has_json = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--id", action="append", dest="ids", metavar="ID", help="the one with this id; repeatable")
        parser.add_argument("-q", "--queue", help="those in, or for, this queue alone")
        parser.add_argument("--command", metavar="NAME", help="all jobs of this command, which need not exist here")
        parser.add_argument(
            "--no-check", dest="check", action="store_false", help="do not ask the command about its arguments"
        )
        add_yes_argument(parser)
        add_line_argument(parser, may_be_missing=True)

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        line, queue = options["line"], options["queue"]
        if line and options["command"]:
            raise UsageError("Give --command NAME, or a line, not both")
        wanted: list[dict[str, Any]] = []
        common = {"queue": queue, "ids": options["ids"], "command": options["command"]}
        if len(line) > 1:
            name, call = typed(line, check=options["check"])
            texts = list(map(str, call.args))  # as other programs, and commands without types, have them
            for args in [call.args] if texts == call.args else [call.args, texts]:
                wanted.append({**common, "command": name, "args": args, "options": call.options})
        elif line:
            wanted.append({**common, "command": line[0]})
        else:
            wanted.append(common)
        if all(value is None for value in wanted[0].values()):
            raise UsageError("Say which: a command, with or without its arguments, --id ID or -q QUEUE")
        if set(filter(wanted[0].get, wanted[0])) == {"queue"} and not confirmed(
            f"Take out all jobs of the queue {queue}, the delayed ones too?", options, terminal
        ):
            terminal.line("Nothing was done.")
            return NO
        found = _dequeue(wanted)
        terminal.json({"seen": found.seen, "removed": found.removed})
        terminal.line(f"Removed {found.removed:,} of {found.seen:,} jobs that were looked at.")
        return OK if found.removed else NO


def _dequeue(wanted: Sequence[Mapping[str, Any]]) -> Dequeued:
    results = [dequeue(**each) for each in wanted]
    return Dequeued(max(result.seen for result in results), sum(result.removed for result in results))


class Clear(Verb):
    """Empties queues."""

    name = "clear"
    help = (
        "Remove all jobs from queues.\n\n"
        "From the first moment on none of them is performed; what is enqueued later stays. Jobs that run, and delayed"
        " ones, are left alone."
    )
    has_json = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("queues", nargs="*", metavar="QUEUE", help="which queues")
        parser.add_argument("-a", "--all", action="store_true", help="all queues, those of other programs too")
        parser.add_argument("--remove", action="store_true", help="take the queues off the list of queues as well")
        add_yes_argument(parser)

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        names = self._chosen(options, terminal)
        sizes = store().queues.sizes(names)
        unknown = sorted(set(names) - set(store().queues.names())) if options["queues"] else []
        for name in unknown:
            terminal.note(f"There is no queue {name}")
        broken = [name for name in names if sizes[name] is None]
        for name in broken:
            terminal.error(f"{name} is left as it is: its key {store().keys.queue(name)} is not a list")
        names = [name for name in names if name not in broken]
        count = sum(size or 0 for size in sizes.values())
        if names and not confirmed(f"Remove {count:,} job(s) from {', '.join(names)}?", options, terminal):
            names = []
        cleared = []
        for name in names:
            with terminal.progress(f"Clearing {name}") as told:
                if options["remove"]:
                    jobs, gone = store().queues.remove(name, told)
                else:
                    jobs, gone = store().queues.clear(name, told), False
            cleared.append({"queue": name, "removed": jobs, "gone": gone})
            terminal.line(f"{name}: removed {jobs:,} job(s){' and the queue' if gone else ''}.")
        terminal.json(cleared)
        if not names:
            terminal.line("Nothing was done.")
        return OK if names and not unknown and not broken else NO

    def _chosen(self, options: Mapping[str, Any], terminal: Terminal) -> list[str]:
        if options["all"]:
            if options["queues"]:
                raise UsageError("Name queues, or give --all, not both")
            return store().queues.names()
        if options["queues"]:
            return list(dict.fromkeys(options["queues"]))
        names = store().queues.names()
        if not terminal.is_interactive:
            there_are = f" There are: {', '.join(names)}." if names else ""
            raise UsageError(f"Say which queues, or --all.{there_are}")
        sizes = store().queues.sizes(names)
        return terminal.choose("Which queues?", names, lambda name: f"{name} ({sizes[name] or 0:,})")
