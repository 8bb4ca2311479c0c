"""What whoever enqueued a job sees of it while real workers perform it."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from django_resque import Job, enqueue, using
from django_resque.errors import ResqueError
from django_resque.job import new_id
from django_resque.status import Status
from django_resque.store import store
from tests.workers import resque, told, until, within


def test_the_end_of_a_job_is_waited_for_and_what_became_of_it_told(worker, facts):
    worker("-q", "default")
    job = enqueue("act", "wait", "a")
    assert isinstance(job, Job)
    told(facts, "a:started")
    facts.rpush("a:go", "")
    assert job.wait(30) is Status.COMPLETE
    assert (job.attempts, job.outcome) == (1, "")
    assert job.begun is not None
    assert job.finished is not None
    assert job.duration is not None
    assert "~" in job.worker
    found = Job.get(job.id)
    assert found is not None
    assert (found.command, found.queue, found.status) == ("act", "default", Status.COMPLETE)


def test_the_end_of_a_job_is_told_at_once(worker, facts):
    worker("-q", "default")
    assert enqueue("act", "tell", "up").wait(30) is Status.COMPLETE
    for _ in range(5):
        job = enqueue("act", "refuse", "no")
        with within(0.2):
            assert job.wait(30) is Status.FAILED


def test_what_a_job_writes_can_be_read_after_its_end(worker):
    worker("-q", "default")
    job = enqueue("act", "murmur", "said so")
    job.wait(30)
    assert job.output == "said so\n"


def test_the_status_of_a_job_through_its_life(worker, facts):
    later = using(delay=1).enqueue("act", "wait", "later")
    job = enqueue("act", "wait", "job")
    assert (later.status, job.status) == (Status.SCHEDULED, Status.WAITING)
    assert 0 < later.seen.due - time.time() < 2.5
    process = worker("-n", "2")
    told(facts, "job:started")
    until(lambda: job.refresh().status is Status.RUNNING)
    assert (job.attempts, job.finished, job.outcome) == (1, None, "")
    assert abs(time.time() - job.begun) < 30
    with pytest.raises(TimeoutError, match=r"has not ended within 0\.1 s, it is running"):
        job.wait(0.1)
    told(facts, "later:started")
    until(lambda: later.refresh().status is Status.RUNNING)
    facts.rpush("job:go", "now")
    facts.rpush("later:go", "now")
    assert job.wait(30) is later.wait(30) is Status.COMPLETE
    with within(0.1):
        assert job.wait(1) is Status.COMPLETE  # it has ended
    assert job.begun < job.finished <= time.time() + 1
    assert {seen.id for seen in store().recent.page()} == {job.id, later.id}
    assert process.stop() == 0


def test_all_who_wait_for_a_job_learn_of_its_end_at_once(worker, facts):
    worker()
    job = enqueue("act", "wait", "job")
    told(facts, "job:started")
    ended: list[tuple[Status, float]] = []

    def wait() -> None:
        found = Job.get(job.id)
        assert found is not None
        ended.append((found.wait(30), time.monotonic()))

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: store().client.pubsub_numsub(f"resque:django:ended:{job.id}")[0][1] == 3)
    begun = time.monotonic()
    facts.rpush("job:go", "now")
    for thread in threads:
        thread.join(30)
    assert [status for status, _ in ended] == [Status.COMPLETE] * 3
    assert max(at for _, at in ended) - begun < 1  # and not when they look again


def test_progress_and_output_can_be_read_while_a_job_runs(worker, facts, clean_redis):
    def scripts() -> int:
        return sum(clean_redis.info("commandstats").get(f"cmdstat_{name}", {}).get("calls", 0) for name in CALLS)

    process = worker()
    assert enqueue("act", "tell", "up").wait(30) is Status.COMPLETE
    before = scripts()
    job = enqueue("life", "advance", "job")
    told(facts, "job:half")
    assert scripts() - before < 30  # of a thousand calls a few are told
    until(lambda: job.refresh().status is Status.RUNNING)
    until(lambda: job.refresh().progress == (0, 1_000, "on the way \\udcff\n"))
    until(lambda: job.output == "half of it\n")
    assert job.refresh().progress[0] == 0  # it did not go with what was told behind it
    facts.rpush("job:go", "now")
    told(facts, "job:all")
    with within(0.2):
        until(lambda: job.refresh().progress == (1_000, 1_000, ""))
    facts.rpush("job:go", "now")
    assert job.wait(30) is Status.COMPLETE
    assert process.stop() == 0
    assert f"[{job.id}] half of it" in process.log


CALLS = ("eval", "evalsha")


def result(job: Any) -> Any:
    assert job.wait(30) is Status.COMPLETE
    return job.result


def test_what_a_command_returns_or_sets_is_the_result_of_its_job(worker):
    process = worker("-n", "2", env=resque(COMMANDS={"plain": {}}))
    for data in ("text", {"rows": [1, 2.5, None, "ä"]}, [], 0, False):
        assert result(enqueue("life", "give", json.dumps(data))) == data
    assert result(enqueue("act", "murmur", "quiet")) is None
    assert result(enqueue("life", "set", '{"set": 1}', '"returned"')) == {"set": 1}
    assert result(enqueue("life", "set", "null", '"returned"')) is None
    assert result(enqueue("life", "boast", 65_534 - 2)) == "x" * 65_532
    assert result(enqueue("life", "give", json.dumps("x" * 70_000))) is None
    assert result(enqueue("returning")) == {"rows": 3}
    assert result(using(check=False).enqueue("plain")) == "a text"
    refused = enqueue("life", "boast", 65_536)
    assert refused.wait(30) is Status.FAILED
    (failure,) = store().failures.latest()
    assert failure.error == (
        "The result has 65,538 bytes of JSON, the limit is 65,536: store the data and give its key"
    )
    assert process.stop() == 0
    assert process.log.count("70,002 bytes") == 1


def test_nothing_is_known_of_a_job_that_is_not_tracked(worker, facts, clean_redis):
    job = using(track=False).enqueue("act", "wait", "job")
    worker()
    told(facts, "job:started")
    assert job.status is Status.UNKNOWN
    assert Job.get(job.id) is None
    with pytest.raises(ResqueError, match="is not tracked"):
        job.wait(1)
    facts.rpush("job:go", "now")
    until(lambda: store().stats.counters().processed == 1)
    assert clean_redis.exists(f"resque:job:{job.id}:status") == 0


def test_the_status_of_a_job_of_php_resque_stands_where_that_looks_for_it(worker, facts, clean_redis):
    job_id = new_id()
    payload = {
        "class": "act",
        "args": [["murmur", "bonjour"]],
        "id": job_id,
        "prefix": "shop",
        "queue_time": 1763644905.1,
    }
    key = f"resque:job:shop_{job_id}:status"
    clean_redis.set(key, '{"status":1,"updated":1763644905,"started":1763644905,"result":""}', ex=600)
    clean_redis.sadd("resque:queues", "default")
    clean_redis.rpush("resque:queue:default", json.dumps(payload))
    worker()
    job = Job.get(f"shop_{job_id}")
    assert job is not None
    assert job.wait(30) is Status.COMPLETE
    assert json.loads(clean_redis.get(key))["status"] == 4
    assert clean_redis.exists(f"resque:job:{job_id}:status") == 0
    assert job.output == "bonjour\n"
