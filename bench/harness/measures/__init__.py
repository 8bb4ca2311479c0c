"""All measures, in the order of the table."""

from __future__ import annotations

from ..measure import Measure
from .delayed import Late, Promote
from .drain import DrainOne, DrainTwo, Fork
from .enqueue import Enqueue, EnqueueMany
from .latency import FarAway, Latency
from .memory import Flat, Memory
from .recovery import Lease, Recovery
from .scale import Backlog, Queues
from .sleeps import Delay, Naps1, Naps10, Naps100, RandomNaps

MEASURES: tuple[type[Measure], ...] = (
    DrainOne,
    DrainTwo,
    Fork,
    Enqueue,
    EnqueueMany,
    Latency,
    Naps1,
    Naps10,
    Naps100,
    Delay,
    RandomNaps,
    FarAway,
    Memory,
    Backlog,
    Queues,
    Promote,
    Late,
    Recovery,
    Lease,
    Flat,
)
