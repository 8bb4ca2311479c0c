"""Jobs that ask Redis before they begin: only one that waits, only so many that run, none that is too late."""

from __future__ import annotations

import ast
import json
import os
import signal
import time
from itertools import pairwise
from typing import Any

import pytest
from django.db import transaction

from django_resque import Job, enqueue, using
from django_resque.dequeueing import dequeue
from django_resque.status import Status
from django_resque.store import store
from tests.workers import told, until

K1 = using(concurrency=("k1", 1))


def keys(client: Any, pattern: str) -> list[bytes]:
    return sorted(client.keys(f"resque:django:{pattern}"))


def parked(client: Any, key: str) -> int:
    return client.llen(f"resque:django:parked:{key}")


def counters() -> tuple[int, int]:
    found = store().stats.counters()
    return found.processed, found.failed


def go(facts: Any, *names: str) -> None:
    for name in names:
        facts.rpush(f"{name}:go", "now")


def assert_nothing_is_left(client: Any) -> None:
    """Of what guards a start."""
    until(lambda: not keys(client, "permits:*"))
    assert keys(client, "parked:*") == keys(client, "unparked:*") == keys(client, "unique:*") == []


# -- unique_for --------------------------------------------------------------------------------------------------------


def test_while_a_job_waits_its_like_is_not_enqueued_and_while_it_runs_it_is(worker, facts, clean_redis):
    unique = using(unique_for=60)
    first = unique.enqueue("act", "witness", "job")
    assert unique.enqueue("act", "witness", "job").id == first.id
    assert unique.enqueue("act", "witness", "other").id != first.id
    own = using(unique_for=60, unique_key="mine").enqueue("act", "tell", "own", "1")
    assert using(unique_for=60, unique_key="mine").enqueue("act", "tell", "own", "2").id == own.id
    delayed = using(unique_for=60, delay=1).enqueue("act", "tell", "delayed")
    assert unique.enqueue("act", "tell", "delayed").id == delayed.id
    assert store().queues.size("default") == 3
    process = worker("-n", "3")
    told(facts, "job"), told(facts, "other")
    second = unique.enqueue("act", "witness", "job")
    assert second.id != first.id
    assert told(facts, "own") == "1"
    go(facts, "job", "other")
    told(facts, "job")
    go(facts, "job")
    assert delayed.wait(30) is second.wait(30) is Status.COMPLETE
    assert facts.llen("own") == 0
    assert process.stop() == 0
    assert counters() == (5, 0)
    assert_nothing_is_left(clean_redis)


def test_a_job_that_is_taken_back_or_fails_gives_its_key_up(worker, clean_redis):
    unique = using(unique_for=60)
    first = unique.enqueue("act", "refuse", "no")
    assert dequeue(ids=[first.id]).removed == 1
    second = unique.enqueue("act", "refuse", "no")
    assert second.id != first.id
    process = worker()
    assert second.wait(30) is Status.FAILED
    third = unique.enqueue("act", "refuse", "no")
    assert third.wait(30) is Status.FAILED
    assert third.id != second.id
    retried = using(unique_for=60, max_attempts=2, backoff=0).enqueue("act", "refuse", "twice")
    assert retried.wait(30) is Status.FAILED
    assert process.stop() == 0
    assert_nothing_is_left(clean_redis)


@pytest.mark.django_db(transaction=True)
def test_in_a_transaction_the_job_takes_the_id_of_the_one_that_waits_at_the_commit(worker, facts):
    unique = using(unique_for=60)
    with transaction.atomic():
        job = unique.enqueue("act", "wait", "job")
        before = job.id
        waiting = using(unique_for=60, on_commit=False).enqueue("act", "wait", "job")
        assert job.id == before != waiting.id
    assert job.id == waiting.id
    assert job.status is Status.WAITING
    worker()
    told(facts, "job:started")
    go(facts, "job")
    assert job.wait(30) is Status.COMPLETE
    assert counters() == (1, 0)


# -- concurrency -------------------------------------------------------------------------------------------------------


def test_never_more_run_at_once_than_may_and_the_others_keep_no_performer_waiting(worker, facts, clean_redis):
    jobs = [using(concurrency=("k2", 2)).enqueue("life", "stay", "spans", number, 0.05) for number in range(12)]
    free = [enqueue("act", "tell", "free", str(number)) for number in range(4)]
    processes = [worker("-n", "3"), worker("-n", "3")]
    for job in (*free, *jobs):
        assert job.wait(30) is Status.COMPLETE
    spans = [json.loads(text) for text in facts.lrange("spans", 0, -1)]
    assert sorted(number for number, _, _ in spans) == list(range(12))
    events = sorted([(begun, 1) for _, begun, _ in spans] + [(ended, -1) for _, _, ended in spans])
    running = most = 0
    for _, step in events:
        running += step
        most = max(most, running)
    assert most == 2
    for process in processes:
        assert process.stop() == 0
    assert counters() == (16, 0)
    assert_nothing_is_left(clean_redis)


def test_parked_jobs_go_on_in_their_order(worker, facts, clean_redis):
    jobs = [K1.enqueue("life", "stay", "spans", number, 0.01) for number in range(20)]
    process = worker("-n", "3")
    for job in jobs:
        assert job.wait(30) is Status.COMPLETE
    spans = [json.loads(text) for text in facts.lrange("spans", 0, -1)]
    assert [number for number, _, _ in spans] == list(range(20))
    assert all(ended <= begun for (_, _, ended), (_, begun, _) in pairwise(spans))
    assert process.stop() == 0
    assert process.log.count("crashed") == 0
    assert_nothing_is_left(clean_redis)


def test_a_performer_that_dies_and_an_attempt_that_fails_give_the_permit_back(worker, facts, clean_redis):
    """Three keys with a job that runs and one that is parked each."""
    process = worker("-n", "3")
    limited = {key: {"concurrency": (key, 1)} for key in ("crash", "fatal", "retry")}
    limited["fatal"]["on_crash"] = "fail"
    limited["retry"] |= {"max_attempts": 2, "backoff": 60}
    first = {
        "crash": using(**limited["crash"]).enqueue("act", "witness", "crash"),
        "fatal": using(**limited["fatal"]).enqueue("act", "witness", "fatal"),
        "retry": using(**limited["retry"]).enqueue("life", "fail_when_told", "retry"),
    }
    pids = {key: ast.literal_eval(told(facts, key))[0] for key in ("crash", "fatal")}
    told(facts, "retry")
    then = {key: using(**limited[key]).enqueue("act", "tell", f"{key} then") for key in first}
    os.kill(pids["fatal"], signal.SIGKILL)
    assert first["fatal"].wait(30) is Status.FAILED
    told(facts, "fatal then")
    until(lambda: parked(clean_redis, "crash") == parked(clean_redis, "retry") == 1)
    assert then["crash"].refresh().status is Status.WAITING
    os.kill(pids["crash"], signal.SIGKILL)
    assert ast.literal_eval(told(facts, "crash"))[1]  # it was begun again, and not the one behind it
    assert parked(clean_redis, "crash") == 1
    go(facts, "retry")
    told(facts, "retry then")
    assert first["retry"].refresh().status is Status.SCHEDULED
    assert facts.llen("crash then") == 0
    go(facts, "crash")
    told(facts, "crash then")
    assert first["crash"].wait(30) is Status.COMPLETE
    until(lambda: counters() == (5, 1))
    assert process.stop() == 0
    assert_nothing_is_left(clean_redis)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_ends_gives_the_permits_of_its_jobs_back(worker, facts, clean_redis, end):
    K1.enqueue("act", "witness", "goes back")
    fatal = using(concurrency=("k2", 1), on_crash="fail").enqueue("act", "witness", "fatal")
    first = worker("-n", "2", "--grace", "0.1")
    told(facts, "goes back"), told(facts, "fatal")
    K1.enqueue("act", "tell", "then")
    using(concurrency=("k2", 1)).enqueue("act", "tell", "fatal then")
    second = worker("-n", "2")
    until(lambda: parked(clean_redis, "k1") == parked(clean_redis, "k2") == 1)
    os.kill(first.pid, end)
    told(facts, "fatal then")
    assert fatal.wait(30) is Status.FAILED
    assert ast.literal_eval(told(facts, "goes back"))[1]
    assert facts.llen("then") == 0
    go(facts, "goes back")
    told(facts, "then")
    until(lambda: counters() == (4, 1))
    assert second.stop() == 0
    assert_nothing_is_left(clean_redis)


def test_a_permit_that_nobody_holds_is_freed_and_who_waits_for_it_goes_on(worker, facts, clean_redis):
    first, second = (K1.enqueue("act", "tell", "lost", str(number)) for number in range(2))
    clean_redis.hset("resque:django:permits:k1", "zzzzzz.1.1", 1)
    payloads = clean_redis.lrange("resque:queue:default", 0, -1)
    clean_redis.delete("resque:queue:default")
    clean_redis.rpush("resque:django:parked:k1", *(b"default\n" + payload for payload in payloads))
    clean_redis.sadd("resque:django:parking", "k1")
    process = worker()
    assert first.wait(30) is second.wait(30) is Status.COMPLETE
    assert facts.lrange("lost", 0, -1) == ["0", "1"]
    assert process.stop() == 0
    assert "were held by nobody" in process.log
    assert_nothing_is_left(clean_redis)
    assert not clean_redis.exists("resque:django:parking")


# -- expires -----------------------------------------------------------------------------------------------------------


def test_what_comes_too_late_is_dropped_and_is_no_failure(worker, facts, clean_redis):
    late = using(expires=0.05).enqueue("act", "tell", "done", "late")
    delayed = using(delay=1, expires=0.001, queue="later").enqueue("act", "tell", "done", "delayed and late")
    in_time = using(delay=1, expires=30, queue="later").enqueue("act", "tell", "done", "delayed")
    everything = using(
        expires=30, unique_for=30, concurrency=("all", 1), on_crash="fail", max_attempts=2, backoff=0
    ).enqueue("act", "kill", "SIGKILL", "once")
    until(lambda: time.time() > late.extra["expires"])
    process = worker("-q", "default")
    assert late.wait(30) is Status.FAILED
    assert (late.outcome, late.attempts, late.begun) == ("expired", 0, None)
    assert everything.wait(30) is Status.FAILED
    assert facts.llen("once") == 1
    until(lambda: clean_redis.llen("resque:queue:later") == 2)
    until(lambda: time.time() > delayed.extra["expires"])
    other = worker("-q", "later")
    assert delayed.wait(30) is Status.FAILED
    assert delayed.outcome == "expired"
    assert in_time.wait(30) is Status.COMPLETE
    assert facts.lrange("done", 0, -1) == ["delayed"]
    (failure,) = store().failures.latest()
    assert (failure.job.id, failure.exception) == (everything.id, "DirtyExit")
    assert counters() == (4, 1)
    assert {seen.id: seen.outcome for seen in store().recent.page()}[late.id] == "expired"
    assert process.stop() == other.stop() == 0
    assert_nothing_is_left(clean_redis)


def test_one_that_has_expired_while_it_was_parked_lets_the_next_go_on(worker, facts, clean_redis):
    K1.enqueue("act", "wait", "first")
    process = worker("-n", "2")
    told(facts, "first:started")
    expires = using(concurrency=("k1", 1), expires=0.2).enqueue("act", "tell", "expires")
    last = K1.enqueue("act", "tell", "last")
    until(lambda: parked(clean_redis, "k1") == 2)
    assert enqueue("act", "tell", "free").wait(30) is Status.COMPLETE  # no performer waits with them
    until(lambda: time.time() > expires.extra["expires"])
    go(facts, "first")
    assert last.wait(30) is Status.COMPLETE
    assert expires.wait(1) is Status.FAILED
    assert expires.outcome == "expired"
    assert process.stop() == 0
    assert_nothing_is_left(clean_redis)


def test_a_job_that_has_failed_and_expires_before_its_next_attempt_is_a_failure(worker):
    job: Job = using(max_attempts=3, backoff=60, expires=30).enqueue("act", "refuse", "no")
    worker()
    assert job.wait(30) is Status.FAILED
    assert (job.outcome, job.attempts) == ("", 1)
    assert counters() == (1, 1)
