"""Why it would not work: `diagnosis`, and `resque check`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from django.conf import settings
from django.test import override_settings

from django_resque import enqueue, enqueue_in, using
from django_resque.diagnosis import Finding, Level, diagnose, listeners
from django_resque.store import store
from django_resque.worker.selection import serves
from tests.processes_in_redis import TurnTaker
from tests.servers import RedisServer
from tests.verbs import process, verb
from tests.workers import WorkerProcess, until

NOWHERE = {"DJANGO_RESQUE_TEST_REDIS": "redis://:secret@127.0.0.1:1/0"}


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    store().close()


def found(*topics: str) -> list[Finding]:
    return [finding for finding in diagnose().findings if finding.topic in topics]


def only(topic: str) -> Finding:
    (finding,) = found(topic)
    return finding


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


# -- the server --------------------------------------------------------------------------------------------------------


def test_an_empty_server_is_fine_but_keeps_nothing():
    diagnosis = diagnose()
    assert [finding.topic for finding in diagnosis.findings] == ["persistence"]
    assert diagnosis.ok
    assert diagnosis.server is not None
    assert diagnosis.server.version_numbers >= (6, 2)
    assert diagnosis.server.policy == "noeviction"
    assert abs(diagnosis.server.ahead) < 1


def test_persistence_is_looked_at(clean_redis: redis.Redis):
    assert only("persistence").what == "The server keeps nothing on disk: a restart loses all jobs."
    with configured(clean_redis, save="3600 1"):
        assert "snapshots alone" in only("persistence").what
    with RedisServer(appendfsync="always") as server, server.client() as client:
        caches = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url}}
        with override_settings(CACHES=caches):
            assert found("persistence") == []
            store().close()
        assert client.ping()


def test_eviction_is_an_error_when_it_happens(clean_redis: redis.Redis):
    with configured(clean_redis, **{"maxmemory-policy": "allkeys-lru"}):
        assert only("eviction").level is Level.WARNING
        with configured(clean_redis, maxmemory="1gb"):
            assert only("eviction").level is Level.ERROR


def test_so_is_a_policy_that_deletes_what_expires(clean_redis: redis.Redis):
    with configured(clean_redis, **{"maxmemory-policy": "volatile-lru"}):
        finding = only("eviction")
    assert finding.level is Level.WARNING
    assert "enqueued twice" in finding.what


def test_memory_is_looked_at(clean_redis: redis.Redis):
    used = clean_redis.info("memory")["used_memory"]
    with configured(clean_redis, maxmemory=int(used * 1.05)):
        assert "of its maxmemory" in only("memory").what
    with configured(clean_redis, maxmemory=1):
        assert only("memory").level is Level.ERROR
        assert "cannot be enqueued" in only("memory").what


def test_a_replica_is_told(clean_redis: redis.Redis):
    clean_redis.replicaof("127.0.0.1", 1)
    try:
        assert only("replica").level is Level.ERROR
    finally:
        clean_redis.replicaof("NO", "ONE")


def test_a_server_that_is_not_there_is_told_without_its_password():
    ran = process("check", "--json", env=NOWHERE)
    assert ran.code == 1
    assert ran.json["ok"] is False
    assert ran.json["server"] is None
    assert ran.json["findings"][0]["topic"] == "redis"
    assert "secret" not in ran.out + ran.err


def test_a_server_that_tells_nothing_is_put_up_with(clean_redis: redis.Redis, redis_server: RedisServer):
    clean_redis.acl_setuser(
        "quiet", enabled=True, nopass=True, keys=["*"], channels=["*"], commands=["+@all", "-config", "-info"]
    )
    url = redis_server.url.replace("redis://", "redis://quiet@")
    try:
        with override_settings(CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url}}):
            assert diagnose().findings == []
            store().close()
    finally:
        clean_redis.acl_deluser("quiet")


# -- queues and workers ------------------------------------------------------------------------------------------------


def test_jobs_without_any_worker_are_an_error(clean_redis: redis.Redis):
    enqueue("act", "tell", "x")
    finding = only("workers")
    assert (finding.level, finding.what) == (
        Level.ERROR,
        "No worker is alive that would take the 1 waiting jobs.",
    )
    assert "resque_worker -q default" in finding.advice


def test_queues_that_nobody_serves_are_an_error(clean_redis: redis.Redis):
    worker = TurnTaker(workers=["host~abc123-1:42:mail"])
    enqueue("act", "tell", "x")
    using(queue="mail").enqueue("act", "tell", "x")
    assert "the queue default, in which 1 wait" in only("queue").what
    clean_redis.delete("resque:queue:mail")
    assert "the queue default, in which 1 wait" in only("queue").what
    assert found("workers") == []
    clean_redis.sadd("resque:workers", "ruby:1:def*")
    assert found("queue", "workers") == []
    worker.close()


def test_a_key_that_is_no_list_is_an_error(clean_redis: redis.Redis):
    clean_redis.sadd("resque:queues", "odd")
    clean_redis.set("resque:queue:odd", "x")
    assert "resque:queue:odd" in only("queue").advice


@pytest.mark.parametrize("waits", [False, True])
def test_pauses_are_told(clean_redis: redis.Redis, waits: bool):
    worker = TurnTaker(workers=["host~abc123-1:42:*"])
    if waits:
        enqueue("act", "tell", "x")
    store().ask(store().control.pause_queue("default"))
    store().ask(store().control.pause_all(True))
    clean_redis.hset("resque:django:process:abc123", "mode", "paused")
    findings = found("paused")
    assert [finding.what for finding in findings] == [
        "All workers are paused.",
        "The queue default is paused.",
        "Each worker is paused.",
    ]
    assert {finding.level for finding in findings} == {Level.ERROR if waits else Level.WARNING}
    worker.close()


def test_a_worker_whose_lease_has_ended_is_told(clean_redis: redis.Redis):
    dead, alive = TurnTaker(), TurnTaker("xyz789")
    clean_redis.zadd("resque:django:processes", {dead.reservations._member: 1})
    finding = only("lease")
    assert (finding.level, "abc123 on host" in finding.what) == (Level.WARNING, True)
    clean_redis.zadd("resque:django:processes", {alive.reservations._member: 1})
    assert only("lease").level is Level.ERROR
    dead.close()
    alive.close()


def test_who_listens_is_counted(clean_redis: redis.Redis):
    worker = TurnTaker(workers=["host~abc123-1:42:mail,low*", "host~abc123-2:42:mail,low*"])
    clean_redis.sadd("resque:workers", "ruby:1:*", "ruby:2:other", "dead~nobody-1:3:mail")
    population = store().processes.population()
    assert [listeners(population, queue) for queue in ("mail", "lower", "other", "none")] == [3, 3, 2, 1]
    assert serves("!mail", "x")
    assert not serves("!mail", "mail")
    assert serves("a b", "a b")  # another program's name
    worker.close()


# -- commands ----------------------------------------------------------------------------------------------------------


def test_jobs_whose_commands_may_not_be_jobs_are_told(clean_redis: redis.Redis):
    for command in ("gone_by_now", "ordinary", "act"):
        using(check=False).enqueue(command)
    using(check=False, delay=60).enqueue("gone_later")
    texts = [finding.what for finding in found("command")]
    assert len(texts) == 3
    assert "There is no management command 'gone_by_now'" in texts[0]
    assert "may not be a job in this project" in texts[1]
    assert "gone_later" in texts[2]
    with override_settings(RESQUE={**settings.RESQUE, "CHECK": False}):
        assert found("command") == []


def test_jobs_of_other_programs_are_theirs(clean_redis: redis.Redis):
    clean_redis.sadd("resque:queues", "ruby")
    clean_redis.rpush("resque:queue:ruby", b'{"class":"Archive","args":[1]}')
    clean_redis.sadd("resque:workers", "ruby:1:ruby")
    assert found("command") == []


def test_a_command_that_cannot_be_imported_is_told(clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch):
    def broken(name: str) -> None:
        raise ImportError("no module named shop")

    enqueue("act", "tell", "x")
    monkeypatch.setattr("django_resque.diagnosis.find", broken)
    assert "cannot be imported (ImportError: no module named shop)" in only("command").what


# -- what is due -------------------------------------------------------------------------------------------------------


def test_delayed_jobs_without_a_scheduler_are_an_error(clean_redis: redis.Redis):
    enqueue_in(60, "act", "tell", "x")
    assert only("scheduler").what == "Delayed jobs wait, and no scheduler is alive."
    second = int(time.time()) - 100
    clean_redis.zadd("resque:delayed_queue_schedule", {str(second): second})
    clean_redis.rpush(f"resque:delayed:{second}", b'{"class":"act","args":[],"queue":"x"}')
    assert "overdue by 10" in only("scheduler").what
    clean_redis.set("resque:django:scheduler", "django:here", ex=15)
    assert "late, although a scheduler is alive" in only("scheduler").what


def test_another_programs_scheduler_is_told(clean_redis: redis.Redis):
    enqueue_in(60, "act", "tell", "x")
    clean_redis.set("resque:resque_scheduler_leader_lock", "node-host:1")
    finding = only("scheduler")
    assert (finding.level, "node-host:1" in finding.what) == (Level.WARNING, True)


def test_a_schedule_without_a_scheduler_is_an_error(clean_redis: redis.Redis):
    schedule = {"x": {"every": 60, "command": "act", "args": ["tell", "x"]}, "y": {"command": "act"}}
    with override_settings(RESQUE={**settings.RESQUE, "SCHEDULE": schedule}):
        texts = [finding.what for finding in found("schedule")]
    assert texts == [
        "The schedule entry 'y': needs 'cron' or 'every'",
        "The schedule has entries, and no scheduler of ours is alive.",
    ]


# -- the verb ----------------------------------------------------------------------------------------------------------


def test_check_tells_what_is_wrong_and_what_to_do(clean_redis: redis.Redis):
    enqueue("act", "tell", "x")
    ran = process("check")
    assert ran.code == 1
    assert "ERROR (workers) No worker is alive that would take the 1 waiting jobs." in ran.lines
    assert "  → Start one: manage.py resque_worker -q default" in ran.lines
    assert "WARNING (settings) The jobs and the cache share one Redis database" in ran.out
    assert ran.lines[-1] == "1 error(s), 2 warning(s)."
    found = verb("check", "--json").json
    assert found["ok"] is False
    assert found["findings"][0] == {
        "level": "error",
        "topic": "workers",
        "what": "No worker is alive that would take the 1 waiting jobs.",
        "advice": "Start one: manage.py resque_worker -q default",
    }
    assert found["server"]["policy"] == "noeviction"


def test_check_is_content_with_a_worker(worker: Callable[..., WorkerProcess], clean_redis: redis.Redis):
    worker()
    until(lambda: store().processes.all())
    enqueue_in(3600, "act", "tell", "x")
    until(lambda: clean_redis.exists("resque:django:scheduler"))
    assert verb("check").code == 0
    assert verb("check", "--fail-level", "warning").code == 1
    with (
        override_settings(SILENCED_SYSTEM_CHECKS=["django_resque.W001"]),
        RedisServer(appendfsync="everysec") as server,
        override_settings(CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url}}),
    ):
        ran = verb("check", "--fail-level", "warning")
        store().close()
    assert (ran.code, ran.lines[-1]) == (0, "Nothing is wrong.")
    assert "append-only file everysec" in ran.lines[0]
