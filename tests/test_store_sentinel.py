"""The primary is the one that the Sentinels name, whatever becomes of them and of it."""

from __future__ import annotations

import json
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
import redis
from django.core.cache import caches
from redis.backoff import NoBackoff
from redis.retry import Retry

from django_resque import enqueue
from django_resque.errors import ConfigurationError, EnqueueError, ResqueError, StoreUnavailable
from django_resque.store import store
from django_resque.store.sentinel import SentinelSSLConnection

from .servers import GROUP, PATIENCE, SentinelGroup
from .settings_with_sentinels import cache
from .workers import until

PASSWORD = "s3cr3t-w0rd"
WITHIN = 2.5
"""Seconds in which an enqueue is over, however it ends."""


@pytest.fixture(scope="module")
def _group() -> Iterator[SentinelGroup]:
    with SentinelGroup() as group:
        yield group


@pytest.fixture
def group(_group: SentinelGroup, settings: Any) -> Iterator[SentinelGroup]:
    """A primary and its replica, empty; the settings name their Sentinels."""
    _group.repair()
    settings.CACHES = {"default": cache(_group.ports)}
    yield _group
    store().close()


def queued(group: SentinelGroup) -> list[str]:
    """The first arguments of the jobs that wait on the primary, in their order."""
    with group.primary.client() as client:
        return [json.loads(payload)["args"][0][1] for payload in client.lrange("resque:queue:default", 0, -1)]


def push(number: object = "") -> None:
    enqueue("act", "tell", str(number))


# -- the settings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", {}),
        ("?is_master=0", {}),
        ("?decode_responses=yes&protocol=3&socket_timeout=600", {"SOCKET_TIMEOUT": 600}),
        ("", {"CONNECTION_POOL_KWARGS": {"decode_responses": True, "retry": Retry(NoBackoff(), 5), "protocol": 3}}),
        ("", {"SENTINEL_KWARGS": {}}),
        ("", {"SENTINEL_KWARGS": {"decode_responses": True, "retry": Retry(NoBackoff(), 5), "socket_timeout": 600}}),
        ("", {"CLIENT_CLASS": "django_redis.client.DefaultClient"}),
    ],
)
def test_primary_and_sentinels_are_spoken_to_in_our_way_whatever_the_settings_say(group, settings, query, options):
    alias = cache(group.ports, **options)
    settings.CACHES = {"default": alias | {"LOCATION": alias["LOCATION"] + query}}
    push("here")
    assert queued(group) == ["here"]
    assert list(store().client.smembers("resque:queues")) == [b"default"]
    connection = store().pool.make_connection()
    assert connection.socket_timeout == 5
    assert connection.socket_connect_timeout == 1
    assert connection.retry._retries == 0
    for sentinel in store().pool.sentinel_manager._sentinels:
        connection = sentinel.connection_pool.make_connection()
        assert connection.socket_timeout == connection.socket_connect_timeout == 0.5
        assert connection.retry._retries == 0


def test_the_database_is_the_one_in_the_location(group, settings):
    settings.CACHES = {"default": cache(group.ports) | {"LOCATION": f"redis://{GROUP}/3"}}
    push()
    with group.primary.client() as client:
        client.select(3)
        assert client.llen("resque:queue:default") == 1


def test_the_alias_serves_as_a_cache_beside_the_jobs(group):
    caches["default"].set("key", "value")
    push("job")
    assert caches["default"].get("key") == "value"
    assert queued(group) == ["job"]


def test_with_rediss_the_primary_is_asked_for_too(group, settings):
    settings.CACHES = {"default": cache(group.ports) | {"LOCATION": f"rediss://:{PASSWORD}@{GROUP}/0"}}
    with pytest.raises(EnqueueError) as caught:  # the server has no TLS
        push()
    assert not caught.value.uncertain
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    assert store().pool.connection_class is SentinelSSLConnection


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"CONNECTION_FACTORY": "django_redis.pool.ConnectionFactory"}, "SentinelConnectionFactory"),
        ({"SENTINELS": []}, "SENTINELS must be provided"),
        ({"SENTINELS": ["127.0.0.1"]}, "cannot be used: "),
        ({"SENTINEL_KWARGS": {"unheard_of": 1}}, "unheard_of"),
    ],
)
def test_options_that_lead_to_no_sentinels_are_refused(group, settings, options, words):
    settings.CACHES = {"default": cache(group.ports, **options)}
    with pytest.raises(ConfigurationError, match=words) as caught:
        _ = store().pool
    assert "LOCATION" not in str(caught.value)


# -- Sentinels that are of no help -------------------------------------------------------------------------------------


def test_a_dead_and_a_silent_sentinel_cost_little_and_only_once(group, settings):
    settings.CACHES = {"default": cache([1, *group.ports])}
    with group.sentinels[0].frozen():
        begun = time.monotonic()
        push("first")
        assert time.monotonic() - begun < WITHIN
        store().close()
        begun = time.monotonic()
        push("second")
        assert time.monotonic() - begun < 0.4  # less than another wait for the silent one
    assert queued(group) == ["first", "second"]


def test_who_asks_for_an_unknown_primary_is_told_what_is_known(group, settings):
    settings.CACHES = {"default": cache([1, group.ports[0]]) | {"LOCATION": f"redis://:{PASSWORD}@another/0"}}
    with pytest.raises(EnqueueError, match=r"no Sentinel knows a primary 'another'.*:1: .*knows 'mymaster'") as caught:
        push()
    assert not caught.value.uncertain
    with pytest.raises(StoreUnavailable, match="no Sentinel knows"):
        store().stats.counters()
    assert PASSWORD not in str(caught.value)


def test_a_primary_that_a_sentinel_misses_is_not_waited_for(group, settings):
    settings.CACHES = {"default": cache(group.ports[:1])}
    with group.sentinels[1].frozen(), group.sentinels[2].frozen():  # one alone elects nobody
        group.primary.kill()
        with group.sentinels[0].client() as client:
            client.sentinel_set(GROUP, "down-after-milliseconds", 1)
            until(lambda: client.sentinel_master(GROUP)["is_sdown"])
            with pytest.raises(EnqueueError, match="says that it is down") as caught:
                push()
            assert not caught.value.uncertain
            client.sentinel_set(GROUP, "down-after-milliseconds", PATIENCE)
        group.start_what_is_missing()


@pytest.mark.parametrize("credentials", [{"password": PASSWORD}, {"username": "someone", "password": PASSWORD}])
def test_sentinels_that_refuse_are_named_and_the_password_is_not(group, settings, credentials):
    settings.CACHES = {"default": cache(group.ports, SENTINEL_KWARGS=credentials)}
    with pytest.raises(ResqueError, match=f":{group.ports[2]}: ") as caught:
        push()
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


def test_a_sentinel_that_refuses_does_not_keep_others_from_being_asked(group):
    with group.sentinels[0].client() as client:
        client.acl_setuser("default", enabled=True, nopass=True, categories=["+@all"], commands=["-sentinel"])
        try:
            push("here")
        finally:
            client.acl_setuser("default", enabled=True, nopass=True, commands=["+sentinel"])
    assert queued(group) == ["here"]


def test_threads_that_ask_at_the_same_time_forget_no_sentinel(group):
    with group.sentinels[0].frozen():  # so that all find out at the same time that another is better
        ready = threading.Barrier(8)

        def ask() -> None:
            ready.wait()
            push()

        with ThreadPoolExecutor(8) as pool:
            for asked in [pool.submit(ask) for _ in range(8)]:
                asked.result()
    assert len(queued(group)) == 8
    asked = {sentinel.connection_pool.connection_kwargs["port"] for sentinel in _sentinels()}
    assert asked == set(group.ports)


def test_no_connection_to_a_sentinel_is_left_open(group):
    push()
    idle = [connection for sentinel in _sentinels() for connection in sentinel.connection_pool._available_connections]
    assert idle
    assert all(connection._sock is None for connection in idle)


def _sentinels() -> list[redis.Redis]:
    return store().pool.sentinel_manager._sentinels


# -- a primary that changes --------------------------------------------------------------------------------------------


def test_what_is_enqueued_during_a_failover_is_there_once_or_said_not_to_be(group):
    before = group.primary
    certain, doubtful, refused = set(), set(), set()
    numbers = iter(range(1_000_000))
    with ThreadPoolExecutor(1) as pool:
        change = pool.submit(group.fail_over)
        while not wait([change], timeout=0.005).done:
            number = str(next(numbers))
            try:
                push(number)
            except EnqueueError as error:
                (doubtful if error.uncertain else refused).add(number)
            else:
                # what the replica does not have yet when it is promoted is lost, and nobody promises otherwise
                (certain if _replicated(before) else doubtful).add(number)
        change.result()
    assert group.primary is not before
    for _ in range(3):
        number = str(next(numbers))
        _push_when_possible(number)
        certain.add(number)
    there = queued(group)
    assert len(there) == len(set(there))
    assert certain <= set(there)
    assert refused.isdisjoint(there)
    assert set(there) <= certain | doubtful
    assert len(certain) > 3


def _replicated(primary: Any) -> bool:
    with primary.client() as client:
        try:
            client.set("resque-tests:replicated", "")
            return bool(client.wait(1, 50))
        except redis.RedisError:
            return False


def _push_when_possible(number: str) -> None:
    """Push; after an error nothing is tried for a second."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return push(number)
        except EnqueueError as error:
            assert not error.uncertain
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_reading_goes_on_with_the_new_primary(group):
    push("job")
    assert store().queues.sizes(["default"]) == {"default": 1}
    group.fail_over()
    assert store().queues.sizes(["default"]) == {"default": 1}
    with group.primary.client() as client:
        client.set("resque:stat:processed", 7)
    assert store().stats.counters().processed == 7


def test_no_job_goes_to_a_primary_that_is_known_to_have_been_replaced(group):
    push("first")
    until(group.agree)
    with group.primary.frozen():
        group.elect()
        assert store().queues.size("default") == 1  # a new connection finds the new one
        begun = time.monotonic()
        push("second")  # and this one, which led to the one of old, follows
        assert time.monotonic() - begun < WITHIN  # the frozen one would be waited for
    assert queued(group) == ["first", "second"]


def test_a_push_to_a_server_that_has_become_a_replica_goes_to_the_primary(group):
    push("first")
    group.exchange_by_hand()
    push("second")
    assert queued(group) == ["first", "second"]
    with group.replica.client() as client:
        until(lambda: client.llen("resque:queue:default") == 2)


def loses_its_replicas(client: redis.Redis) -> None:
    client.config_set("min-replicas-to-write", 2)


def finds_them_again(client: redis.Redis) -> None:
    client.config_set("min-replicas-to-write", 0)


def becomes_a_replica(client: redis.Redis) -> None:
    client.replicaof("127.0.0.1", 1)  # of nobody


def becomes_the_primary(client: redis.Redis) -> None:
    client.replicaof("NO", "ONE")


@pytest.mark.parametrize(
    ("begin", "end", "words"),
    [
        (loses_its_replicas, finds_them_again, "NOREPLICAS"),
        (becomes_a_replica, becomes_the_primary, "read only replica"),
    ],
)
def test_a_push_is_refused_and_not_in_doubt_while_no_other_is_the_primary(group, begin, end, words):
    push("first")
    with group.primary.client() as client:
        begin(client)
        begun = time.monotonic()
        with pytest.raises(EnqueueError, match=words) as caught:
            push("second")
        assert time.monotonic() - begun < WITHIN
        assert not caught.value.uncertain
        end(client)
    _push_when_possible("third")
    assert queued(group) == ["first", "third"]
