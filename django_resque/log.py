"""What is logged: one function for each event, and the words for it.

All goes to the logger ``django_resque``: failures at ERROR with the exception, so that Django's ``AdminEmailHandler``
and error trackers work unasked; done at INFO; started at DEBUG. Records about a job carry ``job_id``, ``command``,
``queue`` and, at its end, ``duration`` (seconds) as attributes. Arguments are never logged, except where a payload
would otherwise be lost.
"""

from __future__ import annotations

import logging
import time
import traceback
from contextlib import suppress
from typing import Any

from .errors import Retry
from .failure import message_of
from .job import Job
from .log_format import clean as clean
from .log_format import name_worker as name_worker
from .log_target import file_in_use
from .log_target import logger as logger
from .log_target import mail_failures_to_admins as mail_failures_to_admins
from .log_target import path_in_use as path_in_use

_LONGEST_MESSAGE = 2_000


def reopen() -> bool:
    """Open the file that we log to anew, as after it was renamed. False when we log to none."""
    file = file_in_use()
    if file is None:
        return False
    file.reopen()
    _record(logging.INFO, "the log was opened anew")
    return True


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


def attempt_failed(job: Job, error: BaseException, attempt: int, delay: float, duration: float) -> None:
    _record(
        logging.WARNING,
        "attempt %d of %s failed, the next is in %.0f s: %s: %s",
        attempt,
        _Named(job),
        delay,
        type(error).__name__,
        clean(message_of(error)[:_LONGEST_MESSAGE]),
        exc_info=None if isinstance(error, Retry) else error,  # what was asked for needs no traceback
        extra=_about(job, duration),
    )


def job_lost(job: Job, error: BaseException) -> None:
    """For a job whose end nobody who performed it could tell."""
    _record(logging.ERROR, "failed %s: %s", _Named(job), clean(message_of(error)), extra=_about(job))


def signal_receivers_failed(results: list[tuple[Any, Any]]) -> None:
    """What receivers of a worker's signal raised."""
    for receiver, error in results:
        if isinstance(error, BaseException):
            _record(
                logging.ERROR,
                "a receiver failed: %s: %s",
                getattr(receiver, "__qualname__", receiver),
                clean(message_of(error)),
                exc_info=error,
            )


def job_kept(job: Job) -> None:
    _record(logging.INFO, "not begun %s: it has expired, or waits for others to end", _Named(job), extra=_about(job))


def permits_mended(freed: int, unparked: int) -> None:
    _record(
        logging.WARNING,
        "%d permits to run were held by nobody, %d jobs waited for one that was free: mended",
        freed,
        unparked,
    )


def job_crashed(job: Job, how: str, crashes: int) -> None:
    _record(logging.WARNING, "crashed %s: %s (crash %d); requeued", _Named(job), how, crashes, extra=_about(job))


def job_poisoned(job: Job, how: str, crashes: int) -> None:
    _record(logging.WARNING, "given up %s: %s at each of %d attempts", _Named(job), how, crashes, extra=_about(job))


def descendants_ended(job: Job, count: int) -> None:
    _record(
        logging.WARNING, "%s has left %d process(es) running, which were killed", _Named(job), count, extra=_about(job)
    )


def job_given_back(job: Job) -> None:
    _record(logging.INFO, "requeued %s: the worker stops", _Named(job), extra=_about(job))


def job_crashed_for_good(job: Job, how: str) -> None:
    _record(logging.WARNING, "given up %s: its performer %s, on_crash is 'fail'", _Named(job), how, extra=_about(job))


def job_ended(job: Job, reason: str) -> None:
    _record(logging.WARNING, "ending %s: %s", _Named(job), reason, extra=_about(job))


def job_killed_after_timeout(job: Job, timeout: float) -> None:
    _record(logging.WARNING, "killed %s after its timeout of %g s", _Named(job), timeout, extra=_about(job))


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


def receivers_failed(results: list[tuple[Any, Any]], job: Job) -> None:
    """What receivers of a signal raised that changes nothing any more."""
    for receiver, error in results:
        if isinstance(error, BaseException):
            _record(
                logging.ERROR,
                "a receiver failed for %s: %s: %s",
                _Named(job),
                getattr(receiver, "__qualname__", receiver),
                clean(message_of(error)),
                exc_info=error,
                extra=_about(job),
            )


def result_not_kept(job: Job, error: BaseException) -> None:
    _record(
        logging.WARNING, "the result of %s is not kept: %s", _Named(job), clean(message_of(error)), extra=_about(job)
    )


def backoff_failed(job: Job, error: BaseException) -> None:
    _record(
        logging.ERROR,
        "the backoff of %s raised %s, so the job waits as if there were none",
        _Named(job),
        clean(message_of(error)),
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
    if performers:
        _record(logging.INFO, "worker %s started: %d performer(s) for %s", name, performers, queues)
    else:
        _record(logging.INFO, "scheduler %s started", name)


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


def control_obeyed(verb: str, by: str) -> None:
    _record(logging.INFO, "told through Redis by %s: %s", clean(by[:200]) or "somebody", verb)


def control_refused(verb: str, by: str, why: str) -> None:
    _record(logging.WARNING, "told through Redis by %s, not done: %s: %s", clean(by[:200]) or "somebody", verb, why)


def control_unreadable(raw: bytes) -> None:
    _record(logging.WARNING, "a control message could not be read: %s", clean(repr(raw[:200])))


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


# -- delayed jobs ------------------------------------------------------------------------------------------------------


def delayed_left_to(holder: str) -> None:
    _record(
        logging.WARNING,
        "another program's scheduler, %s, has the lock: delayed jobs are left to it; retries and the schedule are not",
        clean(holder),
    )


def delayed_taken_over() -> None:
    _record(logging.WARNING, "no other program's scheduler has the lock any more: delayed jobs are promoted here again")


def delayed_job_dropped(job: Job) -> None:
    _record(
        logging.INFO,
        "dropped %s: a receiver of before_delayed_enqueue would not have it",
        _Named(job),
        extra=_about(job),
    )


def delayed_item_failed(second: int, error: BaseException) -> None:
    _record(
        logging.ERROR,
        "failed a delayed item that was due at %d: %s",
        second,
        clean(f"{type(error).__name__}: {message_of(error)}"[:_LONGEST_MESSAGE]),
        exc_info=error,
    )


# -- the schedule ------------------------------------------------------------------------------------------------------


def slot_enqueued(entry: str, slot: int, job: Job) -> None:
    if logger.isEnabledFor(logging.DEBUG):
        _record(logging.DEBUG, "enqueued %s for %s of %r", _Named(job), _utc(slot), clean(entry), extra=_about(job))


def slots_missed(entry: str, first: int, last: int, jobs: int) -> None:
    _record(
        logging.WARNING,
        "the schedule entry %r has missed what was due from %s to %s; %s",
        clean(entry),
        _utc(first),
        _utc(last),
        f"{jobs:,} job(s) enqueued for it" if jobs else "it is left out",
    )


def slots_left_out(entry: str, first: int, last: int) -> None:
    _record(
        logging.WARNING,
        "the schedule entry %r has missed too much: what was due from %s until before %s is left out",
        clean(entry),
        _utc(first),
        _utc(last),
    )


def entry_unusable(error: BaseException) -> None:
    _record(logging.ERROR, "%s; nothing is enqueued for it", clean(str(error)))


def entry_hidden(entry: str) -> None:
    _record(logging.WARNING, "the settings have an entry %r too: the one added at run time is left out", clean(entry))


def too_many_entries(count: int, most: int) -> None:
    _record(
        logging.ERROR,
        "the schedule has %d entries that were added at run time, more than %d: none is read",
        count,
        most,
    )


def entry_in_trouble(entry: str, message: str) -> None:
    _record(logging.ERROR, "nothing can be enqueued for the schedule entry %r: %s", clean(entry), clean(message))


def _utc(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(second))
