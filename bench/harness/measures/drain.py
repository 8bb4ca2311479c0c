"""How fast a consumer performs what is queued."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..ground import PATIENCE, Ground
from ..measure import Figures, Measure, Row, Samples, Scale, against
from ..notes import Note
from ..systems import ALL, FORKING, OURS, RQ, System


def drain(ground: Ground, system: System, jobs: int, performers: int = 1, *args: str, url: str | None = None) -> float:
    """Jobs a second from the first to the last.

    The first notes the time, and so does each of a number of jobs at the end, which count as well: with several
    performers the last one to begin need not be the last one to end.
    """
    tail = max(1, jobs // 40)
    ground.fill(
        system, {"job": "mark", "count": 1}, {"job": "noop", "count": jobs - tail}, {"job": "mark", "count": tail}
    )
    with ground.consumer(system, performers, *args, url=url) as consumer:
        notes = ground.wait(1 + tail, consumer, seconds=PATIENCE)
    return jobs / elapsed(notes)


def elapsed(notes: list[Note]) -> float:
    """Seconds from the first mark to the last."""
    moments = [note.begun for note in notes]
    return max(moments) - min(moments)


def share(system: System, jobs: int) -> int:
    """How many of the jobs this system gets."""
    return max(40, int(jobs * system.share))


class Drain(Measure):
    """No-ops that are queued, with so many performers."""

    performers = 1

    def __init__(self, scale: Scale) -> None:
        super().__init__(scale)
        self.title = f"drain of {scale.jobs:,} no-ops, {self.performers} performer{'s' * (self.performers > 1)}"

    @property
    def contestants(self) -> Mapping[str, System]:
        return {system.label: system for system in ALL}

    def run(self, ground: Ground, label: str, system: System) -> Figures:
        return {"rate": drain(ground, system, share(system, self.scale.jobs), self.performers)}

    def rows(self, samples: Samples) -> Iterator[Row]:
        yield against(samples, self.title, 3, OURS.label, [system.label for system in ALL if system is not OURS])

    def remark(self, label: str) -> str:
        return f"{share(self.contestants[label], self.scale.jobs):,} jobs"


class DrainOne(Drain):
    name = "drain1"


class DrainTwo(Drain):
    name = "drain2"
    performers = 2


class Fork(Measure):
    name = "fork"
    title = "one fork per job (`--max-jobs 1`), 1 performer"

    @property
    def contestants(self) -> Mapping[str, System]:
        return {system.label: system for system in (FORKING, RQ)}

    def run(self, ground: Ground, label: str, system: System) -> Figures:
        return {"rate": drain(ground, system, self.jobs(system))}

    def rows(self, samples: Samples) -> Iterator[Row]:
        yield against(samples, self.title, 3, FORKING.label, [RQ.label], target_text="≥ 3 × RQ's default worker")

    def remark(self, label: str) -> str:
        return f"{self.jobs(self.contestants[label]):,} jobs"

    def jobs(self, system: System) -> int:
        return self.scale.of(1000 if system is FORKING else 400)
