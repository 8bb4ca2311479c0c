"""The page about the server: what it says about itself, how long everything is, and what the system checks say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from django.test import Client, override_settings

from django_resque.job import Job
from django_resque.store import counts, store
from tests.dashboard import page, round_trips, text_of, url
from tests.processes_in_redis import TurnTaker
from tests.servers import RedisServer


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    store().close()


@contextmanager
def configured(client: redis.Redis, **values: Any) -> Iterator[None]:
    before = {name: client.config_get(name)[name] for name in values}
    for name, value in values.items():
        client.config_set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            client.config_set(name, value)


def caches(location: str, **options: Any) -> dict[str, Any]:
    return {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": location, "OPTIONS": options}}


# -- the server --------------------------------------------------------------------------------------------------------


def test_the_server_is_described(admin_client: Client, clean_redis: redis.Redis, redis_server: RedisServer):
    clean_redis.mset({"a": 1, "b": 2})
    info = clean_redis.info()
    text = page(admin_client, "redis")
    assert f"Server 127.0.0.1:{redis_server.port}/0" in text
    assert f"{info.get('valkey_version') or info['redis_version']} master" in text
    assert "no limit When it is full noeviction Persistence none Clients" in text
    assert f"of {info['maxclients']:,} Keys in the database 2 Running for " in text


def test_memory_policy_and_persistence_follow_the_settings_of_the_server(admin_client: Client, clean_redis):
    with configured(clean_redis, maxmemory="1gb", save="3600 1", **{"maxmemory-policy": "volatile-lru"}):
        text = page(admin_client, "redis")
    assert "of 1.0 GB When it is full volatile-lru Persistence snapshots 3600 1" in text
    assert "maxmemory-policy is volatile-lru" in text
    assert "writes snapshots alone" in text


def test_a_server_with_an_append_only_file_has_nothing_to_be_warned_of(admin_client: Client):
    with RedisServer(appendfsync="always") as server, override_settings(CACHES=caches(server.url)):
        text = page(admin_client, "redis")
        store().close()
    assert "Persistence append-only file always" in text
    assert "keeps nothing on disk" not in text


def test_what_is_an_error_is_told_as_one(admin_client: Client, clean_redis: redis.Redis):
    with configured(clean_redis, **{"maxmemory-policy": "allkeys-lru"}, maxmemory="1gb"):
        content = admin_client.get(url("redis")).content.decode()
    assert '<li class="error">maxmemory-policy is allkeys-lru: the server deletes queues' in content


def test_a_server_that_tells_nothing_is_put_up_with(admin_client, clean_redis, redis_server: RedisServer):
    commands = ["+@all", "-config", "-info", "-eval"]
    clean_redis.acl_setuser("quiet", enabled=True, nopass=True, keys=["*"], channels=["*"], commands=commands)
    location = redis_server.url.replace("redis://", "redis://quiet:hunter2@")
    try:
        with override_settings(CACHES=caches(location)):
            text = page(admin_client, "redis")
            store().close()
    finally:
        clean_redis.acl_deluser("quiet")
    assert f"Server 127.0.0.1:{redis_server.port}/0 Persistence not told What is in it" in text
    assert "Failures 0 resque:failed" in text
    assert "hunter2" not in text


def test_each_way_of_being_reached_has_an_address_without_secrets(settings, tmp_path):
    settings.CACHES = caches("redis://me:hunter2@box1:6380/3?health_check_interval=0")
    assert store().server.address == "box1:6380/3"
    settings.CACHES = caches("unix://:hunter2@/run/redis.sock?db=2")
    assert store().server.address == "/run/redis.sock/2"
    settings.RESQUE = {"EMBEDDED": str(tmp_path)}
    assert store().server.address == f"{tmp_path}/0"


# -- lengths -----------------------------------------------------------------------------------------------------------


def test_it_says_how_long_everything_is(admin_client: Client, clean_redis: redis.Redis):
    clean_redis.sadd("resque:queues", "mail", "low")
    clean_redis.rpush("resque:failed", *[b"{}"] * 1_234)
    now = int(time.time())
    for second in (now + 5, now + 6):
        clean_redis.zadd("resque:delayed_queue_schedule", {str(second): second})
        clean_redis.rpush(f"resque:delayed:{second}", "{}", "{}")
    clean_redis.zadd("resque:django:retries", {"a.1.1 \nmail\n{}": now})
    clean_redis.sadd("resque:django:parking", "api")
    clean_redis.rpush("resque:django:parked:api", *[b"mail\n{}"] * 3)
    process = TurnTaker()
    process.reserve(*[Job("act").payload()] * 5)
    process.close()
    text = page(admin_client, "redis")
    for row in (
        "Queues 2 resque:queues",
        "Failures 1,234 resque:failed",
        "Delayed jobs 4 resque:delayed_queue_schedule",
        "Retries 1 resque:django:retries",
        "Jobs that wait for a permit 3 resque:django:parking",
        "Jobs that worker processes hold 5 resque:django:reservations:…",
        "Worker processes 1 resque:django:processes",
    ):
        assert row in text
    assert "≥" not in text


def test_where_not_all_is_looked_at_it_says_so(admin_client: Client, clean_redis: redis.Redis):
    for second in range(counts.MOST + 10):
        clean_redis.zadd("resque:delayed_queue_schedule", {str(second): second})
        clean_redis.rpush(f"resque:delayed:{second}", "{}")
    assert "Delayed jobs ≥ 1,000 resque" in page(admin_client, "redis")


@pytest.mark.parametrize(
    "key", ["queues", "failed", "delayed_queue_schedule", "django:processes", "django:parking", "django:recent"]
)
def test_a_key_of_the_wrong_type_is_told(admin_client: Client, clean_redis: redis.Redis, key: str):
    clean_redis.xadd(f"resque:{key}", {"a": "b"})
    text = page(admin_client, "redis")
    assert "wrong type" in text
    assert "Retries 0 resque:django:retries" in text


def test_keys_of_the_wrong_type_behind_others_count_nothing(admin_client: Client, clean_redis: redis.Redis):
    clean_redis.zadd("resque:delayed_queue_schedule", {"5": 5, "nonsense": 6})
    clean_redis.mset({"resque:delayed:5": "surprise", "resque:django:parked:x": 1, "resque:django:reservations:x": 1})
    clean_redis.zadd("resque:django:processes", {"x boot": 1, "": 2})
    clean_redis.sadd("resque:django:parking", "x", b"\xff")
    text = page(admin_client, "redis")
    assert "Delayed jobs 0" in text
    assert "Jobs that worker processes hold 0" in text


def test_four_round_trips_are_enough(admin_client: Client, clean_redis: redis.Redis):
    assert round_trips(admin_client, url("redis")) == 4


# -- system checks -----------------------------------------------------------------------------------------------------


def test_what_the_system_checks_say_is_shown_but_for_what_is_silenced(admin_client: Client, settings):
    assert "The jobs and the cache share one Redis database" in page(admin_client, "redis")
    assert "django_resque.W001" in page(admin_client, "redis")
    settings.SILENCED_SYSTEM_CHECKS = ["django_resque.W001"]
    assert "The settings are in order." in page(admin_client, "redis")
    settings.RESQUE = {"COMMANDS": ["no_such_command"], "TESTING": "real"}
    content = admin_client.get(url("redis")).content.decode()
    assert '<li class="error">RESQUE[&quot;COMMANDS&quot;] names &#x27;no_such_command&#x27;' in content


def test_without_redis_the_system_checks_are_shown_all_the_same(admin_client: Client, redis_server: RedisServer):
    redis_server.stop()
    text = page(admin_client, "redis")
    assert "Redis did not answer as it should." in text
    assert f"127.0.0.1:{redis_server.port}" in text
    assert "django_resque.W001" in text


@pytest.mark.parametrize(
    "location",
    [
        "redis://me:hunter2@127.0.0.1:1/0",
        "redis://:hunter2/x@127.0.0.1:6379/0",
        "redis://no-such-host.invalid?password=hunter2",
        "http://:hunter2@x",
    ],
)
def test_no_password_of_an_address_is_shown(admin_client: Client, settings, location: str):
    settings.CACHES = caches(location)
    response = admin_client.get(url("redis"))
    assert "Redis did not answer" in text_of(response)
    assert "hunter2" not in response.content.decode()
