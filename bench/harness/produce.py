"""A producer, as a process of its own: carries out the plan in its argument and prints the seconds of each step.

A step is ``{"job": …}`` with ``"count"`` (that many, with the numbers 0, 1, …), ``"values"`` (one for each), or
``"gap"`` as well as ``"count"`` (with the time of sending, and a random pause between these two numbers of
seconds before each). A step with ``"queue"`` goes there; only django_resque is asked for that.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import islice
from typing import Any

import django
from django.conf import settings

CALLS = 100_000  # in one enqueue_many, so that a million of them do not take a gigabyte


def main(plan: dict[str, Any]) -> None:
    senders = import_module(f"project.senders.{settings.SYSTEM}")
    seconds = []
    for step in plan["steps"]:
        choices = dict(plan["choices"])
        if "queue" in step:
            choices["queue"] = step["queue"]
        begun = time.perf_counter()
        if plan["many"]:
            for numbers in chunks(arguments(step)):
                senders.send_many(step["job"], [((number,), {}) for number in numbers], **choices)
        else:
            send = senders.sender(step["job"], **choices)
            for number in arguments(step):
                send(number)
        seconds.append(time.perf_counter() - begun)
    print(json.dumps(seconds))


def arguments(step: dict[str, Any]) -> Iterable[float]:
    """What the calls of a step are called with."""
    if "values" in step:
        return step["values"]
    if "gap" in step:
        return moments(step["count"], *step["gap"])
    return range(step["count"])


def moments(count: int, least: float, most: float) -> Iterator[float]:
    """The present moment, again and again, with a pause before each."""
    pauses = random.Random(1)
    for _ in range(count):
        time.sleep(pauses.uniform(least, most))
        yield time.monotonic()


def chunks(numbers: Iterable[float]) -> Iterator[list[float]]:
    numbers = iter(numbers)
    while chunk := list(islice(numbers, CALLS)):
        yield chunk


if __name__ == "__main__":
    django.setup()
    main(json.loads(sys.argv[1]))
