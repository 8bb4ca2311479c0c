"""Looking through much for one text without fetching it: Redis searches, and gives what it has found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from redis import Redis

from .reading import reading
from .scripts import script

AT_ONCE = 100
"""Elements in one call of the script."""
MOST_BYTES = 1_000_000
"""About how many bytes one call looks through: some milliseconds. What is larger alone is left out."""
MOST_FOUND = 3
"""Elements that one call gives."""


class Hit(NamedTuple):
    """An element that contains the text: under which key, its exact bytes, its score (None where it has none)."""

    key: str
    raw: bytes
    score: float | None


@dataclass(frozen=True, slots=True)
class Haystack:
    """Keys of lists, sorted sets or strings to be looked through, ``most`` elements of all of them together.

    Of long lists it is both ends, or with ``tail`` the last elements alone.
    """

    keys: Sequence[str]
    most: int = 10_000
    tail: bool = False


@dataclass(frozen=True, slots=True)
class Hits:
    """What was found; ``whole``: everything was looked through."""

    found: Sequence[Hit]
    whole: bool


class _Call(NamedTuple):
    keys: Sequence[str]
    first: int
    last: int
    reach: int


@reading()
def seek(client: Redis, text: bytes, haystacks: Sequence[Haystack]) -> Hits:
    """The elements that contain ``text``, in the order of ``haystacks``; in one round trip. A key of another type has
    none. Raises a `StoreError`."""
    calls = [call for haystack in haystacks for call in _calls(haystack)]
    if not calls:
        return Hits((), True)
    pipeline: Any = client.pipeline(transaction=False)
    lua = script("seek")
    for at, (keys, *window) in enumerate(calls):
        args = (len(keys), *keys, text, *window, AT_ONCE, MOST_BYTES, MOST_FOUND)
        # the first call teaches the server the script that the others name
        pipeline.evalsha(lua.sha, *args) if at else pipeline.eval(lua.source, *args)
    found: dict[Hit, None] = {}  # both ends of a short list are the same
    whole = True
    for call, (left_nothing_out, *hits) in zip(calls, pipeline.execute(), strict=True):
        whole = whole and left_nothing_out == 1
        for number, raw, score in zip(hits[::3], hits[1::3], hits[2::3], strict=True):
            found.setdefault(Hit(call.keys[number - 1], raw, float(score) if score else None))
    return Hits(list(found), whole)


def _calls(haystack: Haystack) -> Iterator[_Call]:
    if not haystack.keys:
        return
    each = max(1, haystack.most // len(haystack.keys))
    if each < AT_ONCE:
        keys = iter(haystack.keys)
        while some := list(islice(keys, AT_ONCE // each)):
            yield _Call(some, -each if haystack.tail else 0, -1 if haystack.tail else each - 1, each)
        return
    windows = each // AT_ONCE
    reach = windows * AT_ONCE
    at_tail = windows if haystack.tail else windows // 2
    for key in haystack.keys:
        for at in range(0, (windows - at_tail) * AT_ONCE, AT_ONCE):
            yield _Call([key], at, at + AT_ONCE - 1, reach)
        for at in range(0, at_tail * AT_ONCE, AT_ONCE):
            yield _Call([key], -at - AT_ONCE, -at - 1, reach)
