"""Jobs that wait for a permit: who is the next, and what mends permits and jobs that were forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from django_resque.store import Entry, Reserved, store
from django_resque.store.parked import Mended

from .processes_in_redis import TurnTaker, guard

PERMITS, PARKED, PARKING = "resque:django:permits:smtp", "resque:django:parked:smtp", "resque:django:parking"
UNPARKED = "resque:django:unparked:smtp"


@pytest.fixture
def process() -> Iterator[TurnTaker]:
    process = TurnTaker()
    yield process
    process.close()


@pytest.fixture
def other() -> Iterator[TurnTaker]:
    process = TurnTaker("xyz789", identity="elsewhere")
    yield process
    process.close()


def start(reserved: Reserved, **asked: Any) -> Entry:
    return Entry("start", "", reserved.token, "1", b"expired", b"parked", guard(**{"key": "smtp", **asked}))


def done(reserved: Reserved) -> Entry:
    return Entry("done", "", reserved.token, "1", b"done", b"", b"smtp")


def parked(client: Any) -> list[bytes]:
    """The payloads that wait for a permit, in their order."""
    return [element.partition(b"\n")[2] for element in client.lrange(PARKED, 0, -1)]


def mend() -> Mended:
    return store().ask(store().parked.mend())


# -- who is the next ---------------------------------------------------------------------------------------------------


def test_who_is_overtaken_on_the_way_to_a_permit_is_the_first_to_wait_for_the_next(process, other, clean_redis):
    jobs = process.reserve("a", "b", "c")
    process.turn(*[start(job) for job in jobs])
    (newcomer,) = other.reserve("new")
    process.turn(done(jobs[0]))
    assert other.turn(start(newcomer)).kept == []
    (b,) = process.turn(wanted=1).jobs
    assert b.payload == b"b"
    assert process.turn(start(b)).kept == [b.token]
    assert parked(clean_redis) == [b"b", b"c"]
    other.turn(done(newcomer))
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [b"b"]
    assert 0 < clean_redis.ttl(UNPARKED) <= 60


def test_one_that_has_expired_on_the_way_lets_the_next_go_on(process, clean_redis):
    jobs = process.reserve("a", "b", "c")
    process.turn(*[start(job) for job in jobs])
    process.turn(done(jobs[0]))
    (b,) = process.turn(wanted=1).jobs
    for take in (process.turn, process.again):
        assert take(start(b, expires=1)).kept == [b.token]
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [b"c"]
    (c,) = process.turn(wanted=1).jobs
    assert process.turn(start(c)).kept == []
    process.turn(done(c))
    assert clean_redis.exists(PERMITS, PARKED, PARKING, UNPARKED) == 0


def test_where_more_may_run_than_do_two_go_on(process, clean_redis):
    jobs = process.reserve("a", "b", "c", "d", "e", "f")
    process.turn(*[start(job, most=3) for job in jobs])
    process.turn(done(jobs[0]), done(jobs[1]))
    clean_redis.delete("resque:queue:default", UNPARKED)  # somebody has taken them out of their queue on the way
    clean_redis.rpush(PARKED, b"default\ng", b"default\nh")
    process.turn(done(jobs[2]))
    assert sorted(clean_redis.lrange("resque:queue:default", 0, -1)) == [b"f", b"g"]
    assert parked(clean_redis) == [b"h"]


# -- mending -----------------------------------------------------------------------------------------------------------


def test_there_is_nothing_to_mend_where_all_is_well(process, clean_redis):
    jobs = process.reserve("a", "b", "c")
    process.turn(*[start(job, most=2) for job in jobs])
    assert mend() == Mended(0, 0, [])
    assert parked(clean_redis) == [b"c"]
    process.turn(done(jobs[0]))  # which lets c go on
    assert mend() == Mended(0, 0, [])


def test_a_permit_without_a_reservation_is_freed_and_the_next_goes_on(process, clean_redis):
    held, waiting = process.reserve("a", "b", queue="mail")
    process.turn(start(held), start(waiting))
    clean_redis.hdel("resque:django:reservations:abc123", held.token)
    with clean_redis.pubsub() as bell:
        bell.subscribe("resque:django:bell")
        assert bell.get_message(timeout=5)["type"] == "subscribe"
        assert mend() == Mended(1, 1, [])
        assert bell.get_message(timeout=5)["data"] == b"mail"
    assert clean_redis.lrange("resque:queue:mail", 0, -1) == [b"b"]
    assert not clean_redis.exists(PERMITS, PARKED, PARKING)
    assert mend() == Mended(0, 0, [])


@pytest.mark.parametrize("permit", ["zzzzzz.1.1", "nonsense", ""])
def test_a_permit_of_nobody_is_freed(clean_redis, permit):
    clean_redis.hset(PERMITS, permit, 1)
    clean_redis.sadd(PARKING, "smtp")
    assert mend() == Mended(1, 0, [])
    assert not clean_redis.exists(PERMITS, PARKING)


def test_jobs_that_wait_although_nobody_holds_a_permit_go_on_one_at_a_time(clean_redis):
    clean_redis.rpush(PARKED, *[b"mail\n%d" % number for number in range(3)])
    clean_redis.sadd(PARKING, "smtp")
    assert mend() == Mended(0, 1, [])
    assert mend() == Mended(0, 0, [])  # that one is on its way
    clean_redis.delete(UNPARKED)
    assert mend() == Mended(0, 1, [])
    assert parked(clean_redis) == [b"2"]


def test_where_permits_are_left_the_others_go_on_too(process, clean_redis):
    jobs = process.reserve("a", "b")
    process.turn(*[start(job, most=4) for job in jobs])
    clean_redis.rpush(PARKED, *[b"mail\n%d" % number for number in range(3)])
    clean_redis.sadd(PARKING, "smtp")
    assert mend() == Mended(0, 2, [])
    assert parked(clean_redis) == [b"2"]


def test_what_others_have_broken_is_told_and_keeps_nobody_else_waiting(clean_redis):
    clean_redis.rpush(PARKED, b"broken\na", b"mail\nb")
    clean_redis.set("resque:queue:broken", "a string")
    clean_redis.set("resque:django:permits:other", "a string")
    clean_redis.set("resque:django:parked:other", "a string")
    clean_redis.sadd(PARKING, "smtp", "other")
    mended = mend()
    assert (mended.freed, mended.unparked) == (0, 0)
    assert any("WRONGTYPE" in message and "queue:broken" in message for message in mended.trouble)
    assert parked(clean_redis) == [b"b", b"a"]
    assert mend().unparked == 1
    assert clean_redis.lrange("resque:queue:mail", 0, -1) == [b"b"]
