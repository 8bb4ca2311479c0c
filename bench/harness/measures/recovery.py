"""How soon work goes on after something died: the times of the promises, of django_resque alone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tests.servers import RedisServer

from .. import processes
from ..ground import Consumer, Ground
from ..measure import Figures, Measure, Row, Samples, alone
from ..systems import OURS, System

LONG = 120.0  # seconds that a job sits there, longer than anything that is waited for
GRACE = 1.0


@dataclass(frozen=True)
class Scenario:
    """What happens, how soon work is to go on, and what measures it."""

    title: str
    within: float
    measure: Callable[[Ground], float]


def performer_killed(ground: Ground) -> float:
    """From the kill of a performer until its job runs again."""
    with ground.consumer(OURS) as consumer:
        pid = sitting(ground, consumer)
        return until_it_sits_again(ground, lambda: os.kill(pid, signal.SIGKILL), seconds=10)


def dispatcher_killed(ground: Ground) -> float:
    """From the kill of a dispatcher until its job runs in a sibling."""
    with ground.consumer(OURS) as one, ground.consumer(OURS) as other:
        pid = sitting(ground, one)
        holder = next(consumer for consumer in (one, other) if pid in consumer.family())
        return until_it_sits_again(ground, holder.process.kill, seconds=20)


def performer_left(ground: Ground) -> float:
    """From the kill of a dispatcher until its performer has ended too."""
    with ground.consumer(OURS) as consumer:
        pid = sitting(ground, consumer)
        begun = time.monotonic()
        consumer.process.kill()
        while processes.alive(pid):
            if time.monotonic() > begun + 10:
                raise TimeoutError("it still lives after 10 s")
            time.sleep(0.001)
        return time.monotonic() - begun


def frozen(ground: Ground) -> float:
    """From the moment that all of a worker stands still, as when its host dies, until its job runs in a sibling."""

    def freeze() -> None:
        for pid in holder.family():
            os.kill(pid, signal.SIGSTOP)

    with ground.consumer(OURS) as one, ground.consumer(OURS) as other:
        pid = sitting(ground, one)
        holder = next(consumer for consumer in (one, other) if pid in consumer.family())
        return until_it_sits_again(ground, freeze, seconds=75)


def told_to_stop(ground: Ground) -> float:
    """From TERM to the exit, with a job that outlasts the grace period."""
    with ground.consumer(OURS, 1, "--grace", str(GRACE)) as consumer:
        sitting(ground, consumer)
        return consumer.stop()


def redis_restarted(ground: Ground) -> float:
    """From the first answer of a Redis that was away for three seconds until the next job begins."""
    with RedisServer(appendfsync="everysec") as server:
        naps = {"job": "nap", "values": [0.05] * 400}
        ground.produce(OURS, naps, many=True, url=server.url)
        with ground.consumer(OURS, url=server.url) as consumer:
            ground.wait(20, consumer)
            server.stop()
            time.sleep(3)
            before = ground.notes.count()
            server.start()
            back = time.monotonic()
            for note in ground.wait(before + 2, consumer, seconds=30):
                if note.begun > back:
                    return note.begun - back
            return ground.wait(before + 3, consumer, seconds=30)[-1].begun - back


def sitting(ground: Ground, consumer: Consumer) -> int:
    """Enqueue a job that takes very long, and return the process that performs it."""
    time.sleep(1)  # both workers, where there are two, are there and idle
    ground.produce(OURS, {"job": "sit", "values": [LONG]})
    return ground.wait(1, consumer)[0].pid


def until_it_sits_again(ground: Ground, happen: Callable[[], None], *, seconds: float) -> float:
    """Seconds from what happens until the job begins for the second time."""
    begun = time.monotonic()
    happen()
    return ground.wait(2, seconds=seconds)[1].begun - begun


class Recovery(Measure):
    name = "recovery"
    title = "recovery"
    units = {"seconds": "s"}
    scenarios = (
        Scenario("a performer is killed → its job runs again", 0.1, performer_killed),
        Scenario("a dispatcher is killed → its performer has ended", 0.05, performer_left),
        Scenario("a dispatcher is killed → its job runs in a sibling", 2, dispatcher_killed),
        Scenario(f"TERM, grace {GRACE:g} s, a job that takes longer → exit", GRACE + 1, told_to_stop),
        Scenario("Redis is back after 3 s → the next job begins", 3, redis_restarted),
    )

    @property
    def contestants(self) -> Mapping[str, System]:
        return {scenario.title: OURS for scenario in self.scenarios}

    def run(self, ground: Ground, label: str, system: System) -> Figures:
        (scenario,) = (scenario for scenario in self.scenarios if scenario.title == label)
        return {"seconds": scenario.measure(ground)}

    def rows(self, samples: Samples) -> Iterator[Row]:
        for scenario in self.scenarios:
            worst = samples.worst(scenario.title)
            yield alone(samples, scenario.title, scenario.within, worst, "s", ours=scenario.title)

    def remark(self, label: str) -> str:
        return "the longest counts"


class Lease(Recovery):
    """What takes a lease; once."""

    name = "lease"
    title = "recovery, when only the lease tells"
    scenarios = (Scenario("a worker stands still (as a dead host) → its job runs in a sibling", 46, frozen),)

    @property
    def rounds(self) -> int:
        return 1
