"""``manage.py resque_worker``: what its options and the settings make of it. How it works is seen in ``processes/``."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management.base import CommandError

from django_resque.management.commands.resque_worker import Command, _worker_options
from django_resque.worker import Options


def options(*argv: str) -> Options:
    return _worker_options(vars(Command().create_parser("manage.py", "resque_worker").parse_args(argv)))


def test_a_performer_is_replaced_when_the_command_line_says_so_or_else_the_settings(settings: Any):
    assert (options().max_jobs, options().max_rss, options().max_age) == (10_000, None, None)
    settings.RESQUE = {"MAX_JOBS": 5, "MAX_RSS": 300, "MAX_AGE": 3600}
    assert (options().max_jobs, options().max_rss, options().max_age) == (5, 300, 3600)
    told = options("--max-jobs=1", "--max-rss=200", "--max-age=1.5")
    assert (told.max_jobs, told.max_rss, told.max_age) == (1, 200, 1.5)


@pytest.mark.parametrize("age", ["0", "-1", "nan", "inf", "1h"])
def test_an_age_that_no_performer_can_reach_is_refused(age: str):
    parser = Command().create_parser("manage.py", "resque_worker")
    parser.called_from_command_line = False  # raise, do not exit
    with pytest.raises(CommandError, match="--max-age"):
        parser.parse_args([f"--max-age={age}"])


def test_the_worker_knows_the_commands_and_their_limits_from_its_start(settings: Any):
    settings.RESQUE = {"COMMANDS": {"clearsessions": {"timeout": 60, "on_crash": "fail"}}}
    commands = options().commands
    assert commands["patient"].timeout == 30
    assert (commands["clearsessions"].timeout, commands["clearsessions"].on_crash) == (60, "fail")


def test_nothing_that_a_command_declares_is_warned_of(caplog: pytest.LogCaptureFixture):
    declared = options().commands["patient"]
    assert declared.max_attempts
    assert caplog.messages == []
