"""Taking jobs out by what they are, wherever they wait."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator

import pytest
import redis
from django.test import override_settings

from django_resque import dequeueing
from django_resque.dequeueing import Dequeued, dequeue
from django_resque.errors import InvalidArguments
from django_resque.job import Job
from django_resque.status import Status, status_record
from django_resque.store import store
from django_resque.store.outbox import outbox


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    store().close()


def push(client: redis.Redis, *jobs: Job) -> None:
    for job in jobs:
        client.rpush(f"resque:queue:{job.queue}", job.payload())
        client.sadd("resque:queues", job.queue)
        client.set(f"resque:job:{job.id}:status", status_record(Status.WAITING, job))


def left(client: redis.Redis, queue: str = "mail") -> list[tuple[str, tuple[object, ...]]]:
    read = [Job.from_payload(raw, queue) for raw in client.lrange(f"resque:queue:{queue}", 0, -1)]
    return [(job.command, job.args) for job in read]


@pytest.fixture
def some(clean_redis: redis.Redis) -> list[Job]:
    found = [
        Job("clean", (1,), queue="mail"),
        Job("clean", (2,), {"force": True}, queue="mail"),
        Job("send", (1,), queue="mail"),
        Job("clean", (1,), queue="other"),
    ]
    push(clean_redis, *found)
    return found


def test_jobs_are_dequeued_by_command_in_all_queues(clean_redis: redis.Redis, some: list[Job]):
    assert dequeue(command="clean") == Dequeued(seen=4, removed=3)
    assert left(clean_redis) == [("send", (1,))]
    assert left(clean_redis, "other") == []


def test_jobs_are_dequeued_by_command_in_one_queue(clean_redis: redis.Redis, some: list[Job]):
    assert dequeue(command="clean", queue="mail") == Dequeued(seen=3, removed=2)
    assert left(clean_redis, "other") == [("clean", (1,))]


def test_a_job_is_dequeued_by_its_id(clean_redis: redis.Redis, some: list[Job]):
    assert dequeue(id=some[1].id).removed == 1
    assert left(clean_redis) == [("clean", (1,)), ("send", (1,))]
    assert json.loads(clean_redis.get(f"resque:job:{some[1].id}:status"))["outcome"] == "cancelled"
    assert dequeue(id=some[1].id).removed == 0


def test_several_jobs_are_dequeued_by_their_ids(clean_redis: redis.Redis, some: list[Job]):
    assert dequeue(ids=[some[0].id, some[3].id, "unknown"]).removed == 2
    assert dequeue(id=some[1].id, ids=iter([some[2].id])).removed == 2
    assert dequeue(ids=[]).removed == dequeue(id="\ud800").removed == 0


def test_an_id_that_json_writes_in_another_way_is_found(clean_redis: redis.Redis):
    clean_redis.sadd("resque:queues", "mail")
    clean_redis.rpush("resque:queue:mail", rb'{"class":"Clean","args":[],"id":"a\/b"}')
    assert dequeue(id="a/b").removed == 1


def test_jobs_are_dequeued_by_their_arguments_as_they_were_enqueued(clean_redis: redis.Redis, some: list[Job]):
    key = uuid.uuid4()
    push(clean_redis, Job("clean", (str(key),), queue="mail"))
    assert dequeue(command="clean", args=[key]).removed == 1
    assert dequeue(command="clean", args=(2,), options={"force": False}).removed == 0
    assert dequeue(options={"force": True}).removed == 1
    assert dequeue(command="clean", args=()).removed == 0
    assert dequeue(args=(1,), options={}).removed == 3


def test_arguments_of_other_programs_jobs_are_compared_as_they_are_read(clean_redis: redis.Redis):
    clean_redis.sadd("resque:queues", "mail")
    clean_redis.rpush(
        "resque:queue:mail", b'{"class":"Clean","args":[[1,{"force":true}]]}', b'{"class":"Clean","args":[1]}'
    )
    assert dequeue(args=[1], options={"force": True}) == Dequeued(2, 1)


def test_a_whole_queue_is_dequeued_and_what_cannot_be_read_too(clean_redis: redis.Redis, some: list[Job]):
    clean_redis.rpush("resque:queue:mail", b"no job")
    assert dequeue(queue="mail") == Dequeued(4, 4)
    assert left(clean_redis) == []
    assert left(clean_redis, "other") == [("clean", (1,))]


def test_what_cannot_be_read_is_left_where_it_is(clean_redis: redis.Redis, some: list[Job]):
    clean_redis.rpush("resque:queue:mail", b"no job")
    assert dequeue(queue="mail", command="clean").removed == 2
    assert clean_redis.lrange("resque:queue:mail", -1, -1) == [b"no job"]


def test_a_queue_of_thousands_is_gone_through_and_each_job_counted_once(clean_redis: redis.Redis):
    payloads = [Job("clean" if n % 3 else "send", (n,), queue="mail").payload() for n in range(4_000)]
    clean_redis.sadd("resque:queues", "mail")
    clean_redis.rpush("resque:queue:mail", *payloads)
    assert dequeue(command="clean") == Dequeued(4_000, 2_666)
    assert {command for command, _ in left(clean_redis)} == {"send"}
    assert dequeue(command="send") == Dequeued(1_334, 1_334)


def test_delayed_parked_and_failed_jobs_that_wait_are_dequeued_too(clean_redis: redis.Redis):
    job = Job("clean", (1,), queue="mail", extra={"unique": ["a", 60]})
    other = Job("send", queue="mail")
    clean_redis.rpush("resque:delayed:2000000000", job.delayed_item(), other.delayed_item())
    clean_redis.zadd("resque:delayed_queue_schedule", {"2000000000": 2_000_000_000})
    clean_redis.zadd(
        "resque:django:retries", {b"abc123.1.1\nmail\n" + job.payload(): 2e9, b"abc123.1.2\nmail\n{}": 2e9}
    )
    clean_redis.sadd("resque:django:parking", "key")
    clean_redis.rpush("resque:django:parked:key", b"mail\n" + job.payload(), b"mail\n" + other.payload(), b"nothing")
    clean_redis.set("resque:django:unique:a", job.id)
    assert dequeue(command="clean").removed == 3
    assert clean_redis.lrange("resque:delayed:2000000000", 0, -1) == [other.delayed_item()]
    assert clean_redis.zcard("resque:django:retries") == 1
    assert clean_redis.lrange("resque:django:parked:key", 0, -1) == [b"mail\n" + other.payload(), b"nothing"]
    assert not clean_redis.exists("resque:django:unique:a")
    assert dequeue(queue="mail").removed == 2


def test_nothing_is_dequeued_when_nothing_is_said(clean_redis: redis.Redis, some: list[Job]):
    with pytest.raises(TypeError, match="which jobs"):
        dequeue()
    with pytest.raises(InvalidArguments):
        dequeue(args=[object()])


def test_a_job_is_either_dequeued_or_performed_and_never_both(clean_redis: redis.Redis, redis_server):
    payloads = [Job("clean", (n,), queue="mail").payload() for n in range(3_000)]
    clean_redis.sadd("resque:queues", "mail")
    clean_redis.rpush("resque:queue:mail", *payloads)
    performed = 0
    begun = threading.Event()

    def perform() -> None:
        nonlocal performed
        with redis_server.client() as client:
            while client.lpop("resque:queue:mail") is not None:
                performed += 1
                begun.set()

    thread = threading.Thread(target=perform)
    thread.start()
    assert begun.wait(10)
    found = dequeue(command="clean")
    thread.join()
    assert performed + found.removed == 3_000


def test_under_a_test_runner_jobs_are_taken_out_of_the_outbox(redis_server):
    with override_settings(RESQUE={"TESTING": "outbox"}):
        outbox.collect([Job("clean", (1,)), Job("clean", (2,)), Job("send")])
        try:
            assert dequeueing.dequeue(command="clean", args=[2]) == Dequeued(3, 1)
            assert [job.args for job in outbox] == [(1,), ()]
        finally:
            outbox.clear()
