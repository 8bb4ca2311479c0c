"""The failed list."""

from __future__ import annotations

from typing import cast

from redis import Redis

from ..failure import Failure
from .keys import Keys
from .reading import reading


class Failures:
    """Reading the failed list; the newest record is its last element."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    @reading()
    def count(self) -> int:
        """How many records there are."""
        return self._client.llen(self._keys.failed)

    @reading()
    def latest(self, count: int = 20) -> list[Failure]:
        """Up to ``count`` records, the newest first."""
        records = cast("list[bytes]", self._client.lrange(self._keys.failed, -count, -1))
        return [Failure.from_record(raw) for raw in reversed(records)]
