"""`enqueue_in`, `enqueue_at`, and what `using` says of later: from the call to what stands in Redis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from django_resque import enqueue_at, enqueue_in, using
from django_resque.errors import InvalidArguments
from django_resque.status import Status
from django_resque.store import store
from django_resque.testing import outbox

DUE = 4_000_000_000
"""A unix time that is far enough."""


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    store().close()


def items(client: redis.Redis) -> dict[int, dict[str, Any]]:
    """What is delayed, by the second at which it is due; one item each."""
    found = {int(second): client.lrange(f"resque:delayed:{int(second)}", 0, -1) for second in seconds(client)}
    return {second: json.loads(item) for second, (item,) in found.items()}


def seconds(client: redis.Redis) -> list[bytes]:
    return client.zrange("resque:delayed_queue_schedule", 0, -1)


@pytest.mark.parametrize("delay", [3600, timedelta(hours=1)])
def test_a_job_is_delayed_by_seconds_or_a_timedelta(clean_redis: redis.Redis, delay: Any):
    job = enqueue_in(delay, "act", "tell", "x")
    now = clean_redis.time()[0]
    ((due, item),) = items(clean_redis).items()
    assert now + 3599 <= due <= now + 3601
    assert (item["class"], item["id"], item["queue"]) == ("act", job.id, "default")
    assert item["args"] == [["tell", "x", {"_resque": {"id": job.id}}]]
    assert clean_redis.llen("resque:queue:default") == 0


@pytest.mark.parametrize("at", [DUE, DUE - 0.5, datetime.fromtimestamp(DUE, UTC)])
def test_a_job_is_delayed_to_a_datetime_or_a_unix_time(clean_redis: redis.Redis, at: Any):
    job = enqueue_at(at, "act", "tell", "x")
    assert {due: item["id"] for due, item in items(clean_redis).items()} == {DUE: job.id}


def test_a_delayed_job_has_the_queue_and_the_limits_that_are_chosen(clean_redis: redis.Redis):
    using(queue="other", at=DUE, timeout=30, max_attempts=3).enqueue("act", "tell", "x")
    item = items(clean_redis)[DUE]
    assert item["queue"] == "other"
    about = item["args"][0][-1]["_resque"]
    assert (about["timeout"], about["max_attempts"]) == (30, 3)


def test_a_time_that_has_passed_means_now(clean_redis: redis.Redis):
    job = enqueue_at(datetime(2001, 1, 1, tzinfo=UTC), "act", "tell", "x")
    assert [json.loads(raw)["id"] for raw in clean_redis.lrange("resque:queue:default", 0, -1)] == [job.id]
    assert seconds(clean_redis) == []


def test_a_delayed_job_is_checked_as_any_other(clean_redis: redis.Redis):
    with pytest.raises(InvalidArguments):
        enqueue_in(10, "act", "no_such_function")
    assert seconds(clean_redis) == []


def test_a_delayed_job_says_when_it_is_due(clean_redis: redis.Redis):
    job = enqueue_at(DUE, "act", "tell", "x")
    assert (job.status, job.due) == (Status.SCHEDULED, DUE)


def test_under_a_test_runner_delayed_jobs_are_in_the_outbox_at_once(settings: Any):
    settings.RESQUE = {**settings.RESQUE, "TESTING": "outbox"}
    job = enqueue_at(DUE, "act", "tell", "x")
    assert list(outbox) == [job]
    assert (job.status, job.due) == (Status.SCHEDULED, DUE)
    assert job.refresh().status is Status.SCHEDULED
