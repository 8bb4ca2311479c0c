"""Reading a list that moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, cast

from redis import Redis

from ..job import digest
from .reading import reading

WINDOW = 1_000
"""Elements in one reply."""
FIRST_WINDOW = 100
"""The same for the first one, before it is known how large they are."""
MOST_BYTES = 8_000_000
"""About how much is read at once."""
MOST_MATCHING_BYTES = 100_000_000
"""About how much is remembered of what matches."""
OVERLAP = 100
"""Elements that are read again where others may be put back at the head of the list: they move the rest."""


class Window(NamedTuple):
    """A piece of a list, the last element first. The first ``again`` of its elements were read before, unless the list
    has moved towards its tail."""

    elements: list[bytes]
    again: int


def windows_from_head(client: Redis, key: str, *, most: int, overlap: int = OVERLAP) -> Iterator[list[bytes]]:
    """The first ``most`` elements of a list in pieces of up to `WINDOW`, from its head on.

    Each piece begins with up to ``overlap`` elements of the one before: so many may be popped from the head between two
    of them, and nothing is missed. It always ends. Raises a `StoreError`.
    """
    with reading():
        at, count = 0, FIRST_WINDOW
        while at < most:
            start, end = max(0, at - overlap), min(most, at + count)
            elements = cast("list[bytes]", client.lrange(key, start, end - 1))
            yield elements
            if len(elements) < end - start:
                return
            size = sum(map(len, elements))
            at, count = end, min(WINDOW, max(10, MOST_BYTES * len(elements) // size)) if size else WINDOW


def windows(client: Redis, key: str, *, overlap: int = 0) -> Iterator[Window]:
    """A list in pieces of up to `WINDOW` elements, from its tail to its head, the last element first.

    Elements that others push at the tail meanwhile are left out. What they pop from the head, and what anybody removes
    anywhere, makes some elements come twice and none be missed. It ends in any case: each piece is nearer to the head
    than the last. Raises a `StoreError`.
    """
    with reading():
        unread, count, again = client.llen(key), FIRST_WINDOW, 0
        while unread > 0:
            start = max(0, unread - count)
            elements = cast("list[bytes]", client.lrange(key, start, unread + again - 1))
            elements.reverse()
            yield Window(elements, max(0, len(elements) - (unread - start)))
            size = sum(map(len, elements))
            count = min(WINDOW, max(10, MOST_BYTES * len(elements) // size)) if size else WINDOW
            unread, again = start, min(overlap, count // 2)


def named(client: Redis, key: str, digests: Iterable[str], most: int) -> list[bytes]:
    """Those of the first ``most`` elements of a list that have these SHA-1s, each once, in the list's order."""
    missing, found = set(digests), []
    for window in windows_from_head(client, key, most=most) if missing else ():
        for raw in window:
            if (name := digest(raw)) in missing:
                missing.remove(name)
                found.append(raw)
        if not missing:
            break
    return found


class Matching(NamedTuple):
    """``elements`` that match, in the order of their list; ``whole``: these are all there are."""

    elements: list[bytes]
    whole: bool


def matching(client: Redis, key: str, match: Callable[[bytes], bool], most: int) -> Matching:
    """The elements of a list that ``match`` says True of: of more than ``most``, or of more than `MOST_MATCHING_BYTES`,
    the last ones. What moves meanwhile may be there twice."""
    found: list[bytes] = []
    size = 0
    for window in windows(client, key, overlap=OVERLAP):
        for raw in window.elements[window.again :]:
            if match(raw):
                if len(found) == most or size > MOST_MATCHING_BYTES:
                    return Matching(found[::-1], False)
                found.append(raw)
                size += len(raw)
    return Matching(found[::-1], True)
