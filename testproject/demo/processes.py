"""The processes of a running site: started together, watched, and ended together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from django.conf import settings

from django_resque.conf import config
from django_resque.store import store
from django_resque.store.connection import embedded_folder
from django_resque.store.embedded import stop

STARTS_WITHIN = 30.0
"""Seconds until a child must answer on its port."""
ENDS_WITHIN = 6.0
"""Seconds that the children get to end before they are killed."""
GRACE = 4
"""Seconds that the worker gives to its running jobs; less than `ENDS_WITHIN`."""

_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ProcessEnded(Exception):
    """A process ended although nobody had asked it to."""


class Stopped(Exception):
    """We were asked to end, by Ctrl-C, SIGTERM, or the end of the terminal."""


@dataclass
class _Child:
    name: str
    process: subprocess.Popen[bytes]
    log: Path | None


class Processes:
    """Child processes of this one, each ``manage.py`` with a command. Leaving the block ends them.

    With ``logs`` each child writes to a file of its name in that folder, otherwise to our own output.
    """

    def __init__(self, logs: Path | None = None) -> None:
        self._logs = logs
        self._children: list[_Child] = []
        self._asked_to_stop: list[signal.Signals] = []

    # -- starting --------------------------------------------------------------------------------------------------

    def start(self, name: str, *command_line: object, port: int | None = None) -> None:
        """Start ``manage.py`` with ``command_line``; with a ``port``, return when something listens there.

        Raises `ProcessEnded` when the child ends instead, or when somebody else has the port already.
        """
        self.check()
        if port is not None and _answers(port):
            raise ProcessEnded(f"{name} cannot start: something else listens on port {port} of 127.0.0.1")
        log = self._logs / f"{name.replace(' ', '-')}.log" if self._logs else None
        with _opened(log) as output:
            process = subprocess.Popen(
                [sys.executable, "-u", str(settings.BASE_DIR / "manage.py"), *map(str, command_line)],
                env={**os.environ, "DJANGO_RUNSERVER_HIDE_WARNING": "true"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C in the terminal is for us alone, so that we say who ends when
            )
        self._children.append(_Child(name, process, log))
        if port is not None:
            self._wait_for(name, port)

    def _wait_for(self, name: str, port: int) -> None:
        deadline = time.monotonic() + STARTS_WITHIN
        while not _answers(port):
            self.check()
            if time.monotonic() > deadline:
                raise ProcessEnded(f"{name} does not answer on port {port} after {STARTS_WITHIN:.0f} seconds")
            time.sleep(0.05)

    # -- watching --------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise `Stopped` when we were asked to end, `ProcessEnded` when a child has ended."""
        if self._asked_to_stop:
            raise Stopped(self._asked_to_stop[0].name)
        for child in self._children:
            status = child.process.poll()
            if status is not None:
                raise ProcessEnded(f"{child.name} ended unexpectedly, {_describe(status)}{_tail(child.log)}")

    def watch(self) -> None:
        """Return never; raise as `check` does."""
        while True:
            self.check()
            time.sleep(0.1)

    # -- ending ----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End all children, the last one first, with SIGTERM and at last with SIGKILL."""
        children, self._children = self._children[::-1], []
        for child in children:
            child.process.terminate()  # does nothing to one that has ended
        deadline = time.monotonic() + ENDS_WITHIN
        for child in children:
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()

    def __enter__(self) -> Self:
        self._handlers = {number: signal.signal(number, self._note) for number in _ENDINGS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: object) -> None:
        self._asked_to_stop.append(signal.Signals(number))


@contextmanager
def embedded_server(processes: Processes) -> Iterator[None]:
    """End the embedded server, if one is used, when the processes have ended. The first to need it has started it."""
    try:
        yield
    finally:
        processes.stop()
        folder = embedded_folder(config())
        if folder is not None:
            store().close()
            stop(folder)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for found in sockets:
            found.bind(("127.0.0.1", 0))
        return [found.getsockname()[1] for found in sockets]
    finally:
        for found in sockets:
            found.close()


def start_site(processes: Processes, port: int) -> None:
    """Start everything that the site needs: the outside world, the worker and the web server."""
    processes.start("mail server", "slow_mail", port=settings.MAIL_PORT)
    processes.start("services", "slow_services", port=settings.SERVICES_PORT)
    processes.start("worker", "resque_worker", "-q", "mail,default,low", "-n", 2, "--grace", GRACE)
    processes.start("web server", "runserver", "--noreload", f"127.0.0.1:{port}", port=port)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


@contextmanager
def _opened(log: Path | None) -> Iterator[IO[bytes] | None]:
    if log is None:
        yield None
    else:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            yield output


def _describe(status: int) -> str:
    return f"with status {status}" if status >= 0 else f"by {signal.Signals(-status).name}"


def _tail(log: Path | None, lines: int = 15) -> str:
    if log is None:
        return ""
    last: Sequence[str] = log.read_text(errors="replace").splitlines()[-lines:]
    return ". The end of its output:\n" + "\n".join(f"    {line}" for line in last)
