"""All queues at a glance: how long they are, who serves them, what is paused; in two round trips."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis import Redis

from .control import says_paused
from .keys import Keys
from .reading import reading
from .scripts import script
from .working import LONGEST, read_working

QUEUES = 1_000
"""Queues that are read at most."""
WORKERS = 500
"""Workers that are read at most."""
_HEAD = 4_096
"""Bytes of a job in which the time is looked for at which it was enqueued: it stands behind the arguments."""
_AT_ONCE = 100
_QUEUE_TIME = re.compile(rb'"queue_time": ?([0-9]{1,12}(?:\.[0-9]{1,9})?)[,}]')


@dataclass(frozen=True, slots=True)
class QueueState:
    """A queue: ``length`` is None where its key is no list, ``oldest`` is when its first job was enqueued (unix time;
    None: not known), ``running`` how many workers say that they perform a job of it. ``paused`` is itself paused, not
    all workers; ``paused_by`` says by whom, where that is known."""

    name: str
    length: int | None
    oldest: float | None
    running: int
    paused: bool
    paused_by: str


@dataclass(frozen=True, slots=True)
class QueueTable:
    """The queues by name, at one ``time`` of Redis' clock; ``count`` is how many there are, ``worker_ids`` are
    the workers on the boards, ``workers`` the queues that each of them serves, as its id says. ``trouble`` is what
    could not be read."""

    time: datetime
    queues: Sequence[QueueState]
    count: int
    all_paused: bool
    worker_ids: Sequence[str]
    workers: Sequence[str]
    worker_count: int
    trouble: Sequence[str]


@reading()
def read_queue_table(client: Redis, keys: Keys) -> QueueTable:
    """Read up to `QUEUES` queues and `WORKERS` workers. Queues that are paused and do not exist (yet) are among them.
    Raises a `StoreError`."""
    pipeline: Any = client.pipeline(transaction=False)
    pipeline.time()
    pipeline.get(keys.pause_all)
    named: list[tuple[str, Any]] = [(keys.queues, QUEUES), (keys.workers, WORKERS), (keys.paused_queues, QUEUES)]
    for key, most in named:
        pipeline.scard(key)
        pipeline.execute_command("SSCAN", key, 0, "COUNT", most)  # bounded, where SMEMBERS is not
    pipeline.execute_command("HSCAN", keys.paused_by, 0, "COUNT", QUEUES)
    time, pause, *replies, by = pipeline.execute(raise_on_error=False)
    if isinstance(time, Exception):
        raise time
    trouble = [
        f"{key}: {reply}"
        for (key, _most), reply in zip(named, replies[::2], strict=True)
        if isinstance(reply, Exception)
    ]
    found, workers, paused = (
        sorted({_text(name) for name in reply[1]}) if not isinstance(reply, Exception) else []
        for reply in replies[1::2]
    )
    count, worker_count, _paused_count = (reply if isinstance(reply, int) else 0 for reply in replies[::2])
    names = sorted({*found, *paused})[:QUEUES]
    lengths, running = lengths_and_running(client, keys, names, workers[:WORKERS])
    paused_by = {} if isinstance(by, Exception) else {_text(name): _text(value) for name, value in by[1].items()}
    queues = [
        QueueState(name, *lengths[name], running[name], name in set(paused), paused_by.get(name, "")) for name in names
    ]
    trouble += [f"{keys.queue(queue.name)} cannot be read as a list" for queue in queues if queue.length is None]
    return QueueTable(
        time=datetime.fromtimestamp(time[0] + time[1] / 1e6, UTC),
        queues=queues,
        count=max(count, len(queues)),
        all_paused=says_paused(pause),
        worker_ids=workers[:WORKERS],
        workers=[worker.partition(":")[2].partition(":")[2] for worker in workers[:WORKERS]],
        worker_count=worker_count,
        trouble=trouble,
    )


def lengths_and_running(
    client: Redis, keys: Keys, queues: Sequence[str], workers: Sequence[str]
) -> tuple[Mapping[str, tuple[int | None, float | None]], Counter[str]]:
    """Length and oldest job of each of ``queues``, and how many of ``workers`` say that they perform a job of which
    queue; in one round trip."""
    pipeline: Any = client.pipeline(transaction=False)
    groups = [queues[at : at + _AT_ONCE] for at in range(0, len(queues), _AT_ONCE)]
    source = script("heads").source
    for group in groups:
        pipeline.eval(source, len(group), *map(keys.queue, group), _HEAD)
    for worker in workers:
        pipeline.getrange(keys.worker(worker), 0, LONGEST - 1)
    replies = pipeline.execute(raise_on_error=False) if groups or workers else []
    lengths: dict[str, tuple[int | None, float | None]] = {}
    for group, reply in zip(groups, replies, strict=False):
        if isinstance(reply, Exception):
            raise reply
        for name, length, head in zip(group, reply[::2], reply[1::2], strict=True):
            lengths[name] = (None if length < 0 else length, enqueued_at(head))
    return lengths, Counter(_queues_of(replies[len(groups) :]))


def enqueued_at(payload: bytes) -> float | None:
    """When a job was enqueued (unix time), as the end of its payload says; None where it does not."""
    found = _QUEUE_TIME.findall(payload)
    return float(found[-1]) if found else None


def _queues_of(replies: Sequence[Any]) -> Iterator[str]:
    for raw in replies:
        queue = read_working(raw).get("queue") if isinstance(raw, bytes) else None
        if isinstance(queue, str):
            yield queue


def _text(raw: bytes) -> str:
    return str(raw, "utf-8", "replace")
