"""The queues: which there are, how long they are, what waits in them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, cast

from redis import Redis

from ..job import Job
from ..status import Status, status_record
from .delayed import CANCELLED_TTL, MOST_LOOKED_THROUGH
from .ends import read_heads
from .keys import Keys
from .reading import reading
from .removal import MOST, Found, batches, one_after_the_other, read_payload, removal
from .request import Request
from .windows import OVERLAP, Matching, Window, matching, named, windows

SET_ASIDE = 24 * 3600
"""Seconds that a queue which is being cleared is kept, for the case that whoever clears it dies over it."""

Progress = Callable[[int, int], object]
"""Is told how many are done, and of how many."""


class Removed(NamedTuple):
    """What became of a queue that was to be removed: how many jobs were in it, and whether it is ``gone``; it is not
    when another job was pushed meanwhile."""

    jobs: int
    gone: bool


class Queues:
    """The queues, and the jobs that wait in them."""

    def __init__(self, client: Redis, keys: Keys, ask: Callable[[Request[Any]], Any], status_ttl: int) -> None:
        """``ask`` carries out a request; ``status_ttl`` is how long the status of an ended job is kept, in seconds."""
        self._client = client
        self._keys = keys
        self._ask = ask
        self._ended_ttl = max(status_ttl, CANCELLED_TTL)

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

    def in_use(self) -> list[str]:
        """The names of the queues in which something waits, sorted, without those whose key is not a list."""
        return [name for name, size in self.sizes(self.names()).items() if size]

    @reading()
    def peek(self, queue: str, *, start: int = 0, count: int = 100) -> list[bytes]:
        """The payloads of up to ``count`` waiting jobs, the next one to be performed first."""
        return cast("list[bytes]", self._client.lrange(self._keys.queue(queue), start, start + count - 1))

    def page(self, queue: str, start: int = 0, count: int = 100) -> list[Found]:
        """Up to ``count`` waiting jobs behind the first ``start`` ones, the next one to be performed first."""
        return [read_payload(raw, queue) for raw in self.peek(queue, start=start, count=count)]

    def windows(self, queue: str) -> Iterator[Window]:
        """What waits in ``queue``, about a thousand payloads at a time, the last one pushed first.

        Jobs that are pushed meanwhile are left out, some come twice. It always ends.
        """
        return windows(self._client, self._keys.queue(queue), overlap=OVERLAP)

    def find(self, queue: str, match: Callable[[Job], bool] | None = None) -> Iterator[Found]:
        """The waiting jobs that ``match`` says True of, the last one pushed first, read as `windows` reads them.

        None: all there are, and what waits among them and is no job.
        """
        for window in self.windows(queue):
            for raw in window.elements[window.again :]:
                found = read_payload(raw, queue)
                if match is None or (found.job is not None and match(found.job)):
                    yield found

    def heads(self, queues: Sequence[str]) -> dict[str, list[bytes]]:
        """The next payloads of each of these queues, as many as one looks through, in one round trip."""
        return dict(zip(queues, read_heads(self._client, [self._keys.queue(name) for name in queues]), strict=True))

    def named(self, queue: str, digests: Iterable[str], *, most: int = MOST_LOOKED_THROUGH) -> list[bytes]:
        """The payloads with these SHA-1s that are among the first ``most`` of ``queue``, in its order."""
        return named(self._client, self._keys.queue(queue), digests, most)

    def matching(self, queue: str, match: Callable[[bytes], bool], *, most: int = MOST_LOOKED_THROUGH) -> Matching:
        """The payloads of ``queue`` that ``match`` says True of, in its order; of more than ``most`` the last ones."""
        return matching(self._client, self._keys.queue(queue), match, most)

    # -- changing them -------------------------------------------------------------------------------------------------

    def dequeue(self, queue: str, found: Sequence[Found]) -> Request[list[bool]]:
        """Take jobs out of ``queue``, up to a hundred; gives for each whether it was still there: it is either removed
        or performed. Their status becomes failed, with the outcome ``cancelled``; they are counted nowhere."""
        return removal(self._keys, self._keys.queue(queue), found, self._ended_ttl)

    def dequeue_many(self, queue: str, payloads: Sequence[bytes]) -> int:
        """Take out all of these that are still there, as `dequeue` does it, and give how many there were."""
        return self._piecewise(queue, payloads[::-1], queue, lambda found: self.dequeue(queue, found))

    def move(self, queue: str, payloads: Sequence[bytes], goal: str) -> int:
        """Put all of these that are still in ``queue`` at the end of the queue ``goal``, in this order, and give how
        many there were. Their statuses say where they wait now; nothing else changes.

        Raises a `StoreError`, also when ``goal`` is no list; those that have not moved by then are where they were.
        """
        return self._piecewise(queue, payloads, goal, lambda found: self._move(queue, found, goal, "RPUSH"))

    def advance(self, queue: str, payloads: Sequence[bytes]) -> int:
        """Put all of these that are still in ``queue`` at its head, so that they are performed next, in this order;
        gives how many there were. Raises a `StoreError`."""
        return self._piecewise(queue, payloads[::-1], queue, lambda found: self._move(queue, found, queue, "LPUSH"))

    def _move(self, queue: str, found: Sequence[Found], goal: str, push: str) -> Request[list[bool]]:
        keys = self._keys
        names = [keys.none, keys.queue(queue), keys.queue(goal), keys.queues, keys.bell]
        # Of two that are the same to the byte the right one is taken: they are looked for from the other end.
        args: list[str | bytes | int] = [goal, push, 1 if push == "RPUSH" else -1]
        for raw, job in found:
            names.append(keys.none if job is None else keys.status(job.status_id))
            args += raw, b"" if job is None or queue == goal else status_record(Status.WAITING, job)
        return Request("move", names, args, lambda reply: [count == 1 for count in reply])

    def _piecewise(
        self,
        queue: str,
        payloads: Sequence[bytes],
        goal: str,
        request: Callable[[Sequence[Found]], Request[list[bool]]],
    ) -> int:
        def ask(piece: Sequence[bytes]) -> Sequence[bool]:
            return cast("list[bool]", self._ask(request([read_payload(raw, goal) for raw in piece])))

        return one_after_the_other(payloads, self.size(queue) - len(payloads), ask)

    def clear(self, queue: str, progress: Progress | None = None) -> int:
        """Take all jobs out of ``queue``, as `dequeue` does it; gives how many there were.

        From the first moment on none of them is performed. What is pushed later stays. ``progress`` is told how many
        are done, of how many. Raises a `StoreError`; the jobs may be gone then although their status says otherwise.
        """
        aside = self._keys.cleared(secrets.token_hex(8))
        total = self._ask(
            Request("set_aside", [self._keys.none, self._keys.queue(queue), aside], [SET_ASIDE], int),
        )
        done = 0
        while payloads := self._last_of(aside):
            for batch in batches([read_payload(raw, queue) for raw in payloads], MOST, lambda found: len(found.raw)):
                self._ask(removal(self._keys, aside, batch, self._ended_ttl))
                done += len(batch)
                if progress is not None:
                    progress(done, total)
        return cast("int", total)

    @reading()
    def _last_of(self, key: str) -> list[bytes]:
        payloads = cast("list[bytes]", self._client.lrange(key, -MOST, -1))
        payloads.reverse()
        return payloads

    def remove(self, queue: str, progress: Progress | None = None) -> Removed:
        """Clear ``queue`` and take it off the set of queues, unless a job was pushed to it meanwhile."""
        jobs = self.clear(queue, progress)
        gone = self._ask(Request("remove_queue", [self._keys.queues, self._keys.queue(queue)], [queue], bool))
        return Removed(jobs, gone)
