"""The worker processes that are registered, as they tell about themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis

from .keys import Keys
from .reading import reading

_OURS = re.compile(r"^(?P<host>[^:]*)~(?P<process>[^:~]+)-\d+:(?P<pid>\d{1,18}):(?P<queues>.*)$", re.DOTALL)
_LONGEST_INFO = 65_536
_FIELDS = ("number", "info", "mode", "workers", "heard", "memory")


@dataclass(frozen=True, slots=True)
class WorkerProcessInfo:
    """A worker process of ours.

    ``identity`` is what its machine tells it by. ``lease`` is when its lease ends (unix seconds, Redis' clock, 0 when
    it was declared dead) and ``alive`` whether that is to come. ``kind`` is ``worker`` or ``scheduler``, ``mode``
    ``running``, ``paused`` or ``stopping``; empty when it does not say. ``queues`` is what it was told to serve,
    ``started`` a unix time, ``launch`` the token under which it was started in the background, ``seal`` what proves
    how it was started, ``workers`` the ids of its slots on the boards. ``version`` is that of the package, ``memory``
    the bytes that it and its performers have resident, what they share counted for each, and ``heard`` when it last
    renewed its lease (unix seconds, Redis' clock). What is not known is empty or 0: an older version tells less.
    """

    name: str
    identity: str
    lease: float
    alive: bool
    kind: str = "worker"
    host: str = ""
    pid: int = 0
    queues: str = ""
    performers: int = 0
    started: float = 0.0
    launch: str = ""
    seal: str = ""
    argv: Sequence[str] = ()
    log: str = ""
    cwd: str = ""
    mode: str = ""
    workers: Sequence[str] = ()
    version: str = ""
    memory: int = 0
    heard: float = 0.0

    @property
    def member(self) -> str:
        return f"{self.name} {self.identity}"


@dataclass(frozen=True, slots=True)
class Population:
    """Who was there at the time ``now`` (unix seconds, Redis' clock): our ``processes``, and the ids of the ``others``
    on the boards, that belong to none of these."""

    now: float
    processes: Sequence[WorkerProcessInfo]
    others: Sequence[str]


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What a worker process is doing: ``registered`` and not declared dead, ``lease`` and ``mode`` as in
    `WorkerProcessInfo`."""

    registered: bool
    lease: float
    mode: str


class Processes:
    """Reading about worker processes."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    def all(self, limit: int = 1000) -> list[WorkerProcessInfo]:
        """Up to ``limit`` worker processes, those first whose lease ends first, in two round trips."""
        return list(self.population(limit).processes)

    @reading()
    def population(self, limit: int = 1000) -> Population:
        """Up to ``limit`` worker processes, and the other workers on the boards by id, in two round trips."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.zrange(self._keys.processes, 0, limit - 1, withscores=True)
        pipeline.time()
        pipeline.smembers(self._keys.workers)
        members, time, boards = pipeline.execute()
        now = _seconds(time)
        processes = self.described(cast("list[tuple[bytes, float]]", members), now)
        known = {worker for process in processes for worker in process.workers}
        ids = {str(raw, "utf-8", "replace") for raw in cast("Iterable[bytes]", boards)}
        return Population(now, processes, sorted(ids - known))

    @reading()
    def described(self, members: Sequence[tuple[bytes, float]], now: float) -> list[WorkerProcessInfo]:
        """Those that are registered as these ``members``, each with the end of its lease; one round trip."""
        found = [(str(member, "utf-8", "replace"), lease) for member, lease in members]
        details = self._details([member.partition(" ")[0] for member, _ in found])
        return [_process(member, lease, now, detail) for (member, lease), detail in zip(found, details, strict=True)]

    def _details(self, names: Sequence[str]) -> list[list[bytes | None]]:
        if not names:
            return []
        pipeline = self._client.pipeline(transaction=False)
        for name in names:
            pipeline.hmget(self._keys.process(name), _FIELDS)
        replies = pipeline.execute(raise_on_error=False)  # a key may have become something else
        return [[None] * len(_FIELDS) if isinstance(reply, Exception) else reply for reply in replies]

    @reading()
    def states(self, processes: Sequence[WorkerProcessInfo]) -> tuple[float, list[ProcessState]]:
        """The time (unix seconds, Redis' clock) and how each of ``processes`` is now, in one round trip."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.time()
        for process in processes:
            pipeline.zscore(self._keys.processes, process.member)
            pipeline.hmget(self._keys.process(process.name), _FIELDS)
        time, *replies = pipeline.execute(raise_on_error=False)
        for reply in (time, *replies[::2]):
            if isinstance(reply, Exception):
                raise reply
        return _seconds(time), [
            _state(lease, [None] * len(_FIELDS) if isinstance(detail, Exception) else detail)
            for lease, detail in zip(replies[::2], replies[1::2], strict=True)
        ]


def process_of(worker_id: str) -> str:
    """The name of the worker process of ours to which this worker belongs; empty when it is another program's."""
    found = _OURS.match(worker_id)
    return found["process"] if found else ""


def _seconds(time: tuple[int, int]) -> float:
    return time[0] + time[1] / 1_000_000


def _state(lease: float | None, detail: Sequence[bytes | None]) -> ProcessState:
    return ProcessState(lease is not None and detail[0] is not None, lease or 0.0, _mode(detail[2]))


def _process(member: str, lease: float, now: float, detail: Sequence[bytes | None]) -> WorkerProcessInfo:
    name, _, identity = member.partition(" ")
    number, raw, mode, ids, heard, memory = detail
    workers = tuple(str(ids or b"", "utf-8", "replace").split("\n")) if ids else ()
    told = _Told(raw)
    by_id = next((found for found in map(_OURS.match, workers) if found), None)
    return WorkerProcessInfo(
        name=name,
        identity=identity,
        lease=lease,
        alive=lease > now and number is not None,
        kind=told.text("kind") or "worker",
        host=told.text("host") or (by_id["host"] if by_id else ""),
        pid=int(told.number("pid")) or (int(by_id["pid"]) if by_id else 0),
        queues=told.text("queues") or ",".join(told.texts("queues")) or (by_id["queues"] if by_id else ""),
        performers=int(told.number("performers")) or len(workers),
        started=told.number("started"),
        launch=told.text("launch"),
        seal=told.text("seal"),
        argv=told.texts("argv"),
        log=told.text("log"),
        cwd=told.text("cwd"),
        mode=_mode(mode),
        workers=workers,
        version=told.text("version"),
        memory=_whole(memory),
        heard=float(_whole(heard)),
    )


def _whole(raw: bytes | None) -> int:
    return int(raw) if raw and raw.isdigit() and len(raw) < 16 else 0


def _mode(raw: bytes | None) -> str:
    return str(raw or b"", "utf-8", "replace")


class _Told:
    """What a process has written about itself. An older one has written nothing, or less; anybody may have written
    something else."""

    def __init__(self, raw: bytes | None) -> None:
        try:
            found = json.loads(raw) if raw and len(raw) <= _LONGEST_INFO else {}
        except (ValueError, RecursionError):
            found = {}
        self._found: dict[str, Any] = found if isinstance(found, dict) else {}

    def text(self, name: str) -> str:
        value = self._found.get(name)
        return value if isinstance(value, str) else ""

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._found.get(name)
        return tuple(value) if isinstance(value, list) and all(isinstance(text, str) for text in value) else ()

    def number(self, name: str) -> float:
        value = self._found.get(name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(cast("float", value)) if is_number and 0 <= cast("float", value) < 1e15 else 0.0
