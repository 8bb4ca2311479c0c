"""`resque stats` and `top`, and all reading verbs as processes."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import redis

from django_resque import enqueue, enqueue_in, using
from django_resque.failure import failure_record
from django_resque.job import Job
from django_resque.management import terminal
from django_resque.store import store
from tests.test_verbs_failures import NOW
from tests.verbs import process, verb
from tests.workers import ROOT, WorkerProcess, told, until


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    store().close()


@pytest.fixture
def busy(clean_redis: redis.Redis) -> None:
    """Something of each kind."""
    enqueue("act", "tell", "x")
    using(queue="low").enqueue("act", "tell", "x")
    enqueue_in(3600, "act", "tell", "x")
    clean_redis.zadd("resque:django:retries", {b"abc.1\nmail\n" + Job("act").payload(): 2e9})
    clean_redis.sadd("resque:django:parking", "heavy")
    clean_redis.rpush("resque:django:parked:heavy", b"mail\n" + Job("act").payload())
    clean_redis.mset({"resque:stat:processed": 7, "resque:stat:failed": 2})
    record = failure_record(
        payload=Job("send", (1,)).payload(),
        queue="mail",
        worker="w",
        exception="ValueError",
        error="no \x1b[2J way",
        now=NOW,
    )
    clean_redis.rpush("resque:failed", record)


def test_stats_tell_numbers_and_what_calls_for_attention(busy: None):
    found = process("stats", "--json").json
    assert found.pop("time") > 1.7e9
    assert found == {
        "processed": 7,
        "failed": 2,
        "waiting": 2,
        "running": 0,
        "delayed": 1,
        "retries": 1,
        "parked": 1,
        "failures": 1,
        "workers": 0,
        "processes": 0,
        "schedulers": 0,
        "paused": False,
        "queues": [
            {"queue": "default", "waiting": 1, "workers": 0, "paused": False},
            {"queue": "low", "waiting": 1, "workers": 0, "paused": False},
        ],
        "alerts": [
            "Delayed jobs or retries wait, and no scheduler is alive.",
            "Jobs wait in queues that nobody serves: default, low.",
        ],
    }
    lines = verb("stats").lines
    assert lines[1].split() == ["waiting", "2"]
    assert "! Delayed jobs or retries wait, and no scheduler is alive." in lines


def test_stats_of_an_empty_store(clean_redis: redis.Redis):
    found = verb("stats", "--json").json
    assert (found["waiting"], found["alerts"], found["queues"]) == (0, [], [])
    store().ask(store().control.pause_all(True))
    assert verb("stats", "--json").json["alerts"] == ["All workers are paused."]


def test_stats_survive_keys_that_are_something_else(clean_redis: redis.Redis):
    clean_redis.sadd("resque:queues", "odd")
    clean_redis.set("resque:queue:odd", "x")
    clean_redis.set("resque:resque_scheduler_leader_lock", "node:1")
    clean_redis.zadd("resque:django:processes", {"dead99 unknown": 1})
    found = verb("stats", "--json").json
    assert found["queues"] == [{"queue": "odd", "waiting": None, "workers": 0, "paused": False}]
    assert len(found["alerts"]) == 2
    assert verb("stats").code == 0


def test_top_is_shown_once(busy: None, worker: Callable[..., WorkerProcess], facts: redis.Redis):
    worker("-q", "high")
    job = using(queue="high").enqueue("act", "wait", "x")
    told(facts, "x:started")
    until(lambda: verb("top", "--json").json["busy"])
    found = process("top", "--once", "--json").json
    (busy_one,) = found["busy"]
    assert busy_one["job"]["id"] == job.id
    assert busy_one["since"] <= found["time"] + 2
    assert found["latest_failures"][0]["command"] == "send"
    ran = process("top", "--once")
    assert ran.code == 0
    assert "act wait x" in ran.out
    assert "ValueError: no \\x1b[2J way" in ran.out
    facts.rpush("x:go", 1)


@pytest.mark.skipif(not terminal.HAS_RICH, reason="needs rich")
def test_top_needs_a_terminal():
    ran = process("top")
    assert (ran.code, ran.out) == (2, "")
    assert "top needs a terminal: give --once, or --json" in ran.err


def test_top_needs_rich(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("django_resque.management.verbs.overview.HAS_RICH", False)
    ran = verb("top")
    assert ran.code == 2
    assert "pip install 'django_resque[cli]', or give --once" in ran.err
    assert verb("top", "--once").code == 0


@pytest.mark.skipif(not terminal.HAS_RICH, reason="needs rich")
def test_top_is_live_on_a_terminal(busy: None):
    leader, follower = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "django", "resque", "top", "--interval", "0.2"],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm",
            "COLUMNS": "120",
            "LINES": "40",
        },
        cwd=ROOT,
        stdin=follower,
        stdout=follower,
        stderr=subprocess.PIPE,
    )
    os.close(follower)
    seen = b""

    def shows(text: bytes) -> bool:
        nonlocal seen
        seen += os.read(leader, 65_536)
        return text in seen

    try:
        until(lambda: shows(b"2 waiting"))
        enqueue("act", "tell", "again")
        until(lambda: shows(b"3 waiting"))
        running.send_signal(signal.SIGINT)
        while running.poll() is None:
            try:
                os.read(leader, 65_536)
            except OSError:  # nobody has the other end open any more
                break
        _, errors = running.communicate(timeout=30)
    finally:
        running.kill()
        os.close(leader)
    assert (running.returncode, errors) == (0, b"")
    assert b"no \\x1b[2J way" in seen


@pytest.mark.parametrize(
    "words",
    [
        "stats",
        "queues",
        "jobs",
        "jobs low",
        "failed",
        "failed --since 1h",
        "delayed",
        "schedule",
        "recent",
        "top --once",
        "reset --dry-run",
        "retry --all",
        "discard --command nothing",
        "dequeue nothing",
        "clear nothing --yes",
        "track nothing",
        "job nothing",
        "check",
        "enqueue act tell x",
        "enqueuein 60 act tell x",
        "enqueueat 2030-01-01 act tell x",
    ],
)
def test_every_verb_runs_as_a_process_of_its_own_and_writes_json(busy: None, words: str):
    assert verb(*words.split()).code in (0, 1)
    name, *rest = words.split()
    as_json = process(name, "--json", *rest)
    assert as_json.code in (0, 1)
    assert "Traceback" not in as_json.err
    assert as_json.out.startswith(("{", "[", "null"))
    assert as_json.json is None or isinstance(as_json.json, (dict, list))


def test_every_verb_has_its_help():
    for name in ("schedule", "dequeue"):
        ran = process(name, "--help")
        assert ran.code == 0
        assert f"resque {name}" in ran.out
