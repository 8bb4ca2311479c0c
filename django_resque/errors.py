"""Every error that django_resque raises, in one tree."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .job import Job


class ResqueError(Exception):
    """Something that django_resque was asked to do cannot be done; the message says what to change."""


class ConfigurationError(ResqueError):
    """The ``RESQUE`` setting, or what it names, cannot be used as it is."""


class InvalidJob(ResqueError):
    """The job was refused before anything was sent."""


class UnknownCommand(InvalidJob):
    """No installed app has a management command of this name, or nothing could be called so."""


class RefusedCommand(InvalidJob):
    """The command exists, but this project has not allowed it to be a job."""


class InvalidArguments(InvalidJob):
    """The arguments do not fit the command's own parser."""


class InvalidQueue(InvalidJob):
    """This cannot be the name of a queue."""


class InvalidPayload(InvalidJob):
    """The job cannot be written as a payload, or these bytes are not one."""


class StoreError(ResqueError):
    """Redis did not do what it was asked for."""


class StoreUnavailable(StoreError):
    """Redis cannot be reached, or did not answer in time.

    ``sent`` is True when the request had gone out, so that it may have been carried out.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class NoSuchWorker(ResqueError):
    """No worker is registered that was meant."""


class NotStarted(ResqueError):
    """Workers cannot be started in the background."""


class ScheduleError(ResqueError):
    """The schedule cannot be changed as it was asked for."""


class EnqueueError(ResqueError):
    """A job was not pushed.

    ``job`` is the first job concerned and ``jobs`` are all of them. ``uncertain`` is True when the push may have been
    carried out although no answer came back.
    """

    def __init__(self, message: str, jobs: tuple[Job, ...], *, uncertain: bool = False) -> None:
        super().__init__(message)
        self.jobs = jobs
        self.uncertain = uncertain

    @property
    def job(self) -> Job:
        return self.jobs[0]


class QueueFull(EnqueueError):
    """Redis has reached its ``maxmemory`` and takes no more jobs."""


class JobFailed(ResqueError):
    """A job ended without having done its work."""


class CommandExited(JobFailed):
    """The command called ``sys.exit()``; ``status`` is what it gave, a number other than 0 or a message."""

    def __init__(self, status: object) -> None:
        super().__init__(status if isinstance(status, str) else f"The command exited with status {status}")
        self.status = status


class PoisonJob(JobFailed):
    """The process performing the job died again and again, so the job is not tried any more."""


class JobTimeout(JobFailed):
    """The job took longer than its ``timeout``. Raised inside the command; ten seconds later its process is killed."""


class JobEnded(JobFailed):
    """Somebody has ended the running job: a person, or USR1 to its worker."""


class DirtyExit(JobFailed):
    """The process performing a job with ``on_crash="fail"`` died before it could report."""


class Retry(JobFailed):
    """Raised by a command: this attempt ends here, and the job is tried again after ``delay`` seconds.

    ``delay`` None: after what its ``backoff`` says. It is tried up to ``max_attempts`` times when that is above 1, and
    as often as this is raised otherwise; `current_job` tells which attempt it is.
    """

    def __init__(self, delay: float | timedelta | None = None, message: str = "") -> None:
        super().__init__(message or "The command asked to be tried again")
        seconds = delay.total_seconds() if isinstance(delay, timedelta) else delay
        if seconds is not None and not 0 <= seconds <= 31_536_000:
            raise ValueError(f"a delay must be a number of seconds from 0 to a year, not {delay!r}")
        self.delay = seconds


class DontCreate(ResqueError):
    """Raised by a receiver of ``before_enqueue`` or ``before_delayed_enqueue``: the job is not to be there at all."""


class DontPerform(ResqueError):
    """Raised by a receiver of ``before_perform``: the job ends here, done, without having been performed."""
