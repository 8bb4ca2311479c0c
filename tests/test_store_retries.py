"""Retries in Redis: those that are due go back to their queues, others are looked through and taken away."""

from __future__ import annotations

import json
import threading

import pytest
import redis

from django_resque.errors import StoreError
from django_resque.job import Job
from django_resque.store import Revived, WaitingRetry, store
from django_resque.store import retries as module

from .processes_in_redis import full, state

RETRIES = "resque:django:retries"
PAST, FUTURE = 1_700_000_000.5, 4_000_000_000.25


def put(
    client: redis.Redis, due: float, *payloads: bytes | Job, queue: str = "default", token: str = "a.1"
) -> list[bytes]:
    """Add retries; their members."""
    members = []
    for number, each in enumerate(payloads):
        payload = each.payload() if isinstance(each, Job) else each
        members.append(f"{token}.{number}\n{queue}\n".encode() + payload)
        client.zadd(RETRIES, {members[-1]: due})
    return members


def revive(limit: int = 100) -> Revived:
    return store().ask(store().retries.revive(limit))


# -- reviving ----------------------------------------------------------------------------------------------------------


def test_what_is_due_goes_back_to_its_queue(clean_redis):
    put(clean_redis, PAST, b"a", b"\n\x00\nb\xff")
    put(clean_redis, PAST - 1, b"c", queue="mail")
    (later,) = put(clean_redis, FUTURE, b"later", token="b.1")
    found = revive()
    assert (found.count, found.left, found.trouble) == (3, FUTURE, [])
    assert abs(found.time - clean_redis.time()[0]) < 2
    assert state(clean_redis) == {
        "queue:default": [b"a", b"\n\x00\nb\xff"],
        "queue:mail": [b"c"],
        "queues": {b"default", b"mail"},
        "django:retries": {later: FUTURE},
    }
    again = revive()
    assert (again.count, again.left) == (0, FUTURE)


def test_nothing_to_revive(clean_redis):
    found = revive()
    assert (found.count, found.left) == (0, None)
    assert state(clean_redis) == {}


@pytest.mark.parametrize("limit", [1, 9, 10, 11, 25])
def test_no_more_than_asked_for(clean_redis, limit):
    put(clean_redis, PAST, *[b"%d" % number for number in range(40)])
    found = revive(limit)
    assert (found.count, found.left) == (limit, PAST)
    assert clean_redis.llen("resque:queue:default") == limit


def test_large_ones_go_a_few_at_a_time(clean_redis):
    put(clean_redis, PAST, *[b"%d" % number * 400_000 for number in range(5)])
    assert [revive().count for _ in range(3)] == [3, 2, 0]


def test_the_bell_rings_for_a_queue_that_was_empty(clean_redis):
    put(clean_redis, PAST, b"a", b"b")
    with clean_redis.pubsub() as bell:
        bell.subscribe("resque:django:bell")
        assert bell.get_message(timeout=5)["type"] == "subscribe"
        revive()
        clean_redis.publish("resque:django:bell", "end")
        assert [bell.get_message(timeout=5)["data"] for _ in range(2)] == [b"default", b"end"]


@pytest.mark.parametrize("member", [b"", b"no line feed", b"a.1\n\npayload", b"a.1\ndefault", b"\xff"])
def test_what_is_no_retry_is_put_off_and_keeps_nothing_waiting(clean_redis, member):
    clean_redis.zadd(RETRIES, {member: PAST - 1})
    put(clean_redis, PAST, b"a")
    found = revive()
    assert found.count == 1
    assert "no retry" in found.trouble[0]
    assert 55 < clean_redis.zscore(RETRIES, member) - found.time <= 60
    assert revive().trouble == []


def test_a_retry_whose_queue_is_no_list_is_put_off_and_keeps_nothing_waiting(clean_redis):
    clean_redis.set("resque:queue:broken", "a text")
    members = put(clean_redis, PAST - 1, *[b"%d" % number for number in range(15)], queue="broken")
    put(clean_redis, PAST, b"a")
    found = revive()
    assert found.count == 1
    assert "WRONGTYPE" in found.trouble[0]
    assert "resque:queue:broken" in found.trouble[0]
    assert found.left == clean_redis.zscore(RETRIES, members[0])
    assert 55 < found.left - found.time <= 60
    assert clean_redis.get("resque:queue:broken") == b"a text"


@pytest.mark.parametrize("key", [RETRIES, "resque:queues"])
def test_a_key_of_another_type_is_an_error_and_nothing_is_written(clean_redis, key):
    if key != RETRIES:
        put(clean_redis, PAST, b"a")
    clean_redis.set(key, "a text")
    before = state(clean_redis)
    with pytest.raises(StoreError, match="WRONGTYPE"):
        revive()
    assert state(clean_redis) == before


def test_retries_are_revived_while_the_memory_is_full(clean_redis):
    put(clean_redis, PAST, b"a" * 100)
    with full(clean_redis):
        assert revive().count == 1
    assert clean_redis.llen("resque:queue:default") == 1


def test_several_processes_at_once_revive_every_retry_once(clean_redis):
    put(clean_redis, PAST, *[b"%d" % number for number in range(1000)])

    def work() -> None:
        line = store().line()
        while line.ask(store().retries.revive(20)).left is not None:
            pass
        line.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = clean_redis.lrange("resque:queue:default", 0, -1)
    assert len(found) == len(set(found)) == 1000


# -- looking -----------------------------------------------------------------------------------------------------------


def test_retries_are_listed_in_the_order_of_time(clean_redis):
    put(clean_redis, FUTURE, Job("later", id="2"), queue="mail")
    put(clean_redis, PAST, Job("now", id="1"), b"no job", token="b.1")
    clean_redis.zadd(RETRIES, {b"no retry": FUTURE + 1})
    found = store().retries.page()
    assert store().retries.count() == 4
    assert [(each.due, each.queue, each.job and each.job.id) for each in found] == [
        (PAST, "default", "1"),
        (PAST, "default", None),
        (FUTURE, "mail", "2"),
        (FUTURE + 1, "", None),
    ]
    assert store().retries.page(1, 2) == found[1:3]
    assert store().retries.page(2, 0) == store().retries.page(9) == []
    assert [each.job.id for each in store().retries.find(lambda job: job.command == "later")] == ["2"]


def test_all_of_many_are_found(clean_redis, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 10)
    put(clean_redis, FUTURE, *[Job("act", [number]) for number in range(500)])
    assert {each.job.args[0] for each in store().retries.find(lambda job: True)} == set(range(500))


# -- taking away -------------------------------------------------------------------------------------------------------


def test_a_cancelled_retry_leaves_its_status_and_a_count(clean_redis):
    put(clean_redis, FUTURE, Job("one", id="1"), Job("two", id="2"))
    clean_redis.set("resque:job:1:status", "to be tried again", ex=1000)
    with clean_redis.pubsub() as ends:
        ends.subscribe("resque:django:ended:1")
        assert ends.get_message(timeout=5)["type"] == "subscribe"
        found = store().retries.cancel_matching(lambda job: job.command == "one")
        assert b"cancelled" in ends.get_message(timeout=5)["data"]
    assert (found.seen, found.cancelled) == (2, 1)
    status = json.loads(clean_redis.get("resque:job:1:status"))
    assert (status["status"], status["outcome"]) == (3, "cancelled")
    assert clean_redis.ttl("resque:job:1:status") > 24 * 3600 - 10
    assert clean_redis.get("resque:stat:processed") == b"1"
    assert [each.job.id for each in store().retries.page()] == ["2"]


def test_many_are_cancelled_while_they_are_looked_through(clean_redis, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 10)
    put(clean_redis, FUTURE, *[Job("act", [number]) for number in range(500)])
    found = store().retries.cancel_matching(lambda job: True)
    assert (found.seen, found.cancelled) == (500, 500)
    assert state(clean_redis) == {"stat:processed": b"500"}


def test_a_retry_that_is_run_now_stands_in_its_queue(clean_redis):
    put(clean_redis, FUTURE, Job("one", id="1"), queue="mail")
    clean_redis.set("resque:job:1:status", "to be tried again", ex=1000)
    (retry,) = store().retries.page()
    with full(clean_redis):
        assert store().retries.run_now(retry)
    found = state(clean_redis)
    assert json.loads(found.pop("job:1:status"))["status"] == 1
    assert found == {"queue:mail": [retry.payload], "queues": {b"mail"}}
    assert not store().retries.run_now(retry)
    assert store().retries.cancel([retry]) == 0


def test_a_retry_that_cannot_go_to_its_queue_stays(clean_redis):
    put(clean_redis, FUTURE, Job("one"), queue="broken")
    clean_redis.set("resque:queue:broken", "a text")
    before = state(clean_redis)
    with pytest.raises(StoreError, match="queue:broken is no list"):
        store().retries.run_now(store().retries.page()[0])
    with pytest.raises(StoreError, match="no retry"):
        store().retries.run_now(WaitingRetry.read(b"garbage", FUTURE))
    assert state(clean_redis) == before


def test_what_is_no_job_can_be_cancelled_as_well(clean_redis):
    put(clean_redis, FUTURE, b"no job")
    assert store().retries.cancel(store().retries.page()) == 1
    assert state(clean_redis) == {"stat:processed": b"1"}


def test_a_retry_is_either_cancelled_or_revived(clean_redis):
    put(clean_redis, PAST, *[Job("act", [number]) for number in range(300)])
    retries = store().retries.page(0, 300)
    cancelled = []

    def cancel() -> None:
        cancelled.extend(retry.payload for retry in reversed(retries) if store().retries.cancel([retry]))

    thread = threading.Thread(target=cancel)
    thread.start()
    line = store().line()
    while line.ask(store().retries.revive(3)).left is not None:
        pass
    thread.join()
    line.close()
    revived = clean_redis.lrange("resque:queue:default", 0, -1)
    assert sorted(revived + cancelled) == sorted(retry.payload for retry in retries)


def test_a_job_that_is_back_in_its_queue_waits_again(clean_redis: redis.Redis):
    clean_redis.zadd("resque:django:retries", {"abc123.1.1 id1\nmail\n{}": 1})
    clean_redis.set("resque:job:id1:status", '{"status":63,"updated":1}', ex=100)
    assert store().ask(store().retries.revive()).count == 1
    assert clean_redis.get("resque:job:id1:status") == b'{"status":1,"updated":1}'
    assert 0 < clean_redis.ttl("resque:job:id1:status") <= 100
