"""The start of jobs that must ask before they begin: keys of uniqueness, permits, expiry, and who waits for whom."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from django_resque.store import Bequest, Entry, Reserved, store

from .processes_in_redis import WORKER, TurnTaker, full, guard, state

PERMITS, PARKED, PARKING = "resque:django:permits:smtp", "resque:django:parked:smtp", "resque:django:parking"


@pytest.fixture
def process() -> Iterator[TurnTaker]:
    process = TurnTaker()
    yield process
    process.close()


def start(reserved: Reserved, *, status_id: str = "1", **asked: Any) -> Entry:
    """The start of a job that asks for this, with a status of its own for each way it may go."""
    return Entry("start", WORKER, reserved.token, status_id, b"expired", b"parked", guard(**asked))


def end(kind: str, reserved: Reserved) -> Entry:
    """The end of a job that had a permit under ``smtp``."""
    told = {"done": (b"done", b"", b"smtp"), "retry": (b"60", b"scheduled", b"again")}
    return Entry(kind, WORKER, reserved.token, "1", *told.get(kind, (b"failed", b"waiting", b"the record")))


def parked(client: Any) -> list[bytes]:
    """The payloads that wait for a permit, in their order."""
    return [element.partition(b"\n")[2] for element in client.lrange(PARKED, 0, -1)]


# -- a key of uniqueness -----------------------------------------------------------------------------------------------


def test_a_job_that_starts_lets_go_of_its_key(process, clean_redis):
    (reserved,) = process.reserve("a")
    clean_redis.set("resque:django:unique:k", "1")
    answer = process.turn(start(reserved, unique="k"))
    assert (answer.kept, answer.refused) == ([], [])
    assert not clean_redis.exists("resque:django:unique:k")
    assert clean_redis.hgetall("resque:django:reservations:abc123") == {b"1.1": b"default\t\t\tk 1 60\na"}


@pytest.mark.parametrize("kind", ["given back", "interrupted", "crashed"])
def test_a_job_that_has_to_wait_again_has_its_key_again(process, clean_redis, kind):
    (reserved,) = process.reserve("a")
    clean_redis.set("resque:django:unique:k", "1")
    process.turn(start(reserved, unique="k"))
    assert process.turn(end(kind, reserved)).refused == []
    assert clean_redis.get("resque:django:unique:k") == b"1"
    assert 0 < clean_redis.ttl("resque:django:unique:k") <= 60


def test_a_job_that_has_to_wait_again_leaves_the_key_to_another(process, clean_redis):
    (reserved,) = process.reserve("a")
    process.turn(start(reserved, unique="k"))
    clean_redis.set("resque:django:unique:k", "another")
    process.turn(end("given back", reserved))
    assert clean_redis.get("resque:django:unique:k") == b"another"


def test_the_key_of_another_job_stays(process, clean_redis):
    (reserved,) = process.reserve("a")
    clean_redis.set("resque:django:unique:k", "of another")
    assert process.turn(start(reserved, unique="k")).kept == []
    assert clean_redis.get("resque:django:unique:k") == b"of another"


def test_a_key_that_has_become_something_else_keeps_no_job_from_starting(process, clean_redis):
    (reserved,) = process.reserve("a")
    clean_redis.rpush("resque:django:unique:k", "a list")
    answer = process.turn(start(reserved, unique="k"))
    assert answer.kept == []
    assert "WRONGTYPE" in answer.trouble[0]


def test_a_job_that_waits_for_a_permit_keeps_its_key(process, clean_redis):
    first, second = process.reserve("a", "b")
    clean_redis.set("resque:django:unique:k", "1")
    assert process.turn(start(first, key="smtp"), start(second, key="smtp", unique="k")).kept == [second.token]
    assert clean_redis.get("resque:django:unique:k") == b"1"


# -- an expiry ---------------------------------------------------------------------------------------------------------


def test_a_job_that_has_expired_ends_without_a_failure(process, clean_redis):
    (reserved,) = process.reserve("a")
    clean_redis.set("resque:django:unique:k", "1")
    clean_redis.set("resque:job:1:status", "waiting")
    clean_redis.delete("resque:queues")
    entry = start(reserved, unique="k", key="smtp", once=True, expires=clean_redis.time()[0])
    for take in (process.turn, process.again):
        answer = take(entry)
        assert (answer.kept, answer.refused) == ([reserved.token], [])
    found = state(clean_redis)
    assert {key: found[key] for key in found if key.startswith(("stat:", "django:re", "job:", "failed", "queue"))} == {
        "stat:processed": b"1",
        "job:1:status": b"expired",
        "django:recent": [b"expired"],
    }
    assert 24 * 3600 - 5 < clean_redis.ttl("resque:job:1:status") <= 24 * 3600
    assert not clean_redis.exists(PERMITS, "resque:django:unique:k")


def test_a_job_that_has_not_expired_yet_starts(process, clean_redis):
    (reserved,) = process.reserve("a")
    assert process.turn(start(reserved, expires=f"{clean_redis.time()[0] + 60}.000000")).kept == []


def test_who_waits_for_an_end_is_told_of_an_expiry(process, clean_redis):
    (reserved,) = process.reserve("a")
    clean_redis.set("resque:django:waited", 1)
    with clean_redis.pubsub() as ended:
        ended.subscribe("resque:django:ended:1")
        assert ended.get_message(timeout=5)["type"] == "subscribe"
        process.turn(start(reserved, expires=1))
        assert ended.get_message(timeout=5)["data"] == b"expired"


# -- permits -----------------------------------------------------------------------------------------------------------


def test_so_many_jobs_start_and_the_others_wait_parked_without_a_reservation(process, clean_redis):
    jobs = process.reserve("a", "b", "c", "d", queue="mail")
    for number in range(4):
        clean_redis.set(f"resque:job:{number}:status", "waiting", ex=1000)
    entries = [start(job, key="smtp", most=2, status_id=str(number)) for number, job in enumerate(jobs)]
    before = None
    for take in (process.turn, process.again, process.again):
        answer = take(*entries)
        assert answer.kept == [jobs[2].token, jobs[3].token]
        assert answer.refused == answer.trouble == []
        assert before in (None, state(clean_redis))
        before = state(clean_redis)
    assert set(clean_redis.hkeys(PERMITS)) == {b"abc123.1.1", b"abc123.1.2"}
    assert clean_redis.lrange(PARKED, 0, -1) == [b"mail\nc", b"mail\nd"]
    assert set(clean_redis.smembers(PARKING)) == {b"smtp"}
    assert clean_redis.hgetall("resque:django:reservations:abc123") == {
        b"1.1": b"mail\t\tsmtp\t\na",
        b"1.2": b"mail\t\tsmtp\t\nb",
    }
    assert [clean_redis.get(f"resque:job:{number}:status") for number in range(4)] == 2 * [b"waiting"] + 2 * [b"parked"]
    assert 990 < clean_redis.ttl("resque:job:3:status") <= 1000
    assert clean_redis.get("resque:stat:processed") is None


def test_keys_do_not_hinder_each_other(process):
    first, second = process.reserve("a", "b")
    assert process.turn(start(first, key="smtp"), start(second, key="ldap")).kept == []


def test_a_job_that_must_not_begin_twice_and_needs_a_permit_has_both(process, clean_redis):
    (reserved,) = process.reserve("a")
    process.turn(start(reserved, key="smtp", once=True))
    assert clean_redis.hvals("resque:django:reservations:abc123") == [f"default\t{WORKER}\tsmtp\t\na".encode()]
    assert process.turn(end("done", reserved)).refused == []
    assert not clean_redis.exists(PERMITS)


@pytest.mark.parametrize("kind", ["done", "failed", "retry"])
def test_a_permit_is_free_when_its_job_ends_and_the_next_goes_back_to_its_queue(process, clean_redis, kind):
    first, *_others = jobs = process.reserve("a", "b", "c", queue="mail")
    process.turn(*[start(job, key="smtp") for job in jobs])
    with clean_redis.pubsub() as bell:
        bell.subscribe("resque:django:bell")
        assert bell.get_message(timeout=5)["type"] == "subscribe"
        assert process.turn(end(kind, first)).refused == []
        assert bell.get_message(timeout=5)["data"] == b"mail"
    process.again(end(kind, first))
    assert clean_redis.lrange("resque:queue:mail", 0, -1) == [b"b"]
    assert set(clean_redis.smembers("resque:queues")) == {b"mail"}
    assert parked(clean_redis) == [b"c"]
    assert not clean_redis.exists(PERMITS)


@pytest.mark.parametrize("kind", ["crashed", "interrupted", "given back"])
def test_a_job_that_goes_back_gives_its_permit_back_and_is_the_next_to_have_one(process, clean_redis, kind):
    first, second = process.reserve("a", "b")
    process.turn(start(first, key="smtp"), start(second, key="smtp"))
    process.turn(end(kind, first))
    assert not clean_redis.exists(PERMITS)
    assert clean_redis.lindex("resque:queue:default", 0) == b"a"
    (again,) = process.turn(wanted=1).jobs
    assert again.payload == b"a"
    assert process.turn(start(again, key="smtp")).kept == []
    process.turn(end("done", again))
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [b"b"]
    assert parked(clean_redis) == []


def test_the_last_crash_frees_the_permit_too(process, clean_redis):
    process.reserve("b")
    (first,) = process.reserve("a")
    for _ in range(3):
        process.turn(start(first, key="smtp"))
        process.turn(end("crashed", first))
        (first,) = process.turn(wanted=1).jobs or [first]
    assert clean_redis.llen("resque:failed") == 1
    assert not clean_redis.exists(PERMITS)


def test_all_jobs_are_performed_one_after_another_in_their_order(process, clean_redis):
    """Those that wait longest come first, also before others that come to the queue meanwhile."""
    payloads = [b"%d" % number for number in range(12)]
    clean_redis.rpush("resque:queue:default", *payloads[:8])
    performed, running = [], []
    while jobs := process.turn(wanted=5).jobs:
        kept = process.turn(*[start(job, key="smtp", most=2) for job in jobs]).kept
        running += [job for job in jobs if job.token not in kept]
        assert len(running) <= 2
        assert clean_redis.hlen(PERMITS) == len(running)
        if len(performed) == 2:
            clean_redis.rpush("resque:queue:default", *payloads[8:])
        ended, running = running[:1], running[1:]
        performed += [job.payload for job in ended]
        process.turn(*[end("done", job) for job in ended])
    while running:
        ended, running = running[:1], running[1:]
        performed += [job.payload for job in ended]
        process.turn(end("done", ended[0]))
    assert performed == payloads
    assert clean_redis.exists(PERMITS, PARKED) == 0


def test_a_worker_that_dies_gives_its_permits_back(process, clean_redis):
    dead = TurnTaker("xyz789", identity="elsewhere")
    held = dead.reserve("a", "b", "c")
    dead.turn(*[start(job, key="smtp", most=3) for job in held])
    (waits,) = process.reserve("d")
    assert process.turn(start(waits, key="smtp", most=3)).kept == [waits.token]
    remains = process.condemn(dead)
    acts = ["requeue", "fail", "drop"]
    assert {reserved.payload for reserved, _worker in remains.held} == {b"a", b"b", b"c"}
    bequests = [
        Bequest(act, reserved.token, "1", b"failed", b"waiting", b"a record")
        for act, (reserved, _worker) in zip(acts, remains.held, strict=True)
    ]
    for left in (0, 0):
        burial = process.ask(process.reservations.bury(dead.process, remains.workers, bequests))
        assert (burial.left, burial.trouble) == (left, [])
    dead.close()
    assert not clean_redis.exists(PERMITS)
    assert parked(clean_redis) == []
    assert b"d" in clean_redis.lrange("resque:queue:default", 0, -1)
    assert clean_redis.lrange("resque:django:recent", 0, -1) == [b"failed", b"failed"]  # the dropped one is one, too


def test_a_process_that_is_gone_takes_no_permit(process, clean_redis):
    (reserved,) = process.reserve("a")
    clean_redis.hdel("resque:django:reservations:abc123", reserved.token)
    answer = process.turn(start(reserved, key="smtp"))
    assert (answer.refused, answer.kept) == ([reserved.token], [])
    assert not clean_redis.exists(PERMITS)


# -- a server that is full, keys that others have broken ---------------------------------------------------------------


def test_permits_are_given_and_freed_when_the_memory_is_full(process, clean_redis):
    jobs = process.reserve("a", "b", "c")
    with full(clean_redis):
        answer = process.turn(*[start(job, key="smtp", once=True) for job in jobs])
        assert (answer.kept, answer.trouble) == ([jobs[1].token, jobs[2].token], [])
        assert process.turn(end("done", jobs[0])).trouble == []
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [b"b"]
    assert parked(clean_redis) == [b"c"]


@pytest.mark.parametrize("key", [PERMITS, PARKED])
def test_a_key_of_the_wrong_type_keeps_no_job_from_being_performed(process, clean_redis, key):
    jobs = process.reserve("a", "b")
    clean_redis.set(key, "a string")
    entries = [start(job, key="smtp") for job in jobs]
    answer = process.turn(*entries)
    assert (answer.kept, answer.refused) == ([], [])
    assert "WRONGTYPE" in answer.trouble[0]
    answer = process.turn(*[end("done", job) for job in jobs])
    assert answer.refused == []
    assert clean_redis.get("resque:stat:processed") == b"2"
    assert not clean_redis.exists("resque:django:reservations:abc123")


def test_a_job_whose_queue_has_become_something_else_stays_parked_and_the_others_of_the_turn_go_on(
    process, clean_redis
):
    first, second = process.reserve("a", "b", queue="mail")
    process.turn(start(first, key="smtp"), start(second, key="smtp"))
    clean_redis.set("resque:queue:mail", "a string")
    answer = process.turn(end("done", first))
    assert "WRONGTYPE" in answer.trouble[0]
    assert parked(clean_redis) == [b"b"]
    assert set(clean_redis.smembers(PARKING)) == {b"smtp"}


def test_every_way_to_end_gives_a_permit_to_the_next(process, clean_redis):
    """However a permit is freed, the number of jobs that run never passes the limit, and none is left behind."""
    clean_redis.rpush("resque:queue:default", *range(40))
    ways = itertools.cycle(["done", "given back", "failed", "interrupted", "retry"])
    running: list[Reserved] = []
    for _ in range(1000):
        jobs = process.turn(wanted=3).jobs
        kept = process.turn(*[start(job, key="smtp", most=2) for job in jobs]).kept
        running += [job for job in jobs if job.token not in kept]
        assert len(running) <= 2
        assert clean_redis.hlen(PERMITS) == len(running)
        if not running:
            break
        process.turn(end(next(ways), running.pop(0)))
    counters = store().stats.counters()
    assert counters.processed + clean_redis.zcard("resque:django:retries") == 40
    assert clean_redis.exists(PERMITS, PARKED, "resque:queue:default", "resque:django:reservations:abc123") == 0
