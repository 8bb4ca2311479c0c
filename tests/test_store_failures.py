"""The failed list: what is read of it, and how its older records become shorter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from django.test import override_settings

from django_resque.errors import StoreError
from django_resque.store import store
from django_resque.store.failures import MOST_BYTES
from django_resque.store.line import Line

from .servers import RedisServer

FAILED = "resque:failed"


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
