"""Signals: how a worker ends, and how it is told to end its jobs or to pause."""

from __future__ import annotations

import ast
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from django_resque import enqueue, enqueue_many, using
from django_resque.store import store
from tests.proxy import Proxy
from tests.servers import RedisServer
from tests.workers import is_gone, told, until, within

END = 1.0
"""Seconds after the grace period by which a worker has ended."""
SHORT_GRACE = 0.3


def processed() -> int:
    return store().stats.counters().processed


def failures() -> list[str]:
    return [failure.exception for failure in store().failures.latest()]


def jots(path: Path) -> list[int]:
    """The numbers that jobs have written, in order."""
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def enqueue_jots(path: Path, count: int) -> None:
    enqueue_many("act", [(("jot", str(path), str(number)), {}) for number in range(count)])


def queued_jots() -> list[int]:
    """The numbers of the jobs that still wait, in order."""
    payloads = store().client.lrange("resque:queue:default", 0, -1)
    return [int(json.loads(payload)["args"][0][2]) for payload in payloads]


def assert_the_rest_waits(done: list[int], count: int) -> None:
    """None twice, none lost, the rest in order. A performer may go on taking jobs while they are taken back, so that
    some of those that are done stood behind some of the others."""
    assert len(done) == len(set(done))
    assert queued_jots() == sorted(set(range(count)) - set(done))


# -- TERM --------------------------------------------------------------------------------------------------------------


def test_term_gives_the_running_job_its_grace_and_the_rest_back(worker, facts):
    enqueue("act", "witness", "long")
    enqueue("act", "witness", "short")
    process = worker("-n", "2", "--grace", "2")
    told(facts, "long"), told(facts, "short")
    begun = time.monotonic()
    process.process.send_signal(signal.SIGTERM)
    until(lambda: "stopping" in process.log)
    facts.rpush("short:go", "now")
    with within(2 + END):
        assert process.wait() == 0
    assert time.monotonic() - begun >= 2  # the other one had its time
    assert processed() == 1
    assert len(store().queues.peek("default")) == 1
    assert failures() == []
    heir = worker()
    assert ast.literal_eval(told(facts, "long"))[1]  # it may have been begun before, and is told so
    facts.rpush("long:go", "now")
    until(lambda: processed() == 2)
    assert heir.stop() == 0
    assert store().client.exists("resque:django:crashes") == 0


def test_a_job_that_must_not_begin_twice_and_outlives_the_grace_period_is_a_failure(worker, facts):
    using(on_crash="fail").enqueue("act", "witness", "job")
    process = worker("--grace", "0.2")
    told(facts, "job")
    assert process.stop() == 0
    assert failures() == ["DirtyExit"]
    assert store().queues.size("default") == 0


def test_term_amid_many_jobs_leaves_the_rest_in_order_and_begins_none_twice(worker, facts, tmp_path):
    path = tmp_path / "jots"
    enqueue_jots(path, 3000)
    process = worker()
    until(lambda: len(jots(path)) >= 100)
    with within(END):
        assert process.stop() == 0
    done = jots(path)
    assert_the_rest_waits(done, 3000)
    assert processed() == len(done) < 3000
    assert store().client.exists("resque:django:crashes", "resque:django:processes") == 0


def test_a_job_of_a_stopped_worker_takes_along_what_it_has_started(worker, facts):
    enqueue("act", "start_and_wait", "left", "setsid")
    process = worker("--grace", "0.2")
    left = int(told(facts, "left"))
    assert process.stop() == 0
    assert is_gone(left)
    assert store().queues.size("default") == 1


@contextmanager
def stopped(server: RedisServer, proxy: Proxy) -> Iterator[None]:
    server.stop()
    yield


def silent(server: RedisServer, proxy: Proxy) -> AbstractContextManager[None]:
    return server.frozen()


@contextmanager
def refused(server: RedisServer, proxy: Proxy) -> Iterator[None]:
    proxy.refuse()
    yield


@pytest.mark.parametrize("away", [stopped, silent, refused])
def test_a_worker_ends_in_time_whatever_redis_does(worker, facts, settings, away):
    with RedisServer(appendfsync="always") as server, Proxy(server.port) as proxy:
        settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": server.url}}
        enqueue("act", "witness", "job")
        facts_url = os.environ["DJANGO_RESQUE_TEST_REDIS"].removesuffix("/0") + "/1"
        env = {"DJANGO_RESQUE_TEST_REDIS": proxy.url, "DJANGO_RESQUE_TEST_FACTS": facts_url}
        process = worker("--grace", str(SHORT_GRACE), env=env)
        pid, _ = ast.literal_eval(told(facts, "job"))
        with away(server, proxy):
            with within(SHORT_GRACE + END):
                assert process.stop() == 0
            assert is_gone(pid)
        assert "could not be told what became of 1 job" in process.log
        if not server.running:
            server.start()
        proxy.heal()
        heir = worker(env={**env, "DJANGO_RESQUE_TEST_REDIS": server.url})
        assert ast.literal_eval(told(facts, "job"))[1]
        facts.rpush("job:go", "now")
        until(lambda: processed() == 1)
        assert heir.stop() == 0


def test_a_second_term_ends_the_jobs_at_once(worker, facts):
    enqueue("act", "witness", "job")
    process = worker("--grace", "3600")
    told(facts, "job")
    process.process.send_signal(signal.SIGTERM)
    until(lambda: "stopping" in process.log)
    time.sleep(1.1)  # what comes within a second is the same wish, sent twice
    process.process.send_signal(signal.SIGTERM)
    with within(END):
        assert process.wait() == 0
    assert store().queues.size("default") == 1
    assert failures() == []


def test_quit_waits_for_the_running_job_without_a_limit(worker, facts):
    enqueue("act", "nap", 2.0, "napping")
    enqueue("act", "tell", "next")
    process = worker("--grace", "0.1")
    told(facts, "napping")
    assert process.stop(signal.SIGQUIT) == 0
    assert processed() == 1
    assert store().queues.size("default") == 1


def test_term_ends_a_worker_that_waits_after_quit(worker, facts):
    enqueue("act", "witness", "job")
    process = worker("--grace", "0.1")
    told(facts, "job")
    process.process.send_signal(signal.SIGQUIT)
    until(lambda: "stopping" in process.log)
    process.process.send_signal(signal.SIGTERM)
    with within(END):
        assert process.wait() == 0
    assert store().queues.size("default") == 1


# -- USR1 --------------------------------------------------------------------------------------------------------------


def test_usr1_ends_the_running_jobs_as_failures_and_the_worker_works_on(worker, facts, clean_redis):
    ended = {enqueue("act", "witness", "one").id, using(on_crash="fail").enqueue("act", "witness", "other").id}
    process = worker("-n", "2")
    pids = {ast.literal_eval(told(facts, key))[0] for key in ("one", "other")}
    enqueue("act", "witness", "behind")
    process.process.send_signal(signal.SIGUSR1)
    pid, redelivered = ast.literal_eval(told(facts, "behind"))
    assert (pid in pids, redelivered) == (False, False)
    assert all(map(is_gone, pids))
    facts.rpush("behind:go", "now")
    until(lambda: processed() == 3)
    assert {failure.job.id for failure in store().failures.latest()} == ended
    assert failures() == ["JobEnded", "JobEnded"]
    assert clean_redis.exists("resque:django:crashes") == 0
    assert facts.llen("one") == facts.llen("other") == 0  # none of them was begun again
    os.kill(process.pid, 0)
    assert process.stop() == 0
    assert "crashed" not in process.log


def test_usr1_leaves_the_jobs_behind_the_running_one_alone(worker, facts, tmp_path):
    path = tmp_path / "jots"
    enqueue_jots(path, 200)
    enqueue("act", "witness", "job")
    process = worker()
    enqueue_many("act", [(("jot", str(path), str(number)), {}) for number in range(200, 250)])
    told(facts, "job")
    process.process.send_signal(signal.SIGUSR1)
    until(lambda: processed() == 251)
    assert sorted(jots(path)) == list(range(250))
    assert failures() == ["JobEnded"]
    assert process.stop() == 0


# -- pause and resume --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTSTP])
def test_a_paused_worker_finishes_what_runs_and_takes_nothing_until_cont(
    worker, facts, clean_redis: redis.Redis, tmp_path, number
):
    path = tmp_path / "jots"
    enqueue_jots(path, 3000)
    process = worker("--interval", "0.05")
    until(lambda: len(jots(path)) >= 100)
    process.process.send_signal(number)
    until(lambda: "paused" in process.log)
    (name,) = (key for key in clean_redis.keys("resque:django:process:*"))
    taken = turns(clean_redis, name)
    until(lambda: turns(clean_redis, name) > taken + 2)  # one of them was on its way
    until(lambda: not clean_redis.keys("resque:django:reservations:*"))  # nothing is held any more
    done = jots(path)
    assert len(done) < 3000
    assert_the_rest_waits(done, 3000)
    taken = turns(clean_redis, name)
    until(lambda: turns(clean_redis, name) > taken + 1)
    assert jots(path) == done
    process.process.send_signal(signal.SIGCONT)
    until(lambda: processed() == 3000)
    assert sorted(jots(path)) == list(range(3000))
    assert process.stop() == 0


def test_a_pause_lets_the_running_job_end_and_keeps_the_lease(worker, facts, clean_redis):
    enqueue("act", "witness", "job")
    process = worker()
    told(facts, "job")
    process.process.send_signal(signal.SIGUSR2)
    until(lambda: "paused" in process.log)
    enqueue("act", "tell", "next")
    facts.rpush("job:go", "now")
    until(lambda: processed() == 1)
    (name,) = (key for key in clean_redis.keys("resque:django:process:*"))
    taken = turns(clean_redis, name)
    until(lambda: turns(clean_redis, name) > taken + 1)  # it lives
    assert facts.llen("next") == 0
    process.process.send_signal(signal.SIGCONT)
    told(facts, "next")
    assert process.stop() == 0


def test_a_paused_worker_can_be_stopped(worker, facts):
    process = worker()
    until(lambda: store().workers.all())
    process.process.send_signal(signal.SIGTSTP)
    until(lambda: "paused" in process.log)
    with within(END):
        assert process.stop() == 0


def turns(client: Any, key: bytes) -> int:
    """How many turns a worker process has taken."""
    return int(client.hget(key, "number"))
