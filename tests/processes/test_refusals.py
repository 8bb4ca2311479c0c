"""A Redis that is there and refuses: it is a replica for a while, or the worker's password or rights are taken away.

The queues are on a server of their own, where the worker is the user ``worker``. What jobs have done they tell the
session's server, which is never disturbed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from django_resque import enqueue
from django_resque.errors import EnqueueError
from django_resque.store import store
from tests.processes_in_redis import lasting
from tests.servers import RedisServer
from tests.workers import WorkerProcess, told, until

PASSWORD = "s3cr3t-w0rd"


@dataclass(frozen=True)
class Refusal:
    """How it begins, how it ends, what the log says, and whether other clients meet it too."""

    begin: Callable[[redis.Redis], object]
    end: Callable[[redis.Redis], object]
    words: str
    everybody: bool = False


def rules(*rules: str) -> Callable[[redis.Redis], object]:
    """Change the worker's rights; connections that are open keep them or lose them at once."""
    return lambda client: client.execute_command("ACL SETUSER", "worker", *rules)


def other_password(client: redis.Redis) -> None:
    client.execute_command("ACL SETUSER", "worker", f"<{PASSWORD}", ">another")
    client.execute_command("CLIENT KILL", "USER", "worker")


REFUSALS = {
    "a replica": Refusal(
        lambda client: client.replicaof("127.0.0.1", 1),  # nobody is there, so it keeps what it has
        lambda client: client.replicaof("NO", "ONE"),
        "read only replica",
        everybody=True,
    ),
    "a replica that serves no stale data": Refusal(
        lambda client: (client.config_set("replica-serve-stale-data", "no"), client.replicaof("127.0.0.1", 1)),
        lambda client: (client.config_set("replica-serve-stale-data", "yes"), client.replicaof("NO", "ONE")),
        "replica-serve-stale-data",
        everybody=True,
    ),
    "too few replicas": Refusal(
        lambda client: client.config_set("min-replicas-to-write", 1),
        lambda client: client.config_set("min-replicas-to-write", 0),
        "NOREPLICAS",
        everybody=True,
    ),
    "another password": Refusal(other_password, rules(f">{PASSWORD}"), "credentials"),
    "the user disabled": Refusal(
        lambda client: (rules("off")(client), client.execute_command("CLIENT KILL", "USER", "worker")),
        rules("on"),
        "credentials",
    ),
    "no scripts": Refusal(rules("-evalsha", "-eval"), rules("+evalsha", "+eval"), "refuses"),
    "no writing": Refusal(rules("-@write"), rules("+@write"), "refuses"),
    "no keys": Refusal(rules("resetkeys"), rules("~*"), "refuses"),
}


@pytest.fixture(scope="module")
def _server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def server(_server: RedisServer, settings: Any) -> RedisServer:
    """The server with the queues, empty, with the worker's rights as they should be."""
    with _server.client() as client:
        client.flushall()
        rules("reset", "on", f">{PASSWORD}", "~*", "&*", "+@all")(client)
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": _server.url}}
    return _server


@pytest.fixture
def start(worker: Callable[..., WorkerProcess], server: RedisServer, facts: redis.Redis) -> Callable[[], WorkerProcess]:
    """Starts the worker."""
    facts_url = os.environ["DJANGO_RESQUE_TEST_REDIS"].removesuffix("/0") + "/1"
    url = server.url.replace("redis://", f"redis://worker:{PASSWORD}@")
    return lambda: worker(env={"DJANGO_RESQUE_TEST_REDIS": url, "DJANGO_RESQUE_TEST_FACTS": facts_url})


@pytest.fixture
def refusing(server: RedisServer, request: pytest.FixtureRequest) -> Iterator[tuple[Refusal, redis.Redis]]:
    """The refusal that the parameter names, not begun yet, and the client to begin and end it with."""
    refusal = REFUSALS[request.param]
    with server.client() as client:
        yield refusal, client
        refusal.end(client)


def lines(process: WorkerProcess, *words: str) -> list[str]:
    """Those of its log that hold one of the words."""
    return [line for line in process.log.splitlines() if any(word in line for word in words)]


@pytest.mark.parametrize("refusing", REFUSALS, indirect=True)
def test_a_job_that_ends_meanwhile_is_reported_afterwards_and_the_worker_goes_on(start, refusing, facts):
    refusal, client = refusing
    enqueue("act", "wait", "job")
    process = start()
    pid = told(facts, "job:started")
    enqueue("act", "tell", "next")
    refusal.begin(client)
    if refusal.everybody:
        with pytest.raises(EnqueueError) as caught:
            enqueue("act", "tell", "not enqueued")
        assert not caught.value.uncertain
    facts.rpush("job:go", "now")
    assert told(facts, "job:ended") == pid
    until(lambda: refusal.words in process.log)
    refusal.end(client)
    told(facts, "next")
    until(lambda: store().stats.counters().processed == 2)
    assert process.stop() == 0
    (begun, ended) = lines(process, "refuses", "not available", "available again", refusal.words)
    assert "ERROR" in begun
    assert refusal.words in begun
    assert "available again" in ended
    assert PASSWORD not in process.log
    assert "crashed" not in process.log
    assert not facts.exists("not enqueued")
    assert store().stats.counters().failed == 0
    assert lasting(client) == {"queues", "stat:processed", "django:recent"}


@pytest.mark.parametrize("refusing", ["a replica", "another password", "no scripts", "no keys"], indirect=True)
def test_a_worker_that_is_started_meanwhile_begins_afterwards(start, refusing, facts):
    refusal, client = refusing
    enqueue("act", "tell", "job")
    refusal.begin(client)
    process = start()
    until(lambda: refusal.words in process.log)
    refusal.end(client)
    told(facts, "job")
    assert process.stop() == 0
    (begun, ended) = lines(process, "refuses", "not available", "available again", refusal.words)
    assert "ERROR" in begun
    assert "available again" in ended
    assert PASSWORD not in process.log
