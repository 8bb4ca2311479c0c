"""Real workers, `manage.py resque_worker` as a process of its own, and how tests wait for what they do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

ROOT = Path(__file__).parents[1]
PATIENCE = 5
"""How many times longer than promised something may take here: the machine has other things to do."""


class WorkerProcess:
    """A running ``resque_worker``. What it writes is in `log`, or goes to the descriptor ``stdout``."""

    def __init__(
        self,
        *args: str,
        env: dict[str, str] | None = None,
        settings: str = "tests.settings",
        stdout: int | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed in close()
        self.process = subprocess.Popen(
            command or [sys.executable, "-m", "django", "resque_worker", *args],
            env={**os.environ, "DJANGO_SETTINGS_MODULE": settings, "PYTHONPATH": str(ROOT), **(env or {})},
            cwd=ROOT,
            stdout=self._log if stdout is None else stdout,
            stderr=self._log if stdout is None else stdout,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def children(self) -> list[int]:
        """The pids of its performers."""
        path = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 30) -> int:
        """Send a signal, wait for the end, return the exit status."""
        self.process.send_signal(number)
        return self.wait(timeout)

    def wait(self, timeout: float = 60) -> int:
        """Wait for the end, return the exit status."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"The worker has not ended after {timeout} s. It wrote:\n{self.log}") from None

    @property
    def log(self) -> str:
        """What it has written so far."""
        return os.pread(self._log.fileno(), 10_000_000, 0).decode()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._log.close()


def told(facts: redis.Redis, key: str, timeout: float = 30) -> str:
    """The next value that a job pushes to ``key``."""
    found = facts.blpop([key], timeout=timeout)
    assert found is not None, f"no job said {key!r} within {timeout} s"
    return str(found[1])


def until(fact: Callable[[], object], timeout: float = 30) -> object:
    """Ask again and again until ``fact()`` is true, for what nobody announces."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        found = fact()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"not true within {timeout} s: {fact}")


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What is promised within ``seconds`` happens in this block."""
    begun = time.monotonic()
    yield
    took = time.monotonic() - begun
    assert took <= PATIENCE * seconds, f"took {took:.3f} s, {seconds} s are promised"


def is_gone(pid: int) -> bool:
    """Whether a process does nothing any more; a dead one may wait for somebody to take note of it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return True
    return stat.rpartition(b")")[2].split()[0] in (b"Z", b"X")


def resque(**settings: Any) -> dict[str, str]:
    """The environment in which a worker finds these keys in ``RESQUE``."""
    return {"DJANGO_RESQUE_TEST_RESQUE": json.dumps(settings)}
