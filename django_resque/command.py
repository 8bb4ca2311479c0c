"""Commands as jobs: which may be one, and binding arguments to them."""

from __future__ import annotations

import json
import time
import weakref
from argparse import PARSER, ArgumentError, ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

from django.core.management import get_commands
from django.core.management.base import BaseCommand, CommandError
from django.core.signals import setting_changed

from . import log
from .arguments import normalise
from .choices import ON_CRASH, check_concurrency, check_exceptions, check_seconds, is_timeout
from .command_line import write
from .conf import COMMAND_NAME, Config, config, raw_settings
from .errors import InvalidArguments, RefusedCommand, UnknownCommand
from .hint import did_you_mean
from .job_command import JobCommand
from .signature import Signature

__all__ = ["Bound", "CommandInfo", "JobCommand", "argument_names", "bind", "find", "job_commands", "normalise"]

KEEP_PARSER = 1.0
"""Seconds for which a parser is used again. Building one costs a hundred times as much as using it, and what it was
built from, the day's date or choices from the database, may change."""


@dataclass(frozen=True, slots=True)
class CommandInfo:
    """A command that may be a job, and its jobs' defaults; None where neither settings nor class say anything.

    ``timeout``, ``unique_for`` and ``expires`` are in seconds, a ``timeout`` of 0 is none. ``concurrency`` is a key and
    a number.
    """

    name: str
    cls: type[BaseCommand]
    queue: str | None
    track: bool | None
    sensitive: tuple[str, ...]
    timeout: float | None = None
    on_crash: str | None = None
    max_attempts: int | None = None
    backoff: Any = None
    retry_on: tuple[type[BaseException], ...] = (Exception,)
    give_up_on: tuple[type[BaseException], ...] = ()
    unique_for: float | None = None
    concurrency: tuple[str, int] | None = None
    expires: float | None = None


# -- which commands may be jobs ----------------------------------------------------------------------------------------


def find(name: str) -> CommandInfo:
    """The command of this name. Raises `UnknownCommand`, `RefusedCommand`, and what importing its module raises."""
    known = _found.get(name) if isinstance(name, str) else None
    if known is not None and known.settings is config() and vars(known.module).get("Command") is known.info.cls:
        return known.info
    module, info = _look_up(name)
    _found[name] = _Found(module, info, config())
    return info


class _Found(NamedTuple):
    """What was found, and what it depends on: it is looked up anew when that has changed."""

    module: ModuleType
    info: CommandInfo
    settings: Config


_found: dict[str, _Found] = {}


def _look_up(name: str) -> tuple[ModuleType, CommandInfo]:
    if not COMMAND_NAME.fullmatch(str(name)):
        raise UnknownCommand(
            f"{name!r} cannot be the name of a command that is a job: lower-case letters, digits and _, at most 64"
        )
    app = get_commands().get(name)
    if app is None:
        hint = did_you_mean(name, get_commands()) or ", or its app is not in INSTALLED_APPS"
        raise UnknownCommand(f"There is no management command {name!r}{hint}")
    module, cls = _load(app, name)
    defaults = config().commands.get(name)
    if defaults is None:
        if not issubclass(cls, JobCommand):
            raise RefusedCommand(
                f"The command {name!r} of {app} may not be a job in this project. To allow it, write into the settings:"
                f" {_line_that_allows(name)} (a command of your own may subclass"
                " django_resque.management.JobCommand instead)"
            )
        defaults = {}
    return module, CommandInfo(
        name=name,
        cls=cls,
        queue=defaults.get("queue", _declared(cls, "queue", str)),
        track=defaults.get("track", _declared(cls, "track", bool)),
        sensitive=tuple(_declared(cls, "sensitive", (list, tuple, set, frozenset)) or ()),
        timeout=defaults.get("timeout", _timeout(cls)),
        on_crash=defaults.get("on_crash", _on_crash(cls)),
        max_attempts=defaults.get("max_attempts", _of_job_command(cls, "max_attempts")),
        backoff=defaults.get("backoff", _of_job_command(cls, "backoff")),
        retry_on=check_exceptions(_of_job_command(cls, "retry_on") or Exception),
        give_up_on=check_exceptions(_of_job_command(cls, "give_up_on") or ()),
        unique_for=_seconds(defaults.get("unique_for", _of_job_command(cls, "unique_for"))),
        concurrency=_concurrency(defaults.get("concurrency", _of_job_command(cls, "concurrency")), name),
        expires=_seconds(defaults.get("expires", _of_job_command(cls, "expires"))),
    )


def job_commands() -> dict[str, CommandInfo]:
    """Every command of this project that may be a job, by name: `JobCommand`s and those named in the settings.

    Imports the commands of all apps but Django's own. A module that cannot be imported is logged and left out.
    """
    found = {}
    named = config().commands
    for name, app in sorted(get_commands().items()):
        if name in named or (COMMAND_NAME.fullmatch(name) and app.partition(".")[0] != "django"):
            try:
                found[name] = find(name)
            except RefusedCommand:
                pass  # a command that is not for jobs
            except Exception as error:  # whatever a module raises when it is imported
                log.command_not_loaded(name, app, error)
    return found


def _load(app: str, name: str) -> tuple[ModuleType, type[BaseCommand]]:
    path = f"{app}.management.commands.{name}"
    try:
        module = import_module(path)
        cls = module.Command
    except Exception as error:  # whatever it raises goes on, with a word about where it came from
        error.add_note(f"This came from importing the command {name!r} ({path}).")
        raise
    if not (isinstance(cls, type) and issubclass(cls, BaseCommand)):
        raise RefusedCommand(f"{path}.Command is not a subclass of Django's BaseCommand")
    return module, cls


def _declared(cls: type[BaseCommand], name: str, kind: Any) -> Any:
    """A class attribute, where it is what we mean by it: any command may be named in the settings, and has its own."""
    value = getattr(cls, name, None)
    return value if isinstance(value, kind) else None


def _timeout(cls: type[BaseCommand]) -> float | None:
    """What a `JobCommand` says. Any other command may mean by ``timeout`` the patience that it has with a web site."""
    value = cls.timeout if issubclass(cls, JobCommand) else None
    return value if is_timeout(value) else None


def _of_job_command(cls: type[BaseCommand], name: str) -> Any:
    return getattr(cls, name) if issubclass(cls, JobCommand) else None


def _seconds(value: Any) -> float | None:
    return None if value is None else check_seconds(value)


def _concurrency(value: Any, name: str) -> tuple[str, int] | None:
    return None if value is None else check_concurrency(value, name)


def _on_crash(cls: type[BaseCommand]) -> str | None:
    value = _declared(cls, "on_crash", str)
    return value if value in ON_CRASH else None


def _line_that_allows(name: str) -> str:
    commands = raw_settings().get("COMMANDS")
    if isinstance(commands, Mapping):
        return f'RESQUE["COMMANDS"]["{name}"] = {{}}'
    if not raw_settings():
        return f'RESQUE = {{"COMMANDS": ["{name}"]}}'
    return f'RESQUE["COMMANDS"] = {json.dumps([*(commands or ()), name])}'


# -- binding -----------------------------------------------------------------------------------------------------------

# SystemExit: error() of a parser that is not Django's
_MISFITS = (ArgumentError, ArgumentTypeError, CommandError, SystemExit)


@dataclass(frozen=True, slots=True)
class Bound:
    """A command and the arguments it is going to have: ``command.execute(*args, **options)``."""

    name: str
    args: tuple[Any, ...]
    options: dict[str, Any]
    _make: Callable[[], BaseCommand]
    _call: tuple[Signature, list[str], dict[str, Any], dict[str, Any]]

    @property
    def command(self) -> BaseCommand:
        """A new instance, for one execution; a check alone needs none."""
        return self._make()

    @property
    def argv(self) -> list[str]:
        """What a person would type after ``manage.py``.

        Typed by hand it gives the command the same values; only a number for an option that has no type arrives as
        text. Raises `InvalidArguments` when no command line gives these values.
        """
        try:
            return [self.name, *write(*self._call)]
        except ArgumentError as error:
            raise InvalidArguments(f"{self.name}: {error}") from error


def bind(name: str, args: Sequence[Any], options: Mapping[str, Any]) -> Bound:
    """The command ``name`` with these arguments, checked by the command's own parser.

    Texts are read as on a command line, positional ones as if behind a ``--``; an option's value that is no text is
    passed as it is and checked against ``choices``. Raises `InvalidArguments` for what does not fit, and what `find`
    raises.
    """
    cls = find(name).cls
    try:
        plain, named = normalise(args, options)
        texts = [value if type(value) is str else str(value) for value in plain]
        signature = _kept_signature(cls, name)
        if signature is not None:
            try:
                return _bind(name, cls, cls.stealth_options, signature, texts, named)
            except _MISFITS:
                _kept.pop(cls, None)  # choices may have come from the database; look again before refusing
        command = cls()
        signature = Signature(_build_parser(command, name))
        return _bind(name, lambda: command, command.stealth_options, signature, texts, named)
    except (InvalidArguments, *_MISFITS) as error:
        raise InvalidArguments(f"{name}: {_message(error)}") from error


def argument_names(name: str, args: Sequence[Any]) -> list[str | None]:
    """What the command's parser calls each of these positional arguments; all None where nobody can tell, because
    there is no such command here, it cannot be loaded, or it takes other arguments."""
    try:
        cls = find(name).cls
        signature = _kept_signature(cls, name) or Signature(_build_parser(cls(), name))
        levels = signature.spread(list(map(str, args)), {})
    except Exception:  # whatever a project's module or parser raises
        return [None] * len(args)
    names: list[str | None] = []
    for level in levels:
        for action, texts in level.places:
            names += [action.dest] * (1 if action.nargs == PARSER and texts else len(texts))
    return names


def _bind(
    name: str,
    make: Callable[[], BaseCommand],
    stealth_options: Iterable[str],
    signature: Signature,
    texts: list[str],
    options: dict[str, Any],
) -> Bound:
    stealth = {key: options[key] for key in stealth_options if key in options}
    if stealth:
        options = {key: value for key, value in options.items() if key not in stealth}
    parsed = signature.fill(texts, options)
    values = parsed | stealth
    call = signature, texts, options, values.copy()
    positional = tuple(values.pop("args", ()))
    values["skip_checks"] = True
    return Bound(name, positional, values, make, call)


def _message(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "the command's own parser refused the arguments"
    return str(error).removeprefix("Error: ")


# -- parsers that are kept ---------------------------------------------------------------------------------------------

_kept: dict[type[BaseCommand], tuple[float, Signature | None]] = {}


def _kept_signature(cls: type[BaseCommand], name: str) -> Signature | None:
    """What the command's parser takes; None for a command that needs a parser of its own for each job."""
    built, signature = _kept.get(cls, (0.0, None))
    now = time.monotonic()
    if not built or now - built > KEEP_PARSER:
        signature = _shareable_signature(cls, name)
        _kept[cls] = now, signature
    return signature


def _shareable_signature(cls: type[BaseCommand], name: str) -> Signature | None:
    """What a new parser takes, when nothing would tell a command whether the parser was made for it or for another.

    It would tell when building the parser leaves something in the instance, when the parser refers to the instance
    (``set_defaults(func=self.create)``), or when its defaults are other ones each time (``default=uuid4()``).
    """
    command = cls()
    attributes = dict(vars(command))
    parser = _build_parser(command, name)
    if vars(command) != attributes or _defaults(parser) != _defaults(_build_parser(cls(), name)):
        return None
    reference = weakref.ref(command)
    del command, attributes
    return None if reference() is not None else Signature(parser)


def _build_parser(command: BaseCommand, name: str) -> ArgumentParser:
    return command.create_parser("manage.py", name)


def _defaults(parser: ArgumentParser) -> list[Any]:
    return list(_walk_defaults(parser))


def _walk_defaults(parser: ArgumentParser) -> Iterator[Any]:
    yield parser._defaults
    for action in parser._actions:
        yield action.default
        if action.nargs == PARSER:
            for below in (action.choices or {}).values():  # type: ignore[attr-defined]
                yield from _walk_defaults(below)


def _forget_parsers(**_changed: object) -> None:
    _kept.clear()  # a parser may be built from any setting


setting_changed.connect(_forget_parsers)
