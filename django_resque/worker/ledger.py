"""The worker process as Redis knows it: its name, its workers, its numbered turns.

What there is to tell is collected; a turn carries it. When Redis does not answer, the same turn is sent again until it
does, and what is told meanwhile waits for the next one. Nothing here waits for an answer: the socket is in the
dispatcher's selector.
"""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import selectors
import socket
import string
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from .. import log
from ..errors import StoreError, StoreUnavailable
from ..store import Answer, Entry, Request, Reservations, Store, Turn
from . import machine

MAX_ENTRIES = 100
"""Entries in one turn, so that its script stays short."""
ANSWER_WITHIN = 5.0
"""Seconds without a byte after which a request is taken for lost."""
_LIMITS = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0}
"""Seconds that connecting may keep the loop waiting, for each of its steps."""
_SHORTEST, _LONGEST = 0.01, 3.0
_REMIND = 60.0
_FAREWELL = 1.0
_LETTERS = string.ascii_lowercase + string.digits

T = TypeVar("T")


@dataclass(slots=True)
class _Pending:
    """A request that has no answer yet. ``turn`` is the turn it is; such a one is sent until it is answered.
    ``essential``: when it is refused, nothing can be done."""

    request: Request[Any]
    then: Callable[[Any], None]
    turn: Turn | None = None
    essential: bool = False
    sent_at: float | None = None
    moved_at: float = 0.0
    in_doubt: bool = False


class Ledger:
    """The dialogue of one worker process with Redis, one request at a time.

    ``queues`` is what stands in the ids of its workers, ``info`` what else others are to know of the process. In
    ``selector`` its socket has the ledger as data; `progress` is to be called when it is ready, and `tick` in each
    round of the loop.
    """

    def __init__(
        self,
        store: Store,
        selector: selectors.BaseSelector,
        *,
        performers: int,
        queues: str,
        info: Mapping[str, Any] | None = None,
    ) -> None:
        self._store = store
        self._info = info or {}
        self._selector = selector
        self._performers = performers
        self._queues = queues
        self._line = store.line(**_LIMITS)
        self._watched = -1
        self._connection = 0
        self._entries: deque[Entry] = deque()
        self._told_at = 0.0
        self._pending: _Pending | None = None
        self._number = 0
        self._clock = (0.0, 0.0)
        self._heard_at = 0.0
        self._trouble = _Trouble()
        self.registered = False
        self.name = ""
        self.workers: list[str] = []
        self.reservations: Reservations
        self._new_name()

    def _new_name(self) -> None:
        self.name = "".join(secrets.choice(_LETTERS) for _ in range(6))
        log.name_worker(self.name)
        host = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())
        self.workers = [
            f"{host}~{self.name}-{slot}:{os.getpid()}:{self._queues}" for slot in range(1, self._performers + 1)
        ]
        self.reservations = self._store.reservations(self.name, machine.identity() or "elsewhere")

    # -- what there is to tell ---------------------------------------------------------------------------------------

    def tell(self, entry: Entry) -> None:
        """Have ``entry`` carried by the next turn."""
        if not self._entries:
            self._told_at = time.monotonic()
        self._entries.append(entry)

    @property
    def told(self) -> bool:
        """Whether everything has been told, and answered."""
        return not self._entries and self._pending is None

    @property
    def untold(self) -> int:
        """How many entries wait for a turn."""
        return len(self._entries)

    @property
    def oldest(self) -> float:
        """When the first of the entries that wait was told, monotonic."""
        return self._told_at

    @property
    def free(self) -> bool:
        """Whether a request can be made now."""
        return self._pending is None and time.monotonic() >= self._trouble.retry_at

    @property
    def lost(self) -> bool:
        """Whether Redis did not answer last time."""
        return self._trouble.lasts

    @property
    def heard_at(self) -> float:
        """When the last request that was answered had been sent, monotonic: of what came later it proves nothing."""
        return self._heard_at

    @property
    def wakes_at(self) -> float | None:
        """When `tick` has something to do although nothing happens, monotonic."""
        pending = self._pending
        if pending is not None and pending.sent_at is not None:
            return pending.moved_at + ANSWER_WITHIN
        if pending is not None or self._trouble.retry_at > time.monotonic():
            return self._trouble.retry_at
        return None

    def now(self) -> float:
        """The Redis server's clock, in unix seconds, as far as the last answer tells."""
        seconds, at = self._clock
        return seconds + time.monotonic() - at

    # -- requests ------------------------------------------------------------------------------------------------------

    def register(self, then: Callable[[], None]) -> None:
        """Make this process known; ``then`` is called when it is."""
        started = time.strftime("%Y-%m-%d %H:%M:%S +0000", time.gmtime())

        def registered(clock: int | None) -> None:
            if clock is None:  # trouble, or another process has this name
                if not self._trouble.lasts:
                    self._new_name()
                return
            self._clock = (clock, time.monotonic())
            self.registered = True
            then()

        request = self.reservations.register(self.workers, started=started, info=json.dumps(self._info).encode())
        self._begin(_Pending(request, registered, essential=True))

    def turn(
        self,
        queues: Mapping[str, int],
        then: Callable[[Turn, Answer], None],
        *,
        renew: bool = False,
        look: bool = False,
        look_queues: bool = False,
        mode: str = "",
        memory: int = 0,
    ) -> None:
        """Tell what there is to tell and ask for jobs; ``then`` gets the turn and its answer, however late."""
        told = [self._entries.popleft() for _ in range(min(len(self._entries), MAX_ENTRIES))]
        self._told_at = time.monotonic()
        turn = Turn(
            self._number + 1, told, queues, renew=renew, look=look, look_queues=look_queues, mode=mode, memory=memory
        )

        def answered(answer: Answer) -> None:
            self._number = turn.number
            self._clock = (answer.time, time.monotonic())
            for message in answer.trouble:
                self._trouble.meanwhile(message)
            if answer.refused:
                log.reports_refused(list(answer.refused))
            if answer.dropped:
                log.failures_dropped(answer.dropped)
            if answer.state == "gone":
                self._start_anew()
            then(turn, answer)

        self._begin(_Pending(self.reservations.turn(turn), answered, turn, essential=True))

    def ask(self, request: Request[T], then: Callable[[T | None], None]) -> None:
        """Make any other request; ``then`` gets what it gives, or None when Redis did not answer or refused."""
        self._begin(_Pending(request, then))

    def untold_tokens(self) -> set[str]:
        """The jobs of which there is something to tell."""
        return {entry.token for entry in self._entries}

    def trouble(self, message: str) -> None:
        """Something in Redis is broken that concerns a part of the work; said once a minute."""
        self._trouble.meanwhile(message)

    # -- the socket ----------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Send what is to be sent again; give up waiting for what does not come."""
        pending = self._pending
        if pending is None:
            return
        if pending.sent_at is None:
            if now >= self._trouble.retry_at:
                self._send(pending)
        elif now >= pending.moved_at + ANSWER_WITHIN:
            self._line.close()
            self._fail(pending, StoreUnavailable(f"no answer within {ANSWER_WITHIN:g} s", sent=True))

    def progress(self) -> None:
        """Go on sending or reading; the socket is ready."""
        pending = self._pending
        if pending is None or pending.sent_at is None:
            self._line.close()  # nothing was asked: the server has closed the connection
            self._watch()
            return
        try:
            if self._line.sending:
                self._line.flush()
            received = self._line.receive() if not self._line.sending else None
        except StoreError as error:
            self._fail(pending, error)
            return
        if received is None:
            pending.moved_at = time.monotonic()
            self._watch()
            return
        self._pending = None
        self._heard_at = pending.sent_at
        self._trouble.ends()
        self._watch()
        pending.then(received[0])

    def _begin(self, pending: _Pending) -> None:
        self._pending = pending
        self._send(pending)

    def _send(self, pending: _Pending) -> None:
        try:
            self._line.send(pending.request)
        except StoreError as error:
            self._fail(pending, error)
            return
        except ValueError as error:  # half a surrogate, in something that others wrote: it cannot be sent, now or later
            self._fail(pending, StoreError(f"a request to Redis cannot be written: {error}"))
            return
        pending.sent_at = pending.moved_at = time.monotonic()
        self._watch()

    def _fail(self, pending: _Pending, error: StoreError) -> None:
        self._watch()
        pending.sent_at = None
        pending.in_doubt |= not isinstance(error, StoreUnavailable) or error.sent
        if pending.essential or isinstance(error, StoreUnavailable):
            self._trouble.begins(error)
        else:
            self._trouble.meanwhile(str(error))
        turn = pending.turn
        if turn is None:
            self._pending = None
            pending.then(None)
        elif not turn.entries and not pending.in_doubt:
            self._pending = None  # a mere question that reached nobody: a worker that ends need not repeat it

    def _watch(self) -> None:
        """Have the selector watch the socket there is now, for what is awaited from it."""
        now, connection = self._line.fileno(), self._line.connections
        if self._watched != -1 and (self._watched, self._connection) != (now, connection):
            try:
                self._selector.unregister(self._watched)
            except (KeyError, ValueError):
                pass
            self._watched = -1
        if now == -1:
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._line.sending else 0)
        if self._watched == -1:
            self._selector.register(now, events, self)
            self._watched, self._connection, self._events = now, connection, events
        elif events != self._events:
            self._selector.modify(now, events, self)
            self._events = events

    # -- the end -------------------------------------------------------------------------------------------------------

    def _start_anew(self) -> None:
        old = self.name
        self._entries.clear()
        self.registered = False  # the numbers go on: a lost job that still runs has a token made of one
        self._new_name()
        log.worker_replaced(old, self.name)

    def ask_at_the_end(self, request: Request[Any] | None) -> None:
        """Make a last request that may as well fail; waits for the answer."""
        if request is not None and self.registered and not self._trouble.lasts and self._pending is None:
            with suppress(StoreError):
                self._line.ask(request)

    def unregister(self) -> None:
        """Leave the boards. Jobs whose end could not be told stay in the reservations, and this is logged."""
        pending = self._pending.turn.entries if self._pending is not None and self._pending.turn is not None else ()
        untold = [
            entry for entry in (*pending, *self._entries) if entry.kind not in ("beat", "running", "reply", "sum")
        ]
        if untold:
            log.reports_untold(self.name, len(untold))
        deadline = time.monotonic() + _FAREWELL
        while self.registered and not self._trouble.lasts and self._pending is None:
            try:
                left = self._line.ask(self.reservations.unregister(self.workers))
            except StoreError:
                if time.monotonic() > deadline:
                    return
                time.sleep(_SHORTEST)
            else:
                if left > len(untold):
                    log.reservations_left(self.name, left)
                return

    def close(self) -> None:
        """Close the connection; in a forked child, the child's copy of it alone."""
        self._line.close()


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
