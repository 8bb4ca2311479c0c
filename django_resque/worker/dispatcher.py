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
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache

from django.core.cache import close_caches
from django.db import connections
from setproctitle import setproctitle

from .. import log
from ..job import MAX_READABLE
from ..limits import limits_of
from ..store import Answer, Entry, Reserved, Store, Turn
from . import descendants, entries
from .chores import Chores
from .doorbell import Doorbell
from .entries import Death
from .ledger import MAX_ENTRIES, Ledger
from .mailbox import Mailbox
from .options import Options
from .output import Stderr
from .pace import MOST, WORK, Pace
from .reaper import Reaper
from .slot import Child, Held, Slot, kill
from .wakeup import Wakeup

SHOWN_AFTER = 0.05
"""Seconds after which a running job appears on the boards, and the jobs behind it are taken back."""
FAREWELL = 1.0
"""Seconds that are left, after the grace period, to tell Redis what became of the jobs, and performers to end."""
ASKED_TWICE = 1.0
"""Seconds after a signal to stop in which another means the same: some programs send two."""
KILLED_AFTER = 10.0
"""Seconds after its timeout at which a job that still runs is killed."""
LOOK = 1.0
"""Seconds between two looks at which other worker processes there are, and whether they live."""
MOST_PACES = 10_000
"""Queues of which it is remembered how long their jobs take."""
MANY = 8
"""Jobs given to a slot at once from which on their reports are read together."""
LATE = 0.005
"""Seconds that the end of a job may go untold while there is work."""

STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
"""The signals that end a worker."""
_PAUSE = (signal.SIGUSR2, signal.SIGTSTP)
_SIGNALS = (*STOP, *_PAUSE, signal.SIGCONT, signal.SIGUSR1, signal.SIGCHLD, signal.SIGHUP)


class Dispatcher:
    """Serves the queues of ``options`` from ``store`` until it is told to stop.

    `run` loops and `tick` is one round of it. When `run` returns, every job that was taken has ended or is back on its
    queue, unless Redis could not be told; that is logged.
    """

    def __init__(self, store: Store, options: Options) -> None:
        self.store = store
        self.options = options
        self.wakeup = Wakeup(_SIGNALS)
        self.selector = selectors.DefaultSelector()
        self.mailbox: Mailbox[tuple[Slot, Child]] = Mailbox(self.selector)
        self.ledger = Ledger(store, self.selector, performers=options.performers, queues=str(options.selection))
        self.reaper = Reaper(self.ledger, store.config)
        self.chores = Chores(self.ledger, store)
        self.doorbell = Doorbell(store.bell(), self.selector)
        stderr = Stderr(quiet=options.quiet_jobs)
        self.slots = [Slot(stderr, options) for _ in range(options.performers)]
        self.waiting: list[Held] = []
        self.starting: dict[str, Held] = {}
        self.interrupted: dict[Held, Entry] = {}
        self.paces: dict[str, Pace] = {}
        self.queues: list[str] = options.selection.among(())
        self.hungry = True
        self.paused = False
        self.stopping = False
        self.stop_at: float | None = None
        self._asked_to_stop = 0.0
        self._look_every = min(LOOK, store.config.beat / 2)
        self._next_poll = self._next_look = self._next_beat = 0.0
        self._new_queues = options.selection.changes
        self._missing = self._recovers = self._rung = self._all_paused = self._more_output = self._forked = (
            self._deaths
        ) = False

    # -- the loop ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until a signal, or with ``burst`` an empty queue, ends it."""
        with self.wakeup, self._open():
            while not self.finished:
                self.tick(self.seconds_to_wait())

    @contextmanager
    def _open(self) -> Iterator[None]:
        self.selector.register(self.wakeup, selectors.EVENT_READ)
        descendants.become_subreaper()
        descendants.sweep()
        self._show("Waiting for " + log.clean(str(self.options.selection)))
        if os.geteuid() == 0:
            log.worker_is_root()
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, STOP)  # one more of them must not spoil an orderly end
            self._dismiss()
            self.ledger.unregister()
            self.doorbell.bell.close()
            self.ledger.close()
            self.store.close()
            self.mailbox.close()
            self.selector.close()
            for slot in self.slots:
                slot.forget()
            log.worker_stopped(self.ledger.name)

    def tick(self, seconds: float) -> None:
        """Wait up to ``seconds`` for something to happen, then do all there is to do."""
        self.wait(seconds)
        now = time.monotonic()
        self.obey_signals()
        self.end_what_has_no_more_time(now)
        self.bury_the_dead()
        self.start_performers(now)
        self.follow_running_jobs(now)
        self.hand_over()
        self.keep_in_touch(now)
        self.speak(now)

    @property
    def finished(self) -> bool:
        """Whether all is done and told; or there is no time left for it."""
        if self.stop_at is not None and time.monotonic() >= self.stop_at + FAREWELL:
            return True
        if not self.stopping or self.waiting or self.starting or self.interrupted or not self.ledger.told:
            return False
        return not any(slot.held for slot in self.slots)

    def wait(self, seconds: float) -> None:
        """Sleep until a signal, a report, an answer, the bell, or ``seconds`` later."""
        patience = self._patience()
        self.mailbox.look_away(patience > 0)
        for key, _ in self.selector.select(min(seconds, patience) if patience else seconds):
            if key.data is self.ledger:
                self.ledger.progress()
            elif key.fileobj is self.doorbell.bell:
                self._hear_bell()
        for slot, child in self.mailbox.owners():
            self._read_reports(slot, child)

    def _patience(self) -> float:
        """Seconds in which no performer runs out of jobs, so that their reports can wait; 0 when one might."""
        if self.stopping:
            return 0
        least = LATE
        for slot in self.slots:
            if slot.held:
                spare = len(slot.held) - slot.target / 2
                if slot.target < MANY or spare <= 0:
                    return 0
                least = min(least, spare * WORK / slot.target)
        return least if any(slot.held for slot in self.slots) else 0

    def seconds_to_wait(self) -> float:
        """Until the next thing that is to be done although nothing happens."""
        now = time.monotonic()
        if self._more_output or (self.ledger.free and not self.ledger.registered and not self.stopping):
            return 0
        moments = [now + LOOK]
        if self.ledger.free and self.ledger.registered:
            if self.reaper.has_work or self.chores.has_work or self._has_to_speak(now):
                return 0
            moments += [self._next_look, self._next_beat]
            if self.ledger.untold:
                moments.append(self.ledger.oldest + LATE)
            if self._starving() and self._wanted():
                moments.append(self._next_poll)
        elif self.ledger.wakes_at is not None:
            moments.append(self.ledger.wakes_at)
        if self.ledger.registered and not self.ledger.lost and not self.stopping:
            moments.append(self.doorbell.next_look)
        if self.stop_at is not None:
            moments.append(self.stop_at if now < self.stop_at else self.stop_at + FAREWELL)
        for slot in self.slots:
            if slot.held:
                first = slot.held[0]
                if not first.shown:
                    moments.append(first.since + SHOWN_AFTER)
                if len(slot.held) > 1 and now < slot.held[1].given_at + SHOWN_AFTER:
                    moments.append(slot.held[1].given_at + SHOWN_AFTER)
                if first.limits.timeout is not None and slot.child is not None and not slot.child.ending:
                    moments.append(first.since + first.limits.timeout + KILLED_AFTER)
        return max(0.0, min(moments) - now)

    # -- signals and stopping ----------------------------------------------------------------------------------------

    def obey_signals(self) -> None:
        """Do what the signals since the last round ask for."""
        for number in self.wakeup.received():
            if number in STOP:
                self._stop(number)
            elif number in _PAUSE:
                self.pause(number.name)
            elif number is signal.SIGCONT:
                self.resume(number.name)
            elif number is signal.SIGUSR1:
                self.end_running_jobs(number.name)
            elif number is signal.SIGCHLD:
                self._deaths = True
            else:
                log.signal_ignored(number.name)

    def _stop(self, number: signal.Signals) -> None:
        now = time.monotonic()
        if self.stopping:
            if number is not signal.SIGQUIT and now - self._asked_to_stop >= ASKED_TWICE:
                self.stop_at = now  # at once
            return
        self._asked_to_stop = now
        if number is not signal.SIGQUIT:
            self.stop_at = now + self.options.grace
        self.begin_to_stop(number.name)

    def begin_to_stop(self, reason: str) -> None:
        """Take no more jobs, and give back those that have not begun."""
        self.stopping = True
        self._give_back_all()
        log.worker_stopping(reason, sum(bool(slot.held) for slot in self.slots))

    def pause(self, reason: str) -> None:
        """Finish what runs, give back what has not begun, take no more until `resume`."""
        if self.paused or self.stopping:
            return
        self.paused = True
        self._give_back_all()
        self._show("Paused")
        log.worker_paused(reason)

    def resume(self, reason: str) -> None:
        """Take jobs again."""
        if self.paused:
            self.paused, self.hungry = False, True
            self._show("Waiting for " + log.clean(str(self.options.selection)))
            log.worker_resumed(reason)

    def end_running_jobs(self, reason: str) -> None:
        """Kill the performers that have a job; it becomes a failure."""
        for slot in self.slots:
            self.waiting += slot.take_back()
            if slot.held and slot.child is not None and not slot.child.ending:
                log.job_ended(slot.held[0].job, reason)
                self._end(slot.child, "demand")

    def end_what_has_no_more_time(self, now: float) -> None:
        """Kill the jobs that still run when the grace period is over, or well after their timeout."""
        for slot in self.slots:
            child = slot.child
            if not slot.held or child is None or child.ending:
                continue
            first = slot.held[0]
            if self.stop_at is not None and now >= self.stop_at:
                log.grace_ended(first.job)
                self._end(child, "stop")
            elif first.limits.timeout is not None and now >= first.since + first.limits.timeout + KILLED_AFTER:
                self.waiting += slot.take_back()
                if slot.held:
                    log.job_killed_after_timeout(first.job, first.limits.timeout)
                    self._end(child, "timeout")

    def _end(self, child: Child, why: str) -> None:
        child.ending = why
        kill(child)

    def _give_back_all(self) -> None:
        """Put the jobs that nobody has begun back at the head of their queues, in the order they had there."""
        for slot in self.slots:
            self.waiting += slot.take_back()
        self._give_back(self.waiting)
        self.waiting = []

    def _give_back(self, jobs: list[Held]) -> None:
        for held in sorted(jobs, key=lambda held: entries.order(held.reserved), reverse=True):
            if not held.lost:
                self.ledger.tell(entries.given_back(self.slots[0].worker, held.reserved, held.job))

    def _dismiss(self) -> None:
        """End the performers: those that wait end by themselves when their inbox is closed."""
        for slot in self.slots:
            slot.inbox.close()
            if slot.spare is not None and slot.spare.gate is not None:
                slot.spare.gate.close()
        deadline = time.monotonic() + FAREWELL
        while self._reap():
            if time.monotonic() > deadline + FAREWELL:
                break  # the kernel does not let it go; it dies when it does
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

    # -- performers --------------------------------------------------------------------------------------------------

    def start_performers(self, now: float) -> None:
        """Fork a performer wherever one is missing, or will be."""
        if self.stopping:
            return
        for slot in self.slots:
            if slot.lacks_performer(now) or slot.lacks_spare:
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
        child = slot.start(title=_title(), forget=lambda: self._forget_in_child(slot))
        self.mailbox.add(child.reports.reader, (slot, child))

    def _forget_in_child(self, own: Slot) -> None:
        self.mailbox.close()
        self.selector.close()
        self.wakeup.close()
        self.doorbell.bell.close()
        self.ledger.close()
        for slot in self.slots:
            if slot is not own:
                slot.forget()

    def bury_the_dead(self) -> None:
        """Find performers that have ended, and decide what becomes of their jobs."""
        if not self._deaths:
            return
        self._deaths = False
        for slot in self.slots:
            for child in list(slot.children):
                code = _exit_code(child)
                if code is not None:
                    self._read_reports(slot, child)  # what it had reported before counts
                    self._stop_listening(child)
                    self._bury(slot, child, Death(code))
        descendants.end_orphans({child.pid for slot in self.slots for child in slot.children})
        if not any(child.ending for slot in self.slots for child in slot.children):
            self._give_back_interrupted()

    def _give_back_interrupted(self) -> None:
        """Put the jobs that were killed to stop in time back at the head of their queues, in the order they had."""
        for held in sorted(self.interrupted, key=lambda held: entries.order(held.reserved), reverse=True):
            self.ledger.tell(self.interrupted[held])
        self.interrupted.clear()

    def _bury(self, slot: Slot, child: Child, death: Death) -> None:
        if child is not slot.child:  # one that leaves, or a spare one
            slot.remove(child)
            if not child.leaving and not self.stopping:
                log.performer_died(str(death))
            return
        self.waiting += slot.take_back()  # before a spare one takes its place, and takes from the inbox
        begun, slot.held = slot.held, deque()
        slot.remove(child)
        if not begun:
            if not child.leaving and not self.stopping:
                log.performer_died(str(death))
                slot.wait_before_next_start(child)
        else:
            held = begun.popleft()
            output = slot.output.finish(held.job.id, slot.output.size())
            if held.lost:
                log.performer_died(str(death))
            else:
                self._tell_of_death(slot, child, held, death, output)
            self.waiting += begun  # a command has taken them out of its inbox and told nobody
        if self.stopping or self.paused:
            self._give_back_all()

    def _tell_of_death(self, slot: Slot, child: Child, held: Held, death: Death, output: bytes) -> None:
        worker, reserved, job = slot.worker, held.reserved, held.job
        if child.ending == "stop" and held.at_most_once:
            self.ledger.tell(entries.interrupted_for_good(worker, reserved, job, output))
            log.job_refused(job, "ended with the grace period, and on_crash is 'fail'")
        elif child.ending == "stop":
            self.interrupted[held] = entries.interrupted(worker, reserved, job, output)
            log.job_given_back(job)
        elif child.ending == "timeout" and held.limits.timeout is not None:
            self.ledger.tell(entries.timed_out(worker, reserved, job, held.limits.timeout, output))
        elif child.ending:
            self.ledger.tell(entries.put_to_an_end(worker, reserved, job, output))
        elif held.at_most_once:
            self.ledger.tell(entries.crashed_for_good(worker, reserved, job, death, output))
            log.job_crashed_for_good(job, str(death))
        else:
            self.ledger.tell(entries.crashed(worker, reserved, job, death, output))
            crashes = (reserved.crashes or 0) + 1
            said = log.job_crashed if crashes < self.store.config.max_crashes else log.job_poisoned
            said(job, str(death), crashes)

    def _read_reports(self, slot: Slot, child: Child) -> None:
        try:
            while (report := slot.report(child)) is not None:
                if not slot.held or slot.held[0].reserved.token != report.token:
                    continue  # a command has written it
                held = slot.held.popleft()
                output = slot.output.finish(held.job.id, report.output_end)
                if not held.lost:
                    self.ledger.tell(entries.ended(slot.worker, held.reserved, held.job, report, output))
                self._pace(held.job.queue).took(report.duration)
                if slot.held:
                    slot.held[0].since = time.monotonic()
                if report.leaving:
                    child.leaving = True
                    if child is slot.child:
                        slot.dismiss()
        except EOFError:
            self._stop_listening(child)
            kill(child)  # whatever it still does, it cannot report
            self._deaths = True

    def _stop_listening(self, child: Child) -> None:
        self.mailbox.remove(child.reports.reader)

    # -- jobs --------------------------------------------------------------------------------------------------------

    def hand_over(self, most: int = MOST) -> None:
        """Give the jobs that were reserved to the performers that have room, the freest first, and ``most`` to each."""
        if not self.waiting or self.stopping or self.paused:
            return
        if time.monotonic() - self.ledger.heard_at > self.store.config.lease:
            return  # after a long silence they may be somebody else's by now; the next answer will tell
        self.waiting.sort(key=lambda held: entries.order(held.reserved))
        for at, held in enumerate(self.waiting):
            batch = min(most, self._pace(held.job.queue).batch)
            slot = min((slot for slot in self.slots if slot.room), key=lambda slot: len(slot.held), default=None)
            if slot is None or len(slot.held) >= batch:
                del self.waiting[:at]
                return
            slot.target = batch
            try:
                slot.hand_over(held)
            except OSError as error:  # no more descriptors or memory just now; the next round tries again
                log.performer_not_started(error)
                del self.waiting[:at]
                return
        self.waiting.clear()

    def _pace(self, queue: str) -> Pace:
        if queue not in self.paces:
            if len(self.paces) >= MOST_PACES:
                self.paces.clear()
            self.paces[queue] = Pace()
        return self.paces[queue]

    def follow_running_jobs(self, now: float) -> None:
        """Put jobs that take long on the boards, their output on our stderr, and take back what waits behind them."""
        self._more_output = False
        for slot in self.slots:
            if len(slot.held) > 1 and now - slot.held[1].given_at >= SHOWN_AFTER:
                self._take_back_behind(slot)
            if not slot.held or now - slot.held[0].since < SHOWN_AFTER:
                continue
            held = slot.held[0]
            written = slot.output.size()
            if slot.child is not None:
                self._read_reports(slot, slot.child)  # what was written may be another job's by now
            if not slot.held or slot.held[0] is not held:
                continue
            self._more_output |= slot.output.copy(held.job.id, written)
            if not held.shown:
                held.shown = True
                if not held.lost:
                    self.ledger.tell(entries.running(slot.worker, held.reserved, held.job))

    def _take_back_behind(self, slot: Slot) -> None:
        """Give the jobs that have waited too long behind another to another slot, or back to their queue."""
        taken = slot.take_back()
        for queue in {held.job.queue for held in taken}:
            self._pace(queue).gave_back()
        self.waiting += taken
        self.hand_over(most=1)
        self._give_back(self.waiting)
        self.waiting = []

    # -- Redis -------------------------------------------------------------------------------------------------------

    def speak(self, now: float) -> None:
        """Make the next request to Redis, when there is one to make and it may be made."""
        self.ledger.tick(now)
        if not self.ledger.free:
            return
        if not self.ledger.registered:
            if not self.stopping:
                self.ledger.register(self._registered)
        elif self._recovers and not self.stopping:
            self._recovers = self._missing = False
            self.ledger.ask(self.ledger.reservations.mine(), self._recover)
        elif self.reaper.has_work and not self.stopping:
            self.reaper.work()
            self.hungry = True  # what it gives back may be for us
        elif self._has_to_speak(now):
            self._take_turn(now)
        elif self.chores.has_work and not self.stopping:
            self.chores.work()

    def _has_to_speak(self, now: float) -> bool:
        ledger = self.ledger
        if not ledger.registered:
            return not self.stopping
        if ledger.untold and (
            self.stopping or ledger.untold >= MAX_ENTRIES // 2 or now - ledger.oldest >= LATE or self._starving()
        ):
            return True
        if now >= self._next_look or now >= self._next_beat:
            return True
        return (self.hungry or now >= self._next_poll) and self._starving() and bool(self._wanted())

    def _starving(self) -> bool:
        """Whether a performer has nothing to do, or will soon have nothing."""
        return any(slot.room and 2 * len(slot.held) <= slot.target for slot in self.slots)

    def _wanted(self) -> dict[str, int]:
        """How many jobs of each queue could be begun, or given to a performer to begin soon."""
        if self.stopping or self.paused or self.waiting:
            return {}
        slots = [(len(slot.held), slot.room) for slot in self.slots if slot.room]
        wanted: dict[str, int] = {}
        for queue in reversed(self.queues):
            batch = self.paces[queue].batch if queue in self.paces else 1
            count = sum(max(0, min(batch - held, room)) for held, room in slots) - len(self.starting)
            if wanted:  # something of a lower queue: never before a job of this one, even if that has to wait a moment
                count = max(1, count)
            if count > 0:
                wanted[queue] = min(count, MOST)
        return {queue: wanted[queue] for queue in self.queues if queue in wanted}

    def _take_turn(self, now: float) -> None:
        """Tell Redis what became of the jobs, and take as many as can be given to performers."""
        asks = self.hungry or now >= self._next_poll
        wanted = self._wanted() if asks else {}
        if wanted:
            self._next_poll = now + self.options.interval
        renew = now >= self._next_beat
        if renew:
            self._next_beat = now + self.store.config.beat
            for worker in self.ledger.workers:
                self.ledger.tell(entries.beat(worker, self.ledger.now()))
        look = now >= self._next_look
        if look:
            self._next_look = now + self._look_every
        look_queues = self._new_queues or (look and self.options.selection.changes)
        self._new_queues = self._rung = False
        self.ledger.turn(wanted, self._settle, renew=renew, look=look or look_queues, look_queues=look_queues)

    def _registered(self) -> None:
        for slot, worker in zip(self.slots, self.ledger.workers, strict=True):
            slot.worker = worker
        self._next_beat = self._next_look = 0.0
        self._new_queues = self.options.selection.changes
        log.worker_started(self.ledger.name, str(self.options.selection), len(self.slots))

    def _settle(self, turn: Turn, answer: Answer) -> None:
        now = time.monotonic()
        if answer.state == "gone":
            self._lose_everything()
            return
        self._notice_pause(answer.state == "paused")
        self._let_begin(turn, answer)
        if answer.look is not None:
            self._account(answer)
        if turn.queues:
            self.hungry = self._rung or bool(answer.jobs)
        if answer.look is not None:
            self.reaper.look(answer.look, answer.time, now)
            if self.reaper.look_around(now):
                descendants.sweep()
            self.chores.look(answer.look.failures, now)
            if answer.look.queues is not None:
                self._see_queues(answer.look.queues)
        for reserved in answer.jobs:
            self._receive(reserved)
        if answer.jobs and len(answer.jobs) >= dict(turn.queues).get(answer.jobs[0].queue, 0):
            self._pace(answer.jobs[0].queue).filled()
        if self.stopping or self.paused:
            self._give_back_all()
        self.hand_over()
        if self.options.burst and not self.stopping:
            self._end_the_burst(turn)

    def _account(self, answer: Answer) -> None:
        """Find jobs that Redis has as ours and we have not: after a failover it may have forgotten that they ended."""
        missing = answer.reservations > len(self._known()) + len(answer.jobs)
        self._recovers, self._missing = missing and self._missing, missing  # seen twice, it is no coincidence

    def _known(self) -> set[str]:
        """The tokens of the jobs that are here, and of those of which something is still to be told."""
        tokens = {held.reserved.token for slot in self.slots for held in slot.held if not held.lost}
        tokens.update(held.reserved.token for held in (*self.waiting, *self.starting.values(), *self.interrupted))
        return tokens | self.ledger.untold_tokens()

    def _recover(self, found: list[Reserved] | None) -> None:
        known = self._known()
        for reserved in found or ():
            if reserved.token not in known:
                self.ledger.tell(entries.recovered("", reserved))
                log.job_recovered(reserved.token, reserved.queue)

    def _receive(self, reserved: Reserved) -> None:
        worker, job = self.slots[0].worker, entries.readable(reserved)
        held = Held(reserved, job, limits_of(job, self.options.commands.get(job.command), self.store.config))
        if len(reserved.payload) > MAX_READABLE:
            log.job_refused(job, "its payload is too large")
            self.ledger.tell(entries.too_large(worker, reserved, job))
        elif held.at_most_once:
            self.starting[reserved.token] = held
            self.ledger.tell(entries.start(worker, reserved, job))
        else:
            self.waiting.append(held)

    def _let_begin(self, turn: Turn, answer: Answer) -> None:
        """The jobs whose start is known now may begin."""
        for entry in turn.entries:
            if entry.kind == "start":
                held = self.starting.pop(entry.token, None)
                if held is not None and entry.token not in answer.refused:
                    held.started = True
                    self.waiting.append(held)

    def _see_queues(self, existing: Iterable[str]) -> None:
        queues = self.options.selection.among(existing)
        self.hungry |= queues != self.queues
        self.queues = queues

    def _end_the_burst(self, turn: Turn) -> None:
        """Stop when nothing is left, in queues that have come into being meanwhile too."""
        if self.hungry or self.waiting or self.starting or self.ledger.untold or any(s.held for s in self.slots):
            return
        if self.reaper.has_work:
            return  # what a dead worker process held may be for us
        if self.options.selection.changes and not turn.look_queues and not self._all_paused:
            self._new_queues = self.hungry = True
        elif turn.queues or not self.queues:
            self.begin_to_stop("burst")

    def _lose_everything(self) -> None:
        """Another has given our jobs away: what runs goes on and is not reported, what waits is forgotten."""
        self.waiting.clear()
        self.starting.clear()
        self.interrupted.clear()
        for slot in self.slots:
            slot.take_back()
            for held in slot.held:
                held.lost = True
        self.hungry = True

    def _notice_pause(self, paused: bool) -> None:
        if paused and not self._all_paused:
            log.all_paused()
        self._all_paused = paused

    def keep_in_touch(self, now: float) -> None:
        """The bell."""
        if not self.ledger.registered or self.ledger.lost:
            return
        if not self.stopping:
            self.doorbell.tend(now)

    def _hear_bell(self) -> None:
        rung = self.doorbell.rung(time.monotonic())
        if rung:
            self.hungry = self._rung = True
            if self.options.selection.changes and not rung <= set(self.queues):
                self._new_queues = True  # a queue that we have not seen yet

    def _show(self, what: str) -> None:
        setproctitle(f"{_title()}: {what}")


def _exit_code(child: Child) -> int | None:
    """How a performer ended, negative for a signal; None while it lives. Only once for each."""
    pid, status = os.waitpid(child.pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if pid else None


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
    return f"resque-{version} [django {descendants.mark()}]"
