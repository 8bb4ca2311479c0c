"""What is written to a terminal or a script, and what somebody answers."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management.base import OutputWrapper

from django_resque.management import terminal as module
from django_resque.management.terminal import Terminal
from django_resque.management.verbs import UsageError, confirmed


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Pipe(io.StringIO):
    """One that is none."""


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "dumb")


def at_a_terminal(typed: str = "", **more: Any) -> tuple[Terminal, Screen]:
    screen = Screen()
    return Terminal(OutputWrapper(screen), OutputWrapper(Screen()), stdin=Screen(typed), **more), screen


def in_a_script(**more: Any) -> tuple[Terminal, Pipe]:
    pipe = Pipe()
    return Terminal(OutputWrapper(pipe), OutputWrapper(Pipe()), stdin=Pipe(), **more), pipe


# -- writing -----------------------------------------------------------------------------------------------------------


def test_a_line_obeys_nothing_that_is_in_its_text():
    terminal, pipe = in_a_script()
    terminal.line("mail\x1b[2J\tand\u202ereversed\nnext")
    assert pipe.getvalue() == "mail\\x1b[2J\tand\\u202ereversed\nnext\n"


def test_notes_and_errors_go_to_standard_error():
    stdout, stderr = Pipe(), Pipe()
    terminal = Terminal(stdout, stderr, as_json=True)
    terminal.note("going on")
    terminal.error("wrong\x07")
    assert (stdout.getvalue(), stderr.getvalue()) == ("", "going on\nwrong\\x07\n")


def test_a_table_is_aligned_lines_where_no_terminal_is():
    terminal, pipe = in_a_script()
    terminal.table(["queue", "jobs", ""], [("mail", 12_345, "paused\nnow"), ("a longer name", None, ""), (7, 0, True)])
    assert pipe.getvalue().splitlines() == [
        "queue            jobs",
        "mail           12,345  paused\\nnow",
        "a longer name",
        "7                   0  True",
    ]


def test_a_table_without_rows_is_its_head():
    terminal, pipe = in_a_script()
    terminal.table(["queue", "jobs"], [])
    assert pipe.getvalue() == "queue  jobs\n"


@pytest.mark.usefixtures("wide")
def test_at_a_terminal_a_table_is_drawn_and_loses_nothing():
    terminal, screen = at_a_terminal()
    long = "x" * 150
    terminal.table(["queue", "jobs"], [("[red]mail[/red] \x1b[2J :smile:", 3), (long, 4)])
    text = screen.getvalue()
    assert "[red]mail[/red] \\x1b[2J :smile:" in text
    assert text.count("x") == 151  # with that of \x1b
    assert "─" in text


def test_without_rich_it_is_lines_there_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "HAS_RICH", False)
    terminal, screen = at_a_terminal()
    terminal.table(["queue", "jobs"], [("mail", 3)])
    assert screen.getvalue() == "queue  jobs\nmail      3\n"
    assert terminal.console() is None


def test_json_is_one_document_and_nothing_else():
    terminal, pipe = in_a_script(as_json=True)
    terminal.line("some text")
    terminal.table(["queue"], [("mail",)])
    terminal.json({"queue": "m\u00e4il", "when": complex(1, 2)})
    assert json.loads(pipe.getvalue()) == {"queue": "m\u00e4il", "when": "(1+2j)"}
    assert not pipe.getvalue().endswith("\n\n")


def test_without_the_option_no_json_is_written():
    terminal, pipe = in_a_script()
    terminal.json([1])
    assert pipe.getvalue() == ""


# -- how far it is -----------------------------------------------------------------------------------------------------


def progressing(terminal: Terminal) -> None:
    with terminal.progress("Clearing mail") as told:
        for done in (1, 1000, 2000):
            told(done, 2000)
        told(2001, None)


def test_in_a_script_progress_is_a_line_a_second(monkeypatch: pytest.MonkeyPatch):
    times = iter([0.0, 0.1, 1.0, 1.0, 1.5, 2.0, 2.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(times))
    stderr = Pipe()
    progressing(Terminal(Pipe(), OutputWrapper(stderr)))
    assert stderr.getvalue() == "Clearing mail: 1,000 of 2,000\nClearing mail: 2,001\n"


def test_what_is_quickly_done_writes_no_progress():
    stderr = Pipe()
    progressing(Terminal(Pipe(), OutputWrapper(stderr)))
    assert stderr.getvalue() == ""


@pytest.mark.usefixtures("wide")
def test_at_a_terminal_progress_is_a_bar(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm")
    stderr = Screen()
    progressing(Terminal(Pipe(), OutputWrapper(stderr)))
    assert "Clearing mail" in stderr.getvalue()


def test_with_json_there_is_no_progress(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_BETWEEN_LINES", 0)
    stderr = Screen()
    progressing(Terminal(Pipe(), OutputWrapper(stderr), as_json=True))
    assert stderr.getvalue() == ""


# -- asking ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "chosen"),
    [
        ("2\n", ["b"]),
        ("3,1\n", ["a", "c"]),
        ("2-4 1\n", ["a", "b", "c", "d"]),
        ("all\n", ["a", "b", "c", "d"]),
        ("*\n", ["a", "b", "c", "d"]),
        ("\n", []),
        ("", []),
    ],
)
def test_several_may_be_chosen_from_a_menu(typed: str, chosen: list[str]):
    terminal, screen = at_a_terminal(typed)
    assert terminal.choose("Which?", "abcd", str.upper) == chosen
    assert screen.getvalue().startswith("Which?\n  1  A\n  2  B\n")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("5", "5 is not among 1 to 4"),
        ("0", "0 is not among 1 to 4"),
        ("3-2", "3-2 is not among 1 to 4"),
        ("x", "x is no number"),
        ("1-", "1- is no number"),
    ],
)
def test_who_types_something_else_is_told_and_asked_again(typed: str, said: str):
    terminal, screen = at_a_terminal(f"{typed}\n1\n")
    assert terminal.choose("Which?", "abcd") == ["a"]
    assert said in screen.getvalue()


@pytest.mark.parametrize(
    ("typed", "yes"), [("y\n", True), ("Yes\n", True), ("\n", False), ("ja\n", False), ("", False)]
)
def test_only_yes_is_yes(typed: str, yes: bool):
    terminal, screen = at_a_terminal(typed)
    assert terminal.confirm("Really?\x07") is yes
    assert screen.getvalue().startswith("Really?\\x07 [y/N] ")


@pytest.mark.parametrize(
    ("make", "asks"),
    [
        (lambda: at_a_terminal()[0], True),
        (lambda: at_a_terminal(as_json=True)[0], False),
        (lambda: in_a_script()[0], False),
        (lambda: Terminal(Screen(), Screen(), stdin=Pipe()), False),
        (lambda: Terminal(Pipe(), Screen(), stdin=Screen()), False),
    ],
)
def test_somebody_is_asked_only_who_can_read_and_type(make: Callable[[], Terminal], asks: bool):
    assert make().is_interactive is asks


def test_what_destroys_asks_or_wants_an_option():
    assert confirmed("Really?", {"yes": True}, in_a_script()[0])
    assert confirmed("Really?", {"yes": False}, at_a_terminal("y\n")[0])
    assert not confirmed("Really?", {"yes": False}, at_a_terminal("n\n")[0])
    with pytest.raises(UsageError, match="add --yes") as refused:
        confirmed("Really?", {"yes": False}, in_a_script()[0])
    assert refused.value.returncode == 2
