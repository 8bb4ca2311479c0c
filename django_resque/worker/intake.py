"""Which jobs to ask Redis for: from which queues, how many of each, and when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..store import Answer, Turn
from .options import Options
from .pace import MOST, Pace
from .slot import Slot

MOST_PACES = 10_000
"""Queues of which it is remembered how long their jobs take."""


class Intake:
    """The queues as they are served now, and whether there may be something in them.

    ``hungry``: the last answer, or the bell, says that there may be jobs; otherwise they are looked at every
    ``interval``. ``new_queues``: there may be queues that have not been seen.
    """

    def __init__(self, options: Options) -> None:
        self._selection = options.selection
        self._interval = options.interval
        self._paces: dict[str, Pace] = {}
        self._rung = False
        self.queues = options.selection.among(())
        self.hungry = True
        self.new_queues = options.selection.changes
        self.next_poll = 0.0

    def pace(self, queue: str) -> Pace:
        """How many jobs of this queue are taken at once."""
        if queue not in self._paces:
            if len(self._paces) >= MOST_PACES:
                self._paces.clear()
            self._paces[queue] = Pace()
        return self._paces[queue]

    def is_due(self, now: float) -> bool:
        """Whether to ask for jobs, when any are wanted."""
        return self.hungry or now >= self.next_poll

    def wanted(self, slots: Sequence[Slot], besides: int) -> dict[str, int]:
        """How many jobs of each queue the slots could begin now or soon, when ``besides`` are on their way to them."""
        rooms = [(len(slot.held), slot.room) for slot in slots if slot.room]
        wanted: dict[str, int] = {}
        for queue in reversed(self.queues):
            batch = self._paces[queue].batch if queue in self._paces else 1
            count = sum(max(0, min(batch - held, room)) for held, room in rooms) - besides
            if wanted:  # something of a lower queue: never before a job of this one, even if that has to wait a moment
                count = max(1, count)
            if count > 0:
                wanted[queue] = min(count, MOST)
        return {queue: wanted[queue] for queue in self.queues if queue in wanted}

    def ask(self, now: float, *, for_jobs: bool) -> None:
        """A turn is taken now."""
        self.new_queues = self._rung = False
        if for_jobs:
            self.next_poll = now + self._interval

    def answered(self, turn: Turn, answer: Answer) -> None:
        """Take note of what came."""
        if turn.queues:
            self.hungry = self._rung or bool(answer.jobs)
        if answer.jobs and len(answer.jobs) >= dict(turn.queues)[answer.jobs[0].queue]:
            self.pace(answer.jobs[0].queue).filled()
        if answer.look is not None and answer.look.queues is not None:
            queues = self._selection.among(answer.look.queues)
            self.hungry |= queues != self.queues
            self.queues = queues

    def ring(self, rung: Iterable[str]) -> None:
        """The bell was heard for these queues."""
        self.hungry = self._rung = True
        if self._selection.changes and not set(rung) <= set(self.queues):
            self.new_queues = True
