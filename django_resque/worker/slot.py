"""A place for one performer. On the wire it is one Resque worker, with an id of its own."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from ..job import Job
from ..limits import Limits
from ..store import Reserved
from . import entries
from .channel import Channel
from .options import Options
from .output import Output, Stderr
from .performer import Packet, Performer
from .report import Progress, Report

_STABLE = 1.0
"""Seconds after which a performer that dies was not broken from the start."""


@dataclass(slots=True, eq=False)
class Held:
    """A job that was reserved, and may have been given to a slot.

    ``given_at`` is when it was given, ``since`` when it was its performer's to begin, monotonic. ``shown``: the boards
    know that it runs. ``lost``: another worker process has it now, so nothing is told of it any more.
    ``told_at`` is when what it has written, up to ``written``, was last told, ``progress`` how far it has come (JSON,
    empty when it does not say). ``order`` sorts jobs as they were taken.
    """

    reserved: Reserved
    job: Job
    limits: Limits
    given_at: float = 0.0
    since: float = 0.0
    shown: bool = False
    lost: bool = False
    told_at: float = 0.0
    written: int = 0
    progress: bytes = b""
    order: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.order = entries.order(self.reserved)

    @property
    def at_most_once(self) -> bool:
        """Whether it must not begin a second time, so that Redis has to know before it begins."""
        return self.limits.on_crash == "fail"


@dataclass(slots=True, eq=False)
class Child:
    """A performer's process. ``given`` counts its jobs; ``leaving``: it ends by itself, to be replaced; ``ending``: why
    it is being killed, when that is no crash; ``gate``: opens for a spare one; ``reaped``: its pid may be another's."""

    pid: int
    reports: Channel
    gate: socket.socket | None
    given: int = 0
    leaving: bool = False
    ending: str = ""
    reaped: bool = False
    born: float = field(default_factory=time.monotonic)


class Slot:
    """An inbox that outlives performers, the performer there is now and perhaps a spare one, and the jobs given to it.

    ``worker`` is the worker's id. ``held`` are the jobs in the order in which they are performed. ``target`` is how
    many of that kind it is given at once.
    """

    def __init__(self, stderr: Stderr, options: Options) -> None:
        self.worker = ""
        self.held: deque[Held] = deque()
        self.target = 1
        self.child: Child | None = None
        self.spare: Child | None = None
        self.leavers: list[Child] = []
        self.inbox = Channel()
        self.output = Output(stderr)
        self._options = options
        self._start_after = 0.0

    @property
    def room(self) -> int:
        """How many more jobs it could be given, whatever their kind; none behind one that takes long."""
        child = self.child
        if child is None or child.leaving or child.ending or (self.held and self.held[0].shown):
            return 0
        most = self._options.max_jobs
        return max(0, most - child.given + (most - self.spare.given if self.spare is not None else 0))

    @property
    def waiting_since(self) -> float | None:
        """When the first of its jobs that its performer has not come to was given; None when there is none."""
        at = 0 if self.child is None else 1
        return self.held[at].given_at if len(self.held) > at else None

    @property
    def children(self) -> Iterator[Child]:
        """All its processes that have not ended."""
        yield from self.leavers
        for child in (self.child, self.spare):
            if child is not None:
                yield child

    # -- performers ----------------------------------------------------------------------------------------------------

    def lacks_performer(self, now: float) -> bool:
        """Whether a performer is missing and it is time to start one."""
        return self.child is None and now >= self._start_after

    def lacks_spare(self, now: float) -> bool:
        """Whether the performer is going to leave after the jobs that it has, and nobody is there to follow it."""
        child = self.child
        return (
            child is not None
            and self.spare is None
            and now >= self._start_after
            and not (child.leaving or child.ending)
            and child.given >= self._options.max_jobs
        )

    def start(self, *, title: str, worker: str, forget: Callable[[], None]) -> Child:
        """Fork a performer, a spare one when there is one already, of the worker process called ``worker``. ``forget``
        closes, in the child, what is the dispatcher's alone."""
        reports = Channel()
        ours, theirs = socket.socketpair() if self.child is not None else (None, None)
        parent = os.getpid()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                try:
                    forget()
                    for child in self.children:
                        _close(child)
                    self.inbox.writer.close()
                    reports.reader.close()
                    if ours is not None:
                        ours.close()
                    Performer(
                        inbox=self.inbox,
                        reports=reports,
                        output=self.output.fileno(),
                        title=title,
                        max_jobs=self._options.max_jobs,
                        max_rss=self._options.max_rss,
                        max_age=self._options.max_age,
                        gate=theirs,
                        worker=worker,
                    ).run(parent)
                finally:
                    os._exit(1)  # whatever went wrong, the child must not go on as a second dispatcher
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        reports.writer.close()  # so that the end of the performer is the end of the stream
        if theirs is not None:
            theirs.close()
        child = Child(pid, reports, ours)
        if self.child is None:
            child.given = len(self.held)
            self.child = child
        else:
            self.spare = child
        return child

    def dismiss(self) -> None:
        """The performer leaves: let the spare one, if there is one, take its place."""
        if self.child is not None:
            self.leavers.append(self.child)
        self.child, self.spare = self.spare, None
        if self.child is not None and self.child.gate is not None:
            try:
                self.child.gate.send(b"!")
            except OSError:
                pass  # it has died; that is found out as for any other
            self.child.gate.close()
            self.child.gate = None

    def remove(self, child: Child) -> None:
        """Take a process that has ended out."""
        _close(child)
        if child is self.spare:
            self.spare = None
        elif child is self.child:
            self.dismiss()
            self.leavers.remove(child)
        elif child in self.leavers:
            self.leavers.remove(child)

    def forget(self) -> None:
        """Close this process's copies of everything; what a performer does with the other slots."""
        self.inbox.close()
        self.output.close()
        for child in self.children:
            _close(child)

    def wait_before_next_start(self, child: Child | None = None) -> None:
        """Start no performer for a moment, when the last one did not live, or could not be started."""
        now = time.monotonic()
        if child is None or now - child.born < _STABLE:
            self._start_after = now + _STABLE

    # -- its jobs ------------------------------------------------------------------------------------------------------

    def hand_over(self, held: Held) -> None:
        """Put a job in the inbox. Raises `BlockingIOError` when it is full, and another `OSError` when the system has
        nothing left to pass the job on with."""
        assert self.child is not None
        reserved = held.reserved
        packet = Packet(
            reserved.token,
            held.job.id,
            reserved.queue,
            reserved.payload,
            held.limits.timeout,
            reserved.crashes is not None,
        )
        try:
            self.inbox.send(packet.dump(), wait=False)
        except ConnectionError:  # a command has shut it down
            self.inbox.close()
            self.inbox = Channel()
            kill(self.child)
            raise
        held.given_at = time.monotonic()
        if not self.held:
            held.since = held.given_at
        self.held.append(held)
        performer = self.child if self.child.given < self._options.max_jobs or self.spare is None else self.spare
        performer.given += 1

    def announce(self, reserved: Reserved, job: Job, exception: str, error: str) -> None:
        """Have the next performer tell that a job has become this failure, before its next job."""
        packet = Packet(reserved.token, job.id, reserved.queue, reserved.payload, failure=(exception, error))
        with suppress(OSError):  # the inbox has no room: who wants to know learns it from the boards
            self.inbox.send(packet.dump(), wait=False)

    def take_back(self) -> list[Held]:
        """The jobs that nobody has begun, out of the inbox again, in order."""
        tokens, others = set(), []
        try:
            # The performer may take one between two of these, so which they are stands in the packets alone.
            while (received := self.inbox.receive(wait=False)) is not None:
                packet = Packet.load(received)
                if packet.failure is None:
                    tokens.add(packet.token)
                else:
                    others.append(received)
        except OSError:  # there are no more; or no descriptor is left to read one with
            pass
        with suppress(OSError):
            for other in others:
                self.inbox.send(other, wait=False)
        taken = [held for held in self.held if held.reserved.token in tokens]
        if taken:
            self.held = deque(held for held in self.held if held.reserved.token not in tokens)
        count = len(taken)
        for child in (self.spare, self.child):
            if child is not None:
                back = min(count, child.given)  # who of the two would have had them makes no difference
                child.given -= back
                count -= back
        return taken

    def report(self, child: Child) -> Report | Progress | None:
        """The next report of a performer, or how far its job has come, if there is one now.

        Raises `EOFError` when none can come any more, or something came that is none: a command has found the socket.
        """
        try:
            packet = child.reports.receive(wait=False)
            if packet is None:
                raise EOFError
            return Progress.load(packet) if packet.startswith(b"~") else Report.load(packet)
        except BlockingIOError:
            return None
        except (ValueError, TypeError, OSError) as error:
            raise EOFError from error


def kill(child: Child) -> None:
    """End a performer's process and all of its group."""
    for end in (os.killpg,) if child.reaped else (os.killpg, os.kill):  # its group is its own soon after the fork
        try:
            end(child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # what is left of the group may be root's
            continue


def _close(child: Child) -> None:
    child.reports.close()
    if child.gate is not None:
        child.gate.close()
        child.gate = None
