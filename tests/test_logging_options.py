"""The options that say where a worker logs, and what they refuse."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from django_resque import log
from django_resque.management.commands.resque_worker import Command
from django_resque.management.logging_options import add_logging_arguments, configure_logging
from tests.loggers import Kept, nothing_configured


def configure(*argv: str, verbosity: int = 1) -> None:
    parser = CommandParser(called_from_command_line=False)
    add_logging_arguments(parser)
    configure_logging({**vars(parser.parse_args(argv)), "verbosity": verbosity})


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(CommandError) as refused:
        call()
    return str(refused.value)


def test_the_worker_has_these_options():
    options = Command().create_parser("manage.py", "resque_worker").parse_args(["--log", "x", "--log-level", "error"])
    assert (options.log, options.log_handler, options.log_level, options.log_json) == ("x", None, "ERROR", False)


# -- levels ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "verbosity", "level"),
    [
        ([], 0, logging.WARNING),
        ([], 1, logging.INFO),
        ([], 3, logging.DEBUG),
        (["--log-level=ERROR"], 2, logging.ERROR),
        (["--log-level=debug"], 0, logging.DEBUG),
    ],
)
@nothing_configured()
def test_a_level_wins_over_the_verbosity(argv: list[str], verbosity: int, level: int):
    configure(*argv, verbosity=verbosity)
    assert log.logger.level == level


@nothing_configured()
def test_logging_decides_about_the_level_unless_one_is_given():
    log.logger.addHandler(theirs := Kept())
    configure(verbosity=2)
    assert log.logger.level == logging.NOTSET
    configure("--log-level=ERROR")
    assert log.logger.level == logging.ERROR
    assert log.logger.handlers == [theirs]


def test_an_unknown_level_is_refused_with_those_that_there_are():
    assert "'WARNING'" in refusal(lambda: configure("--log-level=loud"))


# -- a file ------------------------------------------------------------------------------------------------------------


@nothing_configured()
def test_a_file_is_opened_at_once_with_its_folders(tmp_path: Path):
    configure("--log", str(tmp_path / "var" / "log" / "resque-{pid}-{host}.log"))
    path = tmp_path / "var" / "log" / f"resque-{os.getpid()}-{socket.gethostname()}.log"
    assert path.exists()
    assert log.path_in_use() == str(path)


@nothing_configured()
def test_the_home_of_the_user_may_be_written_as_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    configure("--log=~/resque.log")
    assert log.path_in_use() == str(tmp_path / "resque.log")


@nothing_configured()
def test_json_lines_in_the_file(tmp_path: Path):
    configure("--log", str(tmp_path / "log"), "--log-json")
    log.worker_resumed("SIGCONT")
    assert json.loads((tmp_path / "log").read_text())["message"] == "SIGCONT: resumed"


@nothing_configured()
def test_a_path_that_cannot_be_written_is_refused_with_what_to_do(tmp_path: Path):
    (tmp_path / "file").touch()
    said = refusal(lambda: configure("--log", str(tmp_path / "file" / "log")))
    assert said.startswith(f"The log {tmp_path}/file/log cannot be written: ")
    assert "Name a file in a folder in which the user that runs the worker may write" in said
    assert "name a file in it" in refusal(lambda: configure("--log", str(tmp_path)))
    assert log.logger.handlers == []


@nothing_configured()
def test_a_pipe_is_refused_before_anybody_waits_for_its_reader(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    assert "is not a regular file" in refusal(lambda: configure("--log", str(tmp_path / "pipe")))


@nothing_configured()
def test_an_unknown_placeholder_is_refused(tmp_path: Path):
    said = refusal(lambda: configure("--log", str(tmp_path / "{hots}.log")))
    assert "{hots}" in said
    assert "did you mean 'host'?" in said
    assert list(tmp_path.iterdir()) == []


def test_an_empty_path_is_refused():
    assert refusal(lambda: configure("--log=")) == "--log needs the path of a file"


# -- a handler of LOGGING ----------------------------------------------------------------------------------------------

DECLARED = {
    "version": 1,
    "formatters": {"short": {"format": "%(message)s"}},
    "filters": {"quiet": {"()": "tests.test_logging_options.Quiet"}},
    "handlers": {
        "file": {"class": "logging.FileHandler", "filename": "x", "formatter": "short", "level": "ERROR"},
        "kept": {"()": "tests.loggers.Kept", "filters": ["quiet"]},
        "broken": {"class": "no.such.Handler"},
        "memory": {"class": "logging.handlers.MemoryHandler", "capacity": 10, "target": "kept"},
    },
}


def declare(monkeypatch: pytest.MonkeyPatch, declared: dict[str, Any]) -> None:
    """Have ``LOGGING`` say this, as if Django had configured it at the start: handlers without a logger are gone."""
    monkeypatch.setattr(settings, "LOGGING", declared)


class Quiet(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return "paused" not in record.getMessage()


@nothing_configured()
def test_only_the_handler_that_is_named_receives_records(monkeypatch: pytest.MonkeyPatch):
    declare(monkeypatch, DECLARED)
    log.logger.addHandler(other := Kept())
    configure("--log-handler=kept", verbosity=0)
    (kept,) = log.logger.handlers
    assert isinstance(kept, Kept)
    log.worker_paused("SIGUSR2")
    log.worker_is_root()
    log.worker_resumed("SIGCONT")
    log.logger.setLevel(logging.INFO)
    log.worker_paused("SIGUSR2")
    log.worker_resumed("SIGCONT")
    assert [message.split()[-1] for message in kept.messages] == ["machine", "resumed"]
    assert other.messages == []
    assert not log.logger.propagate


@nothing_configured()
def test_a_handler_that_no_logger_has_is_made_as_logging_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    declared = {**DECLARED["handlers"]["file"], "filename": str(tmp_path / "log")}  # type: ignore[index]
    declare(monkeypatch, {**DECLARED, "handlers": {"file": declared}})
    configure("--log-handler=file")
    log.worker_is_root()
    log.redis_trouble("x")
    assert (tmp_path / "log").read_text() == "Redis: x\n"
    assert log.path_in_use() == ""


@nothing_configured()
def test_a_handler_that_some_logger_has_is_that_one(monkeypatch: pytest.MonkeyPatch):
    declare(monkeypatch, DECLARED)
    theirs = Kept()
    theirs.name = "kept"
    elsewhere = logging.getLogger("tests.elsewhere")
    elsewhere.addHandler(theirs)
    try:
        configure("--log-handler=kept")
        assert log.logger.handlers == [theirs]
    finally:
        elsewhere.removeHandler(theirs)


@nothing_configured()
def test_the_handlers_of_django_are_there_without_a_declaration():
    configure("--log-handler=mail_admins")
    (handler,) = log.logger.handlers
    assert type(handler).__name__ == "AdminEmailHandler"


@nothing_configured()
def test_an_unknown_handler_is_refused_with_those_that_there_are(monkeypatch: pytest.MonkeyPatch):
    declare(monkeypatch, DECLARED)
    said = refusal(lambda: configure("--log-handler=kpet"))
    assert said.startswith("LOGGING has no handler 'kpet' (did you mean 'kept'?); it has broken, console, ")
    assert "mail_admins" in said


@pytest.mark.parametrize(("name", "why"), [("broken", "No module named 'no'"), ("memory", "target not configured yet")])
@nothing_configured()
def test_a_handler_that_cannot_be_made_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch, name: str, why: str):
    declare(monkeypatch, DECLARED)
    log.logger.addHandler(theirs := Kept())
    said = refusal(lambda: configure(f"--log-handler={name}"))
    assert said.startswith(f"The handler {name!r} of LOGGING cannot be made: ")
    assert why in said
    assert log.logger.handlers == [theirs]


# -- what does not go together -----------------------------------------------------------------------------------------


def test_a_file_and_a_handler_exclude_each_other():
    assert "not allowed with" in refusal(lambda: configure("--log=x", "--log-handler=console"))
    by_call = {"log": "x", "log_handler": "console", "log_level": None, "log_json": False, "verbosity": 1}
    assert refusal(lambda: configure_logging(by_call)) == "Give --log or --log-handler, not both"


@pytest.mark.parametrize("argv", [["--log-json"], ["--log-json", "--log-handler=console"]])
@nothing_configured()
def test_json_is_not_for_handlers_of_the_project(argv: list[str]):
    log.logger.addHandler(Kept())
    assert "django_resque.log_format.JsonFormatter" in refusal(lambda: configure(*argv))
