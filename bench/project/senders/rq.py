"""RQ: ``queue.enqueue`` of a queue that is looked up once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import django_rq

from .. import work


def sender(job: str) -> Callable[..., Any]:
    return partial(django_rq.get_queue("default").enqueue, getattr(work, job))
