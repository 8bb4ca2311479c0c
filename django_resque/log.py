"""What is logged: one function for each event, and the words for it.

All goes to the logger ``django_resque``: failures at ERROR with the exception, so that Django's ``AdminEmailHandler``
and error trackers work unasked; done at INFO; started at DEBUG. Records about a job carry ``job_id``, ``command``,
``queue`` and, at its end, ``duration`` (seconds) as attributes. Arguments are never logged, except where a payload
would otherwise be lost.
"""

from __future__ import annotations

import logging
import re
import select
import sys
import time
import traceback
from contextlib import suppress
from typing import Any, TextIO

from django.utils.log import AdminEmailHandler, RequireDebugFalse

from .failure import message_of
from .job import UNPRINTABLE, Job

logger = logging.getLogger("django_resque")

_UNPRINTABLE = re.compile(f"[{UNPRINTABLE}]")
_LONGEST_MESSAGE = 2_000


def clean(text: str) -> str:
    """``text`` with control characters and marks that turn the direction of writing escaped, on one line."""
    if _is_clean(text):
        return text
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _is_clean(text: str) -> bool:
    return text.isascii() and text.isprintable()


def clean_line(text: str) -> str:
    """`clean`, with tabs left as they are."""
    return "\t".join(map(clean, text.split("\t")))


def configure_default(verbosity: int, stream: TextIO | None = None) -> None:
    """Log readable lines to stderr, unless the project's ``LOGGING`` says where our logger's records go.

    ``verbosity`` is the one of Django's commands: 0 shows warnings, 1 what was done, 2 everything.
    """
    if logger.hasHandlers():
        return
    handler = _DefaultHandler(stream or sys.stderr)
    handler.setFormatter(_CleanFormatter("%(asctime)s %(levelname)-7s %(message)s"))
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


def has_room(stream: TextIO | int) -> bool:
    """Whether something can be written without waiting for somebody to read."""
    try:
        return bool(select.select([], [stream], [], 0)[1])
    except (OSError, ValueError):
        return True  # no descriptor, or a closed one: it will not wait


class _DefaultHandler(logging.StreamHandler[TextIO]):
    """The handler of a project that configures none. Where nobody reads stderr, it leaves records out."""

    def emit(self, record: logging.LogRecord) -> None:
        if has_room(self.stream):
            super().emit(record)


class _CleanFormatter(logging.Formatter):
    """Escapes what a terminal would obey, in tracebacks too."""

    _second, _time = 0, ""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if _is_clean(text) else "\n".join(map(clean_line, text.split("\n")))

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802  its base's name
        second = int(record.created)
        if second != self._second:
            self._second, self._time = second, time.strftime(self.default_time_format, self.converter(second))
        return f"{self._time},{record.msecs:03.0f}"


def _record(level: int, message: str, *args: object, extra: Any = None, exc_info: Any = None) -> None:
    """Log, whatever a handler of the project's own does: no job's end and no worker's life depends on it."""
    try:
        if exc_info is not None:
            logger.log(level, message, *args, extra=extra, exc_info=exc_info)
        elif logger.isEnabledFor(level):  # the same, without a search for the caller, which is this line
            logger.handle(logger.makeRecord(logger.name, level, __file__, 0, message, args, None, "_record", extra))
    except Exception:  # a handler may raise anything
        with suppress(Exception):  # and so may the stream that is left to say so
            traceback.print_exc()


# -- jobs --------------------------------------------------------------------------------------------------------------


def job_started(job: Job) -> None:
    if logger.isEnabledFor(logging.DEBUG):
        _record(logging.DEBUG, "started %s", _Named(job), extra=_about(job))


def job_done(job: Job, duration: float) -> None:
    if logger.isEnabledFor(logging.INFO):
        _record(logging.INFO, "done %s in %.3f s", _Named(job), duration, extra=_about(job, duration))


def job_failed(job: Job, error: BaseException, duration: float) -> None:
    _record(
        logging.ERROR,
        "failed %s after %.3f s: %s",
        _Named(job),
        duration,
        clean(f"{type(error).__name__}: {message_of(error)}"[:_LONGEST_MESSAGE]),
        exc_info=error,
        extra=_about(job, duration),
    )


def job_crashed(job: Job, how: str, crashes: int) -> None:
    _record(logging.WARNING, "crashed %s: %s (crash %d); requeued", _Named(job), how, crashes, extra=_about(job))


def job_poisoned(job: Job, how: str, crashes: int) -> None:
    _record(logging.ERROR, "failed %s: %s at each of %d attempts", _Named(job), how, crashes, extra=_about(job))


def descendants_ended(job: Job, count: int) -> None:
    _record(
        logging.WARNING, "%s has left %d process(es) running, which were killed", _Named(job), count, extra=_about(job)
    )


def job_given_back(job: Job) -> None:
    _record(logging.INFO, "requeued %s: the worker stops", _Named(job), extra=_about(job))


def job_crashed_for_good(job: Job, how: str) -> None:
    _record(logging.ERROR, "failed %s: its performer %s, and on_crash is 'fail'", _Named(job), how, extra=_about(job))


def job_ended(job: Job, reason: str) -> None:
    _record(logging.ERROR, "failed %s: ended by %s", _Named(job), reason, extra=_about(job))


def job_killed_after_timeout(job: Job, timeout: float) -> None:
    _record(logging.ERROR, "failed %s: killed after its timeout of %g s", _Named(job), timeout, extra=_about(job))


def job_refused(job: Job, why: str) -> None:
    _record(logging.ERROR, "failed %s: %s", _Named(job), why, extra=_about(job))


def job_recovered(job: Job, act: str) -> None:
    _record(logging.WARNING, "%s %s: Redis has forgotten how it ended", act, _Named(job), extra=_about(job))


def job_inherited(job: Job, worker: str, act: str) -> None:
    words = {"requeue": "requeued", "fail": "failed", "drop": "dropped (its failure is recorded)"}
    level = logging.ERROR if act == "fail" else logging.WARNING
    _record(level, "%s %s: worker %s is dead", words[act], _Named(job), clean(worker), extra=_about(job))


def push_failed(job: Job, payload: bytes, error: BaseException) -> None:
    """The payload is logged because this record is the only place left where it stands."""
    _record(
        logging.ERROR,
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
    _record(logging.INFO, "worker %s started: %d performer(s) for %s", name, performers, queues)


def worker_stopping(reason: str, running: int) -> None:
    _record(logging.INFO, "%s: stopping, %d job(s) still running", reason, running)


def worker_stopped(name: str) -> None:
    _record(logging.INFO, "worker %s stopped", name)


def worker_replaced(old: str, new: str) -> None:
    _record(logging.WARNING, "worker %s was declared dead by another; going on as %s", old, new)


def worker_is_root() -> None:
    _record(logging.WARNING, "resque_worker runs as root: every job may do anything on this machine")


def reports_untold(name: str, count: int) -> None:
    _record(
        logging.ERROR,
        "Redis could not be told what became of %d job(s) of worker %s; they stay in its reservations",
        count,
        name,
    )


def reservations_left(name: str, count: int) -> None:
    _record(logging.ERROR, "worker %s could not give back %d job(s); they stay in its reservations", name, count)


def performer_not_started(error: OSError) -> None:
    _record(logging.ERROR, "a performer could not be started, or given its job: %s; trying again", clean(str(error)))


def performer_is_spoilt(error: OSError) -> None:
    _record(
        logging.WARNING, "a performer is replaced: what its last job left cannot be put right: %s", clean(str(error))
    )


def performer_died(how: str) -> None:
    _record(logging.WARNING, "a performer died between two jobs: %s", how)


def grace_ended(job: Job) -> None:
    _record(logging.WARNING, "the grace period is over: ending %s", _Named(job), extra=_about(job))


def foreign_worker_pruned(worker: str) -> None:
    _record(logging.WARNING, "worker %s has not been heard of for too long and is off the boards", clean(worker))


def worker_paused(reason: str) -> None:
    _record(logging.INFO, "%s: paused; CONT resumes", reason)


def worker_resumed(reason: str) -> None:
    _record(logging.INFO, "%s: resumed", reason)


def worker_declared_dead(name: str, proved: bool, jobs: int) -> None:
    _record(
        logging.WARNING,
        "worker %s is dead (%s); it held %d job(s)",
        clean(name),
        "its process has ended" if proved else "its lease has ended",
        jobs,
    )


def signal_ignored(name: str) -> None:
    _record(logging.WARNING, "ignored signal %s", name)


def command_not_loaded(name: str, app: str, error: BaseException) -> None:
    _record(logging.WARNING, "the command %s of %s cannot be a job: %s", name, app, clean(repr(error)), exc_info=error)


def not_in_effect_yet(name: str) -> None:
    _record(logging.WARNING, "the command %s declares max_attempts, which takes effect in a later release", name)


def threads_at_fork(names: list[str]) -> None:
    _record(
        logging.WARNING,
        "the project has started threads before the performers are forked (%s): they do not exist there",
        clean(", ".join(names)),
    )


# -- Redis -------------------------------------------------------------------------------------------------------------


def redis_lost(error: BaseException) -> None:
    _record(logging.ERROR, "Redis is not available: %s; trying again until it is", clean(str(error)))


def redis_refuses(error: BaseException) -> None:
    _record(
        logging.ERROR, "Redis refuses what the worker asks for: %s; trying again until it does not", clean(str(error))
    )


def redis_back(seconds: float) -> None:
    _record(logging.WARNING, "Redis is available again after %.1f s", seconds)


def bell_not_heard(error: BaseException) -> None:
    _record(logging.WARNING, "the bell cannot be heard: %s; jobs are found by looking for them", clean(str(error)))


def redis_trouble(message: str) -> None:
    _record(logging.ERROR, "Redis: %s", clean(message))


def all_paused() -> None:
    _record(logging.WARNING, "all workers are paused (pause-all-workers)")


def reports_refused(tokens: list[str]) -> None:
    _record(logging.WARNING, "%d report(s) refused: the jobs were not this worker's any more", len(tokens))


def failures_dropped(count: int) -> None:
    _record(logging.ERROR, "the failed list is full: %d of its oldest records were dropped", count)
