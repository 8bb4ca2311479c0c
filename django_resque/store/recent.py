"""The jobs that ended last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

from redis import Redis

from .keys import Keys
from .reading import reading
from .statuses import Seen

CHUNK = 1_000


class Recent:
    """The last jobs that ended, up to ten thousand, as they were seen at their ends; their results are left out."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    @reading()
    def count(self) -> int:
        """How many there are."""
        return self._client.llen(self._keys.recent)

    @reading()
    def page(self, start: int = 0, count: int = 100) -> list[Seen]:
        """Up to ``count`` jobs behind the ``start`` last ones, the last one to end first."""
        found = cast("list[bytes]", self._client.lrange(self._keys.recent, start, start + count - 1))
        return [Seen.from_json(raw) for raw in found]

    def find(self, match: Callable[[Seen], bool]) -> Iterator[Seen]:
        """Those for which ``match`` is true, the last one to end first, read a thousand at a time; one that is there
        when others end meanwhile may come twice."""
        for start in range(0, self.count(), CHUNK):
            yield from filter(match, self.page(start, CHUNK))
