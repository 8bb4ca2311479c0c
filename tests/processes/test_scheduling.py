"""Several schedulers on one Redis, some of them killed: each delayed job and each slot is enqueued once."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis

from django_resque import enqueue_in, using
from django_resque.schedule import ScheduleEntry
from django_resque.status import Status
from django_resque.store import LastJob, store
from django_resque.store.schedule import seen_as
from tests.workers import WorkerProcess, is_gone, resque, until

TICK = {"tick": {"every": 1, "command": "act", "args": ["tell", "tick"], "queue": "ticks", "misfire": "all"}}


@pytest.fixture
def schedulers() -> Iterator[Any]:
    """Starts a ``resque_scheduler``, with other settings in ``RESQUE``."""
    with ExitStack() as stack:

        def start(**settings: Any) -> WorkerProcess:
            command = [sys.executable, "-m", "django", "resque_scheduler"]
            process = WorkerProcess(command=command, env=resque(**settings))
            stack.callback(process.close)
            return process

        yield start


def jobs(client: redis.Redis, queue: str) -> list[dict[str, Any]]:
    return [json.loads(raw) for raw in client.lrange(f"resque:queue:{queue}", 0, -1)]


def registered() -> int:
    return len(store().processes.all())


def test_each_delayed_job_and_each_slot_is_enqueued_once_whoever_is_killed(schedulers, clean_redis: redis.Redis):
    running = [schedulers(SCHEDULE=TICK) for _ in range(3)]
    until(lambda: registered() == 3)
    delayed = [enqueue_in(0.3 * number, "act", "tell", "order", str(number)).id for number in range(1, 20)]
    for _ in range(3):  # one after the other, each while there is something to do
        before = clean_redis.llen("resque:queue:default")
        until(lambda before=before: clean_redis.llen("resque:queue:default") > before)
        victim = running.pop(0)
        os.kill(victim.pid, signal.SIGKILL)
        until(lambda victim=victim: is_gone(victim.pid))
        running.append(schedulers(SCHEDULE=TICK))
    until(lambda: clean_redis.llen("resque:queue:default") == len(delayed))
    assert Counter(job["id"] for job in jobs(clean_redis, "default")) == Counter(delayed)

    def slots() -> list[float]:
        return [job["schedule"][1] for job in jobs(clean_redis, "ticks")]

    until(lambda: len(slots()) >= 5)
    for process in running:
        assert process.stop() == 0
    found = slots()
    assert found == [found[0] + number for number in range(len(found))]  # none left out, none twice
    assert clean_redis.keys("*lock") == []


def test_a_scheduler_performs_nothing_and_is_stopped_like_a_worker(schedulers, clean_redis: redis.Redis):
    process = schedulers()
    job = using(delay=0.2, queue="mail").enqueue("act", "tell", "x")
    until(lambda: clean_redis.llen("resque:queue:mail") == 1)
    assert process.children() == []
    assert clean_redis.smembers("resque:workers") in (set(), [])
    (info,) = store().processes.all()
    assert (info.kind, info.pid, info.mode) == ("scheduler", process.pid, "running")
    assert job.refresh().status.word == "waiting"
    assert b"Waiting for what is due" in Path(f"/proc/{process.pid}/cmdline").read_bytes()
    assert process.stop() == 0
    assert f"scheduler {info.name} started" in process.log
    assert store().processes.all() == []


def test_a_delayed_job_is_never_early_and_promptly_there(worker, facts, clean_redis: redis.Redis):
    process = worker()
    until(lambda: registered() == 1)
    due = {}
    for number in range(20):
        job = enqueue_in(0.2 + 0.1 * number, "act", "clock", "clocks")
        due[job.id] = job.refresh().due
    late = []
    for _ in due:
        found = facts.blpop(["clocks"], timeout=30)
        job_id, at = found[1].split()
        late.append(float(at) - due[job_id])
    assert min(late) >= 0
    # The due time is rounded up to the second; and this machine has other things to do.
    assert sorted(late)[len(late) // 2] < 1.1
    assert process.stop() == 0


def test_a_worker_without_a_scheduler_leaves_what_is_due(worker, clean_redis: redis.Redis):
    process = worker("--no-scheduler")
    enqueue_in(0.1, "act", "tell", "x")
    until(lambda: store().delayed.health().overdue > 1.5)
    assert store().delayed.health().abandoned
    assert clean_redis.zcard("resque:delayed_queue_schedule") == 1
    assert process.stop() == 0


def test_a_foreign_scheduler_is_not_disturbed(worker, clean_redis: redis.Redis):
    clean_redis.set("resque:resque:resque_scheduler_master_lock", "box1:26144:1", ex=180)
    process = worker()
    enqueue_in(0.1, "act", "tell", "x")
    until(lambda: store().delayed.health().overdue > 1.5)
    assert clean_redis.zcard("resque:delayed_queue_schedule") == 1
    assert clean_redis.get("resque:resque:resque_scheduler_master_lock") == b"box1:26144:1"
    clean_redis.delete("resque:resque:resque_scheduler_master_lock")
    until(lambda: clean_redis.zcard("resque:delayed_queue_schedule") == 0)
    assert process.stop() == 0
    assert "box1:26144:1" in process.log


def test_what_became_of_the_last_job_is_known_to_who_looks_at_the_schedule(worker, clean_redis: redis.Redis):
    worker("-q", "ticks", env=resque(SCHEDULE=TICK))
    until(lambda: clean_redis.hget("resque:django:schedule:jobs", "tick"))

    def last() -> LastJob | None:
        return store().past(["tick"]).jobs.get("tick")

    until(lambda: (found := last()) and found.seen and found.seen.status is Status.COMPLETE)
    slot, job_id = clean_redis.hget("resque:django:schedule:jobs", "tick").split()
    assert int(slot) <= int(clean_redis.hget("resque:django:schedule:slots", "tick"))
    assert len(job_id) == 32


def test_what_was_missed_while_nobody_was_there_is_noted_by_who_comes_next(schedulers, clean_redis: redis.Redis):
    entry = ScheduleEntry.from_mapping("tick", TICK["tick"])
    now = clean_redis.time()[0]
    clean_redis.hset("resque:django:schedule:seen", seen_as("tick", entry.digest), f"{now - 90} {now}")
    clean_redis.hset("resque:django:schedule:slots", "tick", now - 90)
    schedulers(SCHEDULE=TICK)
    until(lambda: clean_redis.hexists("resque:django:schedule:missed", "tick"))
    missed = store().past(["tick"]).missed["tick"]
    assert missed.first == now - 89
    assert missed.made_up == missed.last - missed.first + 1
