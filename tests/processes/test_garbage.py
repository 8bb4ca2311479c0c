"""Garbage on a queue, and the worker that finds it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from random import Random

import pytest

from django_resque import enqueue
from django_resque.job import MAX_READABLE, json_members
from django_resque.store import store
from tests.garbage import RECORDED, SHAPES, WHOLE, mutated, original
from tests.workers import told

SEED = 20261120


def payload_of(record: bytes) -> bytes:
    """What the record was made of."""
    return original(dict(json_members(record))["payload"])


def test_every_element_ends_once_whatever_it_is(worker, facts, clean_redis):
    elements = [*SHAPES, WHOLE, b"", *mutated(Random(SEED), 150), *RECORDED]
    clean_redis.rpush("resque:queue:default", *elements)
    enqueue("act", "tell", "after", "all that")
    process = worker("--burst", "-n", "2")
    assert process.wait() == 0
    assert told(facts, "after") == "all that"

    records = clean_redis.lrange("resque:failed", 0, -1)
    ended = Counter(map(payload_of, records))
    assert ended <= Counter(elements), process.log  # to the byte, and none twice
    performed = Counter(elements) - ended
    assert {json.loads(raw)["class"] for raw in performed} == {"echo", "mailing"}
    assert facts.llen("echo") == sum(count for raw, count in performed.items() if json.loads(raw)["class"] == "echo")
    assert {json.loads(raw)["exception"] for raw in records} == {
        "InvalidPayload",
        "UnknownCommand",
        "RefusedCommand",
        "InvalidArguments",
    }
    counters = store().stats.counters()
    assert (counters.processed, counters.failed) == (len(elements) + 1, len(records))
    assert clean_redis.llen("resque:queue:default") == 0
    assert not list(clean_redis.scan_iter("resque:django:reservations:*"))


def test_a_payload_too_large_to_be_read_is_a_failure_that_says_how_large(worker, facts, clean_redis):
    large = b'{"class":"act","args":[["tell","large","%b"]]}' % (b"x" * MAX_READABLE)
    clean_redis.rpush("resque:queue:default", large)
    enqueue("act", "tell", "after")
    assert worker("--burst").wait() == 0
    told(facts, "after")
    assert facts.llen("large") == 0
    (failure,) = store().failures.latest()
    sha1 = hashlib.sha1(large).hexdigest()
    assert failure.exception == "InvalidPayload"
    assert f"{len(large):,} bytes" in failure.error
    assert sha1 in failure.error
    stub = json.loads(failure.raw)["payload"]
    assert (stub["bytes"], stub["sha1"]) == (len(large), sha1)
    assert len(failure.raw) < 10_000
    counters = store().stats.counters()
    assert (counters.processed, counters.failed) == (2, 1)


@pytest.mark.parametrize("size", [4_000, 90_000])
def test_many_large_jobs_that_fail_at_once_do_not_block_the_worker(worker, facts, clean_redis, size):
    """Their reports and the jobs themselves do not all fit into what the kernel keeps between two processes."""
    payload = json.dumps({"class": "no_such_command", "args": [["x" * size]]})
    for _ in range(4):
        clean_redis.rpush("resque:queue:default", *[payload] * 100)
    enqueue("act", "tell", "after")
    assert worker("--burst").wait() == 0
    told(facts, "after")
    counters = store().stats.counters()
    assert (counters.processed, counters.failed) == (401, 400)
