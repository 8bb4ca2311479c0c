"""`resque queues`, `jobs`, `dequeue` and `clear`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import redis

from django_resque import enqueue, enqueue_in, using
from django_resque.job import Job
from django_resque.store import store
from tests.processes_in_redis import TurnTaker
from tests.verbs import process, verb


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    store().close()


def names(client: redis.Redis, queue: str) -> list[str]:
    return [json.loads(raw)["args"][0][1] for raw in client.lrange(f"resque:queue:{queue}", 0, -1)]


@pytest.fixture
def three(clean_redis: redis.Redis) -> list[Job]:
    return [
        using(queue="mail").enqueue("act", "tell", "a"),
        using(queue="mail").enqueue("act", "tell", "b"),
        using(queue="low").enqueue("mailing", "remind", 1),
    ]


# -- queues ------------------------------------------------------------------------------------------------------------


def test_queues_are_listed_with_who_serves_them(clean_redis: redis.Redis, three: list[Job]):
    worker = TurnTaker(workers=["host~abc123-1:42:mail,x", "host~abc123-2:42:mail,x"])
    clean_redis.sadd("resque:workers", "ruby:7:*")
    store().ask(store().control.pause_queue("low"))
    store().ask(store().control.pause_queue("unborn"))
    clean_redis.sadd("resque:queues", "odd")
    clean_redis.set("resque:queue:odd", "no list")
    found = process("queues", "--json")
    worker.close()
    assert found.json == [
        {"queue": "low", "waiting": 1, "workers": 1, "paused": True},
        {"queue": "mail", "waiting": 2, "workers": 3, "paused": False},
        {"queue": "odd", "waiting": None, "workers": 1, "paused": False},
        {"queue": "unborn", "waiting": 0, "workers": 1, "paused": True},
    ]
    assert [line.split() for line in verb("queues").lines] == [
        ["queue", "waiting", "workers"],
        ["low", "1", "1", "paused"],
        ["mail", "2", "3"],
        ["odd", "not", "a", "list", "1"],
        ["unborn", "0", "1", "paused"],
    ]


def test_no_queues_are_told():
    assert verb("queues").lines == ["There are no queues."]
    assert verb("queues", "--json").json == []


# -- jobs --------------------------------------------------------------------------------------------------------------


def test_jobs_are_listed_the_next_one_first(clean_redis: redis.Redis, three: list[Job]):
    found = process("jobs", "mail", "--json").json
    assert found == [
        {
            "id": job.id,
            "command": "act",
            "args": ["tell", name],
            "options": {},
            "queue": "mail",
            "enqueued_at": job.enqueued_at,
            "extra": {},
        }
        for job, name in zip(three, "ab", strict=False)
    ]
    assert [line.split()[:2] for line in verb("jobs").lines[1:]] == [
        ["low", three[2].id],
        ["mail", three[0].id],
        ["mail", three[1].id],
    ]


def test_jobs_are_listed_in_pages_and_by_command(three: list[Job]):
    assert [job["id"] for job in verb("jobs", "--json", "--offset", 1, "--limit", 1).json] == [three[0].id]
    assert [job["id"] for job in verb("jobs", "--json", "--command", "mailing").json] == [three[2].id]
    assert verb("jobs", "--limit", 1).lines[-1] == "1 of 3; more with --offset 1"
    assert verb("jobs", "nothing").lines == ["No such job waits."]
    verb("clear", "--all", "--yes")
    assert verb("jobs").lines == ["No job waits."]


def test_what_is_no_job_is_listed_too(clean_redis: redis.Redis):
    clean_redis.sadd("resque:queues", "mail")
    clean_redis.rpush("resque:queue:mail", b"\xffrubbish\x1b[2J")
    assert verb("jobs", "--json").json == [{"queue": "mail", "raw": "\\xffrubbish\x1b[2J"}]
    ran = verb("jobs")
    assert "(no job: \\xffrubbish\\x1b[2J)" in ran.out
    assert "\x1b" not in ran.out


# -- dequeue -----------------------------------------------------------------------------------------------------------


def test_jobs_of_a_command_are_taken_out(clean_redis: redis.Redis, three: list[Job]):
    assert process("dequeue", "--json", "act").json == {"seen": 3, "removed": 2}
    assert clean_redis.llen("resque:queue:mail") == 0
    assert verb("dequeue", "act").code == 1


def test_a_line_takes_out_the_jobs_that_are_exactly_this(clean_redis: redis.Redis, three: list[Job]):
    enqueue_in(3600, "act", "tell", "a")
    assert verb("dequeue", "--json", "act", "tell", "a").json == {"seen": 4, "removed": 2}
    assert names(clean_redis, "mail") == ["b"]
    assert verb("dequeue", "mailing", "remind", "1").lines == ["Removed 1 of 2 jobs that were looked at."]


def test_arguments_that_were_enqueued_as_text_are_found_too(clean_redis: redis.Redis):
    using(queue="mail").enqueue("mailing", "remind", "1")
    using(queue="mail").enqueue("mailing", "remind", 1)
    assert verb("dequeue", "--json", "mailing", "remind", "1").json["removed"] == 2


def test_jobs_are_taken_out_by_their_ids(clean_redis: redis.Redis, three: list[Job]):
    assert verb("dequeue", "--json", "--id", three[0].id, "--id", three[2].id).json["removed"] == 2
    assert names(clean_redis, "mail") == ["b"]


def test_all_of_a_queue_is_taken_out_when_that_is_confirmed(clean_redis: redis.Redis, three: list[Job]):
    ran = verb("dequeue", "-q", "mail")
    assert (ran.code, clean_redis.llen("resque:queue:mail")) == (2, 2)
    assert "--yes" in ran.err
    assert verb("dequeue", "-q", "mail", "--yes", "--json").json["removed"] == 2


def test_dequeue_needs_to_know_which():
    assert "a command, with or without its arguments, --id ID or -q QUEUE" in verb("dequeue").err
    assert verb("dequeue", "--command", "act", "act").code == 2


def test_a_command_that_does_not_exist_can_be_taken_out(clean_redis: redis.Redis):
    using(check=False).enqueue("gone_by_now", 1)
    assert verb("dequeue", "--command", "gone_by_now").code == 0
    using(check=False).enqueue("gone_by_now", 1)
    assert verb("dequeue", "--no-check", "gone_by_now", "1").code == 1  # a text is not a number, nobody knows here
    assert verb("dequeue", "gone_by_now").code == 0


# -- clear -------------------------------------------------------------------------------------------------------------


def test_a_queue_is_cleared(clean_redis: redis.Redis, three: list[Job]):
    ran = process("clear", "mail", "--yes", "--json")
    assert (ran.code, ran.json) == (0, [{"queue": "mail", "removed": 2, "gone": False}])
    assert clean_redis.llen("resque:queue:mail") == 0
    assert json.loads(clean_redis.get(f"resque:job:{three[0].id}:status"))["outcome"] == "cancelled"
    assert set(clean_redis.smembers("resque:queues")) == {b"mail", b"low"}


def test_all_queues_are_cleared_and_removed(clean_redis: redis.Redis, three: list[Job]):
    ran = verb("clear", "--all", "--remove", "--yes")
    assert ran.lines == ["low: removed 1 job(s) and the queue.", "mail: removed 2 job(s) and the queue."]
    assert clean_redis.exists("resque:queues") == 0


def test_clear_asks_first_and_says_what_it_needs(clean_redis: redis.Redis, three: list[Job]):
    ran = verb("clear", "mail")
    assert (ran.code, ran.err) == (2, "Remove 2 job(s) from mail? Nobody is there to be asked: add --yes\n")
    ran = process("clear")
    assert ran.code == 2
    assert "Say which queues, or --all. There are: low, mail." in ran.err
    assert verb("clear", "mail", "--all").code == 2
    assert clean_redis.llen("resque:queue:mail") == 2


def test_a_queue_that_there_is_not_is_told(clean_redis: redis.Redis, three: list[Job]):
    ran = verb("clear", "nothing", "mail", "--yes")
    assert (ran.code, ran.err) == (1, "There is no queue nothing\n")
    assert clean_redis.llen("resque:queue:mail") == 0


def test_clearing_much_tells_how_far_it_is(clean_redis: redis.Redis):
    enqueue("act", "tell", "x")
    raw = clean_redis.lindex("resque:queue:default", 0)
    for _ in range(20):
        clean_redis.rpush("resque:queue:default", *[raw] * 2_000)
    ran = process("clear", "default", "--yes")
    assert ran.lines == ["default: removed 40,001 job(s)."]
    assert all(line.startswith("Clearing default: ") for line in ran.err.splitlines())


def test_a_queue_that_is_no_list_does_not_keep_the_others_from_anything(clean_redis: redis.Redis, three: list[Job]):
    clean_redis.sadd("resque:queues", "aaa")
    clean_redis.set("resque:queue:aaa", "no list")
    assert verb("job", three[0].id).code == 0
    assert verb("dequeue", "--id", three[0].id).code == 0
    ran = verb("clear", "--all", "--yes")
    assert ran.code == 1
    assert "aaa is left as it is: its key resque:queue:aaa is not a list" in ran.err
    assert clean_redis.keys("resque:queue:*") == [b"resque:queue:aaa"]
