"""What became of the jobs of the last second, for the statistics."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Iterable

from ..store import Entry, Outcome
from ..store.statistics import BOUNDS, MOST_COMMANDS, OTHER
from . import entries

EVERY = 1.0
"""Seconds that outcomes are summed up before they are told."""
_LONGEST = 1e9
"""Seconds beyond which nothing is believed that a performer says."""


class Tally:
    """Counts each outcome once: when Redis has acknowledged the turn that told it, and not refused it. A turn that
    carries the sums is repeated until it is answered, and counted once."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], list[int]] = {}
        self._since = 0.0

    def settle(self, told: Iterable[Entry], refused: Container[str], now: float) -> None:
        """Count what was ``told``, but for the tokens that were ``refused``."""
        for entry in told:
            if entry.outcome is not None and entry.token not in refused:
                self.count(entry.outcome, now)

    def count(self, outcome: Outcome, now: float) -> None:
        command, queue, how, seconds = outcome
        sums = self._sums.get((command, queue)) or self._begin(command, queue, now)
        if how == "retried":
            sums[2] += 1
            return
        if how == "failed":
            sums[1] += 1
        microseconds = int(min(seconds, _LONGEST) * 1e6)
        sums[0] += 1
        sums[3] += microseconds
        sums[4] = max(sums[4], microseconds)
        sums[5 + bisect_left(BOUNDS, seconds)] += 1

    def _begin(self, command: str, queue: str, now: float) -> list[int]:
        if not self._sums:
            self._since = now
        names = (command, queue) if len(self._sums) < MOST_COMMANDS else (OTHER, OTHER)
        return self._sums.setdefault(names, [0] * (5 + len(BOUNDS) + 1))

    @property
    def pending(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self._sums)

    def is_due(self, now: float) -> bool:
        """Whether it has been waiting for a second."""
        return bool(self._sums) and now >= self._since + EVERY

    def take(self) -> list[Entry]:
        """What there is to tell; it is a turn's business from now on."""
        found, self._sums = self._sums, {}
        return [entries.sums(command, queue, sums) for (command, queue), sums in found.items()]
