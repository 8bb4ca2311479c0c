"""How long a job may take and what its crash means: who decides, and that no payload can break the decision."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_resque import Job
from django_resque.command import CommandInfo
from django_resque.choices import MAX_TIMEOUT, ON_CRASH
from django_resque.conf import Config
from django_resque.job_command import JobCommand
from django_resque.limits import Limits, limits_of

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


@given(timeout=ANY_JSON, on_crash=ANY_JSON)
def test_whatever_a_payload_holds_the_limits_are_some_that_can_be_kept(timeout: Any, on_crash: Any):
    raw = json.dumps({"class": "tidy", "args": [], "timeout": timeout, "on_crash": on_crash}).encode()
    limits = limits_of(Job.from_payload(raw, "default"), SILENT, Config())
    assert limits.timeout is None or 0 < limits.timeout <= MAX_TIMEOUT
    assert limits.on_crash in ON_CRASH
