"""The way through the failed list on which older records lose their traceback and output."""

from __future__ import annotations

from collections.abc import Sequence

from ..failure import shrunk
from ..store import Request
from ..store.failures import Failures

Found = Sequence[tuple[int, bytes]]
Pairs = Sequence[tuple[int, bytes, bytes]]


class Shrinking:
    """Looks at the records that need not be full any more, some at a time: `begin`, then `go_on` with each answer.

    A look goes from the newest of them towards the head of the list, as far as it finds full ones. Many with nothing to
    lose may stand between these, so at its end each look takes one step more on a way through the whole list.
    """

    def __init__(self, failures: Failures) -> None:
        self._failures = failures
        self._aside = False
        self._far: int | None = None

    def begin(self) -> Request[list[tuple[int, bytes]]]:
        """The first request of a look."""
        self._aside = False
        return self._failures.old_ones()

    def go_on(self, found: Found) -> tuple[Pairs, Request[list[tuple[int, bytes]]] | None]:
        """What to replace of what was ``found``, and the next request; None when the look is over."""
        pairs = [(at, raw, short) for at, raw in found if (short := shrunk(raw)) is not None]
        reached = found[-1][0] if found else 0
        if self._aside:
            self._far = reached or None  # at the head of the list the way begins anew
            return pairs, None
        if pairs and reached:
            return pairs, self._failures.old_ones(before=reached)
        self._aside = True
        before = self._far or reached
        return pairs, self._failures.old_ones(before=before) if before else None
