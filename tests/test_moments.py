"""When a delayed job is due."""

# ruff: noqa: DTZ001, DTZ901  naive datetimes are what much of this is about

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_resque.moments import LAST_SECOND, due_second, in_seconds

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("at", "second"),
    [
        (0, 0),
        (1795184453, 1795184453),
        (1795184453.0, 1795184453),
        (1795184453.000001, 1795184454),
        (-0.5, 0),
        (LAST_SECOND, LAST_SECOND),
        (datetime(2026, 11, 20, 13, 21, 45, tzinfo=UTC), 1795180905),
        (datetime(2026, 11, 20, 13, 21, 45, 1, tzinfo=UTC), 1795180906),
        (datetime(2026, 11, 20, 14, 21, 45, tzinfo=timezone(timedelta(hours=1))), 1795180905),
        (datetime(2026, 11, 20, 13, 21, 45, tzinfo=timezone(timedelta(microseconds=1))), 1795180905),
        (datetime(2026, 11, 20, 13, 21, 45, tzinfo=timezone(timedelta(microseconds=-1))), 1795180906),
        (datetime(2026, 11, 20, 14, 21, 45), 1795180905),  # in Berlin
        (datetime(1, 1, 1, tzinfo=UTC), -62135596800),
        (datetime.max.replace(microsecond=0, tzinfo=UTC), LAST_SECOND),
        (datetime.max.replace(microsecond=0, tzinfo=timezone(timedelta(hours=23))), LAST_SECOND - 23 * 3600),
    ],
)
def test_a_moment_is_rounded_up_to_the_unix_second(at, second):
    assert due_second(at, zone=BERLIN) == second
    assert type(due_second(at, zone=BERLIN)) is int


def test_a_time_that_never_comes_is_refused_with_the_reason():
    with pytest.raises(ValueError, match=r"2026-03-29 02:30:00 does not exist in Europe/Berlin, .* set forward"):
        due_second(datetime(2026, 3, 29, 2, 30), zone=BERLIN)
    with pytest.raises(ValueError, match="does not exist in America/New_York"):
        due_second(datetime(2026, 3, 8, 2, 0, fold=1), zone=NEW_YORK)


@pytest.mark.parametrize(("hour", "minute", "second"), [(1, 59, 1774745940), (3, 0, 1774746000)])
def test_the_minutes_around_the_gap_are_times(hour, minute, second):
    assert due_second(datetime(2026, 3, 29, hour, minute), zone=BERLIN) == second


def test_of_a_time_that_comes_twice_fold_tells_which_is_meant():
    first, second = (due_second(datetime(2026, 10, 25, 2, 30, fold=fold), zone=BERLIN) for fold in (0, 1))
    assert second - first == 3600
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("at", [math.nan, math.inf, -math.inf, LAST_SECOND + 1, 1e300, 10**400, 1795184453 * 1000])
def test_what_is_no_moment_is_a_value_error(at):
    with pytest.raises(ValueError, match=r"9999|unix time"):
        due_second(at, zone=UTC)


def test_a_moment_that_only_its_zone_puts_into_the_year_10000_is_refused():
    with pytest.raises(ValueError, match="9999"):
        due_second(datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))), zone=UTC)
    with pytest.raises(ValueError, match="9999"):
        due_second(datetime.max, zone=NEW_YORK)


@pytest.mark.parametrize("at", [True, None, "2026-11-20", date(2026, 11, 20), timedelta(1), Decimal(1)])
def test_what_is_no_time_at_all_is_a_type_error(at):
    with pytest.raises(TypeError, match="a datetime or a unix time"):
        due_second(at, zone=UTC)


@given(st.datetimes(timezones=st.timezones()))
def test_no_moment_is_early_or_more_than_a_second_late(at):
    try:
        second = due_second(at, zone=UTC)
    except ValueError:
        assert at.replace(tzinfo=None) > datetime(9999, 12, 30)
        return
    exact = (at.replace(tzinfo=None) - datetime(1970, 1, 1) - at.utcoffset()) / timedelta(microseconds=1)
    assert 0 <= second * 1_000_000 - exact < 1_000_000


@given(st.datetimes(), st.sampled_from([BERLIN, NEW_YORK, ZoneInfo("Australia/Lord_Howe"), UTC]), st.booleans())
def test_a_naive_time_is_the_same_as_the_aware_one_of_the_zone_or_does_not_exist_there(at, zone, fold):
    at = at.replace(fold=fold)
    aware = at.replace(tzinfo=zone)
    try:
        found = due_second(at, zone=zone)
    except ValueError as error:
        exists = at.year >= 9999 or aware.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == at
        assert "9999" in str(error) or not exists
    else:
        assert found == due_second(aware, zone=UTC)


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        (0, 0),
        (60, 60),
        (0.5, 0.5),
        (timedelta(hours=1), 3600),
        (timedelta(microseconds=1), 1e-6),
        (LAST_SECOND, LAST_SECOND),
    ],
)
def test_a_delay_is_in_seconds(delay, seconds):
    assert in_seconds(delay) == seconds
    assert type(in_seconds(delay)) is float


@pytest.mark.parametrize(
    "delay", [-1, -0.001, timedelta(-1), math.nan, math.inf, LAST_SECOND + 1, 10**400, timedelta.max]
)
def test_what_is_no_delay_is_a_value_error(delay):
    with pytest.raises(ValueError, match="delay"):
        in_seconds(delay)


@pytest.mark.parametrize("delay", [True, None, "60", Decimal(60), datetime(2026, 11, 20, tzinfo=UTC)])
def test_what_is_no_number_of_seconds_is_a_type_error(delay):
    with pytest.raises(TypeError, match="a delay must be"):
        in_seconds(delay)
