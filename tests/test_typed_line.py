"""Lines that a person has typed, read as calls."""

from __future__ import annotations

import shlex
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from django.core.management.base import BaseCommand
from django.test import override_settings

from django_resque import command as commands
from django_resque.client import unique_key
from django_resque.command import bind
from django_resque.errors import InvalidArguments, RefusedCommand, UnknownCommand
from django_resque.job import Job
from django_resque.management import JobCommand
from django_resque.typed_line import Call, read_line, read_plainly


@pytest.mark.parametrize(
    ("line", "args", "options"),
    [
        ("mailing send_sign_up_email 42", ["send_sign_up_email", 42], {}),
        (
            "mailing send_sign_up_email 42 --template=fancy --dry-run",
            ["send_sign_up_email", 42],
            {"template": "fancy", "dry_run": True},
        ),
        ("mailing send_sign_up_email --no-dry-run 42", ["send_sign_up_email", 42], {"dry_run": False}),
        ("mailing remind 1 2 --subject 'Good morning'", ["remind", 1, 2], {"subject": "Good morning"}),
        ("mailing remind", ["remind"], {}),
        ("echo a b --s 1", ["a", "b"], {"s": "1"}),
        ("echo -- -x --s", ["-x", "--s"], {}),
        ("act nap 1.5 key", ["nap", 1.5, "key"], {}),
        ("act nap 1", ["nap", 1], {}),
    ],
)
def test_a_line_is_the_call_that_a_program_would_make(line: str, args: list[Any], options: dict[str, Any]):
    name, *words = shlex.split(line)
    call = read_line(name, words)
    assert call == Call(args, options)
    assert [type(value) for value in call.args] == [type(value) for value in args]
    assert bind(name, call.args, call.options)


def test_a_job_that_was_typed_is_the_same_as_one_that_was_enqueued():
    call = read_line("mailing", ["send_sign_up_email", "42", "--template", "fancy"])
    typed = Job("mailing", call.args, call.options)
    assert unique_key(typed) == unique_key(Job("mailing", ("send_sign_up_email", 42), {"template": "fancy"}))


class Colour(Enum):
    RED = "red"


class Everything(JobCommand):
    """Options of all kinds."""

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("amount", type=Decimal)
        parser.add_argument("names", nargs="*")
        parser.add_argument("--count", "-c", action="count", default=0)
        parser.add_argument("--add", action="append", type=int)
        parser.add_argument("--more", action="extend", nargs="+", type=int)
        parser.add_argument("--pair", nargs=2, type=float)
        parser.add_argument("--maybe", nargs="?", const="yes")
        parser.add_argument("--colour", type=Colour)
        parser.add_argument("--quiet", dest="loudness", action="store_const", const=0, default=1)
        parser.add_argument("--loud", dest="loudness", action="store_const", const=2)
        parser.add_argument("--no-input", dest="interactive", action="store_false")
        parser.add_argument("--big", type=int)
        parser.add_argument("-s", type=int, dest="short")

    def handle(self, *args: Any, **options: Any) -> None: ...


@pytest.fixture
def everything(monkeypatch: pytest.MonkeyPatch) -> None:
    info = commands.CommandInfo("everything", Everything, None, None, ())
    for module in ("django_resque.command", "django_resque.typed_line"):
        monkeypatch.setattr(f"{module}.find", lambda name: info)


@pytest.mark.parametrize(
    ("line", "args", "options"),
    [
        ("1.50", ["1.50"], {}),
        ("1 a b", ["1", "a", "b"], {}),
        ("1 -ccc", ["1"], {"count": 3}),
        ("1 --add 1 --add 2", ["1"], {"add": [1, 2]}),
        ("1 --more 1 2 --more 3", ["1"], {"more": [1, 2, 3]}),
        ("1 --pair 1 2.5", ["1"], {"pair": [1, 2.5]}),
        ("1 --maybe", ["1"], {"maybe": "yes"}),
        ("1 --maybe no", ["1"], {"maybe": "no"}),
        ("1 --colour red", ["1"], {"colour": "red"}),
        ("1 --quiet", ["1"], {"loudness": 0}),
        ("1 --loud", ["1"], {"loudness": 2}),
        ("1 --no-input", ["1"], {"interactive": False}),
        ("1 --big 99999999999999999999", ["1"], {"big": "99999999999999999999"}),
        ("1 -s 5", ["1"], {"short": 5}),
        ("1 -s5 -v3", ["1"], {"short": 5, "verbosity": 3}),
    ],
)
def test_the_worker_gets_what_the_line_gives(everything: None, line: str, args: list[Any], options: dict[str, Any]):
    call = read_line("everything", shlex.split(line))
    assert call == Call(args, options)
    by_hand = vars(Everything().create_parser("manage.py", "everything").parse_args(shlex.split(line)))
    bound = bind("everything", call.args, call.options)
    by_hand.pop("args", None)
    assert {**bound.options, "skip_checks": False} == {**by_hand, "skip_checks": False}


@pytest.mark.parametrize("option", ["--settings=other", "--traceback", "--no-color", "--pythonpath=/x"])
def test_what_is_about_the_process_is_refused(option: str):
    with pytest.raises(InvalidArguments, match="about the process"):
        read_line("echo", ["a", option])


def test_what_does_not_fit_is_refused_in_the_parsers_words():
    with pytest.raises(InvalidArguments, match="mailing: argument user_id: invalid integer value: 'x'"):
        read_line("mailing", ["send_sign_up_email", "x"])
    with pytest.raises(InvalidArguments, match="required: subcommand"):
        read_line("mailing", [])


def test_a_command_that_may_not_be_a_job_is_refused():
    with pytest.raises(RefusedCommand, match="may not be a job"):
        read_line("ordinary", [])
    with pytest.raises(UnknownCommand):
        read_line("nothing", [])
    with override_settings(RESQUE={"COMMANDS": ["ordinary"]}):
        assert read_line("ordinary", ["a", "--level", "2"]) == Call(["a"], {"level": 2})


def test_an_option_that_no_job_can_carry_is_refused(monkeypatch: pytest.MonkeyPatch):
    class Odd(BaseCommand):
        def add_arguments(self, parser: Any) -> None:
            parser.add_argument("--thing", type=lambda text: object())

    monkeypatch.setattr("django_resque.typed_line.find", lambda name: commands.CommandInfo("odd", Odd, None, None, ()))
    assert read_line("odd", ["--thing", "x"]) == Call([], {"thing": "x"})  # made of its text again, over there


def test_help_of_the_command_is_shown(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        read_line("echo", ["--help"])
    assert caught.value.code == 0
    assert "manage.py echo" in capsys.readouterr().out


def test_without_the_command_words_are_texts():
    assert read_plainly("far_away", ["1", "-5", "--dry-run", "--to=x=y", "--", "--z"]) == Call(
        ["1", "-5", "--z"], {"dry_run": True, "to": "x=y"}
    )
    with pytest.raises(InvalidArguments, match="write --option=value"):
        read_plainly("far_away", ["-x"])
    with pytest.raises(UnknownCommand):
        read_plainly("Far", [])
