"""A worker whose Redis is slow, unreachable, killed, or answers with half a reply.

The queues are on a server of their own, behind a proxy for the worker alone. What jobs have done they tell the
session's server, which is never disturbed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from django_resque import enqueue, enqueue_many
from django_resque.errors import StoreUnavailable
from django_resque.store import store
from tests.processes_in_redis import lasting
from tests.proxy import Proxy
from tests.servers import RedisServer
from tests.workers import WorkerProcess, told, until

SOON = 8
"""Seconds for a worker to end after its grace period: 5 for a turn that is not answered, 1 for performers to end."""


@pytest.fixture(scope="module")
def _server() -> Iterator[RedisServer]:
    with RedisServer(appendfsync="always") as server:
        yield server


@pytest.fixture
def server(_server: RedisServer, settings: Any) -> RedisServer:
    """The server with the queues, empty; nothing that it has acknowledged is lost when it is killed."""
    if not _server.running:
        _server.start()
    with _server.client() as client:
        client.flushall()
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": _server.url}}
    return _server


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[Proxy]:
    """The worker's way to it."""
    with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def start(worker: Callable[..., WorkerProcess], proxy: Proxy, facts: redis.Redis) -> Callable[..., WorkerProcess]:
    """Starts a worker behind the proxy."""
    facts_url = os.environ["DJANGO_RESQUE_TEST_REDIS"].removesuffix("/0") + "/1"

    def start(*args: str, url: str = proxy.url) -> WorkerProcess:
        return worker(*args, env={"DJANGO_RESQUE_TEST_REDIS": url, "DJANGO_RESQUE_TEST_FACTS": facts_url})

    return start


def processed() -> int | None:
    """The counter; None while the server still loads what it had."""
    try:
        return store().stats.counters().processed
    except StoreUnavailable:
        return None


def counted() -> int:
    """How many jobs the statistics know of."""
    return sum(point.processed for point in store().statistics.throughput(store().time()))


def tell_many(count: int) -> list[str]:
    """Enqueue so many jobs that each push a number to ``done``."""
    numbers = [str(number) for number in range(count)]
    enqueue_many("act", [(("tell", "done", number), {}) for number in numbers])
    return numbers


def assert_all_is_well(server: RedisServer) -> None:
    """No failure, no crash, and nothing left of a worker."""
    assert store().stats.counters().failed == 0
    with server.client() as client:
        assert lasting(client) == {"queues", "stat:processed", "django:recent"}


# -- conversations that break off --------------------------------------------------------------------------------------


def test_lost_replies_lose_no_job_and_double_none(start, proxy, server, facts):
    numbers = tell_many(300)
    lost = proxy.lose_replies(to=b"EVAL", chance=0.2)
    truncated = proxy.truncate_replies(to=b"EVAL", chance=0.2, keep=20)
    others = proxy.lose_replies(chance=0.02)  # of handshakes, of the subscription
    process = start("-n", "2")
    until(lambda: processed() == 300)
    assert sorted(facts.lrange("done", 0, -1)) == sorted(numbers)
    assert min(lost.happened, truncated.happened) > 5
    assert others.happened > 0
    assert process.stop() == 0
    assert_all_is_well(server)
    assert counted() == 300
    assert "crashed" not in process.log


def script_flush(client: redis.Redis) -> None:
    client.script_flush()


def kill_clients(client: redis.Redis) -> None:
    client.client_kill_filter(skipme=True)


def kill_subscribers(client: redis.Redis) -> None:
    client.client_kill_filter(_type="pubsub")


def pause(client: redis.Redis) -> None:
    client.client_pause(200)


@pytest.mark.parametrize("disturb", [script_flush, kill_clients, kill_subscribers, pause])
def test_what_an_administrator_does_ends_no_job(start, server, facts, disturb):
    enqueue("act", "wait", "job")
    process = start("--interval", "3600")  # it lives on the bell
    pid = told(facts, "job:started")
    with server.client() as client:
        disturb(client)
        enqueue("act", "tell", "next")
        disturb(client)
    facts.rpush("job:go", "now")
    assert told(facts, "job:ended") == pid
    told(facts, "next")
    until(lambda: processed() == 2)
    with server.client() as client:
        disturb(client)
    enqueue("act", "tell", "last")
    told(facts, "last")
    until(lambda: processed() == 3)
    assert process.stop() == 0
    assert_all_is_well(server)


def test_a_slow_redis_is_slow_and_nothing_else(start, proxy, server, facts):
    numbers = tell_many(10)
    proxy.delay_replies(0.05)
    process = start()
    until(lambda: processed() == 10)
    assert facts.lrange("done", 0, -1) == numbers
    assert process.stop() == 0
    assert "not available" not in process.log
    assert_all_is_well(server)


# -- a server that goes and comes back ---------------------------------------------------------------------------------


def test_a_killed_redis_loses_no_job_and_doubles_none(start, server, facts):
    enqueue("act", "wait", "job")
    numbers = tell_many(300)
    process = start("-n", "2")
    pid = told(facts, "job:started")
    for performed in (50, 100, 150):
        until(lambda: facts.llen("done") >= performed)  # noqa: B023  called before the next round
        server.kill()
        server.start()
    until(lambda: processed() == 300)
    facts.rpush("job:go", "now")
    assert told(facts, "job:ended") == pid
    until(lambda: processed() == 301)
    assert sorted(facts.lrange("done", 0, -1)) == sorted(numbers)
    assert process.stop() == 0
    assert "crashed" not in process.log
    assert_all_is_well(server)
    assert counted() == 301


def test_a_job_that_ends_while_redis_is_away_is_reported_when_it_is_back(start, proxy, server, facts):
    enqueue("act", "wait", "job")
    process = start()
    pid = told(facts, "job:started")
    proxy.refuse()
    facts.rpush("job:go", "now")
    assert told(facts, "job:ended") == pid
    until(lambda: "not available" in process.log)
    assert processed() == 0
    proxy.heal()
    enqueue("act", "tell", "next")
    told(facts, "next")
    until(lambda: processed() == 2)
    assert "available again" in process.log
    assert process.log.count("not available") == 1
    assert process.stop() == 0
    assert_all_is_well(server)


def test_a_worker_that_is_started_while_redis_is_away_begins_when_it_is_there(start, proxy, server, facts):
    enqueue("act", "tell", "job")
    proxy.refuse()
    process = start()
    until(lambda: "not available" in process.log)
    proxy.heal()
    told(facts, "job")
    assert process.stop() == 0
    assert_all_is_well(server)


def test_a_worker_whose_keys_are_gone_lets_its_job_end_and_goes_on(start, server, facts):
    enqueue("act", "wait", "job")
    process = start("--interval", "0.05")
    pid = told(facts, "job:started")
    with server.client() as client:
        client.flushall()
    until(lambda: "declared dead" in process.log)
    facts.rpush("job:go", "now")
    assert told(facts, "job:ended") == pid
    enqueue("act", "tell", "next")
    told(facts, "next")
    until(lambda: processed() == 1)
    assert process.stop() == 0
    assert_all_is_well(server)


def test_wrong_credentials_are_said_once_and_the_worker_goes_on_when_they_are_right(start, proxy, server, facts):
    enqueue("act", "tell", "job")
    with server.client() as client:
        client.config_set("requirepass", "another")
        try:
            process = start(url=proxy.url.replace("://", "://:s3cr3t@"))
            until(lambda: "credentials" in process.log)
            client.config_set("requirepass", "s3cr3t")
            told(facts, "job")
        finally:
            client.config_set("requirepass", "")
    assert process.log.count("credentials") == 1
    assert "s3cr3t" not in process.log


# -- stopping without Redis --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("away", [Proxy.refuse, Proxy.hold_requests])
def test_a_worker_stops_although_redis_is_away(start, proxy, server, facts, away):
    enqueue("act", "wait", "job")
    process = start("--grace", "0.5")
    told(facts, "job:started")
    away(proxy)
    begun = time.monotonic()
    assert process.stop() == 0
    assert time.monotonic() - begun < 0.5 + SOON
    with server.client() as client:
        (reservations,) = client.keys("resque:django:reservations:*")
        assert client.hlen(reservations) == 1  # where it is found when somebody looks for what a dead worker held


def test_a_worker_that_may_not_hear_the_bell_says_so_and_polls(start, server, facts):
    with server.client() as client:
        client.acl_setuser("deaf", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all", "-subscribe"])
    process = start("--interval", "0.05", url=server.url.replace("redis://", "redis://deaf:secret@"))
    until(lambda: "the bell cannot be heard" in process.log)
    enqueue("act", "tell", "polled")
    told(facts, "polled")
    assert process.stop() == 0
    assert process.log.count("the bell cannot be heard") == 1
