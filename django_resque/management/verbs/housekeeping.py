"""``check`` and ``reset``: what is wrong, and what is only left over."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from django.core import checks
from django.core.checks import run_checks

from ...diagnosis import Diagnosis, Finding, Level, diagnose
from ...store import Forgotten, ServerInfo, store
from ..terminal import Terminal
from .verb import NO, OK, Verb, add_yes_argument, confirmed


class Check(Verb):
    """Says why it would not work."""

    name = "check"
    help = (
        "Say what is wrong: why jobs would not be performed, or might be lost, and what to do about it.\n\n"
        "It looks at the settings, the server (version, memory, persistence, clock), queues that nobody serves or that"
        " are paused, the commands of waiting jobs, delayed jobs and the schedule, and workers whose lease has ended."
        " Nothing is changed. The exit code is 1 when there is an error."
    )
    has_json = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--fail-level",
            choices=[level.value for level in Level],
            default=Level.ERROR.value,
            help="exit with 1 from this level on (default: error)",
        )

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        of_settings = list(_of_settings())
        found = diagnose()
        diagnosis = replace(found, findings=sorted([*of_settings, *found.findings], key=_severity))
        terminal.json(
            {
                "ok": diagnosis.ok,
                "server": asdict(diagnosis.server) if diagnosis.server else None,
                "findings": [asdict(finding) for finding in diagnosis.findings],
            }
        )
        _show(diagnosis, terminal)
        return OK if diagnosis.ok and (options["fail_level"] == Level.ERROR or not diagnosis.findings) else NO


def _severity(finding: Finding) -> int:
    return list(Level).index(finding.level)


def _of_settings() -> Iterator[Finding]:
    """What Django's system checks say of ours."""
    for message in run_checks(tags=["django_resque"], include_deployment_checks=False):
        if message.level >= checks.WARNING and not message.is_silenced():
            level = Level.ERROR if message.level >= checks.ERROR else Level.WARNING
            yield Finding(level, "settings", str(message.msg), str(message.hint or "Correct the settings."))


def _show(diagnosis: Diagnosis, terminal: Terminal) -> None:
    if diagnosis.server is not None:
        terminal.line(_in_words(diagnosis.server))
    for finding in diagnosis.findings:
        terminal.line()
        terminal.line(f"{finding.level.upper()} ({finding.topic}) {finding.what}")
        terminal.line(f"  → {finding.advice}")
    if diagnosis.findings:
        terminal.line()
    errors = sum(finding.level is Level.ERROR for finding in diagnosis.findings)
    warnings = len(diagnosis.findings) - errors
    terminal.line(f"{errors} error(s), {warnings} warning(s)." if diagnosis.findings else "Nothing is wrong.")


def _in_words(server: ServerInfo) -> str:
    parts = [f"{server.name} {server.version}"]
    if server.policy:
        parts.append(f"maxmemory {server.max_memory:,} bytes, {server.policy}" if server.max_memory else server.policy)
    if server.appendonly is not None:
        parts.append(f"append-only file {server.appendfsync}".rstrip() if server.appendonly else "no append-only file")
    parts.append(f"{server.round_trip * 1000:.1f} ms a round trip")
    return f"{', '.join(parts)}."


class Reset(Verb):
    """Forgets what is dead."""

    name = "reset"
    help = (
        "Forget what dead processes have left behind: their registrations, heartbeats, and permits to run.\n\n"
        "Nothing that is alive is touched, and no job: a dead process that still holds jobs stays until a worker has"
        " given them back. With --dry-run it only tells."
    )
    has_json = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only tell what there is")
        add_yes_argument(parser)

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        only_look = options["dry_run"]
        if not only_look and not confirmed("Forget what dead processes have left behind?", options, terminal):
            terminal.line("Nothing was done.")
            return NO
        with terminal.progress("Looking through the keys") as told:
            forgotten = store().dead_state.forget(only_look=only_look, progress=told)
        terminal.json({**asdict(forgotten), "dry_run": only_look})
        for line in _what_was_forgotten(forgotten):
            terminal.line(f"{line}.")
        if forgotten.is_nothing:
            terminal.line("There is nothing to forget.")
        elif only_look:
            terminal.line("Nothing was done.")
        return OK


def _what_was_forgotten(forgotten: Forgotten) -> Sequence[str]:
    counted = [
        (forgotten.processes, "dead worker process(es)"),
        (forgotten.workers, "worker(s) on the boards whose process is dead"),
        (forgotten.heartbeats, "heartbeat(s) of workers that are not registered"),
        (forgotten.permits, "permit(s) to run that no job used"),
        (forgotten.unparked, "parked job(s) that waited for nobody, back to their queues"),
        (forgotten.adopted, "reserved job(s) of unknown processes, for the next worker to give back"),
    ]
    lines = [f"{count:,} {what}" for count, what in counted if count]
    if forgotten.waiting:
        lines.append(
            f"{', '.join(forgotten.waiting)}: dead, and holds jobs; the next worker that looks gives them back"
        )
    return lines
