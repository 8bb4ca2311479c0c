"""`JobCommand`: functions as subcommands."""

from __future__ import annotations

import datetime
import enum
import io
from collections.abc import Sequence
from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Optional
from uuid import UUID

import pytest
from django.core.management import CommandError, ManagementUtility, call_command

from django_resque.command import bind
from django_resque.errors import ConfigurationError, InvalidArguments
from django_resque.management import JobCommand
from tests.sample_commands import installed


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Rank(enum.Enum):
    FIRST = 1
    LAST = 99


class Recorder(JobCommand):
    """Remembers what it was called with. It is between the commands below and JobCommand, and has no function."""

    _calls: list[Any] = []

    def _took(self, *values: Any) -> None:
        self._calls.append(values if len(values) != 1 else values[0])


def job(*args: Any, **options: Any) -> Any:
    """What the subcommand of ``sample`` took as a job; its line by hand has to give the same."""
    Recorder._calls.clear()
    bound = bind("sample", args, options)
    bound.command.execute(*bound.args, **bound.options)
    call_command(*bound.argv)
    as_job, by_hand = Recorder._calls
    assert repr(as_job) == repr(by_hand)
    return as_job


def refusal(*args: Any, **options: Any) -> str:
    with pytest.raises(InvalidArguments) as caught:
        bind("sample", args, options)
    return str(caught.value)


# -- which functions ---------------------------------------------------------------------------------------------------


class Helpers:
    def from_a_mixin(self) -> None: ...


class Middle(Recorder):
    def inherited(self) -> None:
        self._took("inherited")

    def taken_back(self) -> None: ...


class Chosen(Helpers, Middle):
    taken_back = None
    value = 5

    class Inner: ...

    @property
    def a_property(self) -> int:
        raise AssertionError

    @staticmethod
    def a_static_method() -> None: ...

    @classmethod
    def a_class_method(cls) -> None: ...

    def own(self) -> None:
        self._took("own")

    def _private(self) -> None: ...

    def set_up(self) -> None: ...

    def check(self, *args: Any, **kwargs: Any) -> None: ...

    def style(self) -> None: ...


def test_subcommands_are_the_public_functions_below_job_command():
    with installed(Chosen, allowed=False):
        assert job("own") == "own"
        assert job("inherited") == "inherited"
        assert refusal("execute") == "sample: there is no subcommand 'execute' (inherited, own)"


@pytest.mark.parametrize(
    "name",
    [
        *[
            "handle",
            "execute",
            "run_from_argv",
            "check",
            "set_up",
            "tear_down",
            "_private",
            "_took",
            "__init__",
            "style",
        ],
        *["a_property", "a_static_method", "a_class_method", "Inner", "value", "from_a_mixin", "taken_back", "queue"],
    ],
)
def test_nothing_else_can_be_called(name: str):
    with installed(Chosen, allowed=False):
        assert "there is no subcommand" in refusal(name)


def test_a_command_with_its_own_handle_has_no_subcommands():
    class Own(JobCommand):
        def handle(self, *args: Any, **options: Any) -> None: ...

        def helper(self) -> None: ...

    with installed(Own, allowed=False):
        assert "unrecognized arguments: helper" in refusal("helper")
        bind("sample", [], {})


def test_a_command_without_anything_to_call_says_so():
    class Empty(JobCommand): ...

    with installed(Empty, allowed=False), pytest.raises(NotImplementedError, match="neither a handle"):
        call_command("sample")


# -- signatures --------------------------------------------------------------------------------------------------------


class Signatures(Recorder):
    def plain(self, one, two="2", *, three="3") -> None:  # type: ignore[no-untyped-def]
        self._took(one, two, three)

    def numbers(self, a: int, b: float = 0.5, /, *, c: Decimal = Decimal(0)) -> None:
        self._took(a, b, c)

    def many(self, first: str, *args: int, each: list[UUID] = [], some: Sequence[int] = (1,)) -> None:  # noqa: B006
        self._took(first, args, each, list(some))

    def named(self, *ids: int) -> None:
        self._took(ids)

    def a_list(self, ids: list[int], *, words: list = []) -> None:  # type: ignore[type-arg]  # noqa: B006
        self._took(ids, words)

    def flags(self, on: bool = False, *, a: bool = False, b: bool = True, c: bool | None = None, d=False) -> None:  # type: ignore[no-untyped-def]
        self._took(on, a, b, c, d)

    def times(
        self,
        day: datetime.date,
        *,
        at: datetime.datetime | None = None,
        time: Optional[datetime.time] = None,  # noqa: UP045
    ) -> None:
        self._took(day, at, time)

    def choices(
        self,
        colour: Colour,
        *,
        rank: Rank = Rank.LAST,
        mode: Literal["fast", "slow"] = "fast",
        size: Literal[1, 2] | None = None,
        colours: list[Colour] = [],  # noqa: B006
    ) -> None:
        self._took(colour, rank, mode, size, colours)

    def a_path(self, path: Path = Path("x"), *, dry_run: bool = False) -> None:
        self._took(path, dry_run)

    def required(self, *, needed: int, sure: bool) -> None:
        self._took(needed, sure)

    def the_rest(self, a: int, **options: Any) -> None:
        self._took(a, sorted(options))

    def anything(self, a: Any, b: object = "b") -> None:
        self._took(a, b)


@pytest.fixture
def signatures() -> Any:
    with installed(Signatures, allowed=False):
        yield


TODAY = datetime.date(2026, 11, 20)
NOON = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)

CALLS = [
    (["plain", 1], {}, ("1", "2", "3")),
    (["plain", "-x", "--help"], {"three": 5}, ("-x", "--help", "5")),
    (["numbers", "5"], {}, (5, 0.5, Decimal(0))),
    (["numbers", 5, 2], {"c": Decimal("1.50")}, (5, 2.0, Decimal("1.50"))),
    (["numbers", 5, 2], {"c": 3}, (5, 2.0, Decimal(3))),
    (["many", "a"], {}, ("a", (), [], [1])),
    (["many", "a", 1, "2"], {"each": [UUID(int=1)], "some": []}, ("a", (1, 2), [UUID(int=1)], [])),
    (["named"], {}, ()),
    (["named", [1, 2], 3], {}, (1, 2, 3)),
    (["a_list", 1, 2], {"words": ["a", 5]}, ([1, 2], ["a", "5"])),
    (["flags"], {}, (False, False, True, None, False)),
    (["flags", True], {"a": True, "b": False, "c": False, "d": True}, (True, True, False, False, True)),
    (["flags", "yes"], {"no_b": True, "c": None}, (True, False, False, None, False)),
    (["times", TODAY], {"at": NOON, "time": NOON.time()}, (TODAY, NOON, NOON.time())),
    (["choices", "red"], {}, (Colour.RED, Rank.LAST, "fast", None, [])),
    (
        ["choices", Colour.BLUE],
        {"rank": Rank.FIRST, "mode": "slow", "size": 2, "colours": [Colour.RED, "blue"]},
        (Colour.BLUE, Rank.FIRST, "slow", 2, [Colour.RED, Colour.BLUE]),
    ),
    (["a_path"], {}, (Path("x"), False)),
    (["a_path", Path("a/b")], {"dry-run": True}, (Path("a/b"), True)),
    (["required"], {"needed": 5, "sure": False}, (5, False)),
    (["anything", 1, 2], {}, ("1", "2")),
]


@pytest.mark.usefixtures("signatures")
@pytest.mark.parametrize(("args", "options", "expected"), CALLS, ids=lambda value: str(value)[:40])
def test_a_job_and_its_line_give_the_function_what_its_annotations_say(args: Any, options: Any, expected: Any):
    assert job(*args, **options) == expected


@pytest.mark.usefixtures("signatures")
def test_a_function_may_take_the_options_that_all_commands_have():
    number, options = job("the_rest", 1)
    assert number == 1
    assert "verbosity" in options
    assert "a" not in options


WRONG = [
    (["numbers", "x"], {}, "argument a: invalid integer value: 'x'"),
    (["numbers", 1, "x"], {}, "argument b: invalid number value: 'x'"),
    (["numbers", 1], {"c": "x"}, "argument --c: invalid decimal value: 'x'"),
    (["numbers"], {}, "the following arguments are required: a"),
    (["numbers", 1, 2, 3], {}, "unrecognized arguments: 3"),
    (["numbers", 1], {"b": 2}, "'b' is a positional argument"),
    (["a_list"], {}, "required: ids"),
    (["many", "a"], {"each": ["x"]}, "argument --each: invalid UUID value: 'x'"),
    (["flags", "maybe"], {}, "argument on: invalid boolean value: 'maybe'"),
    (["flags"], {"a": "yes"}, "argument --a/--no-a: takes no text such as 'yes'; pass True or False"),
    (["choices", "green"], {}, "argument colour: invalid choice: 'green' (choose from red, blue)"),
    (["choices", "red"], {"rank": 2}, "invalid choice: '2' (choose from 1, 99)"),
    (["choices", "red"], {"mode": "medium"}, "invalid choice: 'medium' (choose from fast, slow)"),
    (["times", "yesterday"], {}, "argument day: invalid date value: 'yesterday'"),
    (["required"], {"needed": 1}, "required: --sure/--no-sure"),
]


@pytest.mark.usefixtures("signatures")
@pytest.mark.parametrize(("args", "options", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_what_an_annotation_does_not_allow_is_refused(args: Any, options: Any, message: str):
    assert message in refusal(*args, **options)


def dictionary(self: Any, data: dict[str, int]) -> None: ...
def either(self: Any, data: int | str) -> None: ...
def lists(self: Any, data: list[list[int]]) -> None: ...
def starred_lists(self: Any, *data: list[int]) -> None: ...
def unresolved(self: Any, data: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821
def reserved(self: Any, *, settings: str) -> None: ...
def private(self: Any, _data: str) -> None: ...
def called_args(self: Any, args: str) -> None: ...
async def asynchronous(self: Any) -> None: ...
def generator(self: Any) -> Any:
    yield 1


BROKEN = [
    (dictionary, "'data' with the annotation dict"),
    (either, "'data' with the annotation int | str"),
    (lists, "'data' with the annotation list"),
    (starred_lists, "'data' with the annotation list"),
    (unresolved, "'Nowhere' is not defined; import that name at run time"),
    (reserved, "'settings', a name that Django"),
    (private, "'_data', a name that Django"),
    (called_args, r"only be '\*args'"),
    (asynchronous, "make it a plain function"),
    (generator, "make it a plain function"),
]


@pytest.mark.parametrize(("function", "message"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_a_function_that_no_line_can_call_is_a_clear_error(function: Any, message: str):
    cls = type("Broken", (JobCommand,), {"function": function})
    with installed(cls, allowed=False), pytest.raises(ConfigurationError, match=message) as caught:
        bind("sample", ["function"], {})
    assert function.__name__ in str(caught.value)


# -- by hand -----------------------------------------------------------------------------------------------------------


def manage(*words: str) -> None:
    ManagementUtility(["manage.py", *words]).execute()


def test_a_subcommand_runs_by_hand(capsys: pytest.CaptureFixture[str]):
    manage("mailing", "send_sign_up_email", "42", "--template=fancy", "--dry-run")
    assert capsys.readouterr().out == "42 'fancy' True\n"


def test_what_a_subcommand_returns_is_printed(capsys: pytest.CaptureFixture[str]):
    assert call_command("mailing", "remind", 1, 2, subject="Hi") == "Hi 1 and 2"
    assert capsys.readouterr().out == "Hi 1 and 2\n"


def test_what_is_returned_and_no_text_is_printed_as_text(capsys: pytest.CaptureFixture[str]):
    class Counts(JobCommand):
        def count(self) -> int:
            return 5

    with installed(Counts, allowed=False):
        call_command("sample", "count")
    assert capsys.readouterr().out == "5\n"


def test_without_a_subcommand_the_usage_is_shown(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        manage("mailing")
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert "usage: manage.py mailing" in error
    assert "the following arguments are required: subcommand" in error


def test_the_help_lists_the_subcommands(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        manage("mailing", "--help")
    shown = capsys.readouterr().out
    assert "Mails to users." in shown
    assert "send_sign_up_email" in shown
    assert "Welcome a new user." in shown
    assert "_all" not in shown
    with pytest.raises(SystemExit):
        manage("mailing", "send_sign_up_email", "--help")
    shown = capsys.readouterr().out
    assert "100% of them" in shown
    assert "user_id" in shown
    assert "--template" in shown


def test_an_option_that_begins_like_one_of_djangos_works_by_hand(capsys: pytest.CaptureFixture[str]):
    class Short(JobCommand):
        def show(self, *, ver: str) -> None:
            self.stdout.write(ver)

    with installed(Short, allowed=False):
        manage("sample", "show", "--ver=1")
    assert capsys.readouterr().out == "1\n"


def test_a_command_may_have_arguments_for_all_its_subcommands():
    class Common(Recorder):
        def add_arguments(self, parser: Any) -> None:
            parser.add_argument("--site")

        def show(self, **options: Any) -> None:
            self._took(options["site"])

    with installed(Common, allowed=False):
        assert job("show", site="a") == "a"


# -- set_up and tear_down ----------------------------------------------------------------------------------------------


class Around(JobCommand):
    _fails = ""

    def _say(self, what: str) -> None:
        self.stdout.write(what)
        if self._fails == what:
            raise CommandError(what)

    def set_up(self) -> None:
        self._say("up")

    def tear_down(self) -> None:
        self._say("down")


class AroundFunctions(Around):
    def work(self) -> str:
        self._say("work")
        return "result"


class AroundHandle(Around):
    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("word")

    def handle(self, *args: Any, **options: Any) -> str:
        self._say(options["word"])
        return "result"


@pytest.mark.parametrize("base", [AroundFunctions, AroundHandle])
@pytest.mark.parametrize(
    ("fails", "said"),
    [("", "up work down result"), ("up", "up"), ("work", "up work down"), ("down", "up work down")],
)
def test_set_up_and_tear_down_are_around_the_work(base: type[Around], fails: str, said: str):
    out = io.StringIO()
    with installed(type("Command", (base,), {"_fails": fails}), allowed=False):
        bound = bind("sample", ["work"], {})
        with pytest.raises(CommandError, match=fails) if fails else nullcontext():
            bound.command.execute(*bound.args, **{**bound.options, "stdout": out})
    assert out.getvalue().split() == said.split()
    assert "handle" not in vars(bound.command)


# -- class attributes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("queue", "no queue"), ("queue", len), ("queue", ""), ("track", "yes"), ("sensitive", "password")],
        *[("timeout", float("inf")), ("timeout", 10**9), ("on_crash", "retry"), ("on_crash", True)],
        *[("sensitive", [1]), ("timeout", -1), ("timeout", True), ("timeout", "5"), ("max_attempts", 1.5)],
    ],
)
def test_a_class_attribute_that_means_nothing_is_an_error(name: str, value: Any):
    with pytest.raises(ConfigurationError, match=rf"Command\.{name} must be"):
        type("Command", (JobCommand,), {name: value})


def test_class_attributes_may_be_what_their_docstrings_say():
    attributes = {"queue": "mail", "track": False, "sensitive": ("a",), "timeout": 1.5, "max_attempts": 3}
    type("Command", (JobCommand,), {**attributes, "on_crash": "fail"})
    type("Command", (JobCommand,), {**attributes, "timeout": 30, "queue": None, "on_crash": "requeue"})
    type("Command", (JobCommand,), {"timeout": 0, "on_crash": None})


def test_a_docstring_is_the_help_unless_there_is_one():
    class Documented(JobCommand):
        """Does it."""

    class Helped(Documented):
        """Notes for developers."""

        help = "Does that."

    class Below(Helped):
        """Does more."""

    assert (Documented.help, Helped.help, Below.help) == ("Does it.", "Does that.", "Does more.")
