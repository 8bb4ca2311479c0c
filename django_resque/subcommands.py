"""The subcommands of a `JobCommand`: functions, whose signatures and annotations say which arguments they take."""

from __future__ import annotations

import datetime
import inspect
import types
import typing
from argparse import ArgumentParser, ArgumentTypeError, BooleanOptionalAction
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from inspect import Parameter
from pathlib import Path
from typing import Any, Literal, NoReturn
from uuid import UUID

from .arguments import REFUSED_OPTIONS
from .errors import ConfigurationError

_LISTS = (list, Sequence, Iterable)


class Reader:
    """A ``type`` for argparse that stands for an annotation.

    What it reads is the same whether it came as text or, in a job, as a number.
    """

    def __init__(self, kind: str, read: Callable[[str], Any]) -> None:
        self.__name__ = kind  # argparse says "invalid <__name__> value"
        self._read = read

    def __call__(self, text: str) -> Any:
        try:
            return self._read(text)
        except ArithmeticError as error:  # Decimal's way to refuse a text
            raise ValueError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Subcommand:
    """A function that can be called from a command line."""

    name: str
    help: str
    parameters: tuple[Parameter, ...]
    arguments: tuple[tuple[str, dict[str, Any]], ...]
    """What ``add_argument`` is called with, once for each."""

    @classmethod
    def of(cls, name: str, function: types.FunctionType) -> Subcommand:
        """Read the function's signature. Raises `ConfigurationError` when it cannot be called from a command line."""
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            _refuse(function, "is async or a generator, so calling it would not run it; make it a plain function")
        try:
            hints = typing.get_type_hints(function)
        except NameError as error:
            _refuse(function, f"has an annotation that cannot be resolved, {error}; import that name at run time")
        _self, *parameters = inspect.signature(function).parameters.values()
        arguments = []
        for parameter in parameters:
            _check_name(function, parameter)
            annotation = hints.get(parameter.name, parameter.annotation)
            try:
                arguments += _arguments(parameter.replace(annotation=annotation))
            except TypeError:
                _refuse(
                    function,
                    f"has the parameter {parameter.name!r} with the annotation {annotation!r}, which no text on a"
                    f" command line can be read as; use one of {', '.join(_KNOWN)}, Literal, an Enum, a list of"
                    " these (for an object of the database: its primary key)",
                )
        return cls(
            name=name,
            help=inspect.getdoc(function) or "",
            parameters=tuple(parameters),
            arguments=tuple(arguments),
        )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the function's parameters to ``parser``."""
        for name, settings in self.arguments:
            parser.add_argument(name, **settings)

    def call(self, function: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any]) -> Any:
        """Call ``function`` with what ``handle(*args, **options)`` was given."""
        rest = dict(options)
        positional: list[Any] = []
        named: dict[str, Any] = {}
        for parameter in self.parameters:
            match parameter.kind:
                case Parameter.VAR_POSITIONAL:
                    # Django hands on whatever is called "args" as positional arguments
                    positional += args if parameter.name == "args" else rest.pop(parameter.name)
                case Parameter.KEYWORD_ONLY:
                    named[parameter.name] = rest.pop(parameter.name)
                case Parameter.VAR_KEYWORD:
                    named |= rest
                case _:
                    positional.append(rest.pop(parameter.name))
        return function(*positional, **named)


# -- from parameters to arguments --------------------------------------------------------------------------------------


def _arguments(parameter: Parameter) -> list[tuple[str, dict[str, Any]]]:
    """How ``add_argument`` is called for ``parameter``. Raises `TypeError` for an annotation that says nothing here."""
    match parameter.kind:
        case Parameter.VAR_KEYWORD:
            return []  # takes the options of all commands: verbosity and so on
        case Parameter.KEYWORD_ONLY:
            return [_option(parameter)]
    return [_positional(parameter)]


def _positional(parameter: Parameter) -> tuple[str, dict[str, Any]]:
    annotation, many = _unwrapped(parameter)
    settings = _settings(annotation)
    if choices := settings.get("choices"):
        settings |= {"metavar": parameter.name, "help": f"One of {_listed(choices)}."}
    has_default = parameter.default is not Parameter.empty
    if has_default:
        settings["default"] = parameter.default
    if parameter.kind is Parameter.VAR_POSITIONAL:
        if many:
            raise TypeError
        settings["nargs"] = "*"
    elif many:
        settings["nargs"] = "*" if has_default else "+"
    elif has_default:
        settings["nargs"] = "?"
    return parameter.name, settings


def _option(parameter: Parameter) -> tuple[str, dict[str, Any]]:
    annotation, many = _unwrapped(parameter)
    settings: dict[str, Any]
    if annotation is bool and not many:
        settings = {"action": BooleanOptionalAction}
    else:
        settings = _settings(annotation)
        if choices := settings.get("choices"):
            settings["metavar"] = "{" + _listed(choices) + "}"
        if many:
            settings["nargs"] = "*"
    if parameter.default is Parameter.empty:
        settings["required"] = True
    else:
        settings["default"] = parameter.default
    return "--" + parameter.name.replace("_", "-"), {"dest": parameter.name, **settings}


def _unwrapped(parameter: Parameter) -> tuple[Any, bool]:
    """The annotation without ``| None`` and ``list[…]``, and whether it was a list."""
    annotation = _without_none(parameter.annotation)
    if annotation is Parameter.empty and isinstance(parameter.default, bool):
        annotation = bool  # the text "False" would be true
    if annotation in _LISTS:
        return str, True
    if typing.get_origin(annotation) in _LISTS:
        return _without_none(typing.get_args(annotation)[0]), True
    return annotation, False


def _without_none(annotation: Any) -> Any:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(annotation) if member is not types.NoneType]
        return members[0] if len(members) == 1 else annotation
    return annotation


def _settings(annotation: Any) -> dict[str, Any]:
    """``type`` and ``choices`` for ``add_argument``."""
    if annotation in _READERS:
        return {"type": _READERS[annotation]}
    if typing.get_origin(annotation) is Literal:
        choices = {str(value): value for value in typing.get_args(annotation)}
    elif isinstance(annotation, type) and issubclass(annotation, Enum):
        choices = {str(member.value): member for member in annotation}
    else:
        raise TypeError(annotation)
    return {"type": Reader("choice", _one_of(choices)), "choices": tuple(choices.values())}


def _one_of(choices: Mapping[str, Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if text not in choices:
            raise ArgumentTypeError(f"invalid choice: {text!r} (choose from {', '.join(choices)})")
        return choices[text]

    return read


def _listed(choices: Iterable[Any]) -> str:
    return ",".join(str(choice.value if isinstance(choice, Enum) else choice) for choice in choices)


def _boolean(text: str) -> bool:
    match text.lower():
        case "true" | "yes" | "on" | "1":
            return True
        case "false" | "no" | "off" | "0":
            return False
    raise ValueError(text)


_KNOWN = ("str", "int", "float", "bool", "Decimal", "UUID", "Path", "date", "time", "datetime")

_text = Reader("text", str)

_READERS: dict[Any, Reader] = {
    Parameter.empty: _text,
    Any: _text,
    object: _text,
    str: _text,
    int: Reader("integer", int),
    float: Reader("number", float),
    bool: Reader("boolean", _boolean),
    Decimal: Reader("decimal", Decimal),
    UUID: Reader("UUID", UUID),
    Path: Reader("path", Path),
    datetime.date: Reader("date", datetime.date.fromisoformat),
    datetime.time: Reader("time", datetime.time.fromisoformat),
    datetime.datetime: Reader("date and time", datetime.datetime.fromisoformat),
}


# -- what cannot be on a command line ----------------------------------------------------------------------------------


def _check_name(function: types.FunctionType, parameter: Parameter) -> None:
    name = parameter.name
    if name in REFUSED_OPTIONS or name.startswith("_"):
        _refuse(function, f"has the parameter {name!r}, a name that Django or django_resque needs; rename it")
    if name == "args" and parameter.kind is not Parameter.VAR_POSITIONAL:
        _refuse(function, "has the parameter 'args', which may only be '*args'; rename it")


def _refuse(function: types.FunctionType, why: str) -> NoReturn:
    raise ConfigurationError(f"{function.__module__}: {function.__qualname__}() {why}")
