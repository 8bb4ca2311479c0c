"""Making text from Redis fit for a page. Whoever may write to Redis may have written anything.

Markup is the templates' business, which escape everything.
"""

from __future__ import annotations

import re
from datetime import datetime

from django.utils.formats import date_format, number_format
from django.utils.timesince import timesince
from django.utils.timezone import is_aware, localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

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
    """How long ``since`` is ago, such as "12 seconds" or "2 hours, 5 minutes". Clocks differ: never negative."""
    seconds = max(0, int((now - since).total_seconds()))
    if seconds < 60:
        return ngettext("%(count)d second", "%(count)d seconds", seconds) % {"count": seconds}
    return timesince(since, now)


def reason(error: Exception) -> str:
    """What ``error`` says, without the password of an address in it."""
    text = str(error) or type(error).__name__
    return line(re.sub(r"://\S*@", "://…@", text), MESSAGE)
