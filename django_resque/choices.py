"""What can be chosen for a job besides its arguments: by a call, the settings, its command, or in its payload.

Each `check` function returns the value in the form that is used and kept, and raises `ValueError` with a sentence that
goes on after the name of the choice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeGuard

from .job import UNPRINTABLE, Job

ON_CRASH = ("requeue", "fail")
"""What becomes of a job whose process died."""
MIN_TIMEOUT, MAX_TIMEOUT = 0.001, 31_536_000
"""Seconds: what a timer can be set to, up to a year."""
MOST_ATTEMPTS = 1_000
MOST_DELAYS = 100
_KEY = re.compile(rf"[^\s{UNPRINTABLE}]{{1,200}}")


def is_timeout(value: object) -> TypeGuard[float]:
    """Whether this can be the seconds that a job may take; 0 is without a limit."""
    return type(value) in (int, float) and (value == 0 or MIN_TIMEOUT <= value <= MAX_TIMEOUT)  # type: ignore[operator]


def check_timeout(value: object) -> float:
    if not is_timeout(value):
        raise ValueError(f"must be a number of seconds from {MIN_TIMEOUT} to {MAX_TIMEOUT}, or 0 for no limit")
    return value


def check_on_crash(value: object) -> str:
    if value not in ON_CRASH:
        raise ValueError(f"must be {' or '.join(map(repr, ON_CRASH))}")
    return str(value)


def check_max_attempts(value: object) -> int:
    if type(value) is not int or not 1 <= value <= MOST_ATTEMPTS:
        raise ValueError(f"must be an integer from 1 to {MOST_ATTEMPTS}")
    return value


def check_backoff(value: object) -> float | list[float]:
    """Seconds before each further attempt, or a list of them, one for each; its last holds for all that follow."""
    if _is_delay(value):
        return value
    if isinstance(value, (list, tuple)) and 0 < len(value) <= MOST_DELAYS and all(map(_is_delay, value)):
        return list(value)
    raise ValueError(f"must be a number of seconds, or a list of 1 to {MOST_DELAYS} of them")


def check_backoff_of_command(value: object) -> float | list[float] | Callable[[BaseException, int], float | None]:
    """The same, or a function ``(exception, attempt) -> seconds``, None for no further attempt."""
    if callable(value):
        return value
    try:
        return check_backoff(value)
    except ValueError as error:
        raise ValueError(f"{error}, or a function (exception, attempt) -> seconds or None") from error


def check_seconds(value: object) -> float:
    """Seconds above 0, up to a year; a `timedelta` is one, too."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if type(seconds) not in (int, float) or not 0 < seconds <= MAX_TIMEOUT:  # type: ignore[operator]
        raise ValueError(f"must be a number of seconds above 0, up to {MAX_TIMEOUT}, or a timedelta")
    return seconds  # type: ignore[return-value]


def check_key(value: object) -> str:
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise ValueError("must be a text of 1 to 200 characters without white space or control characters")
    return value


def check_concurrency(value: object, command: str = "") -> tuple[str, int]:
    """A key and how many jobs may run at once under it; a number alone has the name of the ``command`` for its key."""
    key: object = command
    if isinstance(value, (list, tuple)) and len(value) == 2:
        key, value = value
        check_key(key)
    if type(value) is not int or not 1 <= value <= 100_000:
        raise ValueError("must be how many may run at once, an integer above 0, or a pair of a key and that")
    return str(key) or command, value


def check_exceptions(value: object) -> tuple[type[BaseException], ...]:
    found: Sequence[Any] = value if isinstance(value, (list, tuple, set, frozenset)) else (value,)  # type: ignore[assignment]
    if not all(isinstance(item, type) and issubclass(item, BaseException) for item in found):
        raise ValueError("must be an exception class, or several")
    return tuple(found)


def _is_delay(value: object) -> TypeGuard[float]:
    return type(value) in (int, float) and 0 <= value <= MAX_TIMEOUT  # type: ignore[operator]


def unique_of(job: Job) -> tuple[str, float] | None:
    """The key under which the job is to be the only one that waits, and the seconds it is held at most; None when its
    payload, which anybody may have written, has none that makes sense."""
    match job.extra.get("unique"):
        case [key, seconds]:
            try:
                return check_key(key), check_seconds(seconds)
            except ValueError:
                return None
    return None
