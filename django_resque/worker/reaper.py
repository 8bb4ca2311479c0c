"""Finds worker processes that have died, and gives their jobs back.

A death on this machine is proved by the system and acted on at once. Elsewhere a process is dead when its lease has
ended; but that says something only to one who has been in touch with the same Redis, and the same clock, for as long
as a lease lasts: after a restart, a failover or a step of the clock, living processes have had no chance to renew
theirs.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from .. import log
from ..conf import Config
from ..failure import Failure
from ..job import Job
from ..store import Bequest, Burial, Look, Outcome, Process, Remains, Reserved
from . import entries, machine
from .ledger import Ledger
from .tally import Tally

CLOCK_STEP = 2.0
"""Seconds by which Redis' clock may differ from what ours expects before it is taken for set anew."""
AGAIN = 10.0
"""Seconds after which a process that another is burying is looked at again."""


class Reaper:
    """One for each dispatcher; any number of them may be at it at the same time.

    ``announce`` is called with each job that becomes a failure, its exception and message; ``tally`` counts it.
    """

    def __init__(
        self,
        ledger: Ledger,
        config: Config,
        tally: Tally,
        announce: Callable[[Reserved, Job, str, str], None] = lambda *_: None,
    ) -> None:
        self._ledger = ledger
        self._tally = tally
        self._announce = announce
        self._config = config
        self._siblings: dict[str, Process] = {}
        self._dead: deque[tuple[Process, bool]] = deque()
        self._left_alone: dict[str, float] = {}
        self._run_id = ""
        self._in_touch_since: float | None = None
        self._last_look: tuple[float, float] | None = None

    def look(self, look: Look, time: float, now: float) -> None:
        """Take note of what is around, at the server's ``time`` and our monotonic ``now``."""
        self._trust(look.run_id, time, now)
        trusted = self._in_touch_since is not None and now - self._in_touch_since >= self._config.lease
        if len(self._siblings) > 10_000:
            self._siblings.clear()
        queued = {process.name for process, _ in self._dead}
        for process in look.processes:
            if process.name == self._ledger.name or process.name in queued:
                continue
            if process.lease == 0 or (trusted and process.lease <= time):
                self._suspect(process, now, proved=process.lease == 0)
            else:
                self._siblings[process.name] = process
        if len(look.processes) < 100:
            names = {process.name for process in look.processes}
            self._siblings = {name: process for name, process in self._siblings.items() if name in names}

    def look_around(self, now: float) -> bool:
        """See which of the processes on this machine have died; whether there are any."""
        dead = [process for process in self._siblings.values() if machine.is_dead(process.identity)]
        for process in dead:
            del self._siblings[process.name]
            self._suspect(process, now, proved=True)
        return bool(dead)

    @property
    def has_work(self) -> bool:
        return bool(self._dead)

    def work(self) -> None:
        """Begin to bury the next process; the ledger must be free."""
        process, proved = self._dead.popleft()
        reservations = self._ledger.reservations

        def found(remains: Remains | None) -> None:
            if remains is None or remains.state == "alive":
                self._left_alone.pop(process.name, None)  # it may be dead the next time it is seen
            elif remains.state == "dead":
                bequests = entries.bequests(remains, self._config.max_crashes)
                if remains.first:
                    log.worker_declared_dead(process.name, proved, remains.reservations)
                self._ledger.ask(
                    reservations.bury(process, remains.workers, bequests),
                    lambda burial: self._buried(process, remains, bequests, burial),
                )

        self._ledger.ask(reservations.condemn(process, proved=proved), found)

    def _buried(self, process: Process, remains: Remains, bequests: list[Bequest], burial: Burial | None) -> None:
        if burial is None:
            self._left_alone.pop(process.name, None)
            return  # it is found again
        for message in burial.trouble:
            self._ledger.trouble(message)
        done = set(burial.tokens)
        jobs = {reserved.token: (reserved, entries.readable(reserved)) for reserved, _ in remains.held}
        for bequest in reversed(bequests):
            if bequest.token in done:
                reserved, job = jobs[bequest.token]
                log.job_inherited(job, process.name, bequest.act)
                if bequest.act != "requeue":
                    self._tally.count(Outcome(job.command, reserved.queue, "failed", 0.0), time.monotonic())
                if bequest.act == "fail":
                    failure = Failure.from_record(bequest.record)
                    self._announce(reserved, job, failure.exception, failure.error)
        if burial.left and done:
            self._dead.append((process, True))  # a call deals with about a hundred

    def _suspect(self, process: Process, now: float, *, proved: bool) -> None:
        if now >= self._left_alone.get(process.name, 0.0):
            if len(self._left_alone) > 1_000:
                self._left_alone.clear()
            self._left_alone[process.name] = now + AGAIN
            self._dead.append((process, proved))

    def _trust(self, run_id: str, time: float, now: float) -> None:
        """Whether leases mean something: see above."""
        last, self._last_look = self._last_look, (time, now)
        same = run_id == self._run_id
        self._run_id = run_id
        if (
            last is None
            or not same
            or now - last[1] > self._config.beat
            or abs((time - last[0]) - (now - last[1])) > CLOCK_STEP
        ):
            self._in_touch_since = now
