"""Making text from Redis fit for a page. Whoever may write to Redis may have written anything.

Markup is the templates' business, which escape everything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.timezone import is_aware, localtime
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from ..log import clean

LINE = 200
MESSAGE = 2_000
BLOCK = 20_000


def line(text: str, limit: int = LINE) -> str:
    """``text`` on one line, cut after ``limit`` characters."""
    return clean(text) if len(text) <= limit else f"{clean(text[:limit])}…"


def block(text: str, limit: int = BLOCK) -> str:
    """``text`` of many lines. Of a long one the beginning and the end are kept: in Ruby's tracebacks what matters
    stands first, in Python's last."""
    if len(text) <= limit:
        return _lines(text)
    half = limit // 2
    left_out = _("… %(count)s characters left out …") % {"count": number(len(text) - 2 * half)}
    return f"{_lines(text[:half])}\n\n{left_out}\n\n{_lines(text[-half:])}"


def _lines(text: str) -> str:
    return "\n".join(clean(part.expandtabs()) for part in re.split(r"\r\n|\n", text))


def number(count: int) -> str:
    """``count`` with the separators of the reader's language."""
    return number_format(count, force_grouping=True)


def moment(time: datetime) -> str:
    """``time`` as the reader's language writes it, in the current time zone."""
    try:
        return date_format(localtime(time) if is_aware(time) else time, "DATETIME_FORMAT")
    except (ValueError, OverflowError):  # at either end of the calendar
        return time.isoformat()


def elapsed(since: datetime, now: datetime) -> str:
    """How long ``since`` is ago, such as "12 s" or "2 h 5 min". Clocks differ: never negative."""
    return duration(int((now - since).total_seconds()))


def duration(seconds: float) -> str:
    """A number of seconds in the two largest units; below ten seconds more exactly, where it is no whole number.

    ``dashboard.js`` writes whole numbers in the same way.
    """
    if 0 < seconds < 1:
        return f"{number(round(seconds * 1000))} {pgettext('unit', 'ms')}"
    if 0 < seconds < 10 and seconds != int(seconds):
        return f"{number_format(round(seconds, 1), 1)} {pgettext('unit', 's')}"
    rest = max(0, int(seconds))
    parts: list[str] = []
    for size, unit in zip((86_400, 3_600, 60, 1), units(), strict=True):
        count, rest = divmod(rest, size)
        if count or (size == 1 and not parts):
            parts.append(f"{number(count)} {unit}")
    return " ".join(parts[:2])


def units() -> tuple[str, str, str, str]:
    """Day, hour, minute and second, as they are abbreviated."""
    return pgettext("unit", "d"), pgettext("unit", "h"), pgettext("unit", "min"), pgettext("unit", "s")


@dataclass(frozen=True, slots=True)
class Time:
    """A moment, and how long it is ago, or still to come. In a template it is an element ``<time>``, whose text the
    page's script keeps up to date.
    """

    exact: str
    elapsed: str
    iso: str
    late: bool = False
    """It is ago, where it should be to come."""

    @classmethod
    def of(cls, time: datetime, now: datetime) -> Time:
        """How long it is ago."""
        return cls(moment(time), elapsed(time, now), time.isoformat())

    @classmethod
    def until(cls, time: datetime, now: datetime) -> Time:
        """How long it is still to come, or by how much it is late."""
        return cls(moment(time), duration(int(abs((time - now).total_seconds()))), time.isoformat(), time < now)

    @classmethod
    def of_unix(cls, time: float | None, now: datetime) -> Time | None:
        """The same of a unix time; None when there is none, or none that there could be."""
        found = from_unix(time)
        return None if found is None else cls.of(found, now)

    def __str__(self) -> str:  # Django's templates make a text of a value first, and ask then whether it is safe
        return format_html('<time datetime="{}" title="{}" data-elapsed>{}</time>', self.iso, self.exact, self.elapsed)


def from_unix(time: float | None) -> datetime | None:
    """A unix time as an aware datetime; None when there is none, or none that there could be."""
    try:
        return None if time is None else datetime.fromtimestamp(time, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def reason(error: Exception) -> str:
    """What ``error`` says, without the password of an address in it."""
    return discreet(str(error) or type(error).__name__)


def discreet(text: str) -> str:
    """``text`` on one line, without the passwords of addresses in it."""
    return line(re.sub(r"://\S*@", "://…@", text), MESSAGE)
