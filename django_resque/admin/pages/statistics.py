"""How many jobs ended, how, and how long they took: by command and queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...store import Figures
from ...store.statistics import BOUNDS, OTHER
from ..action import Action
from ..page import Page, choices
from ..text import Time, duration, line, number
from ..visit import Visit

SPANS: dict[str, Literal["hour", "day", "week"]] = {"": "day", "hour": "hour", "day": "day", "week": "week"}
BAR, GAP, HEIGHT = 8, 2, 28
"""Pixels of a bar of a histogram, between two, and of its height."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a histogram, in pixels."""

    x: str
    y: str
    height: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many jobs took how long; ``words`` says the same."""

    bars: Sequence[Bar]
    width: str
    height: str
    words: str


@dataclass(frozen=True, slots=True)
class FiguresRow:
    """What is known of a command's jobs on a queue; the addresses are empty where it is not a single one."""

    command: str
    queue: str
    url: str
    queue_url: str
    count: str
    failures: str
    failures_url: str
    rate: str
    retries: str
    mean: str
    longest: str
    total: str
    histogram: Histogram


class StatisticsPage(Page):
    """Figures of an hour, a day or a week."""

    slug = "statistics"
    title = gettext_lazy("Statistics")
    template = "statistics.html"

    def context(self, visit: Visit) -> dict[str, Any]:
        asked = visit.text("span")
        span = SPANS.get(asked, "day")
        now = visit.store.time()
        time = datetime.fromtimestamp(now, UTC)
        figures = sorted(visit.store.statistics.figures(span, now), key=lambda each: (-each.seconds, each.command))
        options = [("hour", _("Last hour")), ("day", _("Last 24 hours")), ("week", _("Last 7 days"))]
        count = sum(each.count for each in figures)
        failures = sum(each.failures for each in figures)
        return {
            "now": Time.of(time, time),
            "options": choices(span, options, visit, "span"),
            "rows": [_row(visit, each, span) for each in figures],
            "count": number(count),
            "failures": number(failures),
            "seconds": duration(sum(each.seconds for each in figures)),
        }


def _row(visit: Visit, figures: Figures, span: str) -> FiguresRow:
    is_one = figures.command != OTHER
    command, queue = line(figures.command), line(figures.queue)
    since = {"hour": "1h", "day": "24h", "week": "7d"}[span]
    return FiguresRow(
        command=command if is_one else _("all others"),
        queue=queue if is_one else "",
        url=visit.url("jobs", state="done", command=figures.command) if is_one else "",
        queue_url=visit.url("queue", name=figures.queue) if is_one else "",
        count=number(figures.count),
        failures=number(figures.failures),
        failures_url=visit.url("failures/list", command=figures.command, since=since) if is_one else "",
        rate=f"{figures.failure_rate:.0%}" if figures.failures else "",
        retries=number(figures.retries),
        mean=duration(figures.mean),
        longest=duration(figures.longest),
        total=duration(figures.seconds),
        histogram=histogram(figures.histogram),
    )


def histogram(counts: Sequence[int]) -> Histogram:
    """One bar for each part of `BOUNDS`, the highest as high as there is room."""
    highest = max(counts, default=0) or 1
    heights = [max(1, round(count / highest * (HEIGHT - 1))) if count else 0 for count in counts]
    bars = [
        Bar(str(place * (BAR + GAP)), str(HEIGHT - height), str(height))
        for place, height in enumerate(heights)
        if height
    ]
    return Histogram(bars, str(len(counts) * (BAR + GAP)), str(HEIGHT), ", ".join(_parts(counts)) or _("no jobs"))


def _parts(counts: Sequence[int]) -> list[str]:
    limits = [_("up to %(seconds)s") % {"seconds": duration(bound)} for bound in BOUNDS] + [_("longer")]
    return [f"{limit}: {number(count)}" for limit, count in zip(limits, counts, strict=False) if count]


PAGE = StatisticsPage()
ACTIONS: tuple[Action, ...] = ()
