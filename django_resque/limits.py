"""How long a job may take and what its crash means: out of its payload, its command and the settings."""

from __future__ import annotations

from dataclasses import dataclass

from .command import CommandInfo
from .conf import ON_CRASH, Config, is_timeout
from .job import Job


@dataclass(frozen=True, slots=True)
class Limits:
    """``timeout`` is in seconds, None without a limit; ``on_crash`` is one of `ON_CRASH`."""

    timeout: float | None
    on_crash: str


def limits_of(job: Job, info: CommandInfo | None, config: Config) -> Limits:
    """What the payload says, else the command (``info``; None: it is unknown), else the settings.

    What makes no sense in a payload is passed over: it may come from anybody.
    """
    timeout = job.extra.get("timeout")
    if not is_timeout(timeout):
        timeout = info.timeout if info is not None else None
        if timeout is None:
            timeout = config.timeout
    on_crash = job.extra.get("on_crash")
    if on_crash not in ON_CRASH:
        on_crash = (info.on_crash if info is not None else None) or config.on_crash
    return Limits(timeout or None, on_crash)
