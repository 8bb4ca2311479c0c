"""What a worker needs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from .. import processes
from ..ground import PATIENCE, Ground
from ..measure import Figures, Measure, Row, Samples, against, alone
from ..systems import ALL, HUEY, OURS, System


class Memory(Measure):
    """A worker with one performer that has done something."""

    name = "memory"
    title = "memory (PSS) of all processes of a worker, 1 performer"
    units = {"pss": "MB", "processes": ""}

    @property
    def contestants(self) -> Mapping[str, System]:
        return {system.label: system for system in ALL}

    def run(self, ground: Ground, label: str, system: System) -> Figures:
        jobs = 200 if system.share > 0.1 else 20
        ground.fill(system, {"job": "noop", "count": jobs}, {"job": "mark", "count": 1})
        with ground.consumer(system) as consumer:
            ground.wait(1, consumer)
            time.sleep(1.5)  # until all have settled
            members = consumer.family()
            return {"pss": processes.pss(members), "processes": len(members)}

    def rows(self, samples: Samples) -> Iterator[Row]:
        yield against(
            samples,
            self.title,
            1,
            OURS.label,
            [HUEY.label],
            figure="pss",
            unit="MB",
            less_is_better=True,
            target_text="≤ huey's",
        )


class Flat(Measure):
    """The dispatcher's memory at the beginning and at the end of very many jobs."""

    name = "flat"
    title = "the dispatcher's memory after 1,000,000 jobs"
    units = {"before": "MB", "after": "MB", "growth": "MB"}
    slow = True

    @property
    def rounds(self) -> int:
        return 1

    @property
    def contestants(self) -> Mapping[str, System]:
        return {OURS.label: OURS}

    def run(self, ground: Ground, label: str, system: System) -> Figures:
        jobs = self.scale.of(1_000_000)
        ground.fill(
            system,
            {"job": "noop", "count": jobs // 20},
            {"job": "mark", "count": 1},
            {"job": "noop", "count": jobs - jobs // 20},
            {"job": "mark", "count": 1},
        )
        with ground.consumer(system) as consumer:
            ground.wait(1, consumer)
            before = processes.rss(consumer.pid)
            ground.wait(2, consumer, seconds=10 * PATIENCE)
            after = processes.rss(consumer.pid)
        return {"before": before, "after": after, "growth": after - before}

    def rows(self, samples: Samples) -> Iterator[Row]:
        yield alone(samples, f"{self.title}: growth", 1, samples.median(OURS.label, "growth"), "MB", ours=OURS.label)

    def remark(self, label: str) -> str:
        return f"{self.scale.of(1_000_000):,} jobs; resident, before is after one twentieth of them"
