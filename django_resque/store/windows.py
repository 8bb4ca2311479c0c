"""Reading a list that moves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, cast

from redis import Redis

from .reading import reading

WINDOW = 1_000
"""Elements in one reply."""
FIRST_WINDOW = 100
"""The same for the first one, before it is known how large they are."""
MOST_BYTES = 8_000_000
"""About how much is read at once."""
OVERLAP = 100
"""Elements that are read again where others may be put back at the head of the list: they move the rest."""


class Window(NamedTuple):
    """A piece of a list, the last element first. The first ``again`` of its elements were read before, unless the list
    has moved towards its tail."""

    elements: list[bytes]
    again: int


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
