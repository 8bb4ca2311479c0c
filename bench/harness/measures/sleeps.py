"""Jobs that wait for something, as most real ones do: two performers against a bare loop of the same sleeps."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.synchronize import Barrier
from typing import Any

from ..ground import Ground
from ..measure import Figures, Measure, Row, Samples, Scale, against, alone
from ..notes import Note
from ..systems import CELERY, DJANGO_Q, DRAMATIQ_1, HUEY, OURS, RQ_SIMPLE, System

PERFORMERS = 2
BARE = System("bare", "bare loop", (), lambda performers: [])


def time_slept(notes: Sequence[Note]) -> float:
    """Percent of the performers' time that was slept as asked for, from when all had begun until the last one ended.

    Of a nap that had begun before that, what was left of it counts.
    """
    firsts: dict[int, float] = {}
    for note in notes:
        firsts[note.pid] = min(note.begun, firsts.get(note.pid, note.begun))
    if len(firsts) < PERFORMERS:
        raise RuntimeError(f"{len(firsts)} processes took part, and not {PERFORMERS}")
    begun = sorted(firsts.values())[PERFORMERS - 1]  # later ones have replaced others
    ended = max(note.ended for note in notes)
    slept = sum(
        note.seconds * (note.ended - max(note.begun, begun)) / (note.ended - note.begun)
        for note in notes
        if note.ended > begun
    )
    return 100 * slept / PERFORMERS / (ended - begun)


def bare_loop(naps: Sequence[float]) -> list[Note]:
    """The same naps in as many processes, that take them from one counter and do nothing else."""
    context = multiprocessing.get_context("fork")
    taken, results = context.Value("i", 0), context.SimpleQueue()
    barrier = context.Barrier(PERFORMERS)
    loops = [context.Process(target=_loop, args=(naps, taken, barrier, results)) for _ in range(PERFORMERS)]
    for loop in loops:
        loop.start()
    notes = [note for _ in loops for note in results.get()]
    for loop in loops:
        loop.join()
    return notes


def _loop(naps: Sequence[float], taken: Any, barrier: Barrier, results: Any) -> None:
    notes = []
    barrier.wait()
    while True:
        with taken.get_lock():
            index = taken.value
            taken.value += 1
        if index >= len(naps):
            break
        begun = time.monotonic()
        time.sleep(naps[index])
        notes.append(Note(begun, time.monotonic(), naps[index], os.getpid()))
    results.put(notes)


class Naps(Measure):
    """Naps that are queued, with two performers. Dramatiq has one thread in each, as threads that sleep are free."""

    units = {"slept": "%"}

    def naps(self) -> list[float]:
        raise NotImplementedError

    def run(self, ground: Ground, label: str, system: System) -> Figures:
        naps = self.naps()
        if system is BARE:
            return {"slept": time_slept(bare_loop(naps))}
        ground.fill(system, {"job": "nap", "values": naps})
        with ground.consumer(system, PERFORMERS) as consumer:
            return {"slept": time_slept(ground.wait(len(naps), consumer))}

    def against_bare(self, samples: Samples, title: str, target: float) -> Row:
        return against(
            samples,
            title,
            target,
            OURS.label,
            [BARE.label],
            figure="slept",
            unit="%",
            target_text=f"≥ {target:.0%} of a bare loop",
        )

    def remark(self, label: str) -> str:
        return f"{len(self.naps()):,} jobs; percent of the performers' time"


class SameNaps(Naps):
    """Naps of one length."""

    length: float
    target: float

    def __init__(self, scale: Scale) -> None:
        super().__init__(scale)
        self.title = f"jobs that sleep {self.length * 1000:g} ms, {PERFORMERS} performers"

    @property
    def contestants(self) -> Mapping[str, System]:
        return {OURS.label: OURS, BARE.label: BARE}

    def naps(self) -> list[float]:
        return [self.length] * self.scale.of(PERFORMERS * 3 / self.length, least=20)

    def rows(self, samples: Samples) -> Iterator[Row]:
        yield self.against_bare(samples, self.title, self.target)


class Naps1(SameNaps):
    name, length, target = "sleep1", 0.001, 0.9


class Naps10(SameNaps):
    name, length, target = "sleep10", 0.01, 0.97


class Naps100(SameNaps):
    name, length, target = "sleep100", 0.1, 0.99


class RandomNaps(Naps):
    """Naps of 0 to 5 ms, beside all peers."""

    name = "random"
    title = f"jobs that sleep a random 0–5 ms, {PERFORMERS} performers"
    peers = (HUEY, DRAMATIQ_1, CELERY, DJANGO_Q, RQ_SIMPLE)

    @property
    def contestants(self) -> Mapping[str, System]:
        return {system.label: system for system in (OURS, BARE, *self.peers)}

    def naps(self) -> list[float]:
        lengths = random.Random(3)
        return [round(lengths.uniform(0, 0.005), 6) for _ in range(self.scale.of(2_400))]

    def rows(self, samples: Samples) -> Iterator[Row]:
        yield self.against_bare(samples, self.title, 0.92)
        yield against(
            samples,
            f"{self.title}, beside the peers",
            1,
            OURS.label,
            [peer.label for peer in self.peers],
            figure="slept",
            unit="%",
            target_text="ahead of every peer",
        )


class Delay(Measure):
    """A job of one second among short ones, while the other performer is free."""

    name = "delay"
    title = "a 1 s job delays another, while a performer is free"
    units = {"queued": "ms", "coming": "ms"}

    @property
    def contestants(self) -> Mapping[str, System]:
        return {OURS.label: OURS}

    def run(self, ground: Ground, label: str, system: System) -> Figures:
        queued, coming = [], []
        with ground.consumer(system, PERFORMERS) as consumer:
            ground.fill(system, {"job": "noop", "count": 3_000}, {"job": "mark", "count": 1})
            ground.wait(1, consumer)  # now it knows that these jobs are short
            for trial in range(self.scale.of(3)):
                ground.notes.clear()
                naps = [0.0] * 500
                naps.insert(100 + 50 * trial, 1.0)
                ground.fill(system, {"job": "nap", "values": naps})
                queued.append(longest_wait(ground.wait(len(naps), consumer)))
                ground.notes.clear()
                ground.fill(system, {"job": "sit", "values": [1.0]})
                ground.wait(1, consumer)
                ground.produce(system, {"job": "stamp", "count": 30, "gap": [0.005, 0.01]}, check=False)
                stamps = ground.wait(31, consumer)[1:]
                coming.append(max(note.ended - note.begun for note in stamps))
        return {"queued": max(queued) * 1000, "coming": max(coming) * 1000}

    def rows(self, samples: Samples) -> Iterator[Row]:
        found = [samples.worst(OURS.label, figure) for figure in self.units]
        worst = max((value for value in found if value is not None), default=None)
        yield alone(samples, self.title, 60, worst, "ms", ours=OURS.label)

    def remark(self, label: str) -> str:
        return "the longest of all; queued behind it, and coming while it runs"


def longest_wait(notes: Sequence[Note]) -> float:
    """The longest time in which the free performer began nothing, although a short job was still to be begun."""
    (long,) = (note for note in notes if note.seconds)
    last, longest = long.begun, 0.0
    for note in sorted(notes):
        if note is not long and note.begun > long.begun:
            longest = max(longest, note.begun - last)
            last = max(last, note.ended)
    return longest
