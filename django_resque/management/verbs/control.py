"""``stop``, ``pause``, ``resume`` and ``cleanup``: what running workers are told, through Redis."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from ... import control
from ...control import Outcome, Progress, Result
from ...store import store
from ..terminal import Terminal
from .targets import add_target_arguments, add_timeout_argument, chosen, show_results
from .verb import NO, OK, UsageError, Verb, add_yes_argument, confirmed


class Stop(Verb):
    """Has them leave."""

    name = "stop"
    help = (
        "Stop workers and schedulers, on any host.\n\n"
        "They take no more jobs, finish those that run, within their grace period, and leave; what still runs then"
        " goes back to its queue. The exit code is 0 when all of them have left."
    )
    has_json = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_target_arguments(parser)
        parser.add_argument(
            "-f", "--force", action="store_true", help="at once: jobs that run are ended, and go back to their queues"
        )
        add_timeout_argument(parser)
        add_yes_argument(parser)

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        targets = chosen(options, terminal, self.name)
        if options["force"] and options["all"]:
            question = f"End the jobs of {len(targets)} worker(s) now, and stop them?"
            if not confirmed(question, options, terminal):
                terminal.line("Nothing was done.")
                return NO
        results = control.stop(
            targets, force=options["force"], timeout=options["timeout"], progress=tell_of_running_jobs(terminal)
        )
        return show_results(results, terminal)


class Pause(Verb):
    """Has them, or everybody, take no more jobs."""

    name = "pause"
    help = (
        "Pause workers, on any host.\n\n"
        "They finish the jobs that run, give back those that have not begun, and take no more until resume. To pause a"
        " queue for all workers: pausequeue."
    )
    has_json = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_target_arguments(parser)
        parser.add_argument(
            "--everything",
            action="store_true",
            help="all workers, those that start later and those of other programs too (the key pause-all-workers)",
        )
        add_timeout_argument(parser)

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        if options["everything"]:
            return pause_everything(True, options, terminal)
        targets = chosen(options, terminal, self.name, kind="worker", mode="running")
        return show_results(control.pause(targets, timeout=options["timeout"]), terminal)


class Resume(Verb):
    """Has them, or everybody, take jobs again."""

    name = "resume"
    help = "Have paused workers take jobs again, on any host."
    has_json = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_target_arguments(parser)
        parser.add_argument(
            "--everything",
            action="store_true",
            help="undo pause --everything; workers that were paused one by one remain paused",
        )
        add_timeout_argument(parser)

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        if options["everything"]:
            return pause_everything(False, options, terminal)
        targets = chosen(options, terminal, self.name, kind="worker", mode="paused")
        status = show_results(control.resume(targets, timeout=options["timeout"]), terminal)
        if store().control.all_paused():
            terminal.note(
                "No worker takes jobs all the same: pause --everything is in force; resume --everything ends that"
            )
        return status


class Cleanup(Verb):
    """Has them end the jobs that run."""

    name = "cleanup"
    help = (
        "End the jobs that run now, on any host; the workers go on with others.\n\n"
        "Each job becomes a failure, named JobEnded. For one job alone: job ID --cancel, wherever it runs."
    )
    has_json = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_target_arguments(parser)
        add_timeout_argument(parser)

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        targets = chosen(options, terminal, "clean up", kind="worker")
        return show_results(control.cleanup(targets, timeout=options["timeout"]), terminal)


def tell_of_running_jobs(terminal: Terminal) -> Progress:
    """Says, as they answer, for whose jobs one has to wait."""
    told: set[str] = set()

    def tell(result: Result) -> None:
        if result.outcome is Outcome.ACKNOWLEDGED and result.running and result.target.name not in told:
            told.add(result.target.name)
            terminal.note(f"{result.target.name} is stopping; {len(result.running)} job(s) still run there")

    return tell


def pause_everything(paused: bool, options: Mapping[str, Any], terminal: Terminal) -> int:
    """Set or delete the key that all workers of the family obey."""
    if options["workers"] or options["host"] or options["queue"] or options["all"]:
        raise UsageError("--everything is for all workers: leave the others out")
    store().ask(store().control.pause_all(paused))
    terminal.json({"paused": paused})
    terminal.line("No worker takes jobs any more." if paused else "Workers take jobs again.")
    return OK
