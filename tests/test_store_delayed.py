"""Delayed jobs in Redis: what is due, promoting it, looking through what waits, taking it away."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from django_resque.errors import StoreError
from django_resque.job import Job, new_id
from django_resque.store import DelayedJob, Due, Promoted, Promotion, store
from django_resque.store import delayed as module

from .processes_in_redis import TurnTaker, full, state
from .servers import RedisServer
from .wire.recordings import Recording, recording, recordings

MINE = "django:host:42:random"
MASTER, LEADER = "resque:resque:resque_scheduler_master_lock", "resque:resque_scheduler_leader_lock"
SCHEDULE = "resque:delayed_queue_schedule"
PAST, FUTURE = 1_700_000_000, 4_000_000_000


def put(client: redis.Redis, second: int | str, *items: bytes | Job) -> list[bytes]:
    """Delay items as the family does."""
    raws = [item.delayed_item() if isinstance(item, Job) else item for item in items]
    for raw in raws:
        client.rpush(f"resque:delayed:{second}", raw)
        client.zadd(SCHEDULE, {str(second): float(second)})
        client.sadd(b"resque:timestamps:" + raw, f"delayed:{second}")
    return raws


def job(command: str = "act", *args: Any, **more: Any) -> Job:
    return Job(command, args, **more)


def due(limit: int = 100, value: str = MINE) -> Due:
    return store().ask(store().delayed.due(value, limit))


def promote(*promotions: Promotion) -> Promoted:
    return store().ask(store().delayed.promote(promotions))


def outcomes(*promotions: Promotion) -> str:
    return promote(*promotions).outcomes


def only(client: redis.Redis, *left_out: str) -> dict[str, Any]:
    """What is in Redis, without what every look leaves there."""
    usual = {"resque:resque_scheduler_master_lock", "resque_scheduler_leader_lock", "django:scheduler", *left_out}
    return {key: value for key, value in state(client).items() if key not in usual}


def load(client: redis.Redis, recorded: Recording) -> None:
    recorded.load(client)


# -- what is due -------------------------------------------------------------------------------------------------------


def test_nothing_is_due_where_nothing_is_delayed(clean_redis):
    found = due()
    assert (found.holder, found.items, found.left, found.retry, found.trouble) == ("", [], None, None, [])
    assert abs(found.time - clean_redis.time()[0]) < 2


def test_what_is_due_comes_in_the_order_of_time(clean_redis):
    put(clean_redis, PAST + 1, b"3", b"4")
    put(clean_redis, PAST, b"1", b"2")
    put(clean_redis, FUTURE, b"5")
    clean_redis.zadd("resque:django:retries", {"a.1\ndefault\n{}": FUTURE + 0.5})
    found = due()
    assert found.items == [(PAST, b"1"), (PAST, b"2"), (PAST + 1, b"3"), (PAST + 1, b"4")]
    assert (found.left, found.retry) == (FUTURE, FUTURE + 0.5)


def test_nothing_is_due_before_its_second(clean_redis):
    now = clean_redis.time()[0]
    put(clean_redis, now + 5, b"later")
    found = due()
    assert (found.items, found.left) == ([], now + 5)


@pytest.mark.parametrize("limit", [1, 2, 9, 10, 11, 20, 29])
def test_no_more_items_than_asked_for_and_the_rest_is_known(clean_redis, limit):
    put(clean_redis, PAST, *[b"%d" % number for number in range(20)])
    put(clean_redis, PAST + 1, *[b"%d" % number for number in range(20, 30)])
    found = due(limit)
    assert [raw for _, raw in found.items] == [b"%d" % number for number in range(limit)]
    assert found.left == (PAST if limit < 20 else PAST + 1)


def test_many_seconds_are_not_read_at_once(clean_redis):
    for second in range(PAST, PAST + 30):
        put(clean_redis, second, b"item")
    found = due(10)
    assert found.items == [(second, b"item") for second in range(PAST, PAST + 10)]
    assert found.left == PAST + 10


def test_large_items_come_a_few_at_a_time_and_one_at_least(clean_redis):
    large = b"x" * (module.MOST_BYTES * 2 // 5)
    put(clean_redis, PAST, large + b"1", large + b"2", large + b"3")
    assert [raw[-1:] for _, raw in due().items] == [b"1", b"2"]
    clean_redis.delete(f"resque:delayed:{PAST}")
    put(clean_redis, PAST, large * 4, b"", large)
    found = due()
    assert [len(raw) for _, raw in found.items] == [4 * len(large)]
    assert found.left == PAST


def test_a_second_that_leads_nowhere_is_taken_off_the_schedule(clean_redis):
    clean_redis.set(f"resque:delayed:{PAST}", "a text")
    clean_redis.zadd(SCHEDULE, {str(PAST): PAST, str(PAST + 1): PAST + 1, "no second": PAST + 2, "007": 7, "1.5": 1.5})
    clean_redis.rpush("resque:delayed:no second", "left alone")
    put(clean_redis, PAST + 3, b"item")
    found = due(5)
    assert found.items == []
    assert found.left == PAST + 3
    assert sorted(found.trouble) == [
        "no second with jobs, taken off the schedule: delayed:1700000000 (string)",
        "no second with jobs, taken off the schedule: delayed:no second (list)",
    ]
    assert due().items == [(PAST + 3, b"item")]
    assert clean_redis.zrange(SCHEDULE, 0, -1) == [b"%d" % (PAST + 3)]
    assert clean_redis.lrange("resque:delayed:no second", 0, -1) == [b"left alone"]


def test_a_schedule_of_another_type_is_an_error_and_nothing_is_written(clean_redis):
    clean_redis.set(SCHEDULE, "a text")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        due()
    with pytest.raises(StoreError, match="WRONGTYPE"):
        promote(Promotion(PAST, b"item", "default"))
    assert state(clean_redis) == {"delayed_queue_schedule": b"a text"}


def test_what_is_due_is_found_while_the_memory_is_full(clean_redis):
    (raw,) = put(clean_redis, PAST, job())
    with full(clean_redis):
        assert due().items == [(PAST, raw)]
        assert outcomes(Promotion(PAST, raw, "default")) == "p"
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [raw]
    assert clean_redis.get(MASTER) == MINE.encode()


# -- the locks of the family's schedulers ------------------------------------------------------------------------------


def test_looking_takes_both_locks_and_shows_that_somebody_looks(clean_redis):
    assert due().leads
    assert clean_redis.get(MASTER) == clean_redis.get(LEADER) == MINE.encode()
    assert clean_redis.get("resque:django:scheduler") == MINE.encode()
    assert 170 < clean_redis.ttl(MASTER) <= 180
    assert 170 < clean_redis.ttl(LEADER) <= 180
    assert 10 < clean_redis.ttl("resque:django:scheduler") <= 15


def test_a_lock_of_another_process_of_ours_is_renewed_and_stays_its_own(clean_redis):
    for lock in (MASTER, LEADER):
        clean_redis.set(lock, "django:elsewhere:1:x", ex=5)
    put(clean_redis, PAST, b"item")
    found = due()
    assert (found.holder, found.leads, found.items) == ("", False, [(PAST, b"item")])
    for lock in (MASTER, LEADER):
        assert clean_redis.get(lock) == b"django:elsewhere:1:x"
        assert clean_redis.ttl(lock) > 170


@pytest.mark.parametrize("lock", [MASTER, LEADER])
def test_another_programs_lock_is_respected(clean_redis, lock):
    clean_redis.set(lock, "box1:26781", ex=100)
    put(clean_redis, PAST, b"item")
    clean_redis.zadd("resque:django:retries", {"a.1\ndefault\n{}": PAST})
    before = state(clean_redis)
    found = due()
    assert (found.holder, found.leads, found.items, found.left, found.retry) == ("box1:26781", False, [], None, PAST)
    assert state(clean_redis) == before | {"django:scheduler": MINE.encode()}
    assert clean_redis.ttl(lock) <= 100


@pytest.mark.parametrize("name", ["ruby/40", "ruby/41", "node/28", "node/29"])
def test_the_locks_that_other_schedulers_hold_in_the_recordings_are_respected(clean_redis, name):
    load(clean_redis, recording(name))
    assert due().holder.startswith("box1:")


def test_a_lock_that_is_no_text_is_trouble_and_keeps_nobody_from_working(clean_redis):
    clean_redis.rpush(MASTER, "a list")
    put(clean_redis, PAST, b"item")
    found = due()
    assert found.items == [(PAST, b"item")]
    assert found.leads
    assert [message for message in found.trouble if MASTER in message]
    assert clean_redis.get(LEADER) == MINE.encode()
    assert clean_redis.lrange(MASTER, 0, -1) == [b"a list"]


def test_the_locks_are_released_by_the_last_process(clean_redis):
    first, second = TurnTaker("first1"), TurnTaker("second")
    due()
    assert store().ask(store().delayed.release()) == 0
    assert clean_redis.get(MASTER) == MINE.encode()
    second.unregister()
    assert store().ask(store().delayed.release()) == 2
    assert not clean_redis.exists(MASTER, LEADER, "resque:django:scheduler")
    first.close()
    second.close()


def test_another_programs_lock_is_never_released(clean_redis):
    clean_redis.set(MASTER, "box1:26781")
    clean_redis.set(LEADER, "django:elsewhere:1:x")
    assert store().ask(store().delayed.release()) == 1
    assert clean_redis.get(MASTER) == b"box1:26781"


# -- promoting ---------------------------------------------------------------------------------------------------------


def test_a_promoted_job_stands_in_its_queue_as_it_was_and_nothing_else_is_left(clean_redis):
    (raw,) = put(clean_redis, PAST, job(id="1"))
    clean_redis.set("resque:job:1:status", "scheduled", ex=1000)
    assert promote(Promotion(PAST, raw, "mail", "1", b"waiting")) == Promoted("p", [])
    assert state(clean_redis) == {"queue:mail": [raw], "queues": {b"mail"}, "job:1:status": b"waiting"}
    assert 900 < clean_redis.ttl("resque:job:1:status") <= 1000


def test_a_status_that_is_not_there_is_not_made(clean_redis):
    (raw,) = put(clean_redis, PAST, job(id="1"))
    assert outcomes(Promotion(PAST, raw, "mail", "1", b"waiting")) == "p"
    assert not clean_redis.exists("resque:job:1:status")


def test_the_bell_rings_for_a_queue_that_was_empty(clean_redis):
    raws = put(clean_redis, PAST, b"1", b"2")
    with clean_redis.pubsub() as bell:
        bell.subscribe("resque:django:bell")
        assert bell.get_message(timeout=5)["type"] == "subscribe"
        clean_redis.rpush("resque:queue:busy", "something")
        put(clean_redis, PAST, b"3")
        outcomes(*[Promotion(PAST, raw, "mail") for raw in raws], Promotion(PAST, b"3", "busy"))
        clean_redis.publish("resque:django:bell", "end")
        heard = [bell.get_message(timeout=5)["data"] for _ in range(2)]
    assert heard == [b"mail", b"end"]


def test_the_rest_of_a_second_stays(clean_redis):
    one, two, three = put(clean_redis, PAST, b"1", b"2", b"3")
    assert outcomes(Promotion(PAST, one, "q"), Promotion(PAST, two, "q")) == "pp"
    assert only(clean_redis) == {
        "queue:q": [one, two],
        "queues": {b"q"},
        f"delayed:{PAST}": [three],
        "delayed_queue_schedule": {b"%d" % PAST: PAST},
        "timestamps:3": {b"delayed:%d" % PAST},
    }


def test_an_item_that_is_not_the_first_any_more_is_not_promoted(clean_redis):
    one, two = put(clean_redis, PAST, b"1", b"2")
    before = state(clean_redis)
    assert outcomes(Promotion(PAST, two, "q"), Promotion(PAST + 1, one, "q"), Promotion(PAST, b"x", "q")) == "ggg"
    clean_redis.set(f"resque:delayed:{PAST + 1}", "a text")
    assert outcomes(Promotion(PAST + 1, one, "q")) == "g"
    clean_redis.delete(f"resque:delayed:{PAST + 1}")
    assert state(clean_redis) == before


def test_the_same_promotions_again_do_nothing_more(clean_redis):
    promotions = [Promotion(PAST, raw, "q") for raw in put(clean_redis, PAST, b"1", b"2", b"3")]
    assert outcomes(*promotions) == "ppp"
    before = state(clean_redis)
    assert outcomes(*promotions) == "ggg"
    assert state(clean_redis) == before


def test_an_item_that_goes_to_no_queue_becomes_its_failure_record(clean_redis):
    raw, other = put(clean_redis, PAST, b"garbage", b"other")
    assert outcomes(Promotion(PAST, raw, record=b"the record"), Promotion(PAST, other, "q")) == "fp"
    assert state(clean_redis) == {
        "failed": [b"the record"],
        "stat:processed": b"1",
        "stat:failed": b"1",
        "queue:q": [other],
        "queues": {b"q"},
    }


def test_a_job_whose_queue_is_no_list_stays_until_there_is_a_record_and_keeps_no_other_second_waiting(clean_redis):
    clean_redis.set("resque:queue:broken", "a text")
    clean_redis.set("resque:job:1:status", "scheduled")
    clean_redis.set("resque:django:unique:key", "1")
    one, two = put(clean_redis, PAST, b"1", b"2")
    (three,) = put(clean_redis, PAST + 1, b"3")
    promotions = [Promotion(PAST, one, "broken"), Promotion(PAST, two, "q"), Promotion(PAST + 1, three, "q")]
    found = promote(*promotions)
    assert found.outcomes == "wgp"
    assert "queue:broken" in found.trouble[0]
    promotions[0] = replace(
        promotions[0], status_id="1", waiting=b"waiting", ended=b"failed", record=b"record", holder="1\nkey"
    )
    assert outcomes(*promotions) == "fpg"
    assert state(clean_redis) == {
        "queue:broken": b"a text",
        "queue:q": [three, two],
        "queues": {b"q"},
        "failed": [b"record"],
        "stat:processed": b"1",
        "stat:failed": b"1",
        "job:1:status": b"failed",
    }
    assert clean_redis.ttl("resque:job:1:status") > 24 * 3600 - 10


def test_a_dropped_job_counts_as_processed_and_frees_its_key(clean_redis):
    (raw,) = put(clean_redis, PAST, job(id="1"))
    clean_redis.set("resque:job:1:status", "scheduled")
    clean_redis.set("resque:django:unique:key", "1")
    assert outcomes(Promotion(PAST, raw, "", "1", b"", b"cancelled", b"", "1\nkey")) == "d"
    assert state(clean_redis) == {"stat:processed": b"1", "job:1:status": b"cancelled"}


def test_a_key_that_another_job_holds_stays(clean_redis):
    (raw,) = put(clean_redis, PAST, job(id="1"))
    clean_redis.set("resque:django:unique:key", "2")
    assert outcomes(Promotion(PAST, raw, holder="1\nkey")) == "d"
    assert clean_redis.get("resque:django:unique:key") == b"2"


@pytest.mark.parametrize("key", ["resque:queues", "resque:failed"])
def test_a_set_of_queues_or_failed_list_of_another_type_is_an_error_and_nothing_is_written(clean_redis, key):
    (raw,) = put(clean_redis, PAST, job())
    clean_redis.set(key, "a text")
    before = state(clean_redis)
    with pytest.raises(StoreError, match="WRONGTYPE"):
        promote(Promotion(PAST, raw, "q", record=b"record"))
    assert state(clean_redis) == before


def test_what_others_broke_beside_a_job_does_not_keep_it_from_its_queue(clean_redis):
    (raw,) = put(clean_redis, PAST, b"item")
    clean_redis.delete("resque:timestamps:item")
    clean_redis.set("resque:timestamps:item", "a text")
    clean_redis.hset("resque:job:1:status", "a", "hash")
    assert outcomes(Promotion(PAST, raw, "q", "1", b"waiting")) == "p"
    assert clean_redis.lrange("resque:queue:q", 0, -1) == [raw]


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=30), st.integers(1, 7))
def test_any_bytes_are_promoted_in_order(clean_redis_of, items, limit):
    client = clean_redis_of()
    put(client, PAST, *items)
    while found := due(limit).items:
        assert outcomes(*[Promotion(second, raw, "q") for second, raw in found]) == "p" * len(found)
    assert only(client) == {"queue:q": items, "queues": {b"q"}}


@pytest.fixture(scope="module")
def clean_redis_of(redis_server: RedisServer) -> Callable[[], redis.Redis]:
    """Empties the server for each example; the tests' own fixture does for each test."""
    client = redis_server.client()

    def clean() -> redis.Redis:
        client.flushall()
        return client

    return clean


def test_several_schedulers_at_once_promote_every_job_once(clean_redis):
    for second in range(PAST, PAST + 20):
        put(clean_redis, second, *[b"%d.%d" % (second, number) for number in range(50)])

    def work(value: str) -> None:
        with_line = store().line()
        while items := with_line.ask(store().delayed.due(value, 30)).items:
            with_line.ask(store().delayed.promote([Promotion(second, raw, "q") for second, raw in items]))
        with_line.close()

    threads = [threading.Thread(target=work, args=[f"django:host:{number}:x"]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    promoted = clean_redis.lrange("resque:queue:q", 0, -1)
    assert len(promoted) == len(set(promoted)) == 1000
    assert set(only(clean_redis)) == {"queue:q", "queues"}


# -- other programs' items ---------------------------------------------------------------------------------------------

DELAYED = [each for each in recordings() if "delayed_queue_schedule" in "".join(each.keys)]


@pytest.mark.parametrize("recorded", DELAYED, ids=str)
def test_every_item_of_the_recordings_is_found_and_goes_to_its_queue(clean_redis, recorded):
    load(clean_redis, recorded)
    items = list(recorded.elements("delayed"))
    assert items
    assert store().delayed.count() == len(items)
    listed = store().delayed.page(0, 1000)
    assert Counter(each.raw for each in listed) == Counter(items)
    assert [each.second for each in listed] == sorted(each.second for each in listed)
    for each in listed:
        payload = json.loads(each.raw)
        assert (each.job.command, each.queue) == (payload["class"], payload["queue"])
    assert len(list(store().delayed.find(lambda job: True))) == len(items)


@pytest.mark.parametrize("name", ["ruby/36", "php/31", "php-chrisboulton/31", "node/24"])
def test_what_other_programs_have_delayed_is_promoted_without_a_trace(clean_redis, name):
    recorded = recording(name)
    load(clean_redis, recorded)
    for member in clean_redis.zrange(SCHEDULE, 0, -1):
        clean_redis.zadd(SCHEDULE, {member: 1.0})  # it is due now
    items = due().items
    assert len(items) == len(list(recorded.elements("delayed")))
    promotions = [Promotion(second, raw, DelayedJob.read(second, raw).queue) for second, raw in items]
    assert outcomes(*promotions) == "p" * len(items)
    assert not clean_redis.keys("resque:delayed*")
    assert not clean_redis.keys("resque:timestamps:*")


@pytest.mark.parametrize(
    ("raw", "queue", "command"),
    [
        (b'{"class":"Add","args":[1,2],"queue":"math"}', "math", "Add"),
        (b'{"class":"Add","args":[],"queue":"mail:high"}', "mail:high", "Add"),
        (b'{"class":"Add","args":[NaN],"queue":"math"}', "math", "Add"),
        (b'{"class":"Add","class":"Two","args":[],"queue":"math"}', "math", "Two"),
        (b'{"args":[],"queue":"math"}', "math", None),
        (b'{"class":"Add","args":"no list","queue":"math"}', "math", None),
        (b'{"class":"Add","args":[]}', "", None),
        (b'{"class":"Add","args":[],"queue":""}', "", None),
        (b'{"class":"Add","args":[],"queue":"a\\nb"}', "", None),
        (b'{"class":"Add","args":[],"queue":"\\ud800"}', "", None),
        (b'{"class":"Add","args":[],"queue":7}', "", None),
        (b"[1]", "", None),
        (b"[" * 100_000, "", None),
        (b"", "", None),
        (b"\xff\xfe", "", None),
        (b" " * 5_000_001, "", None),
        (b"1" * 10_000, "", None),
    ],
)
def test_an_item_goes_where_it_says_if_it_says_anything(raw, queue, command):
    found = DelayedJob.read(PAST, raw)
    assert (found.queue, found.job and found.job.command) == (queue, command)
    assert bool(found.problem) == (not queue)


@given(
    st.binary()
    | st.recursive(
        st.none() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["class", "args", "queue", "id", "0", "_resque", "prefix", "unique"]), inner
            )
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_reading_an_item_never_fails(raw):
    found = DelayedJob.read(PAST, raw)
    if found.job is not None:
        module.holder_of(found.job)
        module.cancelled_status(found.job)


# -- looking through them ----------------------------------------------------------------------------------------------


@pytest.fixture
def small_chunks(monkeypatch):
    """Everything is read a few at a time."""
    monkeypatch.setattr(module, "CHUNK", 3)
    monkeypatch.setattr(module, "AT_ONCE", 2)


def many(client: redis.Redis) -> list[str]:
    """Twelve seconds with up to ten jobs each; their ids in order."""
    ids = []
    for second in range(12):
        jobs = [job("act", second, number, id=f"{second}.{number}") for number in range((second * 7) % 11)]
        put(client, FUTURE + second, *jobs)
        ids += [each.id for each in jobs]
    return ids


@pytest.mark.usefixtures("small_chunks")
def test_pages_are_parts_of_one_list_in_the_order_of_time(clean_redis):
    ids = many(clean_redis)
    clean_redis.zadd(SCHEDULE, {str(FUTURE + 50): FUTURE + 50, "no second": FUTURE + 51})
    clean_redis.set(f"resque:delayed:{FUTURE + 50}", "a text")
    assert store().delayed.count() == len(ids)
    for start in (0, 1, 7, 20, len(ids) - 1, len(ids), 1000):
        for count in (0, 1, 5, 30, 1000):
            page = store().delayed.page(start, count)
            assert [each.job.id for each in page] == ids[start : start + count]


@pytest.mark.usefixtures("small_chunks")
def test_every_job_is_looked_at_once(clean_redis):
    ids = many(clean_redis)
    put(clean_redis, FUTURE, b"garbage")
    assert Counter(each.job.id for each in store().delayed.find(lambda job: True)) == Counter(ids)
    assert [each.job.id for each in store().delayed.find(lambda job: job.id == "3.4")] == ["3.4"]
    assert [each.second for each in store().delayed.find(lambda job: job.args == (7, 2))] == [FUTURE + 7]


@pytest.mark.usefixtures("small_chunks")
def test_what_is_found_may_be_taken_away_at_once(clean_redis):
    ids = many(clean_redis)
    taken = []
    for each in store().delayed.find(lambda job: True):
        assert store().delayed.cancel([each]) == 1
        taken.append(each.job.id)
    assert Counter(taken) == Counter(ids)
    assert set(state(clean_redis)) == {"stat:processed"}


@pytest.mark.usefixtures("small_chunks")
def test_what_is_promoted_meanwhile_hides_nothing_else(clean_redis):
    raws = put(clean_redis, PAST, *[job("act", number, id=str(number)) for number in range(50)])
    found = set()
    for number, each in enumerate(store().delayed.find(lambda job: True)):
        found.add(each.job.id)
        if number < 20:
            assert outcomes(Promotion(PAST, raws[number], "q")) == "p"
    assert found >= {str(number) for number in range(20, 50)}


# -- taking them away --------------------------------------------------------------------------------------------------


def read(client: redis.Redis, second: int, *jobs: Job) -> list[DelayedJob]:
    """Delay ``jobs`` and read them again."""
    return [DelayedJob.read(second, raw) for raw in put(client, second, *jobs)]


def test_a_cancelled_job_leaves_its_status_and_a_count(clean_redis):
    one, two = read(clean_redis, FUTURE, job(id="1", extra={"unique": ["key", 60]}), job(id="2"))
    clean_redis.set("resque:job:1:status", "scheduled", ex=10**6)
    clean_redis.set("resque:django:unique:key", "1")
    assert store().delayed.cancel([one]) == 1
    found = state(clean_redis)
    status = json.loads(found.pop("job:1:status"))
    assert (status["status"], status["outcome"]) == (3, "cancelled")
    assert 24 * 3600 - 10 < clean_redis.ttl("resque:job:1:status") <= 24 * 3600
    assert found == {
        f"delayed:{FUTURE}": [two.raw],
        "delayed_queue_schedule": {b"%d" % FUTURE: FUTURE},
        f"timestamps:{two.raw.decode()}": {b"delayed:%d" % FUTURE},
        "stat:processed": b"1",
    }
    assert store().delayed.cancel([one]) == 0
    assert store().delayed.cancel([one, two]) == 1
    assert set(state(clean_redis)) == {"job:1:status", "stat:processed"}


def test_who_waits_for_a_job_is_told_that_it_was_cancelled_or_dropped(clean_redis):
    one, two = read(clean_redis, PAST, job(id="1"), job(id="2"))
    with clean_redis.pubsub() as ends:
        ends.psubscribe("resque:django:ended:*")
        assert ends.get_message(timeout=5)["type"] == "psubscribe"
        assert store().delayed.cancel([one]) == 1
        assert outcomes(Promotion(PAST, two.raw, "", "2", b"", b"cancelled")) == "d"
        heard = [ends.get_message(timeout=5) for _ in range(2)]
    assert [message["channel"] for message in heard] == [b"resque:django:ended:1", b"resque:django:ended:2"]
    assert json.loads(heard[0]["data"])["outcome"] == "cancelled"
    assert heard[1]["data"] == b"cancelled"


def test_cancelling_frees_no_key_that_another_job_holds(clean_redis):
    (one,) = read(clean_redis, FUTURE, job(id="1", extra={"unique": ["key", 60]}))
    clean_redis.set("resque:django:unique:key", "2")
    assert store().delayed.cancel([one]) == 1
    assert clean_redis.get("resque:django:unique:key") == b"2"


def test_jobs_are_cancelled_by_what_they_are(clean_redis):
    put(clean_redis, FUTURE, job("mail", 1), job("mail", 2), job("other", 1), b"garbage")
    put(clean_redis, FUTURE + 1, job("mail", 1), job("mail", 3))
    found = store().delayed.cancel_matching(lambda job: job.command == "mail" and job.args == (1,))
    assert (found.seen, found.cancelled) == (6, 2)
    assert store().delayed.cancel_matching(lambda job: job.command == "mail").cancelled == 2
    assert [each.job and each.job.command for each in store().delayed.page()] == ["other", None]


def test_of_items_that_are_the_same_to_the_byte_one_is_cancelled(clean_redis):
    raw = b'{"class":"Add","args":[1,2],"queue":"math"}'
    put(clean_redis, FUTURE, raw, raw)
    put(clean_redis, FUTURE + 1, raw)
    one, two, three = store().delayed.page()
    assert store().delayed.cancel([one]) == 1
    key = b"resque:timestamps:" + raw
    assert set(clean_redis.smembers(key)) == {b"delayed:%d" % FUTURE, b"delayed:%d" % (FUTURE + 1)}
    assert store().delayed.cancel([two]) == 1
    assert set(clean_redis.smembers(key)) == {b"delayed:%d" % (FUTURE + 1)}
    assert store().delayed.cancel([two, three]) == 1
    assert set(state(clean_redis)) == {"stat:processed"}


def test_long_seconds_are_looked_through_in_several_scripts(clean_redis, monkeypatch):
    jobs = read(clean_redis, FUTURE, *[job("act", number) for number in range(30)])
    monkeypatch.setattr(module, "MOST_LOOKED_THROUGH", 50)
    asked = []
    ask = store().ask
    monkeypatch.setattr(store().delayed, "_ask", lambda request: asked.append(request) or ask(request))
    assert store().delayed.cancel(jobs) == 30
    assert 5 < len(asked) < 30


@pytest.mark.parametrize("name", ["ruby/36", "php/31", "php-chrisboulton/31", "node/24"])
def test_other_programs_items_are_cancelled_without_a_trace(clean_redis, name):
    recorded = recording(name)
    load(clean_redis, recorded)
    before = int(clean_redis.get("resque:stat:processed") or 0)
    wanted = len(list(recorded.elements("delayed")))
    assert store().delayed.cancel_matching(lambda job: True).cancelled == wanted
    assert not clean_redis.keys("resque:delayed*")
    assert not clean_redis.keys("resque:timestamps:*")
    assert int(clean_redis.get("resque:stat:processed")) == before + wanted


def test_a_job_that_is_run_now_stands_in_its_queue(clean_redis):
    (one,) = read(clean_redis, FUTURE, job(id="1", queue="mail", extra={"unique": ["key", 60]}))
    clean_redis.set("resque:job:1:status", "scheduled", ex=1000)
    clean_redis.set("resque:django:unique:key", "1")
    assert store().delayed.run_now(one)
    found = state(clean_redis)
    assert json.loads(found.pop("job:1:status"))["status"] == 1
    assert found == {"queue:mail": [one.raw], "queues": {b"mail"}, "django:unique:key": b"1"}
    assert 900 < clean_redis.ttl("resque:job:1:status") <= 1000
    assert not store().delayed.run_now(one)
    assert state(clean_redis).keys() == {"job:1:status", *found}


def test_a_job_is_moved_to_another_second(clean_redis):
    one, two = read(clean_redis, FUTURE, job(id="1", extra={"unique": ["key", 60]}), job(id="2"))
    clean_redis.set("resque:job:1:status", "scheduled", ex=10)
    clean_redis.set("resque:django:unique:key", "1", ex=10)
    now = clean_redis.time()[0]
    assert store().delayed.move(one, now + 1000)
    status = json.loads(clean_redis.get("resque:job:1:status"))
    assert (status["status"], status["due"]) == (63, now + 1000)
    assert clean_redis.ttl("resque:job:1:status") > 7 * 24 * 3600
    assert 1050 < clean_redis.ttl("resque:django:unique:key") <= 1061
    assert set(clean_redis.smembers(b"resque:timestamps:" + one.raw)) == {b"delayed:%d" % (now + 1000)}
    assert [(each.second, each.raw) for each in store().delayed.page()] == [(now + 1000, one.raw), (FUTURE, two.raw)]
    assert not store().delayed.move(one, FUTURE)
    assert store().delayed.move(two, now + 1000)
    assert store().delayed.count() == 2
    assert clean_redis.zrange(SCHEDULE, 0, -1) == [b"%d" % (now + 1000)]


def test_a_job_that_is_moved_to_its_own_second_stays_there(clean_redis):
    (one,) = read(clean_redis, FUTURE, job())
    before = state(clean_redis)
    assert store().delayed.move(one, FUTURE)
    assert state(clean_redis) == before


def test_dispatchers_are_told_of_a_job_that_is_moved_to_now(clean_redis):
    (one,) = read(clean_redis, FUTURE, job())
    with clean_redis.pubsub() as bell:
        bell.subscribe("resque:django:bell")
        assert bell.get_message(timeout=5)["type"] == "subscribe"
        assert store().delayed.move(one, PAST)
        assert bell.get_message(timeout=5)["data"] == b":due"


def test_where_a_job_cannot_go_it_stays(clean_redis):
    (one,) = read(clean_redis, FUTURE, job(queue="broken"))
    clean_redis.set("resque:queue:broken", "a text")
    clean_redis.set(f"resque:delayed:{PAST}", "a text")
    before = state(clean_redis)
    with pytest.raises(StoreError, match="queue:broken is no list"):
        store().delayed.run_now(one)
    with pytest.raises(StoreError, match=f"delayed:{PAST} is no list"):
        store().delayed.move(one, PAST)
    with pytest.raises(StoreError, match="names no queue"):
        store().delayed.run_now(DelayedJob.read(FUTURE, b"{}"))
    assert state(clean_redis) == before


def test_jobs_are_taken_away_while_the_memory_is_full(clean_redis):
    one, two, three = read(clean_redis, FUTURE, job(), job(), job())
    with full(clean_redis):
        assert store().delayed.cancel([one]) == 1
        assert store().delayed.run_now(two)
        assert store().delayed.move(three, FUTURE + 1)
    assert store().delayed.count() == 1


def test_a_job_is_either_cancelled_or_promoted(clean_redis):
    jobs = read(clean_redis, PAST, *[job(id=new_id()) for _ in range(400)])
    cancelled = []

    def cancel() -> None:
        for each in reversed(jobs):
            if store().delayed.cancel([each]):
                cancelled.append(each.raw)

    thread = threading.Thread(target=cancel)
    thread.start()
    line = store().line()
    while items := line.ask(store().delayed.due(MINE, 5)).items:
        line.ask(store().delayed.promote([Promotion(second, raw, "q") for second, raw in items]))
    thread.join()
    line.close()
    promoted = clean_redis.lrange("resque:queue:q", 0, -1)
    assert Counter(promoted + cancelled) == Counter(each.raw for each in jobs)
    assert promoted
    assert cancelled


# -- whether somebody cares --------------------------------------------------------------------------------------------


def test_an_empty_redis_needs_nobody(clean_redis):
    health = store().delayed.health()
    assert (health.abandoned, health.overdue, health.delayed, health.retries) == (False, 0, None, None)


def test_delayed_jobs_without_any_scheduler_are_abandoned(clean_redis):
    put(clean_redis, FUTURE, b"item")
    clean_redis.set(MASTER, "django:dead:1:x")  # the lock outlives its process
    assert store().delayed.health().abandoned
    assert store().delayed.health().overdue == 0
    due()
    health = store().delayed.health()
    assert (health.abandoned, health.ours, health.delayed) == (False, True, FUTURE)


def test_another_programs_scheduler_cares_for_delayed_jobs_but_not_for_retries(clean_redis):
    put(clean_redis, PAST, b"item")
    clean_redis.set(LEADER, "box1:26781")
    health = store().delayed.health()
    assert (health.abandoned, health.foreign) == (False, "box1:26781")
    assert abs(health.overdue - (clean_redis.time()[0] - PAST)) < 5
    clean_redis.zadd("resque:django:retries", {"a.1\ndefault\n{}": FUTURE})
    assert store().delayed.health().abandoned


def test_health_is_read_where_keys_are_of_other_types(clean_redis):
    clean_redis.set(SCHEDULE, "a text")
    clean_redis.rpush(MASTER, "a list")
    assert not store().delayed.health().abandoned
