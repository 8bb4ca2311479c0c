"""An idle worker: how soon it begins a job, what it costs, and the same Redis a millisecond away."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import redis

from .. import processes
from ..ground import BENCH, Ground
from ..measure import Figures, Measure, Row, Samples, against, alone, percentile
from ..systems import HUEY, OURS, System
from .drain import drain


class Latency(Measure):
    """Jobs that come one by one to a worker that has nothing else to do, and before that, none at all."""

    name = "latency"
    title = "enqueue → start on an idle worker"
    units = {"p50": "ms", "p99": "ms", "idle": "%"}

    @property
    def contestants(self) -> Mapping[str, System]:
        return {OURS.label: OURS, HUEY.label: HUEY}

    def run(self, ground: Ground, label: str, system: System) -> Figures:
        with ground.consumer(system) as consumer:
            ground.produce(system, {"job": "stamp", "count": 20, "gap": [0, 0.02]})
            ground.wait(20, consumer)
            time.sleep(2)  # what follows the last job is no idling
            idle = idle_cpu(consumer.family(), self.scale.of(20, least=3))
            ground.notes.clear()
            jobs = self.scale.of(500, least=100)
            ground.produce(system, {"job": "stamp", "count": jobs, "gap": [0.01, 0.03]})
            notes = ground.wait(jobs, consumer)
        waits = [(note.ended - note.begun) * 1000 for note in notes]
        return {"p50": percentile(waits, 50), "p99": percentile(waits, 99), "idle": idle}

    def rows(self, samples: Samples) -> Iterator[Row]:
        for figure, target in (("p50", 0.6), ("p99", 1)):
            yield against(
                samples,
                f"{self.title}, {figure}",
                target,
                OURS.label,
                [HUEY.label],
                figure=figure,
                unit="ms",
                less_is_better=True,
                target_text=f"≤ {target:g} × huey",
            )
        yield alone(samples, "idle CPU, in the same run", 0.2, samples.median(OURS.label, "idle"), "%", ours=OURS.label)

    def remark(self, label: str) -> str:
        return f"{self.scale.of(500, least=100)} jobs, 10 to 30 ms apart; idle for {self.scale.of(20, least=3)} s"


def idle_cpu(pids: list[int], seconds: float) -> float:
    """Percent of one processor that these processes use in the next seconds."""
    before, begun = processes.cpu_seconds(pids), time.monotonic()
    time.sleep(seconds)
    return 100 * (processes.cpu_seconds(pids) - before) / (time.monotonic() - begun)


class FarAway(Measure):
    """A drain through a proxy that adds a millisecond each way."""

    name = "proxy"
    title = "drain with 1 ms of Redis latency each way, 1 performer"
    units = {"rate": "/s", "round trip": "ms", "throughput": "MB/s"}

    @property
    def contestants(self) -> Mapping[str, System]:
        return {OURS.label: OURS, HUEY.label: HUEY}

    def run(self, ground: Ground, label: str, system: System) -> Figures:
        with far_away(ground, 0.001) as url:
            rate = drain(ground, system, self.jobs(system), url=url)
            return {"rate": rate, "round trip": round_trip(url), "throughput": throughput(url)}

    def rows(self, samples: Samples) -> Iterator[Row]:
        yield against(samples, self.title, 10, OURS.label, [HUEY.label], target_text="≥ 10 × huey")

    def remark(self, label: str) -> str:
        return (
            f"{self.jobs(self.contestants[label]):,} jobs; through the proxy a PING and a large reply had what is said"
        )

    def jobs(self, system: System) -> int:
        return self.scale.of(20_000 if system is OURS else 1_000)


@contextmanager
def far_away(ground: Ground, seconds: float) -> Iterator[str]:
    """An address of the Redis server that is so far away."""
    proxy = subprocess.Popen(
        [sys.executable, "-m", "harness.proxy", str(ground.server.port), str(seconds)],
        cwd=BENCH,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert proxy.stdout is not None
    try:
        yield f"redis://127.0.0.1:{int(proxy.stdout.readline())}/0"
    finally:
        proxy.kill()
        proxy.wait()
        proxy.stdout.close()


def round_trip(url: str) -> float:
    """Milliseconds of a PING, the median of a hundred."""
    waits = []
    with redis.Redis.from_url(url) as client:
        for _ in range(101):
            begun = time.perf_counter()
            client.ping()
            waits.append((time.perf_counter() - begun) * 1000)
    return percentile(waits, 50)


def throughput(url: str) -> float:
    """Megabytes a second of one large reply."""
    size = 32_000_000
    with redis.Redis.from_url(url) as client:
        client.set("bench:large", bytes(size))
        begun = time.perf_counter()
        client.get("bench:large")
        seconds = time.perf_counter() - begun
        client.delete("bench:large")
    return size / 1e6 / seconds
