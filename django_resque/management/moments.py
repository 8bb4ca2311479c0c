"""Times and durations as people type and read them."""

from __future__ import annotations

import argparse
import re
import time
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from ..moments import due_second

_UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
LONGEST = 1e15
"""Seconds that a duration has at most: what takes one has a limit of its own, and says so."""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")


def duration(text: str) -> float:
    """Seconds: ``90``, ``1.5h``, ``10m``, ``2d``."""
    found = _DURATION.fullmatch(text.strip().lower())
    if found is None or found[2] not in _UNITS or float(found[1]) > LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: give seconds, or 10m, 2h, 3d")
    return float(found[1]) * _UNITS[found[2]]


def second(text: str) -> int:
    """A unix second: a number of seconds, or a date and time in ISO 8601, in Django's time zone unless it has one."""
    try:
        at = float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time: give 2026-11-20T13:21, with a time zone if you like, or a unix time"
        ) from None
    try:
        return due_second(at, zone=timezone.get_current_timezone())
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def since(text: str) -> datetime:
    """A moment in the past: as `second`, or a duration up to now, such as ``2h``."""
    if re.fullmatch(r"\d+(\.\d+)?\s*[a-zA-Z]+", text):
        try:
            return datetime.now(UTC) - timedelta(seconds=duration(text))
        except OverflowError:
            raise argparse.ArgumentTypeError(f"{text!r} is too long ago") from None
    return datetime.fromtimestamp(second(text), UTC)


def shown(moment: float | datetime | None) -> str:
    """A moment in Django's time zone, to the second; empty for none."""
    if moment is None:
        return ""
    try:
        at = moment if isinstance(moment, datetime) else datetime.fromtimestamp(moment, UTC)
        return timezone.localtime(at).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):  # whoever has written it
        return str(moment)


def elapsed(seconds: float | None) -> str:
    """A duration, with as much as one wants to know of it: ``0.25 s``, ``12 s``, ``5 min``, ``3 h 20 min``, ``2 d``."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{max(0.0, seconds):.2f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440:,} d"


def ago(moment: float | datetime | None, now: float | None = None) -> str:
    """How long ``moment`` is ago, or in how long it will be; empty for none."""
    if moment is None:
        return ""
    at = moment.timestamp() if isinstance(moment, datetime) else moment
    passed = (time.time() if now is None else now) - at
    return f"in {elapsed(-passed)}" if passed < -1 else f"{elapsed(max(0.0, passed))} ago"
