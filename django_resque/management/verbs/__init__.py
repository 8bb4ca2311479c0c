"""The verbs of ``manage.py resque``, in the order in which its help lists them."""

from __future__ import annotations

from collections.abc import Sequence

from .control import Cleanup, Pause, Resume, Stop
from .delayed import Delayed
from .enqueueing import Enqueue, EnqueueAt, EnqueueIn
from .failures import Discard, Failed, Retry
from .housekeeping import Check, Reset
from .overview import Stats, Top
from .queue_pausing import PauseQueue, ResumeQueue
from .queues import Clear, Dequeue, Jobs, Queues
from .restart import Restart
from .schedule import Schedule
from .single_jobs import Recent, ShowJob, Track
from .start import Load, Start, StartScheduler
from .tail import Tail
from .verb import NO, OK, USAGE, UsageError, Verb, add_yes_argument, confirmed
from .workers import Workers

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
    Stats,
    Workers,
    Top,
    Check,
    Reset,
    Queues,
    Jobs,
    Clear,
    Dequeue,
    Enqueue,
    EnqueueIn,
    EnqueueAt,
    Delayed,
    Schedule,
    ShowJob,
    Track,
    Recent,
    Failed,
    Retry,
    Discard,
)

__all__ = ["NO", "OK", "USAGE", "VERBS", "UsageError", "Verb", "add_yes_argument", "confirmed"]
