"""What a performer reports of a failure: enough for a person, and never too much to send."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis.strategies import binary, lists, sampled_from

from django_resque.errors import CommandExited
from django_resque.worker.report import Report

lines = lists(sampled_from([b"", b"1.1", b"0", b"1", b"inf", b"1e9", b'["ValueError", "", ["a"], ""]', b"{}"])).map(
    b"\n".join
)


def report_of(error: BaseException) -> Report:
    """What the dispatcher gets to know of ``error``, once it was raised."""
    try:
        raise error
    except BaseException as raised:
        return Report.load(Report.of_failure("1.1", raised, leaving=True).dump())


def test_a_report_arrives_as_it_was_sent():
    report = Report("1.1", "ValueError", "é\u2028\n", ["a", "b"], "3", True, 1.5, 7)
    assert Report.load(report.dump()) == report
    assert Report.load(Report("1.2").dump()) == Report("1.2")
    assert Report.load(Report("1.2", leaving=True, duration=0.25).dump()) == Report("1.2", leaving=True, duration=0.25)


def test_the_report_of_a_job_that_is_done_is_a_few_bytes():
    assert len(Report("10000.99", duration=12.25).dump()) < 30


@given(binary(max_size=100) | lines)
@example(b"not what you think")
@example(b"1.1\nnan\n0\n0\n")
@example(b"1.1\n-1\n0\n0\n")
@example(b"1.1\n1\n2\n0\n")
@example(b"1.1\n1\n0\n0\n[]")
@example(b'1.1\n1\n0\n0\n["", "", [], ""]')
@example(b'1.1\n1\n0\n0\n["ValueError", "", [1], ""]')
@example(b"1.1\n1\n0\n0\n" + b"[" * 100_000)
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
