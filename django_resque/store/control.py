"""Telling worker processes what to do, hearing what they answer, and pausing queues."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self, cast

from redis import ConnectionPool, Redis
from redis.exceptions import RedisError

from ..errors import StoreUnavailable
from ..job import check_queue
from .keys import Keys
from .reading import reading
from .request import Request

MESSAGES = 100
"""Messages kept for one worker process."""
RINGS = 100
"""Queues that ring at most when all workers may take jobs again."""
LONGEST_NAME = 200
"""Characters that are kept of who has paused a queue."""
SLICE = 1.0
"""Seconds that one request waits for an answer: less than the time after which a connection is taken for lost."""


class Control:
    """Messages to worker processes, and what is paused."""

    def __init__(self, client: Redis, keys: Keys, pool: ConnectionPool) -> None:
        self._client = client
        self._keys = keys
        self._pool = pool

    # -- messages ------------------------------------------------------------------------------------------------------

    def send(self, process: str, message: bytes, deadline: float) -> Request[bool]:
        """Leave ``message`` for the worker process of this name, which may obey until ``deadline`` (unix seconds,
        Redis' clock). False when no such process is registered. May be done again."""
        keys = self._keys
        return Request(
            "tell",
            [keys.none, keys.process(process), keys.control(process), keys.bell],
            [process, message, f"{deadline:.6f}", MESSAGES],
            bool,
        )

    def replies(self) -> Replies:
        """A connection on which to wait for answers, not connected yet."""
        return Replies(self._pool, self._keys)

    # -- pausing -------------------------------------------------------------------------------------------------------

    def pause_queue(self, queue: str, by: str = "") -> Request[bool]:
        """No worker of ours takes more jobs from ``queue``, which need not exist. False when it was paused before.
        ``by`` says who wants it so. Raises `InvalidQueue` for what cannot be a queue. May be done again."""
        return self._pause(check_queue(queue), "pause", by[:LONGEST_NAME])

    def resume_queue(self, queue: str) -> Request[bool]:
        """Jobs are taken from ``queue`` again. False when it was not paused. May be done again."""
        return self._pause(queue, "resume")

    def _pause(self, queue: str, how: str, by: str = "") -> Request[bool]:
        keys = self._keys
        names = [keys.none, keys.paused_queues, keys.bell, keys.paused_by]
        return Request("pause_queue", names, [queue, how, by], bool)

    @reading()
    def paused_queues(self) -> list[str]:
        """The queues that are paused one by one, sorted."""
        found = cast("set[bytes]", self._client.smembers(self._keys.paused_queues))
        return sorted(str(name, "utf-8", "replace") for name in found)

    def pause_all(self, paused: bool) -> Request[None]:
        """No worker takes jobs, those of the family's other programs too; or (False) all of them do again. May be done
        again."""
        keys = self._keys
        return Request(
            "pause_all",
            [keys.none, keys.pause_all, keys.bell, keys.queues],
            ["pause" if paused else "resume", RINGS],
            lambda reply: None,
        )

    @reading()
    def all_paused(self) -> bool:
        """Whether no worker takes jobs."""
        return says_paused(self._client.get(self._keys.pause_all))


def says_paused(found: object) -> bool:
    """Whether this reply to GET ``pause-all-workers`` says that no worker takes jobs; errors do not."""
    return isinstance(found, bytes) and found.strip().lower() == b"true"


class Replies:
    """Waiting for answers on a connection of its own. After any failure the next call connects anew."""

    def __init__(self, pool: ConnectionPool, keys: Keys) -> None:
        self._connection = pool.connection_class(**pool.connection_kwargs)
        self._keys = keys

    def next(self, message_ids: Sequence[str], timeout: float) -> tuple[str, bytes] | None:
        """The message that is answered first, and the answer, which is not there any more then; None when there is
        none within ``timeout`` seconds. Raises `StoreUnavailable`: an answer may be lost then."""
        keys = {self._keys.reply(message_id).encode(): message_id for message_id in message_ids}
        deadline = time.monotonic() + timeout
        while True:
            left = min(deadline - time.monotonic(), SLICE)
            found = self._pop(list(keys), max(left, 0.001))  # 0 would be without end
            if found is not None:
                return keys[found[0]], found[1]
            if time.monotonic() >= deadline:
                return None

    def _pop(self, keys: Sequence[bytes], seconds: float) -> tuple[bytes, bytes] | None:
        try:
            self._connection.connect()
            self._connection.send_command("BLPOP", *keys, f"{seconds:.3f}")
            return cast("tuple[bytes, bytes] | None", self._connection.read_response())
        except (RedisError, OSError) as error:
            self.close()
            raise StoreUnavailable(str(error), sent=True) from error
        except BaseException:
            self.close()  # else an answer that comes later would be taken for the next one's
            raise

    def close(self) -> None:
        """Close the connection."""
        self._connection.disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
