"""`resque workers`."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
import redis

from django_resque import enqueue
from django_resque.store import store
from tests.verbs import process, verb
from tests.workers import WorkerProcess, told, until


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    store().close()


@pytest.fixture
def worker(clean_redis: redis.Redis) -> Iterator[WorkerProcess]:
    found = WorkerProcess("-q", "default", "-n", "2")
    until(lambda: len(store().processes.all()) == 1)
    yield found
    found.close()


def test_nobody_is_there(clean_redis: redis.Redis):
    assert verb("workers").out == "There are no workers.\n"
    assert verb("workers", "--json").json == []


def test_workers_are_listed_with_what_they_do_and_have_done(worker: WorkerProcess, facts: redis.Redis):
    enqueue("act", "tell", "first")
    told(facts, "first")
    job = enqueue("act", "wait", "second")
    until(lambda: any(row["job"] == job.id for row in verb("workers", "--json").json))
    rows = process("workers", "--json").json
    assert sorted(row["state"] for row in rows) == ["waiting", "working"]
    assert {row["process"] for row in rows} == {store().processes.all()[0].name}
    assert sum(row["processed"] for row in rows) == 1
    assert all(row["started"] > 1.7e9 for row in rows)
    shown = process("workers").out
    assert f"act {job.id}" in shown
    facts.rpush("second:go", "now")
    assert worker.stop() == 0


def test_a_paused_worker_is_marked(worker: WorkerProcess):
    worker.process.send_signal(signal.SIGUSR2)
    until(lambda: [row["state"] for row in verb("workers", "--json").json] == ["paused", "paused"])
    assert worker.stop() == 0


def test_other_programs_workers_are_there_too(clean_redis: redis.Redis):
    clean_redis.sadd("resque:workers", "box1:26144:math")
    clean_redis.set("resque:worker:box1:26144:math:started", "2026-11-20 13:21:45 +0000")
    clean_redis.set("resque:stat:processed:box1:26144:math", 5)
    (row,) = verb("workers", "--json").json
    assert (row["worker"], row["process"], row["state"], row["processed"]) == ("box1:26144:math", None, "waiting", 5)
