"""Binding arguments to a command."""

from __future__ import annotations

import os
import threading
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.test import override_settings

from django_resque import command as module
from django_resque.command import bind
from django_resque.errors import InvalidArguments, RefusedCommand, UnknownCommand
from tests.sample_commands import command, installed


@contextmanager
def sample(*arguments: tuple[tuple[str, ...], dict[str, Any]], **attributes: Any) -> Iterator[type[BaseCommand]]:
    """A command with these arguments."""

    def add(parser: CommandParser) -> None:
        for names, kwargs in arguments:
            parser.add_argument(*names, **kwargs)

    with installed(command(add, **attributes)) as cls:
        yield cls


def arg(*names: str, **settings: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    return names, settings


def values(*args: Any, **options: Any) -> dict[str, Any]:
    return bind("sample", args, options).options


def refusal(*args: Any, **options: Any) -> str:
    with pytest.raises(InvalidArguments) as caught:
        bind("sample", args, options)
    return str(caught.value)


# -- what comes out ----------------------------------------------------------------------------------------------------


def test_a_bound_command_can_be_executed_as_call_command_would():
    seen: dict[str, Any] = {}

    def handle(self: BaseCommand, *args: Any, **options: Any) -> None:
        seen.update(options, args=args)

    with sample(arg("number", type=int), arg("--text", default="x"), handle=handle):
        bound = bind("sample", [5], {})
        bound.command.execute(*bound.args, **bound.options)
        ours = dict(seen)
        call_command("sample", 5)
    assert ours == seen
    assert ours["skip_checks"] is True


def test_what_the_parser_calls_args_becomes_positional():
    with sample(arg("args", nargs="*")):
        bound = bind("sample", ["a", 1], {})
    assert bound.args == ("a", "1")
    assert "args" not in bound.options


def test_each_binding_has_an_instance_of_its_own():
    with sample():
        assert bind("sample", [], {}).command is not bind("sample", [], {}).command


def test_commands_are_refused_before_arguments_are_looked_at():
    with pytest.raises(UnknownCommand):
        bind("nonesuch", [None], {})
    with pytest.raises(RefusedCommand):
        bind("flush", [None], {})


# -- positional arguments ----------------------------------------------------------------------------------------------


def test_positional_arguments_are_read_by_their_types():
    with sample(arg("number", type=int), arg("id", type=UUID), arg("flags", nargs="*")):
        bound = values("7", UUID(int=1), [True, 1.5])
    assert (bound["number"], bound["id"], bound["flags"]) == (7, UUID(int=1), ["True", "1.5"])


@pytest.mark.parametrize("text", ["--", "-x", "--help", "--settings=evil", "", "-", "@/etc/passwd", "-1", "a\nb"])
def test_any_text_is_safe_as_a_positional_argument(text: str):
    with sample(arg("first"), arg("second"), arg("rest", nargs="*")):
        bound = values(text, text, text, text)
    assert (bound["first"], bound["second"], bound["rest"]) == (text, text, [text, text])


@pytest.mark.parametrize("text", ["--", "-x", "--help", "--text", "-1"])
def test_any_text_is_safe_behind_a_subcommand(text: str):
    def add(parser: CommandParser) -> None:
        below = parser.add_subparsers(dest="what").add_parser("add")
        below.add_argument("words", nargs="+")
        below.add_argument("--text")

    with installed(command(add)):
        bound = bind("sample", ["add", text, "b"], {"text": text})
        assert bound.options["words"] == [text, "b"]
        assert bound.options["text"] == text


def test_too_few_and_too_many_are_refused():
    with sample(arg("first"), arg("second", nargs=2), arg("third", nargs="?")):
        assert refusal() == "sample: the following arguments are required: first, second"
        assert refusal("a", "b") == "sample: the following arguments are required: second"
        assert refusal("a", "b", "c", "d", "e", "f") == "sample: unrecognized arguments: e f"


def test_a_commands_own_message_for_missing_arguments_is_used():
    with sample(arg("args", nargs="+"), missing_args_message="Name a fixture."):
        assert refusal() == "sample: Name a fixture."


def test_a_positional_argument_given_by_name_is_refused_with_advice():
    with sample(arg("number", type=int)):
        assert "'number' is a positional argument: pass its value without the name" in refusal(5, number=5)


def test_a_type_that_raises_what_argparse_does_not_expect_is_a_refusal():
    def find(text: str) -> User:
        raise User.DoesNotExist

    with sample(arg("user", type=find)):
        assert refusal(5) == "sample: argument user: invalid find value: '5' (DoesNotExist)"


def test_objects_are_refused_with_the_commands_name():
    with sample(arg("user")):
        assert refusal(User(pk=5)).startswith("sample: Positional argument 1 is of type User: pass user.pk")


# -- options -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sum", "total_amount", "total-amount"])
def test_options_are_given_by_dest_or_long_name(name: str):
    with sample(arg("--total-amount", dest="sum", type=int)):
        assert values(**{name: "5"})["sum"] == 5


def test_an_option_given_by_two_names_at_once_takes_the_last_one():
    with sample(arg("--total-amount", dest="sum", type=int)):
        assert values(sum=1, total_amount=2)["sum"] == 2


def test_text_goes_through_type_and_choices():
    with sample(arg("--level", type=int, choices=[1, 2])):
        assert values(level="2")["level"] == 2
        assert refusal(level="3") == "sample: argument --level: invalid choice: 3 (choose from 1, 2)"
        assert refusal(level="x") == "sample: argument --level: invalid int value: 'x'"


def test_other_values_are_passed_as_they_are_and_checked_against_choices():
    with sample(arg("--level", type=int, choices=[1, 2], default=1), arg("--limit"), arg("--on", action="store_true")):
        bound = values(level=2, limit=5, on=True)
        assert (bound["level"], bound["limit"], bound["on"]) == (2, 5, True)
        assert values(level=None)["level"] is None
        assert "invalid choice: 3" in refusal(level=3)


def test_texts_in_a_list_are_read_and_each_item_is_checked():
    with sample(arg("--level", type=int, choices=[1, 2], nargs="+"), arg("--id", type=UUID, action="append")):
        assert values(level=["1", 2])["level"] == [1, 2]
        assert values(id=[UUID(int=1)])["id"] == [UUID(int=1)]
        assert "invalid choice: 3" in refusal(level=[1, 3])


def test_text_for_an_option_with_several_values_is_one_of_them():
    with sample(
        arg("--some", nargs="+", type=int), arg("--two", nargs=2), arg("--each", action="append", default=["a"])
    ):
        assert values(some="5")["some"] == [5]
        assert values(each="b")["each"] == ["a", "b"]
        assert values(each=["b"])["each"] == ["b"]
        assert refusal(two="x") == "sample: argument --two: takes 2 values: pass a list"


def test_flags_are_given_by_dest_or_by_name():
    with sample(arg("--no-input", "--noinput", action="store_false", dest="interactive")):
        assert values()["interactive"] is True
        assert values(interactive=False)["interactive"] is False
        assert values(no_input=True)["interactive"] is False
        assert values(noinput=False)["interactive"] is True
        assert "takes no text" in refusal(interactive="no")


def test_a_constant_is_given_by_its_flag_or_as_a_value():
    fast = arg("--fast", action="store_const", const="fast", dest="speed", default="normal")
    slow = arg("--slow", action="store_const", const="slow", dest="speed")
    with sample(fast, slow):
        assert values(speed="slow")["speed"] == "slow"
        assert values(fast=True)["speed"] == "fast"
        assert values(speed="normal")["speed"] == "normal"
        assert "takes no text" in refusal(speed="sideways")


def test_an_unknown_option_is_refused_with_the_known_ones():
    with sample(arg("--template")):
        message = refusal(tempalte="x")
    assert message == (
        "sample: there is no option 'tempalte' (did you mean 'template'?) (the options are template, verbosity)"
    )


def test_options_of_the_process_are_refused_with_the_commands_name():
    with sample():
        assert refusal(settings="evil").startswith("sample: The option 'settings' cannot")
        assert refusal(**{"no-color": True}).startswith("sample: The option 'no-color' cannot")
        assert values(verbosity=2)["verbosity"] == 2


def test_stealth_options_are_passed_as_they_are():
    with sample(stealth_options=("interactive",)):
        assert values(interactive=False)["interactive"] is False


def test_required_options_may_be_text_or_not():
    with sample(arg("--number", type=int, required=True), arg("--level", type=int, required=True)):
        assert values(number=0, level="2")["level"] == 2
        assert refusal(number=1) == "sample: the following arguments are required: --level"
        assert refusal(number=None, level=2) == "sample: the following arguments are required: --number"


def exclusive(required: bool) -> Callable[[CommandParser], None]:
    def add(parser: CommandParser) -> None:
        group = parser.add_mutually_exclusive_group(required=required)
        group.add_argument("--user", type=int)
        group.add_argument("--group", type=int)
        group.add_argument("--all", action="store_true")

    return add


def test_exclusive_options_are_refused_together():
    with installed(command(exclusive(required=False))):
        assert refusal(user=1, group="2") == "sample: argument --group: not allowed with argument --user"
        assert refusal(user=1, all=True) == "sample: argument --all: not allowed with argument --user"
        assert values(user=1, all=False, group=None)["user"] == 1
        values()


def test_one_of_a_required_group_must_be_given():
    with installed(command(exclusive(required=True))):
        assert values(all=True)["all"] is True
        assert refusal() == "sample: one of the arguments --user, --group, --all is required"
        assert "is required" in refusal(all=False)


def test_a_default_that_is_text_is_read_as_if_it_had_been_typed():
    with sample(arg("--number", type=int, default="5"), arg("maybe", type=int, nargs="?", default="6")):
        assert (values()["number"], values()["maybe"]) == (5, 6)
        assert values(number=None)["number"] is None


def test_options_of_a_subcommand_belong_to_the_one_that_is_chosen():
    def add(parser: CommandParser) -> None:
        below = parser.add_subparsers(dest="what", required=True)
        below.add_parser("add").add_argument("--text", default="t")
        below.add_parser("remove").add_argument("--force", action="store_true")

    with installed(command(add)):
        assert values("add", text="x", verbosity=2)["text"] == "x"
        assert "force" not in values("add")
        assert "no option 'force'" in refusal("add", force=True)
        assert refusal() == "sample: the following arguments are required: what (add, remove)"
        assert refusal("ad") == "sample: there is no subcommand 'ad' (did you mean 'add'?)"


def test_a_parser_that_would_exit_is_a_refusal():
    def add(parser: CommandParser) -> None:
        class Exits(ArgumentParser):
            pass

        def check(text: str) -> str:
            below.error(f"{text} is wrong")

        below = parser.add_subparsers(dest="what", parser_class=Exits).add_parser("add")
        below.add_argument("word", type=check)

    with installed(command(add)):
        assert "refused the arguments" in refusal("add", "x")


# -- parsers that are kept ---------------------------------------------------------------------------------------------


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that a parser was built for."""
    names: list[str] = []
    create_parser = BaseCommand.create_parser

    def counting(self: BaseCommand, *args: Any, **kwargs: Any) -> CommandParser:
        names.append(args[1])
        return create_parser(self, *args, **kwargs)

    monkeypatch.setattr(BaseCommand, "create_parser", counting)
    monkeypatch.setattr(module, "KEEP_PARSER", 1000)
    return names


def test_the_parser_is_built_once_for_many_jobs(built: list[str]):
    with sample(arg("number", type=int)):
        values(1)
        first = len(built)
        for number in range(10):
            values(number)
    assert len(built) == first


def test_a_parser_is_built_anew_after_a_while(built: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "KEEP_PARSER", -1)
    with sample(arg("number", type=int)):
        values(1)
        first = len(built)
        values(1)
    assert len(built) > first


def test_choices_that_have_changed_are_found_before_a_job_is_refused():
    allowed = ["a"]

    def add(parser: CommandParser) -> None:
        parser.add_argument("word", choices=tuple(allowed))

    with installed(command(add)):
        values("a")
        allowed.append("b")
        assert values("b")["word"] == "b"
        refusal("c")


def test_settings_that_change_change_the_parser():
    def add(parser: CommandParser) -> None:
        parser.add_argument("--zone", default=settings.TIME_ZONE)

    with installed(command(add)):
        before = values()["zone"]
        with override_settings(TIME_ZONE="Europe/Berlin"):
            assert values()["zone"] == "Europe/Berlin"
        assert values()["zone"] == before


def test_defaults_that_are_lists_are_not_shared_by_jobs():
    with sample(arg("--ids", nargs="*", default=[]), arg("words", nargs="*", default=["a"])):
        first = values()
        first["ids"].append(1)
        first["words"].append(1)
        assert (values()["ids"], values()["words"]) == ([], ["a"])


def test_a_default_that_is_another_one_each_time_is_made_for_each_job():
    def add(parser: CommandParser) -> None:
        parser.add_argument("--batch", default=uuid4())

    with installed(command(add)):
        assert values()["batch"] != values()["batch"]


def bound_method(self: BaseCommand, parser: CommandParser) -> None:
    parser.set_defaults(call=self.handle)


def closure(self: BaseCommand, parser: CommandParser) -> None:
    parser.add_argument("--x", type=lambda text: self, default="")


def parser_in_the_instance(self: Any, parser: CommandParser) -> None:
    self.parser = parser


@pytest.mark.parametrize("add_arguments", [bound_method, closure, parser_in_the_instance])
def test_a_parser_and_an_instance_that_know_each_other_stay_together(add_arguments: Callable[..., None]):
    def handle(self: BaseCommand, *args: Any, **options: Any) -> None:
        pass

    with installed(type("Command", (BaseCommand,), {"add_arguments": add_arguments, "handle": handle})):
        for _ in range(3):
            bound: Any = bind("sample", [], {})
            match add_arguments.__name__:
                case "bound_method":
                    assert bound.options["call"].__self__ is bound.command
                case "closure":
                    assert bound.options["x"] is bound.command
                case _:
                    assert bound.command.parser


def test_threads_may_bind_at_once():
    found: list[int] = []

    def work(number: int) -> None:
        for _ in range(200):
            found.append(values(number)["number"] - number)

    with sample(arg("number", type=int), arg("--each", action="append", default=[])):
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [0] * 800


def test_a_forked_process_may_bind():
    with sample(arg("number", type=int)):
        values(1)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                status = 0 if values(2)["number"] == 2 else 1
            finally:
                os._exit(status)
        assert os.waitpid(pid, 0)[1] == 0


# -- the line to type --------------------------------------------------------------------------------------------------


def argv(*args: Any, **options: Any) -> list[str]:
    return bind("sample", args, options).argv[1:]


def test_the_line_has_dashes_only_where_they_are_needed():
    with sample(arg("words", nargs="*"), arg("--text"), arg("--many", nargs="*"), arg("--on", action="store_true")):
        assert argv("a", "b", text="c d", on=True) == ["a", "b", "--text=c d", "--on"]
        assert argv("-1", many=["x", "y"]) == ["-1", "--many", "x", "y"]
        assert argv("-x", text="-y", on=False) == ["--text=-y", "--", "-x"]
        assert argv() == []


def test_the_line_names_flags_and_counts():
    speed = arg("--fast", action="store_const", const="fast", dest="speed")
    with sample(
        arg("-l", "--loud", action="count", default=0), arg("--no-input", action="store_false", dest="ask"), speed
    ):
        assert argv(loud=2, ask=False, speed="fast") == ["--loud", "--loud", "--no-input", "--fast"]
        assert argv(no_input=True, verbosity=0) == ["--no-input", "--verbosity=0"]


def test_a_number_for_an_option_without_a_type_is_written():
    with sample(arg("--limit")):
        assert argv(limit=5) == ["--limit=5"]


@pytest.mark.parametrize(
    "options",
    [
        *[{"level": None}, {"text": True}, {"pair": ["a", "--help"]}, {"each": ["b"]}, {"hidden": 1}],
        *[{"loud": 10**15}, {"loud": 1.5}, {"loud": -1}],
    ],
    ids=lambda options: next(iter(options)),
)
def test_a_call_that_no_line_gives_has_no_line(options: dict[str, Any]):
    arguments = [arg("--level", default=1), arg("--text"), arg("--pair", nargs=2)]
    arguments += [arg("--each", action="append", default=["a"]), arg("--loud", action="count", default=0)]
    with sample(*arguments, stealth_options=("hidden",)):
        bound = bind("sample", [], options)
        with pytest.raises(InvalidArguments, match=r"^sample: .*command line"):
            _ = bound.argv


def test_looking_at_the_line_never_prints_the_help(capsys: pytest.CaptureFixture[str]):
    with sample(arg("words", nargs="*")):
        assert argv("--help") == ["--", "--help"]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("text", ["-x", "--help", "--text"])
def test_dashes_behind_a_subcommand_make_the_line_safe(text: str):
    def add(parser: CommandParser) -> None:
        below = parser.add_subparsers(dest="what").add_parser("add")
        below.add_argument("words", nargs="+")
        below.add_argument("--text")

    with installed(command(add)):
        assert argv("add", text, "b", text=text, verbosity=2) == [
            *["--verbosity=2", "add", f"--text={text}", "--", text, "b"]
        ]
