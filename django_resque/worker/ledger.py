"""The worker process as Redis knows it: its name, its workers, its numbered turns.

What there is to tell is collected; a turn carries it. When Redis does not answer, the same turn is sent again until it
does, and what is told meanwhile waits for the next one.
"""

from __future__ import annotations

import os
import random
import re
import secrets
import socket
import string
import time
from collections.abc import Sequence

from .. import log
from ..errors import StoreError, StoreUnavailable
from ..store import Answer, Entry, Reservations, Store, Turn
from .entries import heartbeat

MAX_ENTRIES = 50
"""Entries in one turn, so that its script stays short."""
_SHORTEST, _LONGEST = 0.01, 3.0
_REMIND = 60.0
_FAREWELL = 1.0
_LETTERS = string.ascii_lowercase + string.digits


class Ledger:
    """The dialogue of one worker process with Redis. ``queues`` is what stands in the ids of its workers."""

    def __init__(self, store: Store, *, performers: int, queues: str) -> None:
        self._store = store
        self._performers = performers
        self._queues = queues
        self._entries: list[Entry] = []
        self._pending: Turn | None = None
        self._sent = False
        self._number = 0
        self._clock = (0, 0.0)
        self._trouble = _Trouble()
        self.registered = False
        self.name = ""
        self.workers: list[str] = []
        self._reservations: Reservations
        self._new_name()

    def _new_name(self) -> None:
        self.name = "".join(secrets.choice(_LETTERS) for _ in range(6))
        host = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())
        self.workers = [
            f"{host}~{self.name}-{slot}:{os.getpid()}:{self._queues}" for slot in range(1, self._performers + 1)
        ]
        self._reservations = self._store.reservations(self.name)

    # -- what there is to tell ---------------------------------------------------------------------------------------

    def tell(self, entry: Entry) -> None:
        """Have ``entry`` carried by the next turn."""
        self._entries.append(entry)

    @property
    def told(self) -> bool:
        """Whether everything has been told, and answered."""
        return not self._entries and self._pending is None

    @property
    def retry_at(self) -> float:
        """The monotonic time before which Redis is not spoken to."""
        return self._trouble.retry_at

    @property
    def lost(self) -> bool:
        """Whether Redis did not answer last time."""
        return self._trouble.lasts

    def now(self) -> int:
        """The Redis server's clock, in unix seconds, as far as the last answer tells."""
        seconds, at = self._clock
        return seconds + int(time.monotonic() - at)

    # -- Redis -------------------------------------------------------------------------------------------------------

    def register(self) -> bool:
        """Make this process known. False when Redis does not answer."""
        try:
            self._clock = (self._store.time(), time.monotonic())
            started = time.strftime("%Y-%m-%d %H:%M:%S +0000", time.gmtime())
            while not self._reservations.register(self.workers, started=started, heartbeat=heartbeat(self.now())):
                self._new_name()
        except StoreError as error:
            self._trouble.begins(error)
            return False
        self._trouble.ends()
        self.registered = True
        return True

    def turn(self, wanted: int, queues: Sequence[str]) -> Answer | None:
        """Tell what there is to tell and ask for up to ``wanted`` jobs; None when Redis does not answer.

        A turn that was not answered goes first, as it was.
        """
        if self._pending is None:
            told, self._entries = self._entries[:MAX_ENTRIES], self._entries[MAX_ENTRIES:]
            self._pending = Turn(self._number + 1, told, wanted, queues)
            self._sent = False
        try:
            answer = self._reservations.turn(self._pending)
        except StoreError as error:
            self._trouble.begins(error)
            self._forget_a_mere_question(error)
            return None
        self._trouble.ends()
        self._clock = (answer.time, time.monotonic())
        self._number, self._pending = self._pending.number, None
        for message in answer.trouble:
            self._trouble.meanwhile(message)
        if answer.refused:
            log.reports_refused(list(answer.refused))
        if answer.dropped:
            log.failures_dropped(answer.dropped)
        if answer.state == "gone":
            self._start_anew()
        return answer

    def _forget_a_mere_question(self, error: StoreError) -> None:
        """Drop a turn that tells nothing and certainly reached nobody, for a worker that has nothing else to end."""
        self._sent = self._sent or not isinstance(error, StoreUnavailable) or error.sent
        if self._pending is not None and not self._pending.entries and not self._sent:
            self._pending = None

    def _start_anew(self) -> None:
        old = self.name
        self.close()
        self._entries, self._number, self.registered = [], 0, False
        self._new_name()
        log.worker_replaced(old, self.name)

    def unregister(self) -> None:
        """Leave the boards. Jobs whose end could not be told stay in the reservations, and this is logged."""
        untold = [entry for entry in self._untold() if entry.kind not in ("beat", "running")]
        if untold:
            log.reports_untold(self.name, len(untold))
        deadline = time.monotonic() + _FAREWELL
        while self.registered and not self.lost:
            try:
                left = self._reservations.unregister(self.workers)
            except StoreError:
                if time.monotonic() > deadline:
                    return
                time.sleep(_SHORTEST)
            else:
                if left > len(untold):
                    log.reservations_left(self.name, left)
                return

    def _untold(self) -> list[Entry]:
        return [*(self._pending.entries if self._pending is not None else ()), *self._entries]

    def close(self) -> None:
        """Close the connection; in a forked child, the child's copy of it alone."""
        self._reservations.close()


class _Trouble:
    """Whether Redis answers, when to try again, and how often to speak of it."""

    def __init__(self) -> None:
        self.lasts = False
        self.retry_at = 0.0
        self._since = 0.0
        self._tries = 0
        self._logged: dict[str, float] = {}

    def begins(self, error: StoreError) -> None:
        now = time.monotonic()
        if not self.lasts:
            self.lasts, self._since, self._tries = True, now, 0
        self._tries += 1
        delay = min(_SHORTEST * 2 ** min(self._tries, 12), _LONGEST)
        self.retry_at = now + delay * random.uniform(0.5, 1)
        if self._tries > 1 and self._is_news("lost", now):  # one lost answer is not worth a word
            log.redis_lost(error) if isinstance(error, StoreUnavailable) else log.redis_refuses(error)

    def ends(self) -> None:
        if self.lasts:
            self.lasts, self.retry_at = False, 0.0
            if self._logged.pop("lost", None) is not None:
                log.redis_back(time.monotonic() - self._since)

    def meanwhile(self, message: str) -> None:
        """Something in Redis is broken that concerns a part of the work."""
        if self._is_news(message, time.monotonic()):
            log.redis_trouble(message)

    def _is_news(self, what: str, now: float) -> bool:
        if now < self._logged.get(what, 0.0):
            return False
        if len(self._logged) > 100:
            self._logged.clear()
        self._logged[what] = now + _REMIND
        return True
