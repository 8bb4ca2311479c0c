"""What a performer reports of a failure: enough for a person, and never too much to send."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.strategies import binary, lists, sampled_from

from django_resque.errors import CommandExited
from django_resque.job import dump_json
from django_resque.worker.report import Progress, Report

lines = lists(
    sampled_from([b"", b"1.1", b"0", b"1", b"inf", b"1e9", b'["ValueError", "", ["a"], ""]', b"{}"]), max_size=9
).map(b"\n".join)
texts = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(texts, below, max_size=3),
    max_leaves=9,
)
seconds = st.integers(0, 10**9).map(lambda number: number / 1_000_000)
headers = {
    "token": st.from_regex(r"[0-9]{1,9}\.[0-9]{1,3}", fullmatch=True),
    "leaving": st.booleans(),
    "duration": seconds,
    "output_end": st.integers(0, 2**40),
}
results = {"result": st.just(b"") | json_values.map(dump_json), "outcome": sampled_from(["", "not performed"])}
done = st.fixed_dictionaries(headers | results).map(lambda told: Report(**told))
failures = {
    "exception": texts.filter(bool),
    "error": texts,
    "backtrace": lists(texts),
    "exit_status": texts,
    "retry": st.none() | seconds,
}
failed = st.fixed_dictionaries(headers | failures).map(lambda told: Report(**told))


def report_of(error: BaseException) -> Report:
    """What the dispatcher gets to know of ``error``, once it was raised."""
    try:
        raise error
    except BaseException as raised:
        return Report.load(Report.of_failure("1.1", raised, leaving=True).dump())


@given(done | failed)
@example(Report("1.1", "ValueError", "é\u2028\n", ["a", "b"], "3", True, 1.5, 7, 0.0))
@example(Report("1.2"))
@example(Report("1.2", result=b'"\\n"', outcome="not performed"))
def test_a_report_arrives_as_it_was_sent(report: Report):
    assert Report.load(report.dump()) == report


@given(headers["token"], st.tuples(seconds, st.none() | seconds, texts))
def test_progress_arrives_as_it_was_sent(token: str, progress: tuple[float, float | None, str]):
    sent = Progress(token, dump_json(progress))
    assert sent.dump().startswith(b"~")  # which no report does
    assert Progress.load(sent.dump()) == sent


@given(binary(max_size=50) | json_values.map(lambda value: b"1.1\n" + dump_json(value)))
@example(b"1.1\n[1,2]")
@example(b"1.1\n{}")
@example(b"1.1\n" + b"[" * 100_000)
@example(b"1.1")
def test_what_is_no_progress_is_a_value_error_and_nothing_else(rest: bytes):
    try:
        progress = Progress.load(b"~" + rest)
    except ValueError:
        return
    assert len(json.loads(progress.progress)) == 3


def test_the_report_of_a_job_that_is_done_is_a_few_bytes():
    assert len(Report("10000.99", duration=12.25).dump()) < 30


@given(binary(max_size=100) | lines)
@example(b"not what you think")
@example(b"1.1\nnan\n0\n0\n\n\n")
@example(b"1.1\n-1\n0\n0\n\n\n")
@example(b"1.1\n1\n2\n0\n\n\n")
@example(b"1.1\n1\n0\n0\nnan\n\n")
@example(b"1.1\n1\n0\n0\n-1\n\n")
@example(b"1.1\n1\n0\n0\ninf\n\n")
@example(b"1.1\n1\n0\n0\n\n\nno JSON")
@example(b"1.1\n1\n0\n0\n\n\n\n[]")
@example(b'1.1\n1\n0\n0\n\n\n\n["", "", [], ""]')
@example(b'1.1\n1\n0\n0\n\n\n\n["ValueError", "", [1], ""]')
@example(b"1.1\n1\n0\n0\n\n\n" + b"[" * 100_000)
@example(b"1.1\n1\n0\n0\n\n\n\n" + b"[" * 100_000)
def test_what_is_no_report_is_a_value_error_and_nothing_else(packet: bytes):
    try:
        report = Report.load(packet)
    except ValueError:
        return
    assert Report.load(report.dump()).token == report.token


def test_a_failure_is_reported_with_class_message_and_traceback():
    report = report_of(ValueError("no way: é"))
    assert (report.token, report.exception, report.error, report.leaving) == ("1.1", "ValueError", "no way: é", True)
    assert report.backtrace[0] == "Traceback (most recent call last):"
    assert report.backtrace[-1] == "ValueError: no way: é"
    assert any("raise error" in line for line in report.backtrace)
    assert report.exit_status == ""


@pytest.mark.parametrize(
    ("status", "error", "exit_status"),
    [(3, "The command exited with status 3", "3"), ("fed up", "fed up", "fed up")],
)
def test_the_status_of_an_exit_is_reported(status: object, error: str, exit_status: str):
    report = report_of(CommandExited(status))
    assert (report.error, report.exit_status) == (error, exit_status)


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


class NotEvenText(Exception):
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]  # noqa: PLE0307


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (Mute(), "(its message could not be read: RuntimeError)"),
        (NotEvenText(), "(its message could not be read: TypeError)"),
        (ValueError("\ud800"), "\\ud800"),
        (ValueError(), ""),
        (ValueError(Mute()), "(its message could not be read: RuntimeError)"),
        (ExceptionGroup("two", [Mute(), ValueError("b")]), "two (2 sub-exceptions)"),
    ],
)
def test_whatever_an_exception_says_it_is_reported(error: Exception, message: str):
    report = report_of(error)
    assert report.error == message
    assert report.backtrace
    "".join(report.backtrace).encode()


def chain(length: int) -> Exception:
    error = ValueError("the first")
    for number in range(length):
        following = ValueError(f"number {number}")
        following.__cause__ = error
        error = following
    return error


def circle() -> Exception:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    return first


def deep(levels: int) -> Exception:
    """An exception with ``levels`` different functions in its traceback."""
    scope: dict[str, Callable[[], None]] = {}
    exec("def f0(): raise ValueError('deep')", scope)
    for level in range(1, levels):
        exec(f"def f{level}(): f{level - 1}()", scope)
    with pytest.raises(ValueError, match="deep") as raised:
        scope[f"f{levels - 1}"]()
    return raised.value


@pytest.mark.parametrize(
    ("make", "last"),
    [
        (lambda: ValueError("x" * 10_000_000), "ValueError: xxx"),
        (lambda: ValueError("x" + "\nx" * 1_000_000), "x"),
        (lambda: ValueError("👍" * 1_000_000), "ValueError: 👍👍👍"),
        (lambda: chain(5_000), "ValueError: number 4999"),
        (lambda: deep(300), "ValueError: deep"),
        (circle, "ValueError: a"),
    ],
    ids=["long", "many lines", "wide", "chain", "deep", "circle"],
)
def test_a_report_stays_small(make: Callable[[], Exception], last: str):
    report = report_of(make())
    assert len(report.error) <= 16_000
    assert len(report.backtrace) <= 241
    assert max(map(len, report.backtrace)) <= 1_000
    assert "Traceback (most recent call last):" in report.backtrace
    assert report.backtrace[-1].startswith(last)
    assert len(report.dump()) < 1_000_000


def test_the_cause_of_an_exception_is_in_its_traceback():
    error = ValueError("the effect")
    error.__cause__ = KeyError("the cause")
    error.add_note("a note")
    lines = report_of(error).backtrace
    assert "KeyError: 'the cause'" in lines
    assert lines[-2:] == ["ValueError: the effect", "a note"]


def test_a_command_that_calls_itself_forever_is_reported():
    def again() -> None:
        again()

    with pytest.raises(RecursionError) as raised:
        again()
    assert Report.load(Report.of_failure("1.1", raised.value, leaving=False).dump()).exception == "RecursionError"


@pytest.mark.parametrize("end", [-1, 1 << 62, 1 << 64])
def test_a_report_of_an_output_that_cannot_be_is_none(end):
    with pytest.raises(ValueError, match="no report"):
        Report.load(Report("1.1", output_end=end).dump())
