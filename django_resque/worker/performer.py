"""The forked child: takes packets from its inbox, performs the jobs in them, reports each one.

Everything here runs in the child, never in the dispatcher.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import socket
import sys
import time
from dataclasses import dataclass
from types import FrameType
from typing import NamedTuple, NoReturn, TextIO

from setproctitle import setproctitle

from .. import errors, log
from ..command import find
from ..conf import config
from ..errors import DontPerform, InvalidPayload
from ..job import Job
from ..limits import failed_attempts, retry_delay, wait_before
from ..perform import Alarm, Surroundings, drop_connections, perform
from ..signals import after_fork, after_retry, on_failure, send_safely
from ..tracking import TrackedJob
from .channel import Channel
from .descendants import ENVIRONMENT, become_subreaper, end_children, mark
from .report import Progress, Report

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


class Packet(NamedTuple):
    """A job on its way to a performer.

    ``id`` is the job's, or the one given to it when its payload has none. ``timeout`` is in seconds, None without a
    limit. ``redelivered``: the job may have been begun before. ``failure``: it is not to be performed, but has become
    this failure, an exception's class name and message, and those who want to know are to be told.
    """

    token: str
    id: str
    queue: str
    payload: bytes
    timeout: float | None = None
    redelivered: bool = False
    failure: tuple[str, str] | None = None

    def dump(self) -> bytes:
        failure = "" if self.failure is None else json.dumps(self.failure)
        redelivered = "1" if self.redelivered else ""
        header = f"{self.token}\n{self.id}\n{self.queue}\n{self.timeout or ''}\n{redelivered}\n{failure}\n"
        return header.encode() + self.payload

    @classmethod
    def load(cls, packet: bytes) -> Packet:
        token, job_id, queue, timeout, redelivered, failure, payload = packet.split(b"\n", 6)
        return cls(
            token.decode(),
            job_id.decode(),
            queue.decode(),
            payload,
            float(timeout) if timeout else None,
            bool(redelivered),
            tuple(json.loads(failure)) if failure else None,
        )


@dataclass(slots=True)
class _Ended:
    """How the performance of a job ended: `Report` has the same in words that can be sent."""

    failure: BaseException | None = None
    duration: float = 0.0
    result: bytes = b""
    outcome: str = ""
    retry: float | None = None


def _delay(job: Job, error: BaseException) -> float | None:
    """Seconds until the next attempt of the job; None when this was the last."""
    try:
        info = find(job.command)
    except Exception:  # whatever its module raises; that is the failure already
        info = None
    try:
        return retry_delay(job, error, info, config())
    except Exception as second:  # a backoff of the project's own may raise anything
        log.backoff_failed(job, second)
        return wait_before(failed_attempts(job) + 2, None, error)


class Performer:
    """One performer.

    ``title`` is what its process title begins with. It leaves, to be replaced, after ``max_jobs`` jobs, above
    ``max_rss`` MB of memory, and after a job that ends when it is older than ``max_age`` seconds. ``worker`` is the
    name of its worker process. With a ``gate`` it is a spare one: it takes its first job when a byte has come through
    there, and leaves when that is closed.
    """

    def __init__(
        self,
        *,
        inbox: Channel,
        reports: Channel,
        output: int,
        title: str,
        max_jobs: int,
        max_rss: int | None,
        max_age: float | None,
        gate: socket.socket | None,
        worker: str,
    ) -> None:
        self._inbox = inbox
        self._reports = reports
        self._output = output
        self._title = title
        self._max_jobs = max_jobs
        self._max_rss = max_rss
        self._max_age = max_age
        self._gate = gate
        self._worker = worker
        self._born = time.monotonic()
        self._performed = 0
        self._to_be_replaced = False
        self._shown: tuple[str, int] | None = None

    def run(self, parent: int) -> NoReturn:
        """Perform jobs until the inbox is closed or the performer is to be replaced, then end the process.

        ``parent`` is the dispatcher's pid.
        """
        status = 1
        try:
            self._settle_in(parent)
            if self._is_wanted():
                self._work()
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
            os.environ[ENVIRONMENT] = mark(parent)
        become_subreaper()
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
        if after_fork.receivers:
            log.signal_receivers_failed(send_safely(after_fork, None, worker=self._worker))

    def _is_wanted(self) -> bool:
        """Wait until a spare performer is needed. False when it never will be."""
        if self._gate is None:
            return True
        with self._gate:
            return bool(self._gate.recv(1))

    def _work(self) -> None:
        while (received := self._receive()) is not None:
            packet = Packet.load(received)
            if packet.failure is not None:
                self._tell_of_failure(packet, *packet.failure)
                continue
            report = self._perform(packet)
            self._reports.send(report.dump())
            if report.leaving:
                break

    def _receive(self) -> bytes | None:
        try:
            return self._inbox.receive(wait=False)
        except BlockingIOError:
            setproctitle(f"{self._title}: Waiting")
            self._shown = None
            return self._inbox.receive()

    def _show(self, queue: str) -> None:
        """Tell in the process title what is being done, to the second."""
        shown = queue, int(time.time())
        if shown != self._shown:
            setproctitle(f"{self._title}: Processing {log.clean(queue)} since {shown[1]}")
            self._shown = shown

    def _perform(self, packet: Packet) -> Report:
        self._performed += 1
        self._show(packet.queue)
        try:
            job = Job.from_payload(packet.payload, packet.queue, otherwise_id=packet.id)
        except InvalidPayload as error:
            job = Job("(unreadable payload)", queue=packet.queue, id=packet.id)
            ended = _Ended(error)
            self._announce(job, ended)
        else:
            log.job_started(job)
            ended = self._run(job, packet)
        end = os.fstat(self._output).st_size
        token, duration = packet.token, ended.duration
        if ended.failure is None:
            log.job_done(job, duration)
            return Report(
                token,
                leaving=self._leaves(),
                duration=duration,
                output_end=end,
                result=ended.result,
                outcome=ended.outcome,
            )
        if ended.retry is None:
            log.job_failed(job, ended.failure, duration)
        else:
            log.attempt_failed(job, ended.failure, failed_attempts(job) + 1, ended.retry, duration)
        return Report.of_failure(
            token, ended.failure, leaving=self._leaves(), duration=duration, output_end=end, retry=ended.retry
        )

    def _run(self, job: Job, packet: Packet) -> _Ended:
        """Perform the job, its output captured."""
        alarm = Alarm(packet.timeout) if packet.timeout else None
        self._capture_output()
        begun = time.monotonic()
        ended = self._attempt(job, packet, alarm)
        ended.duration = time.monotonic() - begun
        if ended.failure is not None:
            ended.retry = _delay(job, ended.failure)
            self._announce(job, ended)
        left = end_children()
        if alarm is not None and alarm.rang:
            drop_connections()  # before anybody takes the job for ended
            self._to_be_replaced = True
        self._tidy_up()
        if left:
            log.descendants_ended(job, left)
            self._to_be_replaced = True  # objects that stand for them are left, such as multiprocessing's own
        return ended

    def _tidy_up(self) -> None:
        """Take back the output, and undo what the project's code has done to this process."""
        try:
            self._release_output()
            self._surroundings.restore()
        except OSError as error:  # such as a descriptor that the command has closed
            log.performer_is_spoilt(error)
            self._to_be_replaced = True

    def _attempt(self, job: Job, packet: Packet, alarm: Alarm | None) -> _Ended:
        """Perform the job; when this returns, no code of the command's is called any more."""
        ended = _Ended()

        def tell(progress: bytes) -> None:
            self._reports.send(Progress(packet.token, progress).dump())

        try:
            try:
                ended.result = perform(job, redelivered=packet.redelivered, alarm=alarm, tell=tell)
            except DontPerform:
                ended.outcome = "not performed"
            except BaseException as error:  # a command may raise anything, and that is the job's failure, not ours
                ended.failure = error
            self._surroundings.restore_signals()
        except BaseException:  # its handler of a signal was called once more, when it had ended
            self._surroundings.restore_signals()
        return ended

    def _announce(self, job: Job, ended: _Ended) -> None:
        """Tell receivers what has become of the job."""
        failed, attempt = ended.failure, failed_attempts(job) + 1
        if ended.retry is None and on_failure.receivers:
            results = send_safely(on_failure, TrackedJob, job=TrackedJob.of(job), error=failed, attempt=attempt)
            log.receivers_failed(results, job)
        elif ended.retry is not None and after_retry.receivers:
            results = send_safely(
                after_retry, TrackedJob, job=TrackedJob.of(job), error=failed, attempt=attempt, delay=ended.retry
            )
            log.receivers_failed(results, job)

    def _tell_of_failure(self, packet: Packet, exception: str, message: str) -> None:
        """The job has become a failure without a performer to say so: its own died, or somebody ended it."""
        try:
            job = Job.from_payload(packet.payload, packet.queue, otherwise_id=packet.id)
        except InvalidPayload:
            job = Job("(unreadable payload)", queue=packet.queue, id=packet.id)
        kind = getattr(errors, exception, errors.JobFailed)
        error = kind(message)
        log.job_lost(job, error)
        if on_failure.receivers:
            results = send_safely(
                on_failure, TrackedJob, job=TrackedJob.of(job), error=error, attempt=failed_attempts(job) + 1
            )
            log.receivers_failed(results, job)
            self._tidy_up()  # what they wrote has gone to the worker's own output: this job's has been told

    def _leaves(self) -> bool:
        if self._to_be_replaced or self._performed >= self._max_jobs:
            return True
        if self._max_age is not None and time.monotonic() - self._born > self._max_age:
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
