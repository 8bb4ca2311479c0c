"""The ends of long lists: what pages look through, where they do not look through all of it.

One end of one list is read in two round trips, the heads of several in one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis

from .reading import reading
from .scripts import script

MOST = 10_000
"""Elements that are looked through at most."""
MOST_BYTES = 16_000_000
"""About how many bytes are looked through at most."""
_FIRST = 100
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class End:
    """``elements``: the first ones of a list from its end, that one first; ``count`` is how many there are in all."""

    elements: Sequence[bytes]
    count: int

    @property
    def whole(self) -> bool:
        """Whether these are all there were."""
        return len(self.elements) >= self.count


def read_head(client: Redis, key: str, most: int = MOST) -> End:
    """Up to ``most`` elements from the head on, in the list's order. Raises a `StoreError`, also for what is no list.

    Fewer when they are large: the first hundred tell how large they are. What is popped from the head between the two
    round trips makes some elements be missed."""
    return _read(client, key, most, _from_head)


def read_tail(client: Redis, key: str, most: int = MOST) -> End:
    """The same from the tail on, the last element first."""
    return _read(client, key, most, _from_tail)


def _from_head(start: int, end: int) -> tuple[int, int]:
    return start, end - 1


def _from_tail(start: int, end: int) -> tuple[int, int]:
    return -end, -start - 1


@reading()
def _read(client: Redis, key: str, most: int, place: Any) -> End:
    pipeline: Any = client.pipeline(transaction=False)
    pipeline.llen(key)
    pipeline.lrange(key, *place(0, min(_FIRST, most)))
    count, first = pipeline.execute()
    elements = _ordered(first, place)
    size = sum(map(len, elements))
    wanted = min(most, count, MOST_BYTES * len(elements) // size if size else most)
    if wanted > len(elements) == _FIRST:
        elements += _ordered(cast("list[bytes]", client.lrange(key, *place(_FIRST, wanted))), place)
    return End(elements, max(count, len(elements)))


def _ordered(elements: list[bytes], place: Any) -> list[bytes]:
    return elements[::-1] if place is _from_tail else elements


@reading()
def read_heads(client: Redis, keys: Sequence[str], most: int = MOST) -> list[list[bytes]]:
    """The first elements of several lists, up to ``most`` in all, and as many as fit: each list may have its share.

    There are none of what is no list. Raises a `StoreError`."""
    pipeline: Any = client.pipeline(transaction=False)
    heads, share = script("first_elements"), max(1, len(keys))
    for at in range(0, len(keys), _AT_ONCE):
        some = keys[at : at + _AT_ONCE]
        args = (len(some), *some, max(1, most // share), MOST_BYTES // share)
        # the first call teaches the server the script that the others name
        pipeline.eval(heads.source, *args) if at == 0 else pipeline.evalsha(heads.sha, *args)
    return [elements for found in (pipeline.execute() if keys else []) for elements in found]
