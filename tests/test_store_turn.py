"""Turns: what a worker process tells and gets, and what Redis then holds."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from django_resque.errors import StoreError, StoreUnavailable
from django_resque.store import Answer, Entry, Reserved, Turn, store

from .proxy import Proxy
from .servers import RedisServer

WORKER = "host~abc123-1:42:default"
PREFIX = "resque:"


class Process:
    """A worker process with one worker, ``WORKER``, that is registered and takes turns."""

    def __init__(self, name: str = "abc123", *, register: bool = True) -> None:
        self.reservations = store().reservations(name)
        self.number = 0
        if register:
            assert self.register()

    def register(self) -> bool:
        return self.reservations.register([WORKER], started="2026-11-20 13:21:45 +0000", heartbeat="a time")

    def turn(self, *entries: Entry, wanted: int = 0, queues: Sequence[str] = ("default",)) -> Answer:
        """The next turn."""
        self.number += 1
        return self.again(*entries, wanted=wanted, queues=queues)

    def again(self, *entries: Entry, wanted: int = 0, queues: Sequence[str] = ("default",)) -> Answer:
        """A turn with the number of the last one."""
        return self.reservations.turn(Turn(self.number, entries, wanted, queues))

    def reserve(self, *payloads: bytes | str, queue: str = "default") -> list[Reserved]:
        """Jobs with these payloads, pushed and taken."""
        store().client.rpush(f"{store().keys.prefix}queue:{queue}", *payloads)
        return list(self.turn(wanted=len(payloads), queues=[queue]).jobs)


@pytest.fixture
def process() -> Iterator[Process]:
    process = Process()
    yield process
    process.reservations.close()


def entry(kind: str, reserved: Reserved | None = None, **more: Any) -> Entry:
    """An entry about a job whose status has the id ``1``."""
    if reserved is None:
        return Entry(kind, WORKER, **more)
    return Entry(
        kind,
        WORKER,
        reserved.token,
        status_id="1",
        status=kind.encode(),
        requeued=b"waiting again",
        record=b"the record",
        **more,
    )


def digest(payload: bytes) -> str:
    return hashlib.sha1(payload).hexdigest()


def state(client: redis.Redis) -> dict[str, Any]:
    """Everything in Redis: key without the prefix → value."""
    read = {
        b"string": client.get,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": lambda key: set(client.smembers(key)),  # redis-py 5.1 gives a list
        b"hash": client.hgetall,
    }
    return {key.decode().removeprefix(PREFIX): read[client.type(key)](key) for key in client.keys()}


@contextmanager
def changes(client: redis.Redis) -> Iterator[dict[str, Any]]:
    """What the block changes: key → value, None for keys that it removes. The record of the turn itself is left out."""
    found: dict[str, Any] = {}
    before = state(client)
    yield found
    after = state(client)
    found.update({key: after.get(key) for key in before.keys() | after.keys() if before.get(key) != after.get(key)})
    found.pop("django:process:abc123", None)


@contextmanager
def full(client: redis.Redis) -> Iterator[None]:
    """The server has no memory left."""
    client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        client.config_set("maxmemory", 0)


# -- taking jobs -------------------------------------------------------------------------------------------------------


def test_jobs_are_handed_out_in_order_and_kept_as_reservations(process, clean_redis):
    clean_redis.rpush("resque:queue:default", "a", "b", "c")
    with changes(clean_redis) as changed:
        answer = process.turn(wanted=2)
    assert answer.state == "ok"
    assert answer.jobs == [Reserved("1.1", "default", b"a"), Reserved("1.2", "default", b"b")]
    assert abs(answer.time - clean_redis.time()[0]) <= 1
    assert changed == {
        "queue:default": [b"c"],
        "django:reservations:abc123": {b"1.1": b"default\na", b"1.2": b"default\nb"},
    }


def test_a_batch_comes_from_the_first_queue_that_has_any(process, clean_redis):
    clean_redis.rpush("resque:queue:middle", "a", "b")
    clean_redis.rpush("resque:queue:low", "c")
    taken = [process.turn(wanted=3, queues=["high", "middle", "low"]).jobs for _ in range(3)]
    assert [[job.payload for job in jobs] for jobs in taken] == [[b"a", b"b"], [b"c"], []]


@pytest.mark.parametrize("payload", [b"", b"\n", b"a\nb\n", b"\x00\n\x00", bytes(range(256)), b"%s %1 {}" * 9999])
def test_payloads_are_moved_as_they_are(process, clean_redis, payload):
    (reserved,) = process.reserve(payload)
    assert reserved.payload == payload
    assert process.again(wanted=1).jobs == [reserved]
    process.turn(entry("given back", reserved))
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [payload]


@pytest.mark.parametrize("queue", ["ü", "with space", "with:colon", "%d%s", "{tag}", "*", "q" * 5000, ""])
def test_queues_of_any_name_are_served(process, clean_redis, queue):
    (reserved,) = process.reserve(b"payload", queue=queue)
    assert (reserved.queue, reserved.payload) == (queue, b"payload")
    process.turn(entry("given back", reserved))
    assert clean_redis.lrange(f"resque:queue:{queue}", 0, -1) == [b"payload"]


@pytest.mark.parametrize(
    ("value", "paused"), [("true", True), (" TRUE\n", True), ("false", False), ("", False), ("trueish", False)]
)
def test_no_jobs_while_all_workers_are_paused(process, clean_redis, value, paused):
    (reserved,) = process.reserve("a")
    clean_redis.rpush("resque:queue:default", "b")
    clean_redis.set("resque:pause-all-workers", value)
    answer = process.turn(entry("done", reserved), wanted=1)
    assert answer.state == ("paused" if paused else "ok")
    assert len(answer.jobs) == (0 if paused else 1)
    assert clean_redis.get("resque:stat:processed") == b"1"


# -- the number of a turn ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["done", "failed", "crashed", "given back"])
def test_a_turn_that_is_repeated_does_nothing_and_gets_the_same_answer(process, clean_redis, kind):
    first, second = process.reserve("a", "b")
    clean_redis.rpush("resque:queue:default", "c", "d")
    gone = Reserved("9.9", "default", b"gone")
    turn = [entry(kind, first), entry("done", gone), entry("done", second)]
    answer = process.turn(*turn, wanted=2)
    assert len(answer.jobs) == 2
    assert answer.refused == ["9.9"]
    before = state(clean_redis)
    for _ in range(3):
        assert process.again(*turn, wanted=2) == answer
    assert state(clean_redis) == before
    assert clean_redis.get("resque:stat:processed") == (b"2" if kind in ("done", "failed") else b"1")


def test_an_older_turn_is_refused_and_does_nothing(process, clean_redis):
    (reserved,) = process.reserve("a")
    process.turn()
    process.number -= 1
    clean_redis.rpush("resque:queue:default", "b")
    before = state(clean_redis)
    with pytest.raises(StoreError, match="STALE"):
        process.again(entry("done", reserved), wanted=1)
    assert state(clean_redis) == before


def test_a_process_that_is_not_known_is_gone(clean_redis):
    clean_redis.rpush("resque:queue:default", "a")
    before = state(clean_redis)
    answer = Process("nobody", register=False).turn(entry("beat"), wanted=1)
    assert (answer.state, answer.jobs) == ("gone", [])
    assert state(clean_redis) == before


@pytest.mark.parametrize("kind", ["running", "done", "failed", "crashed", "given back"])
def test_an_entry_about_a_job_that_is_not_held_any_more_is_refused(process, clean_redis, kind):
    (reserved,) = process.reserve("a")
    clean_redis.set("resque:job:1:status", "of the one who has it now")
    clean_redis.delete("resque:django:reservations:abc123")
    with changes(clean_redis) as changed:
        answer = process.turn(entry(kind, reserved))
    assert answer.refused == [reserved.token]
    assert changed == {}


# -- what each kind of entry does --------------------------------------------------------------------------------------

ENDED = {"django:reservations:abc123": None, f"worker:{WORKER}": None}
PROCESSED = {"stat:processed": b"1", f"stat:processed:{WORKER}": b"1"}
FAILED = {"stat:failed": b"1", f"stat:failed:{WORKER}": b"1", "failed": [b"the record"]}
REQUEUED = {"queue:default": [b"a"], "queues": {b"default"}, "job:1:status": b"waiting again"}


@pytest.mark.parametrize(
    ("kind", "effect"),
    [
        ("done", {**ENDED, **PROCESSED, "job:1:status": b"done"}),
        ("failed", {**ENDED, **PROCESSED, **FAILED, "job:1:status": b"failed"}),
        ("crashed", {**ENDED, **REQUEUED, "django:crashes": {digest(b"a").encode(): b"1"}}),
        ("given back", {**ENDED, **REQUEUED}),
        ("running", {f"worker:{WORKER}": b"the record", "job:1:status": b"running"}),
        ("unheard of", {}),
    ],
)
def test_an_entry_changes_this_and_nothing_else(process, clean_redis, kind, effect):
    (reserved,) = process.reserve("a")
    clean_redis.set("resque:job:1:status", "waiting", ex=1000)
    clean_redis.set(f"resque:worker:{WORKER}", "what runs now")
    with changes(clean_redis) as changed:
        answer = process.turn(entry(kind, reserved))
    assert changed == effect
    assert (answer.state, answer.refused, answer.trouble) == ("ok", [], [])


@pytest.mark.parametrize(
    ("kind", "seconds"), [("done", 3600), ("failed", 24 * 3600), ("running", 1000), ("given back", 1000)]
)
def test_a_status_is_kept_for_its_time(process, clean_redis, kind, seconds):
    (reserved,) = process.reserve("a")
    clean_redis.set("resque:job:1:status", "waiting", ex=1000)
    process.turn(entry(kind, reserved))
    assert seconds - 5 < clean_redis.ttl("resque:job:1:status") <= seconds


@pytest.mark.parametrize("kind", ["running", "done", "failed", "crashed", "given back"])
def test_a_status_that_nobody_asked_for_is_not_made(process, clean_redis, kind):
    (reserved,) = process.reserve("a")
    process.turn(entry(kind, reserved))
    assert not clean_redis.exists("resque:job:1:status")


def test_a_beat_is_a_heartbeat(process, clean_redis):
    with changes(clean_redis) as changed:
        process.turn(entry("beat", record=b"later"))
    assert changed == {"workers:heartbeat": {WORKER.encode(): b"later"}}


def test_what_is_given_back_returns_to_the_head_in_its_order(process, clean_redis):
    first, second = process.reserve("a", "b")
    clean_redis.rpush("resque:queue:default", "c")
    process.turn(entry("given back", second), entry("given back", first))
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [b"a", b"b", b"c"]


@pytest.mark.parametrize("kind", ["crashed", "given back"])
def test_what_returns_to_an_empty_queue_rings_the_bell(process, clean_redis, kind):
    first, second = process.reserve("a", "b")
    with clean_redis.pubsub() as bell:
        bell.subscribe("resque:django:bell")
        heard = bell.listen()
        assert next(heard)["type"] == "subscribe"
        process.turn(entry(kind, second), entry(kind, first))
        clean_redis.publish("resque:django:bell", "the end")
        assert [message["data"] for message in itertools.islice(heard, 2)] == [b"default", b"the end"]


def test_the_failed_list_is_bounded(clean_redis, settings):
    settings.RESQUE = {**settings.RESQUE, "FAILED_MAX": 1}
    process = Process()
    clean_redis.rpush("resque:failed", *range(9))
    jobs = process.reserve("a", "b", "c")
    turn = [entry("failed", reserved) for reserved in jobs]
    answer = process.turn(*turn)
    assert answer.dropped == 2
    assert process.again(*turn) == answer
    assert clean_redis.lrange("resque:failed", 0, -1) == [*(b"%d" % n for n in range(2, 9)), *3 * [b"the record"]]
    assert clean_redis.get("resque:stat:failed") == b"3"


# -- crashes -----------------------------------------------------------------------------------------------------------


def test_the_third_crash_is_the_one_failure_and_the_count_is_gone(process, clean_redis):
    clean_redis.rpush("resque:queue:default", "a", "b")
    for crashes in range(3):
        (reserved,) = process.turn(wanted=1).jobs
        assert (reserved.payload, reserved.crashes) == (b"a", crashes)
        process.turn(entry("crashed", reserved))
        process.again(entry("crashed", reserved))  # its answer was lost
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [b"b"]
    assert clean_redis.lrange("resque:failed", 0, -1) == [b"the record"]
    assert clean_redis.get("resque:stat:processed") == clean_redis.get("resque:stat:failed") == b"1"
    assert not clean_redis.exists("resque:django:crashes")


@pytest.mark.parametrize("kind", ["done", "failed"])
def test_crashes_are_forgotten_when_the_job_ends(process, clean_redis, kind):
    for payload in ("a", "b"):
        (reserved,) = process.reserve(payload)
        process.turn(entry("crashed", reserved))
        clean_redis.lpop("resque:queue:default")
    (reserved,) = process.reserve("a")
    assert reserved.crashes == 1
    process.turn(entry(kind, reserved))
    assert clean_redis.hgetall("resque:django:crashes") == {digest(b"b").encode(): b"1"}


def test_crashes_are_remembered_for_72_hours(process, clean_redis):
    (reserved,) = process.reserve("a")
    process.turn(entry("crashed", reserved))
    assert 72 * 3600 - 5 < clean_redis.ttl("resque:django:crashes") <= 72 * 3600


def test_a_count_of_crashes_that_is_no_number_starts_anew(process, clean_redis):
    clean_redis.hset("resque:django:crashes", digest(b"a"), "many")
    (reserved,) = process.reserve("a")
    assert reserved.crashes == 0
    process.turn(entry("crashed", reserved))
    assert clean_redis.hget("resque:django:crashes", digest(b"a")) == b"1"
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [b"a"]


# -- keys that others have broken --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        "stat:processed",
        "stat:failed",
        f"stat:processed:{WORKER}",
        f"stat:failed:{WORKER}",
        f"worker:{WORKER}",
        "workers:heartbeat",
        "job:1:status",
        "pause-all-workers",
        "queue:broken",
    ],
)
def test_a_key_of_the_wrong_type_hinders_only_itself(process, clean_redis, key):
    done, failed = process.reserve("a", "b")
    clean_redis.rpush("resque:queue:default", "c")
    clean_redis.delete(f"resque:{key}")
    clean_redis.zadd(f"resque:{key}", {"of another kind": 1})
    answer = process.turn(
        entry("beat", record=b"later"),
        entry("running", done),
        entry("done", done),
        entry("failed", failed),
        wanted=1,
        queues=["broken", "default"],
    )
    assert [job.payload for job in answer.jobs] == [b"c"]
    assert clean_redis.lrange("resque:failed", 0, -1) == [b"the record"]
    assert clean_redis.hkeys("resque:django:reservations:abc123") == [b"2.1"]
    for counter, value in {"processed": b"2", "failed": b"1"}.items():
        for whose in ("", f":{WORKER}"):
            if key != f"stat:{counter}{whose}":
                assert clean_redis.get(f"resque:stat:{counter}{whose}") == value
    if not key.startswith(("worker:", "job:", "pause")):  # these are replaced, or only read
        assert "WRONGTYPE" in answer.trouble[0]


@pytest.mark.parametrize("kind", ["crashed", "given back"])
def test_a_job_whose_queue_is_no_list_any_more_stays_reserved(process, clean_redis, kind):
    (reserved,) = process.reserve("a")
    clean_redis.set("resque:queue:default", "a string")
    answer = process.turn(entry(kind, reserved))
    assert "WRONGTYPE" in answer.trouble[0]
    assert clean_redis.hgetall("resque:django:reservations:abc123") == {b"1.1": b"default\na"}


@pytest.mark.parametrize(
    "key", ["failed", "queues", "django:crashes", "django:reservations:abc123", "django:process:abc123"]
)
def test_a_key_of_the_wrong_type_that_jobs_depend_on_stops_the_turn_before_it_writes(process, clean_redis, key):
    done, failed, back = process.reserve("a", "b", "c")
    clean_redis.rpush("resque:queue:default", "d")
    kept = clean_redis.dump(f"resque:{key}")
    clean_redis.set(f"resque:{key}", "a string")
    before = state(clean_redis)
    turn = [entry("done", done), entry("failed", failed), entry("given back", back)]
    with pytest.raises(StoreError, match="WRONGTYPE"):
        process.turn(*turn, wanted=1)
    assert state(clean_redis) == before

    clean_redis.delete(f"resque:{key}")
    if kept is not None:
        clean_redis.restore(f"resque:{key}", 0, kept)
    answer = process.again(*turn, wanted=1)
    assert (answer.state, answer.refused, len(answer.jobs)) == ("ok", [], 1)
    assert clean_redis.get("resque:stat:processed") == b"2"


# -- a server that is full ---------------------------------------------------------------------------------------------


def test_workers_go_on_when_the_memory_is_full(process, clean_redis):
    clean_redis.set("resque:job:1:status", "waiting")
    jobs = process.reserve("a", "b", "c", "d")
    clean_redis.rpush("resque:queue:default", "e")
    with full(clean_redis):
        with pytest.raises(redis.ResponseError, match="maxmemory"):
            clean_redis.set("a key", "a value")
        kinds = ["done", "failed", "crashed", "given back"]
        entries = [entry(kind, reserved) for kind, reserved in zip(kinds, jobs, strict=True)]
        answer = process.turn(entry("running", jobs[0]), *entries, entry("beat", record=b"later"), wanted=1)
        assert [job.payload for job in answer.jobs] == [b"d"]
    assert (answer.refused, answer.trouble) == ([], [])
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [b"c", b"e"]
    assert clean_redis.lrange("resque:failed", 0, -1) == [b"the record"]
    assert clean_redis.get("resque:stat:processed") == b"2"
    assert clean_redis.hget("resque:workers:heartbeat", WORKER) == b"later"


def test_a_worker_can_be_started_and_stopped_when_the_memory_is_full(clean_redis):
    clean_redis.rpush("resque:queue:default", "a")
    with full(clean_redis):
        process = Process()
        (reserved,) = process.turn(wanted=1).jobs
        process.turn(entry("done", reserved))
        assert process.reservations.unregister([WORKER]) == 0
    assert clean_redis.get("resque:stat:processed") == b"1"
    assert not clean_redis.exists("resque:workers")


# -- coming and going --------------------------------------------------------------------------------------------------


def test_registering_makes_the_process_and_its_workers_known(clean_redis):
    Process()
    assert state(clean_redis) == {
        "workers": {WORKER.encode()},
        f"worker:{WORKER}:started": b"2026-11-20 13:21:45 +0000",
        "workers:heartbeat": {WORKER.encode(): b"a time"},
        "django:processes": {b"abc123"},
        "django:process:abc123": {b"number": b"0"},
    }


def test_a_name_is_taken_once(process, clean_redis):
    before = state(clean_redis)
    another = store().reservations("abc123")
    assert not another.register(["host~abc123-1:43:default"], started="now", heartbeat="now")
    assert state(clean_redis) == before


def test_unregistering_leaves_nothing(process, clean_redis):
    done, failed = process.reserve("a", "b")
    process.turn(entry("done", done), entry("failed", failed))
    assert process.reservations.unregister([WORKER]) == 0
    assert state(clean_redis) == {"stat:processed": b"2", "stat:failed": b"1", "failed": [b"the record"]}
    assert process.turn().state == "gone"


def test_a_process_that_still_holds_jobs_leaves_the_boards_and_stays_known(process, clean_redis):
    (reserved,) = process.reserve("a")
    process.turn(entry("running", reserved))
    assert process.reservations.unregister([WORKER]) == 1
    assert state(clean_redis).keys() == {
        "django:processes",
        "django:process:abc123",
        "django:reservations:abc123",
    }


@pytest.mark.parametrize("key", ["workers", "django:processes", "django:process:abc123"])
def test_registering_changes_nothing_when_a_key_has_the_wrong_type(clean_redis, key):
    clean_redis.set(f"resque:{key}", "a string")
    before = state(clean_redis)
    process = Process(register=False)
    if key == "django:process:abc123":
        assert not process.register()  # whatever it is, the name is taken
    else:
        with pytest.raises(StoreError, match="WRONGTYPE"):
            process.register()
    assert state(clean_redis) == before


@pytest.mark.parametrize("key", ["workers", "django:processes", "django:reservations:abc123"])
def test_unregistering_changes_nothing_when_a_key_has_the_wrong_type(process, clean_redis, key):
    clean_redis.set(f"resque:{key}", "a string")
    before = state(clean_redis)
    with pytest.raises(StoreError, match="WRONGTYPE"):
        process.reservations.unregister([WORKER])
    assert state(clean_redis) == before


def test_heartbeats_of_the_wrong_type_hinder_no_coming_and_going(clean_redis):
    clean_redis.set("resque:workers:heartbeat", "a string")
    process = Process()
    assert process.turn(entry("beat", record=b"now")).trouble
    assert process.reservations.unregister([WORKER]) == 0
    assert state(clean_redis) == {"workers:heartbeat": b"a string"}


# -- the wire ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(redis_server: RedisServer, settings: Any) -> Iterator[Proxy]:
    """What stands between `store` and Redis."""
    with Proxy(redis_server.port) as proxy:
        settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": proxy.url}}
        yield proxy
        store().close()


@pytest.mark.parametrize("spoil", [Proxy.lose_replies, Proxy.truncate_replies])
def test_a_registration_whose_reply_is_lost_is_repeated(proxy, clean_redis, spoil):
    Process("other")
    spoil(proxy, 1, to=b"EVAL")
    process = Process(register=False)
    with pytest.raises(StoreUnavailable):
        process.register()
    assert process.register()
    assert process.turn().state == "ok"


def test_lost_replies_lose_no_job_and_double_none(proxy, clean_redis):
    process = Process()
    payloads = [b"%d" % number for number in range(400)]
    clean_redis.rpush("resque:queue:default", *payloads)
    lost = proxy.lose_replies(to=b"EVAL", chance=0.15)
    truncated = proxy.truncate_replies(to=b"EVAL", chance=0.15, keep=20)

    performed: list[bytes] = []
    told: list[Entry] = []
    while True:
        process.number += 1
        answer = insist(lambda: process.again(*told, wanted=2))  # noqa: B023  called before the next round
        assert answer.state == "ok"
        assert answer.refused == []
        performed += [job.payload for job in answer.jobs]
        told = [entry("done", job) for job in answer.jobs]
        if not told:
            break

    assert lost.happened > 10
    assert truncated.happened > 10
    assert performed == payloads
    assert clean_redis.get("resque:stat:processed") == b"400"
    assert not clean_redis.exists("resque:django:reservations:abc123")


def insist(turn: Callable[[], Answer]) -> Answer:
    """The answer to a turn that is taken until there is one."""
    while True:
        try:
            return turn()
        except StoreUnavailable:
            continue


@pytest.mark.parametrize("namespace", ["resque", "{resque}", "a:site"])
def test_a_life_leaves_these_keys_and_no_others(clean_redis, settings, namespace):
    settings.RESQUE = {**settings.RESQUE, "NAMESPACE": namespace}
    seen: set[bytes] = set()
    process = Process()
    for kind in ("done", "failed", "crashed", "given back"):
        (reserved,) = process.reserve(kind)
        clean_redis.set(f"{namespace}:job:1:status", "waiting")
        for each in (entry("running", reserved), entry("beat"), entry(kind, reserved)):
            process.turn(each)
            seen.update(clean_redis.keys())
    process.reservations.unregister([WORKER])

    workers = ["worker:{}", "worker:{}:started", "stat:processed:{}", "stat:failed:{}"]
    family = ["queues", "queue:default", "workers", "workers:heartbeat", "stat:processed", "stat:failed", "failed"]
    own = ["processes", "process:abc123", "reservations:abc123", "crashes"]
    names = [*[name.format(WORKER) for name in workers], *family, "job:1:status", *[f"django:{name}" for name in own]]
    assert {key.decode() for key in seen} == {f"{namespace}:{name}" for name in names}
    left = ["queues", "queue:default", "stat:processed", "stat:failed", "failed", "job:1:status", "django:crashes"]
    assert {key.decode() for key in clean_redis.keys()} == {f"{namespace}:{name}" for name in left}


def test_scripts_that_are_flushed_are_not_missed(process, clean_redis):
    clean_redis.rpush("resque:queue:default", "a")
    clean_redis.script_flush()
    (reserved,) = process.turn(wanted=1).jobs
    clean_redis.script_flush()
    process.turn(entry("done", reserved))
    clean_redis.script_flush()
    assert process.reservations.unregister([WORKER]) == 0
    assert clean_redis.get("resque:stat:processed") == b"1"
