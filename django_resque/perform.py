"""Performing one job in this process: the command runs as it would by hand, and leaves nothing behind."""

from __future__ import annotations

import contextvars
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.core.cache import close_caches
from django.db import close_old_connections, reset_queries

from .command import bind
from .errors import CommandExited
from .job import Job


@dataclass(frozen=True, slots=True)
class CurrentJob:
    """The job that is being performed. ``attempt`` counts from 1."""

    id: str
    command: str
    queue: str
    attempt: int


_current: contextvars.ContextVar[CurrentJob | None] = contextvars.ContextVar("django_resque_current_job", default=None)


def current_job() -> CurrentJob | None:
    """The job that the calling code is part of; None when the command is run by hand."""
    return _current.get()


def perform(job: Job) -> None:
    """Run the command of ``job`` to its end.

    Raises what the command raises, `CommandExited` when it left with an exit status other than 0, and an `InvalidJob`
    when it does not exist, may not be a job, or does not take these arguments.
    """
    contextvars.copy_context().run(_perform, job)


def _perform(job: Job) -> None:
    _current.set(CurrentJob(job.id, job.command, job.queue, attempt=1))
    with like_a_request():
        bound = bind(job.command, job.args, job.options)
        with _only_here():
            try:
                bound.command.execute(*bound.args, **bound.options)
            except SystemExit as left:
                if left.code not in (None, 0):
                    raise CommandExited(left.code) from left


@contextmanager
def _only_here() -> Iterator[None]:
    """End the child of a command that forks and comes back twice, before it closes connections that it shares."""
    pid = os.getpid()
    try:
        yield
    finally:
        if os.getpid() != pid:
            os._exit(1)


@contextmanager
def like_a_request() -> Iterator[None]:
    """Treat connections to databases and caches as Django does around a request."""
    reset_queries()
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()
        close_caches()


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


class Surroundings:
    """What a command may change for the whole process, as it was; `restore` makes it so again."""

    def __init__(self) -> None:
        # O_PATH: a folder may be entered that may not be read
        self._folder = os.open(".", getattr(os, "O_PATH", os.O_RDONLY) | os.O_CLOEXEC)
        self._umask = os.umask(0)
        os.umask(self._umask)
        self._signals = {number: signal.getsignal(number) for number in _WATCHED_SIGNALS}
        self._blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._environ = os.environ.copy()
        self._raw_environ = dict(_ENVIRON)

    def restore(self) -> None:
        """Undo what the last command has changed. Raises `OSError` when that cannot be done."""
        for timer in _TIMERS:  # before the handlers: it may go off
            signal.setitimer(timer, 0)
        for number, action in self._signals.items():
            if signal.getsignal(number) is not action:
                signal.signal(number, action)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)
        os.fchdir(self._folder)
        os.umask(self._umask)
        if self._raw_environ != _ENVIRON:
            os.environ.clear()
            os.environ.update(self._environ)
            time.tzset()
