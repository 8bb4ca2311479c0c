"""Failure records: any is read, ours are written as the family reads them. What the other programs have written is in
``tests/wire/test_reading.py``."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from django_resque.failure import Failure, failure_record, parse_time, payload_object, shrunk
from django_resque.job import MAX_READABLE

NOW = datetime(2026, 11, 20, 13, 21, 45, tzinfo=UTC)
PAYLOAD = b'{"class":"act","args":[[1, 2.50]],"id":"8d1f","queue_time":1.0}'
RECORD = failure_record(
    payload=PAYLOAD,
    queue="mail",
    worker="box1~k3x9qa-1:4711:mail",
    exception="ValueError",
    error="é",
    backtrace=["first", "second"],
    extra={"output": "the end"},
    now=NOW,
)


# -- writing -----------------------------------------------------------------------------------------------------------


def test_a_record_is_written_to_the_byte():
    assert RECORD.decode() == (
        '{"failed_at":"2026/11/20 13:21:45 UTC",'
        '"payload":{"class":"act","args":[[1, 2.50]],"id":"8d1f","queue_time":1.0},'
        '"exception":"ValueError","error":"é","backtrace":["first","second"],'
        '"worker":"box1~k3x9qa-1:4711:mail","queue":"mail","output":"the end"}'
    )


def test_a_record_of_ours_is_read_whole():
    failure = Failure.from_record(RECORD)
    assert failure.raw == RECORD
    assert failure.failed_at == NOW
    assert failure.job is not None
    assert (failure.job.command, failure.job.args, failure.job.id) == ("act", (1, 2.5), "8d1f")
    assert (failure.exception, failure.error, failure.backtrace) == ("ValueError", "é", ["first", "second"])
    assert (failure.worker, failure.queue) == ("box1~k3x9qa-1:4711:mail", "mail")
    assert failure.extra == {"output": "the end"}


@pytest.mark.parametrize("payload", [b'{"class":"a","args":[1.0, 12345678901234567890]}', b"{}", b' {"args": {}}'])
def test_an_object_stands_in_the_record_as_it_was(payload: bytes):
    assert payload_object(payload) == payload


@pytest.mark.parametrize("payload", [b"", b"not json", b"\xff\x00", b"[1]", b"null", b'{"a":NaN}', b'{"a":1,"a":2}'])
def test_what_is_no_object_is_replaced_by_a_stub_with_its_bytes(payload: bytes):
    stub = json.loads(payload_object(payload))
    assert stub == {"class": "", "args": [], "base64": base64.b64encode(payload).decode()}
    record = failure_record(payload=payload, queue="q", worker="w", exception="", error="", now=NOW)
    assert json.loads(record)["payload"] == stub
    assert Failure.from_record(record).job is None


@pytest.mark.parametrize("start", [b'{"class":"act"}', b"not json", b"\xff\x00"])
def test_of_a_payload_too_large_to_be_read_its_size_hash_and_beginning_are_kept(start: bytes):
    payload = start.ljust(MAX_READABLE + 1)
    assert json.loads(payload_object(payload)) == {
        "class": "",
        "args": [],
        "bytes": MAX_READABLE + 1,
        "sha1": hashlib.sha1(payload).hexdigest(),
        "base64": base64.b64encode(payload[:2048]).decode(),
    }
    record = failure_record(
        payload=payload, queue="mail", worker="w", exception="InvalidPayload", error="large", now=NOW
    )
    failure = Failure.from_record(record)
    assert (failure.job, failure.exception, failure.error, failure.queue) == (None, "InvalidPayload", "large", "mail")


# -- shrinking ---------------------------------------------------------------------------------------------------------


def test_an_old_record_loses_its_traceback_and_its_output():
    assert shrunk(RECORD) == RECORD.replace(b'["first","second"]', b"[]").replace(b',"output":"the end"', b"")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            b'{"exception":"E", "backtrace":["a", "b"], "retried_at":"2026/11/20", "payload":{"args":[1.50,NaN]}}',
            b'{"exception":"E","backtrace":[],"retried_at":"2026/11/20","payload":{"args":[1.50,NaN]}}',
        ),
        (b'{"backtrace":"a\\nb"}', b'{"backtrace":[]}'),
        (b'{"output":"a","payload":{"output":"b"}}', b'{"payload":{"output":"b"}}'),
        (b'{"\\ud800":1,"output":2}', b'{"\\ud800":1}'),
    ],
)
def test_a_record_of_another_program_keeps_everything_else(raw: bytes, expected: bytes):
    assert shrunk(raw) == expected


@pytest.mark.parametrize(
    "raw",
    [b"", b"not json", b"[]", b"{}", b'{"backtrace":[]}', b'{"backtrace":null, "error":"a"}', b'{"a":["backtrace"]}'],
)
def test_a_record_that_has_nothing_to_lose_is_not_replaced(raw: bytes):
    assert shrunk(raw) is None


# -- anything ----------------------------------------------------------------------------------------------------------

ANY_TEXT = st.text(st.characters())  # halves of surrogate pairs too


@given(payload=st.binary(), text=ANY_TEXT, lines=st.lists(ANY_TEXT, max_size=3))
@example(payload=b"{}", text="\ud800", lines=["\udfff"])
def test_a_record_of_anything_is_read_back(payload: bytes, text: str, lines: list[str]):
    raw = failure_record(
        payload=payload,
        queue="mail",
        worker="w",
        exception=text,
        error=text,
        backtrace=lines,
        extra={"output": text},
        now=NOW,
    )
    record = json.loads(raw.decode())
    assert isinstance(record["payload"], dict)
    failure = Failure.from_record(raw)
    assert failure.failed_at == NOW
    assert (failure.exception, failure.error) == (record["error"], record["error"])
    assert failure.backtrace == record["backtrace"]
    assert len(failure.backtrace) == len(lines)


# -- reading -----------------------------------------------------------------------------------------------------------


def test_a_record_of_nothing_has_nothing():
    failure = Failure.from_record(b'{"exception":"E"}')
    assert failure.exception == "E"
    assert (failure.failed_at, failure.job) == (None, None)
    assert (failure.error, failure.backtrace, failure.worker, failure.queue) == ("", [], "", "")
    assert failure.extra == {}


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"", ""),
        (b"not json", "not json"),
        (b"\xffnot text", "\\xffnot text"),
        (b"{}", "{}"),
        (b'["a list"]', '["a list"]'),
        (b"null", "null"),
        (b"[" * 100_000, "[" * 2048),
        (b"9" * 5000, "9" * 2048),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_record_is_shown_as_it_is(raw: bytes, shown: str):
    failure = Failure.from_record(raw)
    assert failure.raw == raw
    assert failure.error == shown
    assert (failure.failed_at, failure.job, failure.backtrace) == (None, None, [])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", "text"),
        (None, ""),
        (5, "5"),
        (True, "true"),
        (["a", 1], '["a", 1]'),
        ({"a": None}, '{"a": null}'),
        ("\ud800", "\\ud800"),
        ("\x00", "\x00"),
    ],
)
def test_texts_may_be_anything(value: object, text: str):
    record = {"exception": value, "error": value, "worker": value, "queue": value, "backtrace": [value, "last"]}
    failure = Failure.from_record(json.dumps(record).encode())
    assert {failure.exception, failure.error, failure.worker, failure.queue} == {text}
    assert failure.backtrace == [text, "last"]


@pytest.mark.parametrize("backtrace", [None, "one line", 5, {"0": "a line"}])
def test_a_backtrace_that_is_no_list_is_empty(backtrace: object):
    assert Failure.from_record(json.dumps({"backtrace": backtrace}).encode()).backtrace == []


@pytest.mark.parametrize("payload", [None, "", "text", 5, [], {}, {"class": None}, {"class": "a", "args": "b"}])
def test_a_payload_that_is_no_job_is_none(payload: object):
    assert Failure.from_record(json.dumps({"queue": "mail", "payload": payload}).encode()).job is None


@pytest.mark.parametrize("key", ["error", "backtrace", "payload", "other"])
def test_a_record_as_deep_as_python_goes_is_read(key: str):
    for depth in [*range(900, 1000), *range(1480, 1500), *range(9980, 10_000), 100_000]:  # where versions of it end
        Failure.from_record(f'{{"{key}":[{"[" * depth}{"]" * depth}]}}'.encode())


KEYS = ("failed_at", "payload", "exception", "error", "backtrace", "worker", "queue", "other")
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.sampled_from(["9999-12-31", "1/1/1 UTC"]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(("class", "args", "id")), below),
    max_leaves=8,
)


@given(
    st.binary()
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from(KEYS), JSON).map(lambda record: json.dumps(record).encode())
)
def test_any_bytes_are_read_as_a_failure(raw: bytes):
    failure = Failure.from_record(raw)
    texts = [failure.exception, failure.error, failure.worker, failure.queue, *failure.backtrace]
    assert all(isinstance(text, str) for text in texts)
    "".join(texts).encode()
    assert failure.failed_at is None or failure.failed_at.tzinfo


# -- times -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "2026/11/20 13:21:45 UTC",  # Ruby and ours
        "2026/11/20 14:21:45 +0100",
        "2026/11/20 13:21:45",
        "2026-11-20 13:21:45 +0000",
        "2026-11-20T13:21:45Z",
        "2026-11-20T13:21:45+00:00",
        "2026-11-20T14:21:45.000+01:00",
        "2026-11-20T13:21:45",
        "Fri Nov 20 13:21:45 UTC 2026",  # PHP
        "Fri Nov 20 13:21:45 GMT 2026",
        "Fri Nov 20 16:21:45 +03 2026",
        "Fri Nov 20 18:51:45 +0530 2026",
        "Fri Nov 20 2026 13:21:45 GMT+0000 (Coordinated Universal Time)",  # JavaScript
        "Fri Nov 20 2026 05:21:45 GMT-0800 (Pacific Standard Time)",
        "  2026/11/20 13:21:45 UTC\n",
        1795180905,
        1795180905.0,
    ],
)
def test_a_time_is_read_in_every_format_of_the_family(text: object):
    assert parse_time(text) == NOW
    found = parse_time(text)
    assert found is not None
    assert found.tzinfo is not None


@pytest.fixture
def local_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Changes this process's time zone, as Django does for ``TIME_ZONE``."""

    def change(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield change
    monkeypatch.undo()
    time.tzset()


BERLIN, CHICAGO, SHANGHAI = "CET-1CEST,M3.5.0,M10.5.0/3", "CST6CDT,M3.2.0,M11.1.0", "CST-8"


@pytest.mark.parametrize(
    ("zone", "text", "expected"),
    [
        (BERLIN, "Fri Nov 20 14:21:45 CET 2026", NOW),
        (BERLIN, "Mon Jul 20 15:21:45 CEST 2026", datetime(2026, 7, 20, 13, 21, 45, tzinfo=UTC)),
        (BERLIN, "Fri Nov 20 13:21:45 UTC 2026", NOW),
        (CHICAGO, "Fri Nov 20 07:21:45 CST 2026", NOW),
        (SHANGHAI, "Fri Nov 20 21:21:45 CST 2026", NOW),
        (BERLIN, "Fri Nov 20 07:21:45 CST 2026", None),
    ],
)
def test_the_name_of_a_time_zone_is_understood_in_that_zone(
    local_time: Callable[[str], None], zone: str, text: str, expected: datetime | None
):
    local_time(zone)
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        [],
        {},
        float("nan"),
        1e300,
        10**400,
        "",
        "now",
        "2026",
        "1795180905",
        "2026/13/20 13:21:45 UTC",
        "Fri Nov 20 99:21:45 UTC 2026",
        "Mon Jan 1 00:00:00 CST 1",
        "(" * 100000,
        " " * 100000,
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_no_time_is_none(value: object):
    assert parse_time(value) is None


def test_times_at_either_end_of_the_calendar_are_read():
    assert parse_time("0001-01-01T00:00:00+23:00") == datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=23)))
    assert parse_time("9999/12/31 23:59:59 UTC") == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
