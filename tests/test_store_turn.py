"""Turns: what a worker process tells and gets, and what Redis then holds."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from django_resque.errors import StoreError, StoreUnavailable
from django_resque.store import Answer, Entry, Process, Reserved, Turn, store

from .processes_in_redis import IDENTITY, WORKER, TurnTaker, digest, full, guard, state
from .proxy import Proxy
from .servers import RedisServer


@pytest.fixture
def process() -> Iterator[TurnTaker]:
    process = TurnTaker()
    yield process
    process.close()


def entry(kind: str, reserved: Reserved | None = None, **more: Any) -> Entry:
    """An entry about a job whose status has the id ``1``."""
    if reserved is None:
        return Entry(kind, WORKER, **more)
    told = {"status": kind.encode(), "second": b"waiting again", "record": b"the record"}
    if kind == "start":
        told |= {"status": b"expired", "record": guard(once=True)}
    elif kind == "done":
        told |= {"second": b"", "record": b""}
    elif kind == "retry":
        told |= {"status": b"60", "record": b"the next attempt"}
    return Entry(kind, WORKER, reserved.token, status_id="1", **(told | more))


@contextmanager
def changes(client: redis.Redis) -> Iterator[dict[str, Any]]:
    """What the block changes: key → value, None for keys that it removes. The record of the turn itself is left out."""
    found: dict[str, Any] = {}
    before = state(client)
    yield found
    after = state(client)
    found.update({key: after.get(key) for key in before.keys() | after.keys() if before.get(key) != after.get(key)})
    found.pop("django:process:abc123", None)


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


KINDS = ["done", "failed", "retry", "crashed", "interrupted", "given back"]


def timeless(answer: Answer) -> Answer:
    """The answer without what the clock puts into it."""
    return dataclasses.replace(answer, time=0, look=None)


@pytest.mark.parametrize("kind", [*KINDS, "running", "start"])
def test_a_turn_that_is_repeated_does_nothing_and_gets_the_same_answer(process, clean_redis, kind):
    first, second = process.reserve("a", "b")
    clean_redis.rpush("resque:queue:default", "c", "d")
    gone = Reserved("9.9", "default", b"gone")
    turn = [entry(kind, first), entry("done", gone), entry("done", second)]
    answer = process.turn(*turn, wanted=2)
    assert len(answer.jobs) == (1 if kind in ("crashed", "interrupted") else 2)  # then the first is a suspect
    assert answer.refused == ["9.9"]
    before = state(clean_redis)
    for _ in range(3):
        assert timeless(process.again(*turn, wanted=2)) == timeless(answer)
    assert state(clean_redis) == before
    assert clean_redis.get("resque:stat:processed") == (b"2" if kind in ("done", "failed") else b"1")
    assert clean_redis.zcard("resque:django:retries") == (1 if kind == "retry" else 0)


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
    nobody = TurnTaker("nobody", register=False)
    answer = nobody.turn(entry("beat"), wanted=1, renew=True, look=True)
    nobody.close()
    assert (answer.state, answer.jobs, answer.look) == ("gone", [], None)
    assert state(clean_redis) == before


@pytest.mark.parametrize("kind", ["running", "start", *KINDS])
def test_an_entry_about_a_job_that_is_not_held_any_more_is_refused(process, clean_redis, kind):
    (reserved,) = process.reserve("a")
    clean_redis.set("resque:job:1:status", "of the one who has it now")
    clean_redis.delete("resque:django:reservations:abc123")
    with changes(clean_redis) as changed:
        answer = process.turn(entry(kind, reserved, output=b"output"))
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
        ("done", {**ENDED, **PROCESSED, "job:1:status": b"done", "django:recent": [b"done"]}),
        ("failed", {**ENDED, **PROCESSED, **FAILED, "job:1:status": b"failed", "django:recent": [b"failed"]}),
        ("crashed", {**ENDED, **REQUEUED, "django:crashes": {digest(b"a").encode(): b"1"}}),
        ("interrupted", {**ENDED, **REQUEUED, "django:crashes": {digest(b"a").encode(): b"0"}}),
        ("given back", {**REQUEUED, "django:reservations:abc123": None}),
        ("start", {"django:reservations:abc123": {b"1.1": f"default\t{WORKER}\t\t\na".encode()}}),
        ("running", {f"worker:{WORKER}": b"the record", "job:1:status": b"running"}),
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
    ("kind", "seconds"),
    [
        ("done", 3600),
        ("failed", 24 * 3600),
        ("retry", 7 * 24 * 3600 + 60),
        ("running", 1000),
        ("interrupted", 1000),
        ("given back", 1000),
    ],
)
def test_a_status_is_kept_for_its_time(process, clean_redis, kind, seconds):
    (reserved,) = process.reserve("a")
    clean_redis.set("resque:job:1:status", "waiting", ex=1000)
    process.turn(entry(kind, reserved))
    assert seconds - 5 < clean_redis.ttl("resque:job:1:status") <= seconds


@pytest.mark.parametrize("kind", ["running", "start", *KINDS])
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


@pytest.mark.parametrize("kind", ["crashed", "interrupted", "given back"])
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
    process = TurnTaker()
    clean_redis.rpush("resque:failed", *range(9))
    jobs = process.reserve("a", "b", "c")
    turn = [entry("failed", reserved) for reserved in jobs]
    answer = process.turn(*turn)
    assert answer.dropped == 2
    assert timeless(process.again(*turn)) == timeless(answer)
    process.close()
    assert clean_redis.lrange("resque:failed", 0, -1) == [*(b"%d" % n for n in range(2, 9)), *3 * [b"the record"]]
    assert clean_redis.get("resque:stat:failed") == b"3"


# -- crashes -----------------------------------------------------------------------------------------------------------


def test_the_third_crash_is_the_one_failure_and_the_count_is_gone(process, clean_redis):
    clean_redis.rpush("resque:queue:default", "a", "b")
    for crashes in range(3):
        (reserved,) = process.turn(wanted=1).jobs
        assert (reserved.payload, reserved.crashes) == (b"a", crashes or None)
        process.turn(entry("crashed", reserved))
        process.again(entry("crashed", reserved))  # its answer was lost
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [b"b"]
    assert clean_redis.lrange("resque:failed", 0, -1) == [b"the record"]
    assert clean_redis.get("resque:stat:processed") == clean_redis.get("resque:stat:failed") == b"1"
    assert not clean_redis.exists("resque:django:crashes")


@pytest.mark.parametrize("kind", ["done", "failed", "retry"])
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
    assert reserved.crashes is None
    process.turn(entry("crashed", reserved))
    assert clean_redis.hget("resque:django:crashes", digest(b"a")) == b"1"
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [b"a"]


def test_crashes_of_ten_thousand_jobs_are_remembered_and_no_more(process, clean_redis):
    clean_redis.hset("resque:django:crashes", mapping={str(number): 1 for number in range(10_000)})
    first, second = process.reserve("a", "b")
    process.turn(entry("crashed", first), entry("interrupted", second))
    assert clean_redis.hlen("resque:django:crashes") == 10_000
    assert clean_redis.hget("resque:django:crashes", digest(b"b")) == b"0"


def test_a_job_that_was_interrupted_has_perhaps_begun_and_has_not_crashed(process):
    for _ in range(5):
        (reserved,) = process.reserve("a")
        process.turn(entry("interrupted", reserved))
        (reserved,) = process.turn(wanted=1).jobs
        assert reserved.crashes == 0
        process.turn(entry("done", reserved))


def test_interrupting_and_giving_back_forget_no_crash(process):
    (reserved,) = process.reserve("a")
    for kind, crashes in {"crashed": 1, "interrupted": 1, "given back": 1}.items():
        process.turn(entry(kind, reserved))
        (reserved,) = process.turn(wanted=1).jobs
        assert reserved.crashes == crashes


# -- suspects ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def suspects(clean_redis) -> list[bytes]:
    """Jobs on the queue ``default``; those in capitals are suspects."""
    payloads = [b"a", b"b", b"C", b"D", b"e", b"F"]
    clean_redis.rpush("resque:queue:default", *payloads)
    clean_redis.hset("resque:django:crashes", mapping={digest(p): n for n, p in enumerate(payloads) if p.isupper()})
    return payloads


def test_a_suspect_is_handed_out_alone(process, suspects):
    batches = []
    while jobs := process.turn(wanted=100).jobs:
        batches.append(b"".join(job.payload for job in jobs))
    assert batches == [b"ab", b"C", b"D", b"e", b"F"]


def test_a_batch_with_suspects_is_answered_alike_again(process, suspects, clean_redis):
    answer = process.turn(wanted=100)
    while answer.jobs:
        before = state(clean_redis)
        assert timeless(process.again(wanted=100)) == timeless(answer)
        assert state(clean_redis) == before
        answer = process.turn(wanted=100)


def test_a_suspect_stays_one_until_it_ends(process, suspects, clean_redis):
    process.turn(wanted=2)
    (suspect,) = process.turn(wanted=2).jobs
    assert (suspect.payload, suspect.crashes) == (b"C", 2)
    process.turn(entry("done", suspect))
    assert clean_redis.hkeys("resque:django:crashes") == [digest(b"D").encode(), digest(b"F").encode()]


# -- how much is handed out --------------------------------------------------------------------------------------------


def test_each_queue_gives_as_many_as_are_asked_of_it(process, clean_redis):
    clean_redis.rpush("resque:queue:slow", *"abc")
    clean_redis.rpush("resque:queue:fast", *"abc")
    taken = [len(process.ask(process.reservations.turn(turn)).jobs) for turn in turns({"slow": 1, "fast": 5}, 5)]
    assert taken == [1, 1, 1, 3, 0]


def turns(queues: dict[str, int], count: int) -> list[Turn]:
    return [Turn(number, (), queues) for number in range(1, count + 1)]


def test_a_batch_is_not_larger_than_a_megabyte_and_a_job(process, clean_redis):
    clean_redis.rpush("resque:queue:default", *[bytes(400_000)] * 5, bytes(5_000_000), *[bytes(400_000)] * 2)
    sizes = []
    while jobs := process.turn(wanted=100).jobs:
        sizes.append([len(job.payload) for job in jobs])
    assert sizes == [[400_000] * 3, [400_000] * 2 + [5_000_000], [400_000] * 2]


def test_a_hundred_jobs_can_be_had_and_told_of_in_one_turn(process, clean_redis):
    jobs = process.reserve(*map(str, range(100)))
    clean_redis.rpush("resque:queue:default", *range(100, 200))
    answer = process.turn(*[entry("done", job) for job in jobs], wanted=100)
    assert [job.payload for job in answer.jobs] == [b"%d" % number for number in range(100, 200)]
    assert timeless(process.again(wanted=100)) == timeless(answer)


# -- the lease, and what is around -------------------------------------------------------------------------------------


def lease(client: redis.Redis) -> float | None:
    return client.zscore("resque:django:processes", f"abc123 {IDENTITY}")


def test_a_lease_is_renewed_when_that_is_asked_for(process, clean_redis):
    clean_redis.zadd("resque:django:processes", {f"abc123 {IDENTITY}": 1})
    process.turn()
    assert lease(clean_redis) == 1
    process.turn(renew=True)
    assert abs(lease(clean_redis) - 30 - clean_redis.time()[0]) <= 1


def test_a_lease_of_parts_of_a_second(clean_redis, settings):
    settings.RESQUE = {**settings.RESQUE, "LEASE": 1.25, "BEAT": 0.25}
    process = TurnTaker()
    for _ in range(2):
        assert abs(lease(clean_redis) % 1 - 0.25) < 1e-6
        process.turn(renew=True)
    process.close()


def test_a_look_shows_processes_server_failures_and_queues(process, clean_redis):
    another = TurnTaker("xyz789", identity="elsewhere")
    another.close()
    clean_redis.rpush("resque:failed", "1", "2", "3")
    clean_redis.sadd("resque:queues", "low", "high")
    before = state(clean_redis)
    answer = process.turn(look=True)
    assert answer.look is not None
    leases = clean_redis.zrange("resque:django:processes", 0, -1, withscores=True)
    assert answer.look.processes == [Process(*member.decode().split(" "), lease) for member, lease in leases]
    assert [process.member.encode() for process in answer.look.processes] == [member for member, _ in leases]
    assert answer.look.run_id == clean_redis.info("server")["run_id"]
    assert (answer.look.failures, answer.look.queues) == (3, None)
    assert sorted(process.turn(look=True, look_queues=True).look.queues or ()) == ["high", "low"]
    assert process.turn().look is None
    before.pop("django:process:abc123")
    assert before.items() <= state(clean_redis).items()


def test_a_look_shows_the_hundred_processes_whose_leases_end_first(process, clean_redis):
    clean_redis.zadd("resque:django:processes", {f"{number:06} elsewhere": number for number in range(150)})
    look = process.turn(look=True).look
    assert look is not None
    assert [process.lease for process in look.processes] == list(range(100))


def test_a_look_again_shows_what_is_around_now(process, clean_redis):
    process.turn(look=True)
    clean_redis.rpush("resque:failed", "1")
    look = process.again(look=True).look
    assert look is not None
    assert look.failures == 1


@pytest.mark.parametrize("member", [b"", b" ", b"\xff\xfe", b"noidentity", b"two words more"])
def test_a_look_stands_members_of_any_kind(process, clean_redis, member):
    clean_redis.zadd("resque:django:processes", {member: 5})
    look = process.turn(look=True).look
    assert look is not None
    assert look.processes[0].lease == 5


# -- what is kept beside the jobs --------------------------------------------------------------------------------------


def test_output_is_kept_for_a_day(process, clean_redis):
    first, second = process.reserve("a", "b")
    process.turn(entry("done", first, output=b"\x00 the end"), entry("done", second))
    assert clean_redis.get("resque:django:output:1") == b"\x00 the end"
    assert 24 * 3600 - 5 < clean_redis.ttl("resque:django:output:1") <= 24 * 3600


def test_what_is_given_back_unbegun_leaves_the_boards_alone(process, clean_redis):
    runs, waits = process.reserve("a", "b")
    process.turn(entry("running", runs), entry("given back", waits))
    assert clean_redis.get(f"resque:worker:{WORKER}") == b"the record"
    process.turn(entry("done", runs))
    assert not clean_redis.exists(f"resque:worker:{WORKER}")


def test_a_job_that_begins_after_another_ended_is_on_the_boards(process, clean_redis):
    first, second = process.reserve("a", "b")
    process.turn(entry("running", first), entry("done", first), entry("running", second))
    assert clean_redis.get(f"resque:worker:{WORKER}") == b"the record"
    process.turn(entry("done", second))
    assert not clean_redis.exists(f"resque:worker:{WORKER}")


def test_a_job_that_was_started_can_end_in_every_way(process, clean_redis):
    jobs = process.reserve(*KINDS)
    process.turn(*[entry("start", job) for job in jobs])
    answer = process.turn(*[entry(kind, job) for kind, job in zip(KINDS, jobs, strict=True)])
    assert answer.refused == []
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [b"given back", b"interrupted", b"crashed"]
    assert not clean_redis.exists("resque:django:reservations:abc123")


# -- further attempts --------------------------------------------------------------------------------------------------


def test_a_job_that_is_to_be_tried_again_waits_among_the_retries(process, clean_redis):
    (reserved,) = process.reserve("a")
    clean_redis.set("resque:job:1:status", "running", ex=1000)
    clean_redis.set(f"resque:worker:{WORKER}", "what runs now")
    with changes(clean_redis) as changed:
        answer = process.turn(entry("retry", reserved, status=b"2.5"))
    ((member, due),) = changed.pop("django:retries").items()
    assert member == b"abc123.1.1 1\ndefault\nthe next attempt"
    assert due == pytest.approx(answer.time + 2.5, abs=1e-5)
    assert changed == {**ENDED, "job:1:status": b"waiting again"}  # it counts as neither processed nor failed


def test_jobs_with_the_same_bytes_wait_each_for_its_own_retry(process, clean_redis):
    jobs = process.reserve("a", "a", "a")
    process.turn(*[entry("retry", job) for job in jobs])
    assert clean_redis.zcard("resque:django:retries") == 3


# -- what is told of the end -------------------------------------------------------------------------------------------


def test_a_result_stands_in_the_status_of_the_job_and_not_among_the_recent_ones(process, clean_redis):
    (reserved,) = process.reserve("a")
    clean_redis.set("resque:job:1:status", "waiting")
    process.turn(entry("done", reserved, status=b'{"status":4}', second=b'{"sum":[9007199254740993,{}]}'))
    assert clean_redis.get("resque:job:1:status") == b'{"status":4,"result":{"sum":[9007199254740993,{}]}}'
    assert clean_redis.lrange("resque:django:recent", 0, -1) == [b'{"status":4}']


@pytest.mark.parametrize("more", [{}, {"output": b"output"}, {"record": b"smtp"}])
def test_a_result_is_kept_whatever_else_is_to_be_done(process, clean_redis, more):
    first, second = process.reserve("a", "b")
    clean_redis.set("resque:job:1:status", "waiting")
    process.turn(entry("crashed", second))
    process.turn(entry("done", first, status=b"{}", second=b"5", **more))
    assert clean_redis.get("resque:job:1:status") == b'{,"result":5}'


def test_the_last_ten_thousand_jobs_that_ended_are_kept_the_newest_first(process, clean_redis):
    clean_redis.rpush("resque:django:recent", *range(9_999))
    jobs = process.reserve(*"abcd")
    process.turn(*[entry(kind, job) for kind, job in zip(["done", "failed", "retry", "crashed"], jobs, strict=True)])
    assert clean_redis.llen("resque:django:recent") == 10_000
    assert clean_redis.lrange("resque:django:recent", 0, 2) == [b"failed", b"done", b"0"]  # the others have not ended


def test_a_hundred_ends_are_one_push(process, clean_redis):
    jobs = process.reserve(*map(str, range(100)))
    process.turn(*[entry("done", job, status=job.payload) for job in jobs])
    assert clean_redis.lrange("resque:django:recent", 0, -1) == [job.payload for job in reversed(jobs)]


def test_an_end_is_told_at_once_while_somebody_waits_for_one(process, clean_redis):
    jobs = process.reserve("a", "b", "c", "d")
    with clean_redis.pubsub() as ended:
        ended.psubscribe("resque:django:ended:*")
        heard = ended.listen()
        assert next(heard)["type"] == "psubscribe"
        process.turn(entry("done", jobs[0]))  # nobody has said that they wait
        clean_redis.set("resque:django:waited", 1)
        process.turn(entry("done", jobs[1], status=b"{}", second=b"5"), entry("retry", jobs[2]))
        process.turn(entry("failed", jobs[3]))
        clean_redis.publish("resque:django:ended:0", "the end")
        told = [(message["channel"], message["data"]) for message in itertools.islice(heard, 3)]
    assert told == [
        (b"resque:django:ended:1", b'{,"result":5}'),
        (b"resque:django:ended:1", b"failed"),
        (b"resque:django:ended:0", b"the end"),
    ]


# -- pausing, and what this process is asked ---------------------------------------------------------------------------


def test_no_jobs_are_taken_from_a_queue_that_is_paused(process, clean_redis):
    clean_redis.rpush("resque:queue:high", "a")
    clean_redis.rpush("resque:queue:low", "b")
    clean_redis.sadd("resque:django:paused-queues", "high", "other")
    taken = [process.turn(wanted=9, queues=["high", "low"]) for _ in range(2)]
    assert [[job.payload for job in answer.jobs] for answer in taken] == [[b"b"], []]
    assert {answer.state for answer in taken} == {"ok"}
    clean_redis.srem("resque:django:paused-queues", "high")
    assert [job.payload for job in process.turn(wanted=9, queues=["high", "low"]).jobs] == [b"a"]


def test_a_job_goes_back_to_a_queue_that_is_paused(process, clean_redis):
    (reserved,) = process.reserve("a")
    clean_redis.sadd("resque:django:paused-queues", "default")
    assert process.turn(entry("given back", reserved), wanted=1).jobs == []
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [b"a"]


def test_the_mode_of_a_process_is_the_last_that_it_told(process, clean_redis):
    for told, kept in [("", b"running"), ("paused", b"paused"), ("", b"paused"), ("stopping", b"stopping")]:
        process.turn(mode=told)
        process.again(mode=told)
        assert clean_redis.hget("resque:django:process:abc123", "mode") == kept


def test_a_reply_takes_its_message_away(process, clean_redis):
    messages = [b'{"id":"m1"}', b'{"id":"m2"}']
    clean_redis.rpush("resque:django:control:abc123", *messages)
    turn = [Entry("reply", "", "m1", record=b"done", output=messages[0])]
    for take in (process.turn, process.again):
        assert take(*turn).refused == []
        assert clean_redis.lrange("resque:django:reply:m1", 0, -1) == [b"done"]
        assert 55 < clean_redis.ttl("resque:django:reply:m1") <= 60
        assert clean_redis.lrange("resque:django:control:abc123", 0, -1) == messages[1:]


def test_a_look_shows_what_is_due_next_the_version_of_the_schedule_and_messages(process, clean_redis):
    look = process.turn(look=True).look
    assert (look.due, look.retry_due, look.schedule, look.messages) == (None, None, 0, [])

    clean_redis.zadd("resque:delayed_queue_schedule", {"2000000000": 2000000000, "1900000000": 1900000000})
    clean_redis.zadd("resque:django:retries", {"a": 1800000000.25, "b": 1900000000})
    clean_redis.set("resque:django:schedule:version", 7)
    clean_redis.rpush("resque:django:control:abc123", *range(25))
    clean_redis.rpush("resque:django:control:another", "not ours")
    look = process.turn(look=True).look
    assert (look.due, look.retry_due, look.schedule) == (1900000000, 1800000000.25, 7)
    assert look.messages == [b"%d" % number for number in range(10)]
    assert process.turn().look is None


@pytest.mark.parametrize("version", ["", "many", "-1", "1.5"])
def test_a_version_of_the_schedule_that_is_no_number_is_the_first(process, clean_redis, version):
    clean_redis.set("resque:django:schedule:version", version)
    assert process.turn(look=True).look.schedule == 0


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
        "django:recent",
        "django:paused-queues",
        "django:schedule:version",
        "django:control:abc123",
        "django:output:1",
        "django:reply:m",
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
        entry("done", done, output=b"output"),
        entry("failed", failed),
        Entry("reply", "", "m", record=b"the reply", output=b"the message"),
        wanted=1,
        queues=["broken", "default"],
        look=True,
    )
    assert [job.payload for job in answer.jobs] == [b"c"]
    assert clean_redis.lrange("resque:failed", 0, -1) == [b"the record"]
    assert clean_redis.hkeys("resque:django:reservations:abc123") == [b"2.1"]
    for counter, value in {"processed": b"2", "failed": b"1"}.items():
        for whose in ("", f":{WORKER}"):
            if key != f"stat:{counter}{whose}":
                assert clean_redis.get(f"resque:stat:{counter}{whose}") == value
    if not key.startswith(("worker:", "job:", "pause", "django:output")):  # these are replaced, or only read
        assert "WRONGTYPE" in answer.trouble[0]


@pytest.mark.parametrize("kind", ["crashed", "interrupted", "given back"])
def test_a_job_whose_queue_is_no_list_any_more_becomes_a_failure(process, clean_redis, kind):
    (reserved,) = process.reserve("a")
    clean_redis.set("resque:queue:default", "a string")
    clean_redis.set("resque:job:1:status", "waiting")
    with changes(clean_redis) as changed:
        answer = process.turn(entry(kind, reserved))
    assert "WRONGTYPE" in answer.trouble[0]
    status = {"job:1:status": kind.encode(), "django:recent": [kind.encode()]}
    assert changed == {"django:reservations:abc123": None, **PROCESSED, **FAILED, **status}


@pytest.mark.parametrize(
    "key",
    [
        "failed",
        "queues",
        "django:crashes",
        "django:reservations:abc123",
        "django:process:abc123",
        "django:processes",
        "django:retries",
        "django:parking",
    ],
)
def test_a_key_of_the_wrong_type_that_jobs_depend_on_stops_the_turn_before_it_writes(process, clean_redis, key):
    done, failed, back = process.reserve("a", "b", "c")
    clean_redis.rpush("resque:queue:default", "d")
    kept = clean_redis.dump(f"resque:{key}")
    clean_redis.set(f"resque:{key}", "a string")
    before = state(clean_redis)
    turn = [entry("done", done), entry("failed", failed), entry("given back", back)]
    with pytest.raises(StoreError, match="WRONGTYPE"):
        process.turn(*turn, wanted=1, renew=True, look=True)
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
    jobs = process.reserve("a", "b", "c", "d", "e", "f")
    clean_redis.rpush("resque:queue:default", "g")
    with full(clean_redis):
        with pytest.raises(redis.ResponseError, match="maxmemory"):
            clean_redis.set("a key", "a value")
        entries = [entry(kind, reserved, output=b"output") for kind, reserved in zip(KINDS, jobs, strict=True)]
        before = [entry("running", jobs[0]), entry("start", jobs[1], record=guard(once=True, key="smtp"))]
        answer = process.turn(*before, *entries, entry("beat", record=b"later"), wanted=1, renew=True, look=True)
        assert [job.payload for job in answer.jobs] == [b"f"]
        process.turn(entry("crashed", answer.jobs[0]))
    assert (answer.refused, answer.trouble) == ([], [])
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [b"f", b"e", b"d", b"g"]
    assert clean_redis.hvals("resque:django:crashes") == [b"1", b"0", b"1"]
    assert clean_redis.get("resque:django:output:1") == b"output"
    assert clean_redis.zcard("resque:django:retries") == 1
    assert clean_redis.llen("resque:django:recent") == 2
    assert clean_redis.lrange("resque:failed", 0, -1) == [b"the record"]
    assert clean_redis.get("resque:stat:processed") == b"2"
    assert clean_redis.hget("resque:workers:heartbeat", WORKER) == b"later"


def test_a_worker_can_be_started_and_stopped_when_the_memory_is_full(clean_redis):
    clean_redis.rpush("resque:queue:default", "a")
    with full(clean_redis):
        process = TurnTaker()
        (reserved,) = process.turn(wanted=1).jobs
        process.turn(entry("done", reserved))
        assert process.unregister() == 0
    process.close()
    assert clean_redis.get("resque:stat:processed") == b"1"
    assert not clean_redis.exists("resque:workers")


# -- coming and going --------------------------------------------------------------------------------------------------


def test_registering_makes_the_process_and_its_workers_known(process, clean_redis):
    seconds = clean_redis.time()[0]
    found = state(clean_redis)
    (lease,) = found["django:processes"].values()
    assert seconds + 29 <= lease <= seconds + 30
    assert found == {
        "workers": {WORKER.encode()},
        f"worker:{WORKER}:started": b"2026-11-20 13:21:45 +0000",
        "django:processes": {f"abc123 {IDENTITY}".encode(): lease},
        "django:process:abc123": {
            b"number": b"0",
            b"workers": WORKER.encode(),
            b"info": b"",
            b"mode": b"running",
            b"heard": b"%d" % (lease - 30),
        },
    }


def test_what_a_process_is_stands_beside_it(clean_redis):
    process = TurnTaker(register=False)
    assert process.ask(process.reservations.register([WORKER], started="now", info=b'{"kind":"worker"}')) is not None
    process.close()
    assert clean_redis.hget("resque:django:process:abc123", "info") == b'{"kind":"worker"}'


def test_a_process_without_workers_can_come_and_go(clean_redis):
    scheduler = TurnTaker(register=False)
    scheduler.workers = []
    assert scheduler.register() is not None
    assert scheduler.register() is not None  # its answer was lost
    assert not clean_redis.exists("resque:workers")
    assert scheduler.turn(look=True).state == "ok"
    another = TurnTaker(identity="another", register=False)
    another.workers = []
    assert another.register() is None
    another.close()
    assert scheduler.unregister() == 0
    scheduler.close()
    assert state(clean_redis) == {}


def test_registering_twice_is_registering_once_and_tells_the_time(process, clean_redis):
    before = state(clean_redis)
    assert abs(process.register() - clean_redis.time()[0]) <= 1
    assert state(clean_redis) == before


def test_a_name_is_taken_once(process, clean_redis):
    before = state(clean_redis)
    another = TurnTaker(identity="another", workers=["host~abc123-1:43:default"], register=False)
    assert another.register() is None
    another.close()
    assert state(clean_redis) == before


def test_unregistering_leaves_nothing(process, clean_redis):
    done, failed = process.reserve("a", "b")
    process.turn(entry("done", done), entry("failed", failed))
    assert process.unregister() == 0
    counters = {"stat:processed": b"2", "stat:failed": b"1"}
    assert state(clean_redis) == {**counters, "failed": [b"the record"], "django:recent": [b"failed", b"done"]}
    assert process.turn().state == "gone"


def test_a_process_that_still_holds_jobs_leaves_the_boards_and_stays_known(process, clean_redis):
    (reserved,) = process.reserve("a")
    process.turn(entry("running", reserved))
    assert process.unregister() == 1
    assert state(clean_redis).keys() == {
        "django:processes",
        "django:process:abc123",
        "django:reservations:abc123",
    }


@pytest.mark.parametrize("key", ["workers", "django:processes", "django:process:abc123"])
def test_registering_changes_nothing_when_a_key_has_the_wrong_type(clean_redis, key):
    clean_redis.set(f"resque:{key}", "a string")
    before = state(clean_redis)
    process = TurnTaker(register=False)
    if key == "django:process:abc123":
        assert process.register() is None  # whatever it is, the name is taken
    else:
        with pytest.raises(StoreError, match="WRONGTYPE"):
            process.register()
    process.close()
    assert state(clean_redis) == before


@pytest.mark.parametrize("key", ["workers", "django:processes", "django:reservations:abc123"])
def test_unregistering_changes_nothing_when_a_key_has_the_wrong_type(process, clean_redis, key):
    clean_redis.set(f"resque:{key}", "a string")
    before = state(clean_redis)
    with pytest.raises(StoreError, match="WRONGTYPE"):
        process.unregister()
    assert state(clean_redis) == before


def test_heartbeats_of_the_wrong_type_hinder_no_coming_and_going(clean_redis):
    clean_redis.set("resque:workers:heartbeat", "a string")
    process = TurnTaker()
    assert process.turn(entry("beat", record=b"now")).trouble
    assert process.unregister() == 0
    process.close()
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
    TurnTaker("other").close()
    spoil(proxy, 1, to=b"EVAL")
    process = TurnTaker(register=False)
    with pytest.raises(StoreUnavailable):
        process.register()
    assert process.register() is not None
    assert process.turn().state == "ok"
    process.close()


def test_lost_replies_lose_no_job_and_double_none(proxy, clean_redis):
    process = TurnTaker()
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
    process.close()


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
    process = TurnTaker()
    for kind in KINDS:
        (reserved,) = process.reserve(kind)
        clean_redis.set(f"{namespace}:job:1:status", "waiting")
        for each in (entry("running", reserved), entry("beat"), entry(kind, reserved, output=b"output")):
            process.turn(each)
            seen.update(clean_redis.keys())
        clean_redis.delete(f"{namespace}:queue:default")
    assert process.unregister() == 0
    process.close()

    workers = ["worker:{}", "worker:{}:started", "stat:processed:{}", "stat:failed:{}"]
    family = ["queues", "queue:default", "workers", "workers:heartbeat", "stat:processed", "stat:failed", "failed"]
    own = ["processes", "process:abc123", "reservations:abc123", "crashes", "output:1", "recent", "retries"]
    names = [*[name.format(WORKER) for name in workers], *family, "job:1:status", *[f"django:{name}" for name in own]]
    assert {key.decode() for key in seen} == {f"{namespace}:{name}" for name in names}
    left = ["queues", "stat:processed", "stat:failed", "failed", "job:1:status"]
    left += [f"django:{name}" for name in ("crashes", "output:1", "recent", "retries")]
    assert {key.decode() for key in clean_redis.keys()} == {f"{namespace}:{name}" for name in left}


def test_scripts_that_are_flushed_are_not_missed(process, clean_redis):
    clean_redis.rpush("resque:queue:default", "a")
    clean_redis.script_flush()
    (reserved,) = process.turn(wanted=1).jobs
    clean_redis.script_flush()
    process.turn(entry("done", reserved))
    clean_redis.script_flush()
    assert process.unregister() == 0
    assert clean_redis.get("resque:stat:processed") == b"1"
