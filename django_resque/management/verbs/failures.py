"""``failed``, ``retry`` and ``discard``: the failed list."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Any

from ...command_line import line_of
from ...errors import InvalidPayload
from ...failure import Failure
from ...store import FailureFilter, Retried, store
from .. import moments
from ..records import SHORT, exception_of, failure_record
from ..terminal import Terminal
from .arguments import add_page_arguments, said
from .verb import NO, OK, UsageError, Verb, add_yes_argument, confirmed

LEAST_DIGITS = 6
"""Of a digest, that name a failure."""
IN_MENU = 20
WIDTH = 60


def _add_filter_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which failures", "those that fit all that is said")
    group.add_argument(
        "ids", nargs="*", metavar="ID", help="those with this id of a job, or with a digest that begins so"
    )
    group.add_argument("--command", type=said, metavar="NAME", help="jobs of this command")
    group.add_argument("--exception", type=said, metavar="NAME", help="of this class, with or without its module")
    group.add_argument(
        "--since", type=moments.since, metavar="TIME", help="not before this time, or for the last 2h, 3d"
    )
    group.add_argument("-q", "--queue", type=said, help="jobs from this queue")
    group.add_argument("--text", type=said, help="with this text in the message, the arguments or the traceback")


def _filter(options: Mapping[str, Any]) -> FailureFilter:
    names = ("command", "exception", "since", "queue", "text")
    return FailureFilter(**{name: options[name] for name in names})


def _by_ids(ids: Sequence[str], which: FailureFilter, terminal: Terminal) -> list[Failure]:
    """Those that are named, the newest first. Says which name nothing."""
    for each in ids:
        if len(each) < LEAST_DIGITS:
            raise UsageError(f"{each!r} is too short: give the id of a job, or {LEAST_DIGITS} digits of a digest")
    found: dict[bytes, Failure] = {}
    named: set[str] = set()
    for failure in store().failures.iterate(which):
        for each in ids:
            if failure.digest.startswith(each) or (failure.job is not None and failure.job.id == each):
                found[failure.raw] = failure
                named.add(each)
    for each in ids:
        if each not in named:
            terminal.error(f"There is no such failure: {each}")
    return list(found.values())


def failures_of(ids: Collection[str]) -> dict[str, Failure]:
    """The newest failures of the jobs with these ids, as far as there are any, by the ids."""
    found: dict[str, Failure] = {}
    if ids:
        for failure in store().failures.iterate():
            if failure.job is not None and failure.job.id in ids:
                found.setdefault(failure.job.id, failure)
                if len(found) == len(ids):
                    break
    return found


class Failed(Verb):
    """Lists failures, or shows some in full."""

    name = "failed"
    help = (
        "List the failures, the newest first; with ids, show them in full.\n\nThe exit code is 1 when an id names none."
    )
    has_json = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        _add_filter_arguments(parser)
        add_page_arguments(parser, limit=20)

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        which = _filter(options)
        if options["ids"]:
            found = _by_ids(options["ids"], which, terminal)
            terminal.json([failure_record(failure, in_full=True) for failure in found])
            for failure in found:
                show_failure(failure, terminal)
            return OK if found else NO
        start, end = options["offset"], options["offset"] + options["limit"]
        failures = store().failures
        if which == FailureFilter():
            page = failures.page(start, options["limit"])
        else:
            page = list(islice(failures.iterate(which), start, end))
        terminal.json([failure_record(failure) for failure in page])
        if not page:
            terminal.line("There is no such failure." if failures.count() else "There are no failures.")
            return OK
        terminal.table(
            ["failure", "failed", "queue", "job", "exception"],
            [
                (
                    failure.digest[:SHORT],
                    moments.shown(failure.failed_at),
                    failure.queue,
                    line_of(failure.job, limit=WIDTH) if failure.job else "(no job)",
                    _short(failure),
                )
                for failure in page
            ],
        )
        terminal.line(f"{failures.count():,} in all; ids show them in full, retry and discard take ids and filters")
        return OK


def _short(failure: Failure) -> str:
    text = exception_of(failure)
    return f"{text[:WIDTH]}…" if len(text) > WIDTH else text


def show_failure(failure: Failure, terminal: Terminal) -> None:
    """All that a record says."""
    job = failure.job
    terminal.line(f"Failure {failure.digest}")
    terminal.line(f"  job        {line_of(job) if job else '(none that could be read)'}")
    if job is not None:
        terminal.line(f"  id         {job.id}")
    terminal.line(f"  failed     {moments.shown(failure.failed_at)}")
    terminal.line(f"  queue      {failure.queue}")
    terminal.line(f"  worker     {failure.worker}")
    terminal.line(f"  exception  {failure.exception}: {failure.error}")
    for attempt in _history(job.extra.get("history") if job else None):
        terminal.line(f"  before     {attempt}")
    for title, text in (("traceback", "\n".join(failure.backtrace)), ("output", str(failure.extra.get("output", "")))):
        if text:
            terminal.line(f"  {title}")
            terminal.line("\n".join(f"    {line}" for line in text.rstrip("\n").split("\n")))
    terminal.line()


def _history(history: object) -> list[str]:
    attempts = history if isinstance(history, list) else []
    return [
        f"attempt {each.get('attempt')}, {each.get('failed_at')}: {each.get('exception')}: {each.get('error')}"
        for each in attempts
        if isinstance(each, dict)
    ]


class _Change(Verb):
    """A verb for the failures that ids, filters or ``--all`` name, or that are chosen in a menu."""

    has_json = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        _add_filter_arguments(parser)
        parser.add_argument("-a", "--all", action="store_true", help="all failures")
        add_yes_argument(parser)

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        which = _filter(options)
        if options["all"]:
            if options["ids"] or which != FailureFilter():
                raise UsageError("--all is all of them: leave the others out")
            return self.change_all(options, terminal)
        if options["ids"]:
            failures = _by_ids(options["ids"], which, terminal)
            return self.change(failures, terminal, missing=len(failures) < len(set(options["ids"])))
        if which != FailureFilter():
            return self.change_matching(which, terminal)
        if not terminal.is_interactive:
            raise UsageError(f"Which failures? Give ids (resque failed lists them), a filter, or {self.name} --all")
        failures = store().failures.latest(IN_MENU)
        chosen = terminal.choose(f"Which failures do you want to {self.name}?", failures, _in_menu) if failures else []
        if failures and not chosen:
            terminal.line("Nothing was done.")
            return NO
        return self.change(chosen, terminal)

    def change(self, failures: Sequence[Failure], terminal: Terminal, *, missing: bool = False) -> int:
        raise NotImplementedError

    def change_matching(self, which: FailureFilter, terminal: Terminal) -> int:
        raise NotImplementedError

    def change_all(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        raise NotImplementedError


def _in_menu(failure: Failure) -> str:
    job = line_of(failure.job, limit=WIDTH) if failure.job else "(no job)"
    return f"{moments.shown(failure.failed_at)}  {job}  {_short(failure)}"


class Retry(_Change):
    """Puts jobs back."""

    name = "retry"
    help = (
        "Put the jobs of failures back on their queues, as if they had not been tried yet.\n\n"
        "The exit code is 1 when there was none, or one could not be retried."
    )

    def change(self, failures: Sequence[Failure], terminal: Terminal, *, missing: bool = False) -> int:
        reasons = {failure.digest: reason for failure in failures if (reason := _why_not(failure))}
        for digest, reason in reasons.items():
            terminal.error(f"{digest[:SHORT]}: {reason}")
        with terminal.progress("Retrying") as told:
            result = store().failures.retry_many(failures, told)
        return max(_tell(result, terminal), NO if missing else OK)

    def change_matching(self, which: FailureFilter, terminal: Terminal) -> int:
        with terminal.progress("Retrying") as told:
            return _tell(store().failures.retry_all(which, told), terminal)

    def change_all(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        with terminal.progress("Retrying") as told:
            return _tell(store().failures.retry_all(None, told), terminal)


def _why_not(failure: Failure) -> str:
    try:
        store().failures.retry(failure)
    except InvalidPayload as error:
        return str(error)
    return ""


def _tell(result: Retried, terminal: Terminal) -> int:
    gone = result.seen - result.retried - result.refused
    terminal.json({"seen": result.seen, "retried": result.retried, "refused": result.refused, "gone": gone})
    words = f"Retried {result.retried:,} of {result.seen:,}."
    words += f" {result.refused:,} cannot be retried." * bool(result.refused)
    terminal.line(words + f" {gone:,} were gone." * bool(gone))
    return OK if result.seen and result.retried == result.seen else NO


class Discard(_Change):
    """Removes records."""

    name = "discard"
    help = "Remove failures from the list, for good.\n\nThe exit code is 1 when there was none."

    def change(self, failures: Sequence[Failure], terminal: Terminal, *, missing: bool = False) -> int:
        with terminal.progress("Discarding") as told:
            count = store().failures.discard_many(failures, told)
        return max(self._tell(count, terminal), NO if missing else OK)

    def change_matching(self, which: FailureFilter, terminal: Terminal) -> int:
        with terminal.progress("Discarding") as told:
            return self._tell(store().failures.discard_all(which, told), terminal)

    def change_all(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        count = store().failures.count()
        if count and not confirmed(f"Discard all {count:,} failure(s)?", options, terminal):
            terminal.line("Nothing was done.")
            return NO
        with terminal.progress("Discarding") as told:
            return self._tell(store().failures.clear(told), terminal)

    @staticmethod
    def _tell(count: int, terminal: Terminal) -> int:
        terminal.json({"discarded": count})
        terminal.line(f"Discarded {count:,}.")
        return OK if count else NO
