"""What a measure is, and how it is carried out: in rounds, with every contestant once in each, in rotating order."""

from __future__ import annotations

import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .ground import Ground
from .systems import System

Figures = Mapping[str, float]


@dataclass(frozen=True)
class Row:
    """One line of the table. ``reached`` is None where it cannot be said."""

    measure: str
    target: str
    ours: str
    peer: str
    ratio: str
    reached: bool | None


@dataclass
class Samples:
    """What the contestants of one measure did, round by round, and why one of them is missing."""

    rounds: dict[str, list[Figures]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    seconds: float = 0

    def all(self, contestant: str, figure: str = "rate") -> list[float]:
        return [figures[figure] for figures in self.rounds.get(contestant, []) if figure in figures]

    def median(self, contestant: str, figure: str = "rate") -> float | None:
        found = self.all(contestant, figure)
        return statistics.median(found) if found else None

    def worst(self, contestant: str, figure: str = "seconds") -> float | None:
        """The highest, for what must never be more than something."""
        return max(self.all(contestant, figure), default=None)


@dataclass(frozen=True)
class Scale:
    """How much is done: ``jobs`` for a fast system in a drain, everything else in proportion where ``quick``."""

    jobs: int = 20_000
    rounds: int = 3
    quick: bool = False

    def of(self, number: float, least: int = 1) -> int:
        """This many in a full run, a tenth of it in a quick one."""
        return max(least, int(number / 10 if self.quick else number))


class Measure(ABC):
    """One thing that is measured. ``units`` has the figures that `run` returns, and their units."""

    name: str
    title: str
    units: Mapping[str, str] = {"rate": "/s"}
    slow = False
    """Not part of a run unless it is asked for."""
    keeps = False
    """Whether Redis is left as it is between the runs."""

    def __init__(self, scale: Scale) -> None:
        self.scale = scale

    @property
    def rounds(self) -> int:
        return self.scale.rounds

    @property
    @abstractmethod
    def contestants(self) -> Mapping[str, System]:
        """Who takes part, under which label."""

    def prepare(self, ground: Ground) -> None:  # noqa: B027  most need nothing
        """What all rounds need, once."""

    @abstractmethod
    def run(self, ground: Ground, label: str, system: System) -> Figures:
        """One contestant's part of one round, on empty ground unless it `keeps`."""

    @abstractmethod
    def rows(self, samples: Samples) -> Iterator[Row]:
        """The lines of the table."""

    def remark(self, label: str) -> str:
        """What is to be known of a contestant's part, such as a smaller number of jobs."""
        return ""


def carry_out(measure: Measure, ground: Ground, say: Callable[[str], Any]) -> Samples:
    """All rounds. A contestant that fails is left out of the rounds that follow, and nothing else happens."""
    samples = Samples()
    begun = time.monotonic()
    contestants = list(measure.contestants.items())
    for label, system in contestants:
        if system.missing:
            samples.errors[label] = f"not installed: {system.missing}"
    try:
        ground.clear()
        measure.prepare(ground)
    except Exception as error:
        samples.errors |= {label: f"{type(error).__name__}: {error}" for label, _ in contestants}
        say(f"  not prepared: {type(error).__name__}: {error}")
    for number in range(measure.rounds):
        turn = number % len(contestants)
        for label, system in contestants[turn:] + contestants[:turn]:
            if label in samples.errors:
                continue
            try:
                if not measure.keeps:
                    ground.clear()
                figures = measure.run(ground, label, system)
            except Exception as error:  # whatever befalls one of them, the others are still to be measured
                samples.errors[label] = f"{type(error).__name__}: {error}"
                say(f"  round {number + 1}  {label:28} {samples.errors[label]}")
                continue
            samples.rounds.setdefault(label, []).append(figures)
            shown = "   ".join(f"{name} {show(value, measure.units[name])}" for name, value in figures.items())
            say(f"  round {number + 1}  {label:28} {shown}")
    samples.seconds = time.monotonic() - begun
    return samples


# -- rows --------------------------------------------------------------------------------------------------------------


def against(
    samples: Samples,
    measure: str,
    target: float,
    ours: str,
    peers: Iterable[str],
    *,
    figure: str = "rate",
    unit: str = "/s",
    less_is_better: bool = False,
    target_text: str = "",
) -> Row:
    """Our median against that of the best of these peers."""
    mine = samples.median(ours, figure)
    theirs = {label: found for label in peers if (found := samples.median(label, figure)) is not None}
    best = (min if less_is_better else max)(theirs, key=lambda label: theirs[label], default=None)
    ratio = mine / theirs[best] if mine is not None and best is not None and theirs[best] else None
    sign = "≤" if less_is_better else "≥"
    return Row(
        measure,
        target_text or f"{sign} {target:g} × the fastest peer",
        show(mine, unit) if mine is not None else samples.errors.get(ours, "–"),
        f"{best} {show(theirs[best], unit)}" if best is not None else "–",
        f"{ratio:.2f}" if ratio is not None else "–",
        False if mine is None else None if ratio is None else ratio <= target if less_is_better else ratio >= target,
    )


def alone(samples: Samples, measure: str, target: float, value: float | None, unit: str, *, ours: str) -> Row:
    """A figure of ours that needs no peer."""
    return Row(
        measure,
        f"≤ {show(target, unit)}",
        show(value, unit) if value is not None else samples.errors.get(ours, "–"),
        "",
        "",
        value is not None and value <= target,
    )


def show(value: float, unit: str) -> str:
    """A figure with its unit, with as many digits as mean something."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3
    text = f"{value:,.{digits}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"{text}{unit}" if unit in ("", "/s", "%") else f"{text} {unit}"


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that this many percent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
