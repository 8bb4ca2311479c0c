"""What is logged: one function for each event, and the words for it.

All goes to the logger ``django_resque``: failures at ERROR with the exception, so that Django's ``AdminEmailHandler``
and error trackers work unasked; done at INFO; started at DEBUG. Records about a job carry ``job_id``, ``command``,
``queue`` and, at its end, ``duration`` (seconds) as attributes. Arguments are never logged, except where a payload
would otherwise be lost.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TextIO

from django.utils.log import AdminEmailHandler, RequireDebugFalse

from .failure import message_of
from .job import Job

logger = logging.getLogger("django_resque")

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(text: str) -> str:
    """``text`` with control characters and marks that turn the direction of writing escaped, on one line."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def configure_default(verbosity: int, stream: TextIO | None = None) -> None:
    """Log readable lines to stderr, unless the project's ``LOGGING`` says where our logger's records go.

    ``verbosity`` is the one of Django's commands: 0 shows warnings, 1 what was done, 2 everything.
    """
    if logger.hasHandlers():
        return
    handler = _DefaultHandler(stream or sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel({0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG))


def mail_failures_to_admins() -> None:
    """Mail ERROR records to ``ADMINS`` as Django does with errors of requests: unless the project's ``LOGGING`` says
    where our records go, and never with ``DEBUG`` on.

    For performers: in the dispatcher a slow mail server would keep all jobs waiting.
    """
    if any(isinstance(handler, _DefaultHandler) for handler in logger.handlers):
        mailer = AdminEmailHandler()
        mailer.setLevel(logging.ERROR)
        mailer.addFilter(RequireDebugFalse())
        logger.addHandler(mailer)


class _DefaultHandler(logging.StreamHandler[TextIO]):
    """The handler of a project that configures none."""


# -- jobs --------------------------------------------------------------------------------------------------------------


def job_started(job: Job) -> None:
    logger.debug("started %s", _Named(job), extra=_about(job))


def job_done(job: Job, duration: float) -> None:
    logger.info("done %s in %.3f s", _Named(job), duration, extra=_about(job, duration))


def job_failed(job: Job, error: BaseException, duration: float) -> None:
    logger.error(
        "failed %s after %.3f s: %s",
        _Named(job),
        duration,
        clean(f"{type(error).__name__}: {message_of(error)}"),
        exc_info=error,
        extra=_about(job, duration),
    )


def job_crashed(job: Job, how: str, crashes: int) -> None:
    logger.warning("crashed %s: %s (crash %d); requeued", _Named(job), how, crashes, extra=_about(job))


def job_poisoned(job: Job, how: str, crashes: int) -> None:
    logger.error("failed %s: %s at each of %d attempts", _Named(job), how, crashes, extra=_about(job))


def job_given_back(job: Job) -> None:
    logger.info("requeued %s: the worker stops", _Named(job), extra=_about(job))


def push_failed(job: Job, payload: bytes, error: BaseException) -> None:
    """The payload is logged because this record is the only place left where it stands."""
    logger.error(
        "not enqueued %s after the commit: %s; its payload is %s",
        _Named(job),
        clean(str(error)),
        clean(payload.decode()),
        exc_info=error,
        extra=_about(job),
    )


class _Named:
    """A job as people see it in the log; put together only when the record is wanted."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def __str__(self) -> str:
        return f"{clean(self._job.command[:200])} {self._job.id} [{clean(self._job.queue)}]"


def _about(job: Job, duration: float | None = None) -> dict[str, object]:
    about: dict[str, object] = {"job_id": job.id, "command": clean(job.command), "queue": job.queue}
    if duration is not None:
        about["duration"] = duration
    return about


# -- workers -----------------------------------------------------------------------------------------------------------


def worker_started(name: str, queues: str, performers: int) -> None:
    logger.info("worker %s started: %d performer(s) for %s", name, performers, queues)


def worker_stopping(reason: str, running: int) -> None:
    logger.info("%s: stopping, %d job(s) still running", reason, running)


def worker_stopped(name: str) -> None:
    logger.info("worker %s stopped", name)


def worker_replaced(old: str, new: str) -> None:
    logger.warning("worker %s was declared dead by another; going on as %s", old, new)


def worker_is_root() -> None:
    logger.warning("resque_worker runs as root: every job may do anything on this machine")


def reservations_left(name: str, count: int) -> None:
    logger.error("worker %s could not give back %d job(s); they stay in its reservations", name, count)


def performer_died(how: str) -> None:
    logger.warning("a performer died between two jobs: %s", how)


def grace_ended(running: int) -> None:
    logger.warning("the grace period is over: ending %d running job(s) and requeueing them", running)


def signal_ignored(name: str) -> None:
    logger.warning("ignored signal %s", name)


def command_not_loaded(name: str, app: str, error: BaseException) -> None:
    logger.warning("the command %s of %s cannot be a job: %s", name, app, clean(repr(error)), exc_info=error)


def threads_at_fork(names: list[str]) -> None:
    logger.warning(
        "the project has started threads before the performers are forked (%s): they do not exist there",
        clean(", ".join(names)),
    )


# -- Redis -------------------------------------------------------------------------------------------------------------


def redis_lost(error: BaseException) -> None:
    logger.error("Redis is not available: %s; trying again until it is", clean(str(error)))


def redis_back(seconds: float) -> None:
    logger.warning("Redis is available again after %.1f s", seconds)


def bell_not_heard(error: BaseException, interval: float) -> None:
    logger.warning(
        "no subscription to the bell: %s; idle performers look for jobs every %g s", clean(str(error)), interval
    )


def redis_trouble(message: str) -> None:
    logger.error("Redis: %s", clean(message))


def all_paused() -> None:
    logger.warning("all workers are paused (pause-all-workers)")


def reports_refused(tokens: list[str]) -> None:
    logger.warning("%d report(s) refused: the jobs were not this worker's any more", len(tokens))


def failures_dropped(count: int) -> None:
    logger.error("the failed list is full: %d of its oldest records were dropped", count)
