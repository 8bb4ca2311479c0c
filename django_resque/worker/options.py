"""What a worker process was told on its command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..command import CommandInfo
from .selection import Selection


@dataclass(frozen=True, slots=True)
class Options:
    """``interval``, ``grace`` and ``max_age`` are in seconds, ``max_rss`` in MB (None: no limit). ``burst`` ends the
    worker when its queues are empty. ``quiet_jobs``: what commands write does not appear on its stderr. ``commands``
    are those that may be jobs, by name, as they were at the start. ``scheduler``: due jobs and schedule entries are
    enqueued, too; with no ``performers`` nothing else is done. ``info`` is what others are to know of the process."""

    selection: Selection
    performers: int = 1
    burst: bool = False
    interval: float = 1.0
    grace: float = 25.0
    max_jobs: int = 10_000
    max_rss: int | None = None
    max_age: float | None = None
    quiet_jobs: bool = False
    scheduler: bool = True
    commands: Mapping[str, CommandInfo] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)
