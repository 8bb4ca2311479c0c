"""Statuses: what is read of them, and the jobs that ended last."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from django_resque.errors import StoreError
from django_resque.job import Job
from django_resque.status import Status, performance, status_record
from django_resque.store import Seen, store

from .wire.recordings import recording


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    store().close()


def seen(**status: Any) -> Seen:
    return Seen.from_json(json.dumps(status).encode())


def test_what_we_write_is_read_again(clean_redis: redis.Redis):
    job = Job("clean", queue="mail", id="a", enqueued_at=1_795_000_000.9)
    more = performance("host~abc123-1:42:mail", 2, 1.5) + b',"result":{"sum":3}'
    clean_redis.set("resque:job:a:status", status_record(Status.COMPLETE, job, more))
    found = store().statuses.seen("a")
    assert found is not None
    assert (found.id, found.status, found.command, found.queue) == ("a", Status.COMPLETE, "clean", "mail")
    assert (found.worker, found.attempt, found.duration) == ("host~abc123-1:42:mail", 2, 1.5)
    assert (found.enqueued_at, found.result, found.outcome) == (1_795_000_000, {"sum": 3}, "")
    assert found.begun is not None
    assert found.finished == found.begun + 1.5
    assert found.ended


def test_a_job_that_is_scheduled_or_runs_has_not_finished():
    for status in (Status.WAITING, Status.RUNNING, Status.SCHEDULED):
        found = seen(status=status, updated=3, started=1, begun=2.5, duration=0.5, due=9.25)
        assert (found.status, found.finished, found.ended, found.due) == (status, None, False, 9.25)


def test_progress_and_outcome_are_read():
    assert seen(status=2, progress=[3, 10, "of ten"]).progress == (3, 10, "of ten")
    assert seen(status=2, progress=[3, None, ""]).progress == (3, None, "")
    assert seen(status=3, outcome="expired").outcome == "expired"


def test_the_statuses_of_php_are_read(clean_redis: redis.Redis):
    recording("php/10").load(clean_redis)
    found = store().statuses.seen("c218dc5afaa2f5d1868968717d9bd0cc")
    assert found == Seen(
        "c218dc5afaa2f5d1868968717d9bd0cc",
        Status.COMPLETE,
        updated=1_795_183_431,
        enqueued_at=1_795_183_431,
        finished=1_795_183_431,
        result={"sum": 3},
    )


def test_the_statuses_of_all_programs_are_read_under_the_ids_of_their_keys(clean_redis: redis.Redis):
    for name in ("php/22", "php-chrisboulton/22", "php/05"):
        recorded = recording(name)
        recorded.load(clean_redis)
        ids = [key.split(":")[2] for key in recorded.keys if key.startswith("resque:job:")]
        assert ids
        for status_id, found in zip(ids, store().statuses.seen_many(ids), strict=True):
            assert found is not None
            assert found.status is not Status.UNKNOWN
            assert found.id == status_id


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"no JSON", b"[]", b"null", b"4", b"\xff", b"[" * 99_999, b'{"status":5}', b'{"status":null}'),
        *(b'{"status":true}', b'{"status":1e999}', b'{"status":[4]}', b'{"status":"x"}', b'{"status":NaN}'),
    ],
)
def test_what_is_no_status_is_unknown(clean_redis: redis.Redis, raw: bytes):
    clean_redis.set("resque:job:a:status", raw)
    assert store().statuses.seen("a") == Seen("a", Status.UNKNOWN)


def test_members_of_another_type_are_left_out():
    found = seen(status="4", updated="now", started=True, begun=[], attempt={}, worker=3, progress="half", queue=None)
    assert found == Seen("", Status.COMPLETE)
    assert seen(status=4, progress=["a", "b", "c"], begun=1e300, attempt=1e300) == Seen("", Status.COMPLETE)
    assert Seen.from_json(b'{"status":4,"worker":"\\ud800","begun":NaN}').worker == "\\ud800"


def test_a_job_without_a_status_is_none_and_a_broken_one_hides_no_other(clean_redis: redis.Redis):
    clean_redis.set("resque:job:a:status", b'{"status":1}')
    clean_redis.rpush("resque:job:b:status", "a list")
    assert [found and found.status for found in store().statuses.seen_many(["a", "b", "c"])] == [1, None, None]
    assert store().statuses.seen_many([]) == []


def test_the_output_of_a_job_is_read(clean_redis: redis.Redis):
    clean_redis.set("resque:django:output:a", b"said \xff")
    assert store().statuses.output("a") == b"said \xff"
    assert store().statuses.output("b") == b""


def test_a_server_that_is_not_there_is_an_error(redis_server):
    redis_server.stop()
    with pytest.raises(StoreError):
        store().statuses.seen("a")
    with store().statuses.ending("a") as ending, pytest.raises(StoreError):
        ending.look()


def test_the_jobs_that_ended_last_are_read_a_page_at_a_time(clean_redis: redis.Redis):
    for number in range(2_500):
        job = Job("clean" if number % 2 else "send", queue="mail", id=f"id{number}")
        clean_redis.lpush("resque:django:recent", status_record(Status.COMPLETE, job))
    clean_redis.lpush("resque:django:recent", b"garbage")
    recent = store().recent
    assert recent.count() == 2_501
    assert [each.id for each in recent.page(0, 3)] == ["", "id2499", "id2498"]
    assert [each.id for each in recent.page(2_500, 3)] == ["id0"]
    assert recent.page(9_999) == []
    found = [each.id for each in recent.find(lambda each: each.command == "clean")]
    assert found == [f"id{number}" for number in range(2_499, 0, -2)]
