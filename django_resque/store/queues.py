"""The queues: which there are, how long they are, what waits in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from redis import Redis

from .keys import Keys
from .reading import reading


class Queues:
    """Reading the queues."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    @reading()
    def names(self) -> list[str]:
        """The names of all queues, sorted. What is not UTF-8 is shown with replacement characters."""
        return sorted(
            str(name, "utf-8", "replace") for name in cast("set[bytes]", self._client.smembers(self._keys.queues))
        )

    @reading()
    def size(self, queue: str) -> int:
        """How many jobs wait in ``queue``."""
        return self._client.llen(self._keys.queue(queue))

    @reading()
    def sizes(self, queues: Iterable[str]) -> dict[str, int | None]:
        """How many jobs wait in each queue, in one round trip. None where the key is not a list."""
        names = list(queues)
        pipeline = self._client.pipeline(transaction=False)
        for name in names:
            pipeline.llen(self._keys.queue(name))
        replies = pipeline.execute(raise_on_error=False)
        return {name: reply if isinstance(reply, int) else None for name, reply in zip(names, replies, strict=True)}

    @reading()
    def peek(self, queue: str, *, start: int = 0, count: int = 100) -> list[bytes]:
        """The payloads of up to ``count`` waiting jobs, the next one to be performed first."""
        return cast("list[bytes]", self._client.lrange(self._keys.queue(queue), start, start + count - 1))
