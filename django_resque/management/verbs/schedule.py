"""``schedule``: the recurring jobs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from ... import timetable
from ...command_line import line_of
from ...errors import ScheduleError
from ...job import Job
from ...schedule import MISFIRE
from .. import moments
from ..records import job_record
from ..terminal import Terminal
from .arguments import add_act, add_line_argument, queue_name, typed
from .verb import NO, OK, Verb


class Schedule(Verb):
    """Lists and changes the schedule."""

    name = "schedule"
    help = (
        "List and change the schedule of recurring jobs.\n\n"
        "Entries stand in the settings, RESQUE['SCHEDULE'], or were added here. Those of the settings can be paused,"
        " resumed and run, and are changed in the settings alone."
    )
    has_json = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", metavar="ACT", title="acts")
        add_act(acts, "list", "list the entries, and when they are due next (this is what happens without an act)")
        add = add_act(acts, "add", "add an entry: schedule add nightly --cron '0 3 * * *' clearsessions")
        add.add_argument("entry", metavar="NAME", help="a name of its own")
        when = add.add_mutually_exclusive_group(required=True)
        when.add_argument("--cron", metavar="EXPRESSION", help="'minute hour day month weekday', in quotation marks")
        when.add_argument("--every", type=_whole_seconds, metavar="SECONDS", help="every so often, such as 90 or 5m")
        add.add_argument("--timezone", metavar="NAME", help="of the expression, such as Europe/Berlin")
        add.add_argument("--misfire", choices=MISFIRE, help="what becomes of slots that were missed (default: once)")
        add.add_argument("-q", "--queue", type=queue_name, help="the queue (default: what the command says)")
        add_line_argument(add)
        for name, words in (
            ("pause", "enqueue nothing for an entry until it is resumed"),
            ("resume", "go on with an entry; what was due meanwhile is not made up for"),
            ("run", "enqueue the job of an entry now, beside what is due"),
            ("delete", "delete an entry that was added at run time"),
        ):
            add_act(acts, name, words).add_argument("entries", nargs="+", metavar="NAME", help="names of entries")

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        match options["act"]:
            case None | "list":
                return _list(terminal)
            case "add":
                return _add(options, terminal)
            case "run":
                return _run(options["entries"], terminal)
            case act:
                return _change(act, options["entries"], terminal)


def _whole_seconds(text: str) -> int:
    seconds = moments.duration(text)
    if seconds != int(seconds) or seconds < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of seconds")
    return int(seconds)


def _list(terminal: Terminal) -> int:
    entries = timetable.entries()
    terminal.json([_record(entry) for entry in entries])
    if not entries:
        terminal.line("The schedule has no entries.")
        return OK
    terminal.table(
        ["name", "when", "next", "job", "queue", "from", ""],
        [
            (
                entry.name,
                entry.description,
                moments.shown(entry.next_slot),
                line_of(_job(entry), limit=60) if entry.entry else "",
                entry.entry.queue if entry.entry else None,
                entry.origin,
                "unusable" if entry.problem else "paused" if entry.paused else "",
            )
            for entry in entries
        ],
    )
    for entry in entries:
        if entry.problem:
            terminal.error(entry.problem)
    return OK


def _job(listed: timetable.Listed) -> Job:
    entry = listed.entry
    assert entry is not None
    return Job(entry.command, entry.args, entry.options)


def _record(listed: timetable.Listed) -> dict[str, Any]:
    return {
        "name": listed.name,
        "origin": listed.origin,
        "paused": listed.paused,
        "description": listed.description,
        "next_slot": listed.next_slot,
        "last_slot": listed.last_slot,
        "problem": listed.problem,
        "entry": listed.entry.to_mapping() if listed.entry else None,
    }


def _add(options: Mapping[str, Any], terminal: Terminal) -> int:
    command, call = typed(options["line"])
    mapping = {name: options[name] for name in ("cron", "every", "timezone", "misfire", "queue")}
    if options["every"] is not None:
        del mapping["timezone"]
    timetable.add(options["entry"], {**mapping, "command": command, "args": call.args, "options": call.options})
    added = timetable.entry(options["entry"])
    terminal.json(_record(added))
    terminal.line(f"Added {added.name}: {added.description}, next {moments.shown(added.next_slot) or 'never'}.")
    return OK


def _run(names: list[str], terminal: Terminal) -> int:
    status, enqueued = OK, []
    for name in names:
        try:
            job = timetable.run_now(name)
        except ScheduleError as error:  # the others are enqueued all the same, and told
            terminal.error(str(error))
            status = NO
            continue
        enqueued.append({"name": name, **job_record(job)})
        terminal.line(f"{name}: enqueued to {job.queue}: {line_of(job)}")
        terminal.line(job.id)
    terminal.json(enqueued)
    return status


_CHANGES = {"pause": timetable.pause, "resume": timetable.resume, "delete": timetable.delete}
_DONE = {"pause": "paused", "resume": "resumed", "delete": "deleted"}
_BEFORE = {"pause": "was paused before", "resume": "was not paused"}


def _change(act: str, names: list[str], terminal: Terminal) -> int:
    status, changed = OK, []
    for name in names:
        try:
            done = _CHANGES[act](name) is not False
        except ScheduleError as error:
            terminal.error(str(error))
            status = NO
            continue
        changed.append({"name": name, "changed": done})
        terminal.line(f"{name}: {_DONE[act] if done else _BEFORE[act]}.")
    terminal.json(changed)
    return status
