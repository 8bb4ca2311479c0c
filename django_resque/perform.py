"""Performing one job in this process: the command runs as it would by hand, and leaves nothing behind."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what `signal` calls; making enumerations of all that takes longer
import contextvars
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from django.core.cache import close_caches
from django.db import connections

from . import log
from .command import Bound, JobCommand, bind
from .errors import CommandExited, InvalidPayload, JobTimeout
from .failure import printable
from .job import Job, check_shape, dump_json
from .limits import failed_attempts
from .signals import after_perform, before_perform
from .tracking import TrackedJob

MAX_RESULT = 64 * 1024
"""Largest result that is kept, in bytes of JSON."""
PROGRESS_EVERY = 0.5
"""Seconds between two tellings of a job's progress."""
LONGEST_MESSAGE = 200

_LOOK_AGAIN = 0.1
"""Seconds after which connections are looked at before a job, and not only after the one before."""
_LONGEST = 1e8
"""Seconds that a timer can be set to on every system; three years."""


class _Told:
    """What a command has said of itself."""

    __slots__ = ("next_progress", "result", "said_all", "tell")

    def __init__(self, tell: Callable[[bytes], None] | None) -> None:
        self.tell = tell
        self.result = b""
        self.next_progress = 0.0
        self.said_all = False


@dataclass(frozen=True, slots=True)
class CurrentJob:
    """The job that is being performed.

    ``attempt`` counts from 1. ``redelivered``: it may have been begun before, by a process that died or had to stop.
    """

    id: str
    command: str
    queue: str
    attempt: int
    redelivered: bool = False
    _told: _Told = field(default_factory=lambda: _Told(None), repr=False, compare=False)

    def set_result(self, data: Any) -> None:
        """Keep ``data`` with the job's status, where `Job.result` finds it when the job is complete.

        It is what JSON can hold, up to 64 KB of it; raises `InvalidPayload` otherwise. The last one counts, and wins
        over what ``handle()`` returns.
        """
        self._told.result = _result(data)

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Show how far the job has come, on the boards and in `Job.progress`: ``done`` of ``total``, with a few words.

        As cheap as a call in a loop has to be: twice a second at most is it really told.
        """
        told = self._told
        now = time.monotonic()
        if told.tell is None or (now < told.next_progress and (told.said_all or done != total)):
            return
        told.next_progress, told.said_all = now + PROGRESS_EVERY, done == total
        told.tell(dump_json([done, total, printable(str(message)[:LONGEST_MESSAGE])]))


_current: contextvars.ContextVar[CurrentJob | None] = contextvars.ContextVar("django_resque_current_job", default=None)


def current_job() -> CurrentJob | None:
    """The job that the calling code is part of; None when the command is run by hand."""
    return _current.get()


def perform(
    job: Job,
    *,
    redelivered: bool = False,
    alarm: Alarm | None = None,
    tell: Callable[[bytes], None] | None = None,
) -> bytes:
    """Run the command of ``job`` to its end, or until ``alarm`` rings; gives its result, JSON, empty for none.

    ``tell`` is called with each progress, JSON. Raises what the command raises, `CommandExited` when it left with an
    exit status other than 0, `JobTimeout` when the alarm rang, `DontPerform` when a receiver did not want it, and an
    `InvalidJob` when the command does not exist, may not be a job, or does not take these arguments.
    """
    return contextvars.copy_context().run(_perform, job, redelivered, alarm, _Told(tell))


def _perform(job: Job, redelivered: bool, alarm: Alarm | None, told: _Told) -> bytes:
    _current.set(CurrentJob(job.id, job.command, job.queue, failed_attempts(job) + 1, redelivered, told))
    # Connections to databases and caches are treated as Django does around a request.
    if time.monotonic() - _looked_at > _LOOK_AGAIN:
        _look_at_connections()
    try:
        bound = bind(job.command, job.args, job.options)
        if alarm is None:
            _execute_between_receivers(job, bound, told)
        else:
            alarm.watch(lambda: _execute_between_receivers(job, bound, told))
    finally:
        _look_at_connections()
        close_caches()
    return told.result


def _execute_between_receivers(job: Job, bound: Bound, told: _Told) -> None:
    if before_perform.receivers:
        before_perform.send(TrackedJob, job=TrackedJob.of(job))
    returned = _execute(bound)
    if returned is not None and not told.result:
        try:
            told.result = _result(returned)
        except InvalidPayload as error:
            log.result_not_kept(job, error)
    if after_perform.receivers:
        after_perform.send(TrackedJob, job=TrackedJob.of(job), result=json.loads(told.result or b"null"))


def _result(data: Any) -> bytes:
    check_shape(data)
    raw = dump_json(data)
    if len(raw) > MAX_RESULT:
        raise InvalidPayload(
            f"The result has {len(raw):,} bytes of JSON, the limit is {MAX_RESULT:,}: store the data and give its key"
        )
    return raw


def _execute(bound: Bound) -> Any:
    """What the command's ``handle()`` returned."""
    pid = os.getpid()
    command = bound.command
    try:
        returned: Any = command.execute(*bound.args, **bound.options)
    except SystemExit as left:
        if left.code not in (None, 0):
            raise CommandExited(left.code) from left
        return None
    finally:
        if os.getpid() != pid:
            os._exit(1)  # the child of a command that forks and comes back twice shares connections, and our sockets
    return command.returned if isinstance(command, JobCommand) else returned


_looked_at = float("-inf")


def _look_at_connections() -> None:
    """Close connections to databases that are broken or old, and forget their queries."""
    global _looked_at
    for connection in connections.all(initialized_only=True):
        connection.queries_log.clear()
        connection.close_if_unusable_or_obsolete()
    _looked_at = time.monotonic()


def drop_connections() -> None:
    """Close all connections to databases and caches, whatever a command that was cut off has left them in."""
    for connection in connections.all(initialized_only=True):
        for close in ("close", "close_pool"):
            with suppress(Exception):  # a driver may raise anything; what it cannot close ends with the process
                getattr(connection, close, _nothing)()
    with suppress(Exception):
        close_caches()


def _nothing() -> None:
    pass


class Alarm:
    """Raises `JobTimeout` inside a call that takes longer than ``seconds``. For the main thread.

    It is the timer of SIGALRM: a command that sets that itself may silence it. ``rang``: the time was over, whatever
    became of the exception.
    """

    def __init__(self, seconds: float) -> None:
        self.rang = False
        self._seconds = min(seconds, _LONGEST)
        self._error = JobTimeout(f"The job took longer than its timeout of {seconds:g} s")
        self._armed = False

    def watch(self, call: Callable[[], None]) -> None:
        """Make the call. Raises what it raises, and `JobTimeout` when it was late and has said nothing of it."""
        before = signal.signal(signal.SIGALRM, self._ring)
        try:
            try:
                self._armed = True
                signal.setitimer(signal.ITIMER_REAL, self._seconds)
                call()
            finally:
                self._armed = False
        finally:  # from here on it does not ring any more
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL if before is None else before)
        if self.rang:
            raise self._error

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if self._armed:
            self._armed, self.rang = False, True
            raise self._error


_WATCHED_SIGNALS = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCHLD,
    signal.SIGALRM,
    signal.SIGPIPE,
    signal.SIGCONT,
    signal.SIGTSTP,
)


_ENVIRON = getattr(os.environ, "_data", os.environ)
"""The environment without the decoding that a look through ``os.environ`` costs, where that has it."""
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_ATTEMPTS = 100


class Surroundings:
    """What a command may change for the whole process, as it was; `restore` makes it so again."""

    def __init__(self) -> None:
        # O_PATH: a folder may be entered that may not be read
        self._folder = os.open(".", getattr(os, "O_PATH", os.O_RDONLY) | os.O_CLOEXEC)
        self._umask = os.umask(0)
        os.umask(self._umask)
        self._signals = [(number, _signal.getsignal(number)) for number in _WATCHED_SIGNALS]
        self._blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._environ = os.environ.copy()
        self._raw_environ = dict(_ENVIRON)

    def restore_signals(self) -> None:
        """Undo what the last command has done with signals and timers. None of its handlers is called any more then."""
        for _attempt in range(_ATTEMPTS):
            try:
                for timer in _TIMERS:  # before the handlers: it may go off
                    signal.setitimer(timer, 0)
                for number, action in self._signals:
                    if _signal.getsignal(number) is not action:
                        signal.signal(number, action)
                self._unblock()
                return
            except BaseException as error:  # one of its handlers was called, which concerns nobody any more
                raised = error
        raise raised

    def _unblock(self) -> None:
        blocked = _signal.pthread_sigmask(signal.SIG_BLOCK, ())
        if blocked == self._blocked:
            return
        if sys.platform == "linux":
            while signal.sigtimedwait(blocked, 0):  # what waited for its handler is not to meet another, or none
                pass
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)

    def restore(self) -> None:
        """Undo what else it has changed. Raises `OSError` when that cannot be done."""
        os.fchdir(self._folder)
        os.umask(self._umask)
        if self._raw_environ != _ENVIRON:
            os.environ.clear()
            os.environ.update(self._environ)
            time.tzset()
