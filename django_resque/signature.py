"""What a command's parser takes, and a call's values put where the parser would put them.

No command line is made and read again for this: every text is safe, whatever it looks like, values that are no text
stay what they are, and it takes a few microseconds. The rules are argparse's; ``tests/test_bind_by_hand.py`` compares.
"""

from __future__ import annotations

import re
from argparse import (
    ONE_OR_MORE,
    OPTIONAL,
    PARSER,
    REMAINDER,
    SUPPRESS,
    ZERO_OR_MORE,
    Action,
    ArgumentError,
    ArgumentParser,
    Namespace,
    _get_action_name,
)
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from django.core.exceptions import ObjectDoesNotExist, ValidationError

from .arguments import REFUSED_OPTIONS
from .hint import did_you_mean
from .subcommands import Reader

_PATTERNS = {
    None: "(A)",
    OPTIONAL: "(A?)",
    ZERO_OR_MORE: "(A*)",
    ONE_OR_MORE: "(A+)",
    REMAINDER: "(A*)",
    SUPPRESS: "()",
}

UNREADABLE = (ArithmeticError, LookupError, ObjectDoesNotExist, ValidationError)
"""What types raise for a text that they refuse, besides the TypeError and ValueError that argparse expects."""


class Option(NamedTuple):
    """An option as a call gives it."""

    action: Action
    spelling: str
    value: Any
    is_flag: bool = False
    """The spelling stands alone on a command line, and ``value`` says nothing."""


class Level(NamedTuple):
    """What a call gives to a parser, or to the sub-parser that it chose."""

    signature: Signature
    places: Sequence[tuple[Action, Sequence[str]]]
    """The positional arguments, and the texts for each."""
    options: list[Option]


class Signature:
    """What a parser takes, read from it once. Raises `ArgumentError` for what does not fit."""

    def __init__(self, parser: ArgumentParser) -> None:
        self.parser = parser
        self._positionals = [action for action in parser._actions if not action.option_strings]
        self._patterns = [_pattern(action) for action in self._positionals]
        self._places = re.compile("".join(self._patterns))
        self._by_dest: dict[str, list[Action]] = {}
        self._by_long_name: dict[str, tuple[Action, str]] = {}
        self._below: dict[str, Signature] = {}
        self._read_options()
        self._read_defaults()

    def _read_options(self) -> None:
        for action in self.parser._actions:
            if action.option_strings and action.dest not in REFUSED_OPTIONS:
                self._by_dest.setdefault(_key(action.dest), []).append(action)
                for spelling in action.option_strings:
                    if spelling[1:2] in self.parser.prefix_chars:
                        self._by_long_name[_key(spelling[2:])] = action, spelling
        self._required = [action for action in self.parser._actions if action.option_strings and action.required]

    def _read_defaults(self) -> None:
        self._defaults: dict[str, Any] = {}
        for action in self.parser._actions:
            if action.dest != SUPPRESS and action.default is not SUPPRESS:
                self._defaults.setdefault(action.dest, action.default)
        for dest, default in self.parser._defaults.items():
            self._defaults.setdefault(dest, default)
        self._changeable = [dest for dest, value in self._defaults.items() if isinstance(value, (list, dict, set))]
        # argparse reads a default that is text as if it had been typed
        self._texts = [
            (action, action.default)
            for action in self.parser._actions
            if action.option_strings and action.type is not None and isinstance(action.default, str)
        ]

    # -- reading a call ------------------------------------------------------------------------------------------------

    def spread(self, texts: Sequence[str], options: Mapping[str, Any]) -> list[Level]:
        """What is given to this parser and to the sub-parsers that the texts choose, from here down."""
        levels = [Level(self, self._place(texts), [])]
        while chosen := levels[-1].signature._choice(levels[-1].places):
            signature, texts = chosen
            levels.append(Level(signature, signature._place(texts), []))
        for name, value in options.items():
            key = _key(name)
            for level in reversed(levels):
                if key in level.signature._by_dest or key in level.signature._by_long_name:
                    option = level.signature._option(key, value)
                    if option is not None:
                        level.options.append(option)
                    break
            else:
                _refuse_option(name, [level.signature for level in levels])
        return levels

    def _place(self, texts: Sequence[str]) -> list[tuple[Action, Sequence[str]]]:
        match = self._places.fullmatch("A" * len(texts))
        if match is None:
            self._refuse_texts(texts)
        return [(action, texts[slice(*match.span(n))]) for n, action in enumerate(self._positionals, 1)]

    def _choice(self, places: Sequence[tuple[Action, Sequence[str]]]) -> tuple[Signature, Sequence[str]] | None:
        """The sub-parser that was chosen, and the texts for it."""
        for action, texts in places:
            if action.nargs == PARSER and texts:
                name, *rest = texts
                if name not in self._below:
                    parsers: Mapping[str, ArgumentParser] = action.choices  # type: ignore[assignment]
                    if name not in parsers:
                        hint = did_you_mean(name, parsers) or f" ({', '.join(parsers)})"
                        raise ArgumentError(None, f"there is no subcommand {name!r}{hint}")
                    self._below[name] = Signature(parsers[name])
                return self._below[name], rest
        return None

    def _option(self, key: str, value: Any) -> Option | None:
        """Which of the parser's options is meant. None: a flag that is said not to be given."""
        if key not in self._by_dest:
            action, spelling = self._by_long_name[key]
            if action.nargs == 0 and isinstance(value, bool):
                return Option(action, spelling, value, is_flag=True) if value else None
            return Option(action, spelling, value)
        actions = self._by_dest[key]
        if not isinstance(value, str):
            # among flags of one name, such as --quiet and --loud, the one that gives this value
            action = next((one for one in actions if one.nargs == 0 and one.const == value), actions[0])
            return Option(action, _spelling(action), value)
        for action in actions:
            if action.nargs != 0:
                return Option(action, _spelling(action), value)
        for action in actions:
            if action.const == value:
                return Option(action, _spelling(action), value, is_flag=True)
        if value == actions[0].default:
            return None
        raise ArgumentError(actions[0], f"takes no text such as {value!r}; pass True or False")

    # -- filling in ----------------------------------------------------------------------------------------------------

    def fill(self, texts: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any]:
        """The values that parsing gives, by the names that ``handle()`` knows them by."""
        values: dict[str, Any] = {}
        for level in self.spread(texts, options):
            values |= level.signature._fill(level)
        return values

    def _fill(self, level: Level) -> dict[str, Any]:
        namespace = Namespace()
        values = vars(namespace)
        values.update(self._defaults)
        for dest in self._changeable:
            values[dest] = values[dest].copy()
        given = set()
        for option in level.options:
            if self._take(option, namespace):
                given.add(option.action)
        for action, texts in level.places:
            if texts:
                given.add(action)
            self._take_texts(action, texts, namespace)
        self._check_presence(given)
        for action, default in self._texts:
            if action not in given and values.get(action.dest) is default:
                values[action.dest] = self._value(action, default)
        return values

    def _take(self, option: Option, namespace: Namespace) -> bool:
        """Set an option. Says whether a person would have typed it."""
        action, spelling, value, is_flag = option
        if is_flag:
            action(self.parser, namespace, [], spelling)
        elif isinstance(value, str):
            if isinstance(action.nargs, int) and action.nargs != 1:
                raise ArgumentError(action, f"takes {action.nargs} values: pass a list")
            action(self.parser, namespace, self._read(action, [value]), spelling)
        else:
            value = self._checked(action, value)
            setattr(namespace, action.dest, value)
            return value is not None and (action.nargs != 0 or value != action.default)
        return True

    def _checked(self, action: Action, value: Any) -> Any:
        """A value that is not text, and so not read but only checked; texts inside a list are read."""
        if value is None:
            return None
        if isinstance(value, list):
            return [self._checked(action, item) for item in value]
        if isinstance(value, str) or isinstance(action.type, Reader):
            value = self._value(action, str(value))
        self.parser._check_value(action, value)
        return value

    def _take_texts(self, action: Action, texts: Sequence[str], namespace: Namespace) -> None:
        value: Any
        if action.nargs == PARSER:
            if texts and action.dest != SUPPRESS:
                setattr(namespace, action.dest, texts[0])
            return
        if not texts and action.nargs == OPTIONAL:
            value = self._read(action, [action.default]) if isinstance(action.default, str) else action.default
        elif not texts and action.nargs == ZERO_OR_MORE:
            value = [] if action.default is None else action.default
        else:
            value = self._read(action, texts)
        if value is not SUPPRESS:
            action(self.parser, namespace, value.copy() if isinstance(value, list) else value, None)

    def _read(self, action: Action, texts: Iterable[str]) -> Any:
        """Texts as the action's type reads them."""
        values = [self._value(action, text) for text in texts]
        if action.nargs != REMAINDER:
            for value in values:
                self.parser._check_value(action, value)
        return values[0] if action.nargs in (None, OPTIONAL) else values

    def _value(self, action: Action, text: str) -> Any:
        try:
            return self.parser._get_value(action, text)
        except UNREADABLE as error:
            kind = getattr(action.type, "__name__", repr(action.type))
            raise ArgumentError(action, f"invalid {kind} value: {text!r} ({type(error).__name__})") from error

    # -- refusing ------------------------------------------------------------------------------------------------------

    def _check_presence(self, given: set[Action]) -> None:
        missing = [action for action in self._required if action not in given]
        if missing:
            raise ArgumentError(None, f"the following arguments are required: {_names(missing)}")
        for group in self.parser._mutually_exclusive_groups:
            members = [action for action in group._group_actions if action in given]
            if len(members) > 1:
                raise ArgumentError(members[1], f"not allowed with argument {_names(members[:1])}")
            if group.required and not members:
                raise ArgumentError(None, f"one of the arguments {_names(group._group_actions)} is required")

    def _refuse_texts(self, texts: Sequence[str]) -> NoReturn:
        """The texts do not fit the positional arguments: too few, or too many."""
        message = getattr(self.parser, "missing_args_message", None)
        if message and not texts:
            raise ArgumentError(None, message)
        fitting, end = 0, 0
        for count in range(len(self._patterns), 0, -1):
            match = re.match("".join(self._patterns[:count]), "A" * len(texts))
            if match is not None:
                fitting, end = count, match.end()
                break
        missing = [action for action in self._positionals[fitting:] if action.required]
        if missing:
            choices = missing[0].choices if missing[0].nargs == PARSER else None
            hint = f" ({', '.join(choices)})" if choices else ""
            raise ArgumentError(None, f"the following arguments are required: {_names(missing)}{hint}")
        extra = " ".join(texts[end:])
        raise ArgumentError(None, f"unrecognized arguments: {extra if len(extra) < 200 else extra[:200] + '…'}")


def _refuse_option(name: str, signatures: Sequence[Signature]) -> NoReturn:
    if any(_key(name) == action.dest for signature in signatures for action in signature._positionals):
        raise ArgumentError(None, f"{name!r} is a positional argument: pass its value without the name")
    known = sorted({dest for signature in signatures for dest in signature._by_dest})
    hint = did_you_mean(name, [*known, *(name for signature in signatures for name in signature._by_long_name)])
    raise ArgumentError(None, f"there is no option {name!r}{hint} (the options are {', '.join(known)})")


def _key(name: str) -> str:
    return name.replace("-", "_")


def _spelling(action: Action) -> str:
    """The option as a person would write it: its first long name."""
    return next((text for text in action.option_strings if text.startswith("--")), action.option_strings[0])


def _names(actions: Iterable[Action]) -> str:
    return ", ".join(str(_get_action_name(action)) for action in actions)


def _pattern(action: Action) -> str:
    """How many texts a positional argument takes, as a regular expression over one A for each text."""
    if isinstance(action.nargs, int):
        return f"(A{{{action.nargs}}})"
    if action.nargs == PARSER:
        return "(A+)" if action.required else "(A*)"
    return _PATTERNS[action.nargs]
