"""A job and the same line typed by hand give the command the same values."""

from __future__ import annotations

from argparse import REMAINDER, BooleanOptionalAction
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import load_command_class
from django.core.management.base import CommandError, CommandParser
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from django_resque.command import Bound, bind
from django_resque.errors import InvalidArguments
from tests.sample_commands import command, installed

# -- parsers -----------------------------------------------------------------------------------------------------------


def one_number(parser: CommandParser) -> None:
    parser.add_argument("number", type=int)
    parser.add_argument("--text")


def several_positionals(parser: CommandParser) -> None:
    parser.add_argument("first")
    parser.add_argument("pair", nargs=2)
    parser.add_argument("maybe", nargs="?", default="7", type=int)
    parser.add_argument("rest", nargs="*")
    parser.add_argument("--text", default="x")


def at_least_one(parser: CommandParser) -> None:
    parser.add_argument("args", nargs="+", metavar="word")
    parser.add_argument("--list", nargs="*", default=["a"])
    parser.add_argument("--number", type=int, default="5")


def remainder(parser: CommandParser) -> None:
    parser.add_argument("first", choices=["a", "b"])
    parser.add_argument("rest", nargs=REMAINDER)
    parser.add_argument("--text")


def every_action(parser: CommandParser) -> None:
    parser.add_argument("words", nargs="*", choices=["a", "b", "-x"], default="a")
    parser.add_argument("-n", "--number", type=int, choices=[1, 2, 3])
    parser.add_argument("--amount", type=Decimal, dest="sum")
    parser.add_argument("--text-or-const", nargs="?", const="c", default="d")
    parser.add_argument("--pair", nargs=2, type=int)
    parser.add_argument("--some", nargs="+")
    parser.add_argument("--each", action="append", type=int, default=[0])
    parser.add_argument("--pairs", action="append", nargs=2)
    parser.add_argument("--more", action="extend", nargs="+")
    parser.add_argument("--yes", action="store_true")
    parser.add_argument("--no-input", "--noinput", action="store_false", dest="interactive")
    parser.add_argument("--fast", action="store_const", const="fast", dest="speed")
    parser.add_argument("--slow", action="store_const", const="slow", dest="speed")
    parser.add_argument("--mark", action="append_const", const=1, dest="marks")
    parser.add_argument("--loud", action="count", default=0)
    parser.add_argument("--colour", action=BooleanOptionalAction, default=None)


def groups(parser: CommandParser) -> None:
    either = parser.add_mutually_exclusive_group(required=True)
    either.add_argument("--text")
    either.add_argument("--number", type=int)
    either.add_argument("--yes", action="store_true")
    neither = parser.add_mutually_exclusive_group()
    neither.add_argument("--each", action="append")
    neither.add_argument("word", nargs="?")
    parser.add_argument("--needed", required=True)


def subcommands(parser: CommandParser) -> None:
    parser.add_argument("--text", default="above")
    below = parser.add_subparsers(dest="what", required=True)
    add = below.add_parser("add", aliases=["a"])
    add.add_argument("name")
    add.add_argument("count", type=int, nargs="?", default=1)
    add.add_argument("--text", default="below")
    add.add_argument("--yes", action="store_true")
    move = below.add_parser("move")
    move.set_defaults(mode="moving")
    deeper = move.add_subparsers(dest="where")
    up = deeper.add_parser("up")
    up.add_argument("words", nargs="*")
    up.add_argument("--number", type=float)
    deeper.add_parser("down")


PARSERS = [one_number, several_positionals, at_least_one, remainder, every_action, groups, subcommands]

# -- calls -------------------------------------------------------------------------------------------------------------

NASTY = [
    "--",
    "-",
    "",
    "-x",
    "--text",
    "--text=5",
    "--help",
    "-h",
    "-1",
    "-1.5",
    "@file",
    "a b",
    "-a b",
    "é",
    "=",
    "\n",
]
WORDS = ["a", "b", "1", "2", "add", "move", "up", "down"]
texts = st.sampled_from(WORDS) | st.sampled_from(NASTY) | st.text(max_size=4).filter(lambda text: "\x00" not in text)
scalars = texts | st.integers(-3, 5) | st.booleans() | st.floats(allow_nan=False)
words = st.lists(st.sampled_from(WORDS), max_size=4)
numbers = st.sampled_from(["1", "-1", "30"])

# what has a chance to fit, among what has none
FITTING_ARGS = {
    one_number: st.tuples(numbers),
    groups: st.lists(texts, max_size=1),
    subcommands: st.tuples(st.just("add"), texts) | st.tuples(st.just("move"), st.just("up"), texts, texts),
}
FITTING_OPTIONS = {groups: st.fixed_dictionaries({"needed": texts}, optional={"text": texts, "number": numbers})}

NAMES = {
    one_number: ["text"],
    several_positionals: ["text"],
    at_least_one: ["list", "number"],
    remainder: ["text"],
    every_action: [
        *["number", "sum", "amount", "text_or_const", "text-or-const", "pair", "some", "each", "pairs", "more", "yes"],
        *[
            "interactive",
            "no_input",
            "noinput",
            "speed",
            "fast",
            "slow",
            "marks",
            "mark",
            "loud",
            "colour",
            "no_colour",
        ],
        "verbosity",
    ],
    groups: ["text", "number", "yes", "each", "needed"],
    subcommands: ["text", "yes", "number", "verbosity"],
}


@pytest.fixture(params=PARSERS, ids=lambda add_arguments: add_arguments.__name__)
def add_arguments(request: pytest.FixtureRequest) -> Iterator[Callable[[CommandParser], None]]:
    with installed(command(request.param)):
        yield request.param


def by_hand(words: list[str]) -> dict[str, Any] | None:
    """What typing these words behind ``manage.py sample`` gives; None when they are refused."""
    parser = load_command_class("tests.jobs", "sample").create_parser("manage.py", "sample")
    try:
        values = vars(parser.parse_args(words))
    except (CommandError, SystemExit, ArithmeticError):
        return None
    return {name: value for name, value in values.items() if name != "skip_checks"}


def values_of(bound: Bound) -> dict[str, Any]:
    values = {name: value for name, value in bound.options.items() if name != "skip_checks"}
    return values | ({"args": list(bound.args)} if bound.args else {})


def same(bound: Any, typed: Any) -> bool:
    """Equal, but for a number that arrives as text where the option has no type."""
    if isinstance(bound, list) and isinstance(typed, list):
        return len(bound) == len(typed) and all(map(same, bound, typed))
    return bool(bound == typed) or (type(bound) in (int, float) and str(bound) == typed)


quickly = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quickly
@given(data=st.data())
def test_texts_give_a_job_what_they_give_by_hand(add_arguments: Callable[[CommandParser], None], data: st.DataObject):
    args = data.draw(FITTING_ARGS.get(add_arguments, words) | st.lists(texts, max_size=5))
    options = data.draw(
        FITTING_OPTIONS.get(add_arguments, st.just({}))
        | st.dictionaries(st.sampled_from(NAMES[add_arguments]), texts, max_size=3)
    )
    assume("--" not in [*args, *options.values()])  # before Python 3.13 argparse loses it
    line = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    if add_arguments is subcommands:
        line = [*args[:1], *line, "--", *args[1:]]
    elif add_arguments is remainder:
        line += args  # a "--" would be one of the arguments
    else:
        line += ["--", *args]
    typed = by_hand(line)
    try:
        bound = bind("sample", args, options)
    except InvalidArguments:
        return
    if typed is not None:
        assert values_of(bound) == typed


@quickly
@given(data=st.data())
def test_argv_typed_by_hand_gives_what_the_job_gave(
    add_arguments: Callable[[CommandParser], None], data: st.DataObject
):
    values = scalars | st.none() | st.lists(scalars, max_size=3) | st.lists(st.lists(scalars, max_size=2), max_size=2)
    args = data.draw(FITTING_ARGS.get(add_arguments, words) | st.lists(scalars, max_size=5))
    options = data.draw(
        FITTING_OPTIONS.get(add_arguments, st.just({}))
        | st.dictionaries(st.sampled_from(NAMES[add_arguments]), values, max_size=3)
    )
    try:
        bound = bind("sample", args, options)
        argv = bound.argv
    except InvalidArguments:
        return
    typed = by_hand(argv[1:])
    assert typed is not None
    expected = values_of(bound)
    assert typed.keys() == expected.keys()
    assert all(same(expected[name], typed[name]) for name in typed)
