"""Jobs that are tried again, show how far they are, and return something."""

from __future__ import annotations

import itertools
import json
import time
from typing import Any

from django_resque import Retry, current_job
from django_resque.management import JobCommand

from .act import facts


class Command(JobCommand):
    """Subcommands for the tests of what becomes of a job. ``key`` is where they say which attempt this is, and when."""

    def fail(self, key: str, times: int) -> str:
        """Fail so many times."""
        attempt = self._tell(key)
        if attempt <= times:
            raise LookupError(f"attempt {attempt} came to nothing")
        return f"done at attempt {attempt}"

    def ask(self, key: str, delay: float, times: int) -> None:
        """Ask to be tried again so many times."""
        if self._tell(key) <= times:
            raise Retry(delay)

    def oversleep(self, key: str) -> None:
        """Take too long the first time."""
        if self._tell(key) == 1:
            time.sleep(60)

    def hang(self, key: str) -> None:
        """Loop where Python calls no handler of a signal, the first time."""
        if self._tell(key) == 1:
            sum(itertools.repeat(0))

    def recover(self, key: str) -> None:
        """Fail the first time; wait for ``<key>:go`` at any other."""
        if self._tell(key) == 1:
            raise LookupError("the first time")
        with facts() as client:
            client.blpop([f"{key}:go"], timeout=60)

    def fail_when_told(self, key: str) -> None:
        """Wait for ``<key>:go``, and fail."""
        self._tell(key)
        with facts() as client:
            client.blpop([f"{key}:go"], timeout=60)
        raise LookupError("it was told to")

    def give(self, data: str) -> Any:
        """Return what this JSON says."""
        return json.loads(data)

    def set(self, data: str, returned: str = "null") -> Any:
        """Make the first the result, and return the second."""
        _job().set_result(json.loads(data))
        return json.loads(returned)

    def boast(self, size: int) -> None:
        """Set a result of so many letters, after one that is small enough."""
        _job().set_result("small")
        _job().set_result("x" * size)

    def advance(self, key: str) -> None:
        """Tell a thousand times how far this is, and write; go on and end when told."""
        with facts() as client:
            for done in range(1_000):
                _job().progress(done, 1_000, "on the way \udcff\n")
            self.stdout.write("half of it")
            client.rpush(f"{key}:half", "here")
            client.blpop([f"{key}:go"], timeout=60)
            _job().progress(1_000, 1_000)
            client.rpush(f"{key}:all", "here")
            client.blpop([f"{key}:go"], timeout=60)

    def stay(self, key: str, number: int, seconds: float) -> None:
        """Push to ``key`` which one this was, from when until when."""
        begun = time.monotonic()
        time.sleep(seconds)
        facts().rpush(key, json.dumps([number, begun, time.monotonic()]))

    def _tell(self, key: str) -> int:
        with facts() as client:
            seconds, microseconds = client.time()
            client.rpush(key, json.dumps([_job().attempt, seconds + microseconds / 1e6]))
        return _job().attempt


def _job() -> Any:
    job = current_job()
    assert job is not None
    return job
