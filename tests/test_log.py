"""What is logged: the words, and what they must not do to a terminal."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from django_resque import log, log_target
from django_resque.job import Job
from django_resque.log_format import JsonFormatter, LineFormatter, output_as_json
from tests.loggers import Kept, nothing_configured

JOB = Job("act", ("a secret",), {"password": "another"}, "mail", "8d1f")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, é, 日本語, 👍", "plain text, é, 日本語, 👍"),
        ("two\nlines\r\n", "two\\nlines\\r\\n"),
        ("\ttab", "\\ttab"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x00\x07\x7f\x85\x9b", "\\x00\\x07\\x7f\\x85\\x9b"),
        ("line\u2028paragraph\u2029", "line\\u2028paragraph\\u2029"),
        ("abc\u202edef\u202c", "abc\\u202edef\\u202c"),
        ("\u200e\u200f\u061c\u2066\u2069", "\\u200e\\u200f\\u061c\\u2066\\u2069"),
        ("\ud800", "\\ud800"),
        ("", ""),
    ],
)
def test_clean_text_is_one_harmless_line(text: str, shown: str):
    assert log.clean(text) == shown
    shown.encode()


def test_the_start_of_a_job_is_logged_at_debug_its_end_at_info(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG, "django_resque"):
        log.job_started(JOB)
        log.job_done(JOB, 1.5)
    started, done = caplog.records
    assert (started.levelno, started.getMessage()) == (logging.DEBUG, "started act 8d1f [mail]")
    assert (done.levelno, done.getMessage()) == (logging.INFO, "done act 8d1f [mail] in 1.500 s")
    assert vars(done).items() >= {"job_id": "8d1f", "command": "act", "queue": "mail", "duration": 1.5}.items()
    assert not hasattr(started, "duration")


def test_a_failure_is_logged_as_an_error_with_its_exception_and_without_arguments(caplog: pytest.LogCaptureFixture):
    error = ValueError("no\nway")
    log.job_failed(JOB, error, 1.5)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == "failed act 8d1f [mail] after 1.500 s: ValueError: no\\nway"
    assert record.exc_info == (ValueError, error, None)
    assert "secret" not in caplog.text
    assert "another" not in caplog.text


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_exception_without_words_is_logged_all_the_same(caplog: pytest.LogCaptureFixture):
    log.job_failed(JOB, Mute(), 1.5)
    assert "Mute: (its message could not be read: RuntimeError)" in caplog.text


def test_the_name_of_a_command_from_redis_cannot_forge_a_line(caplog: pytest.LogCaptureFixture):
    log.job_failed(Job("x\nERROR forged" + "x" * 1000, queue="a\x1bb", id="8d1f"), ValueError(), 0)
    (record,) = caplog.records
    assert record.getMessage().startswith("failed x\\nERROR forgedxxx")
    assert len(record.getMessage()) < 300
    assert "[a\\x1bb]" in record.getMessage()


# -- lines -------------------------------------------------------------------------------------------------------------


def formatted(formatter: logging.Formatter, message: str = "hello", **extra: object) -> str:
    record = {"name": "django_resque", "levelname": "INFO", "levelno": logging.INFO, "msg": message, **extra}
    return formatter.format(logging.makeLogRecord(record))


def raised() -> tuple[object, ...]:
    try:
        raise ValueError("no\x1b way")
    except ValueError:
        return sys.exc_info()


def test_a_line_for_people_has_a_time_to_the_millisecond_and_the_traceback_below():
    lines = formatted(LineFormatter(), exc_info=raised(), created=1.25, msecs=250.0).split("\n")
    assert re.fullmatch(r"19(70|69)-\d\d-\d\d \d\d:\d\d:01,250 INFO    hello", lines[0])
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: no\\x1b way"


def test_a_line_for_programs_is_json_with_what_the_record_was_given(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, "django_resque"):
        log.job_done(JOB, 1.5)
    text = JsonFormatter().format(caplog.records[0])
    line = json.loads(text)
    assert datetime.fromisoformat(line.pop("time")).timestamp() == pytest.approx(caplog.records[0].created, abs=0.001)
    assert line == {
        "level": "INFO",
        "logger": "django_resque",
        "pid": os.getpid(),
        "message": "done act 8d1f [mail] in 1.500 s",
        "job_id": "8d1f",
        "command": "act",
        "queue": "mail",
        "duration": 1.5,
    }


def test_an_exception_is_text_inside_the_one_line():
    text = formatted(JsonFormatter(), exc_info=raised())
    assert text.isascii()
    assert text.isprintable()
    exception = json.loads(text)["exception"]
    assert exception.startswith("Traceback (most recent call last):\n")
    assert exception.endswith("\nValueError: no\x1b way")


@pytest.mark.parametrize(
    ("given", "written"), [(float("nan"), "nan"), (Path("/x"), "/x"), ({1}, "{1}"), (None, None), (True, True), (7, 7)]
)
def test_whatever_a_record_was_given_fits_into_json(given: object, written: object):
    assert json.loads(formatted(JsonFormatter(), attempt=given))["attempt"] == written


def test_json_names_the_worker_process_when_it_is_known():
    assert "worker" not in json.loads(formatted(JsonFormatter()))
    log.name_worker("k3x9qa")
    try:
        assert json.loads(formatted(JsonFormatter()))["worker"] == "k3x9qa"
    finally:
        log.name_worker("")


def test_json_formatter_can_be_named_in_logging_that_disables_the_loggers_that_are_there():
    code = (
        "import logging, logging.config as c; c.dictConfig({'version': 1, 'formatters': {'json': {'()':"
        " 'django_resque.log_format.JsonFormatter'}}, 'handlers': {'h': {'class': 'logging.StreamHandler', 'formatter':"
        " 'json'}}, 'root': {'handlers': ['h']}}); logging.getLogger('django_resque').error('heard')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert json.loads(done.stderr)["message"] == "heard"


# -- what commands have written ----------------------------------------------------------------------------------------


def test_output_in_json_is_one_object_for_each_line():
    lines = output_as_json("8d1f", "one\r\n\x1bé\ntwo".encode() + b"\xff", 42).decode().splitlines()
    first, *_ = parsed = [json.loads(line) for line in lines]
    assert [line["message"] for line in parsed] == ["one", "\x1bé", "two\ufffd"]
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert datetime.fromisoformat(first.pop("time")).utcoffset() is not None
    assert first == {"level": "INFO", "logger": "django_resque.output", "pid": 42, "job_id": "8d1f", "message": "one"}


# -- where it goes -----------------------------------------------------------------------------------------------------


def say_something() -> None:
    log.job_started(JOB)
    log.job_done(JOB, 1.5)
    log.job_crashed(JOB, "was killed by SIGKILL", 1)


LEVELS = [(0, ["WARNING"]), (1, ["INFO", "WARNING"]), (2, ["DEBUG", "INFO", "WARNING"])]


@pytest.mark.parametrize(("verbosity", "levels"), LEVELS)
@nothing_configured()
def test_readable_lines_go_to_stderr(verbosity: int, levels: list[str]):
    stream = io.StringIO()
    log_target.to_stderr(log_target.level_of(verbosity), stream=stream)
    say_something()
    assert [line.split()[2] for line in stream.getvalue().splitlines()] == levels


@pytest.mark.parametrize(("verbosity", "levels"), LEVELS)
@nothing_configured()
def test_or_to_a_file_instead(tmp_path: Path, verbosity: int, levels: list[str]):
    path = tmp_path / "made" / "for it" / "resque.log"
    log_target.to_stderr(logging.DEBUG)
    log_target.to_file(str(path), log_target.level_of(verbosity))
    say_something()
    assert [line.split()[2] for line in path.read_text().splitlines()] == levels
    assert len(log.logger.handlers) == 1
    assert log.path_in_use() == str(path)


@nothing_configured()
def test_without_a_file_there_is_no_path_and_nothing_to_open_anew():
    assert log.path_in_use() == ""
    assert not log.reopen()


@nothing_configured()
def test_the_path_may_hold_process_and_host(tmp_path: Path):
    log_target.to_file(str(tmp_path / "{host}-{pid}.log"), logging.INFO)
    assert log.path_in_use() == str(tmp_path / f"{socket.gethostname()}-{os.getpid()}.log")


@nothing_configured()
def test_the_path_is_absolute_wherever_a_command_goes(tmp_path: Path, monkeypatch: Any):
    monkeypatch.chdir(tmp_path)
    log_target.to_file("resque.log", logging.INFO)
    monkeypatch.chdir("/")
    log.job_done(JOB, 1.5)
    assert "done" in (tmp_path / "resque.log").read_text()


@nothing_configured()
def test_handlers_of_the_project_receive_what_they_did_before_beside_the_file(tmp_path: Path):
    theirs = Kept()
    log.logger.addHandler(theirs)
    log.logger.setLevel(logging.WARNING)
    log_target.to_file(str(tmp_path / "log"), logging.INFO)
    say_something()
    assert [message.split()[0] for message in theirs.messages] == ["crashed"]
    assert [line.split()[3] for line in (tmp_path / "log").read_text().splitlines()] == ["done", "crashed"]


@nothing_configured()
def test_a_file_may_want_less_than_the_handlers_of_the_project(tmp_path: Path):
    theirs = Kept()
    log.logger.addHandler(theirs)
    log.logger.setLevel(logging.DEBUG)
    log_target.to_file(str(tmp_path / "log"), logging.WARNING)
    say_something()
    assert [message.split()[0] for message in theirs.messages] == ["started", "done", "crashed"]
    assert [line.split()[3] for line in (tmp_path / "log").read_text().splitlines()] == ["crashed"]


@nothing_configured()
def test_a_file_is_written_although_logging_has_disabled_our_logger(tmp_path: Path):
    log.logger.disabled = True
    log_target.to_file(str(tmp_path / "log"), logging.INFO)
    log.job_done(JOB, 1.5)
    assert "done" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("how", ["renamed", "deleted", "replaced", "with its folder"])
@nothing_configured()
def test_a_file_that_is_no_longer_there_is_made_again(tmp_path: Path, how: str):
    path = tmp_path / "var" / "log"
    log_target.to_file(str(path), logging.INFO)
    log.job_done(JOB, 1)
    if how == "deleted":
        path.unlink()
    elif how == "with its folder":
        shutil.rmtree(path.parent)
    else:
        path.rename(tmp_path / "old")
    if how == "replaced":
        path.touch()
    log.job_done(JOB, 2)
    assert [line.split()[-2] for line in path.read_text().splitlines()] == ["2.000"]


@nothing_configured()
def test_opening_anew_is_the_first_that_the_new_file_says(tmp_path: Path):
    path = tmp_path / "log"
    log_target.to_file(str(path), logging.INFO)
    path.rename(tmp_path / "old")
    assert log.reopen()
    assert path.read_text().endswith(" INFO    the log was opened anew\n")
    assert (tmp_path / "old").read_text() == ""


@nothing_configured()
def test_what_the_file_does_not_take_is_said_on_stderr_and_once_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "var" / "log"
    log_target.to_file(str(path), logging.INFO)
    shutil.rmtree(path.parent)
    path.parent.write_text("no folder")
    for number in range(2):
        log.job_done(JOB, number)
    why, first, second = capsys.readouterr().err.splitlines()
    assert why == f"The log {path} cannot be written: Not a directory. It goes on here."
    assert first.endswith("in 0.000 s")
    assert second.endswith("in 1.000 s")
    path.parent.unlink()
    log.job_done(JOB, 2)
    assert path.read_text().endswith("in 2.000 s\n")
    assert capsys.readouterr().err == ""


@nothing_configured()
def test_a_full_disk_ends_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "log").symlink_to("/dev/full")
    file = log_target.LogFile(str(tmp_path / "log"))
    file.write(b"not kept\n")
    assert "No space left on device" in capsys.readouterr().err
    file.close()


@pytest.mark.parametrize("as_json", [False, True])
@nothing_configured()
def test_whether_our_lines_are_json(tmp_path: Path, as_json: bool):
    assert not log_target.writes_json()
    for _ in range(2):
        log_target.to_stderr(logging.INFO, as_json=as_json)
        assert log_target.writes_json() == as_json
        log_target.to_file(str(tmp_path / "log"), logging.INFO, as_json=as_json)
        assert log_target.writes_json() == as_json
    log.job_done(JOB, 1.5)
    assert (tmp_path / "log").read_text().startswith("{") == as_json


def test_a_file_that_is_shared_holds_whole_lines(tmp_path: Path):
    code = (
        "import sys; from django_resque.log_target import LogFile; file = LogFile(sys.argv[1])\n"
        "for number in range(200): file.write(sys.argv[2].encode() * 20_000 + b'\\n')"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "log"), letter]) for letter in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    lines = (tmp_path / "log").read_bytes().splitlines()
    assert sorted(lines) == [b"a" * 20_000] * 200 + [b"b" * 20_000] * 200
