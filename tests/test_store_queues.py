"""Looking through queues, and taking jobs out of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest
import redis

from django_resque.errors import StoreError
from django_resque.job import Job
from django_resque.status import Status, status_record
from django_resque.store import Removed, store

from .processes_in_redis import full, state
from .wire.recordings import recording

MAIL = "resque:queue:mail"


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    store().close()


def push(client: redis.Redis, *jobs: Job, tracked: bool = True) -> None:
    for job in jobs:
        client.rpush(f"resque:queue:{job.queue}", job.payload())
        client.sadd("resque:queues", job.queue)
        if tracked:
            client.set(f"resque:job:{job.id}:status", status_record(Status.WAITING, job), ex=1000)


def jobs(count: int, **more: object) -> list[Job]:
    return [Job(command="clean", args=(number,), queue="mail", **more) for number in range(count)]  # type: ignore[arg-type]


def status_of(client: redis.Redis, job: Job) -> dict[str, object]:
    return json.loads(client.get(f"resque:job:{job.id}:status"))


# -- reading -----------------------------------------------------------------------------------------------------------


def test_a_page_holds_the_next_jobs_to_be_performed_and_what_cannot_be_read(clean_redis: redis.Redis):
    first, second = jobs(2)
    push(clean_redis, first)
    clean_redis.rpush(MAIL, b"no job")
    push(clean_redis, second)
    assert store().queues.page("mail") == [(first.payload(), first), (b"no job", None), (second.payload(), second)]
    assert [raw for raw, _ in store().queues.page("mail", 1, 1)] == [b"no job"]
    assert store().queues.page("mail", 3) == store().queues.page("none") == []


def test_jobs_are_found_in_a_queue_of_thousands_the_last_one_first(clean_redis: redis.Redis):
    clean_redis.rpush(MAIL, *(Job(command="clean", args=(n % 700, n), queue="mail").payload() for n in range(2_500)))
    found = [job for _, job in store().queues.find("mail", lambda job: job.args[0] == 3)]
    assert [job.args[1] for job in found if job] == [2103, 1403, 703, 3]
    assert [job.args[1] for _, job in store().queues.find("mail") if job] == list(range(2_499, -1, -1))


def test_what_is_no_job_is_found_when_nothing_is_asked_of_it(clean_redis: redis.Redis):
    clean_redis.rpush(MAIL, b"no job")
    assert list(store().queues.find("mail")) == [(b"no job", None)]
    assert list(store().queues.find("mail", lambda job: True)) == []


def test_a_search_ends_although_more_is_pushed_than_it_reads(clean_redis: redis.Redis):
    clean_redis.rpush(MAIL, *range(2_000))
    seen = 0
    for _ in store().queues.find("mail"):
        clean_redis.rpush(MAIL, "more", "and more")
        seen += 1
    assert seen == 2_000


def test_a_search_misses_nothing_while_workers_take_jobs_and_give_them_back(clean_redis: redis.Redis):
    clean_redis.rpush(MAIL, *range(3_000))
    taken: list[bytes] = []
    seen: set[bytes] = set()
    for at, window in enumerate(store().queues.windows("mail")):
        seen.update(window.elements)
        if at % 2:
            clean_redis.lpush(MAIL, *reversed(taken))
        else:
            taken = clean_redis.lpop(MAIL, 50)
    assert seen >= {b"%d" % number for number in range(50, 3_000)}


def test_large_payloads_are_read_a_few_at_a_time(clean_redis: redis.Redis):
    clean_redis.rpush(MAIL, *(b"%d" % number + b"x" * 200_000 for number in range(150)))
    sizes = [len(window.elements) for window in store().queues.windows("mail")]
    assert sizes[0] == 100
    assert sizes[1] < 100


def test_looking_through_what_is_no_list_is_an_error(clean_redis: redis.Redis):
    clean_redis.set(MAIL, "a text")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        list(store().queues.find("mail"))


# -- dequeueing --------------------------------------------------------------------------------------------------------


def test_a_job_that_is_dequeued_is_gone_and_its_status_says_why(clean_redis: redis.Redis):
    first, second, third = jobs(3)
    push(clean_redis, first, second, third)
    found = store().queues.page("mail", 1, 1)
    assert store().ask(store().queues.dequeue("mail", found)) == [True]
    assert clean_redis.lrange(MAIL, 0, -1) == [first.payload(), third.payload()]
    assert status_of(clean_redis, second)["status"] == Status.FAILED
    assert status_of(clean_redis, second)["outcome"] == "cancelled"
    assert status_of(clean_redis, first)["status"] == Status.WAITING
    assert 86_000 < clean_redis.ttl(f"resque:job:{second.id}:status") <= 86_400
    assert "stat:processed" not in state(clean_redis)


def test_a_job_that_a_worker_has_taken_is_not_dequeued(clean_redis: redis.Redis):
    first, second = jobs(2)
    push(clean_redis, first, second)
    found = store().queues.page("mail")
    clean_redis.lpop(MAIL)
    assert store().ask(store().queues.dequeue("mail", found)) == [False, True]
    assert status_of(clean_redis, first)["status"] == Status.WAITING
    assert store().ask(store().queues.dequeue("mail", found)) == [False, False]


def test_a_job_without_a_status_gets_none_by_being_dequeued(clean_redis: redis.Redis):
    (job,) = jobs(1)
    push(clean_redis, job, tracked=False)
    store().ask(store().queues.dequeue("mail", store().queues.page("mail")))
    assert not clean_redis.keys("resque:job:*")


def test_what_cannot_be_read_and_jobs_of_other_programs_are_dequeued_by_their_bytes(clean_redis: redis.Redis):
    for name in ("php/04", "node/02", "ruby/02"):
        recorded = recording(name)
        queue = next(iter(recorded.value("queues")))
        payloads = list(recorded.elements("queue"))
        clean_redis.rpush(f"resque:queue:{queue}", *payloads, b"\xff{", b"")
        found = list(store().queues.find(queue))
        assert len(found) > 2
        assert all(store().ask(store().queues.dequeue(queue, found)))
        assert not clean_redis.exists(f"resque:queue:{queue}")


def test_of_equal_payloads_one_is_removed_for_each_that_was_found(clean_redis: redis.Redis):
    clean_redis.rpush(MAIL, *[b'{"class":"Clean","args":[]}'] * 3)
    found = store().queues.page("mail", 0, 2)
    assert store().ask(store().queues.dequeue("mail", found)) == [True, True]
    assert clean_redis.llen(MAIL) == 1


def test_dequeueing_frees_the_key_of_uniqueness_that_the_job_holds(clean_redis: redis.Redis):
    mine, other = (Job(command="clean", queue="mail", extra={"unique": [key, 60]}) for key in ("a", "b"))
    push(clean_redis, mine, other)
    clean_redis.set("resque:django:unique:a", mine.id)
    clean_redis.set("resque:django:unique:b", "of another job")
    store().ask(store().queues.dequeue("mail", store().queues.page("mail")))
    assert not clean_redis.exists("resque:django:unique:a")
    assert clean_redis.get("resque:django:unique:b") == b"of another job"


@pytest.mark.parametrize("unique", [None, 3, [], ["a"], [1, 60], ["a", "60"], ["a", -1], {"a": 60}])
def test_a_key_of_uniqueness_that_is_none_is_in_nobodys_way(clean_redis: redis.Redis, unique: object):
    push(clean_redis, Job(command="clean", queue="mail", extra={"unique": unique}))
    assert store().ask(store().queues.dequeue("mail", store().queues.page("mail"))) == [True]


def test_the_crashes_of_a_dequeued_job_are_forgotten(clean_redis: redis.Redis):
    (job,) = jobs(1)
    push(clean_redis, job)
    sha = clean_redis.eval("return redis.sha1hex(ARGV[1])", 0, job.payload())
    clean_redis.hset("resque:django:crashes", mapping={sha: 2, "other": 1})
    store().ask(store().queues.dequeue("mail", store().queues.page("mail")))
    assert clean_redis.hgetall("resque:django:crashes") == {b"other": b"1"}


def test_broken_keys_of_a_job_do_not_keep_the_others_in_the_queue(clean_redis: redis.Redis):
    first, second = (Job(command="clean", queue="mail", extra={"unique": ["a", 60]}) for _ in range(2))
    push(clean_redis, first, second)
    clean_redis.rpush("resque:django:unique:a", "a list")
    clean_redis.set("resque:django:crashes", "a text")
    assert store().ask(store().queues.dequeue("mail", store().queues.page("mail"))) == [True, True]


def test_jobs_are_dequeued_while_the_memory_is_full(clean_redis: redis.Redis):
    first, second = jobs(2)
    push(clean_redis, first, second)
    found = store().queues.page("mail", 0, 1)
    with full(clean_redis):
        assert store().ask(store().queues.dequeue("mail", found)) == [True]
        assert status_of(clean_redis, first)["outcome"] == "cancelled"
        assert store().queues.clear("mail") == 1


def test_a_job_is_either_dequeued_or_taken_by_a_worker_and_never_both(clean_redis: redis.Redis, redis_server):
    count = 3_000
    push(clean_redis, *jobs(count), tracked=False)
    performed: list[bytes] = []
    removed: list[bytes] = []

    def worker() -> None:
        with redis_server.client() as client:
            while (payload := client.lpop(MAIL)) is not None:
                performed.append(payload)

    def cancel() -> None:
        for window in store().queues.windows("mail"):
            for at in range(0, len(window.elements), 20):
                found = [(raw, None) for raw in window.elements[at : at + 20]]
                gone = store().ask(store().queues.dequeue("mail", found))  # type: ignore[arg-type]
                removed.extend(raw for (raw, _), done in zip(found, gone, strict=True) if done)

    threads = [threading.Thread(target=target) for target in (worker, cancel)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert performed
    assert removed
    assert len(performed) + len(removed) == len({*performed, *removed}) == count


# -- clearing ----------------------------------------------------------------------------------------------------------


def test_clearing_a_queue_cancels_all_its_jobs_and_tells_how_far_it_is(clean_redis: redis.Redis):
    many = jobs(250, extra={"unique": ["a", 60]})
    push(clean_redis, *many)
    clean_redis.rpush(MAIL, b"no job")
    clean_redis.set("resque:django:unique:a", many[7].id)
    told: list[tuple[int, int]] = []
    assert store().queues.clear("mail", lambda done, total: told.append((done, total))) == 251
    assert told == [(100, 251), (200, 251), (251, 251)]
    assert {status_of(clean_redis, job)["outcome"] for job in many} == {"cancelled"}
    assert {key for key in state(clean_redis) if not key.startswith("job:")} == {"queues"}


def test_from_the_first_moment_of_clearing_no_job_is_performed_and_new_ones_stay(clean_redis: redis.Redis):
    push(clean_redis, *jobs(150))
    left: list[list[bytes]] = []

    def look(done: int, total: int) -> None:
        left.append(clean_redis.lrange(MAIL, 0, -1))
        clean_redis.rpush(MAIL, b"new")

    assert store().queues.clear("mail", look) == 150
    assert left == [[], [b"new"]]
    assert clean_redis.lrange(MAIL, 0, -1) == [b"new", b"new"]


def test_what_is_set_aside_while_a_queue_is_cleared_expires(clean_redis: redis.Redis):
    push(clean_redis, *jobs(2))

    def die(done: int, total: int) -> None:
        raise KeyboardInterrupt

    push(clean_redis, *jobs(150))
    with pytest.raises(KeyboardInterrupt):
        store().queues.clear("mail", die)
    (aside,) = clean_redis.keys("resque:django:cleared:*")
    assert 0 < clean_redis.ttl(aside) <= 86_400


def test_clearing_an_empty_queue_does_nothing(clean_redis: redis.Redis):
    assert store().queues.clear("mail") == 0
    assert state(clean_redis) == {}


def test_a_key_that_is_no_queue_is_not_cleared(clean_redis: redis.Redis):
    clean_redis.set(MAIL, "a text")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        store().queues.clear("mail")
    assert clean_redis.get(MAIL) == b"a text"


def test_a_removed_queue_is_off_the_boards(clean_redis: redis.Redis):
    push(clean_redis, *jobs(3))
    assert store().queues.remove("mail") == Removed(3, gone=True)
    assert store().queues.names() == []
    assert store().queues.remove("mail") == Removed(0, gone=True)


def test_a_queue_stays_when_a_job_is_pushed_while_it_is_removed(clean_redis: redis.Redis):
    first, second = jobs(2)
    push(clean_redis, first)
    assert store().queues.remove("mail", lambda done, total: push(clean_redis, second)) == Removed(1, gone=False)
    assert store().queues.names() == ["mail"]
    assert clean_redis.lrange(MAIL, 0, -1) == [second.payload()]
