"""The jobs of a storm: what they do, how often, and how they end when nobody harms them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

DONE = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """``ending`` is the exception of its failure record, or `DONE`. ``deaths``: how often it kills its own process.

    ``attempts``: in which of its attempts it is done. ``weight`` is how many among all weights; ``seconds`` how long it
    takes at most; ``using`` goes to `using()`.
    """

    name: str
    weight: float
    ending: str = DONE
    deaths: int = 0
    seconds: float = 0
    ballast: int = 0
    attempts: int = 1
    using: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fragile(self) -> bool:
        """Whether it must never be begun twice."""
        return self.using.get("on_crash") == "fail"

    def options(self, chance: random.Random) -> dict[str, Any]:
        """Options of the command, for one job."""
        found: dict[str, Any] = {}
        if self.seconds:
            found["seconds"] = round(chance.uniform(0, self.seconds), 4)
        if self.ballast:
            found["ballast"] = "x" * self.ballast
        return found


ALWAYS = 99
STUBBORN_TAKES = 11.0
"""Seconds that a job which does not listen to its timeout keeps a performer, at least."""

KINDS = {
    kind.name: kind
    for kind in (
        Kind("noop", 520),
        Kind("doze", 200, seconds=0.02),
        Kind("linger", 40, seconds=0.3),
        Kind("write", 50),
        Kind("heavy", 5, ballast=150_000),  # does not fit into a packet
        Kind("refuse", 50, ending="ValueError"),
        Kind("die_once", 15, deaths=1),
        Kind("die_twice", 8, deaths=2),
        Kind("die_always", 10, ending="PoisonJob", deaths=ALWAYS),
        Kind("fragile", 40, seconds=0.02, using={"on_crash": "fail"}),
        Kind("fragile_die", 8, ending="DirtyExit", deaths=ALWAYS, using={"on_crash": "fail"}),
        Kind("later", 40, using={"delay": 0.7}),
        Kind("flaky", 40, attempts=2, using={"max_attempts": 2, "backoff": 0.2}),
        Kind("narrow", 40, seconds=0.02, using={"concurrency": ("storm", 2)}),
        Kind("leave_child", 10),
        Kind("leave_session", 10),
        Kind("leave_daemon", 10),
        Kind("overstay", 8, ending="JobTimeout", using={"timeout": 0.3}),
        Kind("stubborn", 0.2, ending="JobTimeout", using={"timeout": 0.3}),
    )
}


def draw(chance: random.Random, choices: Set[str]) -> Kind:
    """A kind, at random, of those that need no other ``choices`` of `using()`."""
    kinds = [kind for kind in KINDS.values() if kind.using.keys() <= choices]
    return chance.choices(kinds, [kind.weight for kind in kinds])[0]
