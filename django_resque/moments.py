"""When a delayed job is due: what people write, as the unix time that stands in Redis."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, tzinfo

LAST_SECOND = 253_402_300_799
"""The last second of the year 9999, in unix time."""
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  what is reckoned from it is UTC already
_SECOND = timedelta(seconds=1)


def due_second(at: datetime | int | float, *, zone: tzinfo) -> int:
    """The first unix second that is not before ``at``: a job is never early. It may have passed.

    ``at`` is a datetime or a unix time in seconds. A datetime without a time zone is read in ``zone``: of a time that
    comes twice there, when clocks are set back, ``fold`` tells which is meant (0: the first).

    Raises `ValueError` for a time that never comes in ``zone``, because clocks are set forward over it, and for what
    is no moment before the year 10000; `TypeError` for anything but a datetime or a number.
    """
    if isinstance(at, datetime):
        second = _second_of(at, zone)
    else:
        second = math.ceil(_number(at, "a time must be a datetime or a unix time in seconds"))
    if second > LAST_SECOND:
        raise ValueError("a time after the year 9999: unix time is counted in seconds, not in milliseconds")
    return second


def in_seconds(delay: float | timedelta) -> float:
    """``delay``, a number of seconds or a timedelta, in seconds.

    Raises `ValueError` when it is negative or would end after the year 9999 at the latest, `TypeError` for anything
    else than a delay.
    """
    seconds = (
        delay.total_seconds()
        if isinstance(delay, timedelta)
        else _number(delay, "a delay must be a number of seconds or a timedelta")
    )
    if seconds < 0:
        raise ValueError(f"a delay cannot be negative: {delay}")
    if seconds > LAST_SECOND:
        raise ValueError("a delay that ends after the year 9999: it is counted in seconds")
    return float(seconds)


def _number(value: object, wanted: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{wanted}, not {type(value).__name__}")
    if not isinstance(value, int) and not math.isfinite(value):
        raise ValueError(f"{wanted}, not {value}")
    return value


def _second_of(at: datetime, zone: tzinfo) -> int:
    offset = at.utcoffset()
    if offset is None:
        first, second = (at.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
        if first is not None and second is not None and first < second:  # PEP 495: the other way round it comes twice
            raise ValueError(
                f"{at:%Y-%m-%d %H:%M:%S} does not exist in {zone}, where the clocks are set forward over it: take a"
                " time before or after that, or one with a time zone"
            )
        offset = (second if at.fold else first) or timedelta()
    seconds, rest = divmod(at.replace(tzinfo=None) - _EPOCH - offset, _SECOND)
    return seconds + bool(rest)
