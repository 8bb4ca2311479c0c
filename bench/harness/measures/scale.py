"""Whether it stays as fast with much in the queues, and with many queues."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..ground import Ground
from ..measure import Figures, Measure, Row, Samples, against
from ..systems import OURS, System
from .drain import drain


class Backlog(Measure):
    """The same stretch of jobs, once with nothing behind it and once with a million.

    The long queue is filled once and has a mark at each stretch; a worker drains from one mark to the next, is told to
    stop, and gives back what it has, so that the next round goes on from there.
    """

    name = "backlog"
    title = "drain rate with 1,000,000 queued against 10,000"
    few, many = "10,000 queued", "1,000,000 queued"
    keeps = True

    @property
    def rounds(self) -> int:
        return 5 if self.scale.rounds > 1 else 1

    @property
    def contestants(self) -> Mapping[str, System]:
        return {self.few: OURS, self.many: OURS}

    def prepare(self, ground: Ground) -> None:
        stretches = self.scale.of(1_000_000) // self.stretch
        ground.fill(OURS, *({**step, "queue": "many"} for step in self.steps() * stretches))

    def run(self, ground: Ground, label: str, system: System) -> Figures:
        queue = "few" if label == self.few else "many"
        ground.notes.clear()
        if label == self.few:
            ground.fill(system, *({**step, "queue": queue} for step in [*self.steps(), self.steps()[0]]))
        with ground.consumer(system, 1, "-q", queue) as consumer:
            first, second, *_ = ground.wait(2, consumer)
            consumer.stop()
        return {"rate": self.stretch / (second.begun - first.begun)}

    def rows(self, samples: Samples) -> Iterator[Row]:
        yield against(samples, self.title, 0.9, self.many, [self.few], target_text="≥ 0.9")

    def remark(self, label: str) -> str:
        queued = self.scale.of(1_000_000) if label == self.many else self.stretch
        return f"{self.stretch:,} jobs, with {queued:,} queued"

    @property
    def stretch(self) -> int:
        return self.scale.of(10_000)

    def steps(self) -> list[dict[str, Any]]:
        return [{"job": "mark", "count": 1}, {"job": "noop", "count": self.stretch - 1}]


class Queues(Measure):
    """Fifty queues to look through, the jobs in the last one."""

    name = "queues"
    title = "50 queues in the list instead of 1"
    one, fifty = "1 queue", "50 queues, all jobs in the last one"

    @property
    def contestants(self) -> Mapping[str, System]:
        return {self.one: OURS, self.fifty: OURS}

    def run(self, ground: Ground, label: str, system: System) -> Figures:
        others = [f"queue{number:02}" for number in range(49)] if label == self.fifty else []
        return {"rate": drain(ground, system, self.scale.jobs, 1, "-q", ",".join([*others, "default"]))}

    def rows(self, samples: Samples) -> Iterator[Row]:
        yield against(samples, self.title, 0.8, self.fifty, [self.one], target_text="≥ 0.8")
