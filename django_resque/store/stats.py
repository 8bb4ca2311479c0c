"""The counters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from redis import Redis

from .keys import Keys
from .reading import reading


@dataclass(frozen=True, slots=True)
class Counters:
    """Jobs since the counters were last cleared: ``processed`` ended in any way, ``failed`` as a failure."""

    processed: int
    failed: int

    @classmethod
    def from_replies(cls, replies: Sequence[bytes | None]) -> Counters:
        """Read both counters; what is not a number counts as 0."""
        processed, failed = (int(raw) if raw and raw.isdigit() and len(raw) < 20 else 0 for raw in replies)
        return cls(processed, failed)


class Stats:
    """Reading the counters."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    @reading()
    def counters(self) -> Counters:
        """Both counters, in one round trip."""
        found = cast("list[bytes | None]", self._client.mget(self._keys.stat("processed"), self._keys.stat("failed")))
        return Counters.from_replies(found)

    @reading()
    def of_workers(self, workers: Sequence[str]) -> dict[str, Counters]:
        """Both counters of each of these workers, in one round trip."""
        if not workers:
            return {}
        keys = [self._keys.stat(f"{name}:{worker}") for worker in workers for name in ("processed", "failed")]
        found = cast("list[bytes | None]", self._client.mget(keys))
        return {worker: Counters.from_replies(found[2 * place : 2 * place + 2]) for place, worker in enumerate(workers)}
