"""The status of a job, as php-resque keeps it under ``job:<id>:status``."""

from __future__ import annotations

import enum
import time

from .job import Job


class Status(enum.IntEnum):
    """The numbers php-resque uses."""

    WAITING = 1
    RUNNING = 2
    FAILED = 3
    COMPLETE = 4


def status_record(status: Status, job: Job) -> bytes:
    """The JSON kept for ``job``: its status, when that was set and when the job was enqueued (unix seconds)."""
    return b'{"status":%d,"updated":%d,"started":%d}' % (status, time.time(), job.enqueued_at)
