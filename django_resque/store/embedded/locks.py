"""Files that are locked until their holders end, and what tells one file from another of its name."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Self

STEP = 0.01
"""Seconds between two looks at something that is waited for."""


class LockFile:
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
        """What `identity_of` says of its path, as long as nobody has deleted it."""
        found = os.fstat(self.descriptor)
        return found.st_dev, found.st_ino

    def read(self) -> int:
        """The process id in the file, 0 when there is none."""
        return int(os.pread(self.descriptor, 20, 0) or b"0")

    def write(self, pid: int) -> None:
        """Replace the process id in the file."""
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, b"%d" % pid, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self.descriptor)


def is_held(path: Path) -> bool:
    """Whether somebody has this file locked. Asking disturbs nobody but who tries to lock it at this moment."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def identity_of(path: Path) -> tuple[int, int] | None:
    """What tells the file that is here now from others that were or will be. None when there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
