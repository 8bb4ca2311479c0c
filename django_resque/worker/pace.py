"""How many jobs of a queue are taken at once, by how long its jobs have taken."""

from __future__ import annotations

MOST = 100
"""Jobs that a slot is given at once, at most."""
WORK = 0.020
"""Seconds of work that waits behind the job that a slot performs, at most."""
_WEIGHT = 0.1
"""What the last job counts for in the mean."""


class Pace:
    """The mean duration of a queue's jobs, and a limit that grows while all goes well and shrinks when it does not."""

    __slots__ = ("_limit", "_mean")

    def __init__(self) -> None:
        self._mean: float | None = None
        self._limit = 1

    @property
    def batch(self) -> int:
        """Jobs to give to a slot: one to perform, and those that wait behind it."""
        if self._mean is None:
            return 1
        return min(self._limit, 1 + int(WORK / max(self._mean, 1e-6)))

    def took(self, seconds: float) -> None:
        """A job has ended after so long."""
        if self._mean is None:
            self._mean = seconds
        else:
            self._mean += _WEIGHT * (seconds - self._mean)

    def filled(self) -> None:
        """As many jobs came as were asked for."""
        self._limit = min(MOST, 2 * self._limit)

    def gave_back(self) -> None:
        """Jobs had to be given back because the one before them took long."""
        self._limit = max(1, self._limit // 2)
