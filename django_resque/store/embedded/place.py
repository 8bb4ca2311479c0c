"""The folder of a server."""

from __future__ import annotations

import hashlib
import os
import pwd
import signal
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ...errors import ConfigurationError
from .locks import LockFile, is_held
from .log import tail
from .talk import State, state_of

LONGEST_SOCKET = 100
"""Bytes that the path of a socket may have; systems end at 104 or 108."""
PATIENCE = 10.0
"""Seconds that a server gets to start, or to end."""


@dataclass(frozen=True)
class Place:
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
        return is_held(self.keeper) and state_of(self.socket) is State.READY

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
        with LockFile(self.lock) as lock:
            if not lock.take(within=3 * PATIENCE):
                raise ConfigurationError(
                    f"Another process has been starting or ending the server in {self.folder} for {3 * PATIENCE:.0f}"
                    f" seconds: look for it with `fuser {self.lock}`."
                )
            try:
                yield
            finally:
                lock.release()

    def end_server(self, running: LockFile, number: signal.Signals) -> bool:
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
                f"The embedded server in {self.folder} (process {pid}) does not end:\n{tail(self.log)}"
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
