"""What waits in queues, or for a permit to run: which it is, and taking it out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..job import digest
from ..store import Store
from ..store.delayed import MOST_LOOKED_THROUGH
from ..store.windows import Matching
from . import items
from .items import Item
from .job_filter import JobFilter

QUEUE, PERMIT = "queue", "permit"


@dataclass(frozen=True, slots=True)
class Pile:
    """Where jobs wait: the queue of this ``name`` or, with ``permit``, what is parked under this key of concurrency."""

    name: str
    permit: bool = False

    def item(self, raw: bytes) -> Item:
        """An element; its key names the pile as well."""
        key = f"{digest(raw)}-{PERMIT if self.permit else QUEUE}-{self.name}"
        return items.parked(raw, key) if self.permit else items.queued(raw, self.name, key)

    def named(self, store: Store, digests: Iterable[str]) -> list[bytes]:
        """The elements with these SHA-1s, as far as one looks."""
        return (store.parked if self.permit else store.queues).named(self.name, digests)

    def matching(self, store: Store, fits: JobFilter, most: int = MOST_LOOKED_THROUGH) -> Matching:
        """All elements that fit; of more than ``most`` the last ones."""
        if not self.permit and fits.queue == self.name:
            fits = replace(fits, queue="")  # all of them do

        def match(raw: bytes) -> bool:
            return fits.is_empty or (fits.may_be_in(raw) and fits(self.item(raw)))

        return (store.parked if self.permit else store.queues).matching(self.name, match, most=most)

    def delete(self, store: Store, elements: Sequence[bytes]) -> int:
        """Take them out before they are performed; gives how many were there."""
        return (store.parked if self.permit else store.queues).dequeue_many(self.name, elements)


def named(store: Store, keys: Iterable[str]) -> Mapping[Pile, Sequence[bytes]]:
    """The elements of these keys that are there."""
    wanted: dict[Pile, list[str]] = {}
    for key in keys:
        sha, _dash, rest = key.partition("-")
        kind, _dash, name = rest.partition("-")
        if kind in (QUEUE, PERMIT):
            wanted.setdefault(Pile(name, kind == PERMIT), []).append(sha)
    return {pile: pile.named(store, digests) for pile, digests in wanted.items()}


def matching(store: Store, piles: Iterable[Pile], fits: JobFilter) -> tuple[Mapping[Pile, Sequence[bytes]], bool]:
    """All elements that fit, up to `MOST_LOOKED_THROUGH` of them, and whether these are all there are."""
    found: dict[Pile, Sequence[bytes]] = {}
    left = MOST_LOOKED_THROUGH
    for pile in piles:
        found[pile], whole = pile.matching(store, fits, left)
        left -= len(found[pile])
        if not whole:
            return found, False
    return found, True
