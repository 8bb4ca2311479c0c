"""The faults of a storm: which, when and how strong follows from the seed alone."""

from __future__ import annotations

import heapq
import itertools
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import redis
from django.conf import settings

from tests.proxy import Proxy
from tests.servers import RedisServer

from .evidence import Notebook
from .fleet import Fleet

T = TypeVar("T")

WEIGHTS = {
    # processes
    "performer": 220,
    "dispatcher": 45,
    "everything": 6,
    "freeze": 18,
    "term": 20,
    "wave": 8,
    "producer": 10,
    # Redis
    "redis killed": 25,
    "client kill": 90,
    "client pause": 40,
    "script flush": 80,
    "maxmemory": 40,
    "slow redis": 20,
    # the way to it
    "lost replies": 110,
    "truncated replies": 90,
    "delayed replies": 70,
    "held requests": 20,
    "cut": 50,
    "refused": 20,
    "ignored": 12,
}
"""The kinds of faults, and how many of each among all."""

LONGEST_OUTAGE = 1.0
"""Seconds for which one fault keeps everybody from Redis."""
FROZEN_FOR = (1.1, 1.8)
"""Leases for which a dispatcher is frozen."""


@dataclass(frozen=True, slots=True)
class Fault:
    """``at`` is in seconds from the beginning. ``strength`` and ``target`` are from 0 to 1: how long or how much, and
    which of those that are there."""

    at: float
    kind: str
    strength: float
    target: float


def forecast(seed: str, seconds: float, faults: int) -> list[Fault]:
    """The faults of a storm, in order. The same arguments give the same list."""
    chance = random.Random(f"{seed} weather")
    found = []
    for number in range(faults):
        at = (number + chance.random()) * seconds / faults
        (kind,) = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
        found.append(Fault(at, kind, chance.random(), chance.random()))
    return found


class Weather:
    """Brings the faults upon a fleet, a server and the proxy between them. For the main thread."""

    def __init__(self, server: RedisServer, proxy: Proxy, fleet: Fleet, notebook: Notebook) -> None:
        self._server = server
        self._proxy = proxy
        self._fleet = fleet
        self._notebook = notebook
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.happened: Counter[str] = Counter()

    def run(self, faults: Sequence[Fault], seconds: float) -> None:
        """All of them at their times, and so many seconds altogether."""
        began = time.monotonic()
        for fault in faults:
            self._do_what_is_due(began + fault.at)
            what = getattr(self, "_" + fault.kind.replace(" ", "_"))(fault)
            self._notebook.note(f"{time.monotonic():.6f} {fault.kind}: {what or 'nobody was there to be harmed'}")
            self.happened[fault.kind] += bool(what)
        self._do_what_is_due(began + seconds)

    def clear(self) -> None:
        """The end of all faults, in time too."""
        while self._later:
            self._do_what_is_due(self._later[0][0])
        self._redis_is_up()
        self._redis(lambda client: client.config_set("maxmemory", 0))
        self._proxy.heal()
        for member in self._fleet.members():
            self._fleet.thaw(member)
        self._notebook.note(f"{time.monotonic():.6f} the storm is over")

    def _do_what_is_due(self, until: float) -> None:
        while True:
            at = min(until, self._later[0][0]) if self._later else until
            time.sleep(max(0.0, at - time.monotonic()))
            if not self._later or self._later[0][0] > until:
                return
            heapq.heappop(self._later)[2]()

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self._order), act))

    # -- processes ---------------------------------------------------------------------------------------------------

    def _performer(self, fault: Fault) -> str:
        found = {pid: busy for member in self._fleet.ready() for pid, busy in member.performers().items()}
        busy = [pid for pid in found if found[pid]]
        pid = _one_of(busy or list(found), fault)
        if pid is None or not self._fleet.kill_performer(pid):
            return ""
        return f"KILL {pid}, which was {'busy' if found[pid] else 'idle'}"

    def _dispatcher(self, fault: Fault) -> str:
        member = _one_of(self._fleet.members(), fault)  # frozen ones too, and those that are just being born
        if member is None:
            return ""
        self._fleet.kill(member)
        return f"KILL worker {member.life.number}, pid {member.life.pid}"

    def _everything(self, fault: Fault) -> str:
        members = self._fleet.members()
        self._fleet.kill(*members)
        return f"KILL workers {', '.join(str(member.life.number) for member in members)}"

    def _freeze(self, fault: Fault) -> str:
        member = _one_of(self._fleet.ready(), fault)
        if member is None or len(self._fleet.ready()) < 2:
            return ""  # somebody must be there to take its jobs over
        seconds = _between(*FROZEN_FOR, fault) * settings.RESQUE["LEASE"]
        self._fleet.freeze(member)
        self._after(seconds, lambda: self._fleet.thaw(member))
        return f"STOP worker {member.life.number}, pid {member.life.pid}, for {seconds:.1f} s"

    def _term(self, fault: Fault) -> str:
        member = _one_of(self._fleet.ready(), fault)
        if member is None:
            return ""
        self._fleet.ask_to_stop(member)
        return f"TERM worker {member.life.number}, pid {member.life.pid}"

    def _wave(self, fault: Fault) -> str:
        """All of them, one after the other or at the same time."""
        members = self._fleet.ready()
        for number, member in enumerate(members):
            self._after(number * 0.3 * (fault.strength > 0.5), lambda member=member: self._fleet.ask_to_stop(member))
        return f"TERM workers {', '.join(str(member.life.number) for member in members)}" if members else ""

    def _producer(self, fault: Fault) -> str:
        producer = _one_of([producer for producer in self._fleet.producers() if not producer.done], fault)
        if producer is None:
            return ""
        producer.kill()
        return f"KILL producer {producer.pid}"

    # -- Redis -------------------------------------------------------------------------------------------------------

    def _redis_is_up(self) -> None:
        if not self._server.running:
            self._server.start()
        with self._server.client() as client:
            while client.info("persistence")["loading"]:
                time.sleep(0.02)

    def _redis(self, ask: Callable[[redis.Redis], object]) -> object:
        """What the server says to us, who do not go through the proxy."""
        self._redis_is_up()
        with self._server.client() as client:
            return ask(client)

    def _redis_killed(self, fault: Fault) -> str:
        self._redis_is_up()
        seconds = _between(0, LONGEST_OUTAGE / 2, fault)
        self._server.kill()
        self._after(seconds, self._redis_is_up)
        return f"KILL, and start {seconds:.1f} s later"

    def _client_kill(self, fault: Fault) -> str:
        kind = ("normal", "pubsub")[fault.strength < 0.3]

        def kill(client: redis.Redis) -> str:
            found = [entry["id"] for entry in client.client_list(kind) if entry["id"] != str(client.client_id())]
            chosen = found if fault.strength > 0.8 else [_one_of(found, fault)]
            for number in filter(None, chosen):
                with suppress(redis.ResponseError):  # it has gone meanwhile
                    client.client_kill_filter(_id=number)
            return f"{len(found) if chosen is found else 1} of {len(found)} connections ({kind})" if found else ""

        return str(self._redis(kill))

    def _client_pause(self, fault: Fault) -> str:
        seconds = _between(0.05, LONGEST_OUTAGE, fault)
        self._redis(lambda client: client.client_pause(int(seconds * 1000), all=fault.target < 0.5))
        return f"{seconds:.2f} s, {'all' if fault.target < 0.5 else 'writes'}"

    def _script_flush(self, fault: Fault) -> str:
        self._redis(lambda client: client.script_flush())
        return "done"

    def _maxmemory(self, fault: Fault) -> str:
        seconds = _between(0.05, LONGEST_OUTAGE, fault)
        self._redis(lambda client: client.config_set("maxmemory", 1))
        self._after(seconds, lambda: self._redis(lambda client: client.config_set("maxmemory", 0)) and None)
        return f"1 byte for {seconds:.2f} s"

    def _slow_redis(self, fault: Fault) -> str:
        self._redis_is_up()
        seconds = _between(0.05, LONGEST_OUTAGE / 2, fault)
        os.kill(self._server.pid, signal.SIGSTOP)
        time.sleep(seconds)  # nothing else may be wanted from it meanwhile
        os.kill(self._server.pid, signal.SIGCONT)
        return f"STOP for {seconds:.2f} s"

    # -- the way to it -----------------------------------------------------------------------------------------------

    def _lost_replies(self, fault: Fault) -> str:
        count = 1 + int(fault.strength * 4)
        self._proxy.lose_replies(count)
        return f"{count}"

    def _truncated_replies(self, fault: Fault) -> str:
        count = 1 + int(fault.strength * 4)
        self._proxy.truncate_replies(count, keep=1 + int(fault.target * 30))
        return f"{count} after {1 + int(fault.target * 30)} bytes"

    def _delayed_replies(self, fault: Fault) -> str:
        count, seconds = 1 + int(fault.target * 6), _between(0.01, LONGEST_OUTAGE, fault)
        self._proxy.delay_replies(seconds, count)
        return f"{count} by {seconds:.2f} s"

    def _held_requests(self, fault: Fault) -> str:
        """They arrive when their senders have given up, or at least wondered."""
        count, seconds = 1 + int(fault.target * 4), _between(0.1, 2 * LONGEST_OUTAGE, fault)
        self._proxy.hold_requests(count)
        self._after(seconds, self._proxy.heal)
        return f"{count} for {seconds:.2f} s"

    def _cut(self, fault: Fault) -> str:
        self._proxy.cut()
        return "all connections"

    def _refused(self, fault: Fault) -> str:
        seconds = _between(0.05, LONGEST_OUTAGE, fault)
        self._proxy.refuse()
        self._after(seconds, self._proxy.heal)
        return f"for {seconds:.2f} s"

    def _ignored(self, fault: Fault) -> str:
        seconds = _between(0.05, LONGEST_OUTAGE, fault)
        self._proxy.ignore()
        self._after(seconds, self._proxy.heal)
        return f"for {seconds:.2f} s"


def _one_of(candidates: Sequence[T], fault: Fault) -> T | None:
    return candidates[int(fault.target * len(candidates))] if candidates else None


def _between(least: float, most: float, fault: Fault) -> float:
    return least + fault.strength * (most - least)
