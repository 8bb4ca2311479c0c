"""Jobs that wait because as many as may under their key of concurrency run already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis

from .delayed import CANCELLED_TTL, MOST_LOOKED_THROUGH
from .ends import read_heads
from .keys import Keys
from .reading import reading
from .removal import Found, one_after_the_other, read_payload, removal
from .request import Request
from .windows import OVERLAP, Matching, Window, matching, named, windows

KEYS_AT_ONCE = 20
PERMITS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Mended:
    """How many permits were ``freed`` that nobody held, how many jobs ``unparked`` that nobody else would have let go
    on; ``trouble`` are errors on keys that others broke."""

    freed: int
    unparked: int
    trouble: Sequence[str]


class Parked:
    """The parked jobs. An element is a queue, a line feed and a payload."""

    def __init__(self, client: Redis, keys: Keys, ask: Callable[[Request[Any]], Any], status_ttl: int) -> None:
        """``ask`` carries out a request; ``status_ttl`` is how long the status of an ended job is kept, in seconds."""
        self._client = client
        self._keys = keys
        self._ask = ask
        self._ended_ttl = max(status_ttl, CANCELLED_TTL)

    @reading()
    def names(self) -> list[str]:
        """The keys of concurrency under which jobs are parked, or were a moment ago, sorted."""
        found = cast("set[bytes]", self._client.smembers(self._keys.parking))
        return sorted(str(name, "utf-8", "replace") for name in found)

    @reading()
    def size(self, name: str) -> int:
        """How many jobs are parked under this key of concurrency."""
        return self._client.llen(self._keys.parked(name))

    def windows(self, name: str) -> Iterator[Window]:
        """What is parked under this key of concurrency, as `Queues.windows` reads a queue."""
        return windows(self._client, self._keys.parked(name), overlap=OVERLAP)

    @staticmethod
    def read(raw: bytes) -> Found:
        """An element, and the job in it."""
        queue, _, payload = raw.partition(b"\n")
        return Found(raw, read_payload(payload, str(queue, "utf-8", "replace")).job)

    def dequeue(self, name: str, found: Sequence[Found]) -> Request[list[bool]]:
        """Take parked jobs out, as `Queues.dequeue` does it."""
        return removal(self._keys, self._keys.parked(name), found, self._ended_ttl)

    def heads(self, names: Sequence[str]) -> dict[str, list[bytes]]:
        """The first elements that are parked under each of these keys, as many as one looks through, in one round
        trip."""
        return dict(zip(names, read_heads(self._client, [self._keys.parked(name) for name in names]), strict=True))

    def named(self, name: str, digests: Iterable[str], *, most: int = MOST_LOOKED_THROUGH) -> list[bytes]:
        """The elements with these SHA-1s, as `Queues.named` finds payloads."""
        return named(self._client, self._keys.parked(name), digests, most)

    def matching(self, name: str, match: Callable[[bytes], bool], *, most: int = MOST_LOOKED_THROUGH) -> Matching:
        """The elements that ``match`` says True of, as `Queues.matching` finds payloads."""
        return matching(self._client, self._keys.parked(name), match, most)

    def dequeue_many(self, name: str, elements: Sequence[bytes]) -> int:
        """Take out all of these that are still there, and give how many there were."""

        def ask(piece: Sequence[bytes]) -> Sequence[bool]:
            return cast("list[bool]", self._ask(self.dequeue(name, list(map(self.read, piece)))))

        return one_after_the_other(elements[::-1], self.size(name) - len(elements), ask)

    def mend(self) -> Request[Mended]:
        """Free permits whose reservation is gone, and put jobs back on their queues that wait although there are
        permits left; under some of the keys. May be done by several at once."""
        keys = self._keys
        names = [keys.none, keys.parking, keys.queues, keys.bell, keys.paused_queues]
        return Request("mend_permits", names, [keys.prefix, KEYS_AT_ONCE, PERMITS_AT_ONCE], _mended)


def _mended(reply: list[Any]) -> Mended:
    freed, unparked, trouble = reply
    return Mended(freed, unparked, [str(message, "utf-8", "replace") for message in trouble])
