"""Where a job is, at a glance and looked for everywhere."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import redis

from django_resque import enqueue, enqueue_in
from django_resque.errors import StoreError
from django_resque.failure import failure_record
from django_resque.job import Job
from django_resque.status import Status
from django_resque.store import store
from django_resque.whereabouts import Kind, Place, glance, look_up, take_out


def fill(client: redis.Redis, job: Job, kind: Kind) -> None:
    """Put a job into a place, as others might: without a status."""
    raw = job.payload()
    match kind:
        case Kind.QUEUE:
            client.sadd("resque:queues", "mail")
            client.rpush("resque:queue:mail", raw)
        case Kind.WORKER:
            client.sadd("resque:workers", "box1:1:mail")
            working = {"queue": "mail", "run_at": "2026-11-20T13:21:45Z", "payload": json.loads(raw)}
            client.set("resque:worker:box1:1:mail", json.dumps(working))
        case Kind.PARKED:
            client.sadd("resque:django:parking", "heavy")
            client.rpush("resque:django:parked:heavy", b"mail\n" + raw)
        case Kind.DELAYED:
            client.zadd("resque:delayed_queue_schedule", {"4000000000": 4_000_000_000})
            client.rpush("resque:delayed:4000000000", raw[:-1] + b',"queue":"mail"}')
        case Kind.RETRIES:
            client.zadd("resque:django:retries", {b"abc.1 x\nmail\n" + raw: 4e9})
        case Kind.FAILED:
            client.rpush("resque:failed", record(job))


def record(job: Job) -> bytes:
    return failure_record(
        payload=job.payload(), queue="mail", worker="w:1:mail", exception="E", error="e", now=datetime.now(UTC)
    )


NAMES = {Kind.WORKER: "box1:1:mail", Kind.QUEUE: "mail", Kind.PARKED: "heavy"}


@pytest.mark.parametrize("kind", Kind)
def test_a_job_is_found_in_each_place_without_a_status_too(clean_redis: redis.Redis, kind: Kind):
    others = [Job("act", ("tell", str(number))) for number in range(3)]
    job = Job("act", ("tell", "x"))
    for each in (*others[:2], job, others[2]):
        fill(clean_redis, each, kind)
        if kind is Kind.WORKER and each is job:
            break
    for look in (glance, look_up):
        known = look(job.id)
        assert known.found is not None
        assert (known.found.place, known.found.job.args) == (Place(kind, NAMES.get(kind, "")), ("tell", "x"))
        assert (known.seen, known.whole) == (None, True)


@pytest.mark.parametrize("kind", Kind)
def test_a_job_that_is_only_mentioned_is_not_taken_for_it(clean_redis: redis.Redis, kind: Kind):
    fill(clean_redis, Job("act", ("tell", "0123456789abcdef0123456789abcdef")), kind)
    assert glance("0123456789abcdef0123456789abcdef").is_nothing


def test_what_is_due_is_known_of_those_that_wait_for_their_time(clean_redis: redis.Redis):
    job, retry = Job("act"), Job("act")
    fill(clean_redis, job, Kind.DELAYED)
    fill(clean_redis, retry, Kind.RETRIES)
    assert [known.found.due for known in (glance(job.id), glance(retry.id)) if known.found] == [4e9, 4e9]


def test_jobs_that_were_enqueued_are_found_by_what_their_statuses_say(clean_redis: redis.Redis):
    waiting, delayed = enqueue("act", "tell", "x"), enqueue_in(3_600, "act", "tell", "y")
    first, second = glance(waiting.id), glance(delayed.id)
    assert first.found is not None
    assert second.found is not None
    assert first.found.place == Place(Kind.QUEUE, "default")
    assert second.found.place == Place(Kind.DELAYED)
    assert first.seen is not None
    assert first.seen.status is Status.WAITING


def test_a_job_that_has_moved_on_since_its_status_was_written_is_found_all_the_same(clean_redis: redis.Redis):
    job = enqueue("act", "tell", "x")
    clean_redis.rename("resque:queue:default", "resque:queue:other")
    clean_redis.sadd("resque:queues", "other")
    known = glance(job.id)
    assert known.found is not None
    assert known.found.place == Place(Kind.QUEUE, "other")


def test_a_glance_does_not_reach_the_middle_of_a_long_queue_and_looking_it_up_does(clean_redis: redis.Redis):
    job = Job("act", queue="mail")
    filler = Job("act").payload()
    for _ in range(6):
        clean_redis.rpush("resque:queue:mail", *[filler] * 1_000)
    fill(clean_redis, job, Kind.QUEUE)
    for _ in range(6):
        clean_redis.rpush("resque:queue:mail", *[filler] * 1_000)
    known = glance(job.id)
    assert (known.found, known.whole) == (None, False)
    everywhere = look_up(job.id)
    assert everywhere.found is not None
    assert everywhere.found.raw == job.payload()


def test_a_status_with_a_prefix_of_php_is_found_through_the_payload(clean_redis: redis.Redis):
    job = Job("act", extra={"prefix": "site"})
    fill(clean_redis, job, Kind.QUEUE)
    clean_redis.set(f"resque:job:site_{job.id}:status", '{"status":1,"updated":1,"started":1}')
    known = glance(job.id)
    assert known.seen is not None
    assert known.seen.status is Status.WAITING


def test_a_done_job_is_known_where_another_program_has_left_its_failure(clean_redis: redis.Redis):
    job = enqueue("act", "tell", "x")
    clean_redis.delete("resque:queue:default")
    clean_redis.set(f"resque:job:{job.id}:status", '{"status":4}')
    assert glance(job.id).found is None
    fill(clean_redis, job, Kind.FAILED)
    known = glance(job.id)
    assert known.found is not None
    assert known.found.failure is not None


@pytest.mark.parametrize("kind", [Kind.QUEUE, Kind.PARKED])
def test_a_job_is_taken_out_once(clean_redis: redis.Redis, kind: Kind):
    job = Job("act")
    fill(clean_redis, job, kind)
    found = glance(job.id).found
    assert found is not None
    assert take_out(found)
    assert not take_out(found)
    assert glance(job.id).is_nothing


def test_what_does_not_wait_in_a_queue_is_not_taken_out(clean_redis: redis.Redis):
    job = Job("act")
    fill(clean_redis, job, Kind.FAILED)
    found = glance(job.id).found
    assert found is not None
    with pytest.raises(StoreError, match="is not in a queue, but at the failed list"):
        take_out(found)
    assert store().failures.count() == 1


@pytest.mark.parametrize("job_id", ["", "x" * 1_000, 'a"b', "a\\b", "*", "\x00", "é", "a b", "resque"])
def test_any_text_may_be_asked_for(clean_redis: redis.Redis, job_id: str):
    fill(clean_redis, Job("act"), Kind.QUEUE)
    assert glance(job_id).is_nothing
    assert look_up(job_id).is_nothing


def test_keys_of_the_wrong_type_spoil_only_their_part(clean_redis: redis.Redis):
    job = Job("act")
    fill(clean_redis, job, Kind.RETRIES)
    for key in (f"resque:job:{job.id}:status", f"resque:django:output:{job.id}"):
        clean_redis.hset(key, "a", "b")
    for key in ("resque:queues", "resque:workers", "resque:delayed_queue_schedule", "resque:failed"):
        clean_redis.set(key, "surprise")
    known = glance(job.id)
    assert known.found is not None
    assert (known.output, known.seen, len(known.trouble)) == (b"", None, 5)
