"""The failed list: what is read of it, how its older records become shorter, retrying and discarding."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django.test import override_settings

from django_resque.errors import InvalidPayload, StoreError
from django_resque.failure import Failure, failure_record
from django_resque.status import Status
from django_resque.store import FailureFilter, Retried, store
from django_resque.store.failures import MOST_BYTES
from django_resque.store.line import Line

from .processes_in_redis import full, state
from .servers import RedisServer
from .wire.recordings import recording

FAILED = "resque:failed"
NOW = datetime(2026, 11, 20, 13, 21, 45, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    store().close()


@pytest.fixture
def line() -> Iterator[Line]:
    with override_settings(RESQUE={"TESTING": "real", "FAILED_MAX": 3}):
        found = Line(store().pool)
        yield found
        found.close()
        store().close()


def records(*numbers: int) -> list[bytes]:
    return [b"record %d" % number for number in numbers]


def test_as_many_records_as_stay_full_are_not_old(line: Line, clean_redis: redis.Redis):
    assert line.ask(store().failures.old_ones()) == []
    clean_redis.rpush(FAILED, *records(0, 1, 2))
    assert line.ask(store().failures.old_ones()) == []


def test_the_old_records_are_found_with_their_places_from_the_newest_on(line: Line, clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, *records(*range(10)))
    assert line.ask(store().failures.old_ones()) == list(
        zip(range(6, -1, -1), records(6, 5, 4, 3, 2, 1, 0), strict=True)
    )
    assert [at for at, _ in line.ask(store().failures.old_ones(2))] == [6, 5]
    assert [at for at, _ in line.ask(store().failures.old_ones(2, before=5))] == [4, 3]
    assert [at for at, _ in line.ask(store().failures.old_ones(2, before=1))] == [0]
    assert line.ask(store().failures.old_ones(before=0)) == []
    assert [at for at, _ in line.ask(store().failures.old_ones(1, before=9))] == [6]  # the newest stay full


def test_large_records_are_read_a_few_at_a_time(line: Line, clean_redis: redis.Redis):
    large = b"x" * (MOST_BYTES * 2 // 5)
    clean_redis.rpush(FAILED, *records(0), large * 5, *[large] * 3, *records(5, 6, 7))
    assert [at for at, _ in line.ask(store().failures.old_ones())] == [4, 3]
    assert [at for at, _ in line.ask(store().failures.old_ones(before=3))] == [2]
    assert [at for at, _ in line.ask(store().failures.old_ones(before=2))] == [1]  # one at least
    assert line.ask(store().failures.old_ones(before=1)) == [(0, b"record 0")]


def test_records_are_replaced_where_they_still_are(line: Line, clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, *records(0, 1, 2, 3, 4))
    found = line.ask(store().failures.old_ones())
    clean_redis.rpush(FAILED, *records(5, 6))
    assert line.ask(store().failures.replace([(at, raw, b"short") for at, raw in found])) == 2
    assert clean_redis.lrange(FAILED, 0, -1) == [b"short", b"short", *records(2, 3, 4, 5, 6)]


def test_records_that_have_moved_are_left_as_they_are(line: Line, clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, *records(0, 1, 2, 3, 4, 5))
    found = line.ask(store().failures.old_ones())
    clean_redis.lrem(FAILED, 1, "record 1")
    assert line.ask(store().failures.replace([(at, raw, b"short") for at, raw in found])) == 1
    assert clean_redis.lrange(FAILED, 0, -1) == [b"short", *records(2, 3, 4, 5)]
    clean_redis.delete(FAILED)
    assert line.ask(store().failures.replace([(0, b"short", b"shorter"), (7, b"", b"x")])) == 0
    assert not clean_redis.exists(FAILED)
    assert line.ask(store().failures.replace([])) == 0


def test_any_bytes_are_replaced_by_any_bytes(line: Line, clean_redis: redis.Redis):
    before, after = bytes(range(256)), b"\r\n\x00\xff"
    clean_redis.rpush(FAILED, before, "", *records(2, 3, 4))
    assert line.ask(store().failures.old_ones()) == [(1, b""), (0, before)]
    assert line.ask(store().failures.replace([(0, before, after), (1, b"", b"")])) == 2
    assert clean_redis.lrange(FAILED, 0, 1) == [after, b""]


def test_records_shrink_while_the_memory_is_full(redis_server: RedisServer, line: Line, clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, *records(0, 1, 2, 3))
    clean_redis.config_set("maxmemory", 1)
    try:
        assert line.ask(store().failures.replace([(0, b"record 0", b"short")])) == 1
    finally:
        clean_redis.config_set("maxmemory", 0)
    assert clean_redis.lindex(FAILED, 0) == b"short"


def test_a_failed_list_that_is_no_list_is_an_error(line: Line, clean_redis: redis.Redis):
    clean_redis.set(FAILED, "a text")
    for request in (store().failures.old_ones(), store().failures.replace([(0, b"a", b"b")])):
        with pytest.raises(StoreError, match="WRONGTYPE"):
            line.ask(request)
    assert clean_redis.get(FAILED) == b"a text"


# -- reading -----------------------------------------------------------------------------------------------------------


def failed(number: int = 0, *, at: datetime = NOW, **payload: Any) -> bytes:
    """A failure record of ours."""
    return failure_record(
        payload=json.dumps({"class": "clean", "args": [[number]], "id": f"id{number}", **payload}).encode(),
        queue="mail",
        worker="host~abc123-1:42:mail",
        exception="ValueError",
        error=f"number {number} is bad",
        now=at,
    )


def test_a_page_holds_the_newest_failures_first(clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, *records(*range(10)))
    assert [failure.raw for failure in store().failures.page(0, 3)] == records(9, 8, 7)
    assert [failure.raw for failure in store().failures.page(3, 2)] == records(6, 5)
    assert [failure.raw for failure in store().failures.page(8, 5)] == records(1, 0)
    assert store().failures.page(10, 5) == []
    assert [failure.raw for failure in store().failures.latest(2)] == records(9, 8)


def test_all_failures_are_gone_through_the_newest_first_and_no_new_ones(clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, *records(*range(2_500)))
    found = []
    for failure in store().failures.iterate():
        clean_redis.rpush(FAILED, b"new")
        found.append(failure.raw)
    assert found == records(*range(2_499, -1, -1))


def test_a_failure_is_found_by_the_digest_of_its_bytes(clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, *records(*range(1_500)))
    failure = store().failures.page(1_400, 1)[0]
    assert len(failure.digest) == 40
    assert store().failures.find(failure.digest) == failure
    clean_redis.lrem(FAILED, 1, failure.raw)
    assert store().failures.find(failure.digest) is None


@pytest.mark.parametrize(
    ("which", "numbers"),
    [
        (FailureFilter(), [4, 3, 2, 1, 0]),
        (FailureFilter(command="clean"), [3, 2, 0]),
        (FailureFilter(queue="mail"), [3, 2, 0]),
        (FailureFilter(queue="ruby"), [1]),
        (FailureFilter(exception="ValueError"), [3, 2, 0]),
        (FailureFilter(exception="DirtyExit"), [1]),
        (FailureFilter(exception="Resque::DirtyExit"), [1]),
        (FailureFilter(exception="Exit"), []),
        (FailureFilter(since=NOW), [3, 2]),
        (FailureFilter(since=NOW + timedelta(hours=1)), [3]),
        (FailureFilter(text="NUMBER 2"), [2]),
        (FailureFilter(text="ärger"), [1]),
        (FailureFilter(text="record"), [4]),
        (FailureFilter(text="id3"), [3]),
        (FailureFilter(command="clean", text="number 2"), [2]),
    ],
)
def test_failures_are_filtered(clean_redis: redis.Redis, which: FailureFilter, numbers: list[int]):
    ruby = {"payload": {"class": "Boom", "args": ["Ärger"]}, "exception": "Resque::DirtyExit", "queue": "ruby"}
    all_of_them = [
        failed(0, at=NOW - timedelta(days=1)),
        json.dumps({**ruby, "failed_at": "2026/11/19 13:21:45 UTC"}).encode(),
        failed(2),
        failed(3, at=NOW + timedelta(days=1)),
        b"record 4",
    ]
    clean_redis.rpush(FAILED, *all_of_them)
    found = [failure.raw for failure in store().failures.iterate(which)]
    assert found == [all_of_them[number] for number in numbers]


# -- retrying ----------------------------------------------------------------------------------------------------------


def test_a_failure_that_is_retried_is_back_in_its_queue_and_gone_from_the_list(clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, failed(1), failed(2), failed(3))
    (failure,) = store().failures.page(1, 1)
    assert store().ask(store().failures.retry(failure))
    assert clean_redis.lrange(FAILED, 0, -1) == [failed(1), failed(3)]
    assert clean_redis.lrange("resque:queue:mail", 0, -1) == [b'{"class": "clean", "args": [[2]], "id": "id2"}']
    assert set(clean_redis.smembers("resque:queues")) == {b"mail"}
    assert json.loads(clean_redis.get("resque:job:id2:status"))["status"] == Status.WAITING
    assert clean_redis.ttl("resque:job:id2:status") == 7 * 86_400
    assert "stat:processed" not in state(clean_redis)


def test_retrying_a_failure_twice_enqueues_it_once(clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, failed(1))
    (failure,) = store().failures.latest()
    assert store().ask(store().failures.retry(failure))
    assert not store().ask(store().failures.retry(failure))
    assert clean_redis.llen("resque:queue:mail") == 1


def test_of_equal_records_one_is_retried(clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, failed(1), failed(1))
    assert store().ask(store().failures.retry(store().failures.latest()[0]))
    assert clean_redis.lrange(FAILED, 0, -1) == [failed(1)]


def test_a_retry_by_hand_starts_at_zero_and_all_else_stays_to_the_byte(clean_redis: redis.Redis):
    payload = (
        b'{"class":"clean", "args":[[1.50,12345678901234567890]],"id":"a","attempt":3,"x":[],"history":[{}], "y":{}}'
    )
    clean_redis.rpush(FAILED, b'{"failed_at":"","payload":%b,"queue":"mail","worker":"w"}' % payload)
    assert store().ask(store().failures.retry(store().failures.latest()[0]))
    assert clean_redis.lrange("resque:queue:mail", 0, -1) == [
        b'{"class":"clean","args":[[1.50,12345678901234567890]],"id":"a","x":[],"y":{}}'
    ]


def test_the_bell_rings_for_a_retry(clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, failed(1), failed(2))
    with clean_redis.pubsub() as bell:
        bell.subscribe("resque:django:bell")
        assert store().failures.retry_all().retried == 2
        heard = [bell.get_message(timeout=5) for _ in range(2)]
    assert heard[1] is not None
    assert heard[1]["data"] == b"mail"


def test_a_job_that_is_not_tracked_is_retried_without_a_status(clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, failed(1, track=False))
    assert store().failures.retry_all().retried == 1
    assert not clean_redis.keys("resque:job:*")


def test_a_retried_job_holds_its_key_of_uniqueness_again_unless_another_waits_under_it(clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, failed(1, unique=["a", 60]), failed(2, unique=["b", 60]))
    clean_redis.set("resque:django:unique:b", "another")
    assert store().failures.retry_all().retried == 2
    assert clean_redis.get("resque:django:unique:a") == b"id1"
    assert 0 < clean_redis.ttl("resque:django:unique:a") <= 60
    assert clean_redis.get("resque:django:unique:b") == b"another"


@pytest.mark.parametrize(
    ("name", "queue", "payload"),
    [
        ("ruby/16", "math", b'{"class":"Boom","args":[1,"x"]}'),
        ("php/11", "php", None),
        ("php-chrisboulton/10", "php", None),
        ("node/09", "node", b'{"class":"boom","queue":"node","args":[1,"x"]}'),
    ],
)
def test_failures_of_other_programs_are_retried(clean_redis: redis.Redis, name: str, queue: str, payload: bytes | None):
    recorded = recording(name)
    recorded.load(clean_redis)
    failure = store().failures.latest(1)[0]
    before = {key for key in state(clean_redis) if key.startswith("job:")}
    assert store().ask(store().failures.retry(failure))
    pushed = clean_redis.lindex(f"resque:queue:{queue}", -1)
    assert pushed in failure.raw
    assert payload is None or pushed == payload
    assert {key for key in state(clean_redis) if key.startswith("job:")} == before


def test_the_status_of_another_programs_job_is_set_where_it_has_one(clean_redis: redis.Redis):
    recording("php/22").load(clean_redis)
    failure = store().failures.latest(1)[0]
    assert failure.job is not None
    store().ask(store().failures.retry(failure))
    assert json.loads(clean_redis.get(f"resque:job:{failure.job.id}:status"))["status"] == Status.WAITING


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"no record",
        b'{"queue":"mail"}',
        b'{"payload":null,"queue":"mail"}',
        b'{"payload":"text","queue":"mail"}',
        b'{"payload":{"args":[]},"queue":"mail"}',
        b'{"payload":{"class":"Clean","args":[]}}',
        b'{"payload":{"class":"Clean","args":[]},"queue":"a\\nb"}',
        failure_record(payload=b"garbage", queue="mail", worker="w", exception="", error="", now=NOW),
    ],
)
def test_what_holds_no_job_cannot_be_retried(clean_redis: redis.Redis, record: bytes):
    clean_redis.rpush(FAILED, record)
    (failure,) = store().failures.latest()
    with pytest.raises(InvalidPayload, match="cannot be retried"):
        store().failures.retry(failure)
    assert store().failures.retry_all() == Retried(seen=1, retried=0, refused=1)
    assert clean_redis.lrange(FAILED, 0, -1) == [record]


def test_a_failure_whose_queue_is_no_list_stays(clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, failed(1))
    clean_redis.set("resque:queue:mail", "a text")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        store().ask(store().failures.retry(store().failures.latest()[0]))
    assert store().failures.retry_all() == Retried(seen=1, retried=0, refused=1)
    assert clean_redis.llen(FAILED) == 1


def test_failures_are_retried_while_the_memory_is_full(clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, failed(1))
    with full(clean_redis):
        assert store().failures.retry_all().retried == 1
    assert clean_redis.llen("resque:queue:mail") == 1


# -- many at a time ----------------------------------------------------------------------------------------------------


def test_all_failures_that_are_meant_are_retried_and_it_is_told_how_far_it_is(clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, *(failed(number) if number % 2 else b"%d" % number for number in range(2_000)))
    told: list[tuple[int, int]] = []
    found = store().failures.retry_all(FailureFilter(command="clean"), lambda *done: told.append(done))
    assert found == Retried(seen=1_000, retried=1_000, refused=0)
    assert told == [(100, 2_000), (1_100, 2_000), (2_000, 2_000)]
    assert clean_redis.llen("resque:queue:mail") == 1_000
    assert clean_redis.llen(FAILED) == 1_000


def test_what_fails_again_meanwhile_is_not_retried_again(clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, *map(failed, range(500)))

    def fail_again(done: int, total: int) -> None:
        while clean_redis.lpop("resque:queue:mail"):
            clean_redis.rpush(FAILED, failed(1))

    assert store().failures.retry_all(progress=fail_again).retried == 500


def test_chosen_failures_are_retried_and_discarded(clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, *map(failed, range(300)))
    chosen = store().failures.page(10, 250)
    clean_redis.lrem(FAILED, 1, chosen[0].raw)
    told: list[tuple[int, int]] = []
    assert store().failures.retry_many(chosen[:150], lambda *done: told.append(done)) == Retried(150, 149, 0)
    assert told == [(100, 150), (150, 150)]
    assert store().failures.discard_many(chosen[100:]) == 100
    assert clean_redis.llen(FAILED) == 50
    assert store().failures.retry_many([]) == Retried(0, 0, 0)


def test_what_ruby_has_retried_already_is_retried_only_when_somebody_points_at_it(clean_redis: redis.Redis):
    recording("ruby/16").load(clean_redis)
    already = [failure for failure in store().failures.iterate() if "retried_at" in failure.extra]
    there_are = store().failures.count()
    assert len(already) == 1
    assert store().failures.retry_all() == Retried(there_are, there_are - 1, 1)
    assert store().ask(store().failures.retry(already[0]))


def test_a_discarded_failure_is_gone_once(clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, b"", b"", b"record 1")
    (_, failure, _) = store().failures.latest()
    assert store().ask(store().failures.discard(failure))
    assert clean_redis.lrange(FAILED, 0, -1) == [b"", b"record 1"]
    assert store().ask(store().failures.discard(failure))
    assert not store().ask(store().failures.discard(failure))


def test_failures_that_are_meant_are_discarded(clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, *map(failed, range(250)), b"record 1")
    assert store().failures.discard_all(FailureFilter(text="number 2")) == 61
    assert store().failures.discard_all() == 190
    assert not clean_redis.exists(FAILED)


def test_all_failures_are_cleared_in_one_step(clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, *records(*range(250)))
    told: list[tuple[int, int]] = []
    assert store().failures.clear(lambda *done: told.append(done)) == 250
    assert told == [(250, 250)]
    assert not clean_redis.exists(FAILED)
    assert store().failures.clear() == 0


def test_a_failed_list_that_is_no_list_is_neither_cleared_nor_changed(clean_redis: redis.Redis):
    clean_redis.set(FAILED, "a text")
    failure = Failure.from_record(failed(1))
    for act in (
        store().failures.clear,
        store().failures.retry_all,
        store().failures.discard_all,
        lambda: store().ask(store().failures.retry(failure)),
        lambda: store().ask(store().failures.discard(failure)),
    ):
        with pytest.raises(StoreError, match="WRONGTYPE"):
            act()
    assert state(clean_redis) == {"failed": b"a text"}
