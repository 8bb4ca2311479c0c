"""Finding jobs in a queue by their bytes, and moving them: to another queue, to the front."""

from __future__ import annotations

import hashlib
import json
import threading

import pytest
import redis

from django_resque.errors import StoreError
from django_resque.job import Job
from django_resque.status import Status, status_record
from django_resque.store import store

MAIL, LOW = "resque:queue:mail", "resque:queue:low"


@pytest.fixture(autouse=True)
def _fresh_connections():
    yield
    store().close()


def sha1(raw: bytes) -> str:
    return hashlib.sha1(raw).hexdigest()


def push(client: redis.Redis, *raws: bytes, queue: str = "mail") -> list[bytes]:
    client.sadd("resque:queues", queue)
    for at in range(0, len(raws), 1_000):
        client.rpush(f"resque:queue:{queue}", *raws[at : at + 1_000])
    return list(raws)


def payloads(count: int) -> list[bytes]:
    return [Job("clean", (number,), queue="mail").payload() for number in range(count)]


# -- finding -----------------------------------------------------------------------------------------------------------


def test_payloads_are_found_by_their_digests_wherever_they_stand_in_the_order_of_the_queue(clean_redis: redis.Redis):
    raws = push(clean_redis, *payloads(3_500))
    wanted = [raws[3_210], raws[0], raws[1_050]]
    assert store().queues.named("mail", [*map(sha1, wanted), "0" * 40]) == [raws[0], raws[1_050], raws[3_210]]
    assert store().queues.named("mail", map(sha1, wanted), most=2_000) == [raws[0], raws[1_050]]
    assert store().queues.named("mail", []) == store().queues.named("none", ["0" * 40]) == []


def test_two_that_are_the_same_to_the_byte_are_found_as_one(clean_redis: redis.Redis):
    push(clean_redis, b"same", b"other", b"same")
    assert store().queues.named("mail", [sha1(b"same")]) == [b"same"]
    assert store().queues.matching("mail", lambda raw: raw == b"same") == ([b"same", b"same"], True)


def test_what_matches_is_found_in_all_of_the_queue_in_its_order(clean_redis: redis.Redis, monkeypatch):
    raws = push(clean_redis, *(b"%d" % number for number in range(2_500)))
    found = store().queues.matching("mail", lambda raw: raw.endswith(b"7"))
    assert found == ([raw for raw in raws if raw.endswith(b"7")], True)
    assert store().queues.matching("mail", lambda raw: True, most=2) == ([b"2498", b"2499"], False)
    monkeypatch.setattr("django_resque.store.windows.MOST_MATCHING_BYTES", 6)
    assert store().queues.matching("mail", lambda raw: True) == ([b"2498", b"2499"], False)


def test_what_is_no_list_is_told(clean_redis: redis.Redis):
    clean_redis.set(MAIL, "surprise")
    for ask in (lambda: store().queues.named("mail", ["0" * 40]), lambda: store().queues.advance("mail", [b"a"])):
        with pytest.raises(StoreError, match="WRONGTYPE"):
            ask()


def test_the_heads_of_several_queues_come_as_far_as_they_fit(clean_redis: redis.Redis, monkeypatch):
    push(clean_redis, *(b"%d" % number for number in range(95)))
    push(clean_redis, b"x" * 200, queue="low")
    clean_redis.set("resque:queue:broken", "no list")
    found = store().queues.heads(["mail", "low", "broken", "none"])
    assert found == {"mail": [b"%d" % n for n in range(95)], "low": [b"x" * 200], "broken": [], "none": []}
    monkeypatch.setattr("django_resque.store.ends.MOST_BYTES", 400)
    assert {name: len(some) for name, some in store().queues.heads(["mail", "low"]).items()} == {"mail": 95, "low": 1}
    monkeypatch.setattr("django_resque.store.ends.MOST_BYTES", 200)
    assert {name: len(some) for name, some in store().queues.heads(["mail", "low"]).items()} == {"mail": 55, "low": 0}
    assert len(store().queues.heads([f"queue{number}" for number in range(250)] + ["mail"])["mail"]) == 0
    assert store().queues.heads([]) == {}


# -- moving ------------------------------------------------------------------------------------------------------------


def test_jobs_go_to_the_end_of_another_queue_in_their_order(clean_redis: redis.Redis):
    raws = push(clean_redis, *payloads(5))
    push(clean_redis, b"first", queue="low")
    assert store().queues.move("mail", [raws[1], raws[3]], "low") == 2
    assert clean_redis.lrange(MAIL, 0, -1) == [raws[0], raws[2], raws[4]]
    assert clean_redis.lrange(LOW, 0, -1) == [b"first", raws[1], raws[3]]


def test_a_queue_that_gets_its_first_job_exists_and_its_workers_are_woken(clean_redis: redis.Redis):
    raws = push(clean_redis, *payloads(2))
    bell = clean_redis.pubsub()
    bell.subscribe("resque:django:bell")
    bell.get_message(timeout=5)
    assert store().queues.move("mail", raws, "low") == 2
    assert bell.get_message(timeout=5)["data"] == b"low"
    assert set(clean_redis.smembers("resque:queues")) == {b"mail", b"low"}
    bell.close()


def test_the_status_of_a_job_that_has_moved_says_where_it_waits(clean_redis: redis.Redis):
    tracked, untracked = Job("clean", queue="mail"), Job("clean", queue="mail")
    clean_redis.set(f"resque:job:{tracked.id}:status", status_record(Status.WAITING, tracked), ex=1_000)
    store().queues.move("mail", push(clean_redis, tracked.payload(), untracked.payload(), b"no job"), "low")
    status = json.loads(clean_redis.get(f"resque:job:{tracked.id}:status"))
    assert (status["status"], status["queue"], status["id"]) == (1, "low", tracked.id)
    assert 990 < clean_redis.ttl(f"resque:job:{tracked.id}:status") <= 1_000
    assert not clean_redis.exists(f"resque:job:{untracked.id}:status")


def test_jobs_go_to_the_front_in_their_order(clean_redis: redis.Redis):
    raws = push(clean_redis, *payloads(5))
    assert store().queues.advance("mail", [raws[2], raws[4]]) == 2
    assert clean_redis.lrange(MAIL, 0, -1) == [raws[2], raws[4], raws[0], raws[1], raws[3]]


def test_of_those_that_are_the_same_to_the_byte_as_many_move_as_are_meant(clean_redis: redis.Redis):
    push(clean_redis, b"a", b"same", b"b", b"same", b"same")
    assert store().queues.advance("mail", [b"same", b"same"]) == 2
    assert clean_redis.lrange(MAIL, 0, -1) == [b"same", b"same", b"a", b"same", b"b"]
    assert store().queues.move("mail", [b"same"], "low") == 1
    assert clean_redis.lrange(MAIL, 0, -1) == [b"same", b"a", b"same", b"b"]


def test_what_is_gone_stays_gone_and_what_was_never_there_is_not_made(clean_redis: redis.Redis):
    raws = push(clean_redis, *payloads(2))
    clean_redis.lpop(MAIL)
    assert store().queues.move("mail", [*raws, b"never there"], "low") == 1
    assert store().queues.advance("mail", raws) == store().queues.dequeue_many("mail", raws) == 0
    assert clean_redis.lrange(LOW, 0, -1) == [raws[1]]
    assert clean_redis.exists(MAIL) == 0


def test_where_the_goal_is_no_list_everything_stays(clean_redis: redis.Redis):
    raws = push(clean_redis, *payloads(2))
    clean_redis.set(LOW, "surprise")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        store().queues.move("mail", raws, "low")
    assert clean_redis.lrange(MAIL, 0, -1) == raws
    clean_redis.delete(LOW, "resque:queues")
    clean_redis.set("resque:queues", "surprise")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        store().queues.move("mail", raws, "low")
    assert clean_redis.lrange(MAIL, 0, -1) == raws


def test_a_full_server_moves_jobs_too(clean_redis: redis.Redis):
    raws = push(clean_redis, *payloads(3))
    clean_redis.config_set("maxmemory", 1)
    try:
        assert store().queues.move("mail", raws[:2], "low") == 2
        assert store().queues.advance("mail", raws[2:]) == 1
    finally:
        clean_redis.config_set("maxmemory", 0)
    assert clean_redis.lrange(LOW, 0, -1) == raws[:2]


def test_thousands_move_and_none_is_lost_while_others_take_jobs(clean_redis: redis.Redis):
    raws = push(clean_redis, *payloads(3_000))
    taken: list[bytes] = []
    stop = threading.Event()

    def take() -> None:
        while not stop.is_set():
            if (raw := clean_redis.lpop(MAIL)) is not None:
                taken.append(raw)

    taker = threading.Thread(target=take)
    taker.start()
    try:
        moved = store().queues.move("mail", raws, "low")
    finally:
        stop.set()
        taker.join()
    there = [*taken, *clean_redis.lrange(LOW, 0, -1), *clean_redis.lrange(MAIL, 0, -1)]
    assert sorted(there) == sorted(raws)
    assert clean_redis.llen(LOW) == moved


def test_taking_out_many_tells_those_who_track_them(clean_redis: redis.Redis):
    jobs = [Job("clean", (number,), queue="mail") for number in range(250)]
    for job in jobs:
        clean_redis.set(f"resque:job:{job.id}:status", status_record(Status.WAITING, job), ex=1_000)
    raws = push(clean_redis, *(job.payload() for job in jobs), b"no job")
    assert store().queues.dequeue_many("mail", [*raws[:200], b"no job"]) == 201
    assert clean_redis.lrange(MAIL, 0, -1) == raws[200:250]
    status = json.loads(clean_redis.get(f"resque:job:{jobs[7].id}:status"))
    assert (status["status"], status["outcome"]) == (3, "cancelled")


def test_parked_jobs_are_found_and_taken_out_in_the_same_way(clean_redis: redis.Redis):
    elements = [b"mail\n" + raw for raw in payloads(5)]
    clean_redis.rpush("resque:django:parked:import", *elements)
    parked = store().parked
    assert parked.named("import", [sha1(elements[3]), sha1(b"none")]) == [elements[3]]
    assert parked.matching("import", lambda raw: raw != elements[0]) == (elements[1:], True)
    assert parked.heads(["import", "none"]) == {"import": elements, "none": []}
    assert parked.dequeue_many("import", [elements[1], elements[3], b"never there"]) == 2
    assert clean_redis.lrange("resque:django:parked:import", 0, -1) == [elements[0], elements[2], elements[4]]


# -- looking -----------------------------------------------------------------------------------------------------------


def test_a_queue_at_a_glance(clean_redis: redis.Redis):
    push(clean_redis, Job("clean", enqueued_at=1_700_000_000).payload(), b"another")
    clean_redis.sadd("resque:workers", "ruby1:1:mail,low", "ruby1:2:low", "box1~abc123-1:1:*")
    clean_redis.set("resque:worker:ruby1:1:mail,low", json.dumps({"queue": "mail", "run_at": "", "payload": {}}))
    store().ask(store().control.pause_queue("mail", "ada"))
    view = store().queue_view("mail")
    assert (view.state.length, view.state.oldest, view.state.running) == (2, 1_700_000_000, 1)
    assert (view.exists, view.state.paused, view.state.paused_by, view.all_paused) == (True, True, "ada", False)
    assert sorted(view.workers) == ["*", "low", "mail,low"]
    assert (view.worker_count, view.trouble) == (3, [])


def test_a_queue_that_is_not_there_or_broken_is_told(clean_redis: redis.Redis):
    assert not store().queue_view("none").exists
    assert store().queue_view("none").state.length == 0
    clean_redis.set(MAIL, "surprise")
    clean_redis.set("resque:django:paused-queues", "surprise")
    view = store().queue_view("mail")
    assert view.state.length is None
    assert [text.partition(" ")[0].rstrip(":") for text in view.trouble] == ["resque:django:paused-queues", MAIL]


def test_jobs_are_counted_by_state(clean_redis: redis.Redis):
    push(clean_redis, b"1", b"2", b"3")
    push(clean_redis, b"1", queue="low")
    clean_redis.set("resque:queue:broken", "surprise")
    clean_redis.sadd("resque:queues", "broken", "empty")
    clean_redis.zadd("resque:delayed_queue_schedule", {"100": 100, "200": 200, "300": 300, "nonsense": 1})
    clean_redis.rpush("resque:delayed:100", "a", "b")
    clean_redis.rpush("resque:delayed:200", "c")
    clean_redis.sadd("resque:workers", "b:1:*", "a:1:*", "idle:1:*")
    clean_redis.mset({"resque:worker:b:1:*": "{}", "resque:worker:a:1:*": "{}"})
    clean_redis.zadd("resque:django:retries", {"x": 1, "y": 2})
    clean_redis.rpush("resque:django:recent", '{"status":4,"id":"1"}', '{"status":3,"id":"2"}', "nonsense")
    clean_redis.rpush("resque:failed", "a", "b")
    clean_redis.sadd("resque:django:parking", "import", "gone")
    clean_redis.rpush("resque:django:parked:import", "a")
    counts = store().job_counts()
    assert counts.queues == {"broken": None, "empty": 0, "low": 1, "mail": 3}
    assert (counts.queued, counts.waiting_for_a_permit, counts.parked) == ((4, False), (1, False), {"import": 1})
    assert (counts.scheduled, counts.running, counts.busy) == ((3, False), (2, False), ["a:1:*", "b:1:*"])
    assert (counts.retrying, counts.done, counts.failed, counts.trouble) == (2, (1, False), 2, [])


def test_what_is_too_much_to_count_is_counted_in_part(clean_redis: redis.Redis):
    clean_redis.sadd("resque:queues", *(f"queue{number}" for number in range(5_000)))
    clean_redis.zadd("resque:delayed_queue_schedule", {str(second): second for second in range(1, 1_500)})
    clean_redis.rpush("resque:delayed:1", "a", "b")
    clean_redis.rpush("resque:delayed:1400", "c")
    clean_redis.rpush("resque:django:recent", *['{"status":4,"id":"1"}'] * 1_500)
    clean_redis.sadd("resque:workers", *(f"box:{number}:*" for number in range(5_000)))
    counts = store().job_counts()
    assert counts.more_queues
    assert counts.running.more
    assert counts.queued == (0, True)
    assert counts.scheduled == (2, True)
    assert counts.done == (1_000, True)


@pytest.mark.parametrize(
    "key",
    ["queues", "delayed_queue_schedule", "workers", "django:retries", "django:recent", "failed", "django:parking"],
)
def test_a_broken_key_spoils_one_count_alone(clean_redis: redis.Redis, key: str):
    push(clean_redis, b"1")
    clean_redis.rpush("resque:failed", "a")
    clean_redis.delete(f"resque:{key}")
    clean_redis.hset(f"resque:{key}", "a", "b")
    counts = store().job_counts()
    assert [text.partition(" ")[0] for text in counts.trouble] == [f"resque:{key}:"]
    assert counts.queued == (0 if key == "queues" else 1, False)
    assert counts.failed == (0 if key == "failed" else 1)
