"""`resque delayed` and `schedule`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
import redis
from django.conf import settings
from django.test import override_settings

from django_resque import enqueue_at, enqueue_in, using
from django_resque.job import Job
from django_resque.store import store
from tests.verbs import process, verb


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    store().close()


LATER = int(time.time()) + 3600


@pytest.fixture
def three(clean_redis: redis.Redis) -> list[Job]:
    """Two delayed jobs, and a retry between them."""
    retry = Job("send", (1,), queue="mail")
    clean_redis.zadd("resque:django:retries", {b"abc.1\nmail\n" + retry.payload(): LATER + 0.5})
    return [enqueue_at(LATER, "act", "tell", "a"), retry, enqueue_at(LATER + 1, "act", "tell", "b")]


# -- delayed -----------------------------------------------------------------------------------------------------------


def test_what_waits_for_its_time_is_listed_in_the_order_of_time(three: list[Job]):
    found = process("delayed", "--json").json
    assert [(each["kind"], each["due"], each["id"]) for each in found] == [
        ("delayed", LATER, three[0].id),
        ("retry", LATER + 0.5, three[1].id),
        ("delayed", LATER + 1, three[2].id),
    ]
    assert found[0] == {
        "kind": "delayed",
        "due": LATER,
        "id": three[0].id,
        "command": "act",
        "args": ["tell", "a"],
        "options": {},
        "queue": "default",
        "enqueued_at": three[0].enqueued_at,
        "extra": {},
    }
    assert verb("delayed", "list", "--json").json == found
    assert [line.split()[2] for line in verb("delayed").lines[1:]] == ["delayed", "retry", "delayed"]
    assert [each["id"] for each in verb("delayed", "list", "--json", "--limit", 1, "--offset", 1).json] == [three[1].id]
    assert [each["id"] for each in verb("delayed", "list", "--json", "--command", "send").json] == [three[1].id]


def test_items_that_others_wrote_are_named_by_their_digest(clean_redis: redis.Redis):
    clean_redis.zadd("resque:delayed_queue_schedule", {str(LATER): LATER})
    clean_redis.rpush(f"resque:delayed:{LATER}", b'{"class":"Mail","args":[1],"queue":"low"}', b"rubbish")
    found = verb("delayed", "--json").json
    assert found[1]["raw"] == "rubbish"
    assert [len(each["id"]) for each in found] == [12, 12]
    assert verb("delayed", "run", found[0]["id"]).lines == [f"{found[0]['id']}: in the queue low now"]
    assert clean_redis.llen("resque:queue:low") == 1
    assert verb("delayed", "cancel", found[1]["id"]).code == 0
    assert verb("delayed").lines == ["No job is delayed."]


def test_delayed_jobs_are_cancelled_by_their_ids(clean_redis: redis.Redis, three: list[Job]):
    ran = process("delayed", "cancel", three[0].id, three[1].id, "--json")
    assert (ran.code, ran.json) == (0, {"seen": 2, "cancelled": 2})
    assert [each["id"] for each in verb("delayed", "--json").json] == [three[2].id]
    ran = verb("delayed", "cancel", three[0].id, three[2].id)
    assert (ran.code, ran.err) == (1, f"No such job is delayed: {three[0].id}\n")


def test_delayed_jobs_are_cancelled_by_their_command_or_all(clean_redis: redis.Redis, three: list[Job]):
    assert verb("delayed", "cancel", "--command", "act", "--json").json == {"seen": 3, "cancelled": 2}
    ran = verb("delayed", "cancel", "--all")
    assert (ran.code, clean_redis.zcard("resque:django:retries")) == (2, 1)
    assert verb("delayed", "cancel", "--all", "--yes").lines == ["Cancelled 1."]
    assert verb("delayed", "cancel").code == 2
    assert verb("delayed", "cancel", "--all", "--yes").code == 1


def test_delayed_jobs_are_run_now(clean_redis: redis.Redis, three: list[Job]):
    ran = process("delayed", "run", three[0].id, three[1].id, "--json")
    assert (ran.code, ran.json) == (0, {"run": [three[0].id, three[1].id]})
    assert clean_redis.llen("resque:queue:default") == clean_redis.llen("resque:queue:mail") == 1
    assert verb("delayed", "run", "nonono").code == 1


def test_a_delayed_job_is_moved(three: list[Job]):
    ran = process("delayed", "move", three[2].id, LATER - 60, "--json")
    assert (ran.code, ran.json) == (0, {"moved": True, "due": LATER - 60})
    assert verb("delayed", "--json").json[0]["id"] == three[2].id
    ran = verb("delayed", "move", three[1].id, LATER)
    assert ran.code == 1
    assert "can be run now or cancelled, not moved" in ran.err
    assert verb("delayed", "move", "nonono", LATER).code == 1
    assert verb("delayed", "move", three[0].id, "never").code == 2


# -- schedule ----------------------------------------------------------------------------------------------------------

IN_SETTINGS = {
    **settings.RESQUE,
    "SCHEDULE": {"hourly": {"every": 3600, "command": "act", "args": ["tell", "hourly"], "queue": "low"}},
}


def test_entries_are_added_and_listed():
    with override_settings(RESQUE=IN_SETTINGS):
        ran = verb("schedule", "add", "nightly", "--cron", "0 3 * * *", "--timezone", "UTC", "act", "tell", "x")
        assert ran.code == 0
        assert ran.out.startswith("Added nightly: At 03:00 (UTC), next ")
        hourly, nightly = verb("schedule", "--json").json
        assert verb("schedule", "list", "--json").json == [hourly, nightly]
        lines = verb("schedule").lines
    assert hourly == {
        "name": "hourly",
        "origin": "settings",
        "paused": False,
        "description": "Every hour",
        "next_slot": hourly["next_slot"],
        "last_slot": None,
        "problem": "",
        "entry": {"command": "act", "args": ["tell", "hourly"], "queue": "low", "every": 3600},
    }
    assert hourly["next_slot"] % 3600 == 0
    assert nightly["origin"] == "run time"
    assert nightly["entry"] == {"command": "act", "args": ["tell", "x"], "cron": "0 3 * * *", "timezone": "UTC"}
    assert [line.split()[0] for line in lines] == ["name", "hourly", "nightly"]


def test_an_entry_is_added_with_all_that_it_may_have():
    ran = process(
        *("schedule", "add", "often", "--every", "5m", "--misfire", "all", "-q", "low", "--json"),
        *("mailing", "send_sign_up_email", "42", "--dry-run"),
    )
    assert ran.json["entry"] == {
        "command": "mailing",
        "args": ["send_sign_up_email", 42],
        "options": {"dry_run": True},
        "queue": "low",
        "every": 300,
        "misfire": "all",
    }


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--cron", "0 3 * *", "act", "tell", "x"], 1, "has 4 field(s)"),
        (["--cron", "0 25 * * *", "act", "tell", "x"], 1, "hour '25'"),
        (["--every", "60", "nothing_of_the_kind"], 1, "There is no management command"),
        (["--every", "60", "mailing"], 2, "required: subcommand"),
        (["--every", "0.5", "act", "tell", "x"], 2, "whole number of seconds"),
        (["act", "tell", "x"], 2, "--cron"),
    ],
)
def test_an_entry_that_cannot_be_one_is_refused(words: list[str], code: int, says: str):
    ran = verb("schedule", "add", "wrong", *words)
    assert ran.code == code
    assert says in ran.err
    assert verb("schedule").lines == ["The schedule has no entries."]


def test_entries_are_paused_resumed_run_and_deleted(clean_redis: redis.Redis):
    assert verb("schedule", "add", "often", "--every", "60", "act", "tell", "x").code == 0
    assert verb("schedule", "add", "often", "--every", "60", "act", "tell", "x").code == 1
    assert verb("schedule", "pause", "often").lines == ["often: paused."]
    assert verb("schedule", "pause", "often", "--json").json == [{"name": "often", "changed": False}]
    (listed,) = verb("schedule", "--json").json
    assert (listed["paused"], listed["next_slot"]) == (True, None)
    assert verb("schedule", "resume", "often").lines == ["often: resumed."]
    ran = process("schedule", "run", "nonono", "often", "--json")
    (run,) = ran.json
    assert (ran.code, run["name"]) == (1, "often")
    assert "no entry 'nonono'" in ran.err
    assert json.loads(clean_redis.lindex("resque:queue:default", 0))["id"] == run["id"]
    assert verb("schedule", "delete", "often").lines == ["often: deleted."]
    ran = verb("schedule", "delete", "often")
    assert (ran.code, ran.out) == (1, "")
    assert "has no entry 'often'" in ran.err


def test_entries_of_the_settings_can_be_paused_and_not_deleted():
    with override_settings(RESQUE=IN_SETTINGS):
        assert verb("schedule", "pause", "hourly").code == 0
        ran = verb("schedule", "delete", "hourly")
        assert ran.code == 1
        assert "stands in the settings" in ran.err
        assert verb("schedule", "resume", "hourly", "nothing").code == 1


def test_an_entry_that_cannot_be_used_is_listed_with_what_is_wrong():
    wrong = {**settings.RESQUE, "SCHEDULE": {"wrong": {"cron": "x", "command": "act"}}}
    with override_settings(RESQUE=wrong):
        ran = verb("schedule")
        assert "unusable" in ran.out
        assert "has 1 field(s)" in ran.err
        assert verb("schedule", "--json").json[0]["entry"] is None


def test_a_delayed_job_is_dequeued_with_those_that_wait(clean_redis: redis.Redis):
    enqueue_in(60, "act", "tell", "x")
    using(queue="low").enqueue("act", "tell", "x")
    assert verb("dequeue", "--json", "act").json["removed"] == 2
