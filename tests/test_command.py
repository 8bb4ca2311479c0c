"""Which commands may be jobs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands
from django.core.management.base import BaseCommand
from django.test import override_settings

from django_resque.command import JobCommand, find, job_commands
from django_resque.errors import RefusedCommand, UnknownCommand
from tests.sample_commands import command, installed


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder with the commands of a further app, ``extra``."""
    commands = tmp_path / "extra" / "management" / "commands"
    commands.mkdir(parents=True)
    for folder in (tmp_path / "extra", commands.parent, commands):
        (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with override_settings(INSTALLED_APPS=["tests.jobs", "extra"]):
        yield commands
    for name in [name for name in sys.modules if name.partition(".")[0] == "extra"]:
        del sys.modules[name]


JOB = """
from django_resque.management import JobCommand
class Command(JobCommand):
    def handle(self, *args, **options): pass
"""


def write(commands: Path, name: str, source: str) -> None:
    (commands / f"{name}.py").write_text(source)
    get_commands.cache_clear()


# -- find --------------------------------------------------------------------------------------------------------------


def test_a_job_command_is_found_with_its_own_defaults():
    info = find("mailing")
    assert info.name == "mailing"
    assert issubclass(info.cls, JobCommand)
    assert (info.queue, info.track, info.sensitive) == ("mail", None, ("token",))


@override_settings(RESQUE={"COMMANDS": {"mailing": {"queue": "low", "track": False}, "ordinary": {"queue": "high"}}})
def test_settings_win_over_what_the_class_says():
    assert (find("mailing").queue, find("mailing").track) == ("low", False)
    assert (find("ordinary").queue, find("ordinary").track) == ("high", None)


@override_settings(RESQUE={"COMMANDS": {"patient": {"timeout": 0, "on_crash": "fail"}, "ordinary": {"timeout": 5}}})
def test_limits_are_those_of_the_settings_before_those_of_the_class():
    assert (find("patient").timeout, find("patient").on_crash) == (0, "fail")
    assert (find("ordinary").timeout, find("ordinary").on_crash) == (5, None)
    with override_settings(RESQUE={}):
        assert (find("patient").timeout, find("patient").on_crash) == (30, None)
        assert (find("mailing").timeout, find("mailing").on_crash) == (None, None)


def test_the_timeout_of_an_ordinary_command_is_not_ours():
    with installed(command(lambda parser: None, timeout=10, on_crash="weep")):
        assert (find("sample").timeout, find("sample").on_crash) == (None, None)


@pytest.mark.parametrize("timeout", [-1, True, "5", float("nan"), 10**400, len])
def test_a_limit_that_was_spoilt_after_its_check_is_left_alone(timeout: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(find("mailing").cls, "timeout", timeout)
    monkeypatch.setattr(find("mailing").cls, "on_crash", timeout)
    assert (find("mailing").timeout, find("mailing").on_crash) == (None, None)


def test_attributes_of_an_ordinary_command_that_mean_something_else_are_left_alone():
    def queue(self: BaseCommand) -> None: ...

    with installed(command(lambda parser: None, queue=queue, track="x", sensitive=["card"])):
        info = find("sample")
    assert (info.queue, info.track, info.sensitive) == (None, None, ("card",))


@pytest.mark.parametrize(
    "name", ["", "Flush", "os.system", "../flush", "my-command", "_x", "a" * 65, "flush\n", 5, None]
)
def test_what_cannot_be_a_command_is_not_looked_up(name: Any):
    with pytest.raises(UnknownCommand, match="cannot be the name"):
        find(name)


def test_an_unknown_command_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownCommand, match="no management command 'maling' .did you mean 'mailing'"):
        find("maling")
    with pytest.raises(UnknownCommand, match="INSTALLED_APPS"):
        find("zzzzzz")


@pytest.mark.parametrize(
    "resque",
    [{}, {"COMMANDS": ["check"]}, {"COMMANDS": ("check",)}, {"COMMANDS": {"check": {}}}, {"QUEUE": "x"}],
    ids=str,
)
def test_the_line_in_a_refusal_allows_the_command(resque: dict[str, Any]):
    with override_settings(RESQUE=resque):
        with pytest.raises(RefusedCommand, match="may not be a job") as caught:
            find("ordinary")
        line = str(caught.value).partition("write into the settings: ")[2].partition(" (a command of your own")[0]
    settings: dict[str, Any] = {"RESQUE": dict(resque)}
    exec(line, settings)
    with override_settings(RESQUE=settings["RESQUE"]):
        assert find("ordinary").name == "ordinary"
        if "COMMANDS" in resque:
            find("check")


def test_djangos_own_commands_are_refused_unless_they_are_named():
    with pytest.raises(RefusedCommand):
        find("flush")
    with override_settings(RESQUE={"COMMANDS": ["clearsessions"]}):
        assert find("clearsessions").name == "clearsessions"


def test_only_the_module_that_is_named_is_imported(project: Path):
    write(project, "one", JOB)
    write(project, "two", JOB)
    find("one")
    assert "extra.management.commands.one" in sys.modules
    assert "extra.management.commands.two" not in sys.modules


def test_an_error_in_the_commands_module_is_passed_on(project: Path):
    write(project, "broken", "import does_not_exist_anywhere")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="does_not_exist_anywhere") as caught:
            find("broken")
        assert "extra.management.commands.broken" in caught.value.__notes__[0]


def test_a_module_without_a_command_is_an_error_that_names_it(project: Path):
    write(project, "empty", "")
    with pytest.raises(AttributeError, match="Command") as caught:
        find("empty")
    assert "extra.management.commands.empty" in caught.value.__notes__[0]
    write(project, "other", "Command = print")
    with pytest.raises(RefusedCommand, match="not a subclass"):
        find("other")


# -- job_commands ------------------------------------------------------------------------------------------------------


def test_all_commands_that_may_be_jobs_are_job_commands_and_those_in_the_settings():
    assert "mailing" in job_commands()
    assert not job_commands().keys() & {"ordinary", "flush", "check"}
    with override_settings(RESQUE={"COMMANDS": ["ordinary", "check"]}):
        assert job_commands().keys() >= {"ordinary", "check", "mailing"}
        assert job_commands()["check"].name == "check"
    assert list(job_commands()) == sorted(job_commands())


def test_a_command_that_cannot_be_imported_is_logged_and_left_out(project: Path, caplog: pytest.LogCaptureFixture):
    write(project, "broken", "1 / 0")
    write(project, "sound", JOB)
    with caplog.at_level(logging.WARNING, "django_resque"):
        found = job_commands()
    assert "sound" in found
    assert "broken" not in found
    [record] = caplog.records
    assert (record.name, record.levelname) == ("django_resque", "WARNING")
    assert "broken of extra" in record.getMessage()
    assert "ZeroDivisionError" in record.getMessage()
