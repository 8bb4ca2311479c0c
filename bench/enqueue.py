"""Enqueue a number of jobs one call at a time, between two marks, and print the calls a second.

Usage: enqueue.py django_resque|huey NUMBER
"""

from __future__ import annotations

import sys
import time

import django

django.setup()

from project import tasks  # noqa: E402

from django_resque import enqueue  # noqa: E402  the apps come first


def main(system: str, number: int) -> None:
    if system == "huey":
        mark, push = tasks.mark, tasks.noop
    else:

        def mark() -> None:
            enqueue("mark")

        def push(value: int) -> None:
            enqueue("noop", value)

    mark()
    begun = time.perf_counter()
    for value in range(number):
        push(value)
    print(number / (time.perf_counter() - begun))
    mark()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
