"""A place for one performer. On the wire it is one Resque worker, with an id of its own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..job import Job
from ..store import Reserved
from .channel import Channel
from .output import Output, Stderr
from .performer import Packet, Performer
from .report import Report

_STABLE = 1.0
"""Seconds after which a performer that dies was not broken from the start."""


@dataclass(slots=True)
class Held:
    """A job that was reserved, and may have been given to a slot.

    ``since`` is when it was given, monotonic. ``shown``: the boards know that it runs. ``lost``: another worker process
    has it now, so nothing is told of it any more.
    """

    reserved: Reserved
    job: Job
    since: float = 0.0
    shown: bool = False
    lost: bool = False

    @property
    def order(self) -> tuple[int, ...]:
        """Sorts jobs as they were taken."""
        return tuple(map(int, self.reserved.token.split(".")))


class Slot:
    """An inbox that outlives performers, the performer there is now, and the job given to it.

    ``worker`` is the worker's id. ``leaving``: the performer ends by itself, to be replaced. ``ending``: it is killed
    to stop in time, which is no crash.
    """

    def __init__(self, stderr: Stderr) -> None:
        self.worker = ""
        self.held: Held | None = None
        self.pid: int | None = None
        self.leaving = self.ending = False
        self.inbox = Channel()
        self.reports = Channel()
        self.output = Output(stderr)
        self._started = 0.0
        self._start_after = 0.0

    @property
    def ready(self) -> bool:
        """Whether a performer is there that can be given a job."""
        return self.pid is not None and self.held is None and not (self.leaving or self.ending)

    # -- the performer -----------------------------------------------------------------------------------------------

    def may_start(self, now: float) -> bool:
        """Whether a performer is missing and it is time to start one."""
        return self.pid is None and now >= self._start_after

    def start(self, *, title: str, max_jobs: int, max_rss: int | None, forget: Callable[[], None]) -> None:
        """Fork a performer. ``forget`` closes, in the child, what is the dispatcher's alone."""
        self.reports.close()
        self.reports = Channel()
        self._started = time.monotonic()
        self.leaving = self.ending = False
        parent = os.getpid()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                try:
                    forget()
                    self.inbox.writer.close()
                    self.reports.reader.close()
                    Performer(
                        inbox=self.inbox,
                        reports=self.reports,
                        output=self.output.fileno(),
                        title=title,
                        max_jobs=max_jobs,
                        max_rss=max_rss,
                    ).run(parent)
                finally:
                    os._exit(1)  # whatever went wrong, the child must not go on as a second dispatcher
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self.pid = pid
        self.reports.writer.close()  # so that the end of the performer is the end of the stream

    def forget(self) -> None:
        """Close this process's copies of everything; what a performer does with the other slots."""
        self.inbox.close()
        self.reports.close()
        self.output.close()

    def wait_before_next_start(self) -> None:
        """Start no performer for a moment, when the last one did not live, or could not be started."""
        now = time.monotonic()
        if self.pid is None and now - self._started < _STABLE:
            self._start_after = now + _STABLE

    def kill(self) -> None:
        """End the performer's process and all of its group."""
        if self.pid is None:
            return
        for end in (os.killpg, os.kill):  # its group is its own from a moment after the fork on
            try:
                end(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def died(self) -> int | None:
        """The exit code of the performer, negative for a signal; None while it lives. Only once for each."""
        if self.pid is None:
            return None
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return None
        self.pid = None
        return os.waitstatus_to_exitcode(status)

    # -- its job -----------------------------------------------------------------------------------------------------

    def hand_over(self, held: Held) -> None:
        """Give the performer a job. Raises `OSError` when the system has nothing left to pass it on with."""
        reserved = held.reserved
        self.inbox.send(Packet(reserved.token, held.job.id, reserved.queue, reserved.payload).dump())
        self.held = held

    def take_back(self) -> Held | None:
        """The job given, out of the inbox again, when nobody has begun it."""
        try:
            if self.held is None or self.inbox.receive(wait=False) is None:
                return None
        except BlockingIOError:
            return None
        held, self.held = self.held, None
        return held

    def report(self) -> Report | None:
        """The next report of the performer, if there is one now.

        Raises `EOFError` when none can come any more, or something came that is none: a command has found the socket.
        """
        try:
            packet = self.reports.receive(wait=False)
            if packet is None:
                raise EOFError
            report = Report.load(packet)
        except BlockingIOError:
            return None
        except (ValueError, TypeError) as error:
            raise EOFError from error
        self.leaving = report.leaving
        return report
