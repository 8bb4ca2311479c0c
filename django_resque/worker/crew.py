"""The performers of all slots, as the dispatcher has them: forked, heard, ended and buried."""

from __future__ import annotations

import gc
import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from operator import attrgetter

from django.core.cache import close_caches
from django.db import connections

from .. import log
from ..conf import Config
from ..errors import DirtyExit, JobEnded, JobTimeout, PoisonJob
from ..job import Job
from ..limits import retry_delay
from ..signals import before_first_fork, before_fork, send_safely
from ..store import Entry, Reserved
from . import descendants, entries
from .entries import Death
from .intake import Intake
from .ledger import Ledger
from .mailbox import Mailbox
from .options import Options
from .output import Stderr
from .pace import WORK
from .report import Progress
from .slot import Child, Held, Slot, kill

SHOWN_AFTER = 0.05
"""Seconds after which a running job appears on the boards, and the jobs behind it are taken back."""
OUTPUT_EVERY = 2.0
"""Seconds between two tellings of what a running job has written; the first comes as soon as there is something."""
KILLED_AFTER = 10.0
"""Seconds after its timeout at which a job that still runs is killed."""
DISMISSAL = 1.0
"""Seconds that performers get to leave by themselves when the worker ends."""
MANY = 8
"""Jobs given to a slot at once from which on their reports are read together."""


class Crew:
    """Tells the ledger what becomes of the jobs that performers have, and `intake` how long they took.

    ``title`` is what process titles begin with. ``forget`` closes, in a forked child, what is the dispatcher's alone.
    ``deaths``: a child may have ended, so that `bury` has something to do.
    """

    def __init__(
        self,
        options: Options,
        config: Config,
        selector: selectors.BaseSelector,
        ledger: Ledger,
        intake: Intake,
        *,
        title: str,
        forget: Callable[[], None],
    ) -> None:
        self._config = config
        self._commands = options.commands
        self._ledger = ledger
        self._intake = intake
        self._title = title
        self._forget = forget
        self._mailbox: Mailbox[tuple[Slot, Child]] = Mailbox(selector)
        stderr = Stderr(quiet=options.quiet_jobs)
        self.slots = [Slot(stderr, options) for _ in range(options.performers)]
        self.deaths = False
        self.more_output = False
        self._interrupted: dict[Held, Entry] = {}
        self._forked = False

    @property
    def running(self) -> int:
        """How many slots have a job."""
        return sum(bool(slot.held) for slot in self.slots)

    @property
    def busy(self) -> bool:
        """Whether there is a job whose end has not been told to the ledger."""
        return bool(self.running or self._interrupted)

    @property
    def starving(self) -> bool:
        """Whether a performer has nothing to do, or will soon have nothing."""
        return any(slot.room and 2 * len(slot.held) <= slot.target for slot in self.slots)

    @property
    def pids(self) -> Iterator[int]:
        """Of all performers."""
        return (child.pid for slot in self.slots for child in slot.children)

    def held(self) -> Iterator[Held]:
        """All jobs that slots have, and those that were killed to stop in time."""
        for slot in self.slots:
            yield from slot.held
        yield from self._interrupted

    # -- time ----------------------------------------------------------------------------------------------------------

    def patience(self, most: float) -> float:
        """Seconds, up to ``most``, in which no performer runs out of jobs, so that reports can wait; 0 if one might."""
        least = most
        for slot in self.slots:
            if slot.held:
                spare = len(slot.held) - slot.target / 2
                if slot.target < MANY or spare <= 0:
                    return 0
                least = min(least, spare * WORK / slot.target)
        return least if self.running else 0

    def moments(self, now: float) -> Iterator[float]:
        """When there is something to do about a job although nothing happens."""
        for slot in self.slots:
            if slot.held:
                first = slot.held[0]
                if not first.shown:
                    yield first.since + SHOWN_AFTER
                if slot.waiting_since is not None and now < slot.waiting_since + SHOWN_AFTER:
                    yield slot.waiting_since + SHOWN_AFTER
                if first.limits.timeout is not None and slot.child is not None and not slot.child.ending:
                    yield first.since + first.limits.timeout + KILLED_AFTER

    # -- performers ----------------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Fork a performer wherever one is missing, or will be."""
        for slot in self.slots:
            if slot.lacks_performer(now) or slot.lacks_spare(now):
                try:
                    self._start(slot)
                except OSError as error:  # no more processes, memory or descriptors just now
                    log.performer_not_started(error)
                    slot.wait_before_next_start()

    def _start(self, slot: Slot) -> None:
        name = self._ledger.name
        if not self._forked:
            self._forked = True
            if before_first_fork.receivers:
                log.signal_receivers_failed(send_safely(before_first_fork, None, worker=name))
            threads = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
            if threads:
                log.threads_at_fork(threads)
            gc.collect()
            gc.freeze()  # what is there now is shared with the children as long as their collectors do not touch it
        if before_fork.receivers:
            log.signal_receivers_failed(send_safely(before_fork, None, worker=name))
        _close_connections()
        child = slot.start(title=self._title, worker=name, forget=lambda: self._forget_in_child(slot))
        self._mailbox.add(child.reports.reader, (slot, child))

    def _forget_in_child(self, own: Slot) -> None:
        self._mailbox.close()
        self._forget()
        for slot in self.slots:
            if slot is not own:
                slot.forget()

    def end(self, slot: Slot, why: str) -> None:
        """Kill a slot's performer; ``why`` (``stop``, ``timeout`` or ``demand``) decides what becomes of its job."""
        if slot.child is not None:
            slot.child.ending = why
            kill(slot.child)

    def dismiss(self) -> None:
        """End all performers: those that wait end by themselves when their inbox is closed."""
        for slot in self.slots:
            slot.inbox.close()
            if slot.spare is not None and slot.spare.gate is not None:
                slot.spare.gate.close()
        deadline = time.monotonic() + DISMISSAL
        # One that the kernel holds dies when it lets go of it.
        while self._reap() and time.monotonic() < deadline + DISMISSAL:
            if time.monotonic() > deadline:
                for slot in self.slots:
                    for child in slot.children:
                        kill(child)
            time.sleep(0.005)
        descendants.end_orphans(())

    def _reap(self) -> bool:
        """Take out the performers that have ended; whether there are others."""
        for slot in self.slots:
            for child in list(slot.children):
                if _exit_code(child) is not None:
                    slot.remove(child)
        return any(True for slot in self.slots for _ in slot.children)

    def close(self) -> None:
        self._mailbox.close()
        for slot in self.slots:
            slot.forget()

    # -- their reports -------------------------------------------------------------------------------------------------

    def look_away(self, away: bool) -> None:
        """Whether reports are to leave the selector asleep from now on."""
        self._mailbox.look_away(away)

    def hear(self) -> None:
        """Read the reports that are there."""
        for slot, child in self._mailbox.owners():
            self._read_reports(slot, child)

    def _read_reports(self, slot: Slot, child: Child) -> None:
        try:
            while (report := slot.report(child)) is not None:
                if not slot.held or slot.held[0].reserved.token != report.token:
                    continue  # a command has written it
                if isinstance(report, Progress):
                    slot.held[0].progress = report.progress
                    self._tell_how_far(slot, slot.held[0], time.monotonic(), b"")
                    continue
                held = slot.held.popleft()
                output = slot.output.finish(held.job.id, report.output_end)
                if not held.lost:
                    self._ledger.tell(entries.ended(slot.worker, held.reserved, held.job, held.limits, report, output))
                self._intake.pace(held.job.queue).took(report.duration)
                if slot.held:
                    slot.held[0].since = time.monotonic()
                if report.leaving:
                    child.leaving = True
                    if child is slot.child:
                        slot.dismiss()
        except EOFError:
            self._mailbox.remove(child.reports.reader)
            kill(child)  # whatever it still does, it cannot report
            self.deaths = True

    def follow(self, now: float) -> None:
        """Put jobs that take long on the boards, and their output on our stderr."""
        self.more_output = False
        for slot in self.slots:
            if not slot.held or now - slot.held[0].since < SHOWN_AFTER:
                continue
            held = slot.held[0]
            written = slot.output.size()
            if slot.child is not None:
                self._read_reports(slot, slot.child)  # what was written may be another job's by now
            if not slot.held or slot.held[0] is not held:
                continue
            self.more_output |= slot.output.copy(held.job.id, written)
            if not held.shown:
                held.shown, held.told_at = True, now
                if not held.lost:
                    self._ledger.tell(
                        entries.running(slot.worker, held.reserved, held.job, now - held.since, held.progress)
                    )
            elif written > held.written and now - held.told_at >= (OUTPUT_EVERY if held.written else 0):
                held.written = written
                self._tell_how_far(slot, held, now, slot.output.tail)

    def _tell_how_far(self, slot: Slot, held: Held, now: float, output: bytes) -> None:
        if not held.lost and not self._ledger.lost:  # what is left out then is told the next time
            held.told_at = now if output else held.told_at
            self._ledger.tell(
                entries.under_way(slot.worker, held.reserved, held.job, now - held.since, held.progress, output)
            )

    # -- their deaths --------------------------------------------------------------------------------------------------

    def bury(self) -> list[Held]:
        """Find performers that have ended, and decide what becomes of their jobs. Gives those that nobody has begun."""
        if not self.deaths:
            return []
        self.deaths = False
        not_begun: list[Held] = []
        for slot in self.slots:
            for child in list(slot.children):
                code = _exit_code(child)
                if code is not None:
                    child.reaped = True
                    self._read_reports(slot, child)  # what it had reported before counts
                    self._mailbox.remove(child.reports.reader)
                    not_begun += self._bury(slot, child, Death(code))
        descendants.end_orphans({child.pid for slot in self.slots for child in slot.children})
        if not any(child.ending for slot in self.slots for child in slot.children):
            self._give_back_interrupted()
        return not_begun

    def _bury(self, slot: Slot, child: Child, death: Death) -> list[Held]:
        if child is not slot.child:  # one that leaves, or a spare one
            slot.remove(child)
            if not child.leaving:
                log.performer_died(str(death))
                slot.wait_before_next_start(child)
            return []
        not_begun = slot.take_back()  # before a spare one takes its place, and takes from the inbox
        begun, slot.held = slot.held, deque()
        slot.remove(child)
        if not begun:
            if not child.leaving:
                log.performer_died(str(death))
                slot.wait_before_next_start(child)
            return not_begun
        held = begun.popleft()
        output = slot.output.finish(held.job.id, slot.output.size())
        if held.lost:
            log.performer_died(str(death))
        else:
            self._tell_of_death(slot, child, held, death, output)
        return [*not_begun, *begun]  # the latter a command has taken out of its inbox, and told nobody

    def _tell_of_death(self, slot: Slot, child: Child, held: Held, death: Death, output: bytes) -> None:
        worker, reserved, job = slot.worker, held.reserved, held.job
        seconds = time.monotonic() - held.since
        if child.ending == "stop" and held.at_most_once:
            self._ledger.tell(entries.interrupted_for_good(worker, reserved, job, seconds, output))
            slot.announce(reserved, job, DirtyExit.__name__, "The worker was stopped and its grace period ended")
            log.job_refused(job, "ended with the grace period, and on_crash is 'fail'")
        elif child.ending == "stop":
            self._interrupted[held] = entries.interrupted(worker, reserved, job, output)
            log.job_given_back(job)
        elif child.ending == "timeout" and held.limits.timeout is not None:
            timeout = held.limits.timeout
            retry = self._delay_after_timeout(job, timeout)
            self._ledger.tell(entries.timed_out(worker, reserved, job, timeout, retry, seconds, output))
            if retry is None:
                slot.announce(reserved, job, JobTimeout.__name__, entries.killed_after(timeout))
        elif child.ending:
            self._ledger.tell(entries.put_to_an_end(worker, reserved, job, seconds, output))
            slot.announce(reserved, job, JobEnded.__name__, entries.ENDED)
        elif held.at_most_once:
            self._ledger.tell(entries.crashed_for_good(worker, reserved, job, death, seconds, output))
            log.job_crashed_for_good(job, str(death))
            slot.announce(reserved, job, DirtyExit.__name__, f"The performer {death}")
        else:
            crashes = (reserved.crashes or 0) + 1
            last = crashes >= self._config.max_crashes
            self._ledger.tell(entries.crashed(worker, reserved, job, death, seconds, output, last=last))
            said = log.job_poisoned if last else log.job_crashed
            said(job, str(death), crashes)
            if last:
                slot.announce(reserved, job, PoisonJob.__name__, f"The performer died at each of {crashes} attempts")

    def announce(self, reserved: Reserved, job: Job, exception: str, error: str) -> None:
        """Have a performer tell that a job of another worker process has become this failure."""
        if self.slots:
            self.slots[0].announce(reserved, job, exception, error)

    def _delay_after_timeout(self, job: Job, timeout: float) -> float | None:
        """Seconds until the job is tried again that was killed after its timeout; None when it is a failure."""
        info = self._commands.get(job.command)
        if info is not None and callable(info.backoff):
            info = replace(info, backoff=None)  # the project's code is called in performers only
        return retry_delay(job, JobTimeout(entries.killed_after(timeout)), info, self._config)

    def _give_back_interrupted(self) -> None:
        """Put the jobs that were killed to stop in time back at the head of their queues, in the order they had."""
        for held in sorted(self._interrupted, key=attrgetter("order"), reverse=True):
            self._ledger.tell(self._interrupted[held])
        self._interrupted.clear()

    def take_back(self) -> list[Held]:
        """The jobs that nobody has begun, out of all inboxes."""
        return [held for slot in self.slots for held in slot.take_back()]

    def lose(self) -> None:
        """Another process has our jobs now: what runs goes on and is not reported, the rest is forgotten."""
        self._interrupted.clear()
        self.take_back()
        for held in self.held():
            held.lost = True


def _exit_code(child: Child) -> int | None:
    """How a performer ended, negative for a signal; None while it lives. Only once for each."""
    pid, status = os.waitpid(child.pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if pid else None


def _close_connections() -> None:
    """Close what a child must not inherit: closing its copy there would end the session here."""
    for connection in connections.all(initialized_only=True):
        with suppress(Exception):  # a driver may raise anything; what is broken is not used in the child either
            connection.close()
            if hasattr(connection, "close_pool"):
                connection.close_pool()
    with suppress(Exception):
        close_caches()
