"""The promoter: when it has something to do, and what becomes of what is due."""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from django_resque.errors import DontCreate, StoreError
from django_resque.failure import Failure
from django_resque.job import Job
from django_resque.promoter import AFTER_FAILURE, LAG, LOOK_EVERY, REMIND, Promoter
from django_resque.signals import before_delayed_enqueue
from django_resque.store import Request, store
from django_resque.tracking import TrackedJob

from .processes_in_redis import full, state
from .test_store_delayed import FUTURE, LEADER, MASTER, PAST, SCHEDULE, put
from .wire.recordings import recording

IDENTITY = "host:42:random"


class Promoting:
    """A promoter over a line of its own, with a monotonic clock that a test sets."""

    def __init__(self, identity: str = IDENTITY) -> None:
        self.line = store().line()
        self.now = 1000.0
        self.asked: list[str] = []
        self.promoter = Promoter(store(), self.ask, identity=identity, clock=lambda: self.now)

    def ask(self, request: Request[Any], then: Callable[[Any], None]) -> None:
        self.asked.append(request.script)
        try:
            found = self.line.ask(request)
        except StoreError:
            then(None)
        else:
            then(found)

    def look(self) -> None:
        """As the turns of a worker process do."""
        client = store().client
        seconds, microseconds = client.time()
        first = client.zrange(SCHEDULE, 0, 0, withscores=True)
        retry = client.zrange("resque:django:retries", 0, 0, withscores=True)
        self.promoter.look(
            due=first[0][1] if first else None,
            retry_due=retry[0][1] if retry else None,
            time=seconds + microseconds / 1e6,
            now=self.now,
        )

    def go(self) -> list[str]:
        """Have it work until it has nothing to do; the scripts it asked for."""
        before = len(self.asked)
        for _ in range(10_000):
            if not self.promoter.has_work(self.now):
                return self.asked[before:]
            self.promoter.work(self.now)
        raise AssertionError("it never has nothing to do")


@pytest.fixture
def promoting() -> Iterator[Promoting]:
    found = Promoting()
    yield found
    found.line.close()


@contextmanager
def receiving(receiver: Callable[..., None]) -> Iterator[None]:
    before_delayed_enqueue.connect(receiver)
    try:
        yield
    finally:
        before_delayed_enqueue.disconnect(receiver)


def failures() -> list[Failure]:
    return store().failures.latest(1000)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# -- when --------------------------------------------------------------------------------------------------------------


def test_it_looks_at_once_and_then_every_few_seconds(promoting, clean_redis):
    assert promoting.go() == ["due"]
    assert promoting.promoter.next_at == promoting.now + LOOK_EVERY
    promoting.now += LOOK_EVERY - 0.001
    assert promoting.go() == []
    clean_redis.expire(MASTER, 5)
    promoting.now += 0.001
    assert promoting.go() == ["due"]
    assert clean_redis.ttl(MASTER) > 170


def test_it_wakes_up_when_the_first_job_is_due_and_not_before(promoting, clean_redis):
    promoting.go()
    promoting.promoter.look(due=5000, retry_due=None, time=4997.5, now=promoting.now)
    assert promoting.promoter.next_at == promoting.now + 2.5
    promoting.promoter.look(due=None, retry_due=4999, time=4997.5, now=promoting.now)
    assert promoting.promoter.next_at == promoting.now + 1.5
    promoting.promoter.look(due=None, retry_due=None, time=4997.5, now=promoting.now)
    assert promoting.promoter.next_at == promoting.now + LOOK_EVERY


def test_it_knows_from_its_own_look_when_the_next_one_is_due(promoting, clean_redis):
    now = clean_redis.time()[0]
    put(clean_redis, now + 3, b"later")
    clean_redis.zadd("resque:django:retries", {"a.1\ndefault\n{}": now + 2.5})
    assert promoting.go() == ["due"]
    assert 1 < promoting.promoter.next_at - promoting.now <= 2.5
    clean_redis.delete("resque:django:retries")
    promoting.now += 60  # its own clock; Redis' has not moved
    assert promoting.go()[0] == "revive"
    assert "promote" not in promoting.asked
    assert clean_redis.llen(f"resque:delayed:{now + 3}") == 1


def test_the_process_that_has_the_lock_goes_first(promoting, clean_redis):
    other = Promoting("other:43:random")
    promoting.go()
    other.go()
    for each in (promoting, other):
        each.promoter.look(due=5000, retry_due=None, time=4998, now=1000)
    assert (promoting.promoter.next_at, other.promoter.next_at) == (1002, 1002 + LAG)
    for each in (promoting, other):
        each.promoter.look(due=None, retry_due=5000, time=4998, now=1000)
        assert each.promoter.next_at == 1002
    other.line.close()


def test_without_an_answer_it_waits_a_second_and_tries_again(promoting, clean_redis):
    put(clean_redis, PAST, Job("act"))
    clean_redis.set("resque:failed", "a text")
    assert promoting.go() == ["due", "promote"]
    assert promoting.promoter.next_at == promoting.now + AFTER_FAILURE
    promoting.now += AFTER_FAILURE
    assert promoting.go() == ["due", "promote"]
    clean_redis.delete("resque:failed")
    clean_redis.rename(SCHEDULE, "kept")
    clean_redis.set(SCHEDULE, "a text")
    promoting.now += AFTER_FAILURE
    assert promoting.go() == ["due"]
    clean_redis.rename("kept", SCHEDULE)
    clean_redis.set("resque:django:retries", "a text")
    promoting.promoter.look(due=None, retry_due=1, time=2, now=promoting.now)
    promoting.now += AFTER_FAILURE
    assert promoting.go() == ["revive"]
    clean_redis.delete("resque:django:retries")
    promoting.promoter.look(due=1, retry_due=None, time=2, now=promoting.now)
    promoting.now += AFTER_FAILURE
    assert promoting.go() == ["due", "promote"]
    assert clean_redis.llen("resque:queue:default") == 1


# -- what is due -------------------------------------------------------------------------------------------------------


def test_everything_that_is_due_is_promoted_in_order(promoting, clean_redis):
    jobs = [Job("act", [number]) for number in range(1000)]
    for number, each in enumerate(jobs):
        put(clean_redis, PAST + number // 300, each)
    later = put(clean_redis, FUTURE, Job("later"))
    asked = promoting.go()
    assert asked.count("due") == asked.count("promote") == 5
    assert [Job.from_payload(raw, "").args for raw in clean_redis.lrange("resque:queue:default", 0, -1)] == [
        (number,) for number in range(1000)
    ]
    assert clean_redis.lrange(f"resque:delayed:{FUTURE}", 0, -1) == later
    assert len(clean_redis.keys("resque:timestamps:*")) == 1
    assert promoting.promoter.next_at == promoting.now + LOOK_EVERY


def test_a_promoted_job_has_the_status_that_it_waits(promoting, clean_redis):
    one, two = Job("act", id="1"), Job("act", id="2")
    clean_redis.set("resque:job:1:status", '{"status":63}', ex=1000)
    put(clean_redis, PAST, one, two)
    promoting.go()
    status = json.loads(clean_redis.get("resque:job:1:status"))
    assert (status["status"], status["id"], status["queue"]) == (1, "1", "default")
    assert not clean_redis.exists("resque:job:2:status")


@pytest.mark.parametrize("name", ["ruby/36", "php/31", "php-chrisboulton/31", "node/24"])
def test_what_other_programs_have_delayed_is_promoted_as_it_is(promoting, clean_redis, name):
    recorded = recording(name)
    recorded.load(clean_redis)
    for member in clean_redis.zrange(SCHEDULE, 0, -1):
        clean_redis.zadd(SCHEDULE, {member: 1.0})
    promoting.go()
    for raw in recorded.elements("delayed"):
        assert raw in clean_redis.lrange(f"resque:queue:{json.loads(raw)['queue']}", 0, -1)
    assert not clean_redis.keys("resque:delayed*")
    assert not clean_redis.keys("resque:timestamps:*")


def test_due_retries_go_back_to_their_queues(promoting, clean_redis):
    for number in range(450):
        clean_redis.zadd("resque:django:retries", {f"a.1.{number}\nmail\n{number}": PAST})
    put(clean_redis, PAST, Job("act"))
    promoting.look()
    asked = promoting.go()
    assert asked.count("revive") == 3
    assert "promote" in asked
    assert clean_redis.llen("resque:queue:mail") == 450
    assert clean_redis.llen("resque:queue:default") == 1


def test_what_is_due_is_promoted_while_the_memory_is_full(promoting, clean_redis):
    put(clean_redis, PAST, *[Job("act") for _ in range(300)])
    with full(clean_redis):
        promoting.go()
    assert clean_redis.llen("resque:queue:default") == 300


def test_two_promoters_in_turns_promote_every_job_once(promoting, clean_redis):
    other = Promoting("other:43:random")
    put(clean_redis, PAST, *[Job("act", [number]) for number in range(1000)])
    put(clean_redis, PAST + 1, *[Job("act", [number]) for number in range(1000, 1500)])
    for step in range(200):
        each = (promoting, other)[step * 7 % 3 % 2]
        each.now += 1
        if each.promoter.has_work(each.now):
            each.promoter.work(each.now)
    promoted = [Job.from_payload(raw, "").args[0] for raw in clean_redis.lrange("resque:queue:default", 0, -1)]
    assert promoted == list(range(1500))
    other.line.close()


def test_promoters_beside_another_programs_scheduler_promote_every_job_once(clean_redis):
    raws = []
    for second in range(PAST, PAST + 10):
        raws += put(clean_redis, second, *[Job("act", [second, number]) for number in range(200)])
    found = [Promoting(f"host:{number}:x") for number in range(2)]

    def schedule_as_php_does() -> None:  # it takes no lock, and a step at a time
        with redis.Redis(connection_pool=clean_redis.connection_pool) as client:
            while members := client.zrange(SCHEDULE, 0, 0):
                while raw := client.lpop(f"resque:delayed:{members[0].decode()}"):
                    client.rpush("resque:queue:default", raw)
                if not client.llen(f"resque:delayed:{members[0].decode()}"):
                    client.zrem(SCHEDULE, members[0])

    threads = [threading.Thread(target=each.go) for each in found] + [threading.Thread(target=schedule_as_php_does)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in found:
        each.go()
        each.line.close()
    assert Counter(clean_redis.lrange("resque:queue:default", 0, -1)) == Counter(raws)
    assert not clean_redis.exists(SCHEDULE)


# -- what cannot go to a queue -----------------------------------------------------------------------------------------


def test_an_unreadable_item_becomes_a_failure_and_keeps_nothing_waiting(promoting, clean_redis, caplog):
    garbage = [b"", b"\xff", b"[]", b'{"class":"act","args":[]}']
    (raw,) = put(clean_redis, PAST, Job("act"))
    clean_redis.delete(f"resque:delayed:{PAST}")
    put(clean_redis, PAST, garbage[0], garbage[1], raw, *garbage[2:])
    promoting.go()
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [raw]
    found = failures()
    assert [(failure.exception, failure.worker) for failure in found] == [("InvalidPayload", IDENTITY)] * 4
    assert all("cannot go to a queue" in failure.error for failure in found)
    assert clean_redis.get("resque:stat:failed") == clean_redis.get("resque:stat:processed") == b"4"
    assert len(warnings(caplog)) == 4
    assert str(PAST) in warnings(caplog)[0]


def test_what_has_a_queue_but_is_no_job_goes_there(promoting, clean_redis):
    raws = put(clean_redis, PAST, b'{"queue":"mail:high"}', b'{"class":7,"queue":"mail:high"}')
    promoting.go()
    assert clean_redis.lrange("resque:queue:mail:high", 0, -1) == raws
    assert failures() == []


def test_jobs_for_a_queue_that_is_no_list_become_failures_and_keep_nothing_waiting(promoting, clean_redis, caplog):
    clean_redis.set("resque:queue:broken", "a text")
    broken = [Job("act", [number], queue="broken", extra={"unique": ["key", 60]}) for number in range(300)]
    clean_redis.set(f"resque:job:{broken[0].id}:status", "{}")
    clean_redis.set("resque:django:unique:key", broken[0].id)
    put(clean_redis, PAST, *broken[:150], Job("act"), *broken[150:], b'{"queue":"broken"}')
    put(clean_redis, PAST + 1, Job("act"), Job("act"))
    asked = promoting.go()
    assert len(asked) < 12
    assert clean_redis.llen("resque:queue:default") == 3
    found = failures()
    assert len(found) == 301
    assert {(failure.exception, failure.queue) for failure in found} == {("StoreError", "broken")}
    assert json.loads(clean_redis.get(f"resque:job:{broken[0].id}:status"))["status"] == 3
    assert not clean_redis.exists("resque:django:unique:key")
    assert len([message for message in warnings(caplog) if "WRONGTYPE" in message]) == 1
    clean_redis.delete("resque:queue:broken")
    put(clean_redis, PAST, broken[0])
    promoting.now += LOOK_EVERY
    promoting.go()
    assert clean_redis.llen("resque:queue:broken") == 1


def test_trouble_is_said_once_a_minute(promoting, clean_redis, caplog):
    for _ in range(3):
        clean_redis.set(f"resque:delayed:{PAST}", "a text")
        clean_redis.zadd(SCHEDULE, {str(PAST): PAST})
        promoting.go()
        promoting.now += REMIND / 2
    assert len(warnings(caplog)) == 2


# -- other programs' schedulers ----------------------------------------------------------------------------------------


def test_delayed_jobs_are_left_to_another_programs_scheduler_and_this_is_said_once(promoting, clean_redis, caplog):
    clean_redis.set(LEADER, "box1:26781")
    put(clean_redis, PAST, Job("act"))
    clean_redis.zadd("resque:django:retries", {"a.1\nmail\n{}": PAST})
    for _ in range(10):
        promoting.look()
        promoting.go()
        promoting.now += 1
    assert promoting.asked.count("due") == 2  # and not once for each look
    assert not clean_redis.exists("resque:queue:default")
    assert clean_redis.llen("resque:queue:mail") == 1
    assert ["box1:26781" in message for message in warnings(caplog)] == [True]
    clean_redis.delete(LEADER)
    promoting.now += LOOK_EVERY
    promoting.look()
    promoting.go()
    assert clean_redis.llen("resque:queue:default") == 1
    assert len(warnings(caplog)) == 2


def test_at_the_end_the_locks_are_given_up(promoting, clean_redis):
    promoting.go()
    assert clean_redis.exists(MASTER, LEADER) == 2
    assert store().ask(promoting.promoter.release()) == 2
    assert state(clean_redis) == {}


# -- before_delayed_enqueue --------------------------------------------------------------------------------------------


def test_receivers_see_each_job_before_it_goes_to_its_queue(promoting, clean_redis):
    seen = []

    def receive(sender: type, job: Job, **kwargs: object) -> None:
        seen.append((sender, job.command, job.args, clean_redis.llen("resque:queue:default")))

    put(clean_redis, PAST, Job("act", [1]), Job("act", [2]))
    with receiving(receive):
        promoting.go()
    assert seen == [(TrackedJob, "act", (1,), 0), (TrackedJob, "act", (2,), 0)]
    assert clean_redis.llen("resque:queue:default") == 2


def test_a_receiver_can_drop_a_job(promoting, clean_redis, caplog):
    def receive(job: Job, **kwargs: object) -> None:
        if job.args == (1,):
            raise DontCreate

    dropped, kept = Job("act", [1], extra={"unique": ["key", 60]}), Job("act", [2])
    clean_redis.set(f"resque:job:{dropped.id}:status", "{}")
    clean_redis.set("resque:django:unique:key", dropped.id)
    _, raw = put(clean_redis, PAST, dropped, kept)
    with receiving(receive), caplog.at_level(logging.INFO, "django_resque"):
        promoting.go()
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [raw]
    status = json.loads(clean_redis.get(f"resque:job:{dropped.id}:status"))
    assert (status["status"], status["outcome"]) == (3, "cancelled")
    assert clean_redis.get("resque:stat:processed") == b"1"
    assert not clean_redis.exists("resque:django:unique:key", "resque:stat:failed", "resque:failed")
    assert any(dropped.id in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("error", [ValueError("not this one"), SystemExit(1)])
def test_what_a_receiver_raises_makes_the_job_a_failure_with_its_traceback(promoting, clean_redis, caplog, error):
    def receive(job: Job, **kwargs: object) -> None:
        if job.args == (1,):
            raise error

    bad, good = Job("act", [1]), Job("act", [2])
    clean_redis.set(f"resque:job:{bad.id}:status", "{}")
    put(clean_redis, PAST, bad, good)
    with receiving(receive):
        promoting.go()
    (failure,) = failures()
    assert (failure.exception, failure.error, failure.queue) == (type(error).__name__, str(error), "default")
    assert any("in receive" in line for line in failure.backtrace)
    assert failure.job.id == bad.id
    assert json.loads(clean_redis.get(f"resque:job:{bad.id}:status"))["status"] == 3
    assert clean_redis.llen("resque:queue:default") == 1
    assert len(warnings(caplog)) == 1


def test_a_large_backlog_goes_on_where_an_answer_was_lost(promoting, clean_redis: redis.Redis):
    put(clean_redis, PAST, *[Job("act", [number]) for number in range(500)])
    ask, lost = promoting.promoter._ask, []

    def lossy(request: Request[Any], then: Callable[[Any], None]) -> None:
        if len(promoting.asked) % 3 == 1:  # carried out, and not heard of
            lost.append(request.script)
            ask(request, lambda _: then(None))
        else:
            ask(request, then)

    promoting.promoter._ask = lossy
    for _ in range(30):
        promoting.go()
        promoting.now += AFTER_FAILURE
    promoted = [Job.from_payload(raw, "").args[0] for raw in clean_redis.lrange("resque:queue:default", 0, -1)]
    assert promoted == list(range(500))
    assert {"due", "promote"} <= set(lost)
