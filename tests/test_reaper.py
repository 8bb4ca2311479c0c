"""Whom a reaper takes for dead, and how it goes about it; with a real ledger, and Redis behind it."""

from __future__ import annotations

import logging
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_resque.conf import config
from django_resque.store import Look, Process, store
from django_resque.worker import machine
from django_resque.worker.ledger import Ledger
from django_resque.worker.reaper import AGAIN, Reaper
from django_resque.worker.tally import Tally

from .processes_in_redis import IDENTITY, TurnTaker
from .proxy import Proxy
from .servers import RedisServer

LEASE, BEAT = 30, 5


class Loop:
    """A dispatcher's loop with nothing in it but the ledger."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.ledger = Ledger(store(), self.selector, performers=1, queues="default")
        self.registrations = 0
        self.register()

    def register(self) -> None:
        self.ledger.register(self._registered)
        self.go_on(lambda: self.ledger.registered)

    def _registered(self) -> None:
        self.registrations += 1

    def tick(self) -> None:
        for key, _ in self.selector.select(0.05):
            assert key.data is self.ledger
            self.ledger.progress()
        self.ledger.tick(time.monotonic())

    def go_on(self, until: Callable[[], object], timeout: float = 10) -> None:
        """Turn until that is true."""
        deadline = time.monotonic() + timeout
        while not until():
            assert time.monotonic() < deadline, "nothing has come of it"
            self.tick()

    def reap(self, reaper: Reaper) -> None:
        """Let it do all that it has to do."""
        while reaper.has_work:
            self.go_on(lambda: self.ledger.free)
            reaper.work()
            self.go_on(lambda: self.ledger.free)

    def close(self) -> None:
        self.ledger.close()
        self.selector.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def reaper(loop: Loop) -> Reaper:
    return Reaper(loop.ledger, config(), Tally())


@pytest.fixture
def dead() -> Iterator[TurnTaker]:
    """A process of this machine that has ended, and holds jobs."""
    with subprocess.Popen(["sleep", "600"]) as process:
        place, _, _ = machine.identity().rsplit("/", 2)
        identity = f"{place}/{process.pid}/{machine.start_time(process.pid)}"
        process.kill()
    taker = TurnTaker(identity=identity)
    taker.reserve("a", "b")
    yield taker
    taker.close()


def look(*processes: Process, run_id: str = "first") -> Look:
    return Look(processes, run_id, 0, None)


def expired(name: str = "abc123", lease: float = 1000) -> Process:
    return Process(name, "another machine", lease)


class Clocks:
    """Redis' clock and ours, and a reaper that looks once a second."""

    def __init__(self, reaper: Reaper) -> None:
        self.reaper = reaper
        self.redis, self.ours = 5000.0, 100.0

    def pass_by(self, seconds: float, *processes: Process, run_id: str = "first", every: float = 1) -> None:
        """So many seconds pass, in each of which there is a look."""
        for _ in range(round(seconds / every)):
            self.redis += every
            self.ours += every
            self.look(*processes, run_id=run_id)

    def look(self, *processes: Process, run_id: str = "first") -> None:
        self.reaper.look(look(*processes, run_id=run_id), self.redis, self.ours)


@pytest.fixture
def clocks(reaper: Reaper) -> Clocks:
    return Clocks(reaper)


# -- leases ------------------------------------------------------------------------------------------------------------


def test_a_lease_that_has_ended_says_nothing_before_a_lease_of_being_in_touch(clocks, reaper):
    clocks.look(expired())
    clocks.pass_by(LEASE - 1, expired())
    assert not reaper.has_work
    clocks.pass_by(1, expired())
    assert reaper.has_work


def test_a_lease_that_has_not_ended_is_a_living_process(clocks, reaper):
    clocks.pass_by(3 * LEASE, expired(lease=5000 + 3 * LEASE + 0.001))
    assert not reaper.has_work
    clocks.pass_by(1, expired(lease=5000 + 3 * LEASE + 0.001))
    assert reaper.has_work


@pytest.mark.parametrize("run_id", ["second", ""])
def test_another_server_has_to_be_known_for_a_lease_first(clocks, reaper, run_id):
    clocks.pass_by(2 * LEASE)
    clocks.pass_by(LEASE, expired(), run_id=run_id)
    assert not reaper.has_work
    clocks.pass_by(1, expired(), run_id=run_id)
    assert reaper.has_work


def test_a_server_that_does_not_tell_its_run_id_is_believed(clocks, reaper):
    clocks.pass_by(LEASE + 1, expired(), run_id="")
    assert reaper.has_work


@pytest.mark.parametrize("step", [-3600, -2.1, 2.1, 3600])
def test_a_clock_that_was_set_makes_leases_mean_nothing_for_a_while(clocks, reaper, step):
    clocks.pass_by(2 * LEASE)
    clocks.redis += step
    clocks.pass_by(LEASE, expired())
    assert not reaper.has_work
    clocks.pass_by(1, expired())
    assert reaper.has_work


@pytest.mark.parametrize("step", [-1.9, 1.9])
def test_an_answer_that_comes_late_is_no_step_of_the_clock(clocks, reaper, step):
    clocks.pass_by(2 * LEASE)
    clocks.redis += step
    clocks.pass_by(1, expired())
    assert reaper.has_work


def test_who_was_out_of_touch_for_longer_than_a_beat_waits_for_a_lease(clocks, reaper):
    clocks.pass_by(2 * LEASE)
    clocks.pass_by(BEAT + 1, every=BEAT + 1)  # one look after so many seconds
    clocks.pass_by(LEASE - 1, expired())
    assert not reaper.has_work
    clocks.pass_by(1, expired())
    assert reaper.has_work


def test_a_gap_of_a_beat_is_no_gap(clocks, reaper):
    clocks.pass_by(2 * LEASE)
    clocks.pass_by(BEAT, expired(), every=BEAT)
    assert reaper.has_work


def test_a_process_that_others_have_declared_dead_is_dealt_with_at_once(clocks, reaper):
    clocks.look(expired(lease=0))
    assert reaper.has_work


def test_nobody_buries_himself(clocks, reaper, loop):
    clocks.pass_by(2 * LEASE, Process(loop.ledger.name, machine.identity(), 0))
    assert not reaper.has_work


def test_a_process_is_left_alone_for_a_while_after_it_was_looked_at(clocks, reaper, loop):
    clocks.look(expired(lease=0))
    loop.reap(reaper)  # which finds nothing: Redis does not know it
    clocks.pass_by(AGAIN - 1, expired(lease=0))
    assert not reaper.has_work
    clocks.pass_by(1, expired(lease=0))
    assert reaper.has_work


def test_one_process_is_buried_once_however_often_it_is_seen(clocks, reaper, loop, clean_redis):
    clocks.pass_by(2 * AGAIN, expired(lease=0), expired("other1", lease=0))
    reaper.work()
    loop.go_on(lambda: loop.ledger.free)
    reaper.work()
    loop.go_on(lambda: loop.ledger.free)
    assert not reaper.has_work


# -- what the machine tells --------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_a_death_on_this_machine_is_acted_on_at_once(clocks, reaper, loop, dead, clean_redis, caplog):
    lease = clean_redis.zscore("resque:django:processes", dead.process.member)
    clocks.look(Process(dead.process.name, dead.process.identity, lease))
    assert not reaper.has_work
    with caplog.at_level(logging.INFO):
        assert reaper.look_around(clocks.ours)
        assert not reaper.look_around(clocks.ours)
        loop.reap(reaper)
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [b"a", b"b"]
    assert clean_redis.zrange("resque:django:processes", 0, -1) == [f"{loop.ledger.name} {machine.identity()}".encode()]
    assert dead.process.name in caplog.text
    assert dead.turn().state == "gone"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_a_process_that_dies_just_after_it_was_found_alive_is_acted_on_at_once(clocks, reaper, loop, dead, clean_redis):
    clocks.pass_by(LEASE + 1, Process(dead.process.name, dead.process.identity, 1))  # it has renewed its lease since
    loop.reap(reaper)
    assert not clean_redis.exists("resque:queue:default")
    clocks.pass_by(1, Process(dead.process.name, dead.process.identity, 9999))
    assert reaper.look_around(clocks.ours)
    loop.reap(reaper)
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [b"a", b"b"]


def test_the_living_and_those_of_other_machines_are_not_dead(clocks, reaper):
    clocks.look(
        Process("alive1", machine.identity(), 9999),
        Process("other1", "a-boot/1/1/1", 9999),
        Process("other2", "elsewhere", 9999),
        Process("other3", "", 9999),
    )
    assert not reaper.look_around(clocks.ours)
    assert not reaper.has_work


def test_a_process_that_has_unregistered_is_not_looked_for_any_more(clocks, reaper, dead):
    clocks.look(Process(dead.process.name, dead.process.identity, 9999))
    clocks.look()
    assert not reaper.look_around(clocks.ours)


# -- the work ----------------------------------------------------------------------------------------------------------


def test_a_process_whose_lease_was_renewed_meanwhile_lives(clocks, reaper, loop, clean_redis):
    process = TurnTaker()
    process.reserve("a")
    clocks.pass_by(LEASE + 1, Process(process.process.name, IDENTITY, 1))
    loop.reap(reaper)
    assert process.turn().state == "ok"
    assert not clean_redis.exists("resque:queue:default")
    process.close()


def test_all_jobs_of_a_process_whose_lease_has_ended_go_back_in_one_go(clocks, reaper, loop, clean_redis):
    process = TurnTaker()
    jobs = [b"%d" % number for number in range(350)]
    for at in range(0, 350, 50):
        process.reserve(*jobs[at : at + 50])
    clean_redis.zadd("resque:django:processes", {process.process.member: 1})
    clocks.pass_by(LEASE + 1, Process(process.process.name, IDENTITY, 1))
    loop.reap(reaper)
    assert clean_redis.lrange("resque:queue:default", 0, -1) == jobs
    assert clean_redis.zscore("resque:django:processes", process.process.member) is None
    process.close()


def test_a_burial_that_redis_refuses_is_tried_again_later(clocks, reaper, loop, dead, clean_redis):
    clean_redis.set("resque:failed", "a string")
    seen = Process(dead.process.name, dead.process.identity, 0)
    clocks.look(seen)
    loop.reap(reaper)
    assert clean_redis.hlen("resque:django:reservations:abc123") == 2
    clean_redis.delete("resque:failed")
    clocks.pass_by(1, seen)
    loop.reap(reaper)
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [b"a", b"b"]
    assert loop.registrations == 1


def test_a_dead_process_that_was_left_half_buried_is_buried_by_another(clocks, reaper, loop, dead, clean_redis):
    first = TurnTaker("reap01", register=False)
    first.condemn(dead)
    first.close()
    seen = Process(dead.process.name, dead.process.identity, 0)
    clocks.look(seen)
    loop.reap(reaper)
    assert clean_redis.hlen("resque:django:reservations:abc123") == 2  # it is the other's for a while
    clean_redis.hset("resque:django:process:abc123", "buried until", 1)
    clocks.pass_by(AGAIN, seen)
    loop.reap(reaper)
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [b"a", b"b"]


# -- a wire that fails -------------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(redis_server: RedisServer, settings: Any) -> Iterator[Proxy]:
    """What stands between `store` and Redis."""
    with Proxy(redis_server.port) as proxy:
        settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": proxy.url}}
        yield proxy
        store().close()


@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("spoil", [Proxy.lose_replies, Proxy.truncate_replies])
def test_a_lost_answer_delays_a_burial_and_doubles_nothing(proxy, loop, reaper, clocks, dead, clean_redis, spoil, lost):
    seen = Process(dead.process.name, dead.process.identity, 0)
    spoil(proxy, lost, to=b"EVAL")
    clean_redis.zadd("resque:django:processes", {dead.process.member: 0})
    for _ in range(lost + 1):
        clocks.pass_by(1, seen)  # it is not left alone for longer than that
        loop.reap(reaper)
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [b"a", b"b"]
    assert clean_redis.zscore("resque:django:processes", dead.process.member) is None


def test_a_connection_that_the_server_closed_costs_no_time(proxy, loop):
    """Its successor has the same number, and has to be watched all the same."""
    answers: list[object] = []
    for count in range(1, 6):
        proxy.cut()
        before = time.monotonic()
        loop.ledger.turn({}, lambda turn, answer: answers.append(answer))
        loop.go_on(lambda: len(answers) == count)  # noqa: B023  called at once
        assert time.monotonic() - before < 3  # and not after the time in which an answer is waited for
