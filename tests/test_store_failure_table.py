"""The failed list at a glance, filters that pass over what cannot fit, and finding one record among many."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from django_resque.errors import StoreError
from django_resque.failure import Failure, failure_record, parse_time
from django_resque.job import Job, digest
from django_resque.store import FailureFilter, FailureTable, store
from django_resque.store import failure_table as module
from django_resque.store.failure_filter import text_of
from django_resque.store.failures import SOUGHT_FIRST

from .garbage import RECORDED, mutated

FAILED = "resque:failed"
NOW = datetime(2026, 11, 20, 13, 21, 45, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    store().close()


def record(command: str = "act", *args: Any, options: dict[str, Any] | None = None, **given: Any) -> bytes:
    fields: dict[str, Any] = {
        "queue": "mail",
        "worker": "box1~k3f9ad-1:42:mail",
        "exception": "ValueError",
        "error": "went wrong",
        "backtrace": ["Traceback (most recent call last):", '  File "/srv/site/x.py", line 3, in y'],
        "extra": {"output": "said\n" * 100, "exit_status": "3"},
        "now": NOW,
    }
    return failure_record(payload=Job(command, args, options or {}).payload(), **{**fields, **given})


def table() -> FailureTable:
    return store().failure_table()


def in_short(raw: bytes) -> tuple[str, str, str, datetime | None]:
    failure = Failure.from_record(raw)
    return failure.job.command if failure.job else "", failure.exception, failure.queue, failure.failed_at


NESTED = [
    record(options={"backtrace": ["a", "b"], "worker": "x", "output": "y", "exception": "z"}),
    record("act", {"backtrace": ["a"], "worker": "x"}, {"a": [], "worker": "x"}),
    record("act", ',"backtrace":[', '],"worker":"', ',"output":"'),
    record(error='},"exception":"X","backtrace":[]}', backtrace=['],"worker":"evil","queue":"evil"']),
    record(worker=',"output":"', queue='q,"output":"'),
    record(extra={}),
    record(backtrace=[]),
    record(extra={"attempts": 2, "history": [{"attempt": 1, "exception": "A", "backtrace": ["x"], "output": "o"}]}),
]


@pytest.mark.parametrize("raw", [*NESTED, *RECORDED], ids=lambda raw: raw[:60].decode("utf-8", "replace"))
def test_a_record_in_short_says_what_the_whole_one_says(clean_redis: redis.Redis, raw: bytes):
    clean_redis.rpush(FAILED, raw)
    (head,) = table().heads
    assert head[1:] == in_short(raw)


def test_also_when_it_was_a_record_before_something_happened_to_it(clean_redis: redis.Redis):
    whole = record("act", "é", {"x": 1})
    chance = random.Random(3)
    raws = list(mutated(chance, 500))
    for _ in range(500):
        at = chance.randrange(len(whole))
        raws.append(whole[:at] + bytes([chance.randrange(256)]) + whole[at + 1 :])
    # what is cut away is not looked into: there alone a record may be broken without being told from others
    raws = [raw for raw in raws if not Failure.from_record(raw).is_unreadable or not raw.startswith(b'{"failed_at":')]
    clean_redis.rpush(FAILED, *raws)
    assert [head[1:] for head in table().heads] == [in_short(raw) for raw in reversed(raws)]


def test_the_newest_come_first_each_with_its_position(clean_redis: redis.Redis):
    raws = [record(f"command_{number}") for number in range(250)]
    clean_redis.rpush(FAILED, *raws)
    found = table()
    assert (found.count, found.seen, found.unread) == (250, 250, 0)
    assert [(head.position, head.command) for head in found.heads] == [
        (number, f"command_{number}") for number in reversed(range(250))
    ]
    chosen = [found.heads[at].position for at in (0, 100, 249)]
    assert [failure.raw for failure in store().failures.at([*chosen, 999])] == [raws[249], raws[149], raws[0]]


def test_an_empty_list_and_a_key_of_another_type(clean_redis: redis.Redis):
    assert (table().heads, table().count) == ([], 0)
    clean_redis.set(FAILED, "surprise")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        table()


def test_the_newest_ten_thousand_are_looked_at(clean_redis: redis.Redis, monkeypatch):
    monkeypatch.setattr(module, "MOST", 120)
    clean_redis.rpush(FAILED, *(record(f"command_{number}") for number in range(300)))
    found = table()
    assert (found.count, found.seen, len(found.heads)) == (300, 120, 120)
    assert found.heads[-1].command == "command_180"


def test_fewer_when_they_are_large_and_none_that_is_huge(clean_redis: redis.Redis, monkeypatch):
    large = [record("act", "x" * 20_000) for _ in range(150)]
    clean_redis.rpush(FAILED, *large)
    monkeypatch.setattr(module, "MOST_BYTES", 2_500_000)
    assert 110 < table().seen < 130
    monkeypatch.undo()
    clean_redis.rpush(FAILED, record("act", backtrace=["x" * 2_000_000]), b'{"error":"%b"}' % (b"x" * 3_000_000))
    found = table()
    assert (found.unread, found.seen, found.count) == (1, 152, 152)
    assert found.heads[0][:2] == (150, "act")


def test_a_record_that_is_nested_deeply_has_no_job_that_could_be_read(clean_redis: redis.Redis):
    deep = b'{"payload":{"class":"act","args":[%b]},"exception":"E"}' % (b"[" * 400 + b"]" * 400)
    assert Failure.from_record(deep).job is None
    clean_redis.rpush(FAILED, deep)
    assert table().heads[0][1:] == ("", "E", "", None)
    assert Failure.from_record(record("act", *[[]] * 150)).job is not None


# -- filters -----------------------------------------------------------------------------------------------------------

MANY = [
    *(Failure.from_record(raw) for raw in RECORDED),
    *(Failure.from_record(raw) for raw in NESTED),
    Failure.from_record(record("act", "Straße", "ÉCOLE", "K", 1.50, 1e20, True, exception="App\\Jobs\\Über")),
    Failure.from_record(json.dumps({"payload": {"class": "Größe/x", "args": []}, "queue": ["é"]}).encode()),
    Failure.from_record(b"no JSON, no job"),
]


@pytest.mark.parametrize("failure", MANY, ids=lambda failure: failure.raw[:40].decode("utf-8", "replace"))
def test_what_fits_is_never_passed_over_unread(failure: Failure):
    command = failure.job.command if failure.job else ""
    exact = FailureFilter(command=command, exactly=failure.exception, queue=failure.queue)
    assert exact(failure)
    assert exact.may_be_in(failure.raw)
    text = text_of(failure)
    for start in range(0, len(text), 7):
        for word in (text[start : start + 12], text[start : start + 12].upper(), text[start : start + 12].casefold()):
            which = FailureFilter(text=word)
            assert not which(failure) or which.may_be_in(failure.raw), word


def test_what_cannot_fit_is_passed_over():
    raw = record("act", 1)
    assert FailureFilter(text="went").may_be_in(raw)
    for which in (
        FailureFilter(command="echo"),
        FailureFilter(queue="low"),
        FailureFilter(exactly="KeyError"),
        FailureFilter(exception="KeyError"),
        FailureFilter(text="nowhere"),
    ):
        assert not which.may_be_in(raw)


def test_a_group_is_those_with_the_same_whole_name_and_those_without():
    named = Failure.from_record(record(exception="shop.NoStock"))
    short = Failure.from_record(record(exception="NoStock"))
    none = Failure.from_record(record(exception=""))
    broken = Failure.from_record(b"no JSON")
    assert [FailureFilter(exactly="NoStock")(each) for each in (named, short, none)] == [False, True, False]
    assert [FailureFilter(exactly="")(each) for each in (named, none, broken)] == [False, True, True]
    assert [FailureFilter(command="")(each) for each in (named, none, broken)] == [False, False, True]


def test_a_text_is_looked_for_in_what_is_shown_alone():
    failure = Failure.from_record(record("act", "hunter2"))
    assert FailureFilter(text="hunter2")(failure)
    assert not FailureFilter(text="hunter2", shown=lambda failure: "●●●")(failure)
    assert FailureFilter(text="●●●", shown=lambda failure: "●●●")(failure)
    assert FailureFilter(text="hunter3", shown=text_of).may_be_in(failure.raw)  # not even the time tells
    assert not FailureFilter(text="hunter3").may_be_in(failure.raw)
    assert FailureFilter(text="went", shown=text_of)(failure)


def test_an_id_that_a_job_was_only_given_when_it_was_read_is_not_found():
    failure = Failure.from_record(b'{"payload":{"class":"Archive","args":[1]}}')
    assert failure.job is not None
    assert failure.job_id == ""
    assert not FailureFilter(text=failure.job.id[:4])(failure)


# -- finding one -------------------------------------------------------------------------------------------------------


def test_one_is_found_by_its_digest_wherever_it_is(clean_redis: redis.Redis):
    raws = [b"record %d" % number for number in range(SOUGHT_FIRST + 777)]
    clean_redis.rpush(FAILED, *raws)
    for raw in (raws[0], raws[49], raws[776], raws[777], raws[-1], raws[-50], raws[-51]):
        found = store().failures.find(digest(raw))
        assert found is not None
        assert found.raw == raw
    assert store().failures.find(digest(b"another")) is None
    assert store().failures.find("") is None


def test_some_are_found_by_their_digests_the_newest_first(clean_redis: redis.Redis):
    raws = [b"record %d" % number for number in range(300)]
    clean_redis.rpush(FAILED, *raws, raws[7])
    found = store().failures.find_all([digest(raws[3]), digest(b"gone"), digest(raws[7]), digest(raws[250])])
    assert [failure.raw for failure in found] == [raws[7], raws[250], raws[3]]
    assert store().failures.find_all([]) == []


# -- times -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026/11/20 13:21:45 UTC", NOW),
        ("2026/11/20 13:21:45 GMT", NOW),
        ("2026/11/20 14:21:45 +0100", NOW),
        ("2026/02/30 13:21:45 UTC", None),
        ("2026/11/20 25:21:45 UTC", None),
        ("2026/11/20 13:21:45 UTC ", NOW),
    ],
)
def test_our_own_times_are_read_as_before(text: str, time: datetime | None):
    assert parse_time(text) == time


def test_since_compares_with_the_second(clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, record(now=NOW), record(now=NOW - timedelta(seconds=1)))
    which = FailureFilter(since=NOW)
    assert [failure.failed_at for failure in store().failures.iterate(which)] == [NOW]
