"""Which server is spoken to, as the settings say, and how, as they cannot say otherwise."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.core.cache import caches
from redis.backoff import NoBackoff
from redis.retry import Retry

from django_resque.errors import EnqueueError, ResqueError, StoreUnavailable
from django_resque.job import Job
from django_resque.store import Outgoing, store

from .proxy import Proxy
from .servers import RedisServer

PASSWORD = "s3cr3t-w0rd"


@pytest.fixture(scope="module")
def closed_server() -> Iterator[RedisServer]:
    """A server that asks for `PASSWORD`."""
    with RedisServer() as server:
        with server.client() as client:
            client.config_set("requirepass", PASSWORD)
        yield server


@pytest.fixture
def located(settings: Any) -> Iterator[Any]:
    """A function that makes ``store`` use this ``LOCATION``, with these ``OPTIONS``."""

    def locate(location: str | list[str], **options: Any) -> None:
        settings.CACHES = {
            "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": location, "OPTIONS": options}
        }

    yield locate
    store().close()


def push() -> None:
    job = Job("tidy")
    store().producers.push([Outgoing(job, job.payload(), track=False)])


# -- which server ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rest", ["/3", "?db=3"])
def test_the_database_is_the_one_in_the_location(redis_server, located, rest):
    located(redis_server.url.removesuffix("/0") + rest)
    push()
    with redis_server.client() as client:
        client.select(3)
        assert client.llen("resque:queue:default") == 1


@pytest.mark.parametrize("form", [list, ",".join])
def test_the_first_location_is_the_primary(clean_redis, redis_server, located, form):
    located(form([redis_server.url, "redis://127.0.0.1:1/0"]))
    push()
    assert store().queues.size("default") == clean_redis.llen("resque:queue:default") == 1


def test_a_unix_socket_is_an_address(located):
    with RedisServer(unix=True) as server:
        located(server.url.replace("db=0", "db=2"))
        push()
        with server.client() as client:
            client.select(2)
            assert client.llen("resque:queue:default") == 1


def test_the_password_may_stand_in_the_options(closed_server, located):
    located(closed_server.url, PASSWORD=PASSWORD)
    push()
    assert store().queues.size("default") == 1


def test_the_options_are_those_of_our_own_alias(closed_server, settings):
    alias = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": closed_server.url}
    settings.CACHES = {"default": alias, "queue": {**alias, "OPTIONS": {"PASSWORD": PASSWORD}}}
    settings.RESQUE = {**settings.RESQUE, "CACHE": "queue"}
    with pytest.raises(redis.ConnectionError):
        caches["default"].get("key")  # django-redis keeps a pool for this URL from now on
    push()
    store().close()


# -- how it is spoken to -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", {}),
        ("?decode_responses=yes&retry_on_timeout=yes&socket_timeout=600&health_check_interval=1&protocol=3", {}),
        ("", {"SOCKET_TIMEOUT": 600, "SOCKET_CONNECT_TIMEOUT": 600, "CONNECTION_POOL_KWARGS": {"protocol": 3}}),
        ("", {"CONNECTION_POOL_KWARGS": {"decode_responses": True, "retry": Retry(NoBackoff(), 5)}}),
        ("", {"CONNECTION_POOL_KWARGS": {"retry_on_timeout": True, "retry_on_error": [redis.ConnectionError]}}),
    ],
)
def test_replies_are_bytes_and_nothing_is_resent_whatever_the_settings_say(redis_server, located, query, options):
    with Proxy(redis_server.port) as proxy:
        located(proxy.url + query, **options)
        client = store().client
        assert client.incr("counter") == 1
        lost = proxy.lose_replies(1, to=b"INCR")
        with pytest.raises(redis.ConnectionError):
            client.incr("counter")
        assert lost.happened == 1
        assert client.get("counter") == b"2"
        assert store().pool.connection_kwargs["socket_timeout"] == 5
        assert store().pool.connection_kwargs["socket_connect_timeout"] == 1


# -- what nobody is to see ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "location",
    [
        f"redis://:{PASSWORD}-wrong@127.0.0.1:{{port}}/0",
        f"redis://someone:{PASSWORD}-wrong@127.0.0.1:{{port}}/0",
        f"redis://:{PASSWORD}@127.0.0.1:{{port}}/99",
        f"redis://:{PASSWORD}@127.0.0.1:1/0",
        f"rediss://:{PASSWORD}@127.0.0.1:1/0",
        f"unix://:{PASSWORD}@/nowhere/redis.sock",
        f"redis://:{PASSWORD}@127.0.0.1:port/0",
        f"redis://:{PASSWORD}#/@127.0.0.1:{{port}}/0",
        f"redis://:{PASSWORD}@[::1/0",
        f"redis://:{PASSWORD}@127.0.0.1:{{port}}/0?max_connections=soon",
        f"redis://:{PASSWORD}@127.0.0.1:{{port}}/0?unheard_of=1",
        f"redi://:{PASSWORD}@127.0.0.1:{{port}}/0",
    ],
)
def test_no_error_shows_the_password(closed_server, located, location):
    located(location.format(port=closed_server.port))
    with pytest.raises(ResqueError) as caught:
        push()
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(ResqueError) as caught:
        store().stats.counters()
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


def test_wrong_credentials_are_said_to_be_wrong(closed_server, located):
    located(closed_server.url, PASSWORD="another")
    with pytest.raises(EnqueueError, match="credentials") as caught:
        push()
    assert not caught.value.uncertain
    with pytest.raises(StoreUnavailable):
        store().stats.counters()


def test_nothing_of_ours_shows_the_password(closed_server, located):
    located(closed_server.url, PASSWORD=PASSWORD)
    push()
    for thing in (store(), store().producers, store().reservations("abc123", "here"), store().line(), store().bell()):
        assert PASSWORD not in repr(thing)
