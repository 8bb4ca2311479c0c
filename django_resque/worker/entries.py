"""What a worker process tells Redis about its jobs, as the entries of a turn."""

from __future__ import annotations

import json
import math
import re
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ..errors import DirtyExit, InvalidPayload, JobEnded, JobTimeout, PoisonJob
from ..failure import Failure, failure_record, payload_object, printable
from ..job import Job, dump_json, for_another_attempt
from ..limits import Limits, failed_attempts
from ..status import Status, performance, status_record
from ..store import Bequest, Entry, Outcome, Remains, Reserved
from ..store.statistics import pack
from .report import Report

ENDED = "The running job was ended on demand"
TAIL = 4096
"""Bytes of its output that a failure record carries."""
_REMEMBERED = 200
"""Characters of the message of a failed attempt, and of its worker's id, that go on with the job."""
_MOST_REMEMBERED = 20
_RUBY_FOUND_IT_DEAD = re.compile(r"Resque::\w*DirtyExit$")


@dataclass(frozen=True, slots=True)
class Death:
    """How a performer's process ended: ``code`` is its exit status, or the negated number of a signal."""

    code: int

    @property
    def signal_name(self) -> str:
        """The name of the signal, empty when it was none."""
        try:
            return signal.Signals(-self.code).name if self.code < 0 else ""
        except ValueError:
            return f"signal {-self.code}"

    def __str__(self) -> str:
        if self.signal_name:
            return f"was killed by {self.signal_name}"
        return f"ended with exit status {self.code} and without a report"


def running(worker: str, reserved: Reserved, job: Job, seconds: float, progress: bytes = b"") -> Entry:
    """The job has been running for ``seconds``: the boards show it."""
    current = dump_json({"queue": reserved.queue, "run_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")})
    by = dump_json({"worker": worker.rpartition(":")[0]})
    record = b'%b,"payload":%b,%b' % (current[:-1], payload_object(reserved.payload), by[1:])
    status = _running(worker, job, seconds, progress)
    return Entry("running", worker, reserved.token, job.status_id, status, record=record)


def under_way(worker: str, reserved: Reserved, job: Job, seconds: float, progress: bytes, output: bytes) -> Entry:
    """How far the job has come, and what it has written so far (empty: nothing new)."""
    status = _running(worker, job, seconds, progress)
    return Entry("running", worker, reserved.token, job.status_id, status, output=output)


def _running(worker: str, job: Job, seconds: float, progress: bytes) -> bytes:
    more = performance(worker, failed_attempts(job) + 1, seconds)
    return status_record(Status.RUNNING, job, more + b',"progress":' + progress if progress else more)


def start(worker: str, reserved: Reserved, job: Job, limits: Limits) -> Entry:
    """The job is going to begin, if it may: it must not begin twice, or waits for a permit, or may have expired."""
    unique, seconds = limits.unique or ("", 0)
    key, most = limits.concurrency or ("", 0)
    expires = "" if limits.expires is None else f"{limits.expires:.6f}"
    guard = "\n".join(
        map(str, (int(limits.on_crash == "fail"), unique, job.id, math.ceil(seconds), key, most, expires))
    )
    expired = status_record(Status.FAILED, job, b',"outcome":"expired"')
    waiting = status_record(Status.WAITING, job)
    return Entry("start", worker, reserved.token, job.status_id, expired, waiting, guard.encode())


def ended(worker: str, reserved: Reserved, job: Job, limits: Limits, report: Report, output: bytes) -> Entry:
    """The job is done, has failed, or is to be tried again, as its performer reported; ``output`` is the end of what it
    wrote."""
    attempt = failed_attempts(job) + 1
    if not report.exception:
        done = status_record(Status.COMPLETE, job, performance(worker, attempt, report.duration, report.outcome))
        permit = limits.concurrency[0].encode() if limits.concurrency is not None else b""
        outcome = Outcome(job.command, reserved.queue, "done", report.duration)
        return Entry("done", worker, reserved.token, job.status_id, done, report.result, permit, output, outcome)
    if report.retry is not None:
        entry = another_attempt(
            worker, reserved, job, report.retry, report.exception, report.error, report.duration, output
        )
        if entry is not None:
            return entry
    extra = {"output": _tail(output), "exit_status": report.exit_status}
    record = _failure(worker, reserved, report.exception, report.error, report.backtrace, extra, job)
    return _failed("failed", worker, reserved, job, record, output, report.duration)


def another_attempt(
    worker: str,
    reserved: Reserved,
    job: Job,
    delay: float,
    exception: str,
    error: str,
    duration: float,
    output: bytes,
) -> Entry | None:
    """The job waits ``delay`` seconds and is tried again; None when its payload cannot hold that."""
    attempt = failed_attempts(job) + 1
    failed = {
        "attempt": attempt,
        "failed_at": datetime.now(UTC).strftime("%Y/%m/%d %H:%M:%S UTC"),
        "exception": exception,
        "error": printable(error[:_REMEMBERED]),
        "worker": worker[:_REMEMBERED],
        "duration": round(duration, 6),
    }
    try:
        payload = for_another_attempt(reserved.payload, attempt, [*history(job), failed][-_MOST_REMEMBERED:])
    except InvalidPayload:
        return None
    members = performance(worker, attempt, duration) + b',"due":%.3f' % (time.time() + delay)
    waiting = status_record(Status.SCHEDULED, job, members)
    seconds = b"%.6f" % delay
    outcome = Outcome(job.command, reserved.queue, "retried", duration)
    return Entry("retry", worker, reserved.token, job.status_id, seconds, waiting, payload, output, outcome)


def history(job: Job) -> list[Mapping[str, Any]]:
    """What the payload tells of the job's failed attempts."""
    found = job.extra.get("history")
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def too_large(worker: str, reserved: Reserved, job: Job) -> Entry:
    """The payload is larger than any that is read."""
    try:
        Job.from_payload(reserved.payload, reserved.queue)
        error = ""
    except InvalidPayload as refused:
        error = str(refused)
    record = _failure(worker, reserved, InvalidPayload.__name__, error)
    return _failed("failed", "", reserved, job, record)


def crashed(
    worker: str, reserved: Reserved, job: Job, death: Death, seconds: float, output: bytes, *, last: bool
) -> Entry:
    """Its performer died without a report; the record is for the case that this was its ``last`` crash, which Redis
    has to decide."""
    record = _failure(
        worker, reserved, PoisonJob.__name__, _poison(reserved, f"it {death}"), (), _of(death, output), job
    )
    entry = _failed("crashed", worker, reserved, job, record, output, seconds)
    return replace(entry, outcome=Outcome(job.command, reserved.queue, "failed" if last else "retried", seconds))


def crashed_for_good(worker: str, reserved: Reserved, job: Job, death: Death, seconds: float, output: bytes) -> Entry:
    """Its performer died without a report, and it must not begin again."""
    error = f"The performer {death}; on_crash is 'fail', so the job is not begun again"
    record = _failure(worker, reserved, DirtyExit.__name__, error, (), _of(death, output), job)
    return _failed("failed", worker, reserved, job, record, output, seconds)


def timed_out(
    worker: str, reserved: Reserved, job: Job, timeout: float, retry: float | None, seconds: float, output: bytes
) -> Entry:
    """It was killed because it went on after its timeout; it may be tried again after ``retry`` seconds."""
    error = killed_after(timeout)
    if retry is not None:
        entry = another_attempt(worker, reserved, job, retry, JobTimeout.__name__, error, seconds, output)
        if entry is not None:
            return entry
    record = _failure(worker, reserved, JobTimeout.__name__, error, (), {"output": _tail(output)}, job)
    return _failed("failed", worker, reserved, job, record, output, seconds)


def killed_after(timeout: float) -> str:
    return f"The job took longer than its timeout of {timeout:g} s and did not end when told so; it was killed"


def put_to_an_end(worker: str, reserved: Reserved, job: Job, seconds: float, output: bytes) -> Entry:
    """Somebody asked for its end."""
    record = _failure(worker, reserved, JobEnded.__name__, ENDED, (), {"output": _tail(output)}, job)
    entry = _failed("failed", worker, reserved, job, record, output, seconds)
    members = performance(worker, failed_attempts(job) + 1, seconds, "cancelled")
    return replace(entry, status=status_record(Status.FAILED, job, members))


def interrupted(worker: str, reserved: Reserved, job: Job, output: bytes) -> Entry:
    """It was killed so that the worker could stop in time; it goes back to the head of its queue, uncounted."""
    return _failed("interrupted", worker, reserved, job, _homeless(worker, reserved), output)


def recovered(worker: str, reserved: Reserved, job: Job) -> Entry:
    """Redis has forgotten that it ended, or never handed it out for us: it goes back to the head of its queue."""
    return _failed("interrupted", "", reserved, job, _homeless(worker, reserved))


def forgotten(worker: str, reserved: Reserved, job: Job) -> Entry:
    """Redis has forgotten how it ended, and it must not begin again."""
    error = "Redis has forgotten how the job ended; on_crash is 'fail', so it is not begun again"
    return _failed("failed", "", reserved, job, _failure(worker, reserved, DirtyExit.__name__, error, job=job))


def interrupted_for_good(worker: str, reserved: Reserved, job: Job, seconds: float, output: bytes) -> Entry:
    """It was killed so that the worker could stop in time, and must not begin again."""
    error = "The worker was stopped and its grace period ended; on_crash is 'fail', so the job is not begun again"
    record = _failure(worker, reserved, DirtyExit.__name__, error, (), {"output": _tail(output)}, job)
    return _failed("failed", worker, reserved, job, record, output, seconds)


def given_back(worker: str, reserved: Reserved, job: Job) -> Entry:
    """The job was never begun and goes back to the head of its queue."""
    return _failed("given back", worker, reserved, job, _homeless(worker, reserved))


def beat(worker: str, now: float) -> Entry:
    """The worker lives, at this unix time of the Redis server's clock."""
    return Entry("beat", worker, record=heartbeat(int(now)).encode())


def heartbeat(now: int) -> str:
    """A unix time as Ruby's workers write their heartbeats: anything else makes them fail."""
    return datetime.fromtimestamp(now, UTC).isoformat()


def reply(message_id: str, raw_message: bytes, reply_json: bytes) -> Entry:
    """What this process answers to a message, which is done with."""
    return Entry("reply", "", message_id, record=reply_json, output=raw_message)


def sums(command: str, queue: str, numbers: Sequence[int]) -> Entry:
    """What became of the jobs of this command on this queue."""
    field, packed = pack(command, queue, numbers)
    return Entry("sum", "", status_id=field, record=packed)


# -- of a dead worker process ------------------------------------------------------------------------------------------


def bequests(remains: Remains, max_crashes: int) -> list[Bequest]:
    """What becomes of each job that a dead worker process held, those that it took last first.

    Its death proves nothing against one of them: each becomes a suspect, which is handed out alone. It counts as a
    crash only when it held exactly one that was suspected before.
    """
    suspects = sum(reserved.crashes is not None for reserved, _ in remains.held)
    counts = remains.first and suspects == 1 and len(remains.held) == remains.reservations
    failed = _failed_elsewhere(remains)
    return [
        _bequest(reserved, begun_by, remains, reserved.token in failed, counts, max_crashes)
        for reserved, begun_by in sorted(remains.held, key=lambda pair: order(pair[0]), reverse=True)
    ]


def order(reserved: Reserved) -> tuple[int, ...]:
    """Sorts reservations as they were taken."""
    try:
        return tuple(map(int, reserved.token.split(".")))
    except ValueError:  # somebody else has written it there
        return (0,)


def _bequest(
    reserved: Reserved, begun_by: str, remains: Remains, failed_elsewhere: bool, counts: bool, max_crashes: int
) -> Bequest:
    job = readable(reserved)
    worker = begun_by or (remains.workers[0] if remains.workers else "unknown:0:unknown")
    act, crashes = "requeue", reserved.crashes or 0
    record = _homeless(worker, reserved)
    if failed_elsewhere:
        act = "drop"
    elif begun_by:
        act = "fail"
        error = "The worker process died; on_crash is 'fail', so the job is not begun again"
        record = _failure(worker, reserved, DirtyExit.__name__, error, job=job)
    elif counts and reserved.crashes is not None:
        crashes += 1
        if crashes >= max_crashes:
            act = "fail"
            error = _poison(reserved, "the whole worker process died")
            record = _failure(worker, reserved, PoisonJob.__name__, error, job=job)
    failed, waiting = status_record(Status.FAILED, job), status_record(Status.WAITING, job)
    return Bequest(act, reserved.token, job.status_id, failed, waiting, record, crashes)


def _failed_elsewhere(remains: Remains) -> set[str]:
    """The tokens of jobs that have a failure already: Ruby's workers write one when they take ours for dead.

    Each failure is one job's, although others may have the same payload; and one that was not written for the death of
    a worker is about an earlier time.
    """
    pruned = []
    for failure in map(Failure.from_record, remains.failures):
        if failure.worker in remains.workers and _RUBY_FOUND_IT_DEAD.match(failure.exception):
            pruned.append(json.loads(failure.raw).get("payload"))
    tokens = set()
    for reserved in sorted((reserved for reserved, _ in remains.held), key=order) if pruned else ():
        try:
            payload = json.loads(reserved.payload)
        except (ValueError, RecursionError):
            continue
        if payload in pruned:
            pruned.remove(payload)
            tokens.add(reserved.token)
    return tokens


# -- below -------------------------------------------------------------------------------------------------------------


def readable(reserved: Reserved) -> Job:
    """The job in the payload, or a stand-in when there is none; the performer will say what is wrong with it."""
    try:
        return Job.from_payload(reserved.payload, reserved.queue)
    except InvalidPayload:
        return Job("(unreadable payload)", queue=reserved.queue)


def _failed(
    kind: str, worker: str, reserved: Reserved, job: Job, record: bytes, output: bytes = b"", seconds: float = 0.0
) -> Entry:
    failed = status_record(Status.FAILED, job, performance(worker, failed_attempts(job) + 1, seconds))
    waiting = status_record(Status.WAITING, job)
    outcome = Outcome(job.command, reserved.queue, "failed", seconds) if kind == "failed" else None
    return Entry(kind, worker, reserved.token, job.status_id, failed, waiting, record, output, outcome)


def _homeless(worker: str, reserved: Reserved) -> bytes:
    """For the case that its queue has become something else meanwhile."""
    error = f"The job could not go back to its queue: the key of {reserved.queue!r} in Redis is no list any more"
    return _failure(worker, reserved, DirtyExit.__name__, error)


def _poison(reserved: Reserved, how: str) -> str:
    crashes = (reserved.crashes or 0) + 1
    return f"The performer died at each of {crashes} attempts to perform this job; the last time {how}"


def _of(death: Death, output: bytes) -> dict[str, str]:
    exit_status = "" if death.signal_name else str(death.code)
    return {"output": _tail(output), "exit_status": exit_status, "signal": death.signal_name}


def _tail(output: bytes) -> str:
    return output[-TAIL:].decode("utf-8", "replace")


def _failure(
    worker: str,
    reserved: Reserved,
    exception: str,
    error: str,
    backtrace: Sequence[str] = (),
    extra: Mapping[str, str] | None = None,
    job: Job | None = None,
) -> bytes:
    told: dict[str, Any] = {key: value for key, value in (extra or {}).items() if value}
    if job is not None and failed_attempts(job):
        told |= {"attempts": failed_attempts(job) + 1, "history": history(job)}
    return failure_record(
        payload=reserved.payload,
        queue=reserved.queue,
        worker=worker,
        exception=exception,
        error=error,
        backtrace=backtrace,
        extra=told,
        now=datetime.now(UTC),
    )
