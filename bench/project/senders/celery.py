"""Celery: ``task.delay``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import tasks
from ..celery_app import app

app.set_default()


def sender(job: str) -> Callable[..., Any]:
    return getattr(tasks, job).delay
