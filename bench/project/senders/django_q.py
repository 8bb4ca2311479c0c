"""django-q2: ``async_task`` with the name of a function."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django_q.tasks import async_task


def sender(job: str) -> Callable[..., Any]:
    return partial(async_task, f"project.work.{job}")
