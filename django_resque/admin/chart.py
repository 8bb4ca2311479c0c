"""Drawing how many jobs ended over time: one bar for each part of the time, a failed part in each.

What a template needs to draw it are whole numbers as text, the same in every language.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from ..store import Point
from .text import from_unix, number

BAR, GAP, HEIGHT = 8, 2, 100
"""Width of a bar, width between two, and height of the highest, in units that the page stretches."""


@dataclass(frozen=True, slots=True)
class Sums:
    """How many jobs ended in the time that began at ``time``, written as a time of day."""

    time: str
    processed: str
    failed: str


@dataclass(frozen=True, slots=True)
class Chart:
    """``done`` and ``failed`` are the bars as paths, ``grid`` the lines behind them, ``top`` what the highest line
    stands for. ``words`` says in a sentence what is drawn, ``rows`` in numbers. ``name`` is its own on the page."""

    name: str
    title: str
    words: str
    done: str
    failed: str
    grid: str
    width: str
    height: str
    top: str
    start: str
    end: str
    rows: Sequence[Sums]


def chart(name: str, title: str, points: Sequence[Point], *, bar: int, row: int) -> Chart:
    """Draw ``points``, which stand in the order of time: a bar for each ``bar`` seconds, a row for each ``row``."""
    bars = _summed(points, bar)
    highest = nice(max((max(each.processed, each.failed) for each in bars), default=0))
    done, failed = [], []
    for place, each in enumerate(bars):
        x = place * (BAR + GAP) + GAP // 2
        bad = _height(each.failed, highest)
        good = max(_height(each.processed, highest), bad) - bad
        failed.append(_rectangle(x, HEIGHT - bad, bad))
        done.append(_rectangle(x, HEIGHT - bad - good, good))
    width = max(1, len(bars)) * (BAR + GAP)
    return Chart(
        name=name,
        title=title,
        words=_("%(processed)s processed, %(failed)s of them failed")
        % {
            "processed": number(sum(point.processed for point in points)),
            "failed": number(sum(point.failed for point in points)),
        },
        done="".join(done),
        failed="".join(failed),
        grid="".join(f"M0 {height}H{width}" for height in (0, HEIGHT // 2, HEIGHT)),
        width=str(width),
        height=str(HEIGHT),
        top=number(highest),
        start=_time_of_day(points[0].time) if points else "",
        end=_time_of_day(points[-1].time) if points else "",
        rows=[
            Sums(_time_of_day(each.time), number(each.processed), number(each.failed))
            for each in reversed(_summed(points, row))
        ],
    )


def nice(highest: int) -> int:
    """The least number from ``highest`` on that reads well at the top of a scale."""
    step = 1
    while True:
        for factor in (2, 4, 6, 10):
            if highest <= factor * step:
                return factor * step
        step *= 10


def _summed(points: Sequence[Point], seconds: int) -> Sequence[Point]:
    processed: dict[int, int] = defaultdict(int)
    failed: dict[int, int] = defaultdict(int)
    for point in points:
        start = point.time // seconds * seconds
        processed[start] += point.processed
        failed[start] += point.failed
    return [Point(time, processed[time], failed[time]) for time in processed]


def _height(count: int, highest: int) -> int:
    """What is there can be seen, however little it is."""
    return max(1, round(count / highest * HEIGHT)) if count > 0 else 0


def _rectangle(x: int, y: int, height: int) -> str:
    return f"M{x} {y}h{BAR}v{height}h-{BAR}z" if height else ""


def _time_of_day(seconds: int) -> str:
    time = from_unix(seconds)
    return date_format(localtime(time), "TIME_FORMAT") if time is not None else ""
