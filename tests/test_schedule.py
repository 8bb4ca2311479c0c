"""Schedule entries: what may be written, which slots follow from it, and what becomes of those that were missed."""

from __future__ import annotations

import builtins
import math
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_resque.errors import ConfigurationError
from django_resque.schedule import MISSED_AFTER, MOST_MADE_UP, ScheduleEntry, describe

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
DAY = 86_400


def entry(cron: str | None = "0 3 * * *", **more: Any) -> ScheduleEntry:
    if "every" in more:
        cron = None
    return ScheduleEntry.from_mapping("nightly", {"command": "echo", "cron": cron, "timezone": "UTC", **more})


def at(text: str, zone: str = "UTC", *, fold: int = 0) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp())


def slots(of: ScheduleEntry, after: str, until: str) -> list[str]:
    """Slots on the wall's clock, with the offset from UTC."""
    zone = ZoneInfo(of.timezone)
    found = of.slots_after(at(after, of.timezone), at(until, of.timezone), 1000)
    return [f"{datetime.fromtimestamp(slot, zone):%d %H:%M %z}" for slot in found]


# -- reading -----------------------------------------------------------------------------------------------------------


def test_an_entry_needs_a_command_and_a_time_and_has_defaults_for_the_rest(settings):
    settings.TIME_ZONE = BERLIN
    read = ScheduleEntry.from_mapping("nightly", {"command": "clearsessions", "cron": "0 3 * * *"})
    assert read == ScheduleEntry("nightly", "clearsessions", cron="0 3 * * *", timezone=BERLIN, misfire="once")
    assert (read.args, read.options, read.queue, read.every, read.using) == ((), {}, None, None, {})


@pytest.mark.parametrize(
    "mapping",
    [
        {"command": "echo", "cron": "0 3 * * *", "timezone": NEW_YORK},
        {"command": "echo", "every": 300, "misfire": "all"},
        {
            "command": "echo",
            "args": ["a", 1, True],
            "options": {"a": None, "b": [1, 2]},
            "queue": "mail",
            "cron": "*/10 * * * MON-FRI",
            "timezone": "UTC",
            "misfire": "skip",
            "using": {"timeout": 30, "max_attempts": 3, "backoff": [1, 2], "concurrency": ["mail", 2], "track": False},
        },
    ],
)
def test_what_is_written_of_an_entry_is_read_as_the_same_entry(mapping: dict[str, Any]):
    read = ScheduleEntry.from_mapping("nightly", mapping)
    assert read.to_mapping() == mapping
    assert ScheduleEntry.from_mapping("nightly", read.to_mapping()) == read


def test_values_that_python_has_and_json_has_not_are_kept_as_a_command_line_would_have_them():
    read = entry(every=timedelta(minutes=5), using={"expires": timedelta(hours=1), "concurrency": ("mail", 1)})
    assert read.every == 300
    assert read.using == {"expires": 3600.0, "concurrency": ["mail", 1]}


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ("echo", "must be a dict, not str"),
        ({"cron": "0 3 * * *"}, "needs a 'command'"),
        ({"command": "echo"}, "needs 'cron' or 'every'"),
        ({"command": "echo", "cron": "0 3 * * *", "every": 60}, "has both 'cron' and 'every': give one"),
        ({"command": "echo", "crons": "0 3 * * *"}, "the key 'crons' is unknown (did you mean 'cron'?)"),
        ({"command": "echo", "xyzzy": 1}, "the key 'xyzzy' is unknown (known are command, args,"),
        ({"command": "echo a", "every": 60}, "its arguments go to 'args' and 'options'"),
        ({"command": "Echo", "every": 60}, "'Echo' cannot be the name of a command"),
        ({"command": 3, "every": 60}, "3 cannot be the name of a command"),
        ({"command": "echo", "every": 60, "args": "abc"}, "'args' must be a list, not 'abc'"),
        ({"command": "echo", "every": 60, "args": [None]}, "Positional argument 1 is None"),
        ({"command": "echo", "every": 60, "options": ["a"]}, "'options' must be a dict of name → value"),
        ({"command": "echo", "every": 60, "options": {"a": {}}}, "The option 'a' is of type dict"),
        ({"command": "echo", "every": 60, "args": [2**60]}, "beyond ±2^53"),
        ({"command": "echo", "every": 60, "queue": "a b"}, "'queue': 'a b' cannot be the name of a queue"),
        ({"command": "echo", "every": 0}, "'every' must be a whole number of seconds from 1"),
        ({"command": "echo", "every": 1.5}, "not 1.5"),
        ({"command": "echo", "every": math.nan}, "not nan"),
        ({"command": "echo", "every": True}, "not True"),
        ({"command": "echo", "every": "5m"}, "not '5m'"),
        ({"command": "echo", "cron": 3}, "'cron' must be a text such as '0 3 * * *', not 3"),
        ({"command": "echo", "cron": "3 * *"}, "has 3 field(s); it needs five"),
        ({"command": "echo", "cron": "@daily"}, "'@daily' is written '0 0 * * *' here"),
        ({"command": "echo", "cron": "60 * * * *"}, "the minute '60' of the cron expression '60 * * * *'"),
        ({"command": "echo", "cron": "0 24 * * *"}, "the hour '24' of the cron expression '0 24 * * *' cannot be read"),
        ({"command": "echo", "cron": "0 0 32 * *"}, "the day-of-month '32'"),
        ({"command": "echo", "cron": "0 0 * FOO *"}, "the month 'FOO'"),
        ({"command": "echo", "cron": "0 0 * * 8"}, "the day-of-week '8'"),
        ({"command": "echo", "cron": "60 0 0 * * *"}, "the second '60'"),
        ({"command": "echo", "cron": "0 0 0 * * 8"}, "the day-of-week '8'"),
        ({"command": "echo", "cron": "*/0 * * * *"}, "the minute '*/0'"),
        ({"command": "echo", "cron": "0 0 31 2 *"}, "the day-of-month '31'"),
        ({"command": "echo", "cron": "* * */20 * 1L"}, "names a time that never comes"),
        ({"command": "echo", "cron": "1," * 300 + "1 * * * *"}, "characters, more than 500"),
        ({"command": "echo", "every": 60, "timezone": "Europe/Berln"}, "unknown (did you mean 'Europe/Berlin'?)"),
        ({"command": "echo", "every": 60, "timezone": "Europe"}, "the time zone 'Europe' is unknown"),
        ({"command": "echo", "every": 60, "timezone": "../UTC"}, "the time zone '../UTC' is unknown"),
        ({"command": "echo", "every": 60, "timezone": 1}, "'timezone' must be a name such as"),
        ({"command": "echo", "every": 60, "misfire": "one"}, "not 'one' (did you mean 'once'?)"),
        ({"command": "echo", "every": 60, "using": 30}, "'using' must be a dict, not 30"),
        ({"command": "echo", "every": 60, "using": {"delay": 30}}, "'using' takes no 'delay' (known are timeout,"),
        (
            {"command": "echo", "every": 60, "using": {"timeot": 30}},
            "'using' takes no 'timeot' (did you mean 'timeout'?)",
        ),
        ({"command": "echo", "every": 60, "using": {"timeout": -1}}, "'using': timeout must be"),
        ({"command": "echo", "every": 60, "using": {"unique_key": "a"}}, "'using': unique_key needs unique_for"),
        ({"command": "echo", "every": 60, "using": {"expires": datetime(2030, 1, 1)}}, "a number of seconds"),  # noqa: DTZ001
    ],
)
def test_a_mistake_is_named(mapping: Any, words: str):
    with pytest.raises(ConfigurationError) as caught:
        ScheduleEntry.from_mapping("nightly", mapping)
    assert "The schedule entry 'nightly': " in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["", " nightly", "nightly\n", "a\x00b", "x" * 101, 3])
def test_a_name_that_could_not_be_shown_is_refused(name: Any):
    with pytest.raises(ConfigurationError, match="its name must be a text"):
        ScheduleEntry.from_mapping(name, {"command": "echo", "every": 60})


def test_the_digest_tells_slots_and_nothing_else():
    assert entry().digest == entry(args=["a"], queue="mail", misfire="all").digest
    others = {entry("1 3 * * *").digest, entry(timezone=BERLIN).digest, entry(every=60).digest, entry(every=61).digest}
    assert len(others | {entry().digest}) == 5
    assert entry(every=60, timezone=BERLIN).digest == entry(every=60).digest
    assert len(entry().digest) == 40


# -- slots -------------------------------------------------------------------------------------------------------------


def test_slots_come_after_the_last_one_and_up_to_now():
    hourly = entry("0 * * * *")
    three = at("2026-03-01 03:00")
    assert hourly.slots_after(three, three + 7200, 10) == [three + 3600, three + 7200]
    assert hourly.slots_after(three - 0.5, three, 10) == [three]
    assert hourly.slots_after(three - 1, three - 0.001, 10) == []
    assert hourly.slots_after(three, three + 10 * DAY, 3) == [three + 3600, three + 7200, three + 10_800]
    assert hourly.slots_after(three + 100, three, 10) == []


def test_slots_of_an_interval_are_its_multiples_since_the_epoch():
    assert entry(every=600).slots_after(1_000_000, 1_002_000, 10) == [1_000_200, 1_000_800, 1_001_400, 1_002_000]
    assert entry(every=7).slot_after(14) == 21
    assert entry(every=7).slot_after(13.99) == 14


def test_an_expression_may_have_seconds():
    assert slots(entry("*/20 0 3 * * *"), "2026-03-01 00:00", "2026-03-02 00:00") == ["01 03:00 +0000"] * 3


@pytest.mark.parametrize(
    ("cron", "zone", "day", "expected"),
    [
        # clocks go from 2:00 to 3:00
        ("30 2 * * *", BERLIN, "2026-03-29", ["29 03:00 +0200"]),
        ("0,15,30,45 2 * * *", BERLIN, "2026-03-29", ["29 03:00 +0200"]),
        ("0 2,3 * * *", BERLIN, "2026-03-29", ["29 03:00 +0200"]),
        ("30 2,3 * * *", BERLIN, "2026-03-29", ["29 03:00 +0200", "29 03:30 +0200"]),
        ("30 2 * * *", NEW_YORK, "2026-03-08", ["08 03:00 -0400"]),
        ("*/30 2 * * *", BERLIN, "2026-03-29", []),
        ("30 * * * *", BERLIN, "2026-03-29", ["29 00:30 +0100", "29 01:30 +0100", "29 03:30 +0200"]),
        ("0 30 2 * * *", NEW_YORK, "2026-03-08", []),
        # clocks go back from 3:00 to 2:00, in New York from 2:00 to 1:00
        ("30 2 * * *", BERLIN, "2026-10-25", ["25 02:30 +0200"]),
        ("0,30 2 * * *", BERLIN, "2026-10-25", ["25 02:00 +0200", "25 02:30 +0200"]),
        ("30 1 * * *", NEW_YORK, "2026-11-01", ["01 01:30 -0400"]),
        (
            "30 * * * *",
            NEW_YORK,
            "2026-11-01",
            ["01 00:30 -0400", "01 01:30 -0400", "01 01:30 -0500", "01 02:30 -0500"],
        ),
        (
            "*/30 2 * * *",
            BERLIN,
            "2026-10-25",
            ["25 02:00 +0200", "25 02:30 +0200", "25 02:00 +0100", "25 02:30 +0100"],
        ),
    ],
)
def test_what_becomes_of_slots_when_the_clocks_are_set(cron: str, zone: str, day: str, expected: list[str]):
    found = slots(entry(cron, timezone=zone), f"{day} 00:00", f"{day} 03:59")
    assert found[: len(expected)] == expected
    assert all(later[3:5] == "03" for later in found[len(expected) :])  # of hours that are not asked for here


@pytest.mark.parametrize(
    "cron", ["30 2 * * *", "0,30 1-3 * * *", "*/7 * * * *", "15 * * * *", "*/30 15 * * * *", "0 0 * * *"]
)
@pytest.mark.parametrize(
    ("zone", "day"),
    [(BERLIN, "2026-03-29"), (BERLIN, "2026-10-25"), (NEW_YORK, "2026-03-08"), (NEW_YORK, "2026-11-01")],
)
def test_slots_are_the_same_wherever_one_begins_around_a_change(cron: str, zone: str, day: str):
    of = entry(cron, timezone=zone)
    begin = at(f"{day} 00:00", zone) - 1
    end = begin + 6 * 3600
    all_slots = of.slots_after(begin, end, 10_000)
    assert all_slots == sorted(set(all_slots))
    for later in range(begin, end, 300):
        assert of.slots_after(later, end, 10_000) == [slot for slot in all_slots if slot > later]


@given(
    begin=st.integers(0, 2**31), length=st.integers(0, 400_000), limit=st.integers(1, 20), seconds=st.integers(1, 9000)
)
def test_the_last_slots_are_the_end_of_all_slots(begin: int, length: int, limit: int, seconds: int):
    for of in (entry(every=seconds), entry("7,50 */5 * * *", timezone=BERLIN)):
        every_one = of.slots_after(begin, begin + length, 500_000)
        assert of.last_slots(begin, begin + length, limit) == every_one[-limit:]


def test_a_year_of_missed_minutes_costs_no_walk_through_all_of_them():
    minutes = entry("* * * * *")
    now = at("2027-01-01 00:00")
    assert minutes.last_slots(now - 365 * DAY, now, 1) == [now]
    assert minutes.last_slots(now - 365 * DAY, now, 3) == [now - 120, now - 60, now]


# -- missed slots ------------------------------------------------------------------------------------------------------

NOON = at("2026-03-01 12:00")


@pytest.mark.parametrize("misfire", ["skip", "once", "all"])
def test_a_slot_on_time_has_its_job_whatever_the_entry_says_of_missed_ones(misfire: str):
    of = entry("0 * * * *", misfire=misfire)
    assert of.due(NOON - 3600, NOON - 0.001) is None
    for late in (0, 1, MISSED_AFTER):
        due = of.due(NOON - 3600, NOON + late)
        assert due is not None
        assert (due.slots, due.done, due.missed) == ((NOON,), NOON, None)
    assert of.due(NOON, NOON + 1) is None


@pytest.mark.parametrize(
    ("misfire", "made_up"),
    [("skip", ()), ("once", (NOON - 3600,)), ("all", (NOON - 3 * 3600, NOON - 2 * 3600, NOON - 3600))],
)
@pytest.mark.parametrize("late", [0, 30, 90])
def test_missed_slots_have_what_the_entry_says(misfire: str, made_up: tuple[int, ...], late: int):
    of = entry("0 * * * *", misfire=misfire)
    due = of.due(NOON - 4 * 3600, NOON + late)
    assert due is not None
    if late <= MISSED_AFTER:
        assert (due.slots, due.missed) == ((*made_up, NOON), (NOON - 3 * 3600, NOON - 3600))
    else:
        expected = {"skip": (), "once": (NOON,), "all": (*made_up, NOON)}[misfire]
        assert (due.slots, due.missed) == (expected, (NOON - 3 * 3600, NOON))
    assert due.done == NOON


def test_of_too_many_missed_slots_the_last_ones_are_made_up_for():
    of = entry("* * * * *", misfire="all")
    due = of.due(NOON - 30 * DAY, NOON)
    assert due is not None
    assert due.missed == (NOON - 30 * DAY + 60, NOON - 120)
    assert len(due.slots) == MOST_MADE_UP + 2  # the one of a minute ago is not missed yet, and this one is due
    assert due.slots == tuple(range(NOON - 60 * (MOST_MADE_UP + 1), NOON + 1, 60))
    # one that dies half-way leaves the others to the next, and no more than those
    again = of.due(due.slots[399], NOON)
    assert again is not None
    assert again.slots == due.slots[400:]


# -- for people --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (entry(every=1), "Every second"),
        (entry(every=300), "Every 5 minutes"),
        (entry(every=3600), "Every hour"),
        (entry(every=5400), "Every 1 hour and 30 minutes"),
        (entry(every=90_061), "Every 1 day, 1 hour, 1 minute and 1 second"),
        (entry(timezone=BERLIN), "At 03:00 (Europe/Berlin)"),
        (entry("*/5 9-17 * * MON-FRI"), "Every 5 minutes, between 09:00 and 17:59, Monday through Friday (UTC)"),
    ],
)
def test_an_entry_is_described_in_plain_words(of: ScheduleEntry, words: str):
    pytest.importorskip("cron_descriptor")
    assert describe(of) == words


def test_without_the_extra_the_words_are_simpler(monkeypatch: pytest.MonkeyPatch):
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("cron_descriptor"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert describe(entry()) == "At 03:00 every day (UTC)"
