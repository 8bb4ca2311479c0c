"""``job``, ``track`` and ``recent``: what became of jobs."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from ... import control
from ...command_line import line_of
from ...dequeueing import dequeue
from ...failure import Failure
from ...log_format import clean
from ...status import Status
from ...store import Seen, store
from ...tracking import TrackedJob
from ...whereabouts import Known, look_up, may_have_failure
from .. import moments
from ..records import exception_of, failure_record, job_record, progress_of, seen_record
from ..terminal import Terminal
from .arguments import add_page_arguments
from .failures import failures_of, show_failure
from .verb import NO, OK, Verb


class ShowJob(Verb):
    """Shows all there is about one job."""

    name = "job"
    help = (
        "Show all that is known about one job: status, arguments, result, failure, output.\n\n"
        "Its arguments are found where it waits, runs or has failed; they are not kept with the status. With --cancel a"
        " job that waits is taken out, and one that runs is ended, wherever that is. The exit code is 1 when nothing is"
        " known of it, or it could not be cancelled."
    )
    has_json = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("id", metavar="ID", help="its id")
        either = parser.add_mutually_exclusive_group()
        either.add_argument("--output", action="store_true", help="write what it has written so far, and nothing else")
        either.add_argument("--cancel", action="store_true", help="take it out, or end it")

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        job_id = options["id"]
        if options["cancel"]:
            return _cancel(job_id, terminal)
        if options["output"]:
            output = _text(store().statuses.output(job_id))
            terminal.json({"id": job_id, "output": output})
            terminal.line(output.rstrip("\n"))
            return OK if output else NO
        known = look_up(job_id)
        if known.is_nothing:
            terminal.json(None)
            terminal.error(f"Nothing is known of a job {job_id}")
            return NO
        found = known.found
        terminal.json(
            {
                **(seen_record(known.seen) if known.seen else {"id": job_id, "status": None}),
                "place": str(found.place) if found else "",
                "job": job_record(found.job) if found else None,
                "failure": failure_record(found.failure, in_full=True) if found and found.failure else None,
                "output": _text(known.output),
            }
        )
        _show(known, terminal)
        return OK


def _text(output: bytes) -> str:
    return str(output, "utf-8", "replace")


def _show(known: Known, terminal: Terminal) -> None:
    job = known.found.job if known.found else None
    failure = known.found.failure if known.found else None
    terminal.line(f"Job {known.id}")
    if known.found is not None:
        terminal.line(f"  line       {line_of(known.found.job)}")
        terminal.line(f"  found in   {known.found.place}")
    if known.seen is not None:
        for title, text in _facts(known.seen):
            terminal.line(f"  {title:<9}  {clean(text)}")
    limits = job_record(job)["extra"] if job is not None else {}
    if limits:
        terminal.line(f"  limits     {', '.join(f'{key}={value}' for key, value in limits.items())}")
    output = _text(known.output)
    if output and failure is None:
        terminal.line("  output")
        terminal.line("\n".join(f"    {line}" for line in output.rstrip("\n").split("\n")))
    if failure is not None:
        terminal.line()
        show_failure(failure, terminal)


def _facts(seen: Seen) -> Iterator[tuple[str, str]]:
    yield "status", f"{seen.status.word} ({seen.outcome})" if seen.outcome else seen.status.word
    if seen.command:
        yield "command", seen.command
    if seen.queue:
        yield "queue", seen.queue
    for title, moment in (("enqueued", seen.enqueued_at), ("due", seen.due), ("begun", seen.begun)):
        if moment is not None:
            yield title, f"{moments.shown(moment)} ({moments.ago(moment)})"
    if seen.finished is not None:
        took = f", after {moments.elapsed(seen.duration)}" if seen.duration is not None else ""
        yield "finished", f"{moments.shown(seen.finished)} ({moments.ago(seen.finished)}){took}"
    if seen.attempt:
        yield "attempts", str(seen.attempt)
    if seen.worker:
        yield "worker", seen.worker
    if seen.progress is not None:
        yield "progress", progress_of(seen)
    if seen.result is not None:
        yield "result", str(seen.result)


def _cancel(job_id: str, terminal: Terminal) -> int:
    removed = dequeue(id=job_id).removed
    ended = None if removed else control.end_job(job_id)
    by = ended.by.name if ended is not None and ended.by is not None else ""
    silent = [result.target.name for result in ended.silent] if ended is not None else []
    terminal.json({"id": job_id, "removed": bool(removed), "ended_by": by or None, "silent": silent})
    if removed:
        terminal.line("Taken out, before it was performed.")
    elif by:
        terminal.line(f"Ended, as a failure, by {by}.")
    else:
        terminal.error("It neither waits nor runs" + (f"; these did not answer: {', '.join(silent)}" if silent else ""))
    return OK if removed or by else NO


class Track(Verb):
    """Tells the status of jobs."""

    name = "track"
    help = (
        "Tell the status of jobs by their ids: waiting, scheduled, running, failed, complete or unknown.\n\n"
        "With --wait it waits for their ends, and tells how far they are; the exit code is then 0 when all are"
        " complete. Without it, 1 means that nothing is known of one of them."
    )
    has_json = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("ids", nargs="+", metavar="ID", help="ids of jobs")
        parser.add_argument("--wait", type=moments.duration, metavar="SECONDS", help="wait that long at most")

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        ids = options["ids"]
        if options["wait"] is None:
            found = [seen or Seen(job_id, Status.UNKNOWN) for job_id, seen in zip(ids, self._look(ids), strict=True)]
            status = NO if any(seen.status is Status.UNKNOWN for seen in found) else OK
        else:
            deadline = time.monotonic() + options["wait"]
            found = [self._wait(job_id, deadline, terminal) for job_id in ids]
            status = OK if all(seen.status is Status.COMPLETE for seen in found) else NO
        failures = failures_of({seen.id for seen in found if may_have_failure(seen)})
        terminal.json([_with_failure(seen, failures.get(seen.id)) for seen in found])
        for seen in found:
            terminal.line(clean(_status_line(seen, failures.get(seen.id))))
        return status

    @staticmethod
    def _look(ids: list[str]) -> list[Seen | None]:
        return store().statuses.seen_many(ids)

    @staticmethod
    def _wait(job_id: str, deadline: float, terminal: Terminal) -> Seen:
        """Wait for the end of one job. One of which nothing is known is not waited for: it may never have been."""
        job = TrackedJob.get(job_id)
        if job is None:
            return Seen(job_id, Status.UNKNOWN)
        with terminal.progress(job.command or job_id) as told:
            while True:
                left = deadline - time.monotonic()
                try:
                    job.wait(max(0.0, min(1.0, left)))
                    return job.seen
                except TimeoutError:
                    if job.progress is not None:
                        done, total, _message = job.progress
                        told(int(done), None if total is None else int(total))
                    if left <= 0 or job.status is Status.UNKNOWN:  # it went away meanwhile
                        return job.seen


def _with_failure(seen: Seen, failure: Failure | None) -> dict[str, Any]:
    return {**seen_record(seen), "failure": None if failure is None else failure_record(failure)}


def _status_line(seen: Seen, failure: Failure | None) -> str:
    words = [seen.id, seen.status.word]
    if seen.outcome:
        words.append(f"({seen.outcome})")
    if seen.command:
        words.append(seen.command)
    if seen.progress is not None:
        words.append(progress_of(seen))
    if seen.status is Status.SCHEDULED and seen.due is not None:
        words.append(f"due {moments.shown(seen.due)}")
    if seen.result is not None:
        words.append(f"→ {seen.result}")
    if failure is not None:
        words.append(exception_of(failure))
    return "  ".join(words)


class Recent(Verb):
    """Lists the jobs that ended last."""

    name = "recent"
    help = "List the jobs that ended last, the last one first. Ten thousand are kept; their results are not among it."
    has_json = True

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--command", metavar="NAME", help="jobs of this command alone")
        parser.add_argument("-q", "--queue", help="jobs from this queue alone")
        parser.add_argument(
            "--status",
            choices=["complete", "failed", "cancelled", "expired"],
            help="those that ended so; what was cancelled or has expired is among the failed, too",
        )
        add_page_arguments(parser, limit=20)

    def run(self, options: Mapping[str, Any], terminal: Terminal) -> int:
        def fits(seen: Seen) -> bool:
            return (
                options["command"] in (None, seen.command)
                and options["queue"] in (None, seen.queue)
                and options["status"] in (None, seen.status.word, seen.outcome)
            )

        found = store().recent.find(fits)
        page = list(islice(found, options["offset"], options["offset"] + options["limit"]))
        terminal.json([seen_record(seen) for seen in page])
        if not page:
            chosen = options["command"] or options["queue"] or options["status"] or options["offset"]
            terminal.line("No such job has ended lately." if chosen else "No job has ended lately.")
            return OK
        terminal.table(
            ["finished", "status", "queue", "command", "took", "id"],
            [
                (
                    moments.shown(seen.finished),
                    seen.outcome or seen.status.word,
                    seen.queue,
                    seen.command,
                    moments.elapsed(seen.duration),
                    seen.id,
                )
                for seen in page
            ],
        )
        return OK
