"""The project's ``RESQUE`` setting, read once into a frozen `Config`.

Each field of `Config` is one key of the dict, in lower case; its comment is its documentation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed

from .choices import (
    ON_CRASH,
    check_backoff_of_command,
    check_concurrency,
    check_max_attempts,
    check_seconds,
    check_timeout,
)
from .errors import ConfigurationError, InvalidQueue
from .hint import did_you_mean
from .job import check_queue

COMMAND_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""What a command that is a job may be called; checked before anything is looked up."""


@dataclass(frozen=True, eq=False)
class Config:
    """The settings in force. Built by `config`; never changed."""

    cache: str = "default"
    """The alias in ``CACHES``, a django-redis one, whose server holds the queues."""
    embedded: Path | None = None
    """Folder of the private server that the project's processes share. With no Redis configured and ``DEBUG`` on:
    ``BASE_DIR/var/resque``."""
    namespace: str = "resque"
    """What every key begins with, before a ``:``. Several sites on one Redis each have their own."""
    queue: str = "default"
    """Where a job goes when neither the call, nor the settings, nor the command says."""
    commands: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Commands that may be jobs although they are not `JobCommand`s: a list of names, or name → defaults, which are
    ``queue``, ``track``, ``timeout``, ``on_crash``, ``max_attempts``, ``backoff``, ``unique_for``, ``concurrency`` and
    ``expires``."""
    schedule: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Recurring jobs: a name of your own → ``command``, ``cron`` or ``every``, and what else belongs to an entry of the
    schedule."""
    workers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The workers that ``manage.py resque load`` starts: a list, or a name of your own → ``queues``, ``count`` (of
    processes), ``performers``, ``interval``, ``log``, and ``options``, a list of further ones of ``resque_worker``."""
    check: bool = True
    """Whether `enqueue` checks that the command exists, may be a job and takes its arguments. False for a program
    that enqueues commands which only its workers have."""
    track: bool = True
    """Whether the status of a job can be looked up by its id."""
    status_ttl: int = 3600
    """Seconds that a status is kept after the job's end; a failure's is kept for 24 hours at least."""
    max_attempts: int = 1
    """How often a job that fails is tried altogether, when neither call, nor ``COMMANDS``, nor command says."""
    timeout: float | None = None
    """Seconds that a job may take when neither call, nor ``COMMANDS``, nor command says. None or 0: no limit."""
    on_crash: str = "requeue"
    """What becomes of a job whose process died, when nobody else says: ``"requeue"`` performs it again, until
    ``MAX_CRASHES``; ``"fail"`` makes it a failure at once, so that it is never begun twice."""
    lease: float = 30
    """Seconds without a sign of life after which a worker is taken for dead, and its jobs are given to others."""
    beat: float = 5
    """Seconds between two signs of life of a worker; at most a third of ``LEASE``."""
    grace: float = 25
    """Seconds that running jobs get to finish when the worker is told to stop."""
    max_crashes: int = 3
    """The crash of a job, counted from one, that makes it a failure."""
    max_jobs: int = 10_000
    """Jobs after which a performer is replaced."""
    max_rss: int | None = None
    """Resident memory in MB above which a performer is replaced after its job."""
    max_age: float | None = None
    """Seconds after which a performer is replaced after its job."""
    failed_max: int = 10_000
    """Failure records that are kept in full. Older ones lose their traceback and output; beyond ten times as many the
    oldest are dropped, and this is logged."""
    testing: str = "outbox"
    """Under a test runner: ``"outbox"`` collects jobs in `django_resque.testing.outbox`, ``"real"`` pushes them."""

    def __post_init__(self) -> None:
        if self.beat > self.lease / 3 + 1e-6:  # in floats 0.4 is more than a third of 1.2
            raise ConfigurationError(
                f"RESQUE['BEAT'] = {self.beat} must be at most a third of RESQUE['LEASE'] = {self.lease}, so that a"
                " worker that misses one beat is not taken for dead: set both"
            )


@cache
def config() -> Config:
    """The settings in force. Raises `ConfigurationError` for a value that cannot be used; unknown keys are left to
    the system checks."""
    values: dict[str, Any] = {}
    for key, value in raw_settings().items():
        if key in _READERS:
            values[key.lower()] = _read(key, value)
    return Config(**values)


def problems() -> Iterator[str]:
    """What is wrong with the ``RESQUE`` setting, a sentence each."""
    try:
        found = raw_settings()
    except ConfigurationError as error:
        yield str(error)
        return
    values: dict[str, Any] = {}
    for key, value in found.items():
        if key not in _READERS:
            yield f"RESQUE[{key!r}] is unknown{did_you_mean(str(key).upper(), _READERS) or _all_of(_READERS)}."
            continue
        try:
            values[key.lower()] = _read(key, value)
        except ConfigurationError as error:
            yield str(error)
    try:
        Config(**values)
    except ConfigurationError as error:
        yield str(error)


def raw_settings() -> Mapping[str, Any]:
    """The ``RESQUE`` dict as the project wrote it. Raises `ConfigurationError` when it is not a dict."""
    found = getattr(settings, "RESQUE", {})
    if not isinstance(found, Mapping):
        raise ConfigurationError(f"RESQUE must be a dict, not {type(found).__name__}")
    return found


def _read(key: str, value: Any) -> Any:
    try:
        return _READERS[key](value)
    except (TypeError, ValueError, InvalidQueue) as error:
        shown = re.sub(r"://\S*@", "://…@", repr(value))  # the password of an address that stands in the wrong place
        raise ConfigurationError(f"RESQUE[{key!r}] = {shown}: {error}") from error


def _all_of(known: Iterable[str]) -> str:
    return f" (known are {', '.join(sorted(known))})"


# -- one reader for each kind of value ---------------------------------------------------------------------------------


def _alias(value: Any) -> str:
    if not isinstance(value, str) or not value or "://" in value:
        raise TypeError("must be the name of an alias in CACHES")
    return value


def _namespace(value: Any) -> str:
    if not isinstance(value, str) or not value or re.search(r"\s", value) or value.endswith(":"):
        raise ValueError("must be a text without white space that does not end in ':' (one is added)")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("must be True or False")
    return value


def _number(least: float, kind: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) not in (int, kind) or not least <= value < math.inf:  # NaN compares with nothing
            raise ValueError(f"must be {'an integer' if kind is int else 'a number'} of at least {least}")
        return value

    return read


def _optional(reader: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else reader(value)


def _folder(value: Any) -> Path:
    if not isinstance(value, (str, Path)) or not str(value):
        raise TypeError("must be the path of a folder")
    return Path(value).absolute()


def _one_of(*words: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in words:
            raise ValueError(f"must be one of {', '.join(map(repr, words))}")
        return str(value)

    return read


def _commands(value: Any) -> dict[str, Mapping[str, Any]]:
    if isinstance(value, (str, bytes)) or not isinstance(value, (Mapping, list, tuple, set, frozenset)):
        raise TypeError("must be a list of command names, or a dict of name → defaults")
    commands = dict(value) if isinstance(value, Mapping) else {name: {} for name in value}
    for name, defaults in commands.items():
        if not isinstance(name, str) or not COMMAND_NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} cannot be the name of a command that is a job: lower-case letters, digits and _"
            )
        if not isinstance(defaults, Mapping):
            raise TypeError(f"the defaults of {name!r} must be a dict")
        for key, setting in defaults.items():
            if key not in _DEFAULT_READERS:
                raise ValueError(
                    f"{name!r} has the unknown default {key!r}"
                    f"{did_you_mean(str(key), _DEFAULT_READERS) or _all_of(_DEFAULT_READERS)}"
                )
            try:
                _DEFAULT_READERS[key](setting)
            except (TypeError, ValueError) as error:
                raise ValueError(f"the {key} of {name!r} {error}") from error
    return commands


def _schedule(value: Any) -> dict[str, Mapping[str, Any]]:
    """What is in an entry is read above, where commands are known."""
    if not isinstance(value, Mapping):
        raise TypeError("must be a dict of name → entry")
    for name, entry in value.items():
        if not isinstance(name, str):
            raise TypeError(f"the name of an entry must be a text, not {name!r}")
        if not isinstance(entry, Mapping):
            raise TypeError(f"the entry {name!r} must be a dict")
    return dict(value)


def _workers(value: Any) -> dict[str, Mapping[str, Any]]:
    """The options are read where they are known: by ``resque load``."""
    if not isinstance(value, (Mapping, list, tuple)):
        raise TypeError("must be a list of workers, or a dict of name → worker")
    named = (
        value.items() if isinstance(value, Mapping) else ((str(number), item) for number, item in enumerate(value, 1))
    )
    return {name: _worker(name, item) for name, item in named}


def _worker(name: object, value: Any) -> dict[str, Any]:
    if not isinstance(name, str) or not name:
        raise TypeError(f"the name of a worker must be a text, not {name!r}")
    if not isinstance(value, Mapping):
        raise TypeError(f"the worker {name!r} must be a dict")
    found = {}
    for key, setting in value.items():
        if key not in _WORKER_READERS:
            raise ValueError(
                f"the worker {name!r} has the unknown key {key!r}"
                f"{did_you_mean(str(key), _WORKER_READERS) or _all_of(_WORKER_READERS)}"
            )
        try:
            found[key] = _WORKER_READERS[key](setting)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{key!r} of the worker {name!r} {error}") from error
    return found


def _queues(value: Any) -> str:
    """As ``-q`` takes them, where ``*`` and ``!`` mean something."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not names or not all(isinstance(name, str) and name for name in names):
        raise TypeError("must be a list of queues, or a text with commas between them")
    return ",".join(names)


def _texts(value: Any) -> list[str]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(text, str) for text in value):
        raise TypeError("must be a list of texts")
    return list(value)


def _path(value: Any) -> str:
    if not isinstance(value, (str, Path)) or not str(value):
        raise TypeError("must be the path of a file")
    return str(value)


_WORKER_READERS: dict[str, Callable[[Any], Any]] = {
    "queues": _queues,
    "count": _number(1, int),
    "performers": _number(1, int),
    "interval": _number(0.01, float),
    "log": _path,
    "options": _texts,
}

_DEFAULT_READERS: dict[str, Callable[[Any], Any]] = {
    "queue": check_queue,
    "track": _flag,
    "timeout": check_timeout,
    "on_crash": _one_of(*ON_CRASH),
    "max_attempts": check_max_attempts,
    "backoff": check_backoff_of_command,
    "unique_for": check_seconds,
    "concurrency": lambda value: check_concurrency(value, "command"),
    "expires": check_seconds,
}


_READERS: dict[str, Callable[[Any], Any]] = {
    "CACHE": _alias,
    "EMBEDDED": _optional(_folder),
    "NAMESPACE": _namespace,
    "QUEUE": check_queue,
    "COMMANDS": _commands,
    "SCHEDULE": _schedule,
    "WORKERS": _workers,
    "CHECK": _flag,
    "TRACK": _flag,
    "STATUS_TTL": _number(1, int),
    "MAX_ATTEMPTS": check_max_attempts,
    "TIMEOUT": _optional(check_timeout),
    "ON_CRASH": _one_of(*ON_CRASH),
    "LEASE": _number(1, float),
    "BEAT": _number(0.1, float),
    "GRACE": _number(0, float),
    "MAX_CRASHES": _number(1, int),
    "MAX_JOBS": _number(1, int),
    "MAX_RSS": _optional(_number(1, int)),
    "MAX_AGE": _optional(_number(1, float)),
    "FAILED_MAX": _number(1, int),
    "TESTING": _one_of("outbox", "real"),
}


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting in ("RESQUE", "CACHES", "DEBUG", "BASE_DIR"):
        config.cache_clear()


setting_changed.connect(_forget)
