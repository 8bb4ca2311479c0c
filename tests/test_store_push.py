"""Pushing: each job exactly once, or an error that says so, whatever becomes of the conversation with Redis."""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from django_resque import using
from django_resque.errors import EnqueueError, QueueFull
from django_resque.job import Job
from django_resque.store import Outgoing, store
from django_resque.store.scripts import script

from .proxy import Proxy
from .servers import RedisServer

SOON = 5
"""Seconds for an error to come. 2.5 are promised; the rest is for machines that have other things to do."""


@pytest.fixture
def proxy(redis_server: RedisServer, settings: Any) -> Iterator[Proxy]:
    """What stands between `store` and Redis."""
    with Proxy(redis_server.port) as proxy:
        settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": proxy.url}}
        yield proxy
        store().close()


@pytest.fixture
def connected(proxy: Proxy) -> Proxy:
    """The same, when one job, number 0, has been pushed: there is a connection, and the server knows the script."""
    push(0)
    return proxy


def outgoing(number: int, queue: str = "default") -> Outgoing:
    job = Job("tidy", (number,), queue=queue)
    return Outgoing(job, job.payload(), track=True)


def push(*numbers: int) -> None:
    store().producers.push([outgoing(number) for number in numbers])


def pushed(client: redis.Redis, queue: str = "default") -> list[int]:
    """The numbers of the jobs on the queue."""
    return [json.loads(raw)["args"][0][0] for raw in client.lrange(f"resque:queue:{queue}", 0, -1)]


def snapshot(client: redis.Redis) -> dict[bytes, bytes | None]:
    return {key: client.dump(key) for key in client.keys()}


@contextmanager
def refused(*, uncertain: bool = False) -> Iterator[Any]:
    """The block raises an `EnqueueError`, and soon."""
    begun = time.monotonic()
    with pytest.raises(EnqueueError) as caught:
        yield caught
    assert time.monotonic() - begun < SOON
    assert caught.value.uncertain is uncertain


def until_pushed(number: int) -> None:
    """Push again and again until it is not refused."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return push(number)
        except EnqueueError:
            assert time.monotonic() < deadline
            time.sleep(0.01)


# -- replies that do not arrive ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("spoil", [Proxy.lose_replies, Proxy.truncate_replies])
def test_a_push_whose_reply_is_lost_is_carried_out_once(connected, clean_redis, spoil):
    fault = spoil(connected, 1, to=b"EVALSHA")
    push(1)
    assert fault.happened == 1
    assert pushed(clean_redis) == [0, 1]


def test_the_first_push_of_all_is_carried_out_once_too(proxy, clean_redis):
    clean_redis.script_flush()
    fault = proxy.lose_replies(1, to=b"EVAL\r\n")
    push(1)
    assert fault.happened == 1
    assert pushed(clean_redis) == [1]


def test_a_slow_answer_is_waited_for(connected, clean_redis):
    connected.delay_replies(0.3)
    push(1)
    assert pushed(clean_redis) == [0, 1]


def test_a_doubt_is_resolved_although_the_next_connection_fails(connected, clean_redis):
    connected.lose_replies(1, to=b"EVALSHA")
    failed = connected.lose_replies(1, to=b"SETINFO")
    push(1)
    assert failed.happened == 1
    assert pushed(clean_redis) == [0, 1]


def test_a_push_that_is_never_answered_is_in_doubt(connected, clean_redis):
    connected.hold_replies(to=b"EVALSHA")
    with refused(uncertain=True) as caught:
        push(1)
    assert "Perhaps not enqueued" in str(caught.value)
    assert pushed(clean_redis) == [0, 1]  # and it was, once, although it was sent twice


def test_a_request_that_arrives_after_its_repetition_does_nothing(connected, clean_redis):
    connected.hold_requests(1, to=b"EVALSHA")
    push(1)
    push(2)
    connected.heal()
    push(3)
    assert pushed(clean_redis) == [0, 1, 2, 3]


def test_a_request_that_arrives_after_the_error_is_the_doubt(connected, clean_redis):
    connected.hold_requests(to=b"EVALSHA")
    with refused(uncertain=True):
        push(1)
    assert pushed(clean_redis) == [0]
    connected.heal()
    until_pushed(2)
    assert pushed(clean_redis) in ([0, 2], [0, 1, 2])  # never twice, and never out of order


def test_many_jobs_that_break_off_in_the_middle_name_those_that_are_not_surely_pushed(connected, clean_redis):
    connected.hold_replies(to=b'"args":[[150]]')
    with refused(uncertain=True) as caught:
        using(check=False).enqueue_many("tidy", [((number,), {}) for number in range(1, 251)])
    assert [job.args[0] for job in caught.value.jobs] == list(range(101, 251))
    assert "and 149 more" in str(caught.value)
    assert pushed(clean_redis) == list(range(201))


def test_threads_with_lost_replies_push_each_job_once(proxy, clean_redis):
    lost = proxy.lose_replies(to=b"EVAL", chance=0.02)
    truncated = proxy.truncate_replies(to=b"EVAL", chance=0.02)
    in_threads(8, lambda thread: [push(thread * 500 + number) for number in range(500)])
    assert lost.happened > 20
    assert truncated.happened > 20
    numbers = pushed(clean_redis)
    assert Counter(numbers) == Counter(range(4000))
    for thread in range(8):  # and in its own order
        own = [number for number in numbers if number // 500 == thread]
        assert own == sorted(own)


def in_threads(count: int, work: Callable[[int], object]) -> None:
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


# -- a server that is not there ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("away", [Proxy.refuse, Proxy.ignore])
def test_a_server_that_cannot_be_reached_is_an_error_soon(proxy, away):
    away(proxy)
    with refused():
        push(1)


@pytest.mark.parametrize("away", [Proxy.refuse, Proxy.ignore])
def test_a_server_that_has_gone_is_an_error_soon(connected, clean_redis, away):
    away(connected)
    with refused():
        push(1)
    assert pushed(clean_redis) == [0]


def test_a_server_that_says_nothing_at_all_is_an_error_soon(proxy):
    proxy.hold_requests()
    with refused():  # the conversation did not get so far that a job was sent
        push(1)


def test_after_a_failure_one_call_in_a_second_finds_out(proxy, clean_redis):
    proxy.refuse()
    with refused() as first:
        push(1)
    assert "not tried again" not in str(first.value)

    def tries() -> bool:
        with refused() as caught:
            push(1)
        return "not tried again" not in str(caught.value)

    assert not tries()
    begun = time.monotonic()
    next(itertools.dropwhile(lambda _: not tries(), itertools.count()))
    assert 0.5 < time.monotonic() - begun < SOON
    assert not tries()

    proxy.heal()
    with refused() as caught:
        push(1)
    assert "not tried again" in str(caught.value)
    until_pushed(2)
    push(3)
    assert pushed(clean_redis) == [2, 3]


def test_a_server_that_is_loading_its_data_is_a_certain_error(settings):
    slowly = {"key-load-delay": "50000", "loading-process-events-interval-bytes": "1024", "rdbcompression": "no"}
    with RedisServer(config=slowly) as server:
        with server.client() as client:
            client.mset({f"key {number}": "x" * 1024 for number in range(200)})
            client.save()
        server.restart()
        settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": server.url}}
        with refused() as caught:
            push(1)
        assert "loading" in str(caught.value)
        store().close()


@pytest.mark.parametrize("stale_data", ["yes", "no"])
def test_a_server_that_has_become_a_replica_is_a_certain_error(connected, clean_redis, stale_data):
    clean_redis.config_set("replica-serve-stale-data", stale_data)
    clean_redis.replicaof("127.0.0.1", "1")
    try:
        with refused():
            push(1)
    finally:
        clean_redis.replicaof("NO", "ONE")
        clean_redis.config_set("replica-serve-stale-data", "yes")
    assert pushed(clean_redis) == [0]


# -- a server that has been restarted, emptied, told to pause ----------------------------------------------------------


def kill_clients(client: redis.Redis) -> None:
    client.client_kill_filter(skipme=True)


def pause(client: redis.Redis) -> None:
    client.client_pause(300)


@pytest.mark.parametrize("disturb", [redis.Redis.script_flush, kill_clients, pause, redis.Redis.flushall])
def test_what_an_administrator_does_is_not_noticed(clean_redis, disturb):
    push(0)
    before = pushed(clean_redis)
    disturb(clean_redis)
    push(1)
    assert pushed(clean_redis) in ([*before, 1], [1])


def test_a_restart_is_not_noticed(redis_server, clean_redis):
    push(0)
    redis_server.restart()
    push(1)
    with redis_server.client() as client:
        assert pushed(client) == [1]


def test_a_child_pushes_on_connections_of_its_own(clean_redis):
    push(0)
    child = os.fork()
    if child == 0:
        try:
            for number in range(100, 150):
                push(number)
        finally:
            os._exit(0)
    for number in range(1, 50):
        push(number)
    os.waitpid(child, 0)
    assert Counter(pushed(clean_redis)) == Counter([*range(50), *range(100, 150)])
    assert len(clean_redis.keys("resque:django:producer:*")) == 2


# -- a server that refuses ---------------------------------------------------------------------------------------------


def test_a_full_server_takes_nothing(clean_redis):
    push(0)
    before = snapshot(clean_redis)
    clean_redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(QueueFull) as caught:
            push(1)
        assert snapshot(clean_redis) == before
    finally:
        clean_redis.config_set("maxmemory", 0)
    assert not caught.value.uncertain
    push(2)
    assert pushed(clean_redis) == [0, 2]


@pytest.mark.parametrize("key", ["resque:queue:broken", "resque:queues"])
def test_a_key_of_the_wrong_type_is_an_error_and_nothing_is_written(clean_redis, key):
    clean_redis.set(key, "a string")
    before = snapshot(clean_redis)
    with refused() as caught:
        store().producers.push([outgoing(1), outgoing(2, "broken")])
    assert key in str(caught.value)
    assert len(caught.value.jobs) == 2
    assert snapshot(clean_redis) == before


def test_a_user_who_may_not_ring_the_bell_can_push(clean_redis, redis_server, settings):
    clean_redis.acl_setuser("app", enabled=True, passwords=["+secret"], keys=["*"], categories=["+@all"], reset=True)
    try:
        location = redis_server.url.replace("://", "://app:secret@")
        settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": location}}
        push(1)
    finally:
        clean_redis.acl_deluser("app")
    assert pushed(clean_redis) == [1]


def run_push(client: redis.Redis, number: int, *payloads: str, how: str = "") -> Any:
    """The script itself, as a producer of the name ``p`` calls it."""
    keys = ["resque:django:producer:p", "resque:queues", "resque:django:bell", "resque:delayed_queue_schedule"]
    args: list[Any] = [number, 3600, 3600, "resque:"]
    for payload in payloads:
        keys += "resque:queue:default", f"resque:job:{payload}:status"
        args += "default", payload, "", how.replace("ID", payload)
    return client.eval(script("push").source, len(keys), *keys, *args)


def test_the_number_of_a_push_decides(clean_redis):
    for _ in range(2):
        assert run_push(clean_redis, 5, "fifth") == []
    with pytest.raises(redis.ResponseError, match="STALE push 4"):
        run_push(clean_redis, 4, "fourth")
    assert run_push(clean_redis, 6, "sixth") == []
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [b"fifth", b"sixth"]


# -- what is written ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("namespace", ["resque", "{resque}", "a:site"])
def test_all_keys_are_in_the_namespace(clean_redis, settings, namespace):
    settings.RESQUE = {**settings.RESQUE, "NAMESPACE": namespace}
    job = using(check=False, queue="mail").enqueue("tidy", 1)
    keys = {key.decode() for key in clean_redis.keys()}
    (producer,) = {key for key in keys if key.startswith(f"{namespace}:django:producer:")}
    assert keys - {producer} == {f"{namespace}:{rest}" for rest in ("queues", "queue:mail", f"job:{job.id}:status")}
    assert 0 < clean_redis.ttl(producer) <= 3600
    assert 0 < clean_redis.ttl(f"{namespace}:job:{job.id}:status") <= 7 * 24 * 3600


def test_only_a_job_on_an_empty_queue_rings_the_bell(clean_redis):
    with clean_redis.pubsub() as bell:
        bell.subscribe("resque:django:bell")
        heard = bell.listen()
        assert next(heard)["type"] == "subscribe"
        push(1)
        push(2, 3)
        store().producers.push([outgoing(4, "mail"), outgoing(5), outgoing(6, "mail")])
        clean_redis.publish("resque:django:bell", "the end")
        assert [message["data"] for message in itertools.islice(heard, 3)] == [b"default", b"mail", b"the end"]


# -- later -------------------------------------------------------------------------------------------------------------


def special(number: int, *, queue: str = "default", track: bool = True, **how: Any) -> Outgoing:
    """A job with a ``due``, a ``delay`` or a key of uniqueness."""
    job = Job("tidy", (number,), queue=queue)
    delayed = "due" in how or "delay" in how
    return Outgoing(job, job.delayed_item() if delayed else job.payload(), track=track, **how)


def now(client: redis.Redis) -> float:
    seconds, microseconds = client.time()
    return seconds + microseconds / 1_000_000


@pytest.mark.parametrize("namespace", ["resque", "{resque}", "a:site"])
def test_a_delayed_job_stands_where_the_family_looks_for_it(clean_redis, settings, namespace):
    settings.RESQUE = {**settings.RESQUE, "NAMESPACE": namespace}
    due = int(now(clean_redis)) + 1000
    items = [special(number, queue="mail", due=due) for number in range(2)]
    assert store().producers.push(items) == {}
    keys = {key for key in clean_redis.keys() if b":django:producer:" not in key}
    prefix = f"{namespace}:".encode()
    assert keys == {
        prefix + b"delayed_queue_schedule",
        prefix + b"delayed:%d" % due,
        *[prefix + b"timestamps:" + item.payload for item in items],
        *[prefix + f"job:{item.job.id}:status".encode() for item in items],
    }
    assert clean_redis.zrange(f"{namespace}:delayed_queue_schedule", 0, -1, withscores=True) == [(b"%d" % due, due)]
    assert clean_redis.lrange(f"{namespace}:delayed:{due}", 0, -1) == [item.payload for item in items]
    for item in items:
        assert set(clean_redis.smembers(prefix + b"timestamps:" + item.payload)) == {b"delayed:%d" % due}
        status = f"{namespace}:job:{item.job.id}:status"
        assert json.loads(clean_redis.get(status))["status"] == 63
        assert 7 * 24 * 3600 + 990 < clean_redis.ttl(status) <= 7 * 24 * 3600 + 1001


def test_a_delay_counts_by_the_clock_of_redis_and_is_rounded_up(clean_redis):
    before = now(clean_redis)
    store().producers.push([special(1, delay=0.001), special(2, delay=100.0)])
    after = now(clean_redis)
    soon, later = (
        score for _member, score in clean_redis.zrange("resque:delayed_queue_schedule", 0, -1, withscores=True)
    )
    assert before + 0.001 <= soon < after + 0.001 + 1
    assert before + 100 <= later < after + 100 + 1
    assert soon == int(soon)


@pytest.mark.parametrize("seconds", [-(2**40), -1, 0])
def test_a_job_whose_time_has_passed_is_in_its_queue_at_once(clean_redis, seconds):
    item = special(1, due=int(now(clean_redis)) + seconds)
    store().producers.push([item])
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [item.payload]
    assert set(clean_redis.smembers("resque:queues")) == {b"default"}
    assert not clean_redis.exists("resque:delayed_queue_schedule")
    status = f"resque:job:{item.job.id}:status"
    assert json.loads(clean_redis.get(status))["status"] == 1
    assert clean_redis.ttl(status) <= 7 * 24 * 3600


def test_the_bell_is_rung_for_what_is_due_very_soon_and_for_what_is_in_a_queue(clean_redis):
    with clean_redis.pubsub() as bell:
        bell.subscribe("resque:django:bell")
        heard = bell.listen()
        assert next(heard)["type"] == "subscribe"
        store().producers.push([special(1, delay=100.0)])
        store().producers.push([special(2, delay=0.5)])
        store().producers.push([special(3, due=1)])
        clean_redis.publish("resque:django:bell", "the end")
        assert [message["data"] for message in itertools.islice(heard, 3)] == [b":due", b"default", b"the end"]


def test_a_delayed_push_whose_reply_is_lost_is_carried_out_once(connected, clean_redis):
    fault = connected.lose_replies(1, to=b"EVALSHA")
    item = special(1, due=4_000_000_000)
    store().producers.push([item])
    assert fault.happened == 1
    assert clean_redis.lrange("resque:delayed:4000000000", 0, -1) == [item.payload]


@pytest.mark.parametrize("track", [True, False])
def test_a_status_is_kept_when_it_is_asked_for(clean_redis, track):
    item = special(1, due=4_000_000_000, track=track)
    store().producers.push([item])
    assert clean_redis.exists(f"resque:job:{item.job.id}:status") == track


# -- one at a time -----------------------------------------------------------------------------------------------------


def test_a_second_job_under_a_key_is_not_pushed_and_the_first_ones_id_is_given(clean_redis):
    first, second, other = (special(number, unique=(key, 60)) for number, key in enumerate(["a", "a", "b"]))
    assert store().producers.push([first]) == {}
    assert store().producers.push([outgoing(9), second, other]) == {1: first.job.id}
    assert pushed(clean_redis) == [0, 9, 2]
    assert clean_redis.get("resque:django:unique:a").decode() == first.job.id
    assert 55 < clean_redis.ttl("resque:django:unique:a") <= 60
    assert not clean_redis.exists(f"resque:job:{second.job.id}:status")


def test_of_two_in_one_push_the_first_is_the_one(clean_redis):
    first, second = (special(number, unique=("a", 60)) for number in range(2))
    assert store().producers.push([first, second]) == {1: first.job.id}
    assert pushed(clean_redis) == [0]


def test_a_key_that_nobody_holds_any_more_is_free_again(clean_redis):
    store().producers.push([special(1, unique=("a", 60))])
    clean_redis.delete("resque:django:unique:a")
    assert store().producers.push([special(2, unique=("a", 60))]) == {}
    assert pushed(clean_redis) == [1, 2]


def test_part_of_a_second_is_a_second(clean_redis):
    store().producers.push([special(1, unique=("a", 0.1))])
    assert 0 < clean_redis.pttl("resque:django:unique:a") <= 1000


def test_a_key_is_held_until_the_job_is_due_and_its_seconds_longer(clean_redis):
    due = int(now(clean_redis)) + 1000
    first = special(1, due=due, unique=("a", 60))
    assert store().producers.push([first, special(2, unique=("a", 60))]) == {1: first.job.id}
    assert 1055 < clean_redis.ttl("resque:django:unique:a") <= 1061
    assert pushed(clean_redis) == []
    store().producers.push([special(3, due=1, unique=("b", 60))])
    assert clean_redis.ttl("resque:django:unique:b") <= 60


def test_what_waits_already_is_told_again_when_the_reply_is_lost(connected, clean_redis):
    first = special(1, unique=("a", 60))
    store().producers.push([first])
    items = [special(2, unique=("a", 60)), outgoing(3), special(4, unique=("a", 60))]
    fault = connected.lose_replies(1, to=b"EVALSHA")
    assert store().producers.push(items) == {0: first.job.id, 2: first.job.id}
    assert fault.happened == 1
    assert pushed(clean_redis) == [0, 1, 3]


@pytest.mark.parametrize("job_id", ["1", "0x10", "1e5", "d" * 100, "-5", "!"])
def test_an_answer_is_the_same_again_whatever_an_id_looks_like(clean_redis, job_id):
    assert run_push(clean_redis, 1, job_id, how="\nID\nkey\n60") == []
    answer = run_push(clean_redis, 2, "x", "y", how="\nID\nkey\n60")
    assert answer == [0, job_id.encode(), 1, job_id.encode()]
    before = snapshot(clean_redis)
    assert run_push(clean_redis, 2, "x", "y", how="\nID\nkey\n60") == answer
    assert snapshot(clean_redis) == before


def test_an_answer_is_that_of_its_own_push(clean_redis):
    run_push(clean_redis, 1, "a", how="\nID\nkey\n60")
    assert run_push(clean_redis, 2, "b", how="\nID\nkey\n60") == [0, b"a"]
    assert run_push(clean_redis, 3, "c") == run_push(clean_redis, 3, "c") == []


def test_many_callers_push_one_job_under_a_key(clean_redis):
    found: list[dict[int, str]] = []

    def push_one(thread: int) -> None:
        found.append(store().producers.push([special(thread, unique=("a", 60))]))

    in_threads(8, push_one)
    holder = clean_redis.get("resque:django:unique:a").decode()
    assert found.count({}) == 1
    assert found.count({0: holder}) == 7
    assert len(pushed(clean_redis)) == 1


# -- a server that refuses what is special -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "item",
    [
        special(1, due=4_000_000_000),
        special(1, delay=5.0),
        special(1, unique=("a", 60)),
        special(1, due=4_000_000_000, unique=("a", 60)),
    ],
)
def test_a_full_server_takes_nothing_special_either(clean_redis, item):
    push(0)
    before = snapshot(clean_redis)
    clean_redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(QueueFull):
            store().producers.push([item])
        assert snapshot(clean_redis) == before
    finally:
        clean_redis.config_set("maxmemory", 0)
    assert store().producers.push([item]) == {}


DUE = 4_000_000_000


@pytest.mark.parametrize("key", ["delayed_queue_schedule", f"delayed:{DUE}", "timestamps:", "django:unique:a"])
def test_a_key_of_the_wrong_type_for_what_is_special_is_an_error_and_nothing_is_written(clean_redis, key):
    item = special(1, due=DUE, unique=("a", 60))
    name = b"resque:" + key.encode() + (item.payload if key == "timestamps:" else b"")
    clean_redis.hset(name, "a", "hash")
    before = snapshot(clean_redis)
    with refused() as caught:
        store().producers.push([outgoing(2), item])
    assert name.decode() in str(caught.value)
    assert len(caught.value.jobs) == 2
    assert snapshot(clean_redis) == before


def test_the_queue_of_a_job_that_is_due_later_is_not_looked_at(clean_redis):
    clean_redis.set("resque:queue:default", "a string")
    store().producers.push([special(1, due=DUE)])
    with refused():
        store().producers.push([special(2, due=1)])
