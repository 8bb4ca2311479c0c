"""`resque job`, `track` and `recent`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import redis

from django_resque import enqueue, enqueue_in, using
from django_resque.job import Job
from django_resque.status import Status, status_record
from django_resque.store import store
from tests.verbs import process, verb
from tests.workers import WorkerProcess, told, until


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    store().close()


# -- job ---------------------------------------------------------------------------------------------------------------


def test_a_job_that_waits_is_shown_with_its_arguments(clean_redis: redis.Redis):
    job = using(timeout=5).enqueue("act", "tell", "x")
    found = process("job", job.id, "--json").json
    assert (found["status"], found["place"]) == ("waiting", "the queue default")
    assert found["job"] == {
        "id": job.id,
        "command": "act",
        "args": ["tell", "x"],
        "options": {},
        "queue": "default",
        "enqueued_at": job.enqueued_at,
        "extra": {"timeout": 5},
    }
    lines = verb("job", job.id).lines
    assert lines[:3] == [f"Job {job.id}", "  line       act tell x", "  found in   the queue default"]
    assert "  limits     timeout=5" in lines


def test_a_job_is_found_wherever_it_waits(clean_redis: redis.Redis):
    delayed = enqueue_in(3600, "act", "tell", "x")
    assert verb("job", delayed.id, "--json").json["place"] == "the delayed jobs"
    retry, parked = Job("act", ("tell", "y")), Job("act", ("tell", "z"))
    clean_redis.zadd("resque:django:retries", {b"abc.1\nmail\n" + retry.payload(): 2e9})
    assert verb("job", retry.id, "--json").json["place"] == "the retries"
    clean_redis.sadd("resque:django:parking", "heavy")
    clean_redis.rpush("resque:django:parked:heavy", b"mail\n" + parked.payload())
    assert verb("job", parked.id, "--json").json["place"] == "parked, until fewer run under heavy"


def test_a_job_of_which_nothing_is_known():
    ran = verb("job", "nonono")
    assert (ran.code, ran.err) == (1, "Nothing is known of a job nonono\n")
    assert verb("job", "nonono", "--json").json is None
    assert verb("job", "nonono", "--cancel").code == 1


def test_a_job_that_has_failed_is_shown_with_its_failure(worker: Callable[..., WorkerProcess]):
    worker()
    job = enqueue("act", "refuse", "not like this")
    job.wait(60)
    until(lambda: store().failures.count())
    found = verb("job", job.id, "--json").json
    assert (found["status"], found["place"]) == ("failed", "the failed list")
    assert found["failure"]["exception"] == "ValueError"
    assert found["output"] == "about to refuse\n"
    shown = verb("job", job.id)
    assert "  exception  ValueError: not like this" in shown.lines
    assert process("job", job.id, "--output").lines == ["about to refuse"]


def test_a_job_that_waits_is_cancelled(clean_redis: redis.Redis):
    job = enqueue("act", "tell", "x")
    assert verb("job", job.id, "--cancel", "--json").json == {
        "id": job.id,
        "removed": True,
        "ended_by": None,
        "silent": [],
    }
    assert clean_redis.llen("resque:queue:default") == 0
    assert verb("job", job.id, "--json").json["outcome"] == "cancelled"


def test_a_job_that_runs_is_shown_and_ended(worker: Callable[..., WorkerProcess], facts: redis.Redis):
    worker()
    job = enqueue("act", "wait", "x")
    told(facts, "x:started")
    until(lambda: job.refresh().status is Status.RUNNING)
    found = until(lambda: (shown := verb("job", job.id, "--json").json)["place"].startswith("the worker") and shown)
    assert found["job"]["args"] == ["wait", "x"]  # type: ignore[index]
    assert found["status"] == "running"  # type: ignore[index]
    ran = process("job", job.id, "--cancel", "--json")
    assert (ran.code, ran.json["removed"]) == (0, False)
    assert ran.json["ended_by"]
    assert job.wait(60) is Status.FAILED
    found = verb("job", job.id, "--json").json
    assert (found["outcome"], found["place"]) == ("cancelled", "the failed list")
    assert found["failure"]["exception"].endswith("JobEnded")


# -- track -------------------------------------------------------------------------------------------------------------


def test_statuses_are_told(clean_redis: redis.Redis):
    waiting, delayed = enqueue("act", "tell", "x"), enqueue_in(3600, "act", "tell", "x")
    found = process("track", waiting.id, delayed.id, "--json")
    assert [each["status"] for each in found.json] == ["waiting", "scheduled"]
    assert found.code == 0
    assert found.json[0] == {
        "id": waiting.id,
        "status": "waiting",
        "command": "act",
        "queue": "default",
        "enqueued_at": int(waiting.enqueued_at),
        "due": None,
        "begun": None,
        "finished": None,
        "duration": None,
        "attempt": 0,
        "worker": "",
        "outcome": "",
        "progress": None,
        "result": None,
        "failure": None,
        "updated": pytest.approx(waiting.enqueued_at, abs=5),
    }
    ran = verb("track", waiting.id, "nonono")
    assert (ran.code, ran.lines) == (1, [f"{waiting.id}  waiting  act", "nonono  unknown"])


def test_progress_is_told(clean_redis: redis.Redis):
    job = Job("act", id="a1")
    clean_redis.set(
        "resque:job:a1:status", status_record(Status.RUNNING, job, b',"progress":[5,20,"half \\u001b[2Jway"]')
    )
    ran = verb("track", "a1")
    assert ran.lines == ["a1  running  act  5 of 20 (25%) half \\x1b[2Jway"]
    assert verb("track", "a1", "--json").json[0]["progress"] == {
        "done": 5,
        "total": 20,
        "message": "half \x1b[2Jway",
    }


def test_the_end_is_waited_for(worker: Callable[..., WorkerProcess], facts: redis.Redis):
    worker("-q", "default,mail")
    done, failed = enqueue("mailing", "remind", 1), enqueue("act", "refuse", "no")
    ran = process("track", done.id, failed.id, "--wait", "60", "--json")
    assert (ran.code, [each["status"] for each in ran.json]) == (1, ["complete", "failed"])
    assert verb("track", done.id, "--wait", "1").lines == [f"{done.id}  complete  mailing  → Hello 1"]
    assert ran.json[1]["failure"]["error"] == "no"
    assert verb("track", failed.id).lines == [f"{failed.id}  failed  act  ValueError: no"]


def test_waiting_has_an_end(clean_redis: redis.Redis):
    job = enqueue("act", "tell", "x")
    ran = verb("track", job.id, "--wait", "0.05", "--json")
    assert (ran.code, ran.json[0]["status"]) == (1, "waiting")
    assert verb("track", "nonono", "--wait", "60").code == 1


def test_several_are_waited_for_together(clean_redis: redis.Redis):
    ids = [enqueue("act", "tell", number).id for number in range(20)]
    begun = time.monotonic()
    ran = verb("track", *ids, "--wait", "0.5", "--json")
    assert (ran.code, {each["status"] for each in ran.json}) == (1, {"waiting"})
    assert time.monotonic() - begun < 5


# -- recent ------------------------------------------------------------------------------------------------------------


def test_what_ended_last_is_listed(clean_redis: redis.Redis):
    assert verb("recent").lines == ["No job has ended lately."]
    assert verb("recent", "-q", "low").lines == ["No such job has ended lately."]
    for number, status in enumerate([Status.COMPLETE, Status.FAILED, Status.COMPLETE]):
        job = Job("act" if number else "send", queue="mail", id=f"job{number}")
        clean_redis.lpush("resque:django:recent", status_record(status, job, b',"begun":1700000000.5,"duration":2.0'))
    assert [each["id"] for each in process("recent", "--json").json] == ["job2", "job1", "job0"]
    assert [each["id"] for each in verb("recent", "--json", "--command", "act", "--status", "complete").json] == [
        "job2"
    ]
    assert [each["id"] for each in verb("recent", "--json", "--limit", 1, "--offset", 1).json] == ["job1"]
    assert verb("recent", "--json", "-q", "low").json == []
    assert verb("recent").lines[1].split()[2:] == ["complete", "mail", "act", "2.00", "s", "job2"]
    for word in ("cancelled", "expired"):
        record = status_record(Status.FAILED, Job("act", id=word), b',"outcome":"%b"' % word.encode())
        clean_redis.lpush("resque:django:recent", record)
        assert [each["id"] for each in verb("recent", "--json", "--status", word).json] == [word]
    found = verb("recent", "--json", "--status", "failed").json
    assert [each["id"] for each in found] == ["expired", "cancelled", "job1"]
