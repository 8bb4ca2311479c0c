"""A worker process's dialogue with Redis about the jobs it has taken.

A *turn* is one script call that tells what became of jobs and asks for more. Turns are numbered: the same number again
gets the same answer and does nothing, so a turn whose answer was lost is simply sent again. A process that has stopped
renewing its lease is declared dead (`condemn`), and what it held is given back (`bury`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..conf import Config
from .keys import Keys
from .request import Request
from .statistics import Outcome

CRASH_MEMORY = 72 * 3600
"""Seconds that a job's crashes are remembered after the last one of any job."""
FAILURE_STATUS_TTL = 24 * 3600
"""Least number of seconds the status of a failed job is kept."""
OUTPUT_TTL = 24 * 3600
"""Seconds that the output of a job is kept."""
RECENT = 10_000
"""Jobs that ended, kept for the boards."""
BURIAL = 10
"""Seconds in which a process that was declared dead is left to the one that did."""


@dataclass(frozen=True, slots=True)
class Reserved:
    """A job that this process holds.

    ``crashes`` is how often its process has died of these bytes; None when they have never been begun, as far as is
    known.
    """

    token: str
    queue: str
    payload: bytes
    crashes: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """What a turn tells about one job, or one worker.

    ``kind`` is ``beat``, ``reply``, ``sum`` (for the statistics), or about the reservation ``token``: ``running`` (for
    the boards), ``start`` (it may be begun only when this is known), ``done``, ``retry``, ``failed``, ``crashed``,
    ``interrupted`` (begun, and given back uncounted) or ``given back`` (never begun). ``status`` is for the end,
    ``second`` for the return; what else they are, and ``record``, stands in the header of ``turn.lua``. A job that
    cannot go back, because its queue is no list any more, becomes the failure of its record. ``outcome`` is not sent:
    it is to be summed up when the entry was not refused.
    """

    kind: str
    worker: str
    token: str = ""
    status_id: str = ""
    status: bytes = b""
    second: bytes = b""
    record: bytes = b""
    output: bytes = b""
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One numbered request: ``entries``, and jobs from the first of ``queues`` (name → how many) that has any.

    ``mode`` is what others are to know of the process, empty when it is as before, and ``memory`` how many bytes it
    uses, 0 likewise. ``renew`` puts off the end of the lease. ``look`` asks for the `Look`, with the queues as well for
    ``look_queues``.
    """

    number: int
    entries: Sequence[Entry] = ()
    queues: Mapping[str, int] | Sequence[tuple[str, int]] = ()
    renew: bool = False
    look: bool = False
    look_queues: bool = False
    mode: str = ""
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Process:
    """A registered worker process: its name, what its machine tells it by, when its lease ends (unix seconds)."""

    name: str
    identity: str
    lease: float

    @property
    def member(self) -> str:
        return f"{self.name} {self.identity}"


@dataclass(frozen=True, slots=True)
class Look:
    """What is around: up to 100 worker processes, those first whose lease ends first; the server's run id, empty when
    it is not told; how many failures there are; the queues, when they were asked for; when the first delayed job and
    the first retry are due (unix seconds); a number that every change of the schedule raises; what this process is
    asked."""

    processes: Sequence[Process]
    run_id: str
    failures: int
    queues: Sequence[str] | None
    due: float | None = None
    retry_due: float | None = None
    schedule: int = 0
    messages: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What Redis answered to a turn.

    ``state`` is ``ok``, ``paused`` (no jobs while all workers are paused) or ``gone`` (this process is not known any
    more). ``time`` is the server's, in unix seconds. ``refused`` are tokens of entries about reservations that were not
    this process's any more, ``kept`` those of starts that may not begin: they were parked, or have expired. ``trouble``
    are errors on keys that others broke, ``dropped`` counts failure records cut off at the bound. ``reservations`` is
    how many jobs this process holds, those of the answer too.
    """

    state: str
    time: float
    refused: Sequence[str]
    kept: Sequence[str]
    jobs: Sequence[Reserved]
    trouble: Sequence[str]
    dropped: int
    look: Look | None
    reservations: int = 0


@dataclass(frozen=True, slots=True)
class Remains:
    """What `condemn` found. ``state`` is ``dead``, ``alive``, ``unknown`` (no such process any more) or ``taken``.

    ``first``: it was alive until now. ``held`` are about 100 of its ``reservations``, each with the worker that had
    begun it, which is only known of jobs that must not begin twice; a token that is not ours is read as Latin-1, which
    has a character for each byte. ``failures`` are the last records of the failed list when another program has taken
    one of its workers for dead.
    """

    state: str
    first: bool
    workers: Sequence[str]
    reservations: int
    held: Sequence[tuple[Reserved, str]]
    failures: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Bequest:
    """What becomes of a dead process's reservation: ``act`` is ``requeue``, ``fail`` or ``drop`` (it has its failure
    record already). ``crashes`` is to be noted for a job that goes back (None: nothing)."""

    act: str
    token: str
    status_id: str
    failed: bytes
    requeued: bytes
    record: bytes
    crashes: int | None = None


@dataclass(frozen=True, slots=True)
class Burial:
    """``left`` reservations are still there; those of ``tokens`` were dealt with now."""

    left: int
    tokens: Sequence[str]
    trouble: Sequence[str]


class Reservations:
    """What the worker process called ``name`` asks for. ``identity`` is what others on its machine tell it by."""

    def __init__(self, keys: Keys, config: Config, name: str, identity: str) -> None:
        self._keys = keys
        self._config = config
        self.name = name
        self._member = f"{name} {identity}"

    def register(self, workers: Sequence[str], *, started: str, info: bytes = b"") -> Request[int | None]:
        """Make this process known, with the ids of its ``workers`` and ``info``, which is JSON for people. Gives the
        server's clock, in unix seconds; None when another process has this name. May be done again."""
        keys = self._keys
        return Request(
            "register",
            [keys.none, keys.process(self.name), keys.processes, keys.workers, *map(keys.started, workers)],
            [self._member, self._config.lease, started, info, *workers],
            lambda reply: int(reply[1]) if reply[0] else None,
        )

    def turn(self, turn: Turn) -> Request[Answer]:
        """Take a turn. The same turn may be taken again."""
        keys, config = self._keys, self._config
        queues = list(turn.queues.items() if isinstance(turn.queues, Mapping) else turn.queues)
        args: list[str | bytes | int | float] = [
            keys.prefix,
            turn.number,
            self._member,
            config.lease if turn.renew else 0,
            "p" * turn.look + "q" * turn.look_queues,
            config.max_crashes,
            CRASH_MEMORY,
            10 * config.failed_max,
            config.status_ttl,
            max(config.status_ttl, FAILURE_STATUS_TTL),
            OUTPUT_TTL,
            RECENT,
            turn.mode,
            turn.memory,
            len(queues),
        ]
        for queue, wanted in queues:
            args += queue, wanted
        for entry in turn.entries:
            args += entry.kind, entry.token, entry.worker, entry.status_id
            args += entry.status, entry.second, entry.record, entry.output
        return Request("turn", self._turn_keys(), args, lambda reply: _answer(turn, reply))

    def _turn_keys(self) -> list[str]:
        keys = self._keys
        return [
            keys.none,
            keys.process(self.name),
            keys.reservations(self.name),
            keys.processes,
            keys.failed,
            keys.queues,
            keys.heartbeats,
            keys.crashes,
            keys.stat("processed"),
            keys.stat("failed"),
            keys.pause_all,
            keys.bell,
            keys.retries,
            keys.parking,
            keys.recent,
            keys.waited,
            keys.paused_queues,
            keys.delayed_schedule,
            keys.schedule_version,
            keys.control(self.name),
        ]

    def unregister(self, workers: Sequence[str]) -> Request[int]:
        """Take this process off the boards; gives how many reservations it still holds (it stays known then)."""
        keys = self._keys
        worker_keys = [
            key
            for worker in workers
            for key in (
                keys.worker(worker),
                keys.started(worker),
                keys.stat(f"processed:{worker}"),
                keys.stat(f"failed:{worker}"),
            )
        ]
        return Request(
            "unregister",
            [
                keys.process(self.name),
                keys.processes,
                keys.reservations(self.name),
                keys.workers,
                keys.heartbeats,
                *worker_keys,
            ],
            [self._member, *workers],
            int,
        )

    def mine(self) -> Request[list[Reserved]]:
        """What this process holds by Redis' account, about a hundred of them."""
        return Request("mine", [self._keys.reservations(self.name)], [], _reserved)

    # -- of other processes --------------------------------------------------------------------------------------------

    def condemn(self, process: Process, *, proved: bool) -> Request[Remains]:
        """Declare ``process`` dead: because that is ``proved``, or else when its lease has ended by the server's clock.

        May be done again, and by several at once.
        """
        keys = self._keys
        return Request(
            "condemn",
            [
                keys.none,
                keys.process(process.name),
                keys.reservations(process.name),
                keys.processes,
                keys.crashes,
                keys.failed,
                keys.workers,
            ],
            [process.member, int(proved), self.name, BURIAL],
            _remains,
        )

    def bury(self, process: Process, workers: Sequence[str], bequests: Sequence[Bequest]) -> Request[Burial]:
        """Carry out ``bequests``, the job taken last first, and take ``process`` off the boards when it holds no more.

        May be done again, and by several at once: each reservation is dealt with once.
        """
        keys = self._keys
        args: list[str | bytes | int] = [
            keys.prefix,
            process.member,
            CRASH_MEMORY,
            max(self._config.status_ttl, FAILURE_STATUS_TTL),
            RECENT,
            len(workers),
            *workers,
        ]
        for bequest in bequests:
            args += bequest.act, bequest.token.encode("latin-1"), -1 if bequest.crashes is None else bequest.crashes
            args += bequest.status_id, bequest.failed, bequest.requeued, bequest.record
        return Request(
            "bury",
            [
                keys.none,
                keys.process(process.name),
                keys.reservations(process.name),
                keys.processes,
                keys.failed,
                keys.queues,
                keys.heartbeats,
                keys.crashes,
                keys.stat("processed"),
                keys.stat("failed"),
                keys.workers,
                keys.bell,
                keys.parking,
                keys.recent,
            ],
            args,
            lambda reply: Burial(int(reply[0]), [str(token, "latin-1") for token in reply[1]], _texts(reply[2])),
        )


def _answer(turn: Turn, reply: list[Any]) -> Answer:
    state, now, refused, kept, queue, payloads, crashes, trouble, dropped, *rest = reply
    processes, run_id, failures, queues, reservations, around = rest
    name = str(queue, "utf-8")
    return Answer(
        state=str(state, "ascii"),
        time=float(now),
        refused=_texts(refused),
        kept=_texts(kept),
        jobs=[
            Reserved(
                f"{turn.number}.{index + 1}",
                name,
                payload,
                None if not crashes or crashes[index] < 0 else crashes[index],
            )
            for index, payload in enumerate(payloads)
        ],
        trouble=_texts(trouble),
        dropped=int(dropped),
        look=_look(turn, processes, run_id, failures, queues, around) if turn.look and state != b"gone" else None,
        reservations=reservations,
    )


def _look(
    turn: Turn, processes: list[bytes], run_id: bytes, failures: int, queues: list[bytes], around: list[bytes]
) -> Look:
    found = []
    for member, lease in zip(processes[::2], processes[1::2], strict=True):
        name, _, identity = str(member, "utf-8", "replace").partition(" ")
        found.append(Process(name, identity, float(lease)))
    due, retry_due, version, *messages = around
    return Look(
        found,
        str(run_id, "ascii", "replace"),
        failures,
        _texts(queues) if turn.look_queues else None,
        float(due) if due else None,
        float(retry_due) if retry_due else None,
        int(version) if version.isdigit() and len(version) < 16 else 0,
        messages,
    )


def _remains(reply: list[Any]) -> Remains:
    state, first, workers, reservations, held, failures = reply
    found = []
    for token, reserved, crashes in zip(held[::3], held[1::3], held[2::3], strict=True):
        head, _, payload = reserved.partition(b"\n")
        queue, worker, *_ = [*str(head, "utf-8", "replace").split("\t"), ""]
        found.append((Reserved(str(token, "latin-1"), queue, payload, None if crashes < 0 else crashes), worker))
    return Remains(str(state, "ascii"), bool(first), _texts(workers), int(reservations), found, failures)


def _reserved(found: list[bytes]) -> list[Reserved]:
    held = []
    for token, reserved in zip(found[::2], found[1::2], strict=True):
        head, _, payload = reserved.partition(b"\n")
        held.append(Reserved(str(token, "utf-8", "replace"), str(head, "utf-8", "replace").partition("\t")[0], payload))
    return held


def _texts(found: Sequence[bytes]) -> list[str]:
    return [str(text, "utf-8", "replace") for text in found]
