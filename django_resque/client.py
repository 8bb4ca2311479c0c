"""Enqueueing: from a call in the project's code to a job that is pushed, or waits for a commit.

Everything that can be wrong is found here, before anything is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from types import NoneType
from typing import Any, Never

from .command import CommandInfo, bind, find, normalise
from .conf import COMMAND_NAME, ON_CRASH, Config, check_timeout, config
from .errors import InvalidArguments, InvalidPayload, UnknownCommand
from .hint import did_you_mean
from .job import Job, check_queue
from .store import Outgoing
from .transactions import push, push_after_commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Using:
    """How jobs are enqueued. None leaves a choice to the settings and the command.

    ``queue``: the queue. ``timeout``: seconds that the command may take, 0 for no limit. ``on_crash``: ``"requeue"``
    performs a job again whose process died, ``"fail"`` makes it a failure. ``track``: whether the job's status can be
    looked up. ``on_commit``: False pushes at once instead of waiting for the transactions that are open. ``check``:
    False leaves out the look at the command, for a program that does not have the commands its workers have.
    """

    queue: str | None = None
    timeout: float | None = None
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
        if self.timeout is not None:
            try:
                check_timeout(self.timeout)
            except ValueError as error:
                raise ValueError(f"timeout {error}; not {self.timeout!r}") from error
        if self.on_crash is not None and self.on_crash not in ON_CRASH:
            raise ValueError(f"on_crash must be {' or '.join(map(repr, ON_CRASH))}, not {self.on_crash!r}")
        for name in ("track", "on_commit", "check"):
            if not isinstance(getattr(self, name), (bool, NoneType)):
                raise TypeError(f"{name} must be True or False, not {getattr(self, name)!r}")

    def enqueue(self, command: str, /, *args: Any, **options: Any) -> Job:
        """Enqueue ``command`` with the arguments that ``call_command`` would take.

        The job is pushed when every database transaction that is open now has been committed, and never when one of
        them is rolled back; now, when none is open. Raises an `InvalidJob` when it cannot be a job, `EnqueueError` when
        a push at once failed.
        """
        item = self._defaults(command).outgoing(args, options)
        self._push([item])
        return item.job

    def enqueue_many(self, command: str, calls: Iterable[tuple[Sequence[Any], Mapping[str, Any]]]) -> list[Job]:
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
        if items:
            self._push(items)
        return [item.job for item in items]

    def _push(self, items: Sequence[Outgoing]) -> None:
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
        if info is not None:
            queue, track = info.queue, info.track
        else:
            known = settings.commands.get(command, {})
            queue, track = known.get("queue"), known.get("track")
        return _Defaults(
            command=command,
            queue=self.queue or queue or settings.queue,
            track=next(said for said in (self.track, track, settings.track) if said is not None),
            check=info is not None,
            extra={
                name: value
                for name, value in (("timeout", self.timeout), ("on_crash", self.on_crash))
                if value is not None
            },
        )


@dataclass(frozen=True, slots=True)
class _Defaults:
    """What all jobs of one call have in common."""

    command: str
    queue: str
    track: bool
    check: bool
    extra: Mapping[str, Any]

    def outgoing(self, args: Sequence[Any], options: Mapping[str, Any]) -> Outgoing:
        """The job with these arguments, checked in the form that the worker will read."""
        values, named = normalise(args, options)
        if self.check:
            bind(self.command, values, named)
        job = Job(command=self.command, args=tuple(values), options=named, queue=self.queue, extra=self.extra)
        return Outgoing(job=job, payload=job.payload(), track=self.track)


def using(
    *,
    queue: str | None = None,
    timeout: float | timedelta | None = None,
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
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    return Using(queue=queue, timeout=seconds, on_crash=on_crash, track=track, on_commit=on_commit, check=check)


_PLAIN = Using()


def enqueue(command: str, /, *args: Any, **options: Any) -> Job:
    """Enqueue ``command`` with the arguments that ``call_command`` would take. See `Using.enqueue`."""
    return _PLAIN.enqueue(command, *args, **options)


def enqueue_to(queue: str, command: str, /, *args: Any, **options: Any) -> Job:
    """Enqueue ``command`` to this queue. See `Using.enqueue`."""
    return Using(queue=queue).enqueue(command, *args, **options)


def enqueue_many(command: str, calls: Iterable[tuple[Sequence[Any], Mapping[str, Any]]]) -> list[Job]:
    """Enqueue ``command`` once for each ``(args, options)`` in ``calls``. See `Using.enqueue_many`."""
    return _PLAIN.enqueue_many(command, calls)


def _pair(call: Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
    match call:
        case (tuple() | list() as args, Mapping() as options) if all(isinstance(name, str) for name in options):
            return args, options
    raise InvalidArguments(f"{call!r} is not a pair of arguments and options, such as ((42,), {{}})")
