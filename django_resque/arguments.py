"""The values that a job carries: what a shell could have been given, and JSON can hold."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from django.db.models import Model, QuerySet
from django.utils.functional import Promise

from .errors import InvalidArguments

REFUSED_OPTIONS = frozenset(
    {
        "settings",
        "pythonpath",
        "stdout",
        "stderr",
        "skip_checks",
        "no_color",
        "force_color",
        "traceback",
        "version",
        "help",
        "_resque",  # what `using()` chose travels under this name
    }
)
"""Options that are about the process, not about the job."""

_PLAIN = frozenset({str, int, float, bool})


def normalise(args: Sequence[Any], options: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments as they go into JSON.

    Texts, numbers and booleans stay what they are; UUID, Decimal, path, date, time, datetime, enum and lazy text become
    the text that would be typed (an enum: its value). Lists among the positional arguments are spread, as
    ``call_command`` does it. An option may also be None or a list. Raises `InvalidArguments` for everything else.
    """
    plain: list[Any] = []
    for position, value in enumerate(args, 1):
        if type(value) in _PLAIN:
            plain.append(value)
        elif isinstance(value, (list, tuple)):
            plain.extend(_plain(item, f"an item of positional argument {position}") for item in value)
        else:
            plain.append(_plain(value, f"positional argument {position}"))
    named = {}
    for name, value in options.items():
        if name.replace("-", "_") in REFUSED_OPTIONS:
            raise InvalidArguments(f"The option {name!r} cannot be given to a job")
        named[name] = value if type(value) in _PLAIN else _option(value, f"the option {name!r}")
    return plain, named


def _option(value: Any, where: str) -> Any:
    if value is None:
        return None
    if not isinstance(value, (list, tuple)):
        return _plain(value, where)
    # an option that may be repeated, with several values each time, is a list of lists
    return [
        [_plain(part, where) for part in item] if isinstance(item, (list, tuple)) else _option(item, where)
        for item in value
    ]


def _plain(value: Any, where: str) -> str | int | float:
    """``value`` as text, number or boolean."""
    match value:
        case Enum():
            return _plain(value.value, where)
        case bool():
            return value
        case str() | Promise() | UUID() | Decimal() | PurePath():
            return str(value)
        case int():
            return int(value)
        case float():
            return float(value)
        case datetime.date() | datetime.time():  # a datetime is a date
            return value.isoformat()
    raise InvalidArguments(f"{where[0].upper()}{where[1:]} is {_kind(value)}: {_advice(value)}")


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    return f"of type {value._meta.object_name if isinstance(value, Model) else type(value).__name__}"


def _advice(value: Any) -> str:
    match value:
        case None:
            return "a command line has no None; leave the argument out, or make it an option"
        case Model():
            return f"pass {value._meta.model_name}.pk, and load it again in the command"
        case QuerySet():
            return 'pass list(queryset.values_list("pk", flat=True)), and load the objects again in the command'
        case Mapping():
            return "pass the key of where it is stored, or json.dumps() of it"
        case bytes() | bytearray() | memoryview():
            return "pass text, or the path of a file"
        case list() | tuple():
            return "a list may hold texts, numbers and booleans, no further list"
        case set() | frozenset():
            return "pass sorted() of it"
        case datetime.timedelta():
            return "pass its total_seconds()"
    return "a job carries texts, numbers, booleans and lists of them"
