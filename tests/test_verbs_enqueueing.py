"""`resque enqueue`, `enqueuein` and `enqueueat`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import redis
from django.conf import settings
from django.test import override_settings

from django_resque import Job
from django_resque.client import using
from django_resque.errors import DontCreate
from django_resque.signals import before_enqueue
from django_resque.store import store
from tests.servers import RedisServer
from tests.verbs import process, verb
from tests.workers import WorkerProcess


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    store().close()


def payload(client: redis.Redis, queue: str) -> dict[str, Any]:
    (raw,) = client.lrange(f"resque:queue:{queue}", 0, -1)
    return json.loads(raw)


def test_a_line_becomes_the_job_that_a_program_would_enqueue(clean_redis: redis.Redis):
    ran = verb("enqueue", "mailing", "send_sign_up_email", "42", "--template=fancy")
    found = payload(clean_redis, "mail")
    assert (found["class"], found["args"]) == ("mailing", [["send_sign_up_email", 42, {"template": "fancy"}]])
    assert (ran.code, ran.lines) == (
        0,
        [found["id"]],
    )
    assert ran.err == "Enqueued to mail: mailing send_sign_up_email 42 --template=fancy\n"


def test_what_was_enqueued_is_told_as_json(clean_redis: redis.Redis):
    ran = process("enqueue", "--json", "-q", "other", "--timeout", "2m", "act", "nap", "1", "a key")
    found = payload(clean_redis, "other")
    assert ran.json == {
        "id": found["id"],
        "command": "act",
        "args": ["nap", 1, "a key"],
        "options": {},
        "queue": "other",
        "enqueued_at": found["queue_time"],
        "extra": {"timeout": 120.0},
        "due": None,
        "state": "enqueued",
    }
    assert (ran.code, ran.err) == (0, "")


def test_what_stands_behind_the_command_belongs_to_it(clean_redis: redis.Redis):
    assert verb("enqueue", "echo", "--s", "1", "--", "--queue", "x").code == 0
    assert payload(clean_redis, "default")["args"] == [["--queue", "x", {"s": "1"}]]


def test_an_option_of_the_command_that_begins_as_one_of_ours_is_the_commands(clean_redis: redis.Redis):
    assert process("enqueue", "echo", "a", "--n", "1", "--f", "2").code == 0
    assert payload(clean_redis, "default")["args"] == [["a", {"n": "1", "f": "2"}]]


def test_choices_go_into_the_payload(clean_redis: redis.Redis):
    words = "--max-attempts 3 --backoff 10,1m --concurrency heavy:2 --on-crash fail --no-track --expires 1h"
    assert verb("enqueue", *words.split(), "act", "tell", "x").code == 0
    found = payload(clean_redis, "default")
    assert (found["max_attempts"], found["backoff"], found["on_crash"]) == (3, [10, 60], "fail")
    assert found["concurrency"] == ["heavy", 2]
    assert found["expires"] == pytest.approx(time.time() + 3600, abs=60)
    assert clean_redis.exists(f"resque:job:{found['id']}:status") == 0


def test_a_job_that_waits_already_is_told(clean_redis: redis.Redis):
    first = verb("enqueue", "--json", "--unique-for", "1h", "act", "tell", "x").json
    second = verb("enqueue", "--json", "--unique-for", "1h", "act", "tell", "x").json
    assert (first["state"], second["state"]) == ("enqueued", "waiting already")
    assert second["id"] == first["id"]
    assert clean_redis.llen("resque:queue:default") == 1
    ran = verb("enqueue", "--unique-for", "1h", "act", "tell", "x")
    assert (ran.lines, ran.err) == ([first["id"]], "Not enqueued, because this one waits already:\n")
    other = verb("enqueue", "--unique-for", "1h", "--unique-key", "k", "act", "tell", "x").lines
    ran = verb("enqueue", "--unique-for", "1h", "--unique-key", "k", "act", "tell", "another")
    assert (ran.lines, "another" in ran.err) == (other, False)


def test_a_job_that_a_receiver_refuses_is_not_enqueued(clean_redis: redis.Redis):
    def refuse(**kwargs: object) -> None:
        raise DontCreate

    before_enqueue.connect(refuse)
    try:
        ran = verb("enqueue", "act", "tell", "x")
    finally:
        before_enqueue.disconnect(refuse)
    assert ran.code == 1
    assert "a receiver of before_enqueue has refused act tell x" in ran.err
    assert clean_redis.exists("resque:queue:default") == 0


def test_a_command_that_is_not_here_is_enqueued_unchecked(clean_redis: redis.Redis):
    assert verb("enqueue", "far_away").code == 1
    assert verb("enqueue", "--no-check", "far_away", "1", "--to=x", "--dry-run").code == 0
    assert payload(clean_redis, "default")["args"] == [["1", {"to": "x", "dry_run": True}]]
    with override_settings(RESQUE={**settings.RESQUE, "CHECK": False}):
        assert verb("enqueue", "-q", "other", "far_away", "1").code == 0
    assert payload(clean_redis, "other")["args"] == [["1"]]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["mailing", "send_sign_up_email", "x"], 2, "invalid integer value: 'x'"),
        (["ordinary"], 1, 'RESQUE["COMMANDS"] = ["ordinary"]'),
        (["nothing_of_the_kind"], 1, "There is no management command"),
        (["--unique-key", "x", "act", "tell", "x"], 2, "unique_key needs unique_for"),
        (["--concurrency", "many", "act", "tell", "x"], 2, "such as 2 or reports:2"),
        (["--queue", "a b", "act", "tell", "x"], 2, "cannot be the name of a queue"),
        (["--timeout", "soon", "act", "tell", "x"], 2, "is no duration"),
        (["--nothing", "act"], 2, "--nothing"),
        (["echo", "--traceback"], 2, "about the process"),
        (["act", "--json"], 2, "required: subcommand (what is not for the command stands before its name)"),
        (["echo", "a", "--json"], 2, "--json (what is not for the command stands before its name)"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(clean_redis: redis.Redis, words: list[str], code: int, says: str):
    ran = verb("enqueue", *words)
    assert (ran.code, ran.out) == (code, "")
    assert says in ran.err
    assert clean_redis.exists("resque:queues") == 0


def test_nothing_to_enqueue_is_a_usage_error():
    ran = process("enqueue")
    assert ran.code == 2
    assert "usage: " in ran.err


def test_a_line_is_enqueued_for_later(clean_redis: redis.Redis):
    begun = time.time()
    found = process("enqueuein", "--json", "1h", "act", "tell", "x").json
    assert begun + 3600 <= found["due"] <= time.time() + 3602
    ((second, _),) = clean_redis.zrange("resque:delayed_queue_schedule", 0, -1, withscores=True)
    assert int(second) == pytest.approx(found["due"], abs=2)
    (raw,) = clean_redis.lrange(f"resque:delayed:{int(second)}", 0, -1)
    assert Job.from_payload(raw, "default").id == found["id"]


def test_a_line_is_enqueued_for_a_certain_time(clean_redis: redis.Redis):
    wanted = datetime(2030, 1, 1, 10, tzinfo=ZoneInfo(settings.TIME_ZONE))
    ran = process("enqueueat", "2030-01-01T10:00", "act", "tell", "x")
    assert ran.err == "Enqueued to default, due 2030-01-01 10:00:00: act tell x\n"
    assert verb("enqueueat", "2030-01-01T10:00:00+00:00", "act", "tell", "y").code == 0
    assert verb("enqueueat", "1900000000.5", "act", "tell", "z").code == 0
    seconds = sorted(int(second) for second in clean_redis.zrange("resque:delayed_queue_schedule", 0, -1))
    assert seconds == [1893492000, int(wanted.timestamp()), 1900000001]


@pytest.mark.parametrize("words", [["enqueueat", "tomorrow"], ["enqueueat", "2030-13-01"], ["enqueuein", "-5"]])
def test_a_time_that_is_none_is_refused(words: list[str]):
    ran = verb(*words, "act", "tell", "x")
    assert ran.code == 2


def test_a_job_is_waited_for(worker: Callable[..., WorkerProcess]):
    worker("-q", "default,mail")
    done = process("enqueue", "--wait", "60", "--json", "mailing", "remind", "1", "2").json
    assert (done["status"], done["result"]) == ("complete", "Hello 1 and 2")
    failed = process("enqueue", "--wait", "60", "act", "refuse", "no")
    assert (failed.code, failed.err.splitlines()[-1]) == (1, "failed: ValueError: no")
    assert failed.lines == [store().failures.latest()[0].job.id]  # type: ignore[union-attr]


def test_a_job_that_takes_too_long_is_not_waited_for(clean_redis: redis.Redis):
    ran = verb("enqueue", "--wait", "0.05", "--json", "act", "tell", "x")
    assert (ran.code, ran.json["status"]) == (1, "waiting")
    assert "has not ended within 0.05 s" in ran.err


def test_without_redis_it_says_so_in_one_line():
    nowhere = {"DJANGO_RESQUE_TEST_REDIS": "redis://127.0.0.1:1/0"}
    for words in (["enqueue", "act", "tell", "x"], ["stats"], ["queues"]):
        ran = process(*words, env=nowhere)
        assert (ran.code, ran.out) == (1, "")
        assert len(ran.err.splitlines()) == 1
        assert "Traceback" not in ran.err


def test_a_full_server_is_told(redis_server: RedisServer, clean_redis: redis.Redis):
    clean_redis.config_set("maxmemory", 1)
    try:
        ran = verb("enqueue", "act", "tell", "x")
    finally:
        clean_redis.config_set("maxmemory", 0)
    assert ran.code == 1
    assert "memory" in ran.err


def test_using_and_the_line_make_the_same_job(clean_redis: redis.Redis):
    using(queue="one", timeout=5).enqueue("mailing", "send_sign_up_email", 42, dry_run=True)
    verb("enqueue", "-q", "two", "--timeout", "5", "mailing", "send_sign_up_email", "42", "--dry-run")
    one, two = payload(clean_redis, "one"), payload(clean_redis, "two")
    for each in (one, two):
        del each["id"], each["queue_time"]
    assert one == two


def test_what_is_not_tracked_cannot_be_waited_for_and_is_not_enqueued(clean_redis: redis.Redis):
    ran = verb("enqueue", "--no-track", "--wait", "5", "act", "tell", "x")
    assert ran.code == 2
    assert "--no-track" in ran.err
    assert not clean_redis.exists("resque:queue:default")
