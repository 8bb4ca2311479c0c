"""django_resque: ``enqueue`` with the name of a command, or what ``using`` makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from django_resque import enqueue, enqueue_many, using


def sender(job: str, **choices: Any) -> Callable[..., Any]:
    return partial(using(**choices).enqueue if choices else enqueue, job)


def send_many(job: str, calls: Iterable[tuple[tuple[Any, ...], dict[str, Any]]], **choices: Any) -> None:
    """All calls in one `enqueue_many`."""
    (using(**choices).enqueue_many if choices else enqueue_many)(job, calls)
