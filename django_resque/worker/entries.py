"""What a worker process tells Redis about its jobs, as the entries of a turn."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ..errors import PoisonJob
from ..failure import failure_record, payload_object
from ..job import Job, dump_json
from ..status import Status, status_record
from ..store import Entry, Reserved
from .report import Report


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


def running(worker: str, reserved: Reserved, job: Job) -> Entry:
    """The job has been running for a while: the boards show it."""
    current = dump_json({"queue": reserved.queue, "run_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")})
    by = dump_json({"worker": worker.rpartition(":")[0]})
    record = b'%b,"payload":%b,%b' % (current[:-1], payload_object(reserved.payload), by[1:])
    return Entry("running", worker, reserved.token, job.status_id, status_record(Status.RUNNING, job), record=record)


def ended(worker: str, reserved: Reserved, job: Job, report: Report, output: str) -> Entry:
    """The job is done, or failed, as its performer reported; ``output`` is the end of what it wrote."""
    if not report.exception:
        return Entry("done", worker, reserved.token, job.status_id, status_record(Status.COMPLETE, job))
    extra = {"output": output, "exit_status": report.exit_status}
    record = _failure(worker, reserved, report.exception, report.error, report.backtrace, extra)
    return Entry("failed", worker, reserved.token, job.status_id, status_record(Status.FAILED, job), record=record)


def crashed(worker: str, reserved: Reserved, job: Job, death: Death, output: str) -> Entry:
    """Its performer died without a report; the record is for the case that this was its last crash."""
    error = (
        f"The performer died at each of {reserved.crashes + 1} attempts to perform this job; the last time it {death}"
    )
    exit_status = "" if death.signal_name else str(death.code)
    extra = {"output": output, "exit_status": exit_status, "signal": death.signal_name}
    return Entry(
        "crashed",
        worker,
        reserved.token,
        job.status_id,
        status_record(Status.FAILED, job),
        requeued=status_record(Status.WAITING, job),
        record=_failure(worker, reserved, PoisonJob.__name__, error, (), extra),
    )


def given_back(worker: str, reserved: Reserved, job: Job) -> Entry:
    """The job goes back to the head of its queue, uncounted."""
    return Entry("given back", worker, reserved.token, job.status_id, requeued=status_record(Status.WAITING, job))


def beat(worker: str, now: int) -> Entry:
    """The worker lives, at this unix time of the Redis server's clock."""
    return Entry("beat", worker, record=heartbeat(now).encode())


def heartbeat(now: int) -> str:
    """A unix time as Ruby's workers write their heartbeats: anything else makes them fail."""
    return datetime.fromtimestamp(now, UTC).isoformat()


def _failure(
    worker: str, reserved: Reserved, exception: str, error: str, backtrace: Sequence[str], extra: Mapping[str, str]
) -> bytes:
    return failure_record(
        payload=reserved.payload,
        queue=reserved.queue,
        worker=worker,
        exception=exception,
        error=error,
        backtrace=backtrace,
        extra={key: value for key, value in extra.items() if value},
        now=datetime.now(UTC),
    )
