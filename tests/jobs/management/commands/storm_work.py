"""The work of a storm's jobs (``tests/storm/kinds.py``), each noted down when it begins and when it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import zlib
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from django_resque import current_job
from django_resque.management import JobCommand


class Command(JobCommand):
    """Does what a kind of job does, in the folder of the storm."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind")
        parser.add_argument("job", help="its name in the storm")
        parser.add_argument("--seconds", type=float, default=0.0)
        parser.add_argument("--deaths", type=int, default=0)
        parser.add_argument("--ballast", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        self.folder = Path(os.environ["DJANGO_RESQUE_STORM"])
        self.kind, self.job, self.seconds = options["kind"], options["job"], options["seconds"]
        self._note("start")
        try:
            if options["deaths"]:
                self._die(options["deaths"])
            getattr(self, f"_{self.kind}", self._noop)()
        except BaseException:
            self._note("raised")
            raise
        self._note("end")

    def _note(self, event: str) -> None:
        """One line, with one write, so that it is whole or not there."""
        job = current_job()
        redelivered = getattr(job, "redelivered", None)
        told = "-" if redelivered is None else str(int(redelivered))
        line = f"{event} {self.job} {self.kind} {os.getpid()} {os.getppid()} {time.monotonic():.6f} {told}\n"
        file = os.open(self.folder / "work.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)

    # -- what the kinds do -------------------------------------------------------------------------------------------

    def _noop(self) -> None:
        pass

    def _doze(self) -> None:
        time.sleep(self.seconds)

    _linger = _fragile = _narrow = _doze

    def _flaky(self) -> None:
        job = current_job()
        if job is not None and job.attempt == 1:
            raise ValueError(f"{self.job} fails once")

    def _write(self) -> None:
        for number in range(150):
            self.stdout.write(f"{self.job}: line {number} of 150, which is long enough to be of some weight")
        subprocess.run(["echo", f"{self.job}: from a child"], check=True)

    def _refuse(self) -> None:
        raise ValueError(f"{self.job} is refused")

    def _die(self, deaths: int) -> None:
        """Kill the performer, unless this job has done so often enough."""
        with open(self.folder / "deaths" / self.job, "ab") as file:
            if file.tell() >= deaths:
                return
            file.write(b"x")
        self._note("dying")
        way = zlib.crc32(self.job.encode()) % 4
        if way == 0:
            os._exit(0)
        os.kill(os.getpid(), (signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT)[way - 1])
        time.sleep(60)

    def _overstay(self) -> None:
        time.sleep(60)

    def _stubborn(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                time.sleep(0.1)
            except Exception:  # noqa: S112  that is what is wrong with it
                continue

    # -- children that outlive their job -----------------------------------------------------------------------------

    def _leave_child(self) -> None:
        self._child()

    def _leave_session(self) -> None:
        self._child(start_new_session=True)

    def _leave_daemon(self) -> None:
        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()
                self._child()
            finally:
                os._exit(0)
        os.waitpid(pid, 0)

    def _child(self, **how: Any) -> None:
        """A process that can be found by the first of its arguments."""
        subprocess.Popen(
            [f"{self.folder.name}-child-of-{self.job}", "3600"],
            executable=shutil.which("sleep"),
            stdin=subprocess.DEVNULL,
            **how,
        )
