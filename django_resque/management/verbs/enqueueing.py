"""``enqueue``, ``enqueuein`` and ``enqueueat``: a command line becomes a job."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ...client import using
from ...command_line import line_of
from ...errors import EnqueueError
from ...job import Job
from ...signals import after_enqueue, before_enqueue
from ...status import Status
from ...tracking import TrackedJob
from ...whereabouts import may_have_failure
from .. import moments
from ..records import exception_of, failure_record, job_record
from ..running import at_least
from ..terminal import Terminal
from .arguments import add_line_argument, queue_name, typed
from .failures import failures_of
from .verb import NO, OK, UsageError, Verb


class Enqueue(Verb):
    """Enqueues a line."""

    name = "enqueue"
    help = (
        "Enqueue a command, as it would be typed by hand.\n\n"
        "resque enqueue -q mail send_welcome 42 --template=fancy does in a worker what manage.py send_welcome 42"
        " --template=fancy does here. The command's own parser reads the line. With --wait the exit code is 0 when the"
        " job is done, and 1 when it has failed or takes longer."
    )
    has_json = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("-q", "--queue", type=queue_name, help="the queue (default: what the command says)")
        parser.add_argument("--timeout", type=moments.duration, metavar="SECONDS", help="how long it may take")
        parser.add_argument("--max-attempts", type=at_least(1), metavar="N", help="how often it is tried altogether")
        parser.add_argument(
            "--backoff", type=_delays, metavar="SECONDS[,…]", help="seconds before each further attempt"
        )
        parser.add_argument(
            "--unique-for",
            type=moments.duration,
            metavar="SECONDS",
            help="enqueue it only if no job with this command and these arguments waits",
        )
        parser.add_argument("--unique-key", metavar="KEY", help="the same for jobs with this key; needs --unique-for")
        parser.add_argument(
            "--concurrency", type=_concurrency, metavar="[KEY:]N", help="how many run at once of the command, or key"
        )
        parser.add_argument(
            "--expires", type=moments.duration, metavar="SECONDS", help="do not begin it later than that"
        )
        parser.add_argument("--on-crash", choices=["requeue", "fail"], help="what becomes of it when its process dies")
        parser.add_argument(
            "--no-track", dest="track", action="store_false", default=None, help="do not keep its status"
        )
        parser.add_argument(
            "--no-check",
            dest="check",
            action="store_false",
            default=None,
            help="enqueue it although this project does not have the command; write --option=value",
        )
        parser.add_argument(
            "--wait", type=moments.duration, metavar="SECONDS", help="wait until it has ended, that long at most"
        )
        add_line_argument(parser)

    def choices(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """What `using` is given."""
        names = ("queue", "timeout", "max_attempts", "backoff", "unique_for", "unique_key", "concurrency", "expires")
        return {name: options[name] for name in (*names, "on_crash", "track", "check")}

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        if options["wait"] is not None and options["track"] is False:
            raise UsageError("--wait needs the job's status, which --no-track does not keep: leave one of them out")
        command, call = typed(options["line"], check=options["check"] is not False)
        try:
            chosen = using(**self.choices(options))
        except (ValueError, TypeError) as error:
            raise UsageError(str(error)) from error
        with _listening() as told:
            job = chosen.enqueue(command, *call.args, **call.options)
        due = chosen.at if chosen.delay is None else round(time.time() + float(chosen.delay))  # type: ignore[arg-type]
        state = "enqueued" if told.pushed else "waiting already" if told.wanted else "refused"
        status = OK if told.wanted else NO
        _tell(job, state, due, terminal)
        seen: dict[str, Any] = {}
        if options["wait"] is not None and told.wanted:
            status, seen = _wait(job, options["wait"], terminal)
        terminal.json({**job_record(job), "due": due, "state": state, **seen})
        return status


class EnqueueIn(Enqueue):
    """Enqueues a line for later."""

    name = "enqueuein"
    help = (
        "Enqueue a command, to be performed in so many seconds (or 10m, 2h, 3d).\n\n"
        "The rest is as with enqueue: resque enqueuein 1h send_follow_up 42"
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("delay", type=moments.duration, metavar="SECONDS", help="from now")
        super().add_arguments(parser)

    def choices(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {**super().choices(options), "delay": options["delay"]}


class EnqueueAt(Enqueue):
    """Enqueues a line for a certain time."""

    name = "enqueueat"
    help = (
        "Enqueue a command, to be performed at a certain time.\n\n"
        "The time is one in ISO 8601, in the project's time zone unless it has one of its own, or a unix time:"
        " resque enqueueat 2026-12-24T18:00 send_greetings"
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("at", type=moments.second, metavar="TIME", help="one that has passed means now")
        super().add_arguments(parser)

    def choices(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {**super().choices(options), "at": options["at"]}


class _Told:
    """What was heard of a job: that no receiver refused it, that it was pushed."""

    wanted = False
    pushed = False


@contextmanager
def _listening() -> Iterator[_Told]:
    told = _Told()

    def ask(**kwargs: object) -> None:
        told.wanted = True  # it is connected last, and one that refuses keeps it from being called

    def hear(**kwargs: object) -> None:
        told.pushed = True

    before_enqueue.connect(ask, weak=False)
    after_enqueue.connect(hear, weak=False)
    try:
        yield told
    finally:
        before_enqueue.disconnect(ask)
        after_enqueue.disconnect(hear)


def _tell(job: Job, state: str, due: object, terminal: Terminal) -> None:
    if state == "refused":
        terminal.error(f"Not enqueued: a receiver of before_enqueue has refused {line_of(job)}")
        return
    if state == "enqueued":
        when = f", due {moments.shown(due)}" if isinstance(due, int) else ""
        terminal.remark(f"Enqueued to {job.queue}{when}: {line_of(job)}")
    else:  # it may be another line, with the same key
        terminal.remark("Not enqueued, because this one waits already:")
    terminal.line(job.id)


def _wait(job: Job, seconds: float, terminal: Terminal) -> tuple[int, dict[str, Any]]:
    """Wait for the end of ``job``; the exit code, and what is known then."""
    tracked = TrackedJob(job.command, job.args, job.options, job.queue, job.id, job.enqueued_at, job.extra)
    try:
        status = tracked.wait(seconds)
    except TimeoutError as error:
        terminal.error(str(error))
        return NO, {"status": tracked.status.word, "result": None, "failure": None}
    if status is Status.UNKNOWN:
        raise EnqueueError(f"Nothing is known any more of {job}", (job,))
    failure = failures_of({job.id}).get(job.id) if may_have_failure(tracked.seen) else None
    words = f"{status.word} ({tracked.outcome})" if tracked.outcome else status.word
    if tracked.result is not None:
        words += f": {tracked.result}"
    elif failure is not None:
        words += f": {exception_of(failure)}"
    terminal.remark(words)
    return OK if status is Status.COMPLETE else NO, {
        "status": status.word,
        "result": tracked.result,
        "failure": None if failure is None else failure_record(failure),
    }


def _delays(text: str) -> float | list[float]:
    delays = [moments.duration(part) for part in text.split(",")]
    return delays if len(delays) > 1 else delays[0]


def _concurrency(text: str) -> int | tuple[str, int]:
    key, colon, count = text.rpartition(":")
    try:
        return (key, int(count)) if colon else int(count)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not how many may run at once, such as 2 or reports:2") from None
