"""What a real worker writes into the statistics, and tells about itself."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from django_resque import enqueue, enqueue_many, enqueue_to, using
from django_resque.control import end_job
from django_resque.status import Status
from django_resque.store import Figures, WorkerProcessInfo, store
from django_resque.store.statistics import BOUNDS
from tests.workers import resque, told, until


def figures() -> dict[tuple[str, str], Figures]:
    """Those of the last hour, by command and queue."""
    return {(found.command, found.queue): found for found in store().statistics.figures("hour", store().time())}


def counts() -> dict[str, tuple[int, int, int]]:
    """Jobs, failures and attempts to be repeated, by command."""
    return {command: (found.count, found.failures, found.retries) for (command, _), found in figures().items()}


def passed() -> tuple[int, int]:
    """Jobs and failures of the last hour, from the minutes."""
    points = store().statistics.throughput(store().time())
    return sum(point.processed for point in points), sum(point.failed for point in points)


def process() -> WorkerProcessInfo:
    (found,) = store().processes.all()
    return found


# -- jobs --------------------------------------------------------------------------------------------------------------


def test_after_the_worker_has_stopped_everything_is_counted(worker, facts):
    enqueue_many("act", [(("tell", "done", str(number)), {}) for number in range(120)])
    enqueue_many("echo", [((str(number),), {}) for number in range(30)])
    enqueue_to("mail", "act", "nap", 0.05)
    for number in range(7):
        enqueue("act", "refuse", str(number))
    assert worker("--burst", "-n", "2", "-q", "default,mail").wait() == 0

    found = figures()
    assert found.keys() == {("act", "default"), ("act", "mail"), ("echo", "default")}
    act, mail, echo = (found[pair] for pair in (("act", "default"), ("act", "mail"), ("echo", "default")))
    assert (act.count, act.failures, act.retries) == (127, 7, 0)
    assert (echo.count, echo.failures, echo.retries) == (30, 0, 0)
    assert sum(act.histogram) == 127
    assert (mail.count, mail.failures) == (1, 0)
    assert mail.mean == mail.longest == mail.seconds >= 0.05
    assert mail.histogram[next(part for part, bound in enumerate(BOUNDS) if mail.seconds <= bound)] == 1
    assert passed() == (158, 7)
    counters = store().stats.counters()
    assert passed() == (counters.processed, counters.failed)
    assert store().statistics.rates(store().time()).keys() == {"default", "mail"}


def test_a_worker_tells_within_seconds_and_goes_on(worker, facts):
    process = worker()
    enqueue("act", "tell", "first")
    until(lambda: counts() == {"act": (1, 0, 0)}, timeout=20)
    enqueue("act", "tell", "second")
    until(lambda: counts() == {"act": (2, 0, 0)}, timeout=20)
    assert process.stop() == 0
    assert counts() == {"act": (2, 0, 0)}


def test_a_job_that_is_tried_again_is_counted_once_and_its_retries_apart(worker, facts):
    using(max_attempts=3, backoff=0.01).enqueue("life", "fail", "given up", 9)
    using(max_attempts=3, backoff=0.01).enqueue("life", "fail", "successful", 1)
    jobs = [using(max_attempts=1).enqueue("act", "tell", "now")]
    process = worker()
    until(lambda: store().stats.counters().processed == 3)
    assert jobs[0].wait(30) is Status.COMPLETE
    assert process.stop() == 0
    assert counts() == {"life": (2, 1, 3), "act": (1, 0, 0)}
    assert passed() == (3, 1)


def test_crashes_are_failures_when_they_are_the_last(worker, facts):
    enqueue("act", "kill", "SIGKILL")
    using(on_crash="fail").enqueue("act", "vanish")
    assert worker("--burst").wait() == 0
    assert counts() == {"act": (2, 2, 2)}
    assert passed() == (2, 2)


def test_a_timeout_and_an_end_on_demand_are_failures_and_took_their_time(worker, facts):
    using(timeout=0.2).enqueue("act", "nap", 60)
    ended = enqueue_to("mail", "act", "wait", "ended")
    process = worker("-n", "2", "-q", "mail,default")
    told(facts, "ended:started")
    until(lambda: end_job(ended.id))
    until(lambda: store().stats.counters().processed == 2)
    assert process.stop() == 0
    found = figures()
    assert [(each.count, each.failures) for each in found.values()] == [(1, 1), (1, 1)]
    assert 0.2 <= found["act", "default"].seconds < 60
    assert found["act", "mail"].seconds > 0
    assert sum(found["act", "mail"].histogram) == 1


def test_garbage_is_counted_under_a_name_that_harms_nothing(worker, clean_redis):
    clean_redis.rpush("resque:queue:default", b"not json", b'{"class":"a\\tb\\n\\u202e%s","args":[]}' % (b"x" * 5000))
    assert worker("--burst").wait() == 0
    assert counts() == {"(unreadable payload)": (1, 1, 0), f"a�b��{'x' * 195}": (1, 1, 0)}


def test_more_names_than_are_told_apart_cost_nothing_but_their_names(worker, clean_redis):
    clean_redis.rpush("resque:queue:default", *(b'{"class":"nothing%d","args":[]}' % number for number in range(500)))
    assert worker("--burst").wait() == 0
    found = figures()
    assert len(found) == 201
    assert sum(each.failures for each in found.values()) == 500
    assert passed() == (500, 500)


def test_the_job_of_a_dead_worker_is_counted_by_the_one_that_buries_it(worker, facts):
    job = using(on_crash="fail").enqueue("act", "wait", "job")
    first = worker()
    told(facts, "job:started")
    second = worker()
    until(lambda: len(store().processes.all()) == 2)
    os.kill(first.pid, signal.SIGKILL)
    assert job.wait(30) is Status.FAILED
    assert second.stop() == 0
    assert counts() == {"act": (1, 1, 0)}
    assert passed() == (1, 1)


def test_what_goes_back_is_not_counted(worker, facts):
    enqueue("act", "wait", "job")
    enqueue("act", "tell", "next")
    process = worker("--grace", "0.2")
    told(facts, "job:started")
    assert process.stop() == 0
    assert counts() == {}
    assert passed() == (0, 0)


@pytest.mark.parametrize("kind", ["minute", "hour", "day", "throughput"])
def test_a_worker_does_its_work_although_the_statistics_are_broken(worker, facts, clean_redis, kind):
    length = {"minute": 60, "day": 86400}.get(kind, 3600)
    for at in range(store().time(), store().time() + 600, 60):
        clean_redis.set(f"resque:django:stats:{kind}:{at // length * length}", "a string")
    enqueue("act", "tell", "done")
    process = worker("--burst")
    assert process.wait() == 0
    told(facts, "done")
    assert store().stats.counters().processed == 1
    assert "WRONGTYPE" in process.log


# -- worker processes --------------------------------------------------------------------------------------------------


def test_a_process_tells_its_version_its_memory_and_when_it_was_last_heard(worker, facts):
    running = worker("-n", "2", env=resque(BEAT=0.2, LEASE=5))
    until(lambda: len(running.children()) == 2)
    first = until(lambda: [found for found in store().processes.all() if found.memory])[0]  # type: ignore[index]
    assert first.version.count(".") >= 1
    assert first.version[0].isdigit()
    until(lambda: process().memory >= resident(running.pid) + sum(map(resident, running.children())) * 0.5)
    until(lambda: process().heard > first.heard)
    assert abs(process().heard - (process().lease - 5)) <= 1
    assert running.stop() == 0


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
