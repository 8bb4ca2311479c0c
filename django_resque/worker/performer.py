"""The forked child: takes packets from its inbox, performs the jobs in them, reports each one.

Everything here runs in the child, never in the dispatcher.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn, TextIO

from setproctitle import setproctitle

from .. import log
from ..errors import InvalidPayload
from ..job import Job
from ..perform import Surroundings, perform
from .channel import Channel
from .report import Report

_IGNORED = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCONT,
    signal.SIGTSTP,
)
_DESCRIPTORS = {"stdin": 0, "stdout": 1, "stderr": 2}
_PR_SET_PDEATHSIG = 1
_OOM_SCORE = b"500"
_libc = ctypes.CDLL(None)  # loaded before the fork


@dataclass(frozen=True, slots=True)
class Packet:
    """A job on its way to a performer. ``id`` is the job's, or the one given to it when its payload has none."""

    token: str
    id: str
    queue: str
    payload: bytes

    def dump(self) -> bytes:
        return b"%b\n%b\n%b\n%b" % (self.token.encode(), self.id.encode(), self.queue.encode(), self.payload)

    @classmethod
    def load(cls, packet: bytes) -> Packet:
        token, job_id, queue, payload = packet.split(b"\n", 3)
        return cls(token.decode(), job_id.decode(), queue.decode(), payload)


class Performer:
    """One performer. ``title`` is what its process title begins with."""

    def __init__(
        self, *, inbox: Channel, reports: Channel, output: int, title: str, max_jobs: int, max_rss: int | None
    ) -> None:
        self._inbox = inbox
        self._reports = reports
        self._output = output
        self._title = title
        self._max_jobs = max_jobs
        self._max_rss = max_rss
        self._performed = 0
        self._spoilt = False

    def run(self, parent: int) -> NoReturn:
        """Perform jobs until the inbox is closed or the performer is to be replaced, then end the process.

        ``parent`` is the dispatcher's pid.
        """
        status = 1
        try:
            self._settle_in(parent)
            while (packet := self._inbox.receive()) is not None:
                report = self._perform(Packet.load(packet))
                self._reports.send(report.dump())
                if report.leaving:
                    break
            status = 0
        except ConnectionError:
            pass  # the dispatcher is gone, and so is whoever could be told
        except BaseException:  # whatever it is must not unwind into the dispatcher's code, of which this is a copy
            log.logger.exception("a performer ends after an error of its own")
        finally:
            os._exit(status)  # the dispatcher's atexit handlers and buffers are not ours to run

    def _settle_in(self, parent: int) -> None:
        signal.set_wakeup_fd(-1)
        for number in _IGNORED:
            signal.signal(number, _do_nothing)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.setpgid(0, 0)
        if sys.platform == "linux":
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            _offer_to_the_oom_killer()
        if os.getppid() != parent:
            os._exit(1)  # it died before the kernel was told to tell us
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        self._out, self._err = os.dup(1), os.dup(2)
        self._streams = {name: _open_stream(descriptor) for name, descriptor in _DESCRIPTORS.items()}
        sys.stdin, sys.stdout, sys.stderr = self._streams.values()
        self._surroundings = Surroundings()
        log.mail_failures_to_admins()
        setproctitle(f"{self._title}: Waiting")

    def _perform(self, packet: Packet) -> Report:
        self._performed += 1
        setproctitle(f"{self._title}: Processing {log.clean(packet.queue)} since {int(time.time())}")
        begun = time.monotonic()
        failure: BaseException | None
        try:
            job = Job.from_payload(packet.payload, packet.queue, otherwise_id=packet.id)
        except InvalidPayload as error:
            job, failure = Job("(unreadable payload)", queue=packet.queue, id=packet.id), error
        else:
            log.job_started(job)
            failure = self._run(job)
        duration = time.monotonic() - begun
        if failure is None:
            log.job_done(job, duration)
            report = Report(packet.token, leaving=self._leaves())
        else:
            log.job_failed(job, failure, duration)
            report = Report.of_failure(packet.token, failure, leaving=self._leaves())
        setproctitle(f"{self._title}: Waiting")
        return report

    def _run(self, job: Job) -> BaseException | None:
        """Perform the job, its output captured; returns what it raised."""
        failure: BaseException | None = None
        self._capture_output()
        try:
            perform(job)
        except BaseException as error:  # a command may raise anything, and each is the job's failure, not the worker's
            failure = error
        try:
            self._release_output()
            self._surroundings.restore()
        except OSError as error:  # such as a descriptor that the command has closed
            log.performer_is_spoilt(error)
            self._spoilt = True
        return failure

    def _leaves(self) -> bool:
        if self._spoilt or self._performed >= self._max_jobs:
            return True
        return self._max_rss is not None and resident_memory() > self._max_rss

    def _capture_output(self) -> None:
        os.dup2(self._output, 1)
        os.dup2(self._output, 2)

    def _release_output(self) -> None:
        for name, stream in self._streams.items():
            try:
                stream.flush()
            except (ValueError, OSError):  # the command has closed it, or what is below it
                self._streams[name] = _open_stream(_DESCRIPTORS[name])
            setattr(sys, name, self._streams[name])
        os.dup2(self._out, 1)
        os.dup2(self._err, 2)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """Stopping is the dispatcher's to decide; a signal to the whole group must not end a job."""


def _open_stream(descriptor: int) -> TextIO:
    return open(
        descriptor,
        "w" if descriptor else "r",
        buffering=1,
        encoding="utf-8",
        errors="backslashreplace",
        closefd=False,
    )


def resident_memory() -> float:
    """The memory of this process that is in RAM, in MB."""
    try:
        with open("/proc/self/statm", "rb") as file:
            pages = int(file.read().split()[1])
    except OSError:  # no Linux: the highest value so far, in bytes on macOS
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return pages * resource.getpagesize() / 2**20


def _offer_to_the_oom_killer() -> None:
    try:
        with open("/proc/self/oom_score_adj", "wb") as file:
            file.write(_OOM_SCORE)
    except OSError:
        pass  # a container may forbid it; the job runs all the same
