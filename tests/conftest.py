"""The private Redis of a test session, and what every test starts with.

The settings are named here and nowhere else: pytest-django would load them before this file had started the server
that they point to.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta

import django
import hypothesis
import pytest
import redis
from setproctitle import getproctitle

from tests.servers import RedisServer
from tests.workers import WorkerProcess

# The same examples in every run, and time enough for each on a machine that has other things to do.
hypothesis.settings.register_profile("tests", derandomize=True, deadline=timedelta(seconds=10))
hypothesis.settings.load_profile("tests")

# It looks for the place of the title when it is first used, and finds none once the first variable of the environment
# has been changed, as some tests do for a while. Performers are forked from here.
getproctitle()

_server = RedisServer()


def pytest_configure(config: pytest.Config) -> None:
    """Start the server of this process (with pytest-xdist each worker has one), then name the settings."""
    _server.start()
    os.environ["DJANGO_RESQUE_TEST_REDIS"] = _server.url
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Delete the server."""
    _server.close()


@pytest.fixture(scope="session")
def redis_server() -> RedisServer:
    """The session's server, the one that ``tests/settings.py`` names. A test may stop it; the next test finds it
    running and empty."""
    return _server


@pytest.fixture(scope="session")
def _session_client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with redis_server.client() as client:
        yield client


@pytest.fixture(autouse=True)
def clean_redis(redis_server: RedisServer, _session_client: redis.Redis) -> redis.Redis:
    """An empty Redis before each test, and a client to look into it."""
    if not redis_server.running:
        redis_server.start()
    try:
        _session_client.flushall()
    except redis.ConnectionError:  # the server was restarted; the next command connects again
        _session_client.flushall()
    return _session_client


@pytest.fixture
def worker(redis_server: object) -> Iterator[Callable[..., WorkerProcess]]:
    """Starts workers; those that still run at the end of the test are killed."""
    started: list[WorkerProcess] = []

    def start(*args: str, **kwargs: object) -> WorkerProcess:
        started.append(WorkerProcess(*args, **kwargs))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for process in started:
        process.close()


@pytest.fixture
def facts(clean_redis: redis.Redis) -> Iterator[redis.Redis]:
    """Where jobs say what they have done (see ``tests/jobs/management/commands/act.py``)."""
    url = os.environ["DJANGO_RESQUE_TEST_REDIS"].removesuffix("/0") + "/1"
    with redis.Redis.from_url(url, decode_responses=True, socket_timeout=None) as client:  # BLPOP has its own
        yield client
