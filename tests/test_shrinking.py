"""How the older records of a long failed list become shorter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from django.test import override_settings

from django_resque.store import store
from django_resque.store.line import Line
from django_resque.worker.shrinking import Shrinking

FAILED = "resque:failed"
FULL, SHORT = b'{"error":"a","backtrace":["b"],"output":"c"}', b'{"error":"a","backtrace":[]}'
KEPT = 3


@pytest.fixture
def line() -> Iterator[Line]:
    with override_settings(RESQUE={"TESTING": "real", "FAILED_MAX": KEPT}):
        found = Line(store().pool)
        yield found
        found.close()
        store().close()


@pytest.fixture
def shrinking(line: Line) -> Shrinking:
    return Shrinking(store().failures)


def look(line: Line, shrinking: Shrinking) -> int:
    """One look; returns how many requests it made."""
    request, count = shrinking.begin(), 1
    while True:
        pairs, following = shrinking.go_on(line.ask(request))
        if pairs:
            line.ask(store().failures.replace(pairs))
        if following is None:
            return count
        request, count = following, count + 1


def test_everything_beyond_the_newest_becomes_shorter(line: Line, shrinking: Shrinking, clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, *[FULL] * 450)
    assert look(line, shrinking) == 5
    assert clean_redis.lrange(FAILED, 0, -1) == [SHORT] * 447 + [FULL] * KEPT
    clean_redis.rpush(FAILED, FULL)
    assert look(line, shrinking) == 3
    assert clean_redis.lrange(FAILED, 0, -1) == [SHORT] * 448 + [FULL] * KEPT


def test_a_short_list_is_left_as_it_is(line: Line, shrinking: Shrinking, clean_redis: redis.Redis):
    assert look(line, shrinking) == 1
    clean_redis.rpush(FAILED, *[FULL] * KEPT)
    assert look(line, shrinking) == 1
    assert clean_redis.lrange(FAILED, 0, -1) == [FULL] * KEPT
    clean_redis.rpush(FAILED, FULL)
    assert look(line, shrinking) == 1
    assert clean_redis.lrange(FAILED, 0, -1) == [SHORT] + [FULL] * KEPT


def test_records_with_nothing_to_lose_hide_none(line: Line, shrinking: Shrinking, clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, *[FULL] * 50, *[b"not json"] * 800, *[FULL] * KEPT)
    requests = [look(line, shrinking) for _ in range(8)]
    assert requests == [2] * 8
    assert clean_redis.lrange(FAILED, 0, -1) == [SHORT] * 50 + [b"not json"] * 800 + [FULL] * KEPT
    clean_redis.rpush(FAILED, *[FULL] * KEPT)
    clean_redis.lset(FAILED, 20, FULL)  # and again, when the way has come to its end
    for _ in range(10):
        look(line, shrinking)
    assert clean_redis.lrange(FAILED, 0, -1) == [SHORT] * 50 + [b"not json"] * 800 + [SHORT] * KEPT + [FULL] * KEPT


def test_a_list_that_moves_at_both_ends_stays_as_it_is_otherwise(
    line: Line, shrinking: Shrinking, clean_redis: redis.Redis
):
    def numbered(number: int, *, full: bool) -> bytes:
        return b'{"number":%d,"backtrace":%b}' % (number, b'["b"]' if full else b"[]")

    clean_redis.rpush(FAILED, *[numbered(number, full=True) for number in range(250)])
    request, number = shrinking.begin(), 250
    while True:
        found = line.ask(request)
        clean_redis.rpush(FAILED, numbered(number, full=True))
        clean_redis.lpop(FAILED)
        number += 1
        pairs, following = shrinking.go_on(found)
        line.ask(store().failures.replace(pairs))
        if following is None:
            break
        request = following
    for _ in range(5):
        look(line, shrinking)
    first = number - 250
    assert clean_redis.lrange(FAILED, 0, -1) == [
        numbered(each, full=each >= number - KEPT) for each in range(first, number)
    ]
