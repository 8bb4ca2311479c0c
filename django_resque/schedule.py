"""Schedule entries: what is enqueued again and again, when, and what becomes of the times that were missed.

A *slot* is a moment at which an entry is due, a whole unix second. Which slots an entry has follows from the entry
alone, so any number of schedulers come to the same ones.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from django.conf import settings

from .arguments import normalise
from .client import using
from .conf import COMMAND_NAME
from .errors import ConfigurationError, InvalidJob, InvalidQueue
from .hint import did_you_mean
from .job import UNPRINTABLE, Job, check_queue, digest, dump_json

MISFIRE = ("skip", "once", "all")
"""What becomes of the slots that were missed: nothing, one job for all of them, or one job for each."""
MISSED_AFTER = 60
"""Seconds after a slot from which on it is a missed one."""
MOST_MADE_UP = 1_000
"""Jobs for missed slots with ``misfire="all"``; those of the latest slots."""
MOST_AT_ONCE = 100
"""Slots on time that are dealt with together: more than fit into `MISSED_AFTER`."""
LONGEST_EXPRESSION = 500

_NAME = re.compile(rf"[^\s{UNPRINTABLE}](?:[^{UNPRINTABLE}]{{0,98}}[^\s{UNPRINTABLE}])?")
_KEYS = ("command", "args", "options", "queue", "cron", "every", "timezone", "misfire", "using")
_LIMITS = (
    "timeout",
    "max_attempts",
    "backoff",
    "unique_for",
    "unique_key",
    "concurrency",
    "expires",
    "on_crash",
    "track",
)
_FIELDS = {
    "second": "0 to 59",
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day-of-month": "1 to 31, L (the last), LW (the last weekday)",
    "month": "1 to 12, or JAN to DEC",
    "day-of-week": "0 to 7 (0 and 7 are Sunday), or SUN to SAT",
}
_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


@dataclass(frozen=True, slots=True)
class ScheduleEntry:
    """A command line that is enqueued at each slot. Made by `from_mapping`, which checks everything.

    Either ``cron`` is an expression, read in ``timezone``, or ``every`` is a number of seconds, whose multiples since
    1970 are the slots. ``queue`` None leaves it to the settings and the command. ``misfire`` is one of `MISFIRE`.
    ``using`` holds what `using` takes of limits, such as ``timeout``.
    """

    name: str
    command: str
    args: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    queue: str | None = None
    cron: str | None = None
    every: int | None = None
    timezone: str = "UTC"
    misfire: str = "once"
    using: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_mapping(cls, name: str, mapping: Mapping[str, Any]) -> ScheduleEntry:
        """The entry that a person has written, in the settings or at run time.

        Raises `ConfigurationError` with a sentence that names the mistake. Whether the command exists and takes the
        arguments is not looked at: see `command.bind`.
        """
        try:
            return _read(name, mapping)
        except (ValueError, TypeError, InvalidJob) as error:
            raise ConfigurationError(f"The schedule entry {name!r}: {error}") from error

    def to_mapping(self) -> dict[str, Any]:
        """What `from_mapping` makes this entry of; JSON can hold it. What has its default is left out."""
        written: dict[str, Any] = {"command": self.command}
        if self.args:
            written["args"] = list(self.args)
        if self.options:
            written["options"] = dict(self.options)
        if self.queue is not None:
            written["queue"] = self.queue
        if self.cron is not None:
            written |= {"cron": self.cron, "timezone": self.timezone}
        else:
            written["every"] = self.every
        if self.misfire != "once":
            written["misfire"] = self.misfire
        if self.using:
            written["using"] = dict(self.using)
        return written

    @property
    def digest(self) -> str:
        """What tells an entry from one that has other slots: 40 hexadecimal digits. Command and arguments have no part
        in it."""
        when = [self.cron, self.timezone] if self.cron is not None else [self.every]
        return digest(dump_json(when))

    # -- slots -------------------------------------------------------------------------------------------------------

    def slots_after(self, last: float, now: float, limit: int) -> list[int]:
        """The first slots after ``last``, up to and including ``now``, ``limit`` of them at most; unix seconds.

        As in Debian's cron, an expression that names minutes and hours is due once a day, whatever the clocks do: what
        falls into the gap when they are set forward is due at its end, and what comes twice when they are set back is
        due the first time alone. One whose minutes or hours begin with ``*``, or that has seconds, goes by the time
        that passes: a gap has no slots, and a fold has those of both its hours.
        """
        until = itertools.takewhile(lambda slot: slot <= now, self._from(last))
        return list(itertools.islice(until, limit))

    def slot_after(self, last: float) -> int | None:
        """The first slot after ``last``; None when there is none within 50 years."""
        return next(self._from(last), None)

    def next_slots(self, last: float, count: int) -> list[int]:
        """The first ``count`` slots after ``last``; fewer when there are not so many within 50 years."""
        return list(itertools.islice(self._from(last), count))

    def last_slots(self, last: float, until: int, limit: int) -> list[int]:
        """The last slots after ``last``, up to and including ``until``, ``limit`` of them at most, in their order."""
        start = math.floor(last)
        if self.every is not None:
            start = max(start, (until // self.every - limit) * self.every)
        found = self.slots_after(start, until, limit + 1)
        if len(found) <= limit:
            return found
        many, few, found = start, until, []  # behind `many` there are too many slots, behind `few` there are not
        while few - many > 1 and len(found) < limit:
            middle = (many + few) // 2
            slots = self.slots_after(middle, until, limit + 1)
            if len(slots) > limit:
                many = middle
            else:
                few, found = middle, slots
        return found

    def _from(self, last: float) -> Iterator[int]:
        second = math.floor(last)
        if self.every is not None:
            yield from itertools.count((second // self.every + 1) * self.every, self.every)
        elif self.cron is not None:
            for moment in _moments(self.cron, datetime.fromtimestamp(second, ZoneInfo(self.timezone))):
                slot = int(moment.timestamp())
                if slot > second:  # begun in the second hour of a fold, it names times of the first one
                    second = slot
                    yield slot

    def due(self, base: float, now: float) -> Due | None:
        """What is to be done at ``now`` when the slots up to ``base`` are done with; None when there is nothing.

        The slots to enqueue at are the same in whichever of several schedulers asks, and however often: what one has
        left undone, the next one finds.
        """
        late = math.ceil(now - MISSED_AFTER) - 1
        first = self.slots_after(base, late, 1)
        made_up = self.last_slots(base, late, MOST_MADE_UP if self.misfire == "all" else 1) if first else []
        on_time = self.slots_after(max(base, late), now, MOST_AT_ONCE)
        if not made_up and not on_time:
            return None
        return Due(
            slots=(*(() if self.misfire == "skip" else made_up), *on_time),
            done=(made_up + on_time)[-1],
            missed=(first[0], made_up[-1]) if made_up else None,
        )


@dataclass(frozen=True, slots=True)
class Due:
    """``slots``: those at which a job is enqueued now, in order. ``done``: the slot up to which all is done with then.
    ``missed``: the first and the last of the missed slots, None when there are none."""

    slots: tuple[int, ...]
    done: int
    missed: tuple[int, int] | None


def _moments(cron: str, after: datetime) -> Iterator[datetime]:
    try:
        yield from CronSim(cron, after)
    except OverflowError:
        pass  # the year 10000


# -- reading -----------------------------------------------------------------------------------------------------------


def _read(name: str, mapping: Any) -> ScheduleEntry:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError("its name must be a text of 1 to 100 characters, without control characters or outer blanks")
    if not isinstance(mapping, Mapping):
        raise TypeError(f"must be a dict, not {type(mapping).__name__}")
    for key in mapping:
        if key not in _KEYS:
            raise ValueError(f"the key {key!r} is unknown{_hint(key, _KEYS)}")
    given = {key: value for key, value in mapping.items() if value is not None}
    cron, every = _when(given)
    command = _command(given.get("command"))
    args, options = _arguments(given.get("args", ()), given.get("options", {}))
    entry = ScheduleEntry(
        name=name,
        command=command,
        args=args,
        options=options,
        queue=_queue(given.get("queue")),
        cron=cron,
        every=every,
        timezone=_timezone(given.get("timezone")),
        misfire=_misfire(given.get("misfire", "once")),
        using=_using(given.get("using", {})),
    )
    if cron is not None and entry.slot_after(0) is None:
        raise ValueError(f"the cron expression {cron!r} names a time that never comes")
    Job(command, args, options).payload()  # JSON can hold it, and it is not too long
    return entry


def _when(given: Mapping[str, Any]) -> tuple[str | None, int | None]:
    if ("cron" in given) == ("every" in given):
        both = "cron" in given
        raise ValueError("has both 'cron' and 'every': give one" if both else "needs 'cron' or 'every'")
    if "cron" in given:
        return _cron(given["cron"]), None
    every = given["every"]
    seconds = every.total_seconds() if isinstance(every, timedelta) else every
    if type(seconds) not in (int, float) or not 1 <= seconds <= 31_536_000 or seconds != int(seconds):
        raise ValueError(f"'every' must be a whole number of seconds from 1 to 31536000, or a timedelta; not {every!r}")
    return None, int(seconds)


def _cron(expression: Any) -> str:
    if not isinstance(expression, str):
        raise TypeError(f"'cron' must be a text such as '0 3 * * *', not {expression!r}")
    fields = expression.split()
    text = " ".join(fields)
    if len(text) > LONGEST_EXPRESSION:
        raise ValueError(f"the cron expression has {len(text)} characters, more than {LONGEST_EXPRESSION}")
    if text.lower() in _NICKNAMES:
        raise ValueError(f"the cron expression {text!r} is written {_NICKNAMES[text.lower()]!r} here")
    if len(fields) not in (5, 6):
        raise ValueError(
            f"the cron expression {text!r} has {len(fields)} field(s); it needs five (minute, hour, day of the month,"
            " month, day of the week), or six with the second before them"
        )
    try:
        CronSim(text, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        wrong = str(error).removeprefix("Bad ")
        place = list(_FIELDS).index(wrong) - (len(fields) == 5)
        raise ValueError(
            f"the {wrong} {fields[place]!r} of the cron expression {text!r} cannot be read: it takes {_FIELDS[wrong]},"
            " and * , - / between them"
        ) from error
    return text


def _command(command: Any) -> str:
    if command is None:
        raise ValueError("needs a 'command'")
    if not isinstance(command, str) or not COMMAND_NAME.fullmatch(command):
        if isinstance(command, str) and " " in command.strip():
            raise ValueError(f"'command' is a name alone, its arguments go to 'args' and 'options'; not {command!r}")
        raise ValueError(f"{command!r} cannot be the name of a command that is a job: lower-case letters, digits and _")
    return command


def _arguments(args: Any, options: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(args, str) or not isinstance(args, Sequence):
        raise TypeError(f"'args' must be a list, not {args!r}")
    if not isinstance(options, Mapping) or not all(isinstance(key, str) for key in options):
        raise TypeError(f"'options' must be a dict of name → value, not {options!r}")
    plain, named = normalise(args, options)
    return tuple(plain), named


def _queue(queue: Any) -> str | None:
    try:
        return None if queue is None else check_queue(queue)
    except InvalidQueue as error:
        raise ValueError(f"'queue': {error}") from error


def _timezone(name: Any) -> str:
    if name is None:
        return settings.TIME_ZONE or "UTC"
    if not isinstance(name, str):
        raise TypeError(f"'timezone' must be a name such as 'Europe/Berlin', not {name!r}")
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # of what a file system has instead
        raise ValueError(f"the time zone {name!r} is unknown{did_you_mean(name, available_timezones())}") from error
    return name


def _misfire(misfire: Any) -> str:
    if misfire not in MISFIRE:
        hint = did_you_mean(str(misfire), MISFIRE)
        raise ValueError(f"'misfire' must be one of {', '.join(map(repr, MISFIRE))}, not {misfire!r}{hint}")
    return str(misfire)


def _using(limits: Any) -> dict[str, Any]:
    if not isinstance(limits, Mapping):
        raise TypeError(f"'using' must be a dict, not {limits!r}")
    for key in limits:
        if key not in _LIMITS:
            raise ValueError(f"'using' takes no {key!r}{_hint(key, _LIMITS)}")
    if isinstance(limits.get("expires"), datetime):
        raise TypeError("'expires' must be a number of seconds: each job is to have its own")
    try:
        checked = using(**limits)
    except (ValueError, TypeError) as error:
        raise type(error)(f"'using': {error}") from error
    values = {key: getattr(checked, key) for key in _LIMITS}
    return {
        key: list(value) if isinstance(value, tuple) else value for key, value in values.items() if value is not None
    }


def _hint(key: object, known: Iterable[str]) -> str:
    return did_you_mean(str(key), known) or f" (known are {', '.join(known)})"


# -- for people --------------------------------------------------------------------------------------------------------


def describe(entry: ScheduleEntry) -> str:
    """When the entry is due, in plain words: those of ``cron-descriptor``, which comes with the extra ``cli``, or else
    of ``cronsim``."""
    if entry.every is not None:
        return f"Every {_duration(entry.every)}"
    return f"{_words(entry.cron or '')} ({entry.timezone})"


def _words(cron: str) -> str:
    try:
        from cron_descriptor import FormatException, Options, get_description  # noqa: PLC0415  it may not be installed
    except ImportError:
        return CronSim(cron, datetime.now(UTC)).explain()
    try:
        return str(get_description(cron, Options(use_24hour_time_format=True, locale_code="en_US")))
    except FormatException:  # it knows fewer forms
        return CronSim(cron, datetime.now(UTC)).explain()


def _duration(seconds: int) -> str:
    parts: list[str] = []
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count} {unit}s" if count > 1 else unit if not parts and not seconds else f"1 {unit}")
    return " and ".join((", ".join(parts[:-1]), parts[-1])) if len(parts) > 1 else parts[0]
