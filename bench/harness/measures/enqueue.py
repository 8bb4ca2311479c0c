"""How fast a program enqueues."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..ground import Ground
from ..measure import Figures, Measure, Row, Samples, against
from ..systems import CELERY, DJANGO_Q, DRAMATIQ, HUEY, OURS, RQ, System
from .drain import share

WARMUP = {"job": "noop", "count": 100}
PLAIN: Mapping[str, Any] = {"check": False, "track": False}
UNCHECKED: Mapping[str, Any] = {"check": False}


class Enqueue(Measure):
    name = "enqueue"
    title = "enqueue, one call at a time"
    plain = "django_resque, check=False, track=False"

    @property
    def contestants(self) -> Mapping[str, System]:
        return {OURS.label: OURS, self.plain: OURS} | {
            system.label: system for system in (HUEY, DRAMATIQ, RQ, CELERY, DJANGO_Q)
        }

    def run(self, ground: Ground, label: str, system: System) -> Figures:
        jobs = self.jobs(system)
        choices = PLAIN if label == self.plain else {}
        _, seconds = ground.produce(system, WARMUP, {"job": "noop", "count": jobs}, **choices)
        return {"rate": jobs / seconds}

    def rows(self, samples: Samples) -> Iterator[Row]:
        for label, title, target in ((OURS.label, self.title, 0.75), (self.plain, f"{self.title}, plain", 0.9)):
            yield against(samples, title, target, label, [HUEY.label], target_text=f"≥ {target:g} × huey")

    def remark(self, label: str) -> str:
        return f"{self.jobs(self.contestants[label]):,} calls"

    def jobs(self, system: System) -> int:
        return max(share(system, self.scale.of(10_000)), self.scale.of(2_000))


class EnqueueMany(Measure):
    name = "many"
    title = "`enqueue_many` of 100,000"
    unchecked = "django_resque, check=False"

    @property
    def contestants(self) -> Mapping[str, System]:
        return {OURS.label: OURS, self.unchecked: OURS, HUEY.label: HUEY}

    def run(self, ground: Ground, label: str, system: System) -> Figures:
        jobs = self.jobs(system)
        choices = UNCHECKED if label == self.unchecked else {}
        step = {"job": "noop", "count": jobs}
        _, seconds = ground.produce(system, WARMUP, step, many=system is OURS, **choices)
        return {"rate": jobs / seconds}

    def rows(self, samples: Samples) -> Iterator[Row]:
        for label, title, target in (
            (OURS.label, self.title, 3),
            (self.unchecked, f"{self.title}, check=False", 5),
        ):
            yield against(samples, title, target, label, [HUEY.label], target_text=f"≥ {target:g} × huey's loop")

    def remark(self, label: str) -> str:
        return f"{self.jobs(self.contestants[label]):,} jobs"

    def jobs(self, system: System) -> int:
        return self.scale.of(100_000 if system is OURS else 20_000)
