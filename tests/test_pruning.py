"""Dead workers of other programs: which they are, and what is left of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
import redis
from hypothesis import given

from django_resque.errors import StoreError
from django_resque.failure import Failure
from django_resque.job import json_members
from django_resque.store import StaleWorker, store
from django_resque.store.line import Line
from django_resque.worker.foreign import failure_of
from tests.wire.recordings import recording

from .garbage import PAYLOADS, original

NOW = datetime(2026, 11, 20, 13, 21, 45, tzinfo=UTC)
ID = "box1:26144:math"
CURRENT = b'{"queue":"math","run_at":"2026-11-20T14:03:24Z","payload":{"class":"Slow","args":[3.0e1]}}'


@pytest.fixture
def line() -> Iterator[Line]:
    found = Line(store().pool)
    yield found
    found.close()


def ago(client: redis.Redis, zone: timezone = UTC, **time: float) -> datetime:
    return datetime.fromtimestamp(client.time()[0], zone) - timedelta(**time)


def register(client: redis.Redis, worker: str | bytes, heartbeat: str | None, current: bytes | None = None) -> None:
    """Make a worker of another program known."""
    name = worker if isinstance(worker, bytes) else worker.encode()
    client.sadd("resque:workers", name)
    client.set(b"resque:worker:%b:started" % name, "2026-11-20 13:21:45 +0000")
    client.set(b"resque:stat:processed:%b" % name, 5)
    client.set(b"resque:stat:failed:%b" % name, 2)
    if heartbeat is not None:
        client.hset("resque:workers:heartbeat", name, heartbeat)
    if current is not None:
        client.set(b"resque:worker:%b" % name, current)


def stale(line: Line) -> list[str]:
    return sorted(worker.id for worker in line.ask(store().workers.stale_foreign()))


def prune(line: Line, worker: StaleWorker) -> bool:
    return line.ask(store().workers.prune(worker, failure_of(worker, NOW)))


# -- which are dead ----------------------------------------------------------------------------------------------------


def test_a_worker_without_a_heartbeat_for_five_minutes_is_stale(line: Line, clean_redis: redis.Redis):
    old = ago(clean_redis, minutes=6).isoformat()
    register(clean_redis, ID, old, CURRENT)
    register(clean_redis, "box2:1:idle", old)
    register(clean_redis, "box2:2:math", ago(clean_redis, minutes=4).isoformat(), CURRENT)
    found = line.ask(store().workers.stale_foreign())
    assert sorted(found, key=lambda worker: worker.id) == [
        StaleWorker(ID, old.encode(), CURRENT),
        StaleWorker("box2:1:idle", old.encode(), None),
    ]


def test_a_worker_that_never_had_a_heartbeat_is_left_alone(line: Line, clean_redis: redis.Redis):
    register(clean_redis, ID, None, CURRENT)
    assert stale(line) == []
    clean_redis.hset("resque:workers:heartbeat", "box1:1:gone", ago(clean_redis, minutes=6).isoformat())
    assert stale(line) == []  # nor is there a worker for each heartbeat


def test_our_own_workers_are_left_to_the_reaper(line: Line, clean_redis: redis.Redis):
    old = ago(clean_redis, minutes=6).isoformat()
    register(clean_redis, "box1~k3x9qa-1:4711:mail", old, CURRENT)
    register(clean_redis, "box~1~k3x9qa-12:4711:mail", old, CURRENT)
    foreign = ["box1~old:1:mail", "box1:1:k~k3x9qa-1:mail", "~k3x9qa:1:mail", "~k3x9qa-:1:mail", "k3x9qa-1:1:a"]
    for name in foreign:
        register(clean_redis, name, old)
    assert stale(line) == sorted(foreign)


@pytest.mark.parametrize(
    "zone", [UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=8))], ids=str
)
def test_heartbeats_are_read_in_any_zone(line: Line, clean_redis: redis.Redis, zone: timezone):
    for minutes in (4, 6):
        register(clean_redis, f"box:{minutes}:a", ago(clean_redis, zone, minutes=minutes).isoformat())
        register(clean_redis, f"box:{minutes}:b", f"{ago(clean_redis, minutes=minutes):%Y-%m-%dT%H:%M:%SZ}")
        register(clean_redis, f"box:{minutes}:c", f"{ago(clean_redis, zone, minutes=minutes):%Y-%m-%dT%H:%M:%S.25%z}")
    assert stale(line) == ["box:6:a", "box:6:b", "box:6:c"]


def test_the_calendar_is_that_of_python(line: Line, clean_redis: redis.Redis):
    now = ago(clean_redis)
    days = [now - timedelta(days=day, minutes=6) for day in range(0, 3000, 7)]
    days += [now + timedelta(days=day) - timedelta(minutes=6) for day in range(1, 3000, 7)]
    for day in days:
        register(clean_redis, f"box:1:{day:%F}", day.isoformat())
    found = [line.ask(store().workers.stale_foreign(1000)), line.ask(store().workers.stale_foreign(1))]
    assert sorted(worker.id for worker in found[0]) == sorted(f"box:1:{day:%F}" for day in days if day < now)
    assert len(found[1]) == 1


@pytest.mark.parametrize(
    "heartbeat",
    [
        "",
        "now",
        "1763645000",
        "2026-11-20",
        "2020-11-20 13:21:45",
        "2020-11-20T13:21:45",
        "2020-13-20T13:21:45Z",
        "2020-00-20T13:21:45Z",
        "2020-01-00T13:21:45Z",
        "2020-01-32T13:21:45Z",
        "2020-11-20T13:21:45+1",
        "[]",
        "\x00",
    ],
)
def test_a_heartbeat_that_is_no_time_says_nothing(line: Line, clean_redis: redis.Redis, heartbeat: str):
    register(clean_redis, ID, heartbeat, CURRENT)
    assert stale(line) == []


def test_a_hundred_are_found_at_a_time(line: Line, clean_redis: redis.Redis):
    old = ago(clean_redis, minutes=6).isoformat()
    for number in range(130):
        register(clean_redis, f"box:{number}:a", old)
    found = line.ask(store().workers.stale_foreign())
    assert len({worker.id for worker in found}) == 100
    assert all(prune(line, worker) for worker in found)
    assert len(stale(line)) == 30


def test_what_is_odd_is_left_alone_and_hides_nothing(line: Line, clean_redis: redis.Redis):
    old = ago(clean_redis, minutes=6).isoformat()
    register(clean_redis, b"box\xff:1:a", old)
    register(clean_redis, "box:2:a", old)
    clean_redis.rpush("resque:worker:box:2:a", "a list")
    register(clean_redis, "box:3:a", old, b"x" * 3_000_000)
    register(clean_redis, "box:4:a", old, b"x" * 3_000_000)
    register(clean_redis, "", old, CURRENT)
    seen = set()
    while found := line.ask(store().workers.stale_foreign()):
        seen |= {worker.id for worker in found}
        assert all(prune(line, worker) for worker in found)
    assert seen >= {"", "box:3:a", "box:4:a"}
    assert set(clean_redis.smembers("resque:workers")) == {b"box\xff:1:a", b"box:2:a"}


@pytest.mark.parametrize("key", ["workers", "workers:heartbeat"])
def test_a_key_of_the_wrong_type_is_an_error(line: Line, clean_redis: redis.Redis, key: str):
    register(clean_redis, ID, "")
    clean_redis.delete(f"resque:{key}")
    clean_redis.set(f"resque:{key}", "a text")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        line.ask(store().workers.stale_foreign())


def test_nothing_is_pruned_while_a_ruby_worker_prunes(line: Line, clean_redis: redis.Redis):
    register(clean_redis, ID, ago(clean_redis, minutes=6).isoformat(), CURRENT)
    (worker,) = line.ask(store().workers.stale_foreign())
    clean_redis.set("resque:pruning_dead_workers_in_progress", "box1:26075:idle")
    assert stale(line) == []
    assert not prune(line, worker)
    clean_redis.delete("resque:pruning_dead_workers_in_progress")
    assert prune(line, worker)


# -- what becomes of them ----------------------------------------------------------------------------------------------


def test_a_dead_worker_of_ruby_is_pruned_as_ruby_does_it(line: Line, clean_redis: redis.Redis):
    recording("ruby/26").load(clean_redis)
    expected = json.loads(recording("ruby/27").value("failed")[-1])
    clean_redis.hset("resque:workers:heartbeat", ID, ago(clean_redis, minutes=6).isoformat())  # it was recorded in 2026
    (worker,) = line.ask(store().workers.stale_foreign())
    assert prune(line, worker)
    assert not prune(line, worker)
    *_, raw = clean_redis.lrange("resque:failed", 0, -1)
    record = json.loads(raw)
    assert list(record) == list(expected)
    same = ("payload", "exception", "backtrace", "worker", "queue")
    assert {key: record[key] for key in same} == {key: expected[key] for key in same}
    assert "Worker box1:26144:math was performing Slow" in record["error"]
    assert clean_redis.llen("resque:failed") == 4
    assert not clean_redis.exists("resque:workers", "resque:workers:heartbeat")
    assert not [key for key in clean_redis.scan_iter() if ID.encode() in key]
    counters = store().stats.counters()
    assert (counters.processed, counters.failed) == (12, 5)  # one more of each


def test_a_worker_that_had_no_job_leaves_no_failure(line: Line, clean_redis: redis.Redis):
    register(clean_redis, ID, ago(clean_redis, minutes=6).isoformat())
    (worker,) = line.ask(store().workers.stale_foreign())
    assert prune(line, worker)
    assert list(clean_redis.scan_iter()) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [("workers:heartbeat", "2026-11-20T13:21:45Z"), (f"worker:{ID}", b"another job"), (f"worker:{ID}", None)],
)
def test_a_worker_that_gives_a_sign_of_life_meanwhile_is_not_pruned(
    line: Line, clean_redis: redis.Redis, key: str, value: str | None
):
    register(clean_redis, ID, ago(clean_redis, minutes=6).isoformat(), CURRENT)
    (worker,) = line.ask(store().workers.stale_foreign())
    if value is None:
        clean_redis.delete(f"resque:{key}")
    elif key == "workers:heartbeat":
        clean_redis.hset(f"resque:{key}", ID, value)
    else:
        clean_redis.set(f"resque:{key}", value)
    assert not prune(line, worker)
    assert clean_redis.sismember("resque:workers", ID)
    assert not clean_redis.exists("resque:failed", "resque:stat:processed")


def test_an_idle_worker_that_takes_a_job_meanwhile_is_not_pruned(line: Line, clean_redis: redis.Redis):
    register(clean_redis, ID, ago(clean_redis, minutes=6).isoformat())
    (worker,) = line.ask(store().workers.stale_foreign())
    clean_redis.set(f"resque:worker:{ID}", b"")
    assert not prune(line, worker)
    assert clean_redis.sismember("resque:workers", ID)


@pytest.mark.parametrize("key", ["failed", f"worker:{ID}", "workers", "workers:heartbeat"])
def test_where_a_key_has_the_wrong_type_nothing_is_changed(line: Line, clean_redis: redis.Redis, key: str):
    register(clean_redis, ID, ago(clean_redis, minutes=6).isoformat(), CURRENT)
    (worker,) = line.ask(store().workers.stale_foreign())
    clean_redis.delete(f"resque:{key}")
    clean_redis.zadd(f"resque:{key}", {"odd": 1})
    before = {name: clean_redis.dump(name) for name in clean_redis.scan_iter()}
    with pytest.raises(StoreError, match="WRONGTYPE"):
        prune(line, worker)
    assert {name: clean_redis.dump(name) for name in clean_redis.scan_iter()} == before


def test_pruning_needs_no_memory_and_no_counters(line: Line, clean_redis: redis.Redis):
    register(clean_redis, ID, ago(clean_redis, minutes=6).isoformat(), CURRENT)
    clean_redis.set("resque:stat:processed", "many")
    (worker,) = line.ask(store().workers.stale_foreign())
    clean_redis.config_set("maxmemory", 1)
    try:
        assert prune(line, worker)
    finally:
        clean_redis.config_set("maxmemory", 0)
    assert clean_redis.llen("resque:failed") == 1
    assert clean_redis.get("resque:stat:failed") == b"1"


# -- the record --------------------------------------------------------------------------------------------------------


def test_the_payload_stands_in_the_record_to_the_byte():
    record = failure_of(StaleWorker(ID, b"2026-11-20T14:03:24+00:00", CURRENT), NOW)
    assert record is not None
    assert b'"payload":{"class":"Slow","args":[3.0e1]},' in record
    failure = Failure.from_record(record)
    assert failure.job is not None
    assert (failure.job.command, failure.queue, failure.worker) == ("Slow", "math", ID)
    assert (failure.exception, failure.failed_at) == ("Resque::PruneDeadWorkerDirtyExit", NOW)
    assert failure.error.endswith("has given no sign of life since 2026-11-20T14:03:24+00:00")


@pytest.mark.parametrize("current", [None, b"", b"{}"])
def test_a_worker_without_a_job_has_no_failure(current: bytes | None):
    assert failure_of(StaleWorker(ID, b"", current), NOW) is None


@given(PAYLOADS)
def test_whatever_a_dead_worker_did_is_a_record(raw: bytes):
    for current, payload in ((raw, None), (b'{"queue":"a","payload":%b}' % raw, raw)):
        record = failure_of(StaleWorker(ID, raw, current), NOW)
        if record is None:
            assert current.strip() in (b"", b"{}")
            continue
        read = json.loads(record)
        assert isinstance(read["payload"], dict)
        assert read["worker"] == ID
        assert payload is None or original(dict(json_members(record))["payload"]).strip()
