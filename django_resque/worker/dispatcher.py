"""The parent process: one loop over the performers, Redis, signals and timers."""

from __future__ import annotations

import importlib.metadata
import os
import selectors
import signal
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

from setproctitle import setproctitle

from .. import log
from ..job import MAX_READABLE
from ..limits import limits_of
from ..signals import send_safely, worker_started, worker_stopped
from ..store import Answer, Reserved, Store, Turn
from . import descendants, entries, machine
from .chores import Chores
from .control import Control
from .crew import KILLED_AFTER, SHOWN_AFTER, Crew
from .doorbell import Doorbell
from .intake import Intake
from .ledger import MAX_ENTRIES, Ledger
from .options import Options
from .pace import MOST
from .reaper import Reaper
from .scheduling import Scheduling
from .slot import Held, Slot
from .tally import Tally
from .wakeup import Wakeup

FAREWELL = 1.0
"""Seconds that are left, after the grace period, to tell Redis what became of the jobs, and performers to end."""
ASKED_TWICE = 1.0
"""Seconds after a signal to stop in which another means the same: some programs send two."""
LOOK = 1.0
"""Seconds between two looks at which other worker processes there are, and whether they live."""
LATE = 0.005
"""Seconds that the end of a job may go untold while there is work."""

BETWEEN_CHORES = 0.005
"""Seconds between two requests that concern no job of our own, while there are jobs of our own."""

_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_PAUSE = (signal.SIGUSR2, signal.SIGTSTP)
_SIGNALS = (*_STOP, *_PAUSE, signal.SIGCONT, signal.SIGUSR1, signal.SIGCHLD, signal.SIGHUP)


class Dispatcher:
    """Serves the queues of ``options`` from ``store`` until it is told to stop.

    `run` loops and `tick` is one round of it. When `run` returns, every job that was taken has ended or is back on its
    queue, unless Redis could not be told; that is logged.

    ``waiting`` are jobs that no performer has been given, ``returning`` those that go back to their queues,
    ``starting`` those that must not begin before Redis knows.
    """

    def __init__(self, store: Store, options: Options) -> None:
        self.store = store
        self.options = options
        self.title = f"resque-{_version()} [django {descendants.mark()}]"
        self.wakeup = Wakeup(_SIGNALS)
        self.selector = selectors.DefaultSelector()
        self.ledger = Ledger(
            store,
            self.selector,
            performers=options.performers,
            queues=str(options.selection),
            info={**options.info, "version": _version()},
        )
        self.intake = Intake(options)
        self.crew = Crew(
            options, store.config, self.selector, self.ledger, self.intake, title=self.title, forget=self._forget
        )
        self.doorbell = Doorbell(store.bell(), self.selector)
        self.tally = Tally()
        self.reaper = Reaper(self.ledger, store.config, self.tally, self.crew.announce)
        self.chores = Chores(self.ledger, store)
        self.scheduling = Scheduling(store, self.ledger.ask) if options.scheduler else None
        self.control = Control()
        self.waiting: list[Held] = []
        self.returning: list[Held] = []
        self.starting: dict[str, Held] = {}
        self.paused = False
        self.stopping = False
        self.stop_at: float | None = None
        self._asked_to_stop = 0.0
        self._look_every = min(LOOK, store.config.beat / 2)
        self._next_look = self._next_beat = self._next_chore = 0.0
        self._all_paused = False
        self._told_mode = "running"
        self._missing = self._recovers = False

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
        self._show(self._waits_for)
        if os.geteuid() == 0:
            log.worker_is_root()
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)  # one more of them must not spoil an orderly end
            self.crew.dismiss()
            if worker_stopped.receivers:
                log.signal_receivers_failed(send_safely(worker_stopped, None, worker=self.ledger.name))
            if self.scheduling is not None:
                self.ledger.ask_at_the_end(self.scheduling.release())
            self._give_back()
            self.ledger.unregister()
            self.crew.close()
            self.doorbell.bell.close()
            self.ledger.close()
            self.store.close()
            self.selector.close()
            log.worker_stopped(self.ledger.name)

    def _forget(self) -> None:
        """In a performer, close what it has inherited of this."""
        self.selector.close()
        self.wakeup.close()
        self.doorbell.bell.close()
        self.ledger.close()
        self.store.close()

    def tick(self, seconds: float) -> None:
        """Wait up to ``seconds`` for something to happen, then do all there is to do."""
        self.wait(seconds)
        now = time.monotonic()
        self.obey_signals()
        self.end_what_has_no_more_time(now)
        self.care_for_performers(now)
        self.take_back_what_waits_too_long(now)
        self.hand_over()
        if self.ledger.registered and not self.ledger.lost and not self.stopping:
            self.doorbell.tend(now)
        self.speak(now)

    @property
    def finished(self) -> bool:
        """Whether all is done and told; or there is no time left for it."""
        if self.stop_at is not None and time.monotonic() >= self.stop_at + FAREWELL:
            return True
        to_be_counted = self.tally.pending and self.ledger.registered and not self.ledger.lost
        return self._all_told and not to_be_counted

    @property
    def _all_told(self) -> bool:
        """Whether this is the end, and of every job it is known what became of it."""
        return (
            self.stopping
            and not (self.waiting or self.returning or self.starting or self.crew.busy)
            and self.ledger.told
        )

    def wait(self, seconds: float) -> None:
        """Sleep until a signal, a report, an answer, the bell, or ``seconds`` later."""
        patience = 0 if self.stopping else self.crew.patience(LATE)
        self.crew.look_away(patience > 0)
        for key, _ in self.selector.select(min(seconds, patience) if patience else seconds):
            if key.data is self.ledger:
                self.ledger.progress()
            elif key.fileobj is self.doorbell.bell:
                self._hear(self.doorbell.rung(time.monotonic()))
        self.crew.hear()

    def _hear(self, rung: set[str]) -> None:
        queues = {name for name in rung if not name.startswith(":")}
        if queues:
            self.intake.ring(queues)
        if {":due", ":schedule", f":control {self.ledger.name}"} & rung:
            self._next_look = 0.0

    def seconds_to_wait(self) -> float:
        """Until the next thing that is to be done although nothing happens."""
        now = time.monotonic()
        if self.crew.more_output:
            return 0
        moments = [now + LOOK, *self.crew.moments(now)]
        if self.ledger.free:
            if self._has_to_speak(now) or (not self.stopping and (self.reaper.has_work or self._has_chores(now))):
                return 0
            if self.ledger.registered:
                moments += [self._next_look, self._next_beat]
                if self.scheduling is not None and self.scheduling.next_at is not None and not self.stopping:
                    moments.append(self.scheduling.next_at)
            if self.ledger.untold:
                moments.append(self.ledger.oldest + LATE)
            if self.crew.starving and self._wanted():
                moments.append(self.intake.next_poll)
        elif self.ledger.wakes_at is not None:
            moments.append(self.ledger.wakes_at)
        if self.ledger.registered and not self.ledger.lost and not self.stopping:
            moments.append(self.doorbell.next_look)
        if self.stop_at is not None:
            moments.append(self.stop_at if now < self.stop_at else self.stop_at + FAREWELL)
        return max(0.0, min(moments) - now)

    # -- signals and stopping ----------------------------------------------------------------------------------------

    def obey_signals(self) -> None:
        """Do what the signals since the last round ask for."""
        for number in self.wakeup.received():
            if number in _STOP:
                self._stop(number)
            elif number in _PAUSE:
                self.pause(number.name)
            elif number is signal.SIGCONT:
                self.resume(number.name)
            elif number is signal.SIGUSR1:
                self.end_running_jobs(number.name)
            elif number is signal.SIGCHLD:
                self.crew.deaths = True
            elif number is not signal.SIGHUP or not log.reopen():
                log.signal_ignored(number.name)

    def _stop(self, number: signal.Signals) -> None:
        now = time.monotonic()
        if number is not signal.SIGQUIT:
            if self.stop_at is None:
                self._asked_to_stop, self.stop_at = now, now + self.options.grace
            elif now - self._asked_to_stop >= ASKED_TWICE:
                self.stop_at = now  # at once
        if not self.stopping:
            self.begin_to_stop(number.name)

    def begin_to_stop(self, reason: str) -> None:
        """Take no more jobs, and give back those that have not begun."""
        self.stopping = True
        self.waiting += self.crew.take_back()
        log.worker_stopping(reason, self.crew.running)

    def pause(self, reason: str) -> None:
        """Finish what runs, give back what has not begun, take no more until `resume`."""
        if not self.paused and not self.stopping:
            self.paused = True
            self.waiting += self.crew.take_back()
            self._show("Paused")
            log.worker_paused(reason)

    def resume(self, reason: str) -> None:
        """Take jobs again."""
        if self.paused:
            self.paused, self.intake.hungry = False, True
            self._show(self._waits_for)
            log.worker_resumed(reason)

    def end_running_jobs(self, reason: str) -> list[str]:
        """Kill the performers that have a job; it becomes a failure. Gives the ids of these jobs."""
        self.waiting += self.crew.take_back()
        slots = self._slots_with_a_job()
        for slot in slots:
            log.job_ended(slot.held[0].job, reason)
            self.crew.end(slot, "demand")
        return [slot.held[0].job.id for slot in slots]

    def end_job(self, job_id: str) -> bool:
        """Do the same with one job; False when it does not run here."""
        self.waiting += self.crew.take_back()
        for slot in self._slots_with_a_job():
            if slot.held[0].job.id == job_id:
                log.job_ended(slot.held[0].job, "cancelled")
                self.crew.end(slot, "demand")
                return True
        return False

    def control_stop(self, force: bool) -> None:
        """Stop as at SIGTERM; with ``force`` at once."""
        if force:
            self.stop_at = time.monotonic()
        elif self.stop_at is None:
            self._asked_to_stop = time.monotonic()
            self.stop_at = self._asked_to_stop + self.options.grace
        if not self.stopping:
            self.begin_to_stop("control")

    @property
    def mode(self) -> str:
        return "stopping" if self.stopping else "paused" if self.paused else "running"

    def describe(self) -> dict[str, Any]:
        """What is to be said of this process."""
        running = [slot.held[0].job.id for slot in self.crew.slots if slot.held]
        return {"mode": self.mode, "running": running}

    def end_what_has_no_more_time(self, now: float) -> None:
        """Kill the jobs that still run when the grace period is over, or well after their timeout."""
        for slot in self._slots_with_a_job():
            first = slot.held[0]
            timeout = first.limits.timeout
            if self.stop_at is not None and now >= self.stop_at:
                log.grace_ended(first.job)
                self.crew.end(slot, "stop")
            elif timeout is not None and now >= first.since + timeout + KILLED_AFTER:
                self.waiting += slot.take_back()
                if slot.held:
                    log.job_killed_after_timeout(first.job, timeout)
                    self.crew.end(slot, "timeout")

    def _slots_with_a_job(self) -> list[Slot]:
        """Those whose performer has one and is not being killed already."""
        return [slot for slot in self.crew.slots if slot.held and slot.child is not None and not slot.child.ending]

    @property
    def _waits_for(self) -> str:
        return f"Waiting for {self.options.selection if self.options.performers else 'what is due'}"

    def _show(self, what: str) -> None:
        setproctitle(f"{self.title}: {log.clean(what)}")

    # -- jobs --------------------------------------------------------------------------------------------------------

    def care_for_performers(self, now: float) -> None:
        """Bury those that have died, start those that are missing, follow those that take long."""
        self.waiting += self.crew.bury()
        if not self.stopping:
            self.crew.start(now)
        self.crew.follow(now)

    def hand_over(self, most: int = MOST) -> None:
        """Give the jobs that were reserved to the performers that have room, the freest first, and ``most`` to each."""
        if not self.waiting or self.stopping or self.paused:
            return
        if time.monotonic() - self.ledger.heard_at > self.store.config.lease:
            return  # after a long silence they may be somebody else's by now; the next answer will tell
        self.waiting.sort(key=attrgetter("order"))
        given = 0
        for held in self.waiting:
            if not self._give(held, most):
                break
            given += 1
        del self.waiting[:given]

    def _give(self, held: Held, most: int) -> bool:
        batch = min(most, self.intake.pace(held.job.queue).batch)
        slot = min((slot for slot in self.crew.slots if slot.room), key=lambda slot: len(slot.held), default=None)
        if slot is None or len(slot.held) >= batch:
            return False
        slot.target = batch
        try:
            slot.hand_over(held)
        except BlockingIOError:  # its inbox is full; the next report makes room
            return False
        except OSError as error:  # no more descriptors or memory just now; the next round tries again
            log.performer_not_started(error)
            return False
        return True

    def take_back_what_waits_too_long(self, now: float) -> None:
        """Give the jobs that have waited too long behind another to a free performer, or back to their queue."""
        slots = self.crew.slots
        taken = [
            held
            for slot in slots
            if slot.waiting_since is not None and now - slot.waiting_since >= SHOWN_AFTER
            for held in slot.take_back()
        ]
        if taken:
            for queue in {held.job.queue for held in taken}:
                self.intake.pace(queue).gave_back()
            self.waiting += taken
            self.hand_over(most=1)
        if taken or all(slot.held and slot.held[0].shown for slot in slots):
            self.returning += self.waiting
            self.waiting = []

    def _give_back(self) -> None:
        """Put the jobs that nobody has begun, and nobody here will, back at the head of their queues, in their order.

        Only when no turn is on its way: it may bring others, which belong behind these.
        """
        if self.stopping or self.paused:
            self.returning += self.waiting
            self.waiting = []
        if self.returning:
            self.intake.hungry = True  # they may be for us, when somebody here is free
        for held in sorted(self.returning, key=attrgetter("order"), reverse=True):
            self.ledger.tell(entries.given_back(self.ledger.workers[0], held.reserved, held.job))
        self.returning = []

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
            self.intake.hungry = True  # what it gives back may be for us
        elif self._has_chores(now) and not self.stopping and (now >= self._next_chore or not self._has_to_speak(now)):
            self._next_chore = now + BETWEEN_CHORES
            if self.scheduling is not None and self.scheduling.has_work(now):
                self.scheduling.work(now)
            else:
                self.chores.work()
        elif self._has_to_speak(now):
            self._take_turn(now)

    def _has_chores(self, now: float) -> bool:
        return self.chores.has_work or (self.scheduling is not None and self.scheduling.has_work(now))

    def _has_to_speak(self, now: float) -> bool:
        ledger = self.ledger
        if not ledger.registered:
            return not self.stopping
        if self.returning or (self.waiting and (self.stopping or self.paused)):
            return True
        if self.tally.pending and self._all_told:
            return True
        if now >= self._next_look or now >= self._next_beat or self.mode != self._told_mode:
            return True
        starving = self.crew.starving
        if ledger.untold and (
            starving or self.stopping or ledger.untold >= MAX_ENTRIES // 2 or now - ledger.oldest >= LATE
        ):
            return True
        return starving and self.intake.is_due(now) and bool(self._wanted())

    def _wanted(self) -> dict[str, int]:
        """How many jobs of each queue to ask for."""
        if self.stopping or self.paused or self.waiting:
            return {}
        return self.intake.wanted(self.crew.slots, len(self.starting))

    def _take_turn(self, now: float) -> None:
        """Tell Redis what became of the jobs, and take as many as can be given to performers."""
        if not self.ledger.lost and (self.tally.is_due(now) or self._all_told):
            for entry in self.tally.take():
                self.ledger.tell(entry)
        self._give_back()
        wanted = self._wanted() if self.intake.is_due(now) else {}
        renew, look = now >= self._next_beat, now >= self._next_look
        if renew:
            self._next_beat = now + self.store.config.beat
            for worker in self.ledger.workers:
                self.ledger.tell(entries.beat(worker, self.ledger.now()))
        if look:
            self._next_look = now + self._look_every
        mode = "" if self.mode == self._told_mode else self.mode
        memory = machine.memory((os.getpid(), *self.crew.pids)) if renew else 0
        look_queues = self.intake.new_queues or (look and self.options.selection.changes)
        self.intake.ask(now, for_jobs=bool(wanted))
        self.ledger.turn(
            wanted,
            self._settle,
            renew=renew,
            look=look or look_queues,
            look_queues=look_queues,
            mode=mode,
            memory=memory,
        )

    def _registered(self) -> None:
        for slot, worker in zip(self.crew.slots, self.ledger.workers, strict=True):
            slot.worker = worker
        self._next_beat = self._next_look = 0.0
        self._told_mode = "running"
        self.intake.new_queues = self.options.selection.changes
        log.worker_started(self.ledger.name, str(self.options.selection), len(self.crew.slots))
        if worker_started.receivers:
            queues = str(self.options.selection)
            log.signal_receivers_failed(send_safely(worker_started, None, worker=self.ledger.name, queues=queues))

    def _settle(self, turn: Turn, answer: Answer) -> None:
        if answer.state == "gone":
            self._lose_everything()
            return
        self._told_mode = turn.mode or self._told_mode
        if answer.state == "paused" and not self._all_paused:
            log.all_paused()
        self._all_paused = answer.state == "paused"
        self.tally.settle(turn.entries, answer.refused, time.monotonic())
        self._let_begin(turn, {*answer.refused, *answer.kept})
        self._expect_retries(turn)
        if answer.look is not None:
            self._look_around(answer)
        self.intake.answered(turn, answer)
        for reserved in answer.jobs:
            self._receive(reserved)
        self.hand_over()
        if self.options.burst and not self.stopping:
            self._end_the_burst(turn)

    def _look_around(self, answer: Answer) -> None:
        """What is there besides our own jobs; and whether those are all here."""
        assert answer.look is not None
        now = time.monotonic()
        self.reaper.look(answer.look, answer.time, now)
        if self.reaper.look_around(now):
            descendants.sweep()
        self.chores.look(answer.look.failures, now)
        if self.scheduling is not None:
            self.scheduling.look(answer.look, answer.time, now)
        for entry in self.control.obey(answer.look.messages, answer.time, self):
            self.ledger.tell(entry)
            self._next_look = 0.0  # there may be more of them
        # After a failover Redis may have forgotten that a job ended. Seen twice, it is no coincidence.
        missing = answer.reservations > len(self._tokens()) + len(answer.jobs)
        self._recovers, self._missing = missing and self._missing, missing

    def _tokens(self) -> set[str]:
        """Of the jobs that are here, and of those of which something is still to be told."""
        held = (*self.crew.held(), *self.waiting, *self.returning, *self.starting.values())
        return {job.reserved.token for job in held if not job.lost} | self.ledger.untold_tokens()

    def _recover(self, found: list[Reserved] | None) -> None:
        """Give back the jobs that Redis has as ours and that are not here."""
        tokens = self._tokens()
        for reserved in found or ():
            if reserved.token not in tokens:
                held = self._held(reserved)
                tell = entries.forgotten if held.at_most_once else entries.recovered
                self.ledger.tell(tell(self.ledger.workers[0], reserved, held.job))
                log.job_recovered(held.job, "failed" if held.at_most_once else "requeued")

    def _receive(self, reserved: Reserved) -> None:
        held = self._held(reserved)
        worker, job = self.ledger.workers[0], held.job
        if len(reserved.payload) > MAX_READABLE:
            log.job_refused(job, "its payload is too large")
            self.ledger.tell(entries.too_large(worker, reserved, job))
        elif held.limits.guarded:
            self.starting[reserved.token] = held
            self.ledger.tell(entries.start(worker, reserved, job, held.limits))
        else:
            self.waiting.append(held)

    def _held(self, reserved: Reserved) -> Held:
        job = entries.readable(reserved)
        return Held(reserved, job, limits_of(job, self.options.commands.get(job.command), self.store.config))

    def _let_begin(self, turn: Turn, kept: Container[str]) -> None:
        """The jobs whose start is known now may begin, but for those that were ``kept``."""
        for entry in turn.entries:
            held = self.starting.pop(entry.token, None) if entry.kind == "start" else None
            if held is not None and entry.token not in kept:
                self.waiting.append(held)
            elif held is not None:
                log.job_kept(held.job)

    def _expect_retries(self, turn: Turn) -> None:
        if self.scheduling is not None:
            for entry in turn.entries:
                if entry.kind == "retry":
                    self.scheduling.expect_retry(time.monotonic() + float(entry.status))

    def _end_the_burst(self, turn: Turn) -> None:
        """Stop when nothing is left, in queues that have come into being meanwhile too."""
        if (self.intake.hungry and self.intake.queues) or self.waiting or self.returning or self.starting:
            return
        if self.ledger.untold or self.crew.busy:
            return
        if self.reaper.has_work:
            return  # what a dead worker process held may be for us
        if self.options.selection.changes and not turn.look_queues and not self._all_paused:
            self.intake.new_queues = self.intake.hungry = True
        elif turn.queues or not self.intake.queues:
            self.begin_to_stop("burst")

    def _lose_everything(self) -> None:
        """Another has given our jobs away: what runs goes on and is not reported, what waits is forgotten."""
        self.waiting.clear()
        self.returning.clear()
        self.starting.clear()
        self.crew.lose()
        self.intake.hungry = True


def _version() -> str:
    """Ruby's workers know by ``resque-`` and a digit, with which our process titles begin, that a pid is a worker's."""
    try:
        return importlib.metadata.version("django_resque")
    except importlib.metadata.PackageNotFoundError:
        return "0"
