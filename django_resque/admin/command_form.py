"""The form for a command that is to be enqueued, made from the command's own parser."""

from __future__ import annotations

import shlex
from argparse import PARSER, SUPPRESS, Action, ArgumentError, ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django import forms
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..arguments import REFUSED_OPTIONS
from ..client import Using, using
from ..command import CommandInfo, bind, find
from ..command_line import line_of, to_type
from ..conf import config
from ..errors import InvalidArguments, ResqueError
from ..job import Job
from ..signature import UNREADABLE, Signature
from .command_fields import MISSING, Argument, Shape, fit
from .text import MESSAGE, duration, line, moment, number, reason

MOST = 20_000
"""Characters of a field that are looked at."""
CHOSEN = ("queue", "delay", "at", "timeout", "max_attempts")
"""What is chosen besides the arguments."""
_MISFITS = (ArgumentError, CommandError, InvalidArguments, SystemExit, TypeError, ValueError, *UNREADABLE)
"""What a parser raises for what it does not take."""


# -- the command -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Described:
    """A command, and how far one has chosen among its subcommands: ``path``. While ``choices``, each with its help, are
    not empty, one of them is to be chosen first."""

    info: CommandInfo
    help: str
    path: Sequence[str]
    choices: Mapping[str, str]
    levels: Sequence[ArgumentParser]

    @classmethod
    def of(cls, name: str, path: Sequence[str] = ()) -> Described:
        """Raises a `ResqueError`, and whatever a project's module or parser raises, ``SystemExit`` too."""
        info = find(name)
        levels = [info.cls().create_parser("manage.py", name)]
        chosen: list[str] = []
        for word in path:
            below = _subparsers(levels[-1])
            if word not in below:
                raise InvalidArguments(_("There is no subcommand %(name)s.") % {"name": line(word)})
            chosen.append(word)
            levels.append(below[word])  # type: ignore[arg-type]
        below = _subparsers(levels[-1])
        helps = {word: line((parser.description or "").partition("\n")[0]) for word, parser in below.items()}
        return cls(info, levels[-1].description or "", chosen, helps, levels)

    @classmethod
    def of_job(cls, job: Job) -> Described:
        """The command of a job, with the subcommand that it calls; as `of`."""
        described = cls.of(job.command)
        path: list[str] = []
        args = iter(map(str, job.args))
        while described.choices and _is_first(described.levels[-1]) and (word := next(args, None)) is not None:
            path.append(word)
            described = cls.of(job.command, path)
        return described

    def arguments(self) -> Iterator[Argument]:
        """Those that a job can be given, in the order of the parsers."""
        for level, parser in enumerate(self.levels):
            for action in parser._actions:
                if _can_be_given(action):
                    yield Argument(action, parser, level, level == 0 and action.dest in _base())


def _subparsers(parser: ArgumentParser) -> Mapping[str, ArgumentParser]:
    for action in parser._actions:
        if action.nargs == PARSER and isinstance(action.choices, dict):
            return action.choices
    return {}


def _is_first(parser: ArgumentParser) -> bool:
    """Whether no positional argument stands before the subcommand."""
    return next(action for action in parser._actions if not action.option_strings).nargs == PARSER


def _can_be_given(action: Action) -> bool:
    if action.nargs in (PARSER, SUPPRESS) or (action.help == SUPPRESS and not action.required):
        return False
    return not action.option_strings or action.dest.replace("-", "_") not in REFUSED_OPTIONS


@cache
def _base() -> frozenset[str]:
    return frozenset(action.dest for action in BaseCommand().create_parser("manage.py", "")._actions)


# -- the form ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that stand together; ``is_closed``: seldom needed."""

    title: str
    fields: Sequence[Any]
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class _Before:
    """What a job was given, and how that stands in the form: what is left as it is stays the same value."""

    shown: str | bool
    value: Any = field(repr=False)


class CommandForm(forms.Form):
    """A form for the arguments of a command, and when and where it is to be performed.

    ``before`` is a job whose arguments stand there at first. With ``can_discard`` its failure may be discarded too.
    Once it is valid, `args`, `options` and `using` are what to enqueue, and `line` is what one would type.
    """

    required_css_class = "required"
    queue = forms.CharField(
        required=False,
        max_length=100,
        label=gettext_lazy("Queue"),
        widget=forms.TextInput(attrs={"spellcheck": "false"}),
    )
    delay = forms.FloatField(
        required=False, min_value=0, label=gettext_lazy("Delay"), help_text=gettext_lazy("In seconds, from now on.")
    )
    at = forms.DateTimeField(
        required=False,
        label=gettext_lazy("Not before"),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    timeout = forms.FloatField(required=False, min_value=0, label=gettext_lazy("Timeout"))
    max_attempts = forms.IntegerField(required=False, min_value=1, label=gettext_lazy("Attempts at most"))
    discard = forms.BooleanField(
        required=False,
        label=gettext_lazy("Discard the failure"),
        help_text=gettext_lazy("When the job is enqueued, the record leaves the failed list."),
    )

    def __init__(
        self,
        described: Described,
        data: Mapping[str, Any] | None = None,
        *,
        before: Job | None = None,
        can_discard: bool = False,
    ) -> None:
        self.described = described
        self.arguments = list(described.arguments())
        self._job = before
        self._before: dict[str, _Before] = {}
        self.does_not_fit = ""
        """Why the arguments of the job do not stand in the form."""
        if before is not None:
            self._read_before(before)
        self._unfit: set[str] = set()
        sent = None if data is None else self._shown(data)
        super().__init__(sent, initial=self._initial())
        for argument in self.arguments:
            shown = self.initial[argument.name] if sent is None else sent.get(argument.name, "")
            self.fields[argument.name] = argument.field(shown)
        if not can_discard:
            del self.fields["discard"]
        self._explain()
        self.order_fields([field.name for group in self.groups() for field in group.fields])
        self.args: list[Any] = []
        self.options: dict[str, Any] = {}
        self.using: Using | None = None
        self.line = ""

    # -- what stands there ---------------------------------------------------------------------------------------------

    def _read_before(self, job: Job) -> None:
        try:
            self._before = dict(_taken_apart(self.described, self.arguments, job))
        except _MISFITS as error:
            message = "" if isinstance(error, SystemExit) else str(error).removeprefix("Error: ")
            self.does_not_fit = line(message, MESSAGE) or _("The command's own parser refuses them.")

    def _initial(self) -> dict[str, Any]:
        job, info = self._job, self.described.info
        found: dict[str, Any] = {
            argument.name: self._before[argument.name].shown if argument.name in self._before else argument.shown()
            for argument in self.arguments
        }
        found = {name: shown if isinstance(shown, bool) else shown[:MOST] for name, shown in found.items()}
        found["queue"] = fit(job.queue) if job is not None and job.queue else info.queue or config().queue
        if job is not None:
            timeout, most = job.extra.get("timeout"), job.extra.get("max_attempts")
            found["timeout"] = timeout if isinstance(timeout, (int, float)) and not isinstance(timeout, bool) else None
            found["max_attempts"] = most if isinstance(most, int) and not isinstance(most, bool) else None
        return found

    def _explain(self) -> None:
        """Tell what counts where nothing is chosen."""
        info, settings = self.described.info, config()
        timeout = settings.timeout if info.timeout is None else info.timeout
        known = _("Default: %(default)s") % {"default": duration(timeout) if timeout else _("no limit")}
        self.fields["timeout"].help_text = f"{_('In seconds; 0 is no limit.')} {known}"
        most = info.max_attempts or settings.max_attempts
        self.fields["max_attempts"].help_text = _("Default: %(default)s") % {"default": number(most)}
        zone = timezone.get_current_timezone_name()
        self.fields["at"].help_text = _("In the time zone %(zone)s. Give this or a delay.") % {"zone": zone}

    def _shown(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """What was sent, in a shape that is fit for a page."""
        shown: dict[str, Any] = {}
        for name in [*(argument.name for argument in self.arguments), *self.base_fields]:
            if name in data:
                value = str(data[name]).replace("\r\n", "\n")
                shown[name] = fit(value)[:MOST]
                if shown[name] != value:
                    self._unfit.add(name)
        return shown

    def groups(self) -> list[Group]:
        """The fields as they stand together on the page."""
        own = [self[argument.name] for argument in self.arguments if not argument.is_base]
        base = [self[argument.name] for argument in self.arguments if argument.is_base]
        chosen = [self[name] for name in (*CHOSEN, "discard") if name in self.fields]
        return [
            *([Group(_("Arguments"), own)] if own else []),
            Group(_("When and where"), chosen),
            *([Group(_("More"), base, is_closed=True)] if base else []),
        ]

    def in_words(self) -> list[str]:
        """What was chosen, once it is valid: the line, and where and when it is performed."""
        given = self.cleaned_data
        found = [
            line(self.line, MOST),
            _("Queue: %(queue)s") % {"queue": line(given["queue"] or self.described.info.queue or config().queue)},
        ]
        if given["delay"] is not None:
            found.append(_("Delay: %(delay)s") % {"delay": duration(given["delay"])})
        if given["at"] is not None:
            found.append(_("Not before: %(time)s") % {"time": moment(given["at"])})
        return found

    # -- what it comes to ----------------------------------------------------------------------------------------------

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        for name in self._unfit & set(self.fields):
            self.add_error(name, _("This is too long, or holds characters that cannot be shown."))
        values = {argument.name: self._value(argument) for argument in self.arguments if argument.name in given}
        self._check_gaps(values)
        if not self.errors:
            self.args, self.options = self._call(values)
            self._bind()
            self._choose()
        return given

    def _value(self, argument: Argument) -> Any:
        given = self.cleaned_data[argument.name]
        before = self._before.get(argument.name)
        if before is not None and given == (before.shown if isinstance(before.shown, bool) else before.shown[:MOST]):
            return before.value
        try:
            return argument.value(given)
        except ValueError as error:
            self.add_error(argument.name, str(error))
            return MISSING

    def _check_gaps(self, values: Mapping[str, Any]) -> None:
        """Positional arguments are told by their places alone: what is left out moves those behind it."""
        empty: Argument | None = None
        for argument in self.arguments:
            if argument.is_option or argument.is_required:
                continue
            if values.get(argument.name, MISSING) is MISSING:
                empty = empty or argument
            elif empty is not None:
                self.add_error(empty.name, _("Fill this in too, or leave empty what comes behind it."))
                return

    def _call(self, values: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        args: list[Any] = []
        options: dict[str, Any] = {}
        names = iter(self.described.path)
        for level, parser in enumerate(self.described.levels):
            own = {argument.action: argument for argument in self.arguments if argument.level == level}
            for action in parser._actions:
                if action.nargs == PARSER:
                    args += [name] if (name := next(names, None)) is not None else []
                elif action in own and (value := values.get(own[action].name, MISSING)) is not MISSING:
                    if action.option_strings:
                        options[_key(action, value)] = value
                    else:
                        args += value if isinstance(value, list) else [value]
        return args, options

    def _bind(self) -> None:
        """Have the command's own parser check it."""
        name = self.described.info.name
        try:
            bound = bind(name, self.args, self.options)
        except (Exception, SystemExit) as error:  # whatever a project's parser raises
            raise forms.ValidationError(reason(_as_exception(error))) from error
        try:
            typed = to_type(bound.argv)
        except InvalidArguments:  # no command line gives these values
            typed = None
        self.line = typed or f"manage.py {line_of(Job(name, self.args, self.options))}"

    def _choose(self) -> None:
        chosen = self.cleaned_data
        try:
            self.using = using(
                queue=chosen["queue"] or None,
                delay=chosen["delay"],
                at=chosen["at"],
                timeout=_plain(chosen["timeout"]),
                max_attempts=chosen["max_attempts"],
                on_commit=False,  # what goes wrong is told at once, and not after the transaction of the request
            )
        except (ResqueError, TypeError, ValueError, OverflowError) as error:
            raise forms.ValidationError(reason(error)) from error


def _plain(seconds: float | None) -> float | None:
    """A whole number as one."""
    return int(seconds) if seconds is not None and seconds == int(seconds) else seconds


def _as_exception(error: BaseException) -> Exception:
    return (
        error if isinstance(error, Exception) else ValueError(_("The command's own parser ends the program at this."))
    )


def _key(action: Action, value: Any) -> str:
    """The name under which a job carries an option: that of its value or, for a flag whose value it cannot carry, its
    own."""
    if action.nargs == 0 and value is True and action.const is not True and hasattr(action, "const"):
        long_name = next((name for name in action.option_strings if name.startswith("--")), "")
        return long_name[2:].replace("-", "_") or action.dest
    return action.dest


def _taken_apart(described: Described, arguments: Sequence[Argument], job: Job) -> Iterator[tuple[str, _Before]]:
    """What the job gives to each argument, as far as it gives anything. Raises what a parser raises."""
    by_action = {argument.action: argument for argument in arguments}
    levels = Signature(described.levels[0]).spread([str(value) for value in job.args], job.options)
    if [level.signature.parser for level in levels] != list(described.levels):
        raise InvalidArguments(_("They are for another subcommand."))
    at = 0
    for level in levels:
        for action, texts in level.places:
            count = 1 if action.nargs == PARSER else len(texts)
            values = list(job.args[at : at + count])
            at += count
            if action in by_action and values:
                argument = by_action[action]
                value = values if argument.shape in (Shape.MANY, Shape.LISTS) else values[0]
                yield argument.name, _Before(argument.shown(value), value)
        for option in level.options:
            if option.action in by_action and option.value is not None:
                argument = by_action[option.action]
                value = argument.value(True) if option.is_flag else option.value
                yield argument.name, _Before(argument.shown(value, is_flag=option.is_flag), value)


def words_of(text: str) -> Sequence[str]:
    """The subcommands that an address names."""
    try:
        return shlex.split(text)
    except ValueError:
        return [text]
