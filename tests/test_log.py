"""What is logged: the words, and what they must not do to a terminal."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from django_resque import log
from django_resque.job import Job

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


# -- where it goes -----------------------------------------------------------------------------------------------------


@contextmanager
def nothing_configured() -> Iterator[logging.Logger]:
    """Our logger as it is when the project has said nothing about it, and pytest neither."""
    logger = log.logger
    before = logger.propagate, logger.handlers, logger.level
    logger.propagate, logger.handlers = False, []
    try:
        yield logger
    finally:
        logger.propagate, logger.handlers = before[:2]
        logger.setLevel(before[2])


@pytest.mark.parametrize(
    ("verbosity", "levels"), [(0, ["WARNING"]), (1, ["INFO", "WARNING"]), (2, ["DEBUG", "INFO", "WARNING"])]
)
def test_by_default_readable_lines_go_to_stderr(verbosity: int, levels: list[str]):
    stream = io.StringIO()
    with nothing_configured():
        log.configure_default(verbosity, stream)
        log.job_started(JOB)
        log.job_done(JOB, 1.5)
        log.job_crashed(JOB, "was killed by SIGKILL", 1)
    assert [line.split()[2] for line in stream.getvalue().splitlines()] == levels


def test_a_project_that_has_configured_logging_is_left_alone():
    theirs = logging.NullHandler()
    with nothing_configured() as logger:
        logger.addHandler(theirs)
        log.configure_default(2)
        assert logger.handlers == [theirs]
        assert logger.level == logging.NOTSET
