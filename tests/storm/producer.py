"""A process that enqueues: ``python -m tests.storm.producer``. It notes down what it tries and what comes of it.

It goes on until it has pushed as many jobs as it was told, evenly over the time it was told, one by one or
(``--bursts``) many at once and then nothing for a while.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import time
from collections.abc import Sequence
from inspect import signature
from pathlib import Path

import django

from django_resque import using
from django_resque.errors import EnqueueError

from .evidence import PUSHED, REFUSED, TRIED, UNCERTAIN, Notebook
from .kinds import Kind, draw

BURST = 3.0
"""Seconds from one burst to the next."""
LARGEST_BATCH = 40
AFTER_AN_ERROR = 0.05
QUEUES = ("high", "low")


class Pusher:
    """Enqueues jobs of the storm, and notes it. ``name`` begins the names of its jobs. Django must be set up."""

    def __init__(self, folder: Path, name: str, chance: random.Random) -> None:
        self._notebook = Notebook(folder / f"pushes-{name}.log")
        self._names = (f"{name}.{number}" for number in itertools.count(1))
        self._chance = chance
        self.choices = frozenset(signature(using).parameters)
        """What `using()` takes."""

    def push(self, kinds: Sequence[Kind]) -> int:
        """Enqueue a job of each kind, in one call where they have the same options. Returns how many were taken."""
        plain = [kind for kind in kinds if not kind.using]
        groups = [plain] if plain else []
        groups += [[kind] for kind in kinds if kind.using]
        return sum(map(self._push_alike, groups))

    def _push_alike(self, kinds: Sequence[Kind]) -> int:
        jobs = {next(self._names): kind for kind in kinds}
        calls = [((kind.name, name), {**kind.options(self._chance), **_deaths(kind)}) for name, kind in jobs.items()]
        choices = using(queue=self._chance.choice(QUEUES), **kinds[0].using)
        self._note(*(f"{TRIED} {name} {kind.name}" for name, kind in jobs.items()))
        ids: dict[str, str] = {}
        outcomes = dict.fromkeys(jobs, PUSHED)
        try:
            if len(calls) == 1:
                ((args, options),) = calls
                ids[args[1]] = choices.enqueue("storm_work", *args, **options).id
            else:
                ids.update((job.args[1], job.id) for job in choices.enqueue_many("storm_work", calls))
        except EnqueueError as error:
            for job in error.jobs:
                outcomes[job.args[1]] = UNCERTAIN if error.uncertain else REFUSED
                ids[job.args[1]] = type(error).__name__
        self._note(*(f"{outcome} {name} {ids.get(name, '-')}" for name, outcome in outcomes.items()))
        taken = list(outcomes.values()).count(PUSHED)
        if taken < len(jobs):
            time.sleep(AFTER_AN_ERROR)
        return taken

    def _note(self, *lines: str) -> None:
        self._notebook.note(*(f"{line} {time.monotonic():.6f}" for line in lines))

    def close(self) -> None:
        self._notebook.close()


def _deaths(kind: Kind) -> dict[str, int]:
    return {"deaths": kind.deaths} if kind.deaths else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", required=True)
    parser.add_argument("--bursts", action="store_true")
    options = parser.parse_args()
    django.setup()
    chance = random.Random(f"{options.seed} {options.name}")
    pusher = Pusher(Path(os.environ["DJANGO_RESQUE_STORM"]), options.name, chance)
    began = time.monotonic()
    taken = 0
    while taken < options.jobs:
        elapsed = time.monotonic() - began
        if options.bursts:
            elapsed = (elapsed // BURST + 1) * BURST
        due = min(1.0, elapsed / max(options.seconds, 0.001)) * options.jobs - taken
        if due < 1:
            time.sleep(0.005)
            continue
        size = min(int(due), LARGEST_BATCH) if options.bursts else 1
        taken += pusher.push([draw(chance, pusher.choices) for _ in range(size)])


if __name__ == "__main__":
    main()
