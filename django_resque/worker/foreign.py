"""The dead workers of other programs: what becomes of the job that one of them had begun."""

from __future__ import annotations

from datetime import datetime

from ..errors import InvalidPayload
from ..failure import Failure, failure_record
from ..job import json_members
from ..store import StaleWorker

EXCEPTION = "Resque::PruneDeadWorkerDirtyExit"
"""What Ruby's workers write when they find such a worker: whoever searches for it finds ours as well."""


def failure_of(worker: StaleWorker, now: datetime) -> bytes | None:
    """The failure record of the job that ``worker`` had when it died; None when it had none.

    The payload goes into the record to the byte. What is no job at all is in the record as well.
    """
    if not worker.current or worker.current.strip() == b"{}":
        return None
    try:
        members = dict(json_members(worker.current))
    except InvalidPayload:
        members = {}
    # A current job has the members of a failure record that are asked for here.
    about = Failure.from_record(worker.current)
    doing = about.job.command if about.job else "something that is no job"
    last = str(worker.heartbeat, "utf-8", "replace")
    return failure_record(
        payload=members.get("payload", worker.current),
        queue=about.queue,
        worker=worker.id,
        exception=EXCEPTION,
        error=f"Worker {worker.id} was performing {doing} and has given no sign of life since {last}",
        now=now,
    )
