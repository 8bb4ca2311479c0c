"""Worker processes as they tell about themselves, messages to them, and what is paused."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import redis
from django.test import override_settings

from django_resque.errors import InvalidQueue, StoreError, StoreUnavailable
from django_resque.store import Replies, WorkerProcessInfo, store
from django_resque.store.control import MESSAGES, SLICE
from django_resque.store.processes import process_of

from .processes_in_redis import IDENTITY, WORKER, TurnTaker, full
from .proxy import Proxy
from .servers import RedisServer

PROCESS = "resque:django:process:abc123"
CONTROL = "resque:django:control:abc123"
REPLY = "resque:django:reply:m1"


@pytest.fixture
def process() -> Iterator[TurnTaker]:
    taker = TurnTaker()
    yield taker
    taker.close()


@pytest.fixture
def bell(clean_redis: redis.Redis) -> Iterator[Callable[[], str]]:
    """Gives the next ring."""
    with clean_redis.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe("resque:django:bell")
        listener.get_message(ignore_subscribe_messages=False, timeout=10)

        def rung() -> str:
            found = listener.get_message(timeout=10)
            assert found is not None, "the bell does not ring"
            return str(found["data"], "utf-8")

        yield rung


def send(message: bytes = b"a message", *, name: str = "abc123", seconds: float = 10) -> bool:
    return store().ask(store().control.send(name, message, store().time() + seconds))


# -- processes ---------------------------------------------------------------------------------------------------------


def test_without_processes_there_are_none():
    population = store().processes.population()
    assert (population.processes, population.others) == ([], [])
    assert abs(population.now - time.time()) < 60
    assert store().processes.all() == []


def test_a_process_tells_about_itself(process: TurnTaker, clean_redis: redis.Redis):
    info = {
        "kind": "scheduler",
        "host": "web1",
        "pid": 43,
        "queues": "mail,*",
        "performers": 3,
        "started": 1763643600.5,
        "launch": "a token",
        "argv": ["manage.py", "resque_worker", "-q", "mail,*"],
        "log": "/var/log/resque.log",
        "cwd": "/srv",
        "version": "1.2.3",
    }
    clean_redis.hset(PROCESS, mapping={"info": json.dumps(info), "mode": "paused"})
    process.turn(memory=123_456_789)
    (found,) = store().processes.all()
    assert found == WorkerProcessInfo(
        name="abc123",
        identity=IDENTITY,
        lease=found.lease,
        alive=True,
        kind="scheduler",
        host="web1",
        pid=43,
        queues="mail,*",
        performers=3,
        started=1763643600.5,
        launch="a token",
        argv=("manage.py", "resque_worker", "-q", "mail,*"),
        log="/var/log/resque.log",
        cwd="/srv",
        mode="paused",
        workers=(WORKER,),
        version="1.2.3",
        memory=123_456_789,
        heard=found.lease - 30,
    )
    assert found.member == process.process.member
    assert 0 < found.lease - time.time() < 60


def test_a_process_was_last_heard_when_it_renewed_its_lease(process: TurnTaker, clean_redis: redis.Redis):
    clean_redis.hset(PROCESS, "heard", 1)
    process.turn()
    assert [found.heard for found in store().processes.all()] == [1]
    process.turn(renew=True)
    assert [found.heard for found in store().processes.all()] == [found.lease - 30 for found in store().processes.all()]


@pytest.mark.parametrize("told", [None, b"", b"-1", b"1e9", b"9" * 5000, b"\xff"])
def test_what_a_process_does_not_tell_as_we_do_is_not_known(
    process: TurnTaker, clean_redis: redis.Redis, told: bytes | None
):
    clean_redis.hdel(PROCESS, "heard", "memory")
    if told is not None:
        clean_redis.hset(PROCESS, mapping={"heard": told, "memory": told})
    (found,) = store().processes.all()
    assert (found.version, found.memory, found.heard) == ("", 0, 0.0)


@pytest.mark.parametrize(
    "info",
    [
        None,
        b"",
        b"\xff",
        b"[]",
        b"{",
        b"[" * 100_000,
        b'{"host": 1, "pid": "x", "queues": {}, "performers": true, "started": -1, "argv": "ls", "kind": null}',
        b'{"pid": 1e400, "started": NaN, "performers": 1e300, "argv": [1]}',
    ],
)
def test_of_a_process_that_says_nothing_useful_the_ids_of_its_workers_tell(
    process: TurnTaker, clean_redis: redis.Redis, info: bytes | None
):
    clean_redis.hdel(PROCESS, "info", "mode")
    if info is not None:
        clean_redis.hset(PROCESS, "info", info)
    (found,) = store().processes.all()
    assert (found.host, found.pid, found.queues, found.performers) == ("host", 42, "default", 1)
    assert (found.kind, found.started, found.argv, found.mode) == ("worker", 0, (), "")


def test_of_a_process_whose_key_is_something_else_its_name_is_known(process: TurnTaker, clean_redis: redis.Redis):
    clean_redis.delete(PROCESS)
    clean_redis.rpush(PROCESS, "not a hash")
    (found,) = store().processes.all()
    assert (found.name, found.host, found.pid, found.alive) == ("abc123", "", 0, False)


def test_a_process_is_alive_until_its_lease_ends_or_it_is_declared_dead(process: TurnTaker, clean_redis: redis.Redis):
    clean_redis.zadd("resque:django:processes", {process.process.member: store().time() - 1})
    assert [found.alive for found in store().processes.all()] == [False]
    clean_redis.zadd("resque:django:processes", {process.process.member: store().time() + 30})
    assert [found.alive for found in store().processes.all()] == [True]
    reaper = TurnTaker("reaper", register=False)
    reaper.condemn(process)
    reaper.close()
    (found,) = store().processes.all()
    assert (found.alive, found.lease) == (False, 0)


def test_workers_of_other_programs_are_told_apart(process: TurnTaker, clean_redis: redis.Redis):
    clean_redis.sadd("resque:workers", "ruby:7:mail", "host~gone99-1:8:mail")
    population = store().processes.population()
    assert [found.name for found in population.processes] == ["abc123"]
    assert population.others == ["host~gone99-1:8:mail", "ruby:7:mail"]
    assert list(map(process_of, [WORKER, *population.others])) == ["abc123", "gone99", ""]


def test_however_many_processes_there_are_they_are_read_in_two_round_trips(clean_redis: redis.Redis):
    takers = [TurnTaker(f"many{number}") for number in range(20)]
    before = clean_redis.info("stats")["total_commands_processed"]
    assert len(store().processes.all()) == 20
    assert len(store().processes.all(limit=5)) == 5
    commands = clean_redis.info("stats")["total_commands_processed"] - before
    assert commands <= 2 * (3 + 1) + 25  # each process costs one command, in a pipeline
    for taker in takers:
        taker.close()


def test_the_states_of_processes_are_read_in_one_round_trip(process: TurnTaker, clean_redis: redis.Redis):
    (found,) = store().processes.all()
    clean_redis.hset(PROCESS, "mode", "paused")
    now, (state,) = store().processes.states([found])
    assert (state.registered, state.mode) == (True, "paused")
    assert state.lease > now
    process.unregister()
    _, (state,) = store().processes.states([found])
    assert not state.registered
    assert store().processes.states([])[1] == []


def test_processes_that_cannot_be_read_are_an_error_of_the_store(process: TurnTaker, clean_redis: redis.Redis):
    (found,) = store().processes.all()
    clean_redis.set("resque:django:processes", "not a set")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        store().processes.all()
    with pytest.raises(StoreError, match="WRONGTYPE"):
        store().processes.states([found])


# -- messages ----------------------------------------------------------------------------------------------------------


def test_a_message_is_left_for_a_process_and_the_bell_rings(
    process: TurnTaker, clean_redis: redis.Redis, bell: Callable[[], str]
):
    assert send(seconds=5)
    assert clean_redis.lrange(CONTROL, 0, -1) == [b"a message"]
    assert 4 <= clean_redis.ttl(CONTROL) <= 7
    assert bell() == ":control abc123"


def test_messages_are_kept_as_long_as_the_one_that_may_be_obeyed_longest(process: TurnTaker, clean_redis: redis.Redis):
    send(b"one", seconds=20)
    send(b"two", seconds=2)
    assert clean_redis.ttl(CONTROL) > 15
    send(b"three", seconds=60)
    assert clean_redis.ttl(CONTROL) > 55
    assert clean_redis.lrange(CONTROL, 0, -1) == [b"one", b"two", b"three"]


def test_a_message_that_is_sent_again_is_there_once(process: TurnTaker, clean_redis: redis.Redis):
    assert send()
    assert send()
    assert clean_redis.lrange(CONTROL, 0, -1) == [b"a message"]


def test_nothing_is_left_for_a_process_that_is_not_registered(clean_redis: redis.Redis):
    assert not send()
    assert clean_redis.keys() == []


def test_nothing_is_left_for_a_process_that_was_declared_dead(process: TurnTaker, clean_redis: redis.Redis):
    process.reserve("{}")
    reaper = TurnTaker("reaper", register=False)
    reaper.condemn(process)
    reaper.close()
    assert not send()
    assert not clean_redis.exists(CONTROL)


def test_of_too_many_messages_the_oldest_are_dropped(process: TurnTaker, clean_redis: redis.Redis):
    for number in range(MESSAGES + 5):
        send(b"%d" % number)
    assert clean_redis.lrange(CONTROL, 0, -1) == [b"%d" % number for number in range(5, MESSAGES + 5)]


def test_a_full_server_takes_messages_and_pauses(process: TurnTaker, clean_redis: redis.Redis):
    with full(clean_redis):
        assert send()
        assert store().ask(store().control.pause_queue("mail"))
        store().ask(store().control.pause_all(True))
    assert clean_redis.llen(CONTROL) == 1


def test_a_message_where_something_else_is_is_refused(process: TurnTaker, clean_redis: redis.Redis):
    clean_redis.set(CONTROL, "not a list")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        send()


# -- answers -----------------------------------------------------------------------------------------------------------


def answer(timeout: float) -> tuple[str, bytes] | None:
    with store().control.replies() as replies:
        return replies.next(["m1"], timeout)


def test_an_answer_is_heard_once(clean_redis: redis.Redis):
    clean_redis.rpush(REPLY, "yes")
    assert answer(10) == ("m1", b"yes")
    assert answer(0.01) is None


def test_an_answer_that_comes_later_is_waited_for(clean_redis: redis.Redis):
    found: list[tuple[str, bytes] | None] = []
    thread = threading.Thread(target=lambda: found.append(answer(60)))
    thread.start()
    while not clean_redis.info("clients")["blocked_clients"]:
        pass
    clean_redis.rpush(REPLY, "yes")
    thread.join(30)
    assert found == [("m1", b"yes")]


def test_waiting_may_take_longer_than_one_request(clean_redis: redis.Redis):
    begun = time.monotonic()
    assert answer(1.2 * SLICE) is None
    assert time.monotonic() - begun >= 1.2 * SLICE


def test_the_first_of_several_answers_is_heard_with_its_message(clean_redis: redis.Redis):
    with store().control.replies() as replies:
        clean_redis.rpush("resque:django:reply:m2", "two")
        assert replies.next(["m1", "m2"], 10) == ("m2", b"two")
        clean_redis.rpush(REPLY, "one")
        assert replies.next(["m1", "m2"], 0) == ("m1", b"one")
        assert replies.next(["m1", "m2"], 0) is None


def test_after_a_lost_connection_the_next_call_connects_anew(redis_server: RedisServer, clean_redis: redis.Redis):
    with Proxy(redis_server.port) as proxy:
        with override_settings(CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": proxy.url}}):
            replies = Replies(store().pool, store().keys)
            assert replies.next(["m1"], 0) is None
            proxy.cut()
            with pytest.raises(StoreUnavailable):
                replies.next(["m1"], 10)
            clean_redis.rpush(REPLY, "yes")
            assert replies.next(["m1"], 10) == ("m1", b"yes")
            replies.close()
            store().close()


# -- pausing -----------------------------------------------------------------------------------------------------------


def test_queues_are_paused_one_by_one(clean_redis: redis.Redis):
    control = store().control
    assert control.paused_queues() == []
    assert [store().ask(control.pause_queue(name)) for name in ("mail", "a", "mail")] == [True, True, False]
    assert control.paused_queues() == ["a", "mail"]
    assert [store().ask(control.resume_queue(name)) for name in ("mail", "mail")] == [True, False]
    assert control.paused_queues() == ["a"]


def test_a_paused_queue_hands_out_no_jobs_until_it_is_resumed(process: TurnTaker, clean_redis: redis.Redis):
    clean_redis.rpush("resque:queue:mail", "{}")
    store().ask(store().control.pause_queue("mail"))
    assert process.turn(wanted=1, queues=["mail"]).jobs == []
    store().ask(store().control.resume_queue("mail"))
    assert len(process.turn(wanted=1, queues=["mail"]).jobs) == 1


def test_a_queue_that_is_resumed_rings(clean_redis: redis.Redis, bell: Callable[[], str]):
    store().ask(store().control.pause_queue("mail"))
    store().ask(store().control.resume_queue("mail"))
    assert bell() == "mail"


def test_what_can_be_no_queue_cannot_be_paused():
    with pytest.raises(InvalidQueue):
        store().control.pause_queue("a b")


def test_all_workers_are_paused_as_the_family_does(
    process: TurnTaker, clean_redis: redis.Redis, bell: Callable[[], str]
):
    control = store().control
    clean_redis.sadd("resque:queues", "mail")
    assert not control.all_paused()
    store().ask(control.pause_all(True))
    assert clean_redis.get("resque:pause-all-workers") == b"true"
    assert control.all_paused()
    assert process.turn(wanted=1).state == "paused"
    store().ask(control.pause_all(False))
    assert not clean_redis.exists("resque:pause-all-workers")
    assert not control.all_paused()
    assert bell() == "mail"
    assert process.turn(wanted=1).state == "ok"


@pytest.mark.parametrize(("value", "paused"), [(b" TRUE\n", True), (b"false", False), (b"1", False), (b"\xff", False)])
def test_what_others_wrote_there_is_read_as_workers_read_it(clean_redis: redis.Redis, value: bytes, paused: bool):
    clean_redis.set("resque:pause-all-workers", value)
    assert store().control.all_paused() is paused


def test_resuming_all_works_without_the_set_of_queues(clean_redis: redis.Redis):
    clean_redis.set("resque:queues", "not a set")
    store().ask(store().control.pause_all(False))
