"""What holds for a job besides its arguments: out of its payload, its command and the settings."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .choices import (
    MAX_TIMEOUT,
    ON_CRASH,
    check_backoff,
    check_concurrency,
    check_max_attempts,
    is_timeout,
    unique_of,
)
from .command import CommandInfo
from .conf import Config
from .errors import InvalidJob, Retry
from .job import MAX_INTEGER, Job

FIRST_DELAY, LONGEST_DELAY = 10.0, 3600.0
"""Seconds before the second attempt, and at most before any, when nobody chooses. Each wait is twice the one before."""
JITTER = 0.25
"""The part of such a wait that is random, so that jobs that failed together do not come back together."""

Backoff = float | Sequence[float] | Callable[[BaseException, int], float | None]


@dataclass(frozen=True, slots=True)
class Limits:
    """``timeout`` is in seconds, None without a limit; ``on_crash`` is one of `ON_CRASH`.

    ``unique`` is the key under which the job waits and for how many seconds it is held, ``concurrency`` a key and how
    many run at once under it, ``expires`` the unix time from which on it is not begun.
    """

    timeout: float | None
    on_crash: str
    unique: tuple[str, float] | None = None
    concurrency: tuple[str, int] | None = None
    expires: float | None = None

    @property
    def guarded(self) -> bool:
        """Whether Redis has to be asked before the job begins."""
        return self.on_crash == "fail" or (self.unique, self.concurrency, self.expires) != (None, None, None)


def limits_of(job: Job, info: CommandInfo | None, config: Config) -> Limits:
    """What the payload says, else the command (``info``; None: it is unknown), else the settings.

    What makes no sense in a payload is passed over: it may come from anybody.
    """
    extra = job.extra
    timeout = extra.get("timeout")
    if not is_timeout(timeout):
        timeout = info.timeout if info is not None else None
        if timeout is None:
            timeout = config.timeout
    on_crash = extra.get("on_crash")
    if on_crash not in ON_CRASH:
        on_crash = (info.on_crash if info is not None else None) or config.on_crash
    if not extra:
        return Limits(timeout or None, on_crash)
    return Limits(
        timeout or None,
        on_crash,
        unique_of(job),
        _or_none(check_concurrency, found) if isinstance(found := extra.get("concurrency"), list) else None,
        _expiry(job),
    )


def _expiry(job: Job) -> float | None:
    value = job.extra.get("expires")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if abs(value) < MAX_INTEGER else None


# -- attempts ----------------------------------------------------------------------------------------------------------


def failed_attempts(job: Job) -> int:
    """How many attempts of the job have failed."""
    count = job.extra.get("attempt")
    return count if type(count) is int and 0 <= count < 1_000_000 else 0


def retry_delay(job: Job, error: BaseException, info: CommandInfo | None, config: Config) -> float | None:
    """Seconds after which the job that ended with ``error`` is to be tried again; None when it is a failure.

    The payload's choice wins over the command's (``info``), that over the settings'. A `Retry` is obeyed up to a
    ``max_attempts`` above 1, and as often as it is raised when there is none. One that would have expired by then is a
    failure now. Calls a ``backoff`` that is a function, which may raise anything.
    """
    delay = _delay_after(job, error, info, config)
    expires = _expiry(job)
    return None if delay is not None and expires is not None and time.time() + delay >= expires else delay


def _delay_after(job: Job, error: BaseException, info: CommandInfo | None, config: Config) -> float | None:
    attempt = failed_attempts(job) + 1
    most = _or_none(check_max_attempts, job.extra.get("max_attempts"))
    if most is None:
        most = (info.max_attempts if info is not None else None) or config.max_attempts
    if isinstance(error, Retry):
        if attempt >= most > 1:
            return None
        if error.delay is not None:
            return error.delay
    elif attempt >= most or not _is_worth_it(error, info):
        return None
    backoff = _or_none(check_backoff, job.extra.get("backoff"))
    if backoff is None and info is not None:
        backoff = info.backoff
    return wait_before(attempt + 1, backoff, error)


def wait_before(attempt: int, backoff: Any, error: BaseException) -> float | None:
    """Seconds before this attempt, the second or a later one, a year at most; None for no further attempt."""
    if callable(backoff):
        found = backoff(error, attempt - 1)
        if found is None:
            return None
        seconds = float(found)
        if math.isnan(seconds):
            raise ValueError("the backoff gave what is no number")
        return min(max(0.0, seconds), MAX_TIMEOUT)
    if isinstance(backoff, (list, tuple)):
        return float(backoff[min(attempt - 2, len(backoff) - 1)])
    if backoff is not None:
        return float(backoff)
    longest = min(FIRST_DELAY * 2.0 ** min(attempt - 2, 30), LONGEST_DELAY)
    return longest * random.uniform(1 - JITTER, 1)


def _is_worth_it(error: BaseException, info: CommandInfo | None) -> bool:
    if isinstance(error, InvalidJob):
        return False  # it will be as wrong the next time
    if info is None:
        return isinstance(error, Exception)
    return isinstance(error, info.retry_on) and not isinstance(error, info.give_up_on)


def _or_none(check: Callable[[Any], Any], value: Any) -> Any:
    try:
        return None if value is None else check(value)
    except ValueError:
        return None
