"""What the family's other programs have written, read and performed by ours."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from django_resque.job import Job
from django_resque.store import Worker, store
from tests.workers import WorkerProcess, told

from .recordings import Recording, recording, recordings


def at(hour: int, minute: int, second: int) -> datetime:
    return datetime(2026, 11, 20, hour, minute, second, tzinfo=UTC)


def meant(payload: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The positional arguments and the options that a payload's producer had in mind."""
    match payload["args"]:
        case [] | [[]] | [None] | {}:
            return [], {}
        case [*positional, dict(options)]:  # PHP has nothing but named ones
            return positional, options
        case args:
            return args, {}


# -- the boards --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("found", recordings(), ids=str)
def test_every_recording_is_read_as_it_is(clean_redis: redis.Redis, found: Recording):
    found.load(clean_redis)
    sizes = {queue: len(found.value(f"queue:{queue}", [])) for queue in sorted(found.value("queues", []))}
    records = [json.loads(raw) for raw in reversed(found.value("failed", []))]
    ids = sorted(found.value("workers", []))
    processed, failed = (int(found.value(f"stat:{name}", 0)) for name in ("processed", "failed"))

    table = store().queue_table()
    assert table.trouble == []
    assert {queue.name: queue.length for queue in table.queues} == sizes
    assert list(table.worker_ids) == ids
    assert (table.count, table.worker_count) == (len(sizes), len(ids))
    assert table.all_paused == ("resque:pause-all-workers" in found.keys)
    counters = store().stats.counters()
    assert (counters.processed, counters.failed) == (processed, failed)
    workers = store().workers.all()
    assert [worker.id for worker in workers] == ids

    assert store().queues.names() == list(sizes)
    assert store().queues.sizes(sizes) == sizes
    for queue, size in sizes.items():
        assert store().queues.size(queue) == size
        assert [raw.decode() for raw in store().queues.peek(queue)] == found.value(f"queue:{queue}", [])
    for worker in workers:
        assert worker.host == "box1"
        assert worker.id == f"box1:{worker.pid}:{','.join(worker.queues)}"
        assert worker.started is not None
        assert (worker.job is not None) == (worker.run_at is not None) == (f"resque:worker:{worker.id}" in found.keys)
    assert store().failures.count() == len(records)
    assert [json.loads(failure.raw) for failure in store().failures.latest(len(records))] == records
    for failure, record in zip(store().failures.latest(), records, strict=True):
        assert (failure.exception, failure.error) == (record["exception"], record["error"])
        assert (failure.worker, failure.queue) == (record["worker"], record["queue"])
        assert failure.backtrace == record["backtrace"]
        assert failure.failed_at is not None
        assert at(14, 3, 0) < failure.failed_at < at(14, 6, 0)
        assert failure.job is not None
        assert failure.job.command == record["payload"]["class"]
        assert (list(failure.job.args), failure.job.options) == meant(record["payload"])


@pytest.mark.parametrize(
    ("name", "worker"),
    [
        (
            "ruby/08",
            Worker(
                id="box1:26084:math",
                host="box1",
                pid="26084",
                queues=["math"],
                started=at(14, 3, 7),
                heartbeat=at(14, 3, 7),
                job=Job("Slow", (2,), {}, "math", id="", enqueued_at=0.0),
                run_at=at(14, 3, 7),
            ),
        ),
        (
            "php/08",
            Worker(
                id="box1:26283:php",
                host="box1",
                pid="26283",
                queues=["php"],
                started=at(14, 3, 48),
                heartbeat=None,
                job=Job(
                    "Slow", (), {"s": 2}, "php", "3a005f852adb6666572468af49bf7740", 1795183428.09415, {"prefix": ""}
                ),
                run_at=at(14, 3, 48),
            ),
        ),
        (
            "php-chrisboulton/07",
            Worker(
                id="box1:26357:php",
                host="box1",
                pid="26357",
                queues=["php"],
                started=at(14, 4, 20),
                heartbeat=None,
                job=Job("Slow", (), {"s": 2}, "php", "8aa6fc454ff47f80f1ab7aa194f1d0f2", 1795183460.062159),
                run_at=at(14, 4, 20),
            ),
        ),
        (
            "node/07",
            Worker(
                id="box1:26550:node",
                host="box1",
                pid="26550",
                queues=["node"],
                started=at(14, 4, 55),
                heartbeat=None,
                job=Job("slow", (2,), {}, "node", id="", enqueued_at=0.0, extra={"queue": "node"}),
                run_at=at(14, 4, 55),
            ),
        ),
        (
            "node/05",
            Worker("box1:26528:idle", "box1", "26528", ["idle"], at(14, 4, 54), heartbeat=None, job=None, run_at=None),
        ),
    ],
)
def test_a_worker_of_each_program_is_seen(clean_redis: redis.Redis, name: str, worker: Worker):
    recording(name).load(clean_redis)
    assert store().workers.all() == [worker]


@pytest.mark.parametrize(
    ("name", "failed_at", "job", "exception", "line"),
    [
        ("ruby/10", at(14, 3, 10), ("Boom", (1, "x"), {}), "ArgumentError", "/app/jobs.rb:16:in `perform'"),
        ("php/11", at(14, 3, 52), ("Boom", (), {"x": 1}), "RuntimeException", "#0 /vendor/php-resque/lib/JobHandler"),
        ("php-chrisboulton/10", at(14, 4, 23), ("Boom", (), {"x": 1}), "RuntimeException", "#0 /vendor/php-resque/lib"),
        ("node/09", at(14, 4, 58), ("boom", (1, "x"), {}), "Error", "    at Worker.perform (/app/jobs.js:9:40)"),
    ],
)
def test_a_failure_of_each_program_is_seen(
    clean_redis: redis.Redis, name: str, failed_at: datetime, job: Any, exception: str, line: str
):
    recording(name).load(clean_redis)
    (failure,) = store().failures.latest()
    assert failure.failed_at == failed_at
    assert failure.job is not None
    assert (failure.job.command, failure.job.args, failure.job.options) == job
    assert (failure.exception, failure.error) == (exception, "bad thing: é")
    assert failure.backtrace[0].startswith(line)


# -- payloads ----------------------------------------------------------------------------------------------------------

PAYLOADS = list(
    dict.fromkeys(raw for found in recordings() for kind in ("queue", "delayed") for raw in found.elements(kind))
)


@pytest.mark.parametrize("raw", PAYLOADS, ids=bytes.decode)
def test_every_payload_is_read_as_it_was_meant(raw: bytes):
    payload = json.loads(raw)
    job = Job.from_payload(raw, "math")
    assert job.command == payload["class"]
    assert (list(job.args), job.options) == meant(payload)
    assert job.id == payload.get("id", job.id)
    assert job.enqueued_at == payload.get("queue_time", 0.0)
    assert job.extra == {key: payload[key] for key in ("prefix", "queue") if key in payload}


def renamed(raw: bytes) -> bytes:
    """The same payload for a command that we have."""
    return re.sub(rb'"class":"\w+"', b'"class":"echo"', raw)


def test_commands_are_given_what_foreign_producers_meant(
    worker: Callable[..., WorkerProcess], facts: redis.Redis, clean_redis: redis.Redis
):
    clean_redis.rpush("resque:queue:default", *map(renamed, PAYLOADS))
    assert worker("--burst").wait() == 0
    calls = [meant(json.loads(raw)) for raw in PAYLOADS]
    possible = [(args, options) for args, options in calls if None not in args]
    for args, options in possible:
        assert json.loads(told(facts, "echo")) == [list(map(str, args)), options]  # as a shell would give them
    failures = store().failures.latest()
    assert len(failures) == len(calls) - len(possible)
    assert {failure.exception for failure in failures} == {"InvalidArguments"}
    assert all("is None: a command line has no None" in failure.error for failure in failures)


def test_a_foreign_status_is_kept_up_and_none_is_made(worker: Callable[..., WorkerProcess], clean_redis: redis.Redis):
    recording("php/05").load(clean_redis)
    for index, raw in enumerate(clean_redis.lrange("resque:queue:php", 0, -1)):
        clean_redis.lset("resque:queue:php", index, renamed(raw))
    tracked = set(clean_redis.keys("resque:job:*:status"))
    assert any(key.startswith(b"resque:job:pre_") for key in tracked)
    assert worker("--burst", "-q", "php").wait() == 0
    assert set(clean_redis.keys("resque:job:*:status")) == tracked
    for key in tracked:
        assert json.loads(clean_redis.get(key))["status"] == 4
        assert 0 < clean_redis.ttl(key) <= 3600
