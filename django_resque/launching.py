"""Starting workers in the background: fresh processes in sessions of their own, which outlive who starts them."""

from __future__ import annotations

import json
import os
import secrets
import site
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from django.core.exceptions import ImproperlyConfigured
from django.core.signing import BadSignature, Signer

import __main__

from .errors import NotStarted, StoreError
from .store import WorkerProcessInfo, store
from .worker.descendants import ENVIRONMENT

LAUNCH = "DJANGO_RESQUE_LAUNCH"
"""The variable that holds the token by which who has started a process knows it again in Redis."""
TIMEOUT = 30.0
"""Seconds in which a process registers."""
TAIL_LINES = 20
_TAIL_BYTES = 16_384
_POLL = 0.1
_COMMANDS = ("resque_worker", "resque_scheduler")


@dataclass(slots=True)
class Started:
    """A process that was started. ``process`` is how it is registered, None when it is not; ``status`` how it has ended
    (the exit status, or the negated number of a signal), None while it runs. ``log_end`` are the last lines that it has
    logged since, when it is not registered and there is a log.
    """

    pid: int
    launch: str
    process: WorkerProcessInfo | None = None
    status: int | None = None
    log_end: Sequence[str] = field(default_factory=list)

    @property
    def registered(self) -> bool:
        return self.process is not None


def start(
    arguments: Sequence[str],
    *,
    count: int = 1,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = TIMEOUT,
) -> list[Started]:
    """Start ``manage.py`` with ``arguments`` (``["resque_worker", "-q", "mail"]``) ``count`` times, and wait up to
    ``timeout`` seconds until each process has registered or ended.

    What they write goes to the end of ``log``, or nowhere. ``env`` are further variables of their environment, ``cwd``
    is where they start (default: here). Those that have not registered in time go on. Raises `NotStarted` when nothing
    can be started. Who calls this should end before long, as a command does: it does not wait for those it has started.
    """
    command = [*manage_py(), *arguments]
    settings = os.environ.get("DJANGO_SETTINGS_MODULE")
    if settings and not any(argument.startswith("--settings") for argument in arguments):
        command.append(f"--settings={settings}")  # a manage.py may set the variable itself
    begun: list[tuple[Started, subprocess.Popen[bytes]]] = []
    with _open_log(log) as stream:
        at = os.fstat(stream.fileno()).st_size
        try:
            for _ in range(count):
                launch = secrets.token_hex(8)
                process = _spawn(command, stream, {**_environment(), **(env or {}), LAUNCH: launch}, cwd)
                begun.append((Started(process.pid, launch), process))
            _wait(begun, time.monotonic() + timeout)
        finally:
            for _, process in begun:
                if process.poll() is None:
                    process.returncode = 0  # from now on it is on its own, and nobody is to be warned of that
    for started, _ in begun:
        if not started.registered and log is not None:
            started.log_end = last_lines(log, at)
    return [started for started, _ in begun]


def _spawn(
    command: Sequence[str], stream: IO[bytes], env: Mapping[str, str], cwd: Path | None
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=env, cwd=cwd, start_new_session=True
        )
    except OSError as error:
        raise NotStarted(f"{' '.join(command)} cannot be started: {error}") from error


def _wait(begun: Sequence[tuple[Started, subprocess.Popen[bytes]]], deadline: float) -> None:
    while True:
        for started, process in begun:
            started.status = process.poll()
        with suppress(StoreError):  # they cannot register then either, and go on trying
            found = {process.launch: process for process in store().processes.all() if process.alive and process.launch}
            for started, _ in begun:
                started.process = found.get(started.launch, started.process)
        waiting = any(not started.registered and started.status is None for started, _ in begun)
        if not waiting or time.monotonic() >= deadline:
            return
        time.sleep(_POLL)


# -- the log -----------------------------------------------------------------------------------------------------------


def _open_log(log: Path | None) -> IO[bytes]:
    try:
        return open(os.devnull if log is None else log, "ab")
    except OSError as error:
        raise NotStarted(f"The log {log} cannot be written: {error.strerror}") from error


def last_lines(log: Path, since: int = 0) -> list[str]:
    """The last lines that were added to ``log`` since it was ``since`` bytes long; none when it cannot be read."""
    try:
        with open(log, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            first = max(since if since <= size else 0, size - _TAIL_BYTES)  # it may be another file by now
            file.seek(first)
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return lines[-TAIL_LINES:]


# -- how to run manage.py ----------------------------------------------------------------------------------------------


def manage_py() -> list[str]:
    """What to run so that Django's commands run as they do here: the ``manage.py`` that this process runs, whatever it
    is called, for it may prepare the settings; else ``python -m django``. Raises `NotStarted` without an interpreter.
    """
    if not sys.executable:
        raise NotStarted("It is not known which Python runs here, so that no other can be started")
    spec = getattr(__main__, "__spec__", None)
    if spec is not None and spec.name != "__main__":
        name = spec.parent if spec.name.endswith(".__main__") and spec.parent else spec.name
        if _runs_commands(spec.origin):
            return [sys.executable, "-m", name]
    else:
        path = str(getattr(__main__, "__file__", None) or "")
        if _runs_commands(path):
            return [sys.executable, os.path.abspath(path)]
    return [sys.executable, "-m", "django"]


def _runs_commands(path: str | None) -> bool:
    """Whether the program in this file hands its command line to Django."""
    if not path:
        return False
    try:
        source = Path(path).read_bytes()
    except OSError:
        return False
    return b"execute_from_command_line" in source and b"\0" not in source


def _environment() -> dict[str, str]:
    """Ours, with the settings and the import path of this process; its options may have chosen them."""
    environment = dict(os.environ)
    environment.pop(ENVIRONMENT, None)  # what a job starts with this is not to end with its worker
    environment["PYTHONPATH"] = os.pathsep.join(_import_path())
    return environment


def _import_path() -> list[str]:
    """What of `sys.path` the next interpreter would not find itself."""
    standard = sysconfig.get_path("stdlib")
    found_anyway = {
        *sysconfig.get_paths().values(),
        *site.getsitepackages(),
        site.getusersitepackages(),
        os.path.join(standard, "lib-dynload"),
        os.path.join(os.path.dirname(standard), f"python{sys.version_info.major}{sys.version_info.minor}.zip"),
    }
    left_out = set(map(os.path.realpath, found_anyway))
    entries = dict.fromkeys(map(os.path.abspath, sys.path))  # an empty one is the current directory
    return [entry for entry in entries if os.path.realpath(entry) not in left_out]


# -- starting another like it ------------------------------------------------------------------------------------------


def seal(about: Mapping[str, Any]) -> str:
    """What proves that a process of this project tells ``about`` itself how it was started: a signature by
    ``SECRET_KEY``, empty without one. Who can write to Redis can have jobs performed that the project allows; what
    stands there must not become any other command line."""
    try:
        return Signer(salt=__name__).signature(_signed(about))
    except ImproperlyConfigured:
        return ""


def is_genuine(process: WorkerProcessInfo) -> bool:
    """Whether its `seal` is one of this project's."""
    about = {name: getattr(process, name) for name in _SIGNED}
    try:
        Signer(salt=__name__).unsign(f"{_signed(about)}:{process.seal}")
    except (BadSignature, ImproperlyConfigured):
        return False
    return True


_SIGNED = ("host", "launch", "argv", "log", "cwd")


def _signed(about: Mapping[str, Any]) -> str:
    return json.dumps([about[name] for name in _SIGNED])


def options_of(process: WorkerProcessInfo) -> list[str]:
    """What stands on its command line from the command's name on, to start another like it (empty when that is not
    known)."""
    for at, argument in enumerate(process.argv):
        if argument in _COMMANDS:
            return list(process.argv[at:])
    return []
