"""The sums that turns carry, and what is read from them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from django_resque.errors import StoreUnavailable
from django_resque.store import Entry, Figures, Point, store
from django_resque.store.statistics import BOUNDS, MOST_COMMANDS, OTHER, pack

from .processes_in_redis import TurnTaker, full, lasting, state

MINUTE = 1_794_484_860
"""The beginning of a minute, in the middle of an hour and of a day."""
HOUR = MINUTE // 3600 * 3600
DAY = MINUTE // 86400 * 86400


@pytest.fixture
def process() -> Iterator[TurnTaker]:
    process = TurnTaker()
    yield process
    process.close()


def sums(
    count: int, failures: int = 0, retries: int = 0, seconds: float = 0, longest: float = 0, part: int = 0
) -> list[int]:
    """So many jobs, all of them in one part of the histogram."""
    histogram = [0] * (len(BOUNDS) + 1)
    histogram[part] = count
    return [count, failures, retries, round(seconds * 1e6), round(longest * 1e6), *histogram]


def told(command: str, queue: str, *args: Any, **more: Any) -> Entry:
    field, packed = pack(command, queue, sums(*args, **more))
    return Entry("sum", "", status_id=field, record=packed)


def put(client: Any, kind: str, second: int, command: str, queue: str, *args: Any, **more: Any) -> None:
    client.hset(f"resque:django:stats:{kind}:{second}", *pack(command, queue, sums(*args, **more)))


def statistics_in(client: Any) -> dict[str, Any]:
    return {key: value for key, value in state(client).items() if key.startswith("django:stats:")}


def now() -> float:
    return float(store().time())


# -- what a turn writes ------------------------------------------------------------------------------------------------


def test_sums_add_up_by_minute_hour_and_day(process, clean_redis):
    process.turn(told("mail", "high", 3, 1, 2, seconds=4, longest=2.5, part=7), told("mail", "low", 1))
    process.turn(told("mail", "high", 2, 0, 1, seconds=1, longest=1.5, part=6))
    histogram = tuple({6: 2, 7: 3}.get(part, 0) for part in range(len(BOUNDS) + 1))
    for span in ("hour", "day", "week"):
        high, low = store().statistics.figures(span, now())
        assert high == Figures("mail", "high", 5, 1, 3, 5.0, 2.5, histogram)
        assert (low.command, low.queue, low.count) == ("mail", "low", 1)
    assert high.mean == 1.0
    assert high.failure_rate == 0.2


def test_a_repeated_turn_counts_nothing_twice(process, clean_redis):
    entry = told("mail", "high", 3, 1, seconds=4, longest=2)
    process.turn(entry)
    before = state(clean_redis)
    for _ in range(3):
        process.again(entry)
    assert state(clean_redis) == before
    assert sum(point.processed for point in store().statistics.throughput(now())) == 3


def test_everything_vanishes_by_itself(process, clean_redis):
    process.turn(told("mail", "high", 1))
    ttl = {key: clean_redis.ttl(f"resque:{key}") for key in statistics_in(clean_redis)}
    wanted = {"minute": 26 * 3600, "hour": 90 * 86400, "day": 90 * 86400, "throughput": 27 * 3600}
    assert len(ttl) == len(wanted)
    for key, seconds in ttl.items():
        assert wanted[key.split(":")[2]] - 5 <= seconds <= wanted[key.split(":")[2]]
    assert not any(key.startswith("django:stats") for key in lasting(clean_redis))


def test_two_hundred_commands_are_told_apart_and_the_rest_is_summed_up(process, clean_redis):
    for first in range(0, 300, 100):
        process.turn(*(told(f"command{number}", "default", 1) for number in range(first, first + 100)))
    process.turn(told("command0", "default", 1), told("command299", "default", 1))
    for key, value in statistics_in(clean_redis).items():
        if "throughput" not in key:
            assert len(value) == MOST_COMMANDS + 1
    found = {figures.command: figures.count for figures in store().statistics.figures("hour", now())}
    assert len(found) == MOST_COMMANDS + 1
    assert found["command0"] == 2
    assert found[OTHER] == 101
    assert sum(point.processed for point in store().statistics.throughput(now())) == 302


@pytest.mark.parametrize("kind", ["minute", "hour", "day", "throughput"])
def test_a_key_of_the_wrong_type_hinders_no_job(process, clean_redis, kind):
    at = store().time()
    length = {"minute": 60, "day": 86400}.get(kind, 3600)
    for second in (at, at + 60):  # the next minute may begin meanwhile
        clean_redis.set(f"resque:django:stats:{kind}:{second // length * length}", "a string")
    clean_redis.rpush("resque:queue:default", "a")
    answer = process.turn(told("mail", "high", 1), wanted=1)
    assert [job.payload for job in answer.jobs] == [b"a"]
    assert any("WRONGTYPE" in message and kind in message for message in answer.trouble)
    statistics = store().statistics
    assert sum(point.processed for point in statistics.throughput(now())) == (kind != "throughput")
    assert len(statistics.figures("hour", now())) == (kind != "minute")
    is_whole = int(now()) // 3600 % 24 == 23  # then the last 24 hours are a day, which is read at once
    assert len(statistics.figures("day", now())) == (kind != ("day" if is_whole else "hour"))
    assert statistics.rates(now()).keys() == ({"high"} if kind != "minute" else set())


GARBAGE = [b"", b"1", b"one two", b"1 2 -3 4", b"9" * 5000, b"nan " * 19, b"\xff\x00", b"x" * 1_000_000, b"1 " * 400]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_among_the_sums_is_replaced(process, clean_redis, garbage):
    process.turn(told("mail", "high", 5))
    for key in clean_redis.keys("resque:django:stats:*"):
        for field in clean_redis.hkeys(key):
            clean_redis.hset(key, field, garbage)
    statistics = store().statistics
    for span in ("hour", "day", "week"):
        assert statistics.figures(span, now()) == []
    assert statistics.rates(now()) == {}
    assert len(statistics.throughput(now())) == 60
    for _ in range(2):
        assert process.turn(told("mail", "high", 2)).state == "ok"
    for span in ("hour", "day"):
        assert [figures.count for figures in statistics.figures(span, now())] == [4]


def test_numbers_too_large_for_anything_do_not_stay(process, clean_redis):
    field, _ = pack("mail", "high", sums(1))
    for key in ("hour", "day"):
        second = store().time() // (3600 if key == "hour" else 86400) * (3600 if key == "hour" else 86400)
        clean_redis.hset(f"resque:django:stats:{key}:{second}", field, b"9" * 390)
    for _ in range(3):
        process.turn(told("mail", "high", 1))
    assert [figures.count for figures in store().statistics.figures("day", now())] == [3]


def test_sums_are_written_while_the_memory_is_full(process, clean_redis):
    with full(clean_redis):
        assert process.turn(told("mail", "high", 2), renew=True, memory=5).trouble == []
    (figures,) = store().statistics.figures("hour", now())
    assert figures.count == 2


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("send_mail", "send_mail"),
        ("", ""),
        ("with blank and ü", "with blank and ü"),
        ("a\tb\nc\x00d", "a�b�c�d"),
        ("\u202eright to left", "�right to left"),
        ("\ud800", "�"),
        ("x" * 1_000_000, "x" * 200),
    ],
)
def test_names_are_cleaned_before_they_become_fields(process, clean_redis, name, kept):
    process.turn(told(name, "queue", 1), told("command", name, 1))
    first, second = sorted(store().statistics.figures("hour", now()), key=lambda figures: figures.queue == "queue")
    assert (first.command, first.queue) == ("command", kept)
    assert (second.command, second.queue) == (kept, "queue")


# -- what is read ------------------------------------------------------------------------------------------------------


def test_minutes_come_in_order_and_without_gaps(clean_redis):
    clean_redis.hset(f"resque:django:stats:throughput:{HOUR}", mapping={"p0": 4, "p1": 7, "f1": 2, "p59": 1})
    clean_redis.hset(f"resque:django:stats:throughput:{HOUR - 3600}", mapping={"p59": 3, "f59": b"garbage", "p58": -1})
    points = store().statistics.throughput(HOUR + 119.9, minutes=4)
    assert points == [
        Point(HOUR - 120, 0, 0),
        Point(HOUR - 60, 3, 0),
        Point(HOUR, 4, 0),
        Point(HOUR + 60, 7, 2),
    ]


@pytest.mark.parametrize(("asked", "given"), [(1, 1), (60, 60), (1440, 1440), (10**9, 1560), (0, 0), (-5, 0)])
def test_as_many_minutes_are_read_as_are_kept(clean_redis, asked, given):
    points = store().statistics.throughput(MINUTE, minutes=asked)
    assert [point.time for point in points] == [MINUTE - 60 * place for place in range(given)][::-1]


def test_spans_end_with_what_is_under_way(clean_redis):
    for minutes, count in ((0, 1), (59, 10), (60, 100)):
        put(clean_redis, "minute", MINUTE - 60 * minutes, "mail", "high", count)
    for hours, count in ((0, 1), (23, 10), (24, 100)):
        put(clean_redis, "hour", HOUR - 3600 * hours, "mail", "high", count)
    counts = [store().statistics.figures(span, MINUTE + 30)[0].count for span in ("hour", "day")]
    assert counts == [11, 11]


@pytest.mark.parametrize("at", [DAY, DAY + 1, DAY + 5 * 3600, DAY + 23 * 3600, DAY + 86399])
def test_a_week_is_the_last_168_hours_whatever_the_time_of_the_day(clean_redis, at):
    hours = [at // 3600 * 3600 - 3600 * place for place in range(200)]
    days: dict[int, int] = {}
    for place, hour in enumerate(hours):
        count = 1 if place < 168 else 1000
        put(clean_redis, "hour", hour, "mail", "high", count, longest=place)
        days[hour // 86400 * 86400] = days.get(hour // 86400 * 86400, 0) + count
    for day, count in days.items():
        put(clean_redis, "day", day, "mail", "high", count)
    (figures,) = store().statistics.figures("week", at)
    assert figures.count == 168


def test_more_commands_than_are_told_apart_are_summed_up(clean_redis):
    for hour in range(3):
        for number in range(100):
            put(
                clean_redis,
                "hour",
                HOUR - 3600 * hour,
                f"command{hour}-{number}",
                "default",
                number + 1,
                longest=number,
            )
        put(clean_redis, "hour", HOUR - 3600 * hour, OTHER, OTHER, 7, longest=5)
    found = store().statistics.figures("day", MINUTE)
    assert len(found) == MOST_COMMANDS + 1
    assert sum(figures.count for figures in found) == 3 * (5050 + 7)
    (other,) = [figures for figures in found if figures.command == OTHER]
    smallest = sorted(number + 1 for number in range(100) for _ in range(3))[:100]
    assert other.count == sum(smallest) + 21
    assert other.longest == smallest[-1] - 1


def test_jobs_a_minute_by_queue(clean_redis):
    for place, count in enumerate((3, 10, 10, 10, 10, 10, 1000)):
        put(clean_redis, "minute", MINUTE - 60 * place, "mail", "high", count)
    put(clean_redis, "minute", MINUTE - 60, "other", "high", 2)
    put(clean_redis, "minute", MINUTE - 60, "mail", "low", 11)
    put(clean_redis, "minute", MINUTE - 60, "mail", "idle", 0, retries=1)
    assert store().statistics.rates(MINUTE + 30) == {"high": 55 / 5.5, "low": 11 / 5.5}
    assert store().statistics.rates(MINUTE, minutes=1) == {"high": 15, "low": 11}


def test_nothing_is_written_by_reading(process, clean_redis):
    process.turn(told("mail", "high", 5))
    before = state(clean_redis)
    statistics = store().statistics
    statistics.throughput(now(), 1560)
    statistics.rates(now())
    for span in ("hour", "day", "week"):
        statistics.figures(span, now())
    assert state(clean_redis) == before


def test_a_stranger_hash_is_not_read_to_its_end(clean_redis):
    key = f"resque:django:stats:minute:{MINUTE}"
    clean_redis.hset(key, mapping={f"command{number}\tdefault": b"1 " * 18 + b"1" for number in range(50_000)})
    found = store().statistics.figures("hour", MINUTE)
    assert len(found) == MOST_COMMANDS + 1
    assert sum(figures.count for figures in found) < 5_000


def test_a_full_week_is_read_quickly(clean_redis):
    fields = dict(
        pack(f"command_number_{number}", f"queue_{number % 5}", [9999, 99, 9, 10**11, 10**8, *[99] * (len(BOUNDS) + 1)])
        for number in range(MOST_COMMANDS)
    )
    pipeline = clean_redis.pipeline(transaction=False)
    for hour in range(168):
        pipeline.hset(f"resque:django:stats:hour:{HOUR - 3600 * hour}", mapping=fields)
    for day in range(8):
        pipeline.hset(f"resque:django:stats:day:{DAY - 86400 * day}", mapping=fields)
    pipeline.execute()
    began = time.perf_counter()
    assert len(store().statistics.figures("week", MINUTE)) == MOST_COMMANDS
    assert time.perf_counter() - began < 1  # 0.05 s on a machine that does nothing else


def test_without_redis_it_is_said_so(clean_redis, settings):
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    for read in (
        lambda: store().statistics.throughput(MINUTE),
        lambda: store().statistics.figures("day", MINUTE),
        lambda: store().statistics.rates(MINUTE),
    ):
        with pytest.raises(StoreUnavailable):
            read()
