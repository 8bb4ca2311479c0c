"""Receivers of all signals, which tell what was sent to them, and where; and fail when a job wants them to.

Only with ``tests.settings_with_receivers``.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from django.db import connection

from django_resque import Job, current_job, signals
from django_resque.errors import DontPerform

from .management.commands.act import facts

EVENTS = "events"


def connect() -> None:
    """Connect them."""
    signals.before_perform.connect(_before_perform)
    signals.after_perform.connect(_after_perform)
    signals.on_failure.connect(_on_failure)
    signals.after_retry.connect(_after_retry)
    signals.before_first_fork.connect(_before_first_fork)
    signals.before_fork.connect(_before_fork)
    signals.after_fork.connect(_after_fork)
    signals.worker_started.connect(_worker_started)
    signals.worker_stopped.connect(_worker_stopped)


def _tell(event: str, **about: Any) -> None:
    with facts() as client:
        client.rpush(EVENTS, json.dumps([event, os.getpid(), about]))


def _before_perform(job: Job, **_: Any) -> None:
    current = current_job()
    _tell("before_perform", job=job.id, current=current and current.id)
    if "unwanted" in job.args:
        raise DontPerform("nobody wants it")
    if "spoilt before" in job.args:
        raise ArithmeticError("of the receiver before")


def _after_perform(job: Job, result: Any, **_: Any) -> None:
    _tell("after_perform", job=job.id, result=result)
    if "spoilt behind" in job.args:
        raise ArithmeticError("of the receiver behind")


def _on_failure(job: Job, error: BaseException, attempt: int, **_: Any) -> None:
    _tell("on_failure", job=job.id, error=type(error).__name__, attempt=attempt)
    print("a receiver was here")  # noqa: T201
    if "leave" in job.args:
        sys.exit("a receiver leaves")
    raise ArithmeticError("of the receiver of a failure")


def _after_retry(job: Job, error: BaseException, attempt: int, delay: float, **_: Any) -> None:
    _tell("after_retry", job=job.id, error=type(error).__name__, attempt=attempt, delay=delay)
    raise ArithmeticError("of the receiver of a retry")


def _before_first_fork(worker: str, **_: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    _tell("before_first_fork", worker=worker, connected=connection.connection is not None)
    raise ArithmeticError("of the receiver before all forks")


def _before_fork(worker: str, **_: Any) -> None:
    connection.ensure_connection()
    _tell("before_fork", worker=worker, connected=connection.connection is not None)
    sys.exit("a receiver leaves the worker")


def _after_fork(worker: str, **_: Any) -> None:
    _tell("after_fork", worker=worker, connected=connection.connection is not None)
    sys.exit("a receiver leaves the performer")


def _worker_started(worker: str, queues: str, **_: Any) -> None:
    _tell("worker_started", worker=worker, queues=queues)
    raise ArithmeticError("of the receiver at the start")


def _worker_stopped(worker: str, **_: Any) -> None:
    _tell("worker_stopped", worker=worker)
    raise ArithmeticError("of the receiver at the end")
