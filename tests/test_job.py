"""Payloads: what is read, what is written, what is refused."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from django_resque.errors import InvalidPayload, InvalidQueue
from django_resque.job import (
    MAX_DEPTH,
    MAX_INTEGER,
    MAX_NODES,
    MAX_PAYLOAD,
    MAX_READABLE,
    RESERVED,
    Job,
    check_queue,
    dump_json,
    for_another_attempt,
    json_members,
    load_json,
)


def read(args: str, **others: object) -> Job:
    """The job in a payload with these ``args``, as JSON, and with ``others`` for top-level keys."""
    rest = "".join(f",{json.dumps(key)}:{json.dumps(value)}" for key, value in others.items())
    return Job.from_payload(f'{{"class":"act","args":{args}{rest}}}'.encode(), "mail")


# -- reading -----------------------------------------------------------------------------------------------------------

NOTHING: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        # flat, as Ruby and node write them
        ('["a"]', (("a",), {})),
        ('["a","b"]', (("a", "b"), {})),
        ('["a",{"x":1}]', (("a",), {"x": 1})),
        ('[null,"a"]', ((None, "a"), {})),
        ('[["a"],["b"]]', ((["a"], ["b"]), {})),
        ('[{"x":1},{"y":2}]', (({"x": 1},), {"y": 2})),
        # nested, as PHP and we write them
        ('[["a"]]', (("a",), {})),
        ('[["a","b"]]', (("a", "b"), {})),
        ('[["a",{"x":1}]]', (("a",), {"x": 1})),
        ('[[{"x":1}]]', ((), {"x": 1})),
        ("[[null]]", ((None,), {})),
        ("[[[1,2]]]", (([1, 2],), {})),
        # named, as PHP writes them
        ('[{"x":1}]', ((), {"x": 1})),
        ('[{"id":"x"}]', ((), {"id": "x"})),
        ('{"x":1}', ((), {"x": 1})),
        # lists that PHP has made objects of
        ('{"0":"a","1":"b"}', (("a", "b"), {})),
        ('[{"1":"b","0":"a"}]', (("a", "b"), {})),
        ('[{"2":"c","10":"d"}]', (("c", "d"), {})),
        ('[{"0":"a","s_time":1795183458,"id":"x"}]', (("a",), {})),
        ('[{"0":"a","1":{"x":1},"s_time":1795183458,"id":"x"}]', (("a",), {"x": 1})),
        ('[{"0":"a","x":1}]', (("a",), {"x": 1})),
        ('[{"00":"a"}]', ((), {"00": "a"})),
        # nothing
        ("null", NOTHING),
        ("[]", NOTHING),
        ("{}", NOTHING),
        ("[null]", NOTHING),
        ("[[]]", NOTHING),
        ("[{}]", NOTHING),
        ("[[{}]]", NOTHING),
    ],
)
def test_arguments_are_read_in_every_shape_of_the_family(args: str, expected: object):
    job = read(args)
    assert (job.args, job.options) == expected


def test_missing_arguments_are_none():
    job = Job.from_payload(b'{"class":"act"}', "mail")
    assert (job.command, job.args, job.options, job.queue) == ("act", (), {}, "mail")


def test_a_payload_of_ours_is_read_whole():
    raw = (
        b'{"class":"act","args":[["\xc3\xa9",{"x":1}]],"id":"8d1f","queue_time":1763644905.25,"prefix":"p","more":[1]}'
    )
    assert Job.from_payload(raw, "mail") == Job(
        "act", ("é",), {"x": 1}, "mail", "8d1f", 1763644905.25, {"prefix": "p", "more": [1]}
    )


@pytest.mark.parametrize("unusable", [None, "", 5, True, ["x"], "a b", "a:b", "a\nb", "é", "x" * 101])
def test_an_id_that_cannot_be_used_is_replaced(unusable: object):
    first, second = read("[]", id=unusable).id, read("[]", id=unusable).id
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first != second
    raw = json.dumps({"class": "act", "id": unusable}).encode()
    assert Job.from_payload(raw, "mail", otherwise_id="given").id == "given"


def test_a_usable_id_is_kept_whatever_is_offered_for_it():
    assert Job.from_payload(b'{"class":"act","id":"own"}', "mail", otherwise_id="given").id == "own"


@pytest.mark.parametrize("unusable", [None, "1763644905", True, [1], 2**53, -(10**400)])
def test_a_time_that_is_no_number_is_0(unusable: object):
    assert read("[]", queue_time=unusable).enqueued_at == 0.0


@pytest.mark.parametrize(
    ("prefix", "status_id"), [("pre", "pre_8d1f"), ("", "8d1f"), (None, "8d1f"), (7, "8d1f"), ("a:b", "8d1f")]
)
def test_the_status_of_a_job_is_under_php_resques_prefix(prefix: object, status_id: str):
    assert read("[]", id="8d1f", prefix=prefix).status_id == status_id


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not valid JSON"),
        (b"not json", "not valid JSON"),
        (b'{"class":"act"', "not valid JSON"),
        (b'{"class":"act"} {}', "not valid JSON"),
        (b'\xef\xbb\xbf{"class":"act"}', "not valid JSON"),
        (b'{"class":"a\nct"}', "not valid JSON"),
        (b'{"class":"act","args":[%b]}' % (b"9" * 5000), "not valid JSON"),
        (b'{"class":"\xff"}', "not UTF-8: invalid start byte at byte 10"),
        ('{"class":"act"}'.encode("utf-16"), "not UTF-8"),
        (b"null", "not a JSON object"),
        (b'["act"]', "not a JSON object"),
        (b'"act"', "not a JSON object"),
        (b"{}", "names no command"),
        (b'{"class":""}', "names no command"),
        (b'{"class":5}', "names no command"),
        (b'{"class":["act"]}', "names no command"),
        (b'{"class":"act","args":"a"}', '"args" must be a list'),
        (b'{"class":"act","args":5}', '"args" must be a list'),
        (b'{"class":"act","args":false}', '"args" must be a list'),
        (b'{"class":"act","class":"flush"}', "same key twice"),
        (b'{"class":"act","args":[{"x":1,"x":2}]}', "same key twice"),
        (b'{"class":"act","args":[NaN]}', "holds NaN"),
        (b'{"class":"act","args":[-Infinity]}', "holds -Infinity"),
        (b'{"class":"act","args":[1e999]}', "inf cannot be written as JSON"),
        (b'{"class":"act","args":["\\ud800"]}', "surrogate"),
        (b'{"class":"act","args":[{"\\udfff":1}]}', "surrogate"),
        (b'{"class":"act","args":%b}' % (b"[" * 40 + b"]" * 40), "nested deeper than 32"),
        (b'{"class":"act","args":[%b0]}' % (b"0," * MAX_NODES), "more than 10,000 values"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_payload_is_refused_with_a_reason(raw: bytes, message: str):
    with pytest.raises(InvalidPayload, match=re.escape(message)):
        Job.from_payload(raw, "mail")


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "piece", [b"[", b'{"a":', b"9", b"[],", b'"\\ud800",', b'{"a":0,"a":0},', b"-", b"1e", b'"\\', b" "]
)
def test_hostile_megabytes_are_refused_quickly(piece: bytes):
    with pytest.raises(InvalidPayload):
        Job.from_payload(b'{"class":"act","args":[' + piece * (2_000_000 // len(piece)), "mail")


def test_five_megabytes_are_the_most_that_is_read():
    raw = b'{"class":"act"}'
    assert Job.from_payload(raw.ljust(MAX_READABLE), "mail").command == "act"
    large = raw.ljust(MAX_READABLE + 1)
    sha1 = hashlib.sha1(large).hexdigest()
    with pytest.raises(InvalidPayload, match=f"5,000,001 bytes, .*5,000,000.* {sha1}"):
        Job.from_payload(large, "mail")


@pytest.mark.parametrize(
    ("raw", "members"),
    [
        ("{}", []),
        (' {\n"a" :\t[ 1.50 ] , "b":{"c":NaN}\r}  ', [("a", "[ 1.50 ]"), ("b", '{"c":NaN}')]),
        ('{"\\u00e9":"é","a":1,"a":2}', [("é", '"é"'), ("a", "1"), ("a", "2")]),
    ],
)
def test_the_members_of_an_object_keep_their_bytes(raw: str, members: list[tuple[str, str]]):
    assert json_members(raw.encode()) == [(key, value.encode()) for key, value in members]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"1",
        b"[]",
        b"{",
        b'{"a"',
        b'{"a":',
        b'{"a":1',
        b'{"a":1,',
        b'{"a":1,}',
        b"{,}",
        b'{"a" 1}',
        b'{"a":1 "b":2}',
        b"{1:2}",
        b"{} {}",
        b'{"a":1}}',
        b"{'a':1}",
        b'{"a":01}',
        b'{"\xff":1}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":%b' % (b"[" * 100000),
        b'{"a":%b}' % (b"9" * 5000),
    ],
    ids=lambda raw: repr(raw)[:20],
)
def test_what_is_no_object_has_no_members(raw: bytes):
    with pytest.raises(InvalidPayload, match="not a JSON object"):
        json_members(raw)


PIECES = ["{", "}", "[", "]", ",", ":", '"', "\\", "\\ud800", '"class"', '"act"', '"args"', '"id"', '"queue_time"', "1"]
NEAR_JSON = st.lists(
    st.sampled_from(PIECES) | st.sampled_from(["null", "NaN", "-1e999", '"0"', " "]) | st.text(max_size=3)
).map(lambda pieces: "".join(pieces).encode())
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(), below, max_size=4),
    max_leaves=12,
)
NEAR_PAYLOADS = st.fixed_dictionaries(
    {"class": st.just("act") | VALUES}, optional={"args": VALUES, "id": VALUES, "queue_time": VALUES, "prefix": VALUES}
).map(lambda payload: json.dumps(payload).encode())


@given(st.binary() | NEAR_JSON | NEAR_PAYLOADS)
@example(b'{"class":"act","args":' + b"[" * 100_000)
@example(b'{"class":"act","queue_time":1' + b"0" * 400 + b"}")
def test_any_bytes_are_a_job_or_an_invalid_payload(raw: bytes):
    try:
        job = Job.from_payload(raw, "mail")
    except InvalidPayload:
        pass
    else:
        assert job.command
        assert job.id
        assert isinstance(job.args, tuple)
        assert isinstance(job.options, dict)
        assert isinstance(job.enqueued_at, float)
        str(job).encode()
        job.status_id.encode("ascii")


# -- writing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "options", "written"),
    [
        ((), {}, "[[]]"),
        ((42, "a"), {}, '[[42,"a"]]'),
        ((), {"x": None}, '[[{"x":null}]]'),
        ((42,), {"b": [1, 2.5], "a": True}, '[[42,{"b":[1,2.5],"a":true}]]'),
        (("é</a>\u2028\n\"'",), {}, '[["é</a>\u2028\\n\\"\'"]]'),
        ((MAX_INTEGER, -MAX_INTEGER, 1e300), {}, "[[9007199254740992,-9007199254740992,1e+300]]"),
    ],
)
def test_a_payload_is_written_to_the_byte(args: tuple[Any, ...], options: dict[str, Any], written: str):
    job = Job("act", args, options, "mail", "8d1f", 1763644905.25, {"prefix": "p"})
    expected = f'{{"class":"act","args":{written},"id":"8d1f","queue_time":1763644905.25,"prefix":"p"}}'
    assert job.payload() == expected.encode()


def test_a_new_job_has_an_id_of_32_hexadecimal_digits_and_its_time():
    payload = json.loads(Job("act").payload())
    assert list(payload) == ["class", "args", "id", "queue_time"]
    assert re.fullmatch("[0-9a-f]{32}", payload["id"])
    assert isinstance(payload["queue_time"], float)


def nested(depth: int) -> list[Any]:
    """Lists in a list, ``depth`` of them in all."""
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


itself: list[Any] = []
itself.append(itself)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "nan cannot be written as JSON: pass None or a text"),
        (float("-inf"), "-inf cannot be written as JSON"),
        (MAX_INTEGER + 1, "The integer 9007199254740993 is beyond ±2^53 and would be rounded by other readers"),
        ([{"deep": -MAX_INTEGER - 1}], "beyond ±2^53"),
        ("\ud800", "half of a surrogate pair"),
        ({"\udfff": 1}, "half of a surrogate pair"),
        pytest.param(
            object(),
            "The arguments cannot be written as JSON: Object of type object is not JSON serializable",
            id="object",
        ),
        (b"bytes", "cannot be written as JSON"),
        (nested(MAX_DEPTH + 2), "The arguments are nested deeper than 32 levels"),
        (itself, "nested deeper than 32 levels"),
        ([0] * MAX_NODES, "The arguments hold more than 10,000 values"),
        ("x" * MAX_PAYLOAD, "bytes, the limit is 524,288: store the data and pass its key or path"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_some_reader_would_not_get_as_it_was_is_refused(value: Any, message: str):
    for job in (Job("act", (value,)), Job("act", options={"x": value}), Job("act", extra={"x": value})):
        with pytest.raises(InvalidPayload, match=re.escape(message)):
            job.payload()


def test_a_payload_of_512_kilobytes_is_the_largest():
    room = MAX_PAYLOAD - len(Job("act", ("",), id="i", enqueued_at=0.0).payload())
    assert len(Job("act", ("x" * room,), id="i", enqueued_at=0.0).payload()) == MAX_PAYLOAD
    with pytest.raises(InvalidPayload, match="524,289 bytes"):
        Job("act", ("x" * (room + 1),), id="i", enqueued_at=0.0).payload()


@pytest.mark.parametrize(
    ("args", "most"),
    [(lambda size: (nested(size),), MAX_DEPTH), (lambda size: (0,) * size, MAX_NODES)],
    ids=["depth", "number"],
)
def test_the_most_that_can_be_written_can_be_read(args: Callable[[int], tuple[Any, ...]], most: int):
    written = 0
    for size in range(most - 10, most + 2):
        job = Job("act", args(size))
        try:
            raw = job.payload()
        except InvalidPayload:
            break
        assert Job.from_payload(raw, "default") == job
        written = size
    assert most - 10 < written < most


JOBS = st.builds(
    Job,
    command=st.text(min_size=1),
    args=st.lists(VALUES, max_size=5).map(tuple),
    options=st.dictionaries(st.text(), VALUES, max_size=5),
    id=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=":"), min_size=1, max_size=100),
    enqueued_at=st.floats(min_value=0, max_value=2**40),
    extra=st.dictionaries(
        st.text().filter(lambda key: key not in ("class", "args", "id", "queue_time")), VALUES, max_size=3
    ),
).filter(lambda job: job.options or not job.args or not isinstance(job.args[-1], dict))  # `bind` refuses those


@given(JOBS)
def test_a_job_is_read_as_it_was_written(job: Job):
    raw = job.payload()
    assert Job.from_payload(raw, job.queue) == job
    assert Job.from_mapping(load_json(raw), job.queue) == job
    assert Job.from_payload(raw, job.queue).payload() == raw


# -- delayed jobs and further attempts ---------------------------------------------------------------------------------

LIMITED = st.fixed_dictionaries(
    {},
    optional={
        "timeout": st.floats(0.1, 9),
        "unique": st.just(["a key", 60.0]),
        "attempt": st.integers(1, 9),
        "history": st.just([{"attempt": 1, "error": "é"}]),
    },
)


@given(JOBS, LIMITED)
def test_a_delayed_job_is_read_as_it_was_written(job: Job, extra: dict[str, Any]):
    job = replace(job, options={**job.options} | {"x": 1}, extra=extra)
    item = job.delayed_item()
    assert json.loads(item)["queue"] == "default"
    promoted = Job.from_payload(item, "default")  # what is promoted is pushed as it is
    assert replace(promoted, extra={key: value for key, value in promoted.extra.items() if key != "queue"}) == job


def test_a_delayed_job_keeps_its_id_and_limits_where_foreign_schedulers_hand_on_its_arguments_alone():
    job = Job("act", ("a",), {"x": 1}, queue="mail", extra={"timeout": 5, "max_attempts": 3})
    item = json.loads(job.delayed_item())
    assert item["args"] == [["a", {"x": 1, RESERVED: {"id": job.id, "timeout": 5, "max_attempts": 3}}]]
    handed_on = dump_json({"class": item["class"], "args": item["args"], "id": "another", "queue_time": 7})
    found = Job.from_payload(handed_on, "mail")
    assert (found.id, found.args, found.options) == (job.id, job.args, job.options)
    assert found.extra == {"timeout": 5, "max_attempts": 3}


@pytest.mark.parametrize("carried", ["text", 5, None, [], {"id": 5}, {"id": "white space"}])
def test_what_a_stranger_writes_where_a_delayed_job_has_its_limits_is_passed_over(carried: Any):
    found = read(json.dumps([["a", {"x": 1, RESERVED: carried}]]), id="theirs")
    assert (found.args, found.options, found.extra) == (("a",), {"x": 1}, {})
    assert found.id == "theirs" or (isinstance(carried, dict) and len(found.id) == 32)


HISTORY = [{"attempt": 1, "failed_at": "2026/11/20 13:21:45 UTC", "exception": "ValueError", "error": "é\n"}]


@given(JOBS, st.integers(1, 1000))
def test_a_further_attempt_has_the_same_job_and_what_came_before(job: Job, failed: int):
    raw = job.payload()
    again = for_another_attempt(raw, failed, HISTORY)
    assert Job.from_payload(again, job.queue) == replace(
        job, extra={**job.extra, "attempt": failed, "history": HISTORY}
    )
    assert for_another_attempt(again, failed + 1, HISTORY) == for_another_attempt(raw, failed + 1, HISTORY)
    assert for_another_attempt(again, 0, []) == raw


def test_a_further_attempt_changes_no_byte_of_what_others_have_written():
    raw = b'{ "class" : "act", "args": [[1.10, {} , "\\u00e9"]], "attempt": 1, "theirs": [ ], "history": [{}] }'
    assert for_another_attempt(raw, 2, []) == (
        b'{"class":"act","args":[[1.10, {} , "\\u00e9"]],"theirs":[ ],"attempt":2,"history":[]}'
    )


def test_the_attempts_of_a_job_that_was_delayed_after_one_are_counted_on():
    item = Job("act", extra={"attempt": 1, "history": HISTORY}).delayed_item()
    assert Job.from_payload(for_another_attempt(item, 2, [*HISTORY, *HISTORY]), "default").extra["attempt"] == 2


@pytest.mark.parametrize("raw", [b"", b"5", b"[]", b"{", b"\xff"])
def test_what_is_no_payload_cannot_be_tried_again(raw: bytes):
    with pytest.raises(InvalidPayload):
        for_another_attempt(raw, 1, HISTORY)


# -- names of queues ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["default", "mail-2", "a.b_c/d", "é", "x" * 100])
def test_a_queue_may_have_any_plain_name(name: str):
    assert check_queue(name) == name


@pytest.mark.parametrize(
    "name", ["", "a b", "a:b", "a,b", "*", "a?", "[a]", "!a", "a\n", "\x00", "\x85", "\u2028", "x" * 101, None, 5]
)
def test_a_queue_has_no_name_that_foreign_boards_would_take_apart(name: Any):
    with pytest.raises(InvalidQueue, match="cannot be the name of a queue: use 1 to 100 characters"):
        check_queue(name)
