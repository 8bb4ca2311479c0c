"""Garbage: whatever stands in Redis is read, or refused with an error of ours, and shown."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.test import override_settings
from hypothesis import example, given
from hypothesis import strategies as st

from django_resque.conf import config
from django_resque.errors import InvalidPayload, ResqueError
from django_resque.failure import Failure, failure_record, payload_object, shrunk
from django_resque.job import Job, json_members
from django_resque.limits import failed_attempts, limits_of
from django_resque.perform import perform
from django_resque.status import Status, status_record
from django_resque.store import Remains, Reserved
from django_resque.worker import entries
from django_resque.worker.report import Report

from .garbage import ANY_TEXT, PAYLOADS, RECORDED, SHAPES, WHOLE, original

NOW = datetime(2026, 11, 20, 13, 21, 45, tzinfo=UTC)


@pytest.fixture(scope="module", autouse=True)
def _commands_of_others() -> Iterator[None]:
    with override_settings(RESQUE={"TESTING": "real", "COMMANDS": ["ordinary"]}):
        yield


def job_of(raw: bytes) -> Job:
    """The job, or what stands for it where the payload is none."""
    try:
        return Job.from_payload(raw, "mail")
    except InvalidPayload:
        return Job("(unreadable payload)", queue="mail")


def payload_in(record: bytes) -> bytes:
    """What the record was made of."""
    return original(dict(json_members(record))["payload"])


# -- payloads ----------------------------------------------------------------------------------------------------------


@given(PAYLOADS)
def test_any_element_of_a_queue_is_a_job_or_an_invalid_payload(raw: bytes):
    try:
        job = Job.from_payload(raw, "mail")
    except InvalidPayload as error:
        str(error).encode()
    else:
        assert job.command
        assert isinstance(job.args, tuple)
        assert isinstance(job.options, dict)
        limits = limits_of(job, None, config())
        assert limits.timeout is None or limits.timeout > 0
        json.loads(status_record(Status.RUNNING, job))


@pytest.mark.django_db  # connections are looked at around a job
@given(PAYLOADS)
@example(b'{"class":"ordinary","args":[["a",{"level":2}]]}')
@example(b'{"class":"mailing","args":[["remind",1,{"subject":"\\u0000"}]]}')
def test_performing_any_job_raises_nothing_but_errors_of_ours(raw: bytes):
    job = job_of(raw)
    for command in (job.command, "ordinary", "mailing"):
        if command != "echo":  # which tells a server what it was given
            try:
                perform(dataclasses.replace(job, command=command))
            except ResqueError as error:
                str(error).encode()


@pytest.mark.django_db
@pytest.mark.parametrize("raw", [raw for raw in SHAPES if b"ordinary" in raw or b"mailing" in raw], ids=bytes.decode)
def test_what_is_no_garbage_is_performed(raw: bytes):
    perform(Job.from_payload(raw, "mail"))


# -- what is written of them -------------------------------------------------------------------------------------------


@given(
    payload=PAYLOADS,
    text=ANY_TEXT,
    lines=st.lists(ANY_TEXT, max_size=3),
    extra=st.dictionaries(st.sampled_from(["output", "signal"]), ANY_TEXT),
)
def test_a_record_of_anything_has_the_familys_form(payload: bytes, text: str, lines: list[str], extra: dict[str, str]):
    raw = failure_record(
        payload=payload,
        queue=text,
        worker=text,
        exception=text,
        error=text,
        backtrace=lines,
        extra=extra,
        now=NOW,
    )
    record = json.loads(raw.decode())
    assert list(record)[:7] == ["failed_at", "payload", "exception", "error", "backtrace", "worker", "queue"]
    assert isinstance(record["payload"], dict)
    assert all(isinstance(record[key], str) for key in ("failed_at", "exception", "error", "worker", "queue"))
    assert len(record["backtrace"]) == len(lines)
    assert all(isinstance(line, str) for line in record["backtrace"])
    assert Failure.from_record(raw).failed_at == NOW
    assert payload_in(raw) == payload


@given(PAYLOADS)
def test_a_worker_can_tell_anything_of_any_payload(raw: bytes):
    worker, reserved = "box1~k3x9qa-1:4711:mail", Reserved("1.1", "mail", raw)
    job, death = entries.readable(reserved), entries.Death(-9)
    report = Report("1.1", exception="ValueError", error="no", backtrace=["first"])
    limits = limits_of(job, None, config())
    for entry in (
        entries.running(worker, reserved, job, 0.1),
        entries.running(worker, reserved, job, 0.1, b'[1,2,""]'),
        entries.under_way(worker, reserved, job, 0.1, b'[1,2,""]', raw),
        entries.ended(worker, reserved, job, limits, report, raw),
        entries.too_large(worker, reserved, job),
        entries.crashed(worker, reserved, job, death, 0.5, raw, last=False),
        entries.crashed_for_good(worker, reserved, job, death, 0.5, raw),
        entries.timed_out(worker, reserved, job, 1.5, None, 2.5, raw),
        entries.put_to_an_end(worker, reserved, job, 0.5, raw),
        entries.interrupted(worker, reserved, job, raw),
        entries.interrupted_for_good(worker, reserved, job, 0.5, raw),
        entries.recovered(worker, reserved, job),
        entries.forgotten(worker, reserved, job),
        entries.given_back(worker, reserved, job),
    ):
        entry.status_id.encode()
        for written in (entry.status, entry.second, entry.record):
            assert not written or isinstance(json.loads(written), dict)
        assert not entry.record or payload_in(entry.record) == raw


@given(PAYLOADS)
def test_a_job_in_any_payload_can_begin_and_be_done(raw: bytes):
    worker, reserved = "box1~k3x9qa-1:4711:mail", Reserved("1.1", "mail", raw)
    job = entries.readable(reserved)
    limits = limits_of(job, None, config())
    start = entries.start(worker, reserved, job, limits)
    guard = start.record.split(b"\n")
    assert len(guard) == 7
    assert not any(part.split()[1:] for part in guard)  # white space stands between them in Redis
    for status in (start.status, start.second):
        assert isinstance(json.loads(status), dict)
    done = entries.ended(worker, reserved, job, limits, Report("1.1", result=b"[5]", outcome="not performed"), b"")
    assert json.loads(done.status)["outcome"] == "not performed"
    assert done.second == b"[5]"


@given(PAYLOADS, ANY_TEXT)
def test_a_job_in_any_payload_can_be_tried_again_or_is_a_failure(raw: bytes, text: str):
    worker, reserved = "box1~k3x9qa-1:4711:mail", Reserved("1.1", "mail", raw)
    try:
        job = Job.from_payload(raw, "mail")
    except InvalidPayload:
        return  # it is a failure at once
    limits = limits_of(job, None, config())
    report = Report("1.1", exception=text or "ValueError", error=text, retry=2.5)
    for entry in (
        entries.ended(worker, reserved, job, limits, report, raw),
        entries.timed_out(worker, reserved, job, 1.5, 2.5, 2.5, raw),
    ):
        if entry.kind == "retry":
            again = Job.from_payload(entry.record, "mail")
            assert (again.command, again.args, again.options) == (job.command, job.args, job.options)
            assert failed_attempts(again) == failed_attempts(job) + 1
            assert again.extra["history"][-1]["attempt"] == failed_attempts(again)
            assert float(entry.status) == 2.5
            assert json.loads(entry.second)["status"] == Status.SCHEDULED
        else:
            assert entry.kind == "failed"
            assert payload_in(entry.record) == raw


@given(raw=PAYLOADS, failure=PAYLOADS, crashes=st.none() | st.integers(0, 3), begun=st.booleans())
def test_a_reaper_knows_what_to_do_with_any_payload(raw: bytes, failure: bytes, crashes: int | None, begun: bool):
    worker = "box1~k3x9qa-1:4711:mail"
    record = failure_record(payload=failure, queue="mail", worker=worker, exception="", error="", now=NOW)
    held = [(Reserved("1.1", "mail", raw, crashes), worker if begun else "")]
    remains = Remains("dead", True, [worker], len(held), held, [failure, record])
    (bequest,) = entries.bequests(remains, 3)
    for written in (bequest.failed, bequest.requeued, bequest.record):
        assert isinstance(json.loads(written), dict)
    assert payload_in(bequest.record) == raw


# -- what is read of them ----------------------------------------------------------------------------------------------


@given(PAYLOADS)
def test_any_bytes_are_shown_as_a_failure(raw: bytes):
    failure = Failure.from_record(raw)
    "".join([failure.exception, failure.error, failure.worker, failure.queue, *failure.backtrace]).encode()


@given(PAYLOADS)
@example(b'{"backtrace":["a"],"output":"b","other":[NaN, 1.50]}')
@example(b' {\t"a" : {"backtrace":["a"]} , "backtrace" : [ "a" ] , "\\ud800":1}\n')
def test_a_record_loses_its_traceback_and_its_output_and_nothing_else(raw: bytes):
    found = shrunk(raw)
    if found is None:
        return
    assert shrunk(found) is None
    before, after = json_members(raw), json_members(found)
    assert ("backtrace" in dict(before)) == ("backtrace" in dict(after))
    assert dict(after).get("backtrace") in (None, b"[]", b"null")
    assert "output" not in dict(after)
    assert [member for member in before if member[0] not in ("backtrace", "output")] == [
        member for member in after if member[0] != "backtrace"
    ]


@given(PAYLOADS)
@example(b"{}")
@example(b" { } ")
@example(WHOLE)
def test_an_object_has_the_members_that_python_finds(raw: bytes):
    try:
        expected = json.loads(raw.decode())
    except (ValueError, RecursionError):
        expected = None
    try:
        members = json_members(raw)
    except InvalidPayload:
        assert not isinstance(expected, dict)
    else:
        assert repr({key: json.loads(value) for key, value in members}) == repr(expected)  # repr: NaN is not NaN


@pytest.mark.parametrize("raw", [*RECORDED, *SHAPES, WHOLE], ids=lambda raw: raw.decode()[:60])
def test_what_the_family_writes_may_stand_anywhere(raw: bytes):
    job = job_of(raw)
    json.loads(payload_object(raw))
    json.loads(status_record(Status.WAITING, job))
    failure = Failure.from_record(raw)
    assert failure.raw == raw
    assert all(isinstance(line, str) for line in failure.backtrace)
