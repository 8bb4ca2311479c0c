"""The failed list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from redis import Redis

from ..failure import Failure
from .keys import Keys
from .reading import reading
from .request import Request

MOST_BYTES = 1_000_000
"""About how much of the failed list is moved at once."""


class Failures:
    """The failed list, whose newest record is its last element.

    Its newest ``kept_full`` records are full ones, older ones are replaced by shorter ones; beyond ten times as many,
    the turns of the workers drop them.
    """

    def __init__(self, client: Redis, keys: Keys, kept_full: int) -> None:
        self._client = client
        self._keys = keys
        self._kept_full = kept_full

    @reading()
    def count(self) -> int:
        """How many records there are."""
        return self._client.llen(self._keys.failed)

    @reading()
    def latest(self, count: int = 20) -> list[Failure]:
        """Up to ``count`` records, the newest first."""
        records = cast("list[bytes]", self._client.lrange(self._keys.failed, -count, -1))
        return [Failure.from_record(raw) for raw in reversed(records)]

    def old_ones(self, limit: int = 100, *, before: int | None = None) -> Request[list[tuple[int, bytes]]]:
        """The newest of the records that need not be full any more, each behind its position, the newest first.

        ``before``: only those at lower positions. There are ``limit`` of them, or fewer when they have more than
        `MOST_BYTES`; at least one when there is any. The position counts from the head: it stays the same while records
        are added.
        """
        args = [self._kept_full, limit, MOST_BYTES, "" if before is None else before]
        return Request("old_failures", [self._keys.failed], args, _with_positions)

    def replace(self, pairs: Sequence[tuple[int, bytes, bytes]]) -> Request[int]:
        """Put new records in the place of old ones: position, old bytes, new bytes.

        A record that is not at its position any more is left as it is. Returns how many were replaced.
        """
        args = [value for pair in pairs for value in pair]
        return Request("shrink", [self._keys.none, self._keys.failed], args, int)


def _with_positions(reply: list[int | bytes]) -> list[tuple[int, bytes]]:
    return [(cast("int", reply[at]), cast("bytes", reply[at + 1])) for at in range(0, len(reply), 2)]
