"""An argument of a command as a field of a form, and what is entered there as the value that a job carries."""

from __future__ import annotations

import re
import shlex
from argparse import (
    ONE_OR_MORE,
    OPTIONAL,
    SUPPRESS,
    Action,
    ArgumentParser,
    BooleanOptionalAction,
    _AppendAction,
    _CountAction,
    _ExtendAction,
)
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import cached_property
from itertools import islice
from typing import Any

from django import forms
from django.utils.html import escape
from django.utils.translation import gettext as _

from ..log_format import clean_line
from ..subcommands import Reader
from .text import MESSAGE, line

MOST_CHOICES = 300
"""Choices in a list: of more, or of those that cannot be counted, one is typed."""
MISSING = object()
"""In place of a value: it was not given, and the command's default counts."""
_INTEGER = re.compile(r"-?[0-9]{1,15}")
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")


class Shape(StrEnum):
    """What an argument looks like in a form."""

    TEXT = "text"
    CHOICE = "choice"
    FLAG = "flag"
    SWITCH = "switch"
    COUNT = "count"
    MANY = "many"
    """Several values, one on each line."""
    LISTS = "lists"
    """Several lists, one on each line."""


@dataclass(frozen=True)
class Argument:
    """An argument of a command, or of its subcommand at this ``level``; ``is_base``: all commands have it."""

    action: Action
    parser: ArgumentParser
    level: int
    is_base: bool = False

    @property
    def is_option(self) -> bool:
        return bool(self.action.option_strings)

    @property
    def label(self) -> str:
        """The option's long name, or what the parser calls a positional argument."""
        names = self.action.option_strings
        if names:
            return line(next((name for name in names if name.startswith("--")), names[0]))
        return line(self.action.metavar if isinstance(self.action.metavar, str) else self.action.dest)

    @property
    def name(self) -> str:
        """The field's name."""
        return f"{self.level}:{self.action.option_strings[0] if self.is_option else self.action.dest}"

    @property
    def is_required(self) -> bool:
        if self.is_option:
            return self.action.required
        return self.action.nargs in (None, ONE_OR_MORE) or (
            isinstance(self.action.nargs, int) and self.action.nargs > 0
        )

    @cached_property
    def shape(self) -> Shape:
        action = self.action
        if isinstance(action, BooleanOptionalAction):
            return Shape.SWITCH
        if isinstance(action, _CountAction):
            return Shape.COUNT
        if action.nargs == 0:
            return Shape.FLAG
        is_list = action.nargs not in (None, OPTIONAL)
        if isinstance(action, _AppendAction) and not isinstance(action, _ExtendAction):
            return Shape.LISTS if is_list else Shape.MANY
        if is_list:
            return Shape.MANY
        return Shape.CHOICE if self.choices else Shape.TEXT

    @cached_property
    def choices(self) -> Sequence[str]:
        """The texts that can be chosen; none where there are none, or too many."""
        try:
            found = list(islice(self.action.choices or (), MOST_CHOICES + 1))
        except TypeError:  # a container that tells what is in it, and cannot be gone through
            return ()
        return [_text(choice) for choice in found] if len(found) <= MOST_CHOICES else ()

    # -- the field -----------------------------------------------------------------------------------------------------

    def field(self, shown: str | bool | None) -> forms.Field:
        """The field, for ``shown`` in it (None: nothing)."""
        common: dict[str, Any] = {"label": self.label, "help_text": escape(self._help), "required": self.is_required}
        match self.shape:
            case Shape.FLAG:
                return forms.BooleanField(**{**common, "required": False})
            case Shape.SWITCH if self._is_two_way:
                return forms.BooleanField(**{**common, "required": False})
            case Shape.SWITCH:
                return forms.ChoiceField(choices=[("", "–"), ("yes", _("yes")), ("no", _("no"))], **common)
            case Shape.CHOICE:
                return self._choice_field(shown, common)
            case Shape.MANY | Shape.LISTS:
                return forms.CharField(strip=False, widget=_area(4), **common)
        kind = self._number_kind
        attrs = {"autocomplete": "off", "spellcheck": "false", **({"inputmode": kind} if kind else {})}
        is_long = isinstance(shown, str) and "\n" in shown
        return forms.CharField(strip=False, widget=_area(4) if is_long else forms.TextInput(attrs=attrs), **common)

    def _choice_field(self, shown: str | bool | None, common: Mapping[str, Any]) -> forms.Field:
        options = [(choice, line(choice)) for choice in self.choices]
        if isinstance(shown, str) and shown and shown not in self.choices:
            options.append((shown, line(shown)))  # what was chosen once may not be a choice any more
        return forms.ChoiceField(choices=[("", "–"), *options], **common)

    @property
    def _is_two_way(self) -> bool:
        return isinstance(self.action.default, bool) and not self.action.required

    @property
    def _number_kind(self) -> str:
        """How a keyboard on a screen helps."""
        if self.shape is Shape.COUNT or self._reads("integer", int):
            return "numeric"
        return "decimal" if self._reads("number", float) else ""

    def _reads(self, name: str, kind: type) -> bool:
        reader = self.action.type
        return reader is kind or (isinstance(reader, Reader) and reader.__name__ == name)

    @property
    def _help(self) -> str:
        sentences = [line(self._own_help, MESSAGE)]
        if self.shape is Shape.MANY:
            sentences.append(_("One value on each line."))
        elif self.shape is Shape.LISTS:
            sentences.append(_("On each line the values of one, as one would type them."))
        if self.shape in (Shape.MANY, Shape.LISTS) and self.choices:
            sentences.append(_("Choices: %(choices)s") % {"choices": line(", ".join(self.choices), MESSAGE)})
        default = self._default
        if default and default not in self._own_help:
            sentences.append(_("Default: %(default)s") % {"default": default})
        return " ".join(filter(None, sentences))

    @cached_property
    def _own_help(self) -> str:
        text = self.action.help
        if not text or text == SUPPRESS:
            return ""
        # argparse's own expansion goes through all choices, however many there are
        known = {name: getattr(value, "__name__", value) for name, value in vars(self.action).items()}
        known |= {"prog": self.parser.prog, "choices": ", ".join(self.choices)}
        try:
            return str(text % known)
        except Exception:  # a help with a % of its own; or whatever a default raises that is to be a text
            return str(text)

    @property
    def _default(self) -> str:
        default = self.action.default
        if default is None or default is SUPPRESS or isinstance(default, bool) or default in ([], (), ""):
            return ""
        if self.shape is Shape.COUNT and not default:
            return ""
        if isinstance(default, (list, tuple)):
            return line(", ".join(map(_text, default)))
        return line(_text(default))

    # -- what is in it -------------------------------------------------------------------------------------------------

    def shown(self, value: Any = MISSING, *, is_flag: bool = False) -> str | bool:
        """What stands in the field for a value that a job carries; without one, what stands there at first."""
        match self.shape:
            case Shape.FLAG:
                return is_flag or (value is not MISSING and value is not False and value == self.action.const)
            case Shape.SWITCH:
                chosen = self.action.default if value is MISSING or is_flag else value
                if self._is_two_way:
                    return bool(chosen)
                return {True: "yes", False: "no"}.get(chosen, "") if isinstance(chosen, bool) else ""
        if value is MISSING or value is None:
            return ""
        if isinstance(value, list):
            lists = self.shape is Shape.LISTS
            return "\n".join(_in_line(each) if lists and isinstance(each, list) else fit(_text(each)) for each in value)
        return fit(_text(value))

    def value(self, given: str | bool) -> Any:
        """The value that a job carries for what was entered, `MISSING` for nothing. Raises ``ValueError``."""
        action = self.action
        match self.shape:
            case Shape.FLAG:
                return (
                    (action.const if isinstance(action.const, (bool, str, int, float)) else True) if given else MISSING
                )
            case Shape.SWITCH if self._is_two_way:
                return MISSING if given is action.default else bool(given)
            case Shape.SWITCH:
                return {"yes": True, "no": False}.get(str(given), MISSING)
            case Shape.MANY | Shape.LISTS:
                return self._values(str(given))
        if given == "":
            return MISSING
        return self._typed(str(given))

    def _values(self, given: str) -> Any:
        lines = [each for each in given.split("\n") if each.strip()]
        if not lines:
            return MISSING
        if self.shape is Shape.LISTS:
            return [[self._typed(word) for word in self._counted(shlex.split(each))] for each in lines]
        found = [self._typed(each) for each in lines]
        return found if isinstance(self.action, _AppendAction) and not self._is_extended else self._counted(found)

    @property
    def _is_extended(self) -> bool:
        return isinstance(self.action, _ExtendAction)

    def _counted(self, values: list[Any]) -> list[Any]:
        wanted = self.action.nargs
        if isinstance(wanted, int) and len(values) != wanted and not self._is_extended:
            raise ValueError(_("It takes %(count)s values.") % {"count": wanted})
        return values

    def _typed(self, text: str) -> Any:
        """A number where the command takes one, so that the job is the same as one that a program enqueues."""
        is_integer = self.shape is Shape.COUNT or self._reads("integer", int)
        if is_integer and _INTEGER.fullmatch(text.strip()):
            return int(text)
        if self._reads("number", float) and _NUMBER.fullmatch(text.strip()):
            return float(text) if "." in text else int(text)
        return text


def fit(text: str) -> str:
    """``text`` as it can stand in a field: of what a page cannot show nothing is left but how it is written."""
    return "\n".join(map(clean_line, text.replace("\r\n", "\n").split("\n")))


def _in_line(values: Sequence[Any]) -> str:
    return fit(shlex.join(map(_text, values)))


def _text(value: Any) -> str:
    return str(value.value if isinstance(value, Enum) else value)


def _area(rows: int) -> forms.Textarea:
    return forms.Textarea(attrs={"rows": rows, "autocomplete": "off", "spellcheck": "false"})
