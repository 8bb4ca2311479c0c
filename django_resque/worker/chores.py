"""What some dispatcher has to do now and then, for all: it concerns no job of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from .. import log
from ..store import Request, StaleWorker, Store
from ..store.parked import Mended
from . import foreign
from .ledger import Ledger
from .shrinking import Shrinking

SHRINK_EVERY = 10.0
"""Seconds between two looks at the failures beyond ``RESQUE["FAILED_MAX"]``."""
PRUNE_EVERY = 60.0
"""Seconds between two looks for dead workers of other programs, as in Ruby's."""
MEND_EVERY = 30.0
"""Seconds between two looks for permits that nobody holds and jobs that wait for them."""
_AT_ONCE = 20
"""Requests made for one look at the failures, so that a long list is not walked in one go."""


class Chores:
    """Takes Redis' time when the dispatcher has nothing to say; every chore may be done by several at once."""

    def __init__(self, ledger: Ledger, store: Store) -> None:
        self._ledger = ledger
        self._store = store
        self._shrinking = Shrinking(store.failures)
        self._to_do: deque[tuple[Request[Any], Any]] = deque()
        self._left = 0
        self._next_shrink = self._next_prune = self._next_mending = 0.0

    def look(self, failures: int, now: float) -> None:
        """See what is to be done when there are so many ``failures``."""
        if self._to_do:
            return
        if failures > self._store.config.failed_max and now >= self._next_shrink:
            self._next_shrink, self._left = now + SHRINK_EVERY, _AT_ONCE
            self._to_do.append((self._shrinking.begin(), self._shrink))
        if now >= self._next_prune:
            self._next_prune = now + PRUNE_EVERY
            self._to_do.append((self._store.workers.stale_foreign(), self._prune))
        if now >= self._next_mending:
            self._next_mending = now + MEND_EVERY
            self._to_do.append((self._store.parked.mend(), self._mended))

    @property
    def has_work(self) -> bool:
        return bool(self._to_do)

    def work(self) -> None:
        """Make the next request; the ledger must be free."""
        request, then = self._to_do.popleft()
        self._ledger.ask(request, then)

    def _shrink(self, found: list[tuple[int, bytes]] | None) -> None:
        if found is None:
            return
        pairs, further = self._shrinking.go_on(found)
        if pairs:
            self._to_do.append((self._store.failures.replace(pairs), _done))
        self._left -= 1
        if further is not None and self._left:
            self._to_do.append((further, self._shrink))

    def _prune(self, stale: Sequence[StaleWorker] | None) -> None:
        for worker in stale or ():
            record = foreign.failure_of(worker, datetime.now(UTC))
            self._to_do.append((self._store.workers.prune(worker, record), _pruned(worker.id)))

    def _mended(self, mended: Mended | None) -> None:
        if mended is None:
            return
        for message in mended.trouble:
            self._ledger.trouble(message)
        if mended.freed or mended.unparked:
            log.permits_mended(mended.freed, mended.unparked)


def _done(result: object) -> None:
    """Nothing depends on it."""


def _pruned(worker: str) -> Any:
    def then(pruned: bool | None) -> None:
        if pruned:
            log.foreign_worker_pruned(worker)

    return then
