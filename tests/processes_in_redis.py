"""Worker processes as Redis knows them: they are registered and take turns, and nothing runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import redis

from django_resque.store import Answer, Entry, Process, Remains, Request, Reserved, Turn, store

NAME = "abc123"
WORKER = "host~abc123-1:42:default"
IDENTITY = "a-boot/1/42/1000"
PREFIX = "resque:"

T = TypeVar("T")


class TurnTaker:
    """A worker process, with one worker, that is registered and takes turns over a line of its own."""

    def __init__(
        self, name: str = NAME, *, register: bool = True, identity: str = IDENTITY, workers: Sequence[str] = ()
    ) -> None:
        self.reservations = store().reservations(name, identity)
        self.line = store().line()
        self.process = Process(name, identity, 0)
        self.workers = workers or [WORKER.replace(NAME, name)]
        self.number = 0
        if register:
            assert self.register() is not None

    def close(self) -> None:
        self.line.close()

    def ask(self, request: Request[T]) -> T:
        return self.line.ask(request)

    def register(self) -> int | None:
        return self.ask(self.reservations.register(self.workers, started="2026-11-20 13:21:45 +0000"))

    def unregister(self) -> int:
        return self.ask(self.reservations.unregister(self.workers))

    def turn(self, *entries: Entry, wanted: int = 0, queues: Sequence[str] = ("default",), **more: Any) -> Answer:
        """The next turn."""
        self.number += 1
        return self.again(*entries, wanted=wanted, queues=queues, **more)

    def again(self, *entries: Entry, wanted: int = 0, queues: Sequence[str] = ("default",), **more: Any) -> Answer:
        """A turn with the number of the last one."""
        asked = dict.fromkeys(queues, wanted) if wanted else {}
        return self.ask(self.reservations.turn(Turn(self.number, entries, asked, **more)))

    def reserve(self, *payloads: bytes | str, queue: str = "default") -> list[Reserved]:
        """Jobs with these payloads, pushed and taken, each batch of suspects on its own."""
        store().client.rpush(f"{store().keys.prefix}queue:{queue}", *payloads)
        taken: list[Reserved] = []
        while len(taken) < len(payloads):
            jobs = self.turn(wanted=min(100, len(payloads) - len(taken)), queues=[queue]).jobs
            assert jobs
            taken += jobs
        return taken

    def condemn(self, dead: TurnTaker, *, proved: bool = True) -> Remains:
        return self.ask(self.reservations.condemn(dead.process, proved=proved))


def guard(
    *, once: bool = False, unique: str = "", id: str = "1", key: str = "", most: int = 1, expires: float | str = ""
) -> bytes:
    """What a start asks for: whether the job must not begin ``once`` more, the key of uniqueness that it lets go of, a
    permit under ``key`` when there are fewer than ``most``, and that it is not ``expires``, a unix time, yet."""
    return f"{once:d}\n{unique}\n{id}\n60\n{key}\n{most}\n{expires}".encode()


def digest(payload: bytes) -> str:
    return hashlib.sha1(payload).hexdigest()


def state(client: redis.Redis) -> dict[str, Any]:
    """Everything in Redis: key without the prefix → value."""
    read = {
        b"string": client.get,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": lambda key: set(client.smembers(key)),  # redis-py 5.1 gives a list
        b"hash": client.hgetall,
        b"zset": lambda key: dict(client.zrange(key, 0, -1, withscores=True)),
    }
    return {key.decode().removeprefix(PREFIX): read[client.type(key)](key) for key in client.keys()}


def lasting(client: redis.Redis) -> set[str]:
    """The keys, without the prefix, that do not vanish by themselves within a day or so. A count of crashes, which is
    kept for three days, is one of them."""
    keys = [key.decode().removeprefix(PREFIX) for key in client.keys(f"{PREFIX}*")]
    passing = ("job:", "django:producer:")
    return {
        key
        for key in keys
        if not key.startswith(passing) and (client.ttl(f"{PREFIX}{key}") < 0 or key == "django:crashes")
    }


@contextmanager
def full(client: redis.Redis) -> Iterator[None]:
    """The server has no memory left."""
    client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        client.config_set("maxmemory", 0)
