"""What a worker process was told on its command line."""

from __future__ import annotations

from dataclasses import dataclass

from .selection import Selection


@dataclass(frozen=True, slots=True)
class Options:
    """``interval`` and ``grace`` are in seconds, ``max_rss`` in MB (None: no limit). ``burst`` ends the worker when
    its queues are empty."""

    selection: Selection
    performers: int = 1
    burst: bool = False
    interval: float = 1.0
    grace: float = 25.0
    max_jobs: int = 10_000
    max_rss: int | None = None
