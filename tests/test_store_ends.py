"""One end of a list."""

from __future__ import annotations

import pytest
import redis

from django_resque.errors import StoreError
from django_resque.store import ends
from django_resque.store.ends import read_head, read_tail


def fill(client: redis.Redis, count: int, size: int = 1) -> list[bytes]:
    elements = [str(number).zfill(size).encode() for number in range(count)]
    if elements:
        client.rpush("list", *elements)
    return elements


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250, 1_000])
def test_up_to_the_bound_all_of_it_is_read_in_order(clean_redis: redis.Redis, count: int):
    elements = fill(clean_redis, count)
    head, tail = read_head(clean_redis, "list"), read_tail(clean_redis, "list")
    assert list(head.elements) == elements
    assert list(tail.elements) == elements[::-1]
    assert head.count == tail.count == count
    assert head.whole
    assert tail.whole


@pytest.mark.parametrize("most", [10, 100, 150])
def test_of_a_longer_list_its_end_is_read(clean_redis: redis.Redis, most: int):
    elements = fill(clean_redis, 200)
    head, tail = read_head(clean_redis, "list", most), read_tail(clean_redis, "list", most)
    assert list(head.elements) == elements[:most]
    assert list(tail.elements) == elements[: -most - 1 : -1]
    assert head.count == 200
    assert not head.whole
    assert not tail.whole


def test_of_large_elements_fewer_are_read(clean_redis: redis.Redis):
    fill(clean_redis, 400, size=ends.MOST_BYTES // 200)
    assert len(read_head(clean_redis, "list").elements) == 200
    assert len(read_tail(clean_redis, "list").elements) == 200


def test_what_is_no_list_is_an_error(clean_redis: redis.Redis):
    clean_redis.set("list", "surprise")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        read_head(clean_redis, "list")
