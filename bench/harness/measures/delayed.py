"""Jobs that are not for now: how fast they go to their queues when they are due, and how late."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from ..ground import PATIENCE, Ground
from ..measure import Figures, Measure, Row, Samples, alone, percentile, show
from ..systems import OURS, System

FILLED_WITHIN = 15  # seconds, in which the jobs are enqueued before they are due
SECONDS = 5  # in each of which some jobs are due


class Promote(Measure):
    name = "promote"
    title = "delayed jobs that are due at once go to their queue"

    @property
    def contestants(self) -> Mapping[str, System]:
        return {OURS.label: OURS}

    def run(self, ground: Ground, label: str, system: System) -> Figures:
        jobs = self.scale.of(50_000)
        due = int(time.time()) + FILLED_WITHIN
        ground.fill(system, {"job": "noop", "count": jobs}, at=due)
        if time.time() >= due:
            raise RuntimeError("they were due before all of them were there")
        with ground.consumer(system, 1, "-q", "nothing"):
            return {"rate": self._rate(ground, jobs)}

    def _rate(self, ground: Ground, jobs: int) -> float:
        first: tuple[float, int] | None = None
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            there, now = int(ground.client.llen("resque:queue:default")), time.perf_counter()
            if first is None and there:
                first = now, there
            if first is not None and there >= jobs:
                return (there - first[1]) / (now - first[0])
            time.sleep(0.002)
        raise TimeoutError("not all delayed jobs went to their queue")

    def rows(self, samples: Samples) -> Iterator[Row]:
        rate = samples.median(OURS.label)
        shown = show(rate, "/s") if rate is not None else samples.errors.get(OURS.label, "–")
        yield Row(self.title, "≥ 20,000/s", shown, "", "", rate is not None and rate >= 20_000)


class Late(Measure):
    name = "late"
    title = "delayed jobs begin after they are due, idle worker, p99"
    units = {"p50": "s", "p99": "s", "earliest": "s"}

    @property
    def contestants(self) -> Mapping[str, System]:
        return {OURS.label: OURS}

    def run(self, ground: Ground, label: str, system: System) -> Figures:
        each = self.scale.of(20, 5)
        with ground.consumer(system) as consumer:
            ground.fill(system, {"job": "mark", "count": 1})
            ground.wait(1, consumer)
            ground.notes.clear()
            ahead = time.monotonic() - time.time()
            begin = int(time.time()) + 5 + SECONDS  # a producer takes up to a second to start
            for second in range(SECONDS):
                ground.fill(system, {"job": "mark", "count": each}, at=begin + second)
            begun = sorted(note.begun for note in ground.wait(SECONDS * each, consumer))
        late = [moment - (begin + place // each + ahead) for place, moment in enumerate(begun)]
        return {"p50": percentile(late, 50), "p99": percentile(late, 99), "earliest": min(late)}

    def rows(self, samples: Samples) -> Iterator[Row]:
        yield alone(samples, self.title, 1.1, samples.worst(OURS.label, "p99"), "s", ours=OURS.label)
