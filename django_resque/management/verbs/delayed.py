"""``delayed``: jobs that wait for their time, and attempts that are to be made again."""

from __future__ import annotations

import argparse
import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ...job import Job
from ...store import DelayedJob, Found, WaitingRetry, store
from .. import moments
from ..records import found_record, id_of, line_of_found
from ..terminal import Terminal
from .arguments import add_act, add_page_arguments
from .verb import NO, OK, UsageError, Verb, add_yes_argument, confirmed

PAGE = 1_000


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A delayed job, or a retry; both wait until they are ``due`` (unix time)."""

    item: DelayedJob | WaitingRetry

    @property
    def due(self) -> float:
        return self.item.due

    @property
    def raw(self) -> bytes:
        return self.item.raw if isinstance(self.item, DelayedJob) else self.item.payload

    @property
    def job(self) -> Job | None:
        return self.item.job

    @property
    def id(self) -> str:
        return id_of(self.raw, self.job)

    @property
    def kind(self) -> str:
        return "delayed" if isinstance(self.item, DelayedJob) else "retry"

    @property
    def line(self) -> str:
        return line_of_found(Found(self.raw, self.job), limit=80)

    def record(self) -> dict[str, Any]:
        found = found_record(Found(self.raw, self.job), self.item.queue)
        return {"kind": self.kind, "due": self.due, **found, "id": self.id}


class Delayed(Verb):
    """Lists and changes what is delayed."""

    name = "delayed"
    help = (
        "List and change the jobs that wait for their time: delayed ones, and those that are to be tried again.\n\n"
        "A job is named by its id, as list shows it."
    )
    has_json = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", metavar="ACT", title="acts")
        lists = add_act(acts, "list", "list them by time (this is what happens without an act)")
        lists.add_argument("--command", metavar="NAME", help="jobs of this command alone")
        add_page_arguments(lists)
        cancel = add_act(acts, "cancel", "cancel jobs: they will not be performed, and count as processed")
        cancel.add_argument("ids", nargs="*", metavar="ID", help="jobs by their ids")
        cancel.add_argument("--command", metavar="NAME", help="all jobs of this command")
        cancel.add_argument("-a", "--all", action="store_true", help="all of them")
        add_yes_argument(cancel)
        run = add_act(acts, "run", "put jobs on their queues now")
        run.add_argument("ids", nargs="+", metavar="ID", help="jobs by their ids")
        move = add_act(acts, "move", "make a delayed job due at another time")
        move.add_argument("ids", nargs=1, metavar="ID", help="a job by its id")
        move.add_argument("time", type=moments.second, metavar="TIME", help="as with enqueueat")

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        match options["act"]:
            case "cancel":
                return _cancel(options, terminal)
            case "run":
                return _run(options["ids"], terminal)
            case "move":
                return _move(options["ids"], options["time"], terminal)
        return _list(options.get("command"), options.get("offset", 0), options.get("limit", 50), terminal)


def _list(command: str | None, offset: int, limit: int, terminal: Terminal) -> int:
    found = (each for each in _by_time() if command is None or (each.job is not None and each.job.command == command))
    page = list(islice(found, offset, offset + limit))
    terminal.json([each.record() for each in page])
    if not page:
        terminal.line("No such job is delayed." if command else "No job is delayed.")
        return OK
    terminal.table(
        ["due", "", "queue", "id", "job"],
        [(moments.shown(each.due), each.kind, each.item.queue, each.id, each.line) for each in page],
    )
    return OK


def _by_time() -> Iterator[_Waiting]:
    return heapq.merge(_delayed_jobs(), _retries(), key=lambda each: each.due)


def _delayed_jobs() -> Iterator[_Waiting]:
    start = 0
    while found := store().delayed.page(start, PAGE):
        start += len(found)
        yield from map(_Waiting, found)


def _retries() -> Iterator[_Waiting]:
    start = 0
    while found := store().retries.page(start, PAGE):
        start += len(found)
        yield from map(_Waiting, found)


def _named(ids: Sequence[str], terminal: Terminal) -> list[_Waiting]:
    """Those with these ids. Says which there are not."""
    found: dict[str, _Waiting] = {}
    for each in _by_time():
        if each.id in ids:
            found.setdefault(each.id, each)
            if len(found) == len(set(ids)):
                break
    for name in ids:
        if name not in found:
            terminal.error(f"No such job is delayed: {name}")
    return list(found.values())


def _cancel(options: Mapping[str, Any], terminal: Terminal) -> int:
    ids, command = options["ids"], options["command"]
    if sum((bool(ids), command is not None, options["all"])) != 1:
        raise UsageError("Say which: ids (delayed list shows them), --command NAME or --all")
    if ids:
        found = _named(ids, terminal)
        cancelled = store().delayed.cancel(each.item for each in found if isinstance(each.item, DelayedJob))
        cancelled += store().retries.cancel(each.item for each in found if isinstance(each.item, WaitingRetry))
        seen = len(set(ids))
    else:
        if options["all"] and not confirmed("Cancel all delayed jobs and retries?", options, terminal):
            terminal.line("Nothing was done.")
            return NO

        def fits(job: Job) -> bool:
            return command in (None, job.command)

        counts = [store().delayed.cancel_matching(fits), store().retries.cancel_matching(fits)]
        cancelled, seen = sum(each.cancelled for each in counts), sum(each.seen for each in counts)
    terminal.json({"seen": seen, "cancelled": cancelled})
    terminal.line(f"Cancelled {cancelled:,}.")
    return OK if cancelled and not (ids and cancelled < seen) else NO


def _run(ids: Sequence[str], terminal: Terminal) -> int:
    done = []
    for each in _named(ids, terminal):
        item = each.item
        moved = store().delayed.run_now(item) if isinstance(item, DelayedJob) else store().retries.run_now(item)
        if moved:
            done.append(each.id)
            terminal.line(f"{each.id}: in the queue {item.queue} now")
        else:
            terminal.error(f"{each.id} is not delayed any more")
    terminal.json({"run": done})
    return OK if len(done) == len(set(ids)) else NO


def _move(ids: Sequence[str], second: int, terminal: Terminal) -> int:
    found = _named(ids, terminal)
    if found and isinstance(found[0].item, WaitingRetry):
        terminal.error(f"{found[0].id} is to be tried again; that can be run now or cancelled, not moved")
        found = []
    moved = bool(found) and isinstance(found[0].item, DelayedJob) and store().delayed.move(found[0].item, second)
    terminal.json({"moved": moved, "due": second if moved else None})
    if moved:
        terminal.line(f"{found[0].id}: due {moments.shown(second)} now")
    return OK if moved else NO
