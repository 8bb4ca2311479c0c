"""How many jobs ended, how, and how long they took: by command and queue, summed over minutes, hours and days.

Worker processes write the sums of a second with a turn (``lua/turn.lua``). A worker that is killed takes a second or
two of them with it; nothing is counted twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from redis import Redis

from .keys import Keys
from .reading import reading

BOUNDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 120.0, 600.0, 3600.0)
"""Seconds up to which a job belongs into each part of a histogram; one more part is for those that took longer."""
MOST_COMMANDS = 200
"""Commands, each with its queue, that are told apart in one hash or one answer, besides `OTHER`."""
OTHER = "(other)"
"""Command and queue under which all the rest is summed up."""
MOST_MINUTES = 26 * 60
"""Minutes that are kept."""
Span = Literal["hour", "day", "week"]

_LONGEST_NAME = 200
_LONGEST_SUMS = 400
_PLAIN = 5
"""Numbers that stand before the histogram."""
_NUMBERS = _PLAIN + len(BOUNDS) + 1
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_UNITS: dict[str, tuple[int, int]] = {"hour": (_MINUTE, 60), "day": (_HOUR, 24), "week": (_HOUR, 168)}


class Outcome(NamedTuple):
    """What became of a job: ``done``, ``failed`` for good, or ``retried``: this attempt failed, or its performer died,
    and it is to be performed again. ``seconds`` is how long the attempt took, 0 when that is not known."""

    command: str
    queue: str
    how: Literal["done", "failed", "retried"]
    seconds: float


@dataclass(frozen=True, slots=True)
class Point:
    """Jobs that ended in the minute that began at ``time`` (unix seconds): ``failed`` of the ``processed``."""

    time: int
    processed: int
    failed: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of the jobs of ``command`` on ``queue``.

    ``count`` ended, as a success or, ``failures`` of them, as a failure. They took ``seconds`` together, the longest
    of them ``longest``; ``histogram`` says how many took how long, in the parts of `BOUNDS`. ``retries`` counts the
    attempts after which a job was to be tried again; how long these took is not included.

    A failure is also what crashed too often, timed out, was ended on demand, or was the job of a worker process that
    died and must not begin twice. Jobs that had expired were not performed and do not count, nor do those that other
    programs' workers have performed.
    """

    command: str
    queue: str
    count: int
    failures: int
    retries: int
    seconds: float
    longest: float
    histogram: Sequence[int]

    @property
    def mean(self) -> float:
        """Seconds that a job took on average."""
        return self.seconds / self.count if self.count else 0.0

    @property
    def failure_rate(self) -> float:
        """Which part of the jobs failed, from 0 to 1."""
        return self.failures / self.count if self.count else 0.0


class Statistics:
    """Reading the sums, each time in one round trip. ``now`` is the time by Redis' clock, in unix seconds."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    @reading()
    def throughput(self, now: float, minutes: int = 60) -> list[Point]:
        """The last minutes, up to `MOST_MINUTES`, the oldest first; the last one is under way."""
        last = int(now) // _MINUTE
        wanted = range(last + 1 - max(0, min(minutes, MOST_MINUTES)), last + 1)
        by_hour: dict[int, list[int]] = defaultdict(list)
        for minute in wanted:
            by_hour[minute // 60 * _HOUR].append(minute % 60)
        pipeline = self._client.pipeline(transaction=False)
        for hour, places in by_hour.items():
            pipeline.hmget(self._keys.throughput(hour), [f"{kind}{place}" for place in places for kind in "pf"])
        numbers: list[int] = []
        for places, reply in zip(by_hour.values(), pipeline.execute(raise_on_error=False), strict=True):
            numbers += map(_whole, reply) if _is_there(reply) else [0] * (2 * len(places))
        return [
            Point(minute * _MINUTE, processed, failed)
            for minute, processed, failed in zip(wanted, numbers[::2], numbers[1::2], strict=True)
        ]

    def figures(self, span: Span, now: float) -> list[Figures]:
        """The last 60 minutes, 24 hours or 168 hours, the last of which is under way; by command and queue, in order.
        Beyond `MOST_COMMANDS` those with the most jobs, and the rest as `OTHER`."""
        found = list(self._read(_keys_of(self._keys, *_UNITS[span], now=now)))
        by_field: dict[bytes, list[bytes]] = defaultdict(list)
        for field, sums in found:
            by_field[field].append(sums)
        summed = {field: total for field, sums in by_field.items() if any(total := _add(sums))}
        other = _field(OTHER, OTHER).encode()
        if len(summed.keys() - {other}) > MOST_COMMANDS:
            by_count = sorted(summed.keys() - {other}, key=lambda field: summed[field][0], reverse=True)
            rest = [summed.pop(field) for field in by_count[MOST_COMMANDS:]]
            summed[other] = _sums_of([*rest, summed.get(other, [0] * _NUMBERS)])
        return sorted(
            (_figures(field, total) for field, total in summed.items()),
            key=lambda figures: (figures.command, figures.queue),
        )

    def rates(self, now: float, minutes: int = 5) -> dict[str, float]:
        """How many jobs ended in a minute, by queue, in the last ``minutes`` (1 to 60) and the one that is under way.
        Queues on which none did are missing."""
        minutes = max(1, min(minutes, 60))
        found: dict[str, int] = defaultdict(int)
        for field, sums in self._read(_keys_of(self._keys, _MINUTE, minutes + 1, now=now)):
            found[_names(field)[1]] += _add([sums])[0]
        passed = minutes + now % _MINUTE / _MINUTE
        return {queue: count / passed for queue, count in sorted(found.items()) if count}

    @reading()
    def _read(self, keys: Sequence[str]) -> list[tuple[bytes, bytes]]:
        pipeline: Any = self._client.pipeline(transaction=False)
        for key in keys:
            pipeline.hscan(key, 0, count=1000)  # all of ours at once, and a part of what somebody else has put there
        replies = pipeline.execute(raise_on_error=False)
        return [pair for reply in replies if _is_there(reply) for pair in reply[1].items()]


def pack(command: str, queue: str, sums: Sequence[int]) -> tuple[str, bytes]:
    """The field of ``command`` and ``queue`` in a hash, and the text that is added to what stands there. ``sums`` are
    count, failures, retries, microseconds, those of the longest, and the parts of the histogram."""
    return _field(command, queue), b" ".join(b"%d" % number for number in sums)


def _field(command: str, queue: str) -> str:
    return f"{_clean(command)}\t{_clean(queue)}"


def _clean(name: str) -> str:
    """A name from somebody's payload, in which a tab or a line feed would mean something here."""
    if len(name) <= _LONGEST_NAME and name.isprintable():
        return name
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name[:_LONGEST_NAME]
    )


def _names(field: bytes) -> tuple[str, str]:
    command, _, queue = str(field, "utf-8", "replace").partition("\t")
    return command, queue


def _keys_of(keys: Keys, unit: int, count: int, *, now: float) -> list[str]:
    """The hashes of the last ``count`` units of so many seconds. Where they make up whole days, those of the days."""
    if unit == _MINUTE:
        last = int(now) // unit * unit
        return [keys.minute_statistics(last - place * unit) for place in range(count)]
    end = int(now) // _HOUR * _HOUR + _HOUR
    at, found = end - count * _HOUR, []
    while at < end:
        is_day = at % _DAY == 0 and at + _DAY <= end
        found.append(keys.day_statistics(at) if is_day else keys.hour_statistics(at))
        at += _DAY if is_day else _HOUR
    return found


def _add(sums: Iterable[bytes]) -> list[int]:
    """What these texts say together; those that are none of ours say nothing."""
    return _sums_of(list(_parsed(sums)))


def _parsed(sums: Iterable[bytes]) -> Iterator[list[int]]:
    for text in sums:
        try:
            numbers = list(map(int, text.split())) if len(text) <= _LONGEST_SUMS else []
        except ValueError:
            continue
        if len(numbers) == _NUMBERS and min(numbers) >= 0:
            yield numbers


def _sums_of(rows: Sequence[Sequence[int]]) -> list[int]:
    if not rows:
        return [0] * _NUMBERS
    columns = list(zip(*rows, strict=True))
    total = list(map(sum, columns))
    total[_PLAIN - 1] = max(columns[_PLAIN - 1])
    return total


def _figures(field: bytes, numbers: Sequence[int]) -> Figures:
    count, failures, retries, microseconds, longest, *histogram = numbers
    command, queue = _names(field)
    return Figures(command, queue, count, failures, retries, microseconds / 1e6, longest / 1e6, tuple(histogram))


def _whole(raw: bytes | None) -> int:
    return int(raw) if raw and raw.isdigit() and len(raw) < 16 else 0


def _is_there(reply: object) -> bool:
    """False for a key that has become something else. Raises any other error."""
    if not isinstance(reply, Exception):
        return True
    if "WRONGTYPE" in str(reply):
        return False
    raise reply
