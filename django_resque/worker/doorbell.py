"""The bell as the dispatcher has it: looked after, and done without when it cannot be had."""

from __future__ import annotations

import selectors

from .. import log
from ..errors import StoreError
from ..store import Bell

PING = 15.0
"""Seconds between two signs of life of the bell's connection."""
RETRY = 1.0
"""Seconds after which a lost bell is looked for again; each further time it is twice as long, up to `PING`."""


class Doorbell:
    """A `Bell` whose socket is in ``selector`` while it is connected."""

    def __init__(self, bell: Bell, selector: selectors.BaseSelector) -> None:
        self.bell = bell
        self.next_look = 0.0
        self._selector = selector
        self._failures = 0

    def tend(self, now: float) -> None:
        """Ping it, or subscribe anew, when it is time."""
        if now < self.next_look:
            return
        self.next_look = now + PING
        try:
            if self.bell.fileno() >= 0:
                self.bell.ping()
                return
            self.bell.listen()
        except StoreError as error:
            self._lose(now, error)
            return
        self._selector.register(self.bell, selectors.EVENT_READ)

    def rung(self, now: float) -> set[str]:
        """The queues that have rung since the last call; not empty either when it may have rung while nobody heard."""
        try:
            rung = self.bell.rung()
            if rung:
                self._failures = 0
            return rung
        except StoreError as error:
            self._lose(now, error)
            return set()

    def _lose(self, now: float, error: StoreError) -> None:
        for key in list(self._selector.get_map().values()):
            if key.fileobj is self.bell:
                self._selector.unregister(self.bell)
        self.next_look = now + min(RETRY * 2**self._failures, PING)
        self._failures += 1
        if self._failures == 2:  # the first time it is Redis that went away, and that is told elsewhere
            log.bell_not_heard(error)
