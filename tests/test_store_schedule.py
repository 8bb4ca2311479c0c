"""The schedule in Redis: changes, and slots that have their jobs once."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import redis

from django_resque.errors import StoreError
from django_resque.job import Job
from django_resque.status import Status, status_record
from django_resque.store import Fired, LastJob, Missed, Outgoing, Timetable, store
from django_resque.store.schedule import FORGET_AFTER, MOST_ENTRIES, seen_as

SLOT = 1_790_000_000
DIGEST, OTHER = "a" * 40, "b" * 40


def load(*known: str) -> Timetable:
    return store().ask(store().schedule.load(known))


def put(name: str = "nightly", entry: bytes = b"{}", digest: str = DIGEST, instead_of: bytes = b"") -> str:
    request = store().schedule.put(name, entry, digest, instead_of=instead_of, new_slots=True)
    return store().ask(request)


def outgoing(number: int, queue: str = "default", *, unique: tuple[str, float] | None = None) -> Outgoing:
    job = Job("tidy", (number,), queue=queue)
    return Outgoing(job, job.payload(), track=True, unique=unique)


def fire(
    *slots: tuple[int, Outgoing],
    name: str = "nightly",
    version: int = 0,
    done: int = 0,
    missed: tuple[int, int] | None = None,
) -> Fired:
    return store().ask(store().schedule.fire(name, version, slots, done or slots[-1][0], missed))


def pushed(client: redis.Redis, queue: str = "default") -> list[int]:
    return [json.loads(raw)["args"][0][0] for raw in client.lrange(f"resque:queue:{queue}", 0, -1)]


def now(client: redis.Redis) -> int:
    return client.time()[0]


@pytest.fixture
def rings(clean_redis: redis.Redis) -> Iterator[redis.client.PubSub]:
    with clean_redis.pubsub() as subscription:
        subscription.subscribe("resque:django:bell")
        assert subscription.get_message(timeout=5)["type"] == "subscribe"
        yield subscription


def rung(rings: redis.client.PubSub) -> bytes:
    return rings.get_message(timeout=5)["data"]


# -- changes -----------------------------------------------------------------------------------------------------------


def test_an_empty_schedule_is_one_too(clean_redis):
    timetable = load()
    assert (timetable.version, timetable.entries, timetable.slots, timetable.seen) == (0, {}, {}, {})
    assert (timetable.left_out, timetable.paused) == (0, frozenset())
    assert abs(timetable.time - now(clean_redis)) < 5
    assert clean_redis.keys() == []


def test_an_entry_that_is_added_begins_now(clean_redis, rings):
    before = now(clean_redis)
    assert put(entry=b'{"a":1}') == "done"
    assert rung(rings) == b":schedule"
    timetable = load()
    assert timetable.version == 1
    assert timetable.entries == {"nightly": b'{"a":1}'}
    assert before <= timetable.base("nightly", DIGEST) <= timetable.time


def test_an_entry_takes_no_others_place_unasked():
    put(entry=b"first")
    assert put(entry=b"second") == "other"
    assert put(entry=b"second", instead_of=b"not this") == "other"
    assert put("another", entry=b"second", instead_of=b"gone") == "other"
    assert load().version == 1
    assert put(entry=b"second", instead_of=b"first") == "done"
    assert load().entries == {"nightly": b"second"}
    assert load().version == 2


def test_an_entry_that_keeps_its_slots_keeps_what_it_has_missed(clean_redis):
    put(entry=b"first")
    clean_redis.hset("resque:django:schedule:seen", f"nightly {DIGEST}", "1000 1000")
    store().ask(store().schedule.put("nightly", b"second", DIGEST, instead_of=b"first", new_slots=False))
    assert load().base("nightly", DIGEST) == 1000
    assert put(entry=b"third", instead_of=b"second") == "done"
    assert load().base("nightly", DIGEST) > 1000


def test_there_are_so_many_entries_and_no_more(clean_redis):
    clean_redis.hset("resque:django:schedule", mapping={f"n{number}": "{}" for number in range(MOST_ENTRIES)})
    assert put() == "full"
    assert len(load().entries) == MOST_ENTRIES
    assert put("n1", b"new", instead_of=b"{}") == "done"
    clean_redis.hset("resque:django:schedule", "by hand", "{}")
    assert (load().entries, load().left_out) == ({}, MOST_ENTRIES + 1)


def test_deleting_an_entry_leaves_nothing_of_it(clean_redis, rings):
    put()
    put("nightly b")
    put(entry=b"other", digest=OTHER, instead_of=b"{}")
    store().ask(store().schedule.pause("nightly"))
    for key in ("slots", "jobs", "missed"):
        clean_redis.hset(f"resque:django:schedule:{key}", "nightly", SLOT)
    assert store().ask(store().schedule.delete("nightly")) is True
    assert clean_redis.exists("resque:django:schedule:jobs", "resque:django:schedule:missed") == 0
    assert store().ask(store().schedule.delete("nightly")) is False
    timetable = load()
    assert set(timetable.entries) == {"nightly b"}
    assert (timetable.slots, timetable.paused, timetable.version) == ({}, frozenset(), 5)
    assert list(timetable.seen) == [seen_as("nightly b", DIGEST)]


def test_pausing_and_resuming_say_whether_they_have_changed_anything(clean_redis, rings):
    schedule = store().schedule
    clean_redis.hset("resque:django:schedule:slots", "nightly", 1000)
    assert [store().ask(schedule.pause("nightly")) for _ in range(2)] == [True, False]
    assert load().paused == {"nightly"}
    before = now(clean_redis)
    assert [store().ask(schedule.resume("nightly")) for _ in range(2)] == [True, False]
    timetable = load("nightly " + DIGEST)
    assert (timetable.paused, timetable.version) == (frozenset(), 2)
    assert before <= timetable.slots["nightly"] <= now(clean_redis)
    assert [rung(rings), rung(rings)] == [b":schedule"] * 2


@pytest.mark.parametrize("key", ["schedule", "schedule:slots", "schedule:seen", "schedule:paused", "schedule:version"])
def test_a_key_of_the_wrong_type_is_an_error_and_nothing_has_changed(clean_redis, key: str):
    put()
    store().ask(store().schedule.pause("nightly"))
    clean_redis.delete(f"resque:django:{key}")
    if key == "schedule:version":
        clean_redis.set(f"resque:django:{key}", "much")
    else:
        clean_redis.set(f"resque:django:{key}", "text")
    schedule = store().schedule
    refused = 0
    for request in (
        schedule.put("nightly", b"new", OTHER, instead_of=b"{}", new_slots=True),
        schedule.delete("nightly"),
        schedule.resume("nightly"),
        schedule.pause("another"),
    ):
        before = {name: clean_redis.dump(name) for name in clean_redis.keys()}
        try:
            store().ask(request)
        except StoreError:
            refused += 1
            assert {name: clean_redis.dump(name) for name in clean_redis.keys()} == before
    assert refused


# -- since when --------------------------------------------------------------------------------------------------------


def test_an_entry_of_the_settings_begins_when_the_first_scheduler_has_it(clean_redis):
    clean_redis.hset("resque:django:schedule:seen", seen_as("nightly", DIGEST), f"1000 {now(clean_redis)}")
    timetable = load(seen_as("nightly", DIGEST), seen_as("nightly", OTHER), seen_as("a b", DIGEST))
    assert timetable.base("nightly", DIGEST) == 1000
    assert abs(timetable.base("nightly", OTHER) - timetable.time) <= 1
    assert abs(timetable.base("a b", DIGEST) - timetable.time) <= 1
    assert load(seen_as("nightly", DIGEST)).seen == timetable.seen


def test_an_entry_that_comes_back_after_another_of_its_name_begins_anew(clean_redis):
    time = now(clean_redis)
    seen = {seen_as("nightly", DIGEST): f"1000 {time - 700}", seen_as("nightly", OTHER): f"{time - 700} {time - 5}"}
    clean_redis.hset("resque:django:schedule:seen", mapping=seen)
    assert load(seen_as("nightly", DIGEST)).base("nightly", DIGEST) >= time


def test_while_two_deployments_run_each_keeps_its_entry(clean_redis):
    time = now(clean_redis)
    seen = {seen_as("nightly", DIGEST): f"1000 {time - 100}", seen_as("nightly", OTHER): f"2000 {time - 5}"}
    clean_redis.hset("resque:django:schedule:seen", mapping=seen)
    timetable = load(seen_as("nightly", DIGEST))
    assert (timetable.base("nightly", DIGEST), timetable.base("nightly", OTHER)) == (1000, 2000)


def test_after_a_long_time_without_any_scheduler_nothing_is_forgotten(clean_redis):
    clean_redis.hset("resque:django:schedule:seen", seen_as("nightly", DIGEST), "1000 2000")
    clean_redis.hset("resque:django:schedule:slots", "nightly", 1500)
    assert load(seen_as("nightly", DIGEST)).base("nightly", DIGEST) == 1500


def test_what_is_known_of_entries_that_are_gone_is_forgotten_after_a_while(clean_redis):
    time = now(clean_redis)
    seen = {
        seen_as("long gone", DIGEST): f"1000 {time - FORGET_AFTER - 10}",
        seen_as("just gone", DIGEST): f"1000 {time - FORGET_AFTER + 100}",
    }
    clean_redis.hset("resque:django:schedule:seen", mapping=seen)
    for key in ("slots", "jobs", "missed"):
        clean_redis.hset(f"resque:django:schedule:{key}", mapping={"long gone": 5, "just gone": 6, "never seen": 7})
    store().ask(store().schedule.load())  # one who only reads forgets nothing
    assert clean_redis.hlen("resque:django:schedule:slots") == 3
    load()
    for key in ("slots", "jobs", "missed"):
        assert clean_redis.hgetall(f"resque:django:schedule:{key}") == {b"just gone": b"6"}
    assert clean_redis.hkeys("resque:django:schedule:seen") == [seen_as("just gone", DIGEST).encode()]


def test_what_a_clock_that_was_ahead_has_left_is_put_right(clean_redis):
    ahead = now(clean_redis) + 10_000
    clean_redis.hset("resque:django:schedule:seen", seen_as("nightly", DIGEST), f"{ahead} {ahead}")
    assert load(seen_as("nightly", DIGEST)).base("nightly", DIGEST) < ahead


@pytest.mark.parametrize("value", ["", "text", "1 2 3", "1e400", "9" * 40])
def test_garbage_is_passed_over(clean_redis, value: str):
    clean_redis.hset("resque:django:schedule:slots", "nightly", value)
    clean_redis.hset("resque:django:schedule:seen", seen_as("nightly", DIGEST), value)
    clean_redis.hset("resque:django:schedule:seen", "short", value)
    clean_redis.set("resque:django:schedule:version", value)
    timetable = load(seen_as("nightly", DIGEST))
    assert abs(timetable.base("nightly", DIGEST) - timetable.time) <= 1


# -- slots -------------------------------------------------------------------------------------------------------------


def test_a_slot_has_its_job_status_queue_and_ring(clean_redis, rings):
    item = outgoing(1, "mail")
    assert fire((1000, item)) == Fired(False, True, 1000, (True,), "")
    assert clean_redis.lrange("resque:queue:mail", 0, -1) == [item.payload]
    assert set(clean_redis.smembers("resque:queues")) == {b"mail"}
    assert json.loads(clean_redis.get(f"resque:job:{item.job.id}:status"))["status"] == 1
    assert clean_redis.ttl(f"resque:job:{item.job.id}:status") > 6 * 24 * 3600
    assert clean_redis.hgetall("resque:django:schedule:slots") == {b"nightly": b"1000"}
    assert rung(rings) == b"mail"
    fire((2000, outgoing(2, "mail")), (3000, outgoing(3)))
    assert rung(rings) == b"default"  # mail was not empty


def test_a_slot_has_its_job_once_however_often_it_is_asked_for(clean_redis):
    request = store().schedule.fire("nightly", 0, [(1000, outgoing(1)), (2000, outgoing(2))], 2000)
    assert store().ask(request) == Fired(False, True, 2000, (True, True), "")
    assert store().ask(request) == Fired(False, False, 2000, (False, False), "")
    assert fire((1500, outgoing(3)), (2000, outgoing(4)), (2001, outgoing(5))).enqueued == (False, False, True)
    assert fire((2001, outgoing(6)), name="another").enqueued == (True,)
    assert pushed(clean_redis) == [1, 2, 5, 6]


def test_slots_can_be_done_with_without_a_job(clean_redis):
    assert fire(done=1000) == Fired(False, True, 1000, (), "")
    assert fire(done=900) == Fired(False, False, 1000, (), "")
    assert fire((1000, outgoing(1))).enqueued == (False,)
    assert pushed(clean_redis) == []


def test_a_slot_is_never_early_whatever_the_caller_thinks_of_the_time(clean_redis):
    ahead = now(clean_redis) + 100
    fired = fire((1000, outgoing(1)), (ahead, outgoing(2)), done=ahead)
    assert (fired.enqueued, fired.done) == ((True, False), 1000)
    assert pushed(clean_redis) == [1]


def test_another_schedule_than_the_one_that_was_read_enqueues_nothing(clean_redis):
    put()
    assert fire((1000, outgoing(1))).changed
    assert clean_redis.hlen("resque:django:schedule:slots") == 0
    assert fire((1000, outgoing(1)), version=1).enqueued == (True,)
    store().ask(store().schedule.pause("nightly"))
    assert fire((2000, outgoing(2)), version=1).changed
    assert pushed(clean_redis) == [1]


def test_a_queue_of_the_wrong_type_holds_up_its_own_slots_alone(clean_redis):
    clean_redis.set("resque:queue:mail", "text")
    fired = fire((1000, outgoing(1)), (2000, outgoing(2, "mail")), (3000, outgoing(3)))
    assert (fired.enqueued, fired.done) == ((True, False), 1000)
    assert "WRONGTYPE resque:queue:mail is a string and not a list" in fired.trouble
    assert fire((2000, outgoing(4)), name="another").enqueued == (True,)
    clean_redis.delete("resque:queue:mail")
    assert fire((2000, outgoing(2, "mail")), (3000, outgoing(3))).enqueued == (True, True)
    clean_redis.delete("resque:queues")
    clean_redis.set("resque:queues", "text")
    assert "resque:queues" in fire((4000, outgoing(5))).trouble


def test_a_unique_job_that_still_waits_stands_for_the_next(clean_redis):
    first, second = (outgoing(number, unique=("tidy", 100)) for number in (1, 2))
    assert fire((1000, first), (2000, second)) == Fired(False, True, 2000, (True, False), "")
    assert clean_redis.get("resque:django:unique:tidy") == first.job.id.encode()
    assert pushed(clean_redis) == [1]


def test_a_full_redis_refuses_and_the_slot_is_left_for_later(clean_redis):
    clean_redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreError):
            fire((1000, outgoing(1)))
        assert load(seen_as("nightly", DIGEST)).slots == {}
    finally:
        clean_redis.config_set("maxmemory", 0)
    assert fire((1000, outgoing(1))).enqueued == (True,)


# -- what became of it -------------------------------------------------------------------------------------------------


def test_the_last_job_of_an_entry_is_known_with_its_outcome(clean_redis):
    first, second, third = (outgoing(number) for number in range(3))
    fire((1000, first), (2000, second))
    fire((3000, third), name="another")
    clean_redis.set(f"resque:job:{second.job.id}:status", status_record(Status.COMPLETE, second.job))
    clean_redis.delete(f"resque:job:{third.job.id}:status")
    past = store().past(["nightly", "another", "never"])
    assert past.jobs.keys() == {"nightly", "another"}
    assert (past.jobs["nightly"].slot, past.jobs["nightly"].id) == (2000, second.job.id)
    assert past.jobs["nightly"].seen.status is Status.COMPLETE
    assert past.jobs["another"] == LastJob(3000, third.job.id, None)
    assert (past.missed, past.trouble) == ({}, [])


def test_a_slot_without_a_job_leaves_the_last_one_as_it_is(clean_redis):
    waits, other = (outgoing(number, unique=("tidy", 100)) for number in (1, 2))
    fire((1000, waits))
    fire((2000, other))
    fire(done=3000)
    assert store().past(["nightly"]).jobs["nightly"].id == waits.job.id


def test_missed_slots_are_noted_when_they_are_done_with(clean_redis):
    fire((2000, outgoing(1)), (3000, outgoing(2)), missed=(1000, 2000))
    (missed,) = store().past(["nightly"]).missed.values()
    assert (missed.first, missed.last, missed.made_up) == (1000, 2000, 1)
    assert abs(missed.noted - now(clean_redis)) < 5
    fire((4000, outgoing(3)))
    assert store().past(["nightly"]).missed["nightly"] == missed
    fire(done=9000, missed=(8000, 9000))
    (missed,) = store().past(["nightly"]).missed.values()
    assert (missed.first, missed.last, missed.made_up) == (8000, 9000, 0)


def test_missed_slots_that_are_dealt_with_in_several_steps_are_told_as_one(clean_redis):
    fire((1000, outgoing(1)), (2000, outgoing(2)), missed=(1000, 4000))
    fire((3000, outgoing(3)), (4000, outgoing(4)), (5000, outgoing(5)), missed=(3000, 4000))
    (missed,) = store().past(["nightly"]).missed.values()
    assert (missed.first, missed.last, missed.made_up) == (1000, 4000, 4)


def test_what_another_scheduler_has_done_already_is_not_noted_again(clean_redis):
    fire((1000, outgoing(1)), missed=(500, 1000))
    before = clean_redis.hgetall("resque:django:schedule:missed"), clean_redis.hgetall("resque:django:schedule:jobs")
    fire((1000, outgoing(2)), missed=(500, 1000))
    after = clean_redis.hgetall("resque:django:schedule:missed"), clean_redis.hgetall("resque:django:schedule:jobs")
    assert before == after


@pytest.mark.parametrize("key", ["jobs", "missed"])
def test_where_it_cannot_be_noted_the_job_is_enqueued_all_the_same(clean_redis, key: str):
    clean_redis.set(f"resque:django:schedule:{key}", "text")
    assert fire((1000, outgoing(1)), missed=(500, 1000)).enqueued == (True,)
    assert pushed(clean_redis) == [1]
    past = store().past(["nightly"])
    assert len(past.jobs) + len(past.missed) == 1
    assert "WRONGTYPE" in past.trouble[0]
    put()
    assert store().ask(store().schedule.delete("nightly")) is True


@pytest.mark.parametrize("value", ["", "text", "1 2 3", "1 2 3 4 5", "a b c d", "9" * 40 + " x", "1 " + "x" * 5_000])
def test_garbage_about_the_past_is_passed_over(clean_redis, value: str):
    for key in ("jobs", "missed"):
        clean_redis.hset(f"resque:django:schedule:{key}", "nightly", value)
    past = store().past(["nightly"])
    assert (past.jobs, past.missed) == ({}, {})
    fire((1000, outgoing(1)), missed=(500, 1000))
    assert isinstance(store().past(["nightly"]).missed["nightly"], Missed)
    assert store().past([]).jobs == {}
