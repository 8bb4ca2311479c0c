"""A worker whose Redis is found through Sentinels, and changes.

What jobs have done they tell the session's server, which is never disturbed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from django_resque import enqueue, enqueue_many
from django_resque.errors import EnqueueError, StoreUnavailable
from django_resque.store import store
from tests.processes_in_redis import lasting
from tests.servers import SentinelGroup
from tests.settings_with_sentinels import cache
from tests.workers import WorkerProcess, told, until

AGAIN = 15
"""Seconds in which a worker works again after there is a primary: five times what is promised."""


@pytest.fixture(scope="module")
def _group() -> Iterator[SentinelGroup]:
    with SentinelGroup() as group:
        yield group


@pytest.fixture
def group(_group: SentinelGroup, settings: Any) -> SentinelGroup:
    """A primary and its replica, empty; the settings name their Sentinels."""
    _group.repair()
    settings.CACHES = {"default": cache(_group.ports)}
    return _group


@pytest.fixture
def start(
    worker: Callable[..., WorkerProcess], group: SentinelGroup, facts: redis.Redis
) -> Callable[..., WorkerProcess]:
    """Starts a worker that asks the Sentinels."""
    ports = " ".join(map(str, group.ports))
    facts_url = os.environ["DJANGO_RESQUE_TEST_REDIS"].removesuffix("/0") + "/1"

    def start(*args: str) -> WorkerProcess:
        return worker(
            *args,
            settings="tests.settings_with_sentinels",
            env={"DJANGO_RESQUE_TEST_SENTINELS": ports, "DJANGO_RESQUE_TEST_FACTS": facts_url},
        )

    return start


def processed() -> int | None:
    """The counter; None while there is no primary."""
    try:
        return store().stats.counters().processed
    except StoreUnavailable:
        return None


def tell_many(count: int) -> list[str]:
    """Enqueue so many jobs that each push a number to ``done``."""
    numbers = [str(number) for number in range(count)]
    enqueue_many("act", [(("tell", "done", number), {}) for number in numbers])
    return numbers


def enqueue_when_possible(*args: str) -> None:
    """Enqueue. After an error nothing is tried for a second, and what is not enqueued is certainly not."""

    def enqueued() -> bool:
        try:
            enqueue("act", *args)
        except EnqueueError as error:
            assert not error.uncertain
            return False
        return True

    until(enqueued, timeout=AGAIN)


def assert_all_is_well(group: SentinelGroup, process: WorkerProcess) -> None:
    """No failure, no crash, and nothing left of the worker."""
    assert process.stop() == 0
    assert "crashed" not in process.log
    assert "declared dead" not in process.log
    assert store().stats.counters().failed == 0
    with group.primary.client() as client:
        assert lasting(client) == {"queues", "stat:processed", "django:recent"}


def test_a_worker_follows_the_primary_with_the_jobs_that_run_and_those_that_wait(start, group, facts):
    enqueue("act", "wait", "job")
    numbers = tell_many(100)
    process = start()
    pid = told(facts, "job:started")
    group.fail_over()
    facts.rpush("job:go", "now")
    assert told(facts, "job:ended") == pid
    until(lambda: processed() == 101, timeout=AGAIN)
    assert facts.lrange("done", 0, -1) == numbers
    enqueue_when_possible("tell", "next")
    told(facts, "next")
    until(lambda: processed() == 102)
    assert_all_is_well(group, process)


def test_a_job_that_ends_while_there_is_no_primary_is_reported_to_the_next_one(start, group, facts):
    enqueue("act", "wait", "job")
    process = start()
    pid = told(facts, "job:started")
    numbers = tell_many(20)
    assert group.agree()  # and so the replica has all this
    group.primary.kill()
    facts.rpush("job:go", "now")
    assert told(facts, "job:ended") == pid
    until(lambda: "not available" in process.log)
    with pytest.raises(EnqueueError) as caught:
        enqueue("act", "tell", "lost")
    assert not caught.value.uncertain
    group.elect()
    elected = time.monotonic()
    until(lambda: processed() == 21, timeout=AGAIN)
    assert time.monotonic() - elected < AGAIN
    assert facts.lrange("done", 0, -1) == numbers
    enqueue_when_possible("tell", "next")
    told(facts, "next")
    until(lambda: processed() == 22)
    group.start_what_is_missing()
    assert process.log.count("not available") == process.log.count("available again") == 1
    assert_all_is_well(group, process)
    assert not facts.exists("lost")


def test_a_worker_leaves_a_primary_that_is_silent(start, group, facts):
    enqueue("act", "tell", "first")
    process = start()
    told(facts, "first")
    until(lambda: processed() == 1)
    assert group.agree()
    with group.primary.frozen():
        group.elect()
        store().close()  # the connections of this process: they would wait too
        enqueue("act", "tell", "next")
        told(facts, "next", timeout=5 + AGAIN)  # it has waited for an answer, perhaps
        until(lambda: processed() == 2)
    until(group.agree)  # the one of old wakes up as a primary, and is made a replica
    assert_all_is_well(group, process)


def test_a_worker_begins_when_the_sentinels_have_a_primary(start, group, facts):
    enqueue("act", "tell", "job")
    assert group.agree()
    group.primary.kill()
    process = start()
    until(lambda: "not available" in process.log)
    group.elect()
    told(facts, "job", timeout=AGAIN)
    until(lambda: processed() == 1)
    assert_all_is_well(group, process)


def test_a_worker_needs_one_sentinel(start, group, facts):
    enqueue("act", "tell", "job")
    group.sentinels[1].kill()
    with group.sentinels[0].frozen():
        process = start()
        told(facts, "job", timeout=AGAIN)
        until(lambda: processed() == 1)
    group.start_what_is_missing()
    assert "not available" not in process.log
    assert_all_is_well(group, process)


def test_a_worker_works_while_no_sentinel_is_there(start, group, facts):
    process = start()
    enqueue("act", "tell", "first")
    told(facts, "first")
    until(lambda: processed() == 1)
    for sentinel in group.sentinels:
        sentinel.kill()
    enqueue("act", "tell", "second")
    told(facts, "second")
    until(lambda: processed() == 2)
    assert "not available" not in process.log
    group.start_what_is_missing()
    assert_all_is_well(group, process)
