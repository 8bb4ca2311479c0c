"""A line that a person has typed, read as the call that a job carries: the other way round than `command_line`."""

from __future__ import annotations

import math
import re
from argparse import PARSER, SUPPRESS, Action, ArgumentError, ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from django.core.management.base import CommandError

from .arguments import REFUSED_OPTIONS, normalise
from .command import find
from .command_line import same_values
from .conf import COMMAND_NAME
from .errors import InvalidArguments, UnknownCommand
from .job import MAX_INTEGER
from .signature import UNREADABLE, Signature

_SCALARS = (str, int, float, bool)
_INTEGER = re.compile(r"-?[0-9]{1,15}")


class Call(NamedTuple):
    """What `enqueue` takes behind the command's name."""

    args: list[Any]
    options: dict[str, Any]


def read_line(name: str, words: Sequence[str]) -> Call:
    """The call that does the same as ``manage.py <name> <words>``.

    The command's own parser reads the words. Numbers and booleans that it makes of them are written as such, so that
    the job is the same as one that a program enqueues; all else stays the text that was typed. Raises
    `InvalidArguments` for what does not fit, and what `find` raises. ``--help`` among the words is obeyed.
    """
    command = find(name).cls()
    parser = command.create_parser("manage.py", name)
    heard: list[_Given] = []
    _listen(parser, heard)
    try:
        values = vars(parser.parse_args(list(words)))
    except (ArgumentError, CommandError, *UNREADABLE) as error:
        raise InvalidArguments(f"{name}: {str(error).removeprefix('Error: ')}") from error
    except SystemExit as error:
        if not error.code:
            raise  # --help has been answered
        raise InvalidArguments(f"{name}: the command's own parser refused the arguments") from error
    for given in heard:
        if given.spelling and given.action.dest in REFUSED_OPTIONS:
            raise InvalidArguments(
                f"{name}: {given.spelling} is about the process, not about the job, which has no such option"
            )
    signature = Signature(command.create_parser("manage.py", name))
    for write in (_as_values, _as_texts):
        call = _call(heard, values, write)
        if _gives(signature, call, values):
            return call
    raise InvalidArguments(f"{name}: this line cannot be written as a job: an option is made of what no job can carry")


def read_plainly(name: str, words: Sequence[str]) -> Call:
    """The same without the command, which only the workers have: ``--option=value`` and ``--flag`` are options, all
    else, and what is behind a ``--``, are arguments; all of them are texts."""
    if not COMMAND_NAME.fullmatch(name):
        raise UnknownCommand(f"{name!r} cannot be the name of a command that is a job")
    args: list[Any] = []
    options: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        if word == "--":
            args += rest
        elif word.startswith("--"):
            option, equals, value = word[2:].partition("=")
            options[option.replace("-", "_")] = value if equals else True
        elif word.startswith("-") and not _is_number(word):
            raise InvalidArguments(f"{name}: {word} is not understood without the command: write --option=value")
        else:
            args.append(word)
    return Call(args, options)


# -- listening to the parser -------------------------------------------------------------------------------------------


class _Given(NamedTuple):
    """The texts that a parser has taken for an action; ``spelling`` is empty for a positional argument."""

    action: Action
    spelling: str
    texts: list[str]


def _listen(parser: ArgumentParser, heard: list[_Given]) -> None:
    """Have a parser, and those below it, tell which texts are taken for which action."""
    original = parser._get_values

    def get_values(action: Action, texts: list[str]) -> Any:
        place = len(heard)
        value = original(action, texts)  # takes a "--" out of the texts, up to Python 3.12
        heard.insert(place, _Given(action, _long_name(action), [text for text in texts if isinstance(text, str)]))
        return value

    parser._get_values = get_values  # type: ignore[assignment,method-assign]
    for action in parser._actions:
        if action.nargs == PARSER and isinstance(action.choices, dict):
            for below in {id(each): each for each in action.choices.values()}.values():  # aliases
                _listen(below, heard)


def _long_name(action: Action) -> str:
    return next((text for text in action.option_strings if text[1:2] == text[:1]), "".join(action.option_strings[:1]))


# -- the call ----------------------------------------------------------------------------------------------------------

_Writer = Callable[[Action, list[list[str]], dict[str, Any]], Any]


def _call(heard: Sequence[_Given], values: dict[str, Any], write: _Writer) -> Call:
    args: list[Any] = []
    texts: dict[Action, list[list[str]]] = {}
    for given in heard:
        if given.spelling:
            texts.setdefault(given.action, []).append(given.texts)
        elif given.action.nargs == PARSER:
            args += given.texts[:1]
        elif given.texts:
            written = write(given.action, [given.texts], values)
            args += written if isinstance(written, list) else [written]
    options = {_option_name(action, values): write(action, each, values) for action, each in texts.items()}
    return Call(args, options)


def _option_name(action: Action, values: dict[str, Any]) -> str:
    return action.dest if action.dest in values else _long_name(action).lstrip("-").replace("-", "_")


def _as_values(action: Action, texts: list[list[str]], values: dict[str, Any]) -> Any:
    """What the parser has made of the texts, when JSON has it too."""
    value = values.get(action.dest, SUPPRESS)
    if action.dest not in values or not all(_is_plain(item) for item in _flat(value)):
        return _as_texts(action, texts, values)
    typed = [text for each in texts for text in each]
    if isinstance(value, list) and len(value) == len(typed):
        return [_as_integer(item, text) for item, text in zip(value, typed, strict=True)]
    return _as_integer(value, typed[-1]) if typed else value


def _as_integer(value: Any, text: str) -> Any:
    """An integer, where one was typed for a float: a program would have given it so."""
    return int(text) if type(value) is float and _INTEGER.fullmatch(text) else value


def _as_texts(action: Action, texts: list[list[str]], values: dict[str, Any]) -> Any:
    """The texts, as the parser reads them again; True for a flag."""
    if not action.option_strings:
        return texts[0]
    if action.nargs == 0:
        return values[action.dest] if action.dest in values and _is_plain(values[action.dest]) else True
    given = [each if isinstance(action.nargs, int) or action.nargs in ("*", "+") else each[0] for each in texts if each]
    kept = values.get(action.dest)
    if isinstance(kept, list) and len(kept) >= len(given) and action.nargs in (None, "?"):  # it was collected
        return given
    return given[-1] if given else values.get(action.dest)


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _flat(item)
    else:
        yield value


def _is_plain(value: Any) -> bool:
    if value is None:
        return True
    if type(value) not in _SCALARS or value is SUPPRESS:
        return False
    return not (isinstance(value, float) and not math.isfinite(value)) and not (
        isinstance(value, int) and abs(value) > MAX_INTEGER
    )


def _gives(signature: Signature, call: Call, values: dict[str, Any]) -> bool:
    """Whether a worker gets the same values from the call as by hand."""
    try:
        plain, named = normalise(*call)
        filled = signature.fill([value if isinstance(value, str) else str(value) for value in plain], named)
    except (ArgumentError, InvalidArguments, CommandError, SystemExit, TypeError, ValueError, *UNREADABLE):
        return False
    return same_values(filled, values)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
