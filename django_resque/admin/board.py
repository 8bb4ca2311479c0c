"""What the first page shows: the state of the store as texts that are fit for a page.

No arguments of jobs are among them: those may hold what not everybody who sees this page may see.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..diagnosis import Level, of_server
from ..failure import Failure
from ..store import Health, Overview, Point, QueueState, QueueTable
from ..worker.selection import serves
from .chart import Chart, chart
from .text import MESSAGE, Time, discreet, line, number
from .visit import LONGEST, Visit
from .worker_rows import SILENT

LONGEST_QUEUES = 20
NAMED = 5
"""Queues that an alert names."""
HOUR, DAY = 60, 24 * 60
"""Minutes."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One number with its name; the address leads to what it counts."""

    label: str
    value: Any
    note: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """What needs somebody's attention, and where there is more about it."""

    text: str
    url: str
    more: str
    is_error: bool = True


@dataclass(frozen=True, slots=True)
class QueueLine:
    """A queue; ``length`` is empty where its key is no list."""

    name: str
    url: str
    length: str
    oldest: Time | None
    running: str
    listening: str
    paused: bool
    abandoned: bool


@dataclass(frozen=True, slots=True)
class FailureLine:
    """A failure record; any of it may be empty, but its address."""

    url: str
    command: str
    exception: str
    error: str
    queue: str
    time: Time | None


class Board:
    """The first page's parts. ``points`` are the minutes of the last day, the oldest first."""

    def __init__(
        self, visit: Visit, table: QueueTable, health: Health, points: Sequence[Point], overview: Overview
    ) -> None:
        self._visit = visit
        self._table = table
        self._health = health
        self._points = points
        self._overview = overview
        self._listeners = Listeners(table.workers)

    @property
    def time(self) -> Time:
        return Time.of(self._now, self._now)

    @property
    def _now(self) -> datetime:
        return self._table.time

    @property
    def trouble(self) -> Sequence[str]:
        return [line(text, MESSAGE) for text in (*self._table.trouble, *self._overview.trouble)]

    # -- numbers -------------------------------------------------------------------------------------------------------

    @property
    def tiles(self) -> Iterator[Tile]:
        url, table, overview = self._visit.url, self._table, self._overview
        waiting = sum(queue.length or 0 for queue in table.queues)
        read = _part(len(table.queues), table.count, _("%(shown)s of %(count)s queues"))
        yield Tile(_("Queued"), number(waiting), read, url("queues"))
        oldest = min((queue.oldest for queue in table.queues if queue.oldest is not None), default=None)
        yield Tile(_("Oldest waiting job"), Time.of_unix(oldest, self._now) or "–", "", url("queues"))
        running = sum(queue.running for queue in table.queues)
        read = _part(len(table.workers), table.worker_count, _("%(shown)s of %(count)s workers"))
        yield Tile(_("Running"), number(running), read, url("jobs", state="running"))
        yield Tile(_("Workers"), number(table.worker_count), "", url("workers"))
        count = overview.retries
        retries = ngettext("%(count)s retry", "%(count)s retries", count) % {"count": number(count)} if count else ""
        yield Tile(_("Delayed"), self._delayed, retries, url("delayed"))
        yield self._ended(_("Processed in an hour"), lambda point: point.processed, url("statistics", span="hour"))
        yield self._ended(_("Failed in an hour"), lambda point: point.failed, url("failures", since="1h"))
        yield Tile(_("Failures kept"), number(overview.failure_count), "", url("failures"))

    @property
    def _delayed(self) -> str:
        delayed = self._overview.delayed
        if delayed.jobs is None:
            return "–"
        return number(delayed.jobs) if delayed.whole else f"≥ {number(delayed.jobs)}"

    def _ended(self, label: str, count: Callable[[Point], int], url: str) -> Tile:
        day = _("%(count)s in a day") % {"count": number(sum(map(count, self._points[-DAY:])))}
        return Tile(label, number(sum(map(count, self._points[-HOUR:]))), day, url)

    @cached_property
    def charts(self) -> Sequence[Chart]:
        return [
            chart("hour", _("Last hour"), self._points[-HOUR:], bar=60, row=300),
            chart("day", _("Last 24 hours"), self._points[-DAY:], bar=900, row=3600),
        ]

    # -- alerts --------------------------------------------------------------------------------------------------------

    @cached_property
    def alerts(self) -> Sequence[Alert]:
        return [*self._of_workers(), *self._of_delayed(), *self._of_queues(), *self._of_server()]

    def _of_workers(self) -> Iterator[Alert]:
        where = self._visit.url("workers"), _("Workers")
        if self._table.all_paused:
            yield Alert(_("All workers are paused: they take no new jobs."), *where, is_error=False)
        if ended := self._overview.ended_leases:
            text = ngettext(
                "%(count)s worker process was not heard from: its lease has ended.",
                "%(count)s worker processes were not heard from: their leases have ended.",
                ended,
            )
            yield Alert(text % {"count": number(ended)}, *where)
        if silent := sum(self._now - beat > SILENT for beat in self._overview.heartbeats):
            text = ngettext(
                "%(count)s worker of another program was not heard from for two minutes.",
                "%(count)s workers of other programs were not heard from for two minutes.",
                silent,
            )
            yield Alert(text % {"count": number(silent)}, *where, is_error=False)

    def _of_delayed(self) -> Iterator[Alert]:
        if self._health.abandoned:
            text = _(
                "Delayed jobs or retries wait, and no scheduler is alive: start a worker, or manage.py"
                " resque_scheduler."
            )
            yield Alert(text, self._visit.url("delayed"), _("Delayed"))

    def _of_queues(self) -> Iterator[Alert]:
        abandoned = [queue for queue in self._table.queues if self._is_abandoned(queue)]
        if abandoned:
            text = ngettext(
                "Jobs wait in the queue %(names)s, and no worker listens to it.",
                "Jobs wait in queues to which no worker listens: %(names)s.",
                len(abandoned),
            )
            yield Alert(text % {"names": _names(abandoned)}, self._visit.url("queues"), _("Queues"))
        if paused := [queue for queue in self._table.queues if queue.paused]:
            text = ngettext("The queue %(names)s is paused.", "Queues are paused: %(names)s.", len(paused))
            names = _names(paused)
            yield Alert(text % {"names": names}, self._visit.url("queues"), _("Queues"), is_error=False)

    def _is_abandoned(self, queue: QueueState) -> bool:
        """Whether jobs wait in it for nobody; not where some of the workers were not read."""
        has_all = self._table.worker_count <= len(self._table.workers)
        return has_all and bool(queue.length) and not self._listeners.any(queue.name)

    def _of_server(self) -> Iterator[Alert]:
        for found in of_server(self._overview.server):
            yield Alert(discreet(found.what), self._visit.url("redis"), _("Redis"), found.level is Level.ERROR)

    # -- lists ---------------------------------------------------------------------------------------------------------

    @cached_property
    def queues(self) -> Sequence[QueueLine]:
        """The longest ones; those whose key is no list come first."""
        found = sorted(self._table.queues, key=lambda queue: (queue.length is not None, -(queue.length or 0)))
        return [self._queue(queue) for queue in found[:LONGEST_QUEUES]]

    @property
    def queues_url(self) -> str:
        return self._visit.url("queues")

    @property
    def queues_left_out(self) -> str:
        return _part(len(self.queues), self._table.count, _("the longest %(shown)s of %(count)s"))

    def _queue(self, queue: QueueState) -> QueueLine:
        return QueueLine(
            name=line(queue.name),
            url=self._visit.url("queue", name=queue.name) if 0 < len(queue.name) <= LONGEST else "",
            length="" if queue.length is None else number(queue.length),
            oldest=Time.of_unix(queue.oldest, self._now),
            running=number(queue.running),
            listening=number(self._listeners.count(queue.name)),
            paused=queue.paused,
            abandoned=self._is_abandoned(queue),
        )

    @cached_property
    def failures(self) -> Sequence[FailureLine]:
        return [self._failure(failure) for failure in self._overview.failures]

    @property
    def failures_url(self) -> str:
        return self._visit.url("failures")

    @property
    def failures_left_out(self) -> str:
        return _part(len(self.failures), self._overview.failure_count, _("the last %(shown)s of %(count)s"))

    def _failure(self, failure: Failure) -> FailureLine:
        return FailureLine(
            url=self._visit.url("failure", digest=failure.digest),
            command=line(failure.job.command) if failure.job else "",
            exception=line(failure.exception),
            error=line(self._visit.redactor.text(failure.error, failure.job)),
            queue=line(failure.queue),
            time=Time.of(failure.failed_at, self._now) if failure.failed_at else None,
        )


class Listeners:
    """Which queues are served, by workers of which ``queues`` are given, each as in its id."""

    def __init__(self, queues: Sequence[str]) -> None:
        self._queues = Counter(queues)  # many serve the same
        self._plain: Counter[str] = Counter()
        for text in [text for text in self._queues if not set("*?[!") & set(text)]:
            count = self._queues.pop(text)
            self._plain.update(dict.fromkeys(text.split(","), count))

    def any(self, queue: str) -> bool:
        return self._plain[queue] > 0 or any(serves(queues, queue) for queues in self._queues)

    def count(self, queue: str) -> int:
        return self._plain[queue] + sum(count for queues, count in self._queues.items() if serves(queues, queue))


def _names(queues: Sequence[QueueState]) -> str:
    names = [line(queue.name) for queue in queues[:NAMED]]
    if len(queues) > NAMED:
        names.append(_("%(count)s more") % {"count": number(len(queues) - NAMED)})
    return ", ".join(names)


def _part(shown: int, there_are: int, words: str) -> str:
    """``words``, where not all are shown."""
    return words % {"shown": number(shown), "count": number(there_are)} if shown < there_are else ""
