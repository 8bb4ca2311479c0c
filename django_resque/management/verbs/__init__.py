"""The verbs of ``manage.py resque``, in the order in which its help lists them."""

from __future__ import annotations

from collections.abc import Sequence

from .control import Cleanup, Pause, Resume, Stop
from .queue_pausing import PauseQueue, ResumeQueue
from .restart import Restart
from .start import Load, Start, StartScheduler
from .tail import Tail
from .verb import NO, OK, USAGE, UsageError, Verb, add_yes_argument, confirmed

VERBS: Sequence[type[Verb]] = (
    Start,
    StartScheduler,
    Load,
    Stop,
    Restart,
    Pause,
    Resume,
    Cleanup,
    PauseQueue,
    ResumeQueue,
    Tail,
)

__all__ = ["NO", "OK", "USAGE", "VERBS", "UsageError", "Verb", "add_yes_argument", "confirmed"]
