"""Run management commands in the background.

    from django_resque import enqueue

    enqueue("send_welcome", user.pk, template="fancy")

puts a command line into a Redis queue; ``manage.py resque_worker`` performs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import enqueue, enqueue_at, enqueue_in, enqueue_many, enqueue_to, using
    from .errors import Retry
    from .perform import current_job
    from .receivers import enqueue_on
    from .tracking import TrackedJob as Job

__all__ = [
    "Job",
    "Retry",
    "current_job",
    "enqueue",
    "enqueue_at",
    "enqueue_in",
    "enqueue_many",
    "enqueue_on",
    "enqueue_to",
    "using",
]

# Imported when first asked for: Django imports this package to find the app, pytest to find its plugin, and the
# embedded server's process to find its module, and none of them should have to load Django's ORM and redis-py for it.
_HOME = {
    "Job": "tracking",
    "Retry": "errors",
    "current_job": "perform",
    "enqueue": "client",
    "enqueue_at": "client",
    "enqueue_in": "client",
    "enqueue_many": "client",
    "enqueue_on": "receivers",
    "enqueue_to": "client",
    "using": "client",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(
        import_module(f".{_HOME[name]}", __name__), "TrackedJob" if name == "Job" else name
    )
    return value
