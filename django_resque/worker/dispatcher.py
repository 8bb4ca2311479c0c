"""The parent process: one loop over the performers, Redis, signals and timers."""

from __future__ import annotations

import gc
import importlib.metadata
import os
import selectors
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from django.core.cache import close_caches
from django.db import connections
from setproctitle import setproctitle

from .. import log
from ..errors import InvalidPayload, StoreError
from ..job import Job, new_id
from ..store import Answer, Reserved, Store
from . import entries
from .doorbell import Doorbell
from .entries import Death
from .ledger import Ledger
from .options import Options
from .output import Stderr
from .slot import Held, Slot
from .wakeup import Wakeup

BEAT = 5.0
"""Seconds between two heartbeats."""
SHOWN_AFTER = 0.05
"""Seconds after which a running job appears on the boards."""
FAREWELL = 1.0
"""Seconds that are left, after the grace period, to tell Redis what became of the jobs, and performers to end."""
ASKED_TWICE = 1.0
"""Seconds after a signal to stop in which another means the same: some programs send two."""

STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
"""The signals that end a worker."""
_SIGNALS = (*STOP, signal.SIGCHLD, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class Dispatcher:
    """Serves the queues of ``options`` from ``store`` until it is told to stop.

    `run` loops and `tick` is one round of it. When `run` returns, every job that was taken has ended or is back on its
    queue, unless Redis could not be told; that is logged.
    """

    def __init__(self, store: Store, options: Options) -> None:
        self.store = store
        self.options = options
        self.ledger = Ledger(store, performers=options.performers, queues=str(options.selection))
        stderr = Stderr()
        self.slots = [Slot(stderr) for _ in range(options.performers)]
        self.waiting: deque[Held] = deque()
        self.wakeup = Wakeup(_SIGNALS)
        self.selector = selectors.DefaultSelector()
        self.doorbell = Doorbell(store.bell(), self.selector)
        self.queues: list[str] = []
        self.hungry = True
        self.stopping = False
        self.asked_to_stop = 0.0
        self.stop_at: float | None = None
        self.next_poll = self.next_look = self.next_beat = 0.0
        self._paused = self._more_output = self._forked = False

    # -- the loop ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until a signal, or with ``burst`` an empty queue, ends it."""
        with self.wakeup, self._open():
            while not self.finished:
                self.tick(self.seconds_to_wait())

    @contextmanager
    def _open(self) -> Iterator[None]:
        self.selector.register(self.wakeup, selectors.EVENT_READ)
        setproctitle(f"{_title()}: Waiting for {log.clean(str(self.options.selection))}")
        if os.geteuid() == 0:
            log.worker_is_root()
        try:
            yield
        finally:
            self._dismiss()
            self.ledger.unregister()
            self.doorbell.bell.close()
            self.ledger.close()
            self.store.close()
            self.selector.close()
            for slot in self.slots:
                slot.forget()
            log.worker_stopped(self.ledger.name)

    def tick(self, seconds: float) -> None:
        """Wait up to ``seconds`` for something to happen, then do all there is to do."""
        self.wait(seconds)
        self.obey_signals()
        self.end_what_has_no_more_time()
        self.bury_the_dead()
        self.start_performers()
        self.follow_running_jobs()
        self.hand_over()
        self.keep_in_touch()
        if self.turn_is_due():
            self.take_turn()

    @property
    def finished(self) -> bool:
        """Whether all is done and told; or there is no time left for it."""
        if self.stop_at is not None and time.monotonic() >= self.stop_at + FAREWELL:
            return True
        return self.stopping and self.ledger.told and not self.running() and not self.waiting

    def wait(self, seconds: float) -> None:
        """Sleep until a signal, a report, the bell, or ``seconds`` later."""
        for key, _ in self.selector.select(seconds):
            if key.fileobj is self.doorbell.bell:
                self._hear_bell()
            elif isinstance(key.data, Slot):
                self._read_reports(key.data)

    def seconds_to_wait(self) -> float:
        """Until the next thing that is to be done although nothing happens."""
        now = time.monotonic()
        if self.turn_is_due() or self._more_output:
            return 0
        moments = [now + 1]
        if self.ledger.lost or not self.ledger.registered:
            moments.append(self.ledger.retry_at)
        else:
            moments += [self.next_beat, self.doorbell.next_look]
            if self.wanted():
                moments.append(self.next_poll)
        if self.stop_at is not None:
            moments.append(self.stop_at if now < self.stop_at else self.stop_at + FAREWELL)
        moments += [held.since + SHOWN_AFTER for _, held in self.running() if not held.shown]
        return max(0.0, min(moments) - now)

    # -- signals and stopping ----------------------------------------------------------------------------------------

    def obey_signals(self) -> None:
        """Do what the signals since the last round ask for."""
        for number in self.wakeup.received():
            if number in STOP:
                self._stop(number)
            elif number is not signal.SIGCHLD:
                log.signal_ignored(number.name)

    def _stop(self, number: signal.Signals) -> None:
        now = time.monotonic()
        if self.stopping:
            if number is not signal.SIGQUIT and now - self.asked_to_stop >= ASKED_TWICE:
                self.stop_at = now  # at once
            return
        self.asked_to_stop = now
        if number is not signal.SIGQUIT:
            self.stop_at = now + self.options.grace
        self.begin_to_stop(number.name)

    def begin_to_stop(self, reason: str) -> None:
        """Take no more jobs, and give back those that have not begun."""
        self.stopping = True
        for slot, _ in self.running():
            held = slot.take_back()
            if held is not None and not held.lost:
                self.waiting.append(held)
        self._give_back_waiting()
        log.worker_stopping(reason, len(self.running()))

    def end_what_has_no_more_time(self) -> None:
        """Kill the jobs that still run when the grace period is over; they are given back."""
        if self.stop_at is None or time.monotonic() < self.stop_at:
            return
        unfinished = [slot for slot, _ in self.running() if not slot.ending]
        if unfinished:
            log.grace_ended(len(unfinished))
        for slot in unfinished:
            slot.ending = True
            slot.kill()

    def _give_back_waiting(self) -> None:
        """Put the jobs that nobody is going to begin back at the head of their queues, in the order they had there."""
        for held in sorted(self.waiting, key=lambda held: held.order, reverse=True):
            self.ledger.tell(entries.given_back(self.slots[0].worker, held.reserved, held.job))
            log.job_given_back(held.job)
        self.waiting.clear()

    def _dismiss(self) -> None:
        """End the performers: those that wait end by themselves when their inbox is closed."""
        for slot in self.slots:
            slot.inbox.close()
        deadline = time.monotonic() + FAREWELL
        while any(slot.died() is None and slot.pid for slot in self.slots):
            if time.monotonic() > deadline:
                for slot in self.slots:
                    slot.kill()
            time.sleep(0.01)

    # -- performers --------------------------------------------------------------------------------------------------

    def start_performers(self) -> None:
        """Fork a performer wherever one is missing."""
        now = time.monotonic()
        for slot in self.slots:
            if slot.may_start(now) and not self.stopping:
                try:
                    self._start(slot)
                except OSError as error:  # no more processes, memory or descriptors just now
                    log.performer_not_started(error)
                    slot.wait_before_next_start()

    def _start(self, slot: Slot) -> None:
        if not self._forked:
            self._forked = True
            threads = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
            if threads:
                log.threads_at_fork(threads)
            gc.collect()
            gc.freeze()  # what is there now is shared with the children as long as their collectors do not touch it
        _close_connections()
        self.store.close()
        slot.start(
            title=_title(),
            max_jobs=self.options.max_jobs,
            max_rss=self.options.max_rss,
            forget=lambda: self._forget_in_child(slot),
        )
        self.selector.register(slot.reports.reader, selectors.EVENT_READ, slot)

    def _forget_in_child(self, own: Slot) -> None:
        self.selector.close()
        self.wakeup.close()
        self.doorbell.bell.close()
        self.ledger.close()
        for slot in self.slots:
            if slot is not own:
                slot.forget()

    def bury_the_dead(self) -> None:
        """Find performers that have ended, and decide what becomes of their jobs."""
        for slot in self.slots:
            code = slot.died()
            if code is not None:
                self._read_reports(slot)  # what it had reported before counts
                self._stop_listening(slot)
                self._bury(slot, Death(code))
        if self.stopping and not any(slot.ending for slot, _ in self.running()):
            self._give_back_waiting()

    def _bury(self, slot: Slot, death: Death) -> None:
        not_begun = slot.take_back()
        if not_begun is not None and not not_begun.lost:
            self.waiting.appendleft(not_begun)
        held, slot.held = slot.held, None
        if held is None:
            if not slot.leaving and not self.stopping:
                log.performer_died(str(death))
                slot.wait_before_next_start()
            return
        output = slot.output.finish(held.job.id)
        if held.lost:
            log.performer_died(str(death))
        elif slot.ending:
            self.waiting.append(held)
        else:
            self._crashed(slot, held, death, output)

    def _read_reports(self, slot: Slot) -> None:
        try:
            while (report := slot.report()) is not None:
                held = slot.held
                if held is None or held.reserved.token != report.token:
                    continue  # a command has written it
                slot.held = None
                output = slot.output.finish(held.job.id)
                if not held.lost:
                    self.ledger.tell(entries.ended(slot.worker, held.reserved, held.job, report, output))
        except EOFError:
            self._stop_listening(slot)
            slot.kill()  # whatever it still does, it cannot report

    def _stop_listening(self, slot: Slot) -> None:
        if slot.reports.reader in self.selector.get_map():
            self.selector.unregister(slot.reports.reader)

    def _crashed(self, slot: Slot, held: Held, death: Death, output: str) -> None:
        self.ledger.tell(entries.crashed(slot.worker, held.reserved, held.job, death, output))
        crashes = held.reserved.crashes + 1
        if crashes < self.store.config.max_crashes:
            log.job_crashed(held.job, str(death), crashes)
        else:
            log.job_poisoned(held.job, str(death), crashes)

    # -- jobs --------------------------------------------------------------------------------------------------------

    def running(self) -> list[tuple[Slot, Held]]:
        """The slots that have a job, with it."""
        return [(slot, slot.held) for slot in self.slots if slot.held is not None]

    def wanted(self) -> int:
        """How many jobs could be begun now."""
        if self.stopping:
            return 0
        return max(0, sum(slot.ready for slot in self.slots) - len(self.waiting))

    def hand_over(self) -> None:
        """Give the jobs that were reserved to the performers that are free."""
        if self.stopping:
            return
        for slot in self.slots:
            if self.waiting and slot.ready:
                self.waiting[0].since = time.monotonic()
                try:
                    slot.hand_over(self.waiting[0])
                except OSError as error:  # no more descriptors or memory just now; the next round tries again
                    log.performer_not_started(error)
                    return
                self.waiting.popleft()

    def follow_running_jobs(self) -> None:
        """Put jobs that take long on the boards, and their output on our stderr."""
        now = time.monotonic()
        self._more_output = False
        for slot, held in self.running():
            if now - held.since >= SHOWN_AFTER:
                self._more_output |= slot.output.copy(held.job.id)
                if not held.shown:
                    held.shown = True
                    if not held.lost:
                        self.ledger.tell(entries.running(slot.worker, held.reserved, held.job))

    # -- Redis -------------------------------------------------------------------------------------------------------

    def turn_is_due(self) -> bool:
        """Whether there is something to tell or to ask, and Redis may be spoken to."""
        now = time.monotonic()
        if now < self.ledger.retry_at:
            return False
        if not self.ledger.told:
            return True
        if not self.ledger.registered:
            return not self.stopping
        return bool(self.wanted()) and (self.hungry or now >= self.next_poll)

    def take_turn(self) -> None:
        """Tell Redis what became of the jobs, and take as many as can be begun."""
        if not self.ledger.registered and not self._register():
            return
        now = time.monotonic()
        if now >= self.next_look:
            self._look_for_queues()
        wanted = self.wanted()
        if wanted:
            self.next_poll = now + self.options.interval
        answer = self.ledger.turn(wanted, self.queues)
        if answer is not None:
            self._settle(answer)

    def _register(self) -> bool:
        if not self.ledger.register():
            return False
        for slot, worker in zip(self.slots, self.ledger.workers, strict=True):
            slot.worker = worker
        self.next_beat = time.monotonic() + BEAT
        log.worker_started(self.ledger.name, str(self.options.selection), len(self.slots))
        return True

    def _look_for_queues(self) -> None:
        """See which queues there are; those that ring are seen sooner, so every second poll is enough."""
        existing: list[str] = []
        if self.options.selection.changes:
            try:
                existing = self.store.queues.names()
            except StoreError:
                return  # the turn that follows meets the same trouble, and speaks of it
        self.next_look = time.monotonic() + 2 * self.options.interval
        self.queues = self.options.selection.among(existing)

    def _settle(self, answer: Answer) -> None:
        if answer.state == "gone":
            self._lose_everything()
            return
        self._notice_pause(answer.state == "paused")
        if answer.wanted:
            self.hungry = bool(answer.jobs)
        self.waiting.extend(Held(reserved, _readable(reserved)) for reserved in answer.jobs)
        if self.stopping:
            self._give_back_waiting()
        self.hand_over()
        if self.options.burst and not self.stopping:
            self._end_the_burst()

    def _end_the_burst(self) -> None:
        """Stop when nothing is left, in queues that have come into being meanwhile too."""
        if self.hungry or self.running() or not self.ledger.told:
            return
        before = self.queues
        if self.options.selection.changes and not self._paused:
            self._look_for_queues()
        if self.queues == before:
            self.begin_to_stop("burst")
        else:
            self.hungry = True

    def _lose_everything(self) -> None:
        """Another has given our jobs away: what runs goes on and is not reported, what waits is forgotten."""
        self.waiting.clear()
        for slot, held in self.running():
            if slot.take_back() is None:
                held.lost = True
        self.hungry = True

    def _notice_pause(self, paused: bool) -> None:
        if paused and not self._paused:
            log.all_paused()
        self._paused = paused

    def keep_in_touch(self) -> None:
        """Heartbeats, and the bell."""
        now = time.monotonic()
        if not self.ledger.registered or self.ledger.lost:
            return
        if now >= self.next_beat:
            self.next_beat = now + BEAT
            for worker in self.ledger.workers:
                self.ledger.tell(entries.beat(worker, self.ledger.now()))
        if not self.stopping and self.doorbell.tend(now):
            self.hungry = True

    def _hear_bell(self) -> None:
        rung = self.doorbell.rung(time.monotonic())
        if rung:
            self.hungry = True
            if self.options.selection.changes and not rung <= set(self.queues):
                self.next_look = 0.0  # a queue that we have not seen yet


def _readable(reserved: Reserved) -> Job:
    """The job in the payload, or a stand-in when there is none; the performer will say what is wrong with it."""
    try:
        return Job.from_payload(reserved.payload, reserved.queue)
    except InvalidPayload:
        return Job("(unreadable payload)", queue=reserved.queue, id=new_id())


def _close_connections() -> None:
    """Close what a child must not inherit: closing its copy there would end the session here."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        if hasattr(connection, "close_pool"):
            connection.close_pool()
    close_caches()


@cache
def _title() -> str:
    """What our process titles begin with. Ruby's workers know by ``resque-`` and a digit that a pid is a worker's."""
    try:
        version = importlib.metadata.version("django_resque")
    except importlib.metadata.PackageNotFoundError:
        version = "0"
    return f"resque-{version} [django]"
