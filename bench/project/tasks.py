"""The jobs, as huey wants them."""

import time

from huey.contrib.djhuey import HUEY, task


@task()
def noop(number: int) -> None:
    """Do nothing."""


@task()
def mark() -> None:
    """Note the time."""
    HUEY.storage.conn.rpush("bench:marks", repr(time.monotonic()))
