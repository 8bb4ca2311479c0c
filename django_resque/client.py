"""Enqueueing: from a call in the project's code to a job that is pushed, or waits for a commit.

Everything that can be wrong is found here, before anything is sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from types import NoneType
from typing import Any, Never, cast

from django.utils import timezone

from . import enqueue_log
from .choices import (
    check_backoff,
    check_concurrency,
    check_key,
    check_max_attempts,
    check_on_crash,
    check_seconds,
    check_timeout,
)
from .command import CommandInfo, bind, find, normalise
from .conf import COMMAND_NAME, Config, config
from .errors import DontCreate, InvalidArguments, InvalidPayload, UnknownCommand
from .hint import did_you_mean
from .job import Job, check_queue, digest, dump_json
from .moments import due_second, in_seconds
from .signals import before_enqueue
from .store import Outgoing
from .tracking import TrackedJob
from .transactions import push, push_after_commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Using:
    """How jobs are enqueued. None leaves a choice to the settings and the command.

    ``queue``: the queue. ``delay``: seconds from now, or ``at``: a unix time or datetime, before which the job is not
    performed. ``timeout``: seconds that the command may take, 0 for no limit. ``max_attempts``: how often a job that
    fails is tried altogether; ``backoff``: the seconds before each further attempt, or a list of them. ``unique_for``:
    seconds for which no second job is enqueued while one with the same command and arguments, or the same
    ``unique_key``, waits; that one is given back instead. ``concurrency``: how many of the command's jobs run at once,
    or a key and how many under it. ``expires``: seconds after it was enqueued (or was due), or a datetime, from which
    on it is not begun any more. ``on_crash``: ``"requeue"`` performs a job again whose process died, ``"fail"`` makes
    it a failure. ``track``: whether the job's status can be looked up. ``on_commit``: False pushes at once instead of
    waiting for the transactions that are open. ``check``: False leaves out the look at the command, for a program that
    does not have the commands its workers have.
    """

    queue: str | None = None
    delay: float | timedelta | None = None
    at: datetime | float | None = None
    timeout: float | timedelta | None = None
    max_attempts: int | None = None
    backoff: float | Sequence[float] | None = None
    unique_for: float | timedelta | None = None
    unique_key: str | None = None
    concurrency: int | tuple[str, int] | None = None
    expires: float | timedelta | datetime | None = None
    on_crash: str | None = None
    track: bool | None = None
    on_commit: bool | None = None
    check: bool | None = None
    _known: dict[str, tuple[Config, CommandInfo | None, _Defaults]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if self.queue is not None:
            check_queue(self.queue)
        if isinstance(self.timeout, timedelta):
            object.__setattr__(self, "timeout", self.timeout.total_seconds())
        for name, read in _MOMENTS.items():
            if getattr(self, name) is not None:
                object.__setattr__(self, name, read(getattr(self, name)))
        for name, check in _CHECKS.items():
            value = getattr(self, name)
            if value is not None:
                try:
                    checked = check(value)
                except ValueError as error:
                    raise ValueError(f"{name} {error}; not {value!r}") from error
                object.__setattr__(self, name, checked)
        if self.delay is not None and self.at is not None:
            raise ValueError("give delay or at, not both")
        if self.unique_key is not None and self.unique_for is None:
            raise ValueError("unique_key needs unique_for, the seconds for which the key is held at most")
        for name in ("track", "on_commit", "check"):
            if not isinstance(getattr(self, name), (bool, NoneType)):
                raise TypeError(f"{name} must be True or False, not {getattr(self, name)!r}")

    def enqueue(self, command: str, /, *args: Any, **options: Any) -> TrackedJob:
        """Enqueue ``command`` with the arguments that ``call_command`` would take.

        Gives the job, or the one that waits already when this one was to be unique. It is pushed when every database
        transaction that is open now has been committed, and never when one of them is rolled back; now, when none is
        open. Raises an `InvalidJob` when it cannot be a job, `EnqueueError` when a push at once failed.
        """
        item = self._defaults(command).outgoing(args, options)
        if _is_wanted(item.job):
            self._push([item])
        return cast(TrackedJob, item.job)

    def enqueue_many(self, command: str, calls: Iterable[tuple[Sequence[Any], Mapping[str, Any]]]) -> list[TrackedJob]:
        """Enqueue ``command`` once for each ``(args, options)`` in ``calls``, a hundred in a round trip.

        All of them are checked before the first is sent; an error names the call by its index.
        """
        defaults = self._defaults(command)
        items = []
        for index, call in enumerate(calls):
            try:
                args, options = _pair(call)
                items.append(defaults.outgoing(args, options))
            except (InvalidArguments, InvalidPayload) as error:
                raise type(error)(f"calls[{index}]: {error}") from error
        wanted = [item for item in items if _is_wanted(item.job)]
        if wanted:
            self._push(wanted)
        return [cast(TrackedJob, item.job) for item in items]

    def unchecked(self, command: str, args: Sequence[Any], options: Mapping[str, Any]) -> Outgoing:
        """The job that would be pushed, for one who enqueues what others have checked.

        It has its command's defaults, when that can be found here; whether it takes the arguments is left to who
        performs it. No receiver is asked.
        """
        try:
            info = find(command)
        except Exception:  # whatever importing its module raises
            info = None
        return replace(self._make_defaults(command, config(), info), check=False).outgoing(args, options)

    def _push(self, items: Sequence[Outgoing]) -> None:
        first = items[0]
        due = first.due if first.delay is None else time.time() + first.delay
        enqueue_log.note([item.job for item in items], due)
        if self.on_commit is False:
            push(items)
        else:
            push_after_commit(items)

    def _defaults(self, command: str) -> _Defaults:
        settings = config()
        check = settings.check if self.check is None else self.check
        if not check and not (isinstance(command, str) and COMMAND_NAME.fullmatch(command)):
            raise UnknownCommand(f"{command!r} cannot be the name of a command that is a job")
        info = find(command) if check else None
        known = self._known.get(command)
        if known is None or known[0] is not settings or known[1] is not info:
            known = self._known[command] = settings, info, self._make_defaults(command, settings, info)
        return known[2]

    def _make_defaults(self, command: str, settings: Config, info: CommandInfo | None) -> _Defaults:
        known = settings.commands.get(command, {})

        def chosen(name: str) -> Any:
            own = getattr(self, name)
            return own if own is not None else known.get(name) if info is None else getattr(info, name)

        track, concurrency, expires = chosen("track"), chosen("concurrency"), chosen("expires")
        unique_for = chosen("unique_for")
        if concurrency is not None:
            concurrency = check_concurrency(concurrency, command)
        return _Defaults(
            command=command,
            queue=chosen("queue") or settings.queue,
            track=settings.track if track is None else track,
            check=info is not None,
            extra=self._limits(concurrency, track=settings.track if track is None else track),
            unique_for=None if unique_for is None else check_seconds(unique_for),  # the settings may have a timedelta
            unique_key=self.unique_key,
            expires=None if expires is None else _expiry(expires),
            due=cast("int | None", self.at),  # what was given has been checked, and turned into seconds
            delay=cast("float | None", self.delay),
        )

    def _limits(self, concurrency: tuple[str, int] | None, *, track: bool) -> dict[str, Any]:
        """What a payload says of the choices."""
        names = ("timeout", "max_attempts", "backoff", "on_crash")
        said = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if concurrency is not None:
            said["concurrency"] = list(concurrency)
        return said if track else {**said, "track": False}


def _expiry(value: object) -> float | datetime:
    if isinstance(value, datetime):
        _second_of(value)
        return value
    try:
        return check_seconds(value)
    except ValueError as error:
        raise ValueError(f"{error}, or a datetime") from error


def _second_of(moment: datetime | float) -> int:
    return due_second(moment, zone=timezone.get_current_timezone())


_MOMENTS: Mapping[str, Callable[[Any], float]] = {"delay": in_seconds, "at": _second_of}
"""Their errors are whole sentences."""
_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "timeout": check_timeout,
    "max_attempts": check_max_attempts,
    "backoff": check_backoff,
    "unique_for": check_seconds,
    "unique_key": check_key,
    "concurrency": lambda value: check_concurrency(value, "command") and value,
    "expires": _expiry,
    "on_crash": check_on_crash,
}


_CHOICES = frozenset(field.name for field in fields(Using) if field.init)


@dataclass(frozen=True, slots=True)
class _Defaults:
    """What all jobs of one call have in common."""

    command: str
    queue: str
    track: bool
    check: bool
    extra: Mapping[str, Any]
    unique_for: float | None
    unique_key: str | None
    expires: float | datetime | None
    due: int | None
    delay: float | None

    def outgoing(self, args: Sequence[Any], options: Mapping[str, Any]) -> Outgoing:
        """The job with these arguments, checked in the form that the worker will read."""
        values, named = normalise(args, options)
        if self.check:
            try:
                bind(self.command, values, named)
            except InvalidArguments as error:
                ours = [name for name in options if name in _CHOICES]
                if not ours:
                    raise
                raise InvalidArguments(f"{error}; what is not for the command goes to using({ours[0]}=…)") from error
        job = TrackedJob(command=self.command, args=tuple(values), options=named, queue=self.queue, extra=self.extra)
        if self.due is self.delay is self.unique_for is self.expires is None:
            return Outgoing(job=job, payload=job.payload(), track=self.track)
        return self._special(job)

    def _special(self, job: TrackedJob) -> Outgoing:
        extra = dict(self.extra)
        unique = None
        if self.unique_for is not None:
            unique = self.unique_key or unique_key(job), self.unique_for
            extra["unique"] = list(unique)
        if isinstance(self.expires, datetime):
            extra["expires"] = float(_second_of(self.expires))
        elif self.expires is not None:
            begins = time.time() + (self.delay or 0) if self.due is None else self.due
            extra["expires"] = round(begins + self.expires, 3)
        job = replace(job, extra=extra)
        delayed = self.due is not None or self.delay is not None
        return Outgoing(
            job=job,
            payload=job.delayed_item() if delayed else job.payload(),
            track=self.track,
            due=self.due,
            delay=self.delay,
            unique=unique,
        )


def unique_key(job: Job) -> str:
    """The key under which the job is the only one with its command and arguments: a SHA-1."""
    return digest(dump_json([job.command, list(job.args), sorted(job.options.items())]))


def _is_wanted(job: Job) -> bool:
    """Whether no receiver has anything against it."""
    if before_enqueue.receivers:
        try:
            before_enqueue.send(TrackedJob, job=TrackedJob.of(job))
        except DontCreate:
            return False
    return True


def using(
    *,
    queue: str | None = None,
    delay: float | timedelta | None = None,
    at: datetime | float | None = None,
    timeout: float | timedelta | None = None,
    max_attempts: int | None = None,
    backoff: float | Sequence[float] | None = None,
    unique_for: float | timedelta | None = None,
    unique_key: str | None = None,
    concurrency: int | tuple[str, int] | None = None,
    expires: float | timedelta | datetime | None = None,
    on_crash: str | None = None,
    track: bool | None = None,
    on_commit: bool | None = None,
    check: bool | None = None,
    **unknown: Never,
) -> Using:
    """What enqueues with these choices: ``using(queue="mail").enqueue("send_welcome", user.pk)``. See `Using`."""
    for name in unknown:
        known = [field.name for field in fields(Using) if field.init]
        hint = did_you_mean(name, known) or f" (known are {', '.join(known)})"
        raise TypeError(f"using() takes no {name!r}{hint}; options of the command go to enqueue()")
    return Using(
        queue=queue,
        delay=delay,
        at=at,
        timeout=timeout,
        max_attempts=max_attempts,
        backoff=backoff,
        unique_for=unique_for,
        unique_key=unique_key,
        concurrency=concurrency,
        expires=expires,
        on_crash=on_crash,
        track=track,
        on_commit=on_commit,
        check=check,
    )


_PLAIN = Using()


def enqueue(command: str, /, *args: Any, **options: Any) -> TrackedJob:
    """Enqueue ``command`` with the arguments that ``call_command`` would take. See `Using.enqueue`."""
    return _PLAIN.enqueue(command, *args, **options)


def enqueue_to(queue: str, command: str, /, *args: Any, **options: Any) -> TrackedJob:
    """Enqueue ``command`` to this queue. See `Using.enqueue`."""
    return Using(queue=queue).enqueue(command, *args, **options)


def enqueue_in(delay: float | timedelta, command: str, /, *args: Any, **options: Any) -> TrackedJob:
    """Enqueue ``command``, to be performed in ``delay`` seconds from now or a little later. See `Using.enqueue`."""
    return Using(delay=delay).enqueue(command, *args, **options)


def enqueue_at(at: datetime | float, command: str, /, *args: Any, **options: Any) -> TrackedJob:
    """Enqueue ``command``, to be performed at this datetime or unix time, or a little later. See `Using.enqueue`.

    A datetime without a zone is in Django's current time zone. A time that has passed means now.
    """
    return Using(at=at).enqueue(command, *args, **options)


def enqueue_many(command: str, calls: Iterable[tuple[Sequence[Any], Mapping[str, Any]]]) -> list[TrackedJob]:
    """Enqueue ``command`` once for each ``(args, options)`` in ``calls``. See `Using.enqueue_many`."""
    return _PLAIN.enqueue_many(command, calls)


def _pair(call: Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
    match call:
        case (tuple() | list() as args, Mapping() as options) if all(isinstance(name, str) for name in options):
            return args, options
    raise InvalidArguments(f"{call!r} is not a pair of arguments and options, such as ((42,), {{}})")
