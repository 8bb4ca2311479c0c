"""Jobs that fail and are tried again: how often, when, and what is told of it."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

import pytest

from django_resque import Job, enqueue, using
from django_resque.conf import config
from django_resque.failure import Failure
from django_resque.limits import limits_of
from django_resque.status import Status
from django_resque.store import store
from tests.workers import PATIENCE, resque, told, until

LATE = 1.1
"""Seconds by which a retry may be late."""


def attempts(facts: Any, key: str) -> list[tuple[int, float]]:
    """The number of each attempt that a job has told, and when it began."""
    return [tuple(json.loads(text)) for text in facts.lrange(key, 0, -1)]


def numbers(facts: Any, key: str) -> list[int]:
    return [attempt for attempt, _ in attempts(facts, key)]


def failure_of(job: Job) -> Failure:
    """The one failure of ``job``."""
    (found,) = (failure for failure in store().failures.latest() if failure.job.id == job.id)
    return found


def history(failure: Failure) -> list[dict[str, Any]]:
    return json.loads(failure.raw).get("history", [])


def test_the_call_wins_over_the_settings_and_these_over_the_class(worker, facts):
    defaults = {"act": {"max_attempts": 3, "backoff": [0.01, 0.02]}}
    process = worker("-n", "4", env=resque(MAX_ATTEMPTS=2, COMMANDS=defaults))
    by_call = using(max_attempts=4, backoff=0.01).enqueue("act", "refuse", "call")
    once = using(max_attempts=1).enqueue("act", "refuse", "once")
    by_settings = enqueue("act", "refuse", "settings")
    by_class = enqueue("stubborn", "LookupError")
    default = using(backoff=0).enqueue("life", "fail", "default", 9)
    jobs = [once, default, by_settings, by_class, by_call]
    for job in jobs:
        assert job.wait(30) is Status.FAILED
    assert [job.attempts for job in jobs] == [1, 2, 3, 3, 4]
    assert [history(failure_of(job)) == [] for job in jobs] == [True, False, False, False, False]
    assert store().failures.count() == 5
    counters = store().stats.counters()
    assert (counters.processed, counters.failed) == (5, 5)
    assert process.stop() == 0
    assert process.log.count("attempt 2 of life") == 0  # the last one is the failure
    assert process.log.count("attempt 1 of life") == 1


def test_a_class_says_after_which_exceptions_a_job_is_tried_again_and_nobody_how_soon(worker, facts):
    names = ["KeyError", "ValueError", "MemoryError", "IndexError", "SystemExit", "KeyboardInterrupt"]
    jobs = [enqueue("stubborn", name) for name in names]
    broken = enqueue("stubborn", "NotImplementedError")
    asking = using(max_attempts=2).enqueue("life", "ask", "asked", 0, 9)
    waiting = using(max_attempts=2).enqueue("act", "refuse", "no")
    process = worker("-n", "3")
    for job in jobs:
        assert job.wait(30) is Status.FAILED
    assert [facts.llen(name) for name in names] == [1, 1, 1, 3, 1, 1]
    # asking for another is an attempt, where there is a limit
    assert asking.wait(30) is Status.FAILED
    assert (failure_of(asking).exception, asking.attempts, numbers(facts, "asked")) == ("Retry", 2, [1, 2])
    # without a backoff a job waits about ten seconds, and a backoff of the command's own that raises is as good as none
    for job in (waiting, broken):
        until(lambda: job.refresh().status is Status.SCHEDULED)  # noqa: B023
        assert 7 < job.seen.due - time.time() < 10
        assert job.attempts == 1
    assert process.stop() == 0
    assert "the backoff of stubborn" in process.log


def test_the_attempts_come_when_the_backoff_says_and_never_early(worker, facts, clean_redis):
    job = using(max_attempts=4, backoff=[0.3, 0.6]).enqueue("life", "fail", "listed", 3)
    asked = enqueue("life", "ask", "asked", 0.5, 2)  # as often as it is raised
    worker("-n", "2")
    until(lambda: clean_redis.zcard("resque:django:retries") == 2)
    assert job.refresh().status is Status.SCHEDULED
    assert json.loads(clean_redis.get(f"resque:job:{job.id}:status"))["status"] == 63
    assert store().stats.counters().processed == 0
    assert job.wait(30) is asked.wait(30) is Status.COMPLETE
    for key, delays in (("listed", [0.3, 0.6, 0.6]), ("asked", [0.5, 0.5])):
        times = [at for _, at in attempts(facts, key)]
        assert numbers(facts, key) == list(range(1, len(delays) + 2))
        for delay, before, after in zip(delays, times, times[1:], strict=False):
            assert delay <= after - before <= delay + PATIENCE * LATE
    assert (job.result, job.attempts, asked.attempts) == ("done at attempt 4", 4, 3)
    assert clean_redis.zcard("resque:django:retries") == 0
    counters = store().stats.counters()
    assert (counters.processed, counters.failed) == (2, 0)


def test_the_last_failure_is_one_record_with_the_history_of_the_attempts(worker, facts):
    job = using(max_attempts=3, backoff=0.01).enqueue("life", "fail", "tries", 9)
    process = worker()
    assert job.wait(30) is Status.FAILED
    failure = failure_of(job)
    record = json.loads(failure.raw)
    assert (failure.exception, failure.error) == ("LookupError", "attempt 3 came to nothing")
    assert record["attempts"] == 3
    assert [(each["attempt"], each["exception"], each["error"]) for each in record["history"]] == [
        (1, "LookupError", "attempt 1 came to nothing"),
        (2, "LookupError", "attempt 2 came to nothing"),
    ]
    assert all(each["failed_at"].endswith(" UTC") for each in record["history"])
    assert all(each["worker"] == record["worker"] and 0 <= each["duration"] < 30 for each in record["history"])
    # by hand: as if it had not been tried
    assert store().ask(store().failures.retry(failure)) is True
    until(lambda: facts.llen("tries") == 6)
    assert numbers(facts, "tries") == [1, 2, 3, 1, 2, 3]
    assert job.wait(30) is Status.FAILED
    assert [each["attempt"] for each in history(failure_of(job))] == [1, 2]
    assert store().failures.count() == 1
    assert process.stop() == 0


@pytest.mark.parametrize("delay", [None, 0.1])
def test_attempts_are_counted_across_workers_crashes_and_requeues(worker, facts, clean_redis, delay):
    job = using(max_attempts=3, backoff=0, delay=delay).enqueue("life", "recover", "tries")
    first = worker("--no-scheduler") if delay is None else worker("--grace", "0.1")
    assert json.loads(told(facts, "tries"))[0] == 1
    if delay is None:
        until(lambda: clean_redis.zcard("resque:django:retries") == 1)
        assert first.stop() == 0
        first = worker("--grace", "0.1")
    assert json.loads(told(facts, "tries"))[0] == 2
    os.kill(first.children()[0], signal.SIGKILL)
    assert json.loads(told(facts, "tries"))[0] == 2  # a crash is no attempt
    assert first.stop() == 0
    second = worker()
    assert json.loads(told(facts, "tries"))[0] == 2  # the end of a worker is none
    facts.rpush("tries:go", "now")
    assert job.wait(30) is Status.COMPLETE
    assert job.attempts == 2
    assert second.stop() == 0


def test_a_timeout_is_an_attempt_and_a_crash_is_none(worker, facts, clean_redis):
    late = using(timeout=0.2, max_attempts=2, backoff=0.01).enqueue("life", "oversleep", "late")
    crashing = using(max_attempts=3, backoff=0.01).enqueue("act", "kill", "SIGKILL", "crashed")
    process = worker("-n", "2")
    assert late.wait(30) is Status.COMPLETE
    assert numbers(facts, "late") == [1, 2]
    assert crashing.wait(30) is Status.FAILED
    failure = failure_of(crashing)
    assert (failure.exception, history(failure), facts.llen("crashed")) == ("PoisonJob", [], 3)
    assert store().stats.counters().processed == 2
    assert clean_redis.exists("resque:django:crashes") == 0
    assert process.stop() == 0


def test_a_delayed_job_that_has_expired_is_retried_by_hand_all_the_same(clean_redis):
    job = Job("act", ("tell", "key"), extra={"expires": 1.5, "max_attempts": 2})
    record = json.dumps({"payload": json.loads(job.delayed_item()), "exception": "E", "error": "e", "queue": "mail"})
    clean_redis.rpush("resque:failed", record)
    (failure,) = store().failures.latest()
    assert limits_of(failure.job, None, config()).expires == 1.5
    assert store().ask(store().failures.retry(failure)) is True
    (payload,) = clean_redis.lrange("resque:queue:mail", 0, -1)
    retried = Job.from_payload(payload, "mail")
    assert (retried.id, retried.args, retried.options) == (job.id, job.args, {})
    assert retried.extra["max_attempts"] == 2
    assert limits_of(retried, None, config()).expires is None
