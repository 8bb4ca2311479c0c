"""Forgetting what dead processes have left behind: `store().dead_state`, and `resque reset`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict

import pytest
import redis

from django_resque import enqueue
from django_resque.job import Job
from django_resque.status import Status
from django_resque.store import Forgotten, store
from tests.processes_in_redis import TurnTaker, state
from tests.verbs import process, verb
from tests.workers import WorkerProcess, until


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    store().close()


def forget(*, only_look: bool = False) -> dict[str, object]:
    """What was forgotten, without what was not there."""
    return {name: value for name, value in asdict(store().dead_state.forget(only_look=only_look)).items() if value}


def end_lease(client: redis.Redis, process: TurnTaker) -> None:
    client.zadd("resque:django:processes", {process.reservations._member: 1})


def test_nothing_is_forgotten_of_an_empty_store(clean_redis: redis.Redis):
    assert store().dead_state.forget().is_nothing
    assert state(clean_redis) == {}


def test_a_dead_process_without_jobs_is_forgotten_with_its_workers(clean_redis: redis.Redis):
    worker = TurnTaker(workers=["host~abc123-1:42:mail", "host~abc123-2:42:mail"])
    clean_redis.hset("resque:workers:heartbeat", "host~abc123-1:42:mail", "2026-11-20T13:21:45+00:00")
    clean_redis.set("resque:stat:processed:host~abc123-1:42:mail", 5)
    clean_redis.rpush("resque:django:control:abc123", "{}")
    assert forget() == {}
    end_lease(clean_redis, worker)
    before = state(clean_redis)
    assert forget(only_look=True) == {"processes": 1, "workers": 2}
    assert state(clean_redis) == before
    assert forget() == {"processes": 1, "workers": 2}
    assert state(clean_redis) == {}
    assert worker.turn().state == "gone"
    worker.close()


def test_what_is_alive_stays(clean_redis: redis.Redis):
    worker = TurnTaker()
    worker.reserve(Job("act").payload())
    clean_redis.sadd("resque:workers", "ruby:1:mail")
    clean_redis.hset("resque:workers:heartbeat", "ruby:1:mail", "2026-11-20T13:21:45+00:00")
    clean_redis.set("resque:worker:ruby:1:mail", "{}")
    clean_redis.set("resque:stat:processed:ruby:1:mail", 1)
    clean_redis.set("resque:job:x:status", "{}")
    before = state(clean_redis)
    assert forget() == {}
    assert state(clean_redis) == before
    worker.close()


def test_a_dead_process_that_holds_jobs_stays(clean_redis: redis.Redis):
    worker = TurnTaker()
    worker.reserve(Job("act").payload())
    end_lease(clean_redis, worker)
    before = state(clean_redis)
    assert forget() == {"waiting": ["abc123"]}
    assert state(clean_redis) == before
    worker.close()


def test_workers_whose_process_nobody_knows_are_forgotten(clean_redis: redis.Redis):
    lost = "host~gone99-1:42:mail"
    clean_redis.sadd("resque:workers", lost)
    clean_redis.set(f"resque:worker:{lost}:started", "2026-11-20 13:21:45 +0000")
    clean_redis.hset("resque:workers:heartbeat", lost, "2026-11-20T13:21:45+00:00")
    clean_redis.set("resque:worker:host~gone98-1:42:mail", "{}")  # not even registered
    clean_redis.set("resque:stat:failed:host~gone97-1:42:mail", 1)
    assert forget(only_look=True)["workers"] == 3
    assert forget() == {"workers": 3}
    assert state(clean_redis) == {}


def test_heartbeats_of_workers_that_are_not_registered_are_forgotten(clean_redis: redis.Redis):
    clean_redis.sadd("resque:workers", "ruby:1:mail")
    for worker in ("ruby:1:mail", "ruby:2:mail"):
        clean_redis.hset("resque:workers:heartbeat", worker, "2026-11-20T13:21:45+00:00")
    assert forget() == {"heartbeats": 1}
    assert clean_redis.hkeys("resque:workers:heartbeat") == [b"ruby:1:mail"]


def test_permits_without_a_reservation_are_freed_and_a_parked_job_goes_on(clean_redis: redis.Redis):
    worker = TurnTaker()
    (held,) = worker.reserve(Job("act").payload())
    payloads = [Job("act", (number,)).payload() for number in range(3)]
    clean_redis.hset("resque:django:permits:heavy", mapping={f"abc123.{held.token}": 1, "dead99.1.1": 1, "odd": 1})
    clean_redis.rpush("resque:django:parked:heavy", *[b"mail\n" + payload for payload in payloads])
    clean_redis.sadd("resque:django:parking", "heavy")
    assert forget(only_look=True) == {"permits": 2}
    assert forget() == {"permits": 2}
    assert clean_redis.hkeys("resque:django:permits:heavy") == [f"abc123.{held.token}".encode()]
    assert clean_redis.lrange("resque:queue:mail", 0, -1) == [payloads[1], payloads[0]]
    assert clean_redis.lrange("resque:django:parked:heavy", 0, -1) == [b"mail\n" + payloads[2]]
    worker.close()


def test_parked_jobs_for_which_nobody_holds_a_permit_go_back_in_their_order(clean_redis: redis.Redis):
    payloads = [Job("act", (number,)).payload() for number in range(250)]
    clean_redis.rpush("resque:django:parked:heavy", *[b"mail\n" + payload for payload in payloads])
    clean_redis.sadd("resque:django:parking", "heavy")
    assert forget(only_look=True) == {"unparked": 250}
    assert forget() == {"unparked": 250}
    assert clean_redis.lrange("resque:queue:mail", 0, -1) == payloads
    assert clean_redis.exists("resque:django:parked:heavy", "resque:django:parking") == 0
    assert set(clean_redis.smembers("resque:queues")) == {b"mail"}


def test_a_parked_job_whose_queue_is_no_list_stays_parked(clean_redis: redis.Redis):
    clean_redis.set("resque:queue:mail", "x")
    clean_redis.rpush("resque:django:parked:heavy", b"mail\n" + Job("act").payload())
    assert forget() == {}
    assert clean_redis.llen("resque:django:parked:heavy") == 1


def test_jobs_of_a_process_that_nobody_knows_are_given_back_by_a_worker(
    clean_redis: redis.Redis, worker: Callable[..., WorkerProcess]
):
    job = enqueue("act", "nap", 0)
    (payload,) = clean_redis.lpop("resque:queue:default", 1)
    clean_redis.hset("resque:django:reservations:lost99", "1.1", b"default\n" + payload)
    assert forget(only_look=True) == {"adopted": 1}
    assert forget() == {"adopted": 1}
    assert forget() == {"waiting": ["lost99"]}
    worker()
    assert job.wait(60) is Status.COMPLETE
    until(lambda: not clean_redis.exists("resque:django:reservations:lost99"))


def test_other_namespaces_and_strange_keys_are_left_alone(clean_redis: redis.Redis):
    clean_redis.set(b"resque:worker:\xff~x-1:1:mail", "x")
    clean_redis.set("other:worker:host~gone99-1:42:mail", "x")
    clean_redis.set("resque:django:unique:abc", "x")
    before = clean_redis.keys()
    assert forget() == {}
    assert sorted(clean_redis.keys()) == sorted(before)


def test_reset_asks_tells_and_forgets(clean_redis: redis.Redis):
    worker = TurnTaker()
    end_lease(clean_redis, worker)
    ran = verb("reset")
    assert (ran.code, clean_redis.zcard("resque:django:processes")) == (2, 1)
    assert "--yes" in ran.err
    ran = verb("reset", "--dry-run")
    assert ran.lines == [
        "1 dead worker process(es).",
        "1 worker(s) on the boards whose process is dead.",
        "Nothing was done.",
    ]
    ran = process("reset", "--yes", "--json")
    assert (ran.code, ran.json) == (0, {**asdict(Forgotten(processes=1, workers=1)), "dry_run": False})
    assert state(clean_redis) == {}
    assert verb("reset", "--yes").lines == ["There is nothing to forget."]
    worker.close()


def test_reset_tells_of_what_it_leaves(clean_redis: redis.Redis):
    worker = TurnTaker()
    worker.reserve(Job("act").payload())
    end_lease(clean_redis, worker)
    assert verb("reset", "--yes").lines == [
        "abc123: dead, and holds jobs; the next worker that looks gives them back.",
        "There is nothing to forget.",
    ]
    worker.close()


def test_reset_beside_a_worker_takes_nothing_from_it(clean_redis: redis.Redis, worker: Callable[..., WorkerProcess]):
    worker("-n", "2")
    job = enqueue("act", "nap", 0.2)
    until(lambda: clean_redis.scard("resque:workers") == 2)
    for _ in range(5):
        assert store().dead_state.forget().is_nothing
    assert job.wait(60) is Status.COMPLETE
    assert json.loads(clean_redis.get("resque:stat:processed")) == 1
