"""Jobs that take longer than they may: they end, as failures, and their workers go on."""

from __future__ import annotations

import ast
import os
import time
from typing import Any

from django_resque import enqueue, using
from django_resque.status import Status
from django_resque.store import store
from django_resque.worker.crew import KILLED_AFTER
from tests.workers import PATIENCE, is_gone, resque, told, until, within


def failures() -> list[tuple[str, str]]:
    """Command and exception of each."""
    return [
        (failure.job.args[0] if failure.job.args else failure.job.command, failure.exception)
        for failure in store().failures.latest()
    ]


def pid_of(facts: Any, key: str) -> int:
    return int(ast.literal_eval(told(facts, key))["pid"])


def test_a_job_that_exceeds_its_timeout_is_one_failure_and_never_a_crash(worker, facts, clean_redis):
    process = worker("-q", "default")
    enqueue("act", "describe", "before")
    job = using(timeout=0.3).enqueue("act", "nap", 60, "napping")
    enqueue("act", "describe", "behind")
    before = pid_of(facts, "before")
    assert int(told(facts, "napping")) == before
    with within(0.3):
        behind = pid_of(facts, "behind")
    assert behind != before  # the performer was replaced
    until(lambda: store().stats.counters().processed == 3)
    (failure,) = store().failures.latest()
    assert (failure.job.id, failure.exception) == (job.id, "JobTimeout")
    assert failure.error == "The job took longer than its timeout of 0.3 s"
    assert any("time.sleep(seconds)" in line for line in failure.backtrace)  # where it was
    assert store().stats.counters().failed == 1
    assert clean_redis.exists("resque:django:crashes") == 0
    assert process.stop() == 0
    assert "crashed" not in process.log


def test_a_call_says_more_than_the_settings_these_more_than_the_class_and_that_more_than_the_default(worker, facts):
    enqueue("hasty")
    enqueue("act", "nap", 60)
    using(timeout=0.4).enqueue("act", "nap", 60)
    process = worker("--burst", "-n", "3", env=resque(TIMEOUT=50, COMMANDS={"act": {"timeout": 0.3}}))
    assert process.wait() == 0
    errors = sorted(failure.error for failure in store().failures.latest())
    assert errors == [f"The job took longer than its timeout of {seconds} s" for seconds in (0.2, 0.3, 0.4)]


def test_the_default_is_for_all_but_those_calls_that_have_no_limit(worker, facts):
    using(timeout=0).enqueue("act", "nap", 0.7)
    enqueue("act", "nap", 60)
    assert worker("--burst", env=resque(TIMEOUT=0.2)).wait() == 0
    (failure,) = store().failures.latest()
    assert failure.error == "The job took longer than its timeout of 0.2 s"
    assert store().stats.counters().processed == 2


def test_a_timeout_counts_from_the_start_of_its_own_job(worker, facts):
    for _ in range(4):
        using(timeout=0.5).enqueue("act", "nap", 0.2)
    assert worker("--burst").wait() == 0
    assert failures() == []


def test_what_a_command_makes_of_its_timeout_is_a_failure_all_the_same(worker, facts, clean_redis):
    using(timeout=0.2).enqueue("act", "swallow")
    using(timeout=0.2).enqueue("act", "translate")
    enqueue("act", "tell", "after")
    process = worker("--burst")
    assert process.wait() == 0
    told(facts, "after")
    assert failures() == [("translate", "ValueError"), ("swallow", "JobTimeout")]
    assert store().stats.counters().processed == 3
    assert clean_redis.exists("resque:django:crashes") == 0


def test_a_job_that_cannot_be_told_is_killed_with_its_group_ten_seconds_later(worker, facts, clean_redis):
    process = worker("-n", "3")
    again = using(timeout=0.2, max_attempts=2, backoff=0).enqueue("life", "hang", "again")
    using(timeout=0.2).enqueue("act", "hang_with_a_child", "hanging")
    using(timeout=0.2).enqueue("act", "hang_in_c", "hanging too")
    performer, child = int(told(facts, "hanging")), int(told(facts, "hanging"))
    other = int(told(facts, "hanging too"))
    begun = time.monotonic()
    until(lambda: facts.llen("again") == 1)
    jobs = [enqueue("act", "tell", f"behind {number}") for number in range(2)]
    until(lambda: is_gone(performer) and is_gone(child) and is_gone(other), timeout=PATIENCE * KILLED_AFTER)
    assert time.monotonic() - begun > KILLED_AFTER - 1  # it had the time to end by itself
    for number, _ in enumerate(jobs):
        told(facts, f"behind {number}")
    assert again.wait(30) is Status.COMPLETE  # it was a failed attempt
    assert again.attempts == 2
    until(lambda: store().stats.counters().processed == 5)
    assert sorted(failures()) == [("hang_in_c", "JobTimeout"), ("hang_with_a_child", "JobTimeout")]
    assert clean_redis.exists("resque:django:crashes") == 0
    os.kill(process.pid, 0)
    assert process.stop() == 0
    assert "crashed" not in process.log
