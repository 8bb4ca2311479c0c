"""How long a job may take and what its crash means: who decides, and that no payload can break the decision."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from django_resque import Job
from django_resque.choices import MAX_TIMEOUT, ON_CRASH
from django_resque.command import CommandInfo
from django_resque.conf import Config
from django_resque.errors import CommandExited, InvalidArguments, JobTimeout, Retry
from django_resque.job import MAX_INTEGER
from django_resque.job_command import JobCommand
from django_resque.limits import JITTER, LONGEST_DELAY, Limits, failed_attempts, limits_of, retry_delay
from django_resque.store import Reserved
from django_resque.worker.entries import start

SILENT = CommandInfo(name="tidy", cls=JobCommand, queue=None, track=None, sensitive=())


def job(**extra: Any) -> Job:
    return Job("tidy", extra=extra)


def test_where_nobody_says_anything_there_is_no_limit_and_a_crashed_job_is_requeued():
    assert limits_of(job(), SILENT, Config()) == limits_of(job(), None, Config()) == Limits(None, "requeue")


def test_the_payload_wins_over_the_command_and_the_command_over_the_settings():
    config = Config(timeout=60, on_crash="fail")
    info = replace(SILENT, timeout=30, on_crash="requeue")
    assert limits_of(job(), None, config) == limits_of(job(), SILENT, config) == Limits(60, "fail")
    assert limits_of(job(), info, config) == Limits(30, "requeue")
    assert limits_of(job(timeout=2.5, on_crash="fail"), info, config) == Limits(2.5, "fail")
    assert limits_of(job(timeout=5), info, config) == Limits(5, "requeue")
    assert limits_of(job(on_crash="fail"), info, config) == Limits(30, "fail")


@pytest.mark.parametrize("zero", [0, 0.0])
def test_zero_is_without_a_limit_whoever_says_it(zero: float):
    config = Config(timeout=60)
    assert limits_of(job(timeout=zero), replace(SILENT, timeout=30), config).timeout is None
    assert limits_of(job(), replace(SILENT, timeout=zero), config).timeout is None
    assert limits_of(job(), SILENT, Config(timeout=zero)).timeout is None


@pytest.mark.parametrize(
    "timeout",
    [
        -1,
        -0.5,
        1e-9,
        5e-324,
        MAX_TIMEOUT + 1,
        10**400,
        float("inf"),
        float("nan"),
        True,
        False,
        None,
        "5",
        [5],
        {"a": 5},
    ],
)
def test_a_timeout_that_makes_no_sense_in_a_payload_is_passed_over(timeout: Any):
    assert limits_of(job(timeout=timeout), replace(SILENT, timeout=30), Config()).timeout == 30


@pytest.mark.parametrize("on_crash", ["retry", "", "FAIL", None, True, 1, [], ["fail"], {"fail": 1}])
def test_a_word_about_crashes_that_makes_no_sense_in_a_payload_is_passed_over(on_crash: Any):
    assert limits_of(job(on_crash=on_crash), replace(SILENT, on_crash="fail"), Config()).on_crash == "fail"


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=5,
)


NAMES = ["timeout", "on_crash", "unique", "concurrency", "expires", "max_attempts", "backoff", "attempt", "history"]
MISLEADING = st.sampled_from([["key", 60], ["key", 2], ["a b", 1], [], [None], ["key", 0], 10**400, -1, [10**400], {}])


@given(st.fixed_dictionaries(dict.fromkeys(NAMES, ANY_JSON | MISLEADING)))
@example({"expires": 10**400})
@example({"expires": -(2**53)})
@example({"concurrency": ["key", 10**400]})
@example({"attempt": 10**400, "max_attempts": 10**400, "backoff": [10**400]})
def test_whatever_a_payload_holds_the_limits_are_some_that_can_be_kept(extra: dict[str, Any]):
    raw = json.dumps({"class": "tidy", "args": [], **extra}).encode()
    found = Job.from_payload(raw, "default")
    limits = limits_of(found, SILENT, Config())
    assert limits.timeout is None or 0 < limits.timeout <= MAX_TIMEOUT
    assert limits.on_crash in ON_CRASH
    assert limits.unique is None or not re.search(r"\s", limits.unique[0])
    if limits.concurrency is not None:
        key, most = limits.concurrency
        assert not re.search(r"\s", key)
        assert 1 <= most <= 100_000
    assert limits.expires is None or abs(limits.expires) < MAX_INTEGER
    start("worker", Reserved("1.1", "default", raw), found, limits)
    delay = retry_delay(found, ValueError(), SILENT, Config(max_attempts=3))
    assert delay is None or 0 <= delay <= MAX_TIMEOUT


# -- what is asked before a job begins ---------------------------------------------------------------------------------


def test_keys_and_expiry_are_the_payloads_and_make_the_start_a_guarded_one():
    extra = {"unique": ["key", 60.0], "concurrency": ["smtp", 2], "expires": 5.5}
    limits = limits_of(job(**extra), SILENT, Config())
    assert limits == Limits(None, "requeue", ("key", 60.0), ("smtp", 2), 5.5)
    for name, value in extra.items():
        assert limits_of(job(**{name: value}), SILENT, Config()).guarded
    assert limits_of(job(on_crash="fail"), None, Config()).guarded
    assert not limits_of(job(timeout=5), SILENT, Config()).guarded


# -- further attempts --------------------------------------------------------------------------------------------------


def delay(error: BaseException, *, failed: int = 0, most: int | None = None, **command: Any) -> float | None:
    """The wait of a job of which ``failed`` attempts have failed before; its settings and payload say nothing more."""
    extra = {"attempt": failed, **({} if most is None else {"max_attempts": most})}
    return retry_delay(job(**extra), error, replace(SILENT, **command), Config())


def test_how_often_a_job_is_tried_the_payload_says_then_the_command_then_the_settings():
    settings, info = Config(max_attempts=2), replace(SILENT, max_attempts=3)

    def tried(chosen: CommandInfo | None, config: Config, **extra: Any) -> int:
        failed = 0
        while retry_delay(job(attempt=failed, **extra), ValueError(), chosen, config) is not None:
            failed += 1
        return failed + 1

    assert tried(None, Config()) == tried(SILENT, Config()) == 1
    assert tried(None, settings) == tried(SILENT, settings) == 2
    assert tried(info, settings) == 3
    assert tried(info, settings, max_attempts=4) == 4
    assert tried(info, settings, max_attempts=1) == 1
    assert tried(info, settings, max_attempts="many") == tried(info, settings, max_attempts=0) == 3


def test_waits_grow_twofold_up_to_an_hour_and_are_never_all_the_same():
    for failed in range(40):
        longest = min(10 * 2**failed, LONGEST_DELAY)
        waits = [delay(ValueError(), failed=failed, most=1000) for _ in range(50)]
        assert all(longest * (1 - JITTER) <= wait <= longest for wait in waits if wait is not None)
        assert len(set(waits)) > 40


def test_a_wait_can_be_a_number_a_list_or_what_a_function_gives():
    assert [delay(ValueError(), failed=failed, most=9, backoff=7) for failed in range(3)] == [7, 7, 7]
    assert [delay(ValueError(), failed=failed, most=9, backoff=[1, 2.5]) for failed in range(4)] == [1, 2.5, 2.5, 2.5]
    seen = []

    def backoff(error: BaseException, attempt: int) -> float:
        seen.append((error, attempt))
        return 10 * attempt

    error = ValueError("this one")
    assert [delay(error, failed=failed, most=9, backoff=backoff) for failed in range(3)] == [10, 20, 30]
    assert seen == [(error, 1), (error, 2), (error, 3)]


@pytest.mark.parametrize(("given", "used"), [(-5, 0), (float("inf"), MAX_TIMEOUT), (1e300, MAX_TIMEOUT), (None, None)])
def test_what_a_function_gives_is_a_wait_that_can_be_kept_or_the_end(given: Any, used: Any):
    assert delay(ValueError(), most=9, backoff=lambda error, attempt: given) == used


@pytest.mark.parametrize("given", ["soon", float("nan"), timedelta(1), []])
def test_what_a_function_gives_that_is_no_number_is_its_error(given: Any):
    with pytest.raises((TypeError, ValueError)):
        delay(ValueError(), most=9, backoff=lambda error, attempt: given)


def test_the_wait_of_the_payload_wins_and_one_that_makes_no_sense_is_passed_over():
    info = replace(SILENT, backoff=5)
    for backoff, used in {"7": 5, "3": 3}.items():
        value: Any = int(backoff) if used == 3 else backoff
        assert retry_delay(job(max_attempts=2, backoff=value), ValueError(), info, Config()) == used
    assert retry_delay(job(max_attempts=2, backoff=[8, 9]), ValueError(), info, Config()) == 8


def test_only_exceptions_that_are_worth_it_are_tried_again():
    assert delay(ValueError(), most=2) is not None
    assert delay(CommandExited(3), most=2) is not None
    assert delay(JobTimeout("too long"), most=2) is not None
    assert delay(KeyboardInterrupt(), most=2) is None
    assert delay(InvalidArguments("never any better"), most=2) is None
    assert delay(InvalidArguments("whatever it says"), most=2, retry_on=(InvalidArguments,)) is None

    known: dict[str, Any] = {"retry_on": (OSError, LookupError), "give_up_on": (KeyError,)}
    assert delay(ConnectionError(), most=2, **known) is not None
    assert delay(IndexError(), most=2, **known) is not None
    assert delay(KeyError(), most=2, **known) is None
    assert delay(ValueError(), most=2, **known) is None
    assert delay(KeyboardInterrupt(), most=2, retry_on=(BaseException,)) is not None
    assert retry_delay(job(max_attempts=2), KeyboardInterrupt(), None, Config()) is None


def test_a_job_that_asks_for_it_is_tried_again_after_its_own_delay():
    assert delay(Retry(3)) == 3
    assert delay(Retry(timedelta(minutes=1)), failed=5000) == 60  # as often as it asks when nobody has set a number
    assert delay(Retry(0), backoff=7) == 0
    assert delay(Retry(), backoff=7) == 7
    assert delay(Retry(3), give_up_on=(Exception,)) == 3
    assert delay(Retry(3), failed=1, most=3) == 3
    assert delay(Retry(3), failed=2, most=3) is None


@pytest.mark.parametrize("wait", [-1, float("nan"), float("inf"), 31_536_001, timedelta(-1), timedelta(366)])
def test_a_delay_that_no_job_can_ask_for_is_an_error_where_it_is_asked_for(wait: Any):
    with pytest.raises(ValueError, match="a delay must be a number of seconds from 0 to a year"):
        Retry(wait)


@pytest.mark.parametrize("attempt", [None, -1, 1.5, True, "3", [], 10**400])
def test_a_count_of_attempts_that_makes_no_sense_is_none(attempt: Any):
    assert failed_attempts(job(attempt=attempt)) == 0
