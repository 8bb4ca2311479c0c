"""A stretch of what is to come: the delayed jobs, or the retries, from a moment on, as many as a page looks through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

MOST = 2_500
"""Jobs that are looked through at most, and seconds."""
MOST_BYTES = 8_000_000
"""About how many bytes are looked through at most."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stretch(Generic[T]):
    """``items`` in the order of time, from the moment on that was asked for. ``left`` is when the first is due that is
    not among them, None when these are all; it may be the second in which they end. ``time`` is the server's (all of
    them unix times). ``trouble`` is what could not be read."""

    items: Sequence[T]
    left: float | None
    time: float
    trouble: Sequence[str] = ()
