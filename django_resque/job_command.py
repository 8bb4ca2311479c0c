"""The base class of commands that are made to be jobs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import FunctionType
from typing import Any

from django.core.management.base import BaseCommand, CommandParser, DjangoHelpFormatter

from .choices import (
    ON_CRASH,
    check_backoff_of_command,
    check_concurrency,
    check_exceptions,
    check_max_attempts,
    check_seconds,
    is_timeout,
)
from .errors import ConfigurationError, InvalidQueue
from .job import check_queue
from .subcommands import Subcommand

SUBCOMMAND = "_subcommand"
"""The option of ``handle()`` that names the subcommand. A parameter of a subcommand cannot have this name."""

_SET_BY_INIT = ("stdout", "stderr", "style")


class JobCommand(BaseCommand):
    """A management command that may be a job: it can be enqueued without being named in the settings.

    Either it has a ``handle()``, as any command, or its public functions are its subcommands::

        class Command(JobCommand):
            queue = "mail"

            def send_sign_up_email(self, user_id: int, *, template: str = "plain"):
                \"""Welcome a new user.\"""

    ``enqueue("email_sender", "send_sign_up_email", user.pk, template="fancy")`` and
    ``manage.py email_sender send_sign_up_email 42 --template=fancy`` do the same thing.

    A subcommand is a function that the class itself, or a base of it that is a `JobCommand` too, defines, whose name
    does not begin with ``_`` and is none that `JobCommand` uses. A class with a ``handle()`` has none.
    Positional parameters are positional arguments, keyword-only ones are options, ``*names`` takes any number and
    ``**options`` the options that all commands have. Annotations say what the texts of a command line are read as;
    without one a parameter is text. What is returned goes to standard output, and is the job's result.
    """

    queue: str | None = None
    """The queue of the command's jobs, when neither the call nor the settings name one. None: ``RESQUE["QUEUE"]``."""
    track: bool | None = None
    """Whether the status of the command's jobs can be looked up by id. None: ``RESQUE["TRACK"]``."""
    sensitive: Sequence[str] = ()
    """Names of arguments and options whose values are not to be shown in the admin."""
    timeout: float | None = None
    """Seconds that the command may take when it is a job; 0: no limit, None: ``RESQUE["TIMEOUT"]``.

    Then `JobTimeout` is raised wherever the command is, so that ``finally`` and `tear_down` can put things in order.
    Ten seconds later its process is killed, with those that it has started. The job is a failure, never a crash."""
    on_crash: str | None = None
    """What becomes of a job whose process died on the way: ``"requeue"`` performs it again, ``"fail"`` makes it a
    failure at once, for what must not be begun twice. None: ``RESQUE["ON_CRASH"]``."""
    max_attempts: int | None = None
    """How often a job that fails is tried altogether. None: ``RESQUE["MAX_ATTEMPTS"]``."""
    backoff: float | Sequence[float] | Callable[[BaseException, int], float | None] | None = None
    """Seconds before a failed job is tried again: a number, a list (one for each further attempt), or a function of the
    exception and the number of the attempt that failed, which may return None for "no more" (declare it with
    ``staticmethod``). None: 10 seconds, twice as many each time, up to an hour, with a quarter of that as jitter."""
    retry_on: type[BaseException] | Sequence[type[BaseException]] | None = None
    """Exceptions after which a job is tried again. None: all."""
    give_up_on: type[BaseException] | Sequence[type[BaseException]] = ()
    """Exceptions after which it is not, whatever ``retry_on`` says."""
    unique_for: float | timedelta | None = None
    """Seconds for which no second job with the same arguments is enqueued while one waits. None: any number wait."""
    concurrency: int | tuple[str, int] | None = None
    """How many of the command's jobs run at once, on all workers; or a key that several commands share, and how many
    under it. None: any number."""
    expires: float | timedelta | None = None
    """Seconds after it was enqueued, or due, from which on a job is not begun any more. None: it never expires."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, (fits, wanted) in _ATTRIBUTES.items():
            value = getattr(cls, name)
            if not fits(value):
                raise ConfigurationError(f"{cls.__module__}: {cls.__qualname__}.{name} must be {wanted}, not {value!r}")
        if "help" not in vars(cls) and cls.__doc__:
            cls.help = inspect.cleandoc(cls.__doc__)

    returned: Any = None
    """What ``handle()`` or the subcommand has returned: the result of a job, where JSON can hold it."""

    def set_up(self) -> None:
        """Called before ``handle()`` or a subcommand. When it raises, neither these nor `tear_down` are called."""

    def tear_down(self) -> None:
        """Called after ``handle()`` or a subcommand, also when that raised an exception."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Django's parser for the command, with its subcommands."""
        subcommands = subcommands_of(type(self))
        if subcommands:
            # before Python 3.12 a subcommand's option "--ver" would be an ambiguous "--version" or "--verbosity"
            kwargs.setdefault("allow_abbrev", False)
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        if subcommands:
            below = parser.add_subparsers(title="subcommands", metavar="subcommand", dest=SUBCOMMAND, required=True)
            for item in subcommands.values():
                summary = item.help.partition("\n")[0].replace("%", "%%")
                item.add_arguments(
                    below.add_parser(
                        item.name,
                        help=summary,
                        description=item.help or None,
                        formatter_class=DjangoHelpFormatter,
                    )
                )
        return parser

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Django's ``execute()``, with `set_up` and `tear_down` around ``handle()``."""
        handle = self.handle

        def handle_between(*args: Any, **options: Any) -> str | None:
            self.set_up()
            try:
                self.returned = handle(*args, **options)
            finally:
                self.tear_down()
            return self.returned if self.returned is None else str(self.returned)

        # On the instance: Django's execute() calls self.handle() when stdout is in place and the checks are done,
        # and the class's handle() belongs to the project.
        vars(self)["handle"] = handle_between
        try:
            return super().execute(*args, **options)
        finally:
            vars(self).pop("handle", None)

    def handle(self, *args: Any, **options: Any) -> Any:
        """Call the subcommand, and return what it returns."""
        subcommands = subcommands_of(type(self))
        if not subcommands:
            raise NotImplementedError(f"{type(self).__module__} has neither a handle() nor a function to call")
        name = options.pop(SUBCOMMAND)
        return subcommands[name].call(getattr(self, name), args, options)


_subcommands: dict[type[JobCommand], Mapping[str, Subcommand]] = {}


def subcommands_of(cls: type[JobCommand]) -> Mapping[str, Subcommand]:
    """The subcommands of a command by their names. Raises `ConfigurationError` when one of them cannot be called from
    a command line."""
    if cls not in _subcommands:
        _subcommands[cls] = _read_subcommands(cls)
    return _subcommands[cls]


def _read_subcommands(cls: type[JobCommand]) -> Mapping[str, Subcommand]:
    if cls.handle is not JobCommand.handle:
        return {}
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        # a base that is no JobCommand has not been written to be called by whoever can write to Redis
        if issubclass(base, JobCommand) and base is not JobCommand:
            found |= vars(base)
    return {
        name: Subcommand.of(name, value)
        for name, value in found.items()
        if isinstance(value, FunctionType)
        and not name.startswith("_")
        and not hasattr(JobCommand, name)
        and name not in _SET_BY_INIT
    }


# -- what the class attributes may be ----------------------------------------------------------------------------------


def _is_queue(value: Any) -> bool:
    try:
        return value is None or bool(check_queue(value))
    except InvalidQueue:
        return False


def _passes(check: Callable[[Any], object]) -> Callable[[Any], bool]:
    def fits(value: Any) -> bool:
        try:
            return value is None or check(value) is not None
        except ValueError:
            return False

    return fits


_ATTRIBUTES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "queue": (_is_queue, "the name of a queue or None"),
    "track": (lambda value: value is None or isinstance(value, bool), "True, False or None"),
    "sensitive": (
        lambda value: isinstance(value, (list, tuple, set, frozenset)) and all(isinstance(name, str) for name in value),
        "a list of names",
    ),
    "timeout": (lambda value: value is None or is_timeout(value), "a number of seconds, 0 for no limit, or None"),
    "on_crash": (lambda value: value is None or value in ON_CRASH, f"{' or '.join(map(repr, ON_CRASH))} or None"),
    "max_attempts": (_passes(check_max_attempts), "an integer from 1 to 1000 or None"),
    "backoff": (_passes(check_backoff_of_command), "a number of seconds, a list of them, a function or None"),
    "retry_on": (_passes(check_exceptions), "an exception class, several, or None"),
    "give_up_on": (_passes(check_exceptions), "an exception class or several"),
    "unique_for": (_passes(check_seconds), "a number of seconds above 0, a timedelta or None"),
    "concurrency": (
        _passes(lambda value: check_concurrency(value, "command")),
        "how many may run at once, a pair of a key and that, or None",
    ),
    "expires": (_passes(check_seconds), "a number of seconds above 0, a timedelta or None"),
}
