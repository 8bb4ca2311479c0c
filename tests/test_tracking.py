"""A job's life, as whoever enqueued it sees it."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis
from django.test import override_settings

from django_resque.dequeueing import dequeue
from django_resque.errors import ResqueError, StoreUnavailable
from django_resque.job import Job
from django_resque.status import Status, performance, status_record
from django_resque.store import store
from django_resque.store.outbox import outbox
from django_resque.tracking import LOOK_AGAIN, TrackedJob

from .wire.recordings import recording
from .workers import until


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    store().close()


def set_status(client: redis.Redis, job: Job, status: Status, more: bytes = b"") -> bytes:
    record = status_record(status, job, more)
    client.set(f"resque:job:{job.status_id}:status", record)
    return record


def end(client: redis.Redis, job: Job, status: Status = Status.COMPLETE) -> None:
    """What a turn does when a job ends."""
    client.publish(f"resque:django:ended:{job.status_id}", set_status(client, job, status))


@contextmanager
def waiting(job: TrackedJob, timeout: float | None = 30) -> Iterator[Callable[[], object]]:
    """A thread that waits for the job; gives what it has got, when it has."""
    got: list[object] = []

    def wait() -> None:
        try:
            got.append(job.wait(timeout))
        except Exception as error:
            got.append(error)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()

    def result() -> object:
        thread.join(30)
        return got[0]

    yield result
    result()


def listens(client: redis.Redis, job: Job) -> None:
    until(lambda: client.pubsub_numsub(f"resque:django:ended:{job.status_id}")[0][1] == 1)
    until(lambda: client.exists("resque:django:waited"))


# -- looking -----------------------------------------------------------------------------------------------------------


def test_a_job_is_looked_up_at_the_first_question_and_again_only_when_refreshed(clean_redis: redis.Redis):
    job = TrackedJob("clean")
    assert job.status is Status.UNKNOWN
    set_status(clean_redis, job, Status.RUNNING)
    assert job.status is Status.UNKNOWN
    assert job.refresh() is job
    assert job.status is Status.RUNNING


def test_a_job_tells_what_became_of_it(clean_redis: redis.Redis):
    job = TrackedJob("clean")
    more = performance("worker", 2, 1.5) + b',"progress":[1,2,"half"],"result":[1,null]'
    set_status(clean_redis, job, Status.COMPLETE, more)
    clean_redis.set(f"resque:django:output:{job.id}", b"said \xff so")
    assert (job.status, job.result, job.progress) == (Status.COMPLETE, [1, None], (1, 2, "half"))
    assert (job.attempts, job.worker, job.outcome, job.duration) == (2, "worker", "", 1.5)
    assert job.begun is not None
    assert job.finished == job.begun + 1.5
    assert job.output == "said \N{REPLACEMENT CHARACTER} so"


def test_of_a_job_that_nobody_knows_nothing_is_told():
    job = TrackedJob("clean")
    assert (job.status, job.result, job.progress, job.attempts, job.worker) == (Status.UNKNOWN, None, None, 0, "")
    assert (job.begun, job.finished, job.duration, job.outcome, job.output) == (None, None, None, "", "")


def test_a_job_is_got_by_its_id(clean_redis: redis.Redis):
    set_status(clean_redis, Job("clean", (1,), queue="mail", id="a", enqueued_at=5), Status.WAITING)
    assert TrackedJob.get("a") == TrackedJob("clean", (), {}, "mail", "a", 5.0)
    job = TrackedJob.get("a")
    assert job is not None
    clean_redis.flushdb()
    assert job.status is Status.WAITING
    assert TrackedJob.get("a") is None


def test_jobs_of_php_are_got_by_their_ids(clean_redis: redis.Redis):
    recording("php/10").load(clean_redis)
    job = TrackedJob.get("c218dc5afaa2f5d1868968717d9bd0cc")
    assert job is not None
    assert (job.status, job.result, job.command) == (Status.COMPLETE, {"sum": 3}, "")


def test_a_job_is_a_value_like_any_other_job():
    job = TrackedJob("clean", (1,), {"a": 1}, extra={"timeout": 3})
    same = TrackedJob(*(getattr(job, field.name) for field in dataclasses.fields(job)))
    assert isinstance(job, Job)
    assert job == same == pickle.loads(pickle.dumps(job)) == copy.copy(job)
    assert dataclasses.replace(job, queue="mail").queue == "mail"
    assert TrackedJob.from_payload(job.payload(), "default") == job
    assert not hasattr(job, "__dict__")
    with pytest.raises(dataclasses.FrozenInstanceError):
        job.queue = "mail"  # type: ignore[misc]


# -- waiting -----------------------------------------------------------------------------------------------------------


def test_a_job_that_has_ended_is_not_waited_for(clean_redis: redis.Redis):
    job = TrackedJob("clean")
    for status in (Status.COMPLETE, Status.FAILED):
        set_status(clean_redis, job, status)
        assert job.wait(0) is status is job.status


def test_waiting_hears_of_the_end_at_once(clean_redis: redis.Redis):
    job = TrackedJob("clean")
    set_status(clean_redis, job, Status.WAITING)
    with waiting(job) as result:
        listens(clean_redis, job)
        begun = time.monotonic()
        end(clean_redis, job, Status.FAILED)
        assert result() is Status.FAILED
        assert time.monotonic() - begun < LOOK_AGAIN / 2
    assert job.status is Status.FAILED
    assert 0 < clean_redis.ttl("resque:django:waited") <= 30
    until(lambda: not clean_redis.pubsub_channels())


def test_an_attempt_that_will_be_repeated_is_no_end(clean_redis: redis.Redis):
    job = TrackedJob("clean")
    set_status(clean_redis, job, Status.RUNNING)
    with waiting(job) as result:
        listens(clean_redis, job)
        end(clean_redis, job, Status.SCHEDULED)
        end(clean_redis, job)
        assert result() is Status.COMPLETE


def test_waiting_ends_with_its_timeout(clean_redis: redis.Redis):
    job = TrackedJob("clean")
    set_status(clean_redis, job, Status.RUNNING)
    with pytest.raises(TimeoutError, match=r"0\.2 s, it is running"):
        job.wait(0.2)
    with pytest.raises(TimeoutError):
        job.wait(0)


def test_an_end_that_was_not_heard_is_seen_a_little_later(clean_redis: redis.Redis, monkeypatch):
    monkeypatch.setattr("django_resque.tracking.LOOK_AGAIN", 0.1)
    job = TrackedJob("clean")
    set_status(clean_redis, job, Status.RUNNING)
    with waiting(job) as result:
        listens(clean_redis, job)
        set_status(clean_redis, job, Status.COMPLETE)
        assert result() is Status.COMPLETE


def test_waiting_survives_the_loss_of_its_connection(clean_redis: redis.Redis):
    job = TrackedJob("clean")
    set_status(clean_redis, job, Status.RUNNING)
    with waiting(job) as result:
        listens(clean_redis, job)
        clean_redis.client_kill_filter(_type="pubsub")
        listens(clean_redis, job)
        end(clean_redis, job)
        assert result() is Status.COMPLETE


def test_a_job_that_is_not_pushed_yet_is_waited_for(clean_redis: redis.Redis):
    job = TrackedJob("clean")
    with waiting(job) as result:
        listens(clean_redis, job)
        end(clean_redis, job)
        assert result() is Status.COMPLETE


def test_waiting_ends_when_nothing_is_known_of_the_job_any_more(clean_redis: redis.Redis):
    job = TrackedJob("clean")
    set_status(clean_redis, job, Status.RUNNING)
    with waiting(job, timeout=None) as result:
        listens(clean_redis, job)
        clean_redis.delete(f"resque:job:{job.id}:status")
        clean_redis.publish(f"resque:django:ended:{job.id}", "")
        assert result() is Status.UNKNOWN


def test_whoever_waits_for_a_job_hears_that_it_was_dequeued(clean_redis: redis.Redis):
    job = TrackedJob("clean")
    clean_redis.sadd("resque:queues", "default")
    clean_redis.rpush("resque:queue:default", job.payload())
    set_status(clean_redis, job, Status.WAITING)
    with waiting(job) as result:
        listens(clean_redis, job)
        begun = time.monotonic()
        assert dequeue(id=job.id).removed == 1
        assert result() is Status.FAILED
        assert time.monotonic() - begun < LOOK_AGAIN / 2
    assert job.outcome == "cancelled"


def test_a_job_that_is_not_tracked_cannot_be_waited_for():
    with pytest.raises(ResqueError, match="not tracked"):
        TrackedJob("clean", extra={"track": False}).wait()


def test_waiting_for_a_server_that_is_not_there_is_an_error(redis_server):
    redis_server.stop()
    with pytest.raises(StoreUnavailable):
        TrackedJob("clean").wait(1)


# -- in the tests of a project -----------------------------------------------------------------------------------------


def test_under_a_test_runner_jobs_in_the_outbox_wait_and_no_redis_is_asked(redis_server):
    redis_server.stop()
    with override_settings(RESQUE={"TESTING": "outbox"}):
        job, plain = TrackedJob("clean", (1,)), Job("send", (2,), id="b")
        assert job.status is Status.UNKNOWN
        outbox.collect([job, plain])
        try:
            assert job.refresh().status is Status.WAITING
            assert TrackedJob.get(job.id) == job
            assert TrackedJob.get("b") == TrackedJob("send", (2,), id="b", enqueued_at=plain.enqueued_at)
            assert TrackedJob.get("c") is None
            assert job.output == ""
            with pytest.raises(TimeoutError, match="outbox"):
                job.wait()
        finally:
            outbox.clear()
