"""dramatiq: ``actor.send``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import tasks


def sender(job: str) -> Callable[..., Any]:
    return getattr(tasks, job).send
