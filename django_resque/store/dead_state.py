"""What dead processes have left behind and nobody will take away: finding and forgetting it. No job is among it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import islice
from typing import Any, TypeVar, cast

from redis import Redis

from .keys import Keys
from .processes import process_of
from .reading import reading
from .request import Request

AT_ONCE = 100
"""Elements in one call of a script."""
CHUNK = 1_000
"""Keys looked at in one round trip."""

Progress = Callable[[int, int], object]
"""Is told how many keys were looked at, and of about how many."""

T = TypeVar("T")


@dataclass(slots=True)
class Forgotten:
    """What was forgotten, or would be.

    ``processes`` whose lease had ended, and ``workers`` that were on the boards without a process; ``heartbeats`` of
    workers that are not registered; ``permits`` to run under a key of concurrency that nobody used. ``unparked`` jobs
    waited for a permit that nobody held, and are back in their queues; ``adopted`` jobs were reserved by processes that
    nobody knew, and are given back by the next worker that looks. ``waiting`` are dead processes that hold jobs: they
    stay until a worker has given those back.
    """

    processes: int = 0
    workers: int = 0
    heartbeats: int = 0
    permits: int = 0
    unparked: int = 0
    adopted: int = 0
    waiting: list[str] = field(default_factory=list)

    @property
    def is_nothing(self) -> bool:
        return not any(getattr(self, item.name) for item in fields(self) if item.name != "waiting")


class DeadState:
    """Finds what is dead by going through all keys of the namespace, and decides in scripts, which see whether it is
    still so. What is alive is never touched, and no job lost."""

    def __init__(self, client: Redis, keys: Keys, ask: Callable[[Request[Any]], Any]) -> None:
        self._client = client
        self._keys = keys
        self._ask = ask

    def forget(self, *, only_look: bool = False, progress: Progress | None = None) -> Forgotten:
        """Forget all of it, or (``only_look``) tell what there is. Raises a `StoreError`. May be done at any time."""
        found = self._look_around(progress)
        members = self._members()  # read behind the rest: a process and its member come in one step
        forgotten = Forgotten()
        for name in sorted({*members, *found.processes}):
            self._process(name, members.get(name, ""), only_look, forgotten)
        for name in sorted(found.reservations - members.keys()):
            forgotten.adopted += self._ask(self._adopt(name, only_look))
        known = {*members, *found.processes}
        for worker in sorted(found.workers):
            if process_of(worker) not in known:
                forgotten.workers += self._ask(self._worker(worker, only_look))
        for some in _pieces(self._unregistered(), AT_ONCE):
            forgotten.heartbeats += self._ask(self._heartbeats(some, only_look))
        for key in sorted(found.permits):
            for some in _pieces(self._hash(self._keys.permits(key)), AT_ONCE):
                forgotten.permits += self._ask(self._permits(key, some, only_look))
        for key in sorted(found.parked):
            while count := self._ask(self._unpark(key, only_look)):
                forgotten.unparked += count
                if only_look:
                    break
        return forgotten

    def _process(self, name: str, member: str, only_look: bool, forgotten: Forgotten) -> None:
        keys = self._keys
        state, workers = self._ask(
            Request(
                "forget_process",
                [
                    keys.none,
                    keys.process(name),
                    keys.reservations(name),
                    keys.processes,
                    keys.workers,
                    keys.heartbeats,
                    keys.control(name),
                ],
                [keys.prefix, member, int(only_look)],
                lambda reply: (str(reply[0], "ascii"), int(reply[1])),
            )
        )
        if state == "forgotten":
            forgotten.processes += 1
            forgotten.workers += workers
        elif state == "holds":
            forgotten.waiting.append(name)

    # -- requests ------------------------------------------------------------------------------------------------------

    def _adopt(self, name: str, only_look: bool) -> Request[int]:
        keys = self._keys
        names = [keys.none, keys.reservations(name), keys.processes, keys.process(name)]
        return Request("adopt", names, [name, int(only_look)], int)

    def _worker(self, worker: str, only_look: bool) -> Request[int]:
        keys, process = self._keys, process_of(worker)
        return Request(
            "forget_worker",
            [
                keys.none,
                keys.process(process),
                keys.reservations(process),
                keys.workers,
                keys.heartbeats,
                keys.worker(worker),
                keys.started(worker),
                keys.stat(f"processed:{worker}"),
                keys.stat(f"failed:{worker}"),
            ],
            [worker, int(only_look)],
            int,
        )

    def _heartbeats(self, workers: Sequence[bytes], only_look: bool) -> Request[int]:
        keys = self._keys
        return Request("forget_heartbeats", [keys.none, keys.heartbeats, keys.workers], [int(only_look), *workers], int)

    def _permits(self, key: str, permits: Sequence[bytes], only_look: bool) -> Request[int]:
        keys = self._keys
        names = [keys.none, keys.permits(key), keys.parked(key), keys.queues, keys.bell]
        return Request("forget_permits", names, [keys.prefix, int(only_look), *permits], int)

    def _unpark(self, key: str, only_look: bool) -> Request[int]:
        keys = self._keys
        names = [keys.none, keys.permits(key), keys.parked(key), keys.queues, keys.bell, keys.parking]
        return Request("unpark", names, [keys.prefix, key, AT_ONCE, int(only_look)], int)

    # -- looking around ------------------------------------------------------------------------------------------------

    def _look_around(self, progress: Progress | None) -> _Found:
        found = _Found()
        with reading():
            total = self._client.dbsize()
            found.workers.update(_ours(self._client.smembers(self._keys.workers)))
        cursor, seen = None, 0
        while cursor != 0:
            cursor, names = self._scan(cursor or 0)
            for name in names:
                self._note(name, found)
            seen = min(total, seen + CHUNK)
            if progress is not None:
                progress(seen, total)
        return found

    @reading()
    def _scan(self, cursor: int) -> tuple[int, list[bytes]]:
        pattern = re.sub(r"([\\*?\[\]])", r"\\\1", self._keys.prefix) + "*"
        position, names = cast("Any", self._client.scan(cursor, match=pattern, count=CHUNK))
        return int(position), names

    def _note(self, key: bytes, found: _Found) -> None:
        try:
            name = key.decode().removeprefix(self._keys.prefix)
        except UnicodeDecodeError:
            return  # none of ours
        if ours := re.fullmatch(r"django:(process|reservations|permits|parked):(.+)", name, re.DOTALL):
            {
                "process": found.processes,
                "reservations": found.reservations,
                "permits": found.permits,
                "parked": found.parked,
            }[ours[1]].add(ours[2])
            return
        worker = re.fullmatch(r"(?:worker|stat:processed|stat:failed):(.+?)(?::started)?", name, re.DOTALL)
        if worker is not None and process_of(worker[1]):
            found.workers.add(worker[1])

    @reading()
    def _members(self) -> dict[str, str]:
        """The members of the processes by name."""
        raw = cast("list[bytes]", self._client.zrange(self._keys.processes, 0, -1))
        members = [str(member, "utf-8", "replace") for member in raw]
        return {member.partition(" ")[0]: member for member in members}

    def _unregistered(self) -> Iterator[bytes]:
        with reading():
            registered = set(cast("set[bytes]", self._client.smembers(self._keys.workers)))
        return (worker for worker in self._hash(self._keys.heartbeats) if worker not in registered)

    def _hash(self, key: str) -> Iterator[bytes]:
        """The fields of a hash."""
        cursor, first = 0, True
        while first or cursor:
            with reading():
                cursor, some = cast("Any", self._client.hscan(key, cursor, count=CHUNK))
            first = False
            yield from some


@dataclass(slots=True)
class _Found:
    """Names of what stands in Redis, dead or alive."""

    processes: set[str] = field(default_factory=set)
    reservations: set[str] = field(default_factory=set)
    workers: set[str] = field(default_factory=set)
    permits: set[str] = field(default_factory=set)
    parked: set[str] = field(default_factory=set)


def _ours(raw: Any) -> Iterator[str]:
    for each in raw:
        worker = str(each, "utf-8", "replace")
        if process_of(worker):
            yield worker


def _pieces(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while some := list(islice(items, size)):
        yield some
