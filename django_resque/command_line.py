"""A call written as the line that a person would type."""

from __future__ import annotations

import re
import shlex
from argparse import (
    OPTIONAL,
    PARSER,
    Action,
    ArgumentError,
    BooleanOptionalAction,
    _AppendAction,
    _CountAction,
    _ExtendAction,
)
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.core.management.base import CommandError

from .job import UNPRINTABLE, Job
from .log_format import clean
from .signature import UNREADABLE, Level, Option, Signature

MAX_REPEATED = 20
_NUMBER = re.compile(r"-\.?[0-9]")
_UNPRINTABLE = re.compile(f"[{UNPRINTABLE}]")
_HALF = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair."""


def write(
    signature: Signature, texts: Sequence[str], options: Mapping[str, Any], values: Mapping[str, Any]
) -> list[str]:
    """The words that a person would type behind ``manage.py <command>`` for a call that gives ``values``.

    They have been parsed again, and give the same. Raises `ArgumentError` when there are none, as for None in the place
    of an option that has another default.
    """
    *above, last = signature.spread(texts, options)
    words: list[str] = []
    for level in above:
        words += _option_words(level.options)
        for action, given in level.places:
            words += given[:1] if action.nargs == PARSER else given
    for arrangement in _arrangements(last):
        if _parses_to(signature, [*words, *arrangement], values):
            return [*words, *arrangement]
    raise ArgumentError(None, "no command line gives these values")


def _arrangements(level: Level) -> Iterator[list[str]]:
    """The words of the last parser, the nicest arrangement first."""
    texts = [text for _action, texts in level.places for text in texts]
    options = _option_words(level.options)
    if not any(_is_option_like(text, level.signature) for text in texts):
        yield [*texts, *options]
        yield [*options, *texts]
    yield [*options, "--", *texts]


def _option_words(options: Sequence[Option]) -> list[str]:
    return [word for option in options for word in _words(option)]


def _words(option: Option) -> list[str]:
    action, spelling, value, is_flag = option
    if is_flag:
        return [spelling]
    if value is None:
        return []  # right where None is the default; otherwise parsing finds out
    if isinstance(action, BooleanOptionalAction):
        return [next((text for text in action.option_strings if text.startswith("--no-") is not value), spelling)]
    if isinstance(action, _CountAction):
        return _repeated(action, spelling, value)
    if action.nargs == 0:
        return [] if value == action.default else [spelling]
    if isinstance(value, list):
        return _list_words(action, spelling, value)
    return [f"{spelling}={value}"]


def _repeated(action: Action, spelling: str, value: Any) -> list[str]:
    """``--verbose --verbose``, for an option that counts how often it is given."""
    times = value - (action.default or 0) if isinstance(value, int) else 0
    if times > MAX_REPEATED:
        raise ArgumentError(action, f"a command line would have it {times:,} times")
    return [spelling] * times


def _list_words(action: Action, spelling: str, values: Sequence[Any]) -> list[str]:
    if isinstance(action, _AppendAction) and not isinstance(action, _ExtendAction):
        return [
            word
            for value in values
            for word in (_many(action, spelling, value) if isinstance(value, list) else [f"{spelling}={value}"])
        ]
    return _many(action, spelling, values)


def _many(action: Action, spelling: str, values: Sequence[Any]) -> list[str]:
    if len(values) == 1 and action.nargs not in (None, OPTIONAL):
        return [f"{spelling}={values[0]}"]
    words = [str(value) for value in values]
    if any(word.startswith("-") and not _NUMBER.match(word) for word in words):
        raise ArgumentError(action, "a command line cannot give several values when one looks like an option")
    return [spelling, *words]


def _is_option_like(text: str, signature: Signature) -> bool:
    return text[:1] in signature.parser.prefix_chars and bool(text) and not _NUMBER.match(text)


def _parses_to(signature: Signature, words: Sequence[str], values: Mapping[str, Any]) -> bool:
    try:
        parsed = vars(signature.parser.parse_args(words))
    except (ArgumentError, CommandError, SystemExit, *UNREADABLE):
        return False
    return same_values(values, parsed)


def same_values(values: Mapping[str, Any], parsed: Mapping[str, Any]) -> bool:
    """Whether a command that is called with ``values`` gets what it gets of a line that is ``parsed``."""
    return parsed.keys() == values.keys() and all(_same(values[name], parsed[name]) for name in parsed)


def _same(value: Any, parsed: Any) -> bool:
    if isinstance(value, list) and isinstance(parsed, list):
        return len(value) == len(parsed) and all(map(_same, value, parsed))
    if isinstance(value, (int, float)) and not isinstance(value, bool) and isinstance(parsed, str):
        return str(value) == parsed  # an option without a type: typed by hand it is text
    equals: Any = type(value).__eq__
    if equals is object.__eq__:
        return type(value) is type(parsed)  # an open file, say, equals nothing but itself
    return bool(value == parsed)


# -- for a shell -------------------------------------------------------------------------------------------------------


def to_type(argv: Sequence[str]) -> str | None:
    """``manage.py`` and these words as one line for a shell (bash, zsh, ksh): control characters and marks that turn
    the direction of writing are escaped in it, so that it can be shown, copied and pasted without harm. None when no
    command line can have such a word."""
    if any("\0" in word or _HALF.search(word) for word in argv):
        return None
    return " ".join(["manage.py", *map(_quoted, argv)])


def _quoted(word: str) -> str:
    if clean(word) == word:
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{_UNPRINTABLE.sub(_escape, escaped)}'"


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"  # all of them are in the first plane; \xff would be a byte


# -- for the eye -------------------------------------------------------------------------------------------------------


def line_of(job: Job, *, limit: int = 0) -> str:
    """About the line that one would type, on one line; the command is not asked. ``limit``: characters, 0 for all."""
    text = clean(shlex.join([job.command, *map(str, job.args), *_option_texts(job.options)]))
    return f"{text[: limit - 1]}…" if 0 < limit < len(text) else text


def _option_texts(options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            yield option
        elif value is False:
            yield f"--no-{name.replace('_', '-')}"
        elif isinstance(value, list):
            yield from (option, *map(str, value))
        elif value is not None:
            yield f"{option}={value}"
