"""The states that a job can be in: how many jobs are in each, and which of them a page shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..errors import StoreError, StoreUnavailable
from ..status import Status
from ..store import Count, DelayedJob, JobCounts, Seen, Store, Stretch, WaitingRetry
from ..store.job_counts import is_complete
from ..store.stretch import MOST
from . import items
from .failure_search import FailureSearch, find
from .items import Item, Later
from .job_filter import JobFilter, Sifted, sift
from .queued import Pile
from .text import MESSAGE, line, number, reason
from .visit import Visit

SIZE = 50
"""Jobs on a page."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page is asked: jobs that fit, behind the first ``start`` ones."""

    visit: Visit
    counts: JobCounts
    fits: JobFilter
    start: int

    @property
    def store(self) -> Store:
        return self.visit.store


@dataclass(frozen=True, slots=True)
class Listed:
    """What a page shows. ``looked`` says how many were looked through, where that were not all; ``trouble`` is what
    could not be read."""

    items: Sequence[Item] = ()
    more: bool = False
    total: int | None = None
    looked: str = ""
    trouble: Sequence[str] = ()

    @classmethod
    def of(cls, sifted: Sifted, there_are: int, *, more: bool = False, trouble: Sequence[str] = ()) -> Listed:
        """``there_are`` so many in all, or (``more``) at least so many."""
        looked = ""
        if not sifted.more and (sifted.looked < there_are or more):
            looked = looked_through(sifted.looked, there_are, more=more)
        total = None if looked else sifted.total
        return cls([item for _place, item in sifted.shown], sifted.more, total, looked, trouble)


def looked_through(looked: int, there_are: int, *, more: bool = False) -> str:
    """That not all were looked through."""
    words = {"looked": number(looked), "count": counted(Count(there_are, more))}
    return _("Only %(looked)s of %(count)s were looked through.") % words


def counted(count: Count) -> str:
    """A count as it is written; a plus says that there are more."""
    return f"{number(count.number)}+" if count.more else number(count.number)


@dataclass(frozen=True, slots=True)
class State:
    """A state: its ``label``, how many jobs are in it, and how they are read. ``time`` is the title of the time that is
    shown of each, ``note`` that of what else there is to say; ``ago``: it has passed. ``columns`` are further ones."""

    label: Any
    count: Callable[[JobCounts], Count]
    read: Callable[[Asked], Listed]
    time: Any
    ago: bool = False
    columns: Sequence[str] = ()


def listed(state: State, asked: Asked) -> Listed:
    """What there is to show. What is of the wrong type in Redis is told; raises `StoreUnavailable`."""
    try:
        return state.read(asked)
    except StoreUnavailable:
        raise
    except StoreError as error:
        return Listed(trouble=[reason(error)])


# -- reading -----------------------------------------------------------------------------------------------------------


def piles(counts: JobCounts, queue: str, *, permit: bool = False) -> list[Pile]:
    """Where the jobs of this queue (or of all, where none is named) wait in queues, or for a permit."""
    if permit:
        return [Pile(name, permit=True) for name in counts.parked]
    if queue:
        return [Pile(queue)]
    return [Pile(name) for name, length in counts.queues.items() if length]


def _queued(asked: Asked) -> Listed:
    queue = asked.fits.queue
    if not queue:
        return _several(asked, piles(asked.counts, ""), asked.store.queues.heads, asked.counts.queued)
    pile, fits = Pile(queue), replace(asked.fits, queue="")
    length = asked.counts.queues.get(queue)
    if fits.is_empty:  # only where no filter takes some out it is known where the page begins
        found = asked.store.queues.peek(queue, start=asked.start, count=SIZE + 1)
        shown = [pile.item(raw) for raw in found[:SIZE]]
        return Listed(shown, len(found) > SIZE, length)
    head = asked.store.queue_head(queue)
    return Listed.of(sift(head.elements, bytes, pile.item, fits, start=asked.start, size=SIZE), head.count)


def _parked(asked: Asked) -> Listed:
    counts = asked.counts
    return _several(asked, piles(counts, "", permit=True), asked.store.parked.heads, counts.waiting_for_a_permit)


def _several(
    asked: Asked, those: Sequence[Pile], heads: Callable[[Sequence[str]], Mapping[str, Sequence[bytes]]], count: Count
) -> Listed:
    """The first ones of each."""
    found = heads([pile.name for pile in those])
    elements = [(pile, raw) for pile in those for raw in found[pile.name]]
    sifted = sift(
        elements, lambda each: each[1], lambda each: each[0].item(each[1]), asked.fits, start=asked.start, size=SIZE
    )
    return Listed.of(sifted, count.number, more=count.more)


def _later(asked: Asked, stretch: Callable[[int], Stretch[DelayedJob] | Stretch[WaitingRetry]], count: Count) -> Listed:
    """``stretch`` reads so many of them."""
    everything = asked.fits.is_empty
    found = stretch(min(MOST, asked.start + SIZE + 1) if everything else MOST)
    those: Sequence[Later] = found.items
    trouble = [line(text, MESSAGE) for text in found.trouble]
    sifted = sift(those, lambda each: each.raw, items.later, asked.fits, start=asked.start, size=SIZE)
    if everything and (sifted.more or found.left is None):
        shown = [item for _place, item in sifted.shown]
        return Listed(shown, sifted.more, None if count.more else max(count.number, len(those)), trouble=trouble)
    return Listed.of(sifted, max(count.number, len(those)), more=count.more, trouble=trouble)


def _running(asked: Asked) -> Listed:
    found = running(asked.store, asked.counts, asked.fits)
    shown = found[asked.start : asked.start + SIZE]
    looked = looked_through(len(asked.counts.busy), len(asked.counts.busy), more=True) * asked.counts.more_workers
    return Listed(shown, len(found) > asked.start + SIZE, len(found), looked)


def running(store: Store, counts: JobCounts, fits: JobFilter) -> list[Item]:
    """What the workers say that they perform, as far as it fits."""
    found = map(items.running, store.workers.some(counts.busy))
    return [item for item in found if item is not None and fits(item)]


def _done(asked: Asked) -> Listed:
    recent = asked.store.recent_head()
    complete = list(filter(is_complete, recent.elements))
    sifted = sift(complete, bytes, items.ended, asked.fits, start=asked.start, size=SIZE)
    if recent.whole or sifted.more:
        return Listed.of(sifted, len(complete))
    return Listed.of(sifted, recent.count)


def _failed(asked: Asked) -> Listed:
    found = find(asked.visit, FailureSearch.of(asked.visit), asked.start, asked.counts.time)
    return Listed(list(map(items.failed, found.failures)), found.more, found.total, " ".join(found.notes))


# -- all of them -------------------------------------------------------------------------------------------------------

STATES: Mapping[str, State] = {
    "queued": State(
        gettext_lazy("Queued"),
        lambda counts: counts.queued,
        _queued,
        gettext_lazy("Waiting for"),
    ),
    "parked": State(
        gettext_lazy("Waiting for a permit"),
        lambda counts: counts.waiting_for_a_permit,
        _parked,
        gettext_lazy("Waiting for"),
    ),
    "scheduled": State(
        gettext_lazy("Scheduled"),
        lambda counts: counts.scheduled,
        lambda asked: _later(asked, lambda most: asked.store.delayed.stretch(most=most), asked.counts.scheduled),
        gettext_lazy("Due in"),
    ),
    "running": State(
        gettext_lazy("Running"),
        lambda counts: counts.running,
        _running,
        gettext_lazy("Running for"),
        columns=("worker", "attempt"),
    ),
    "retrying": State(
        gettext_lazy("Retrying"),
        lambda counts: Count(counts.retrying),
        lambda asked: _later(asked, lambda most: asked.store.retries.stretch(most=most), Count(asked.counts.retrying)),
        gettext_lazy("Due in"),
        columns=("attempt",),
    ),
    "done": State(
        gettext_lazy("Done"),
        lambda counts: counts.done,
        _done,
        gettext_lazy("Ended"),
        ago=True,
        columns=("took", "worker", "attempt"),
    ),
    "failed": State(
        gettext_lazy("Failed"),
        lambda counts: Count(counts.failed),
        _failed,
        gettext_lazy("Failed"),
        ago=True,
        columns=("worker", "attempt"),
    ),
}
USUAL = "queued"


def state_of(seen: Seen) -> str:
    """The state in which a job with this status is found; empty when that is not known."""
    if seen.status is Status.SCHEDULED:
        return "retrying" if seen.attempt else "scheduled"
    return {
        Status.WAITING: "queued",
        Status.RUNNING: "running",
        Status.COMPLETE: "done",
        Status.FAILED: "failed",
    }.get(seen.status, "")
