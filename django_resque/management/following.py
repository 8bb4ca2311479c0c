"""Following files that others append to, rotate and delete."""

from __future__ import annotations

import os
import stat
from typing import IO

_BLOCK = 65_536
_LONGEST = 1 << 20
"""Bytes of a line that has no end yet."""


class Follower:
    """The lines of one file. It need not exist; when it is replaced, as logrotate does it, the new one is followed when
    the old one has been read to its end; when it is emptied, it is read from the beginning. What is no regular file has
    no lines: nobody may write to a pipe, and a device may never end."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._file: IO[bytes] | None = None
        self._rest = b""

    def last(self, count: int) -> list[str]:
        """The last ``count`` lines; `new` goes on behind them."""
        self._open()
        if self._file is None:
            return []
        end = self._file.seek(0, os.SEEK_END)
        blocks: list[bytes] = []
        ends = 0
        while end > 0 and ends <= count:
            start = max(0, end - _BLOCK)
            self._file.seek(start)
            blocks.append(self._file.read(end - start))
            ends += blocks[-1].count(b"\n")
            end = start
        self._file.seek(0, os.SEEK_END)
        whole, self._rest = self._split(b"".join(reversed(blocks)))
        return whole[-count:] if count else []

    def new(self) -> list[str]:
        """The lines that have been added since."""
        lines = self._read()
        if self._file is None or not self._is_current(self._file):
            lines += self._read()  # what was written between the last read and the rename
            self.close()
            self._open()
            lines += self._read()
        return lines

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> None:
        try:
            if stat.S_ISREG(os.stat(self.path).st_mode):
                self._file = open(self.path, "rb", buffering=0)  # noqa: SIM115  closed in close()
        except OSError:
            self._file = None

    def _is_current(self, file: IO[bytes]) -> bool:
        """Whether the path still leads to this file."""
        try:
            there = os.stat(self.path)
        except OSError:
            return True  # nothing has taken its place yet
        return os.path.samestat(there, os.fstat(file.fileno()))

    def _read(self) -> list[str]:
        if self._file is None:
            return []
        if os.fstat(self._file.fileno()).st_size < self._file.tell():  # it was emptied
            self._file.seek(0)
            self._rest = b""
        lines: list[str] = []
        while block := self._file.read(_BLOCK):
            whole, self._rest = self._split(self._rest + block)
            lines += whole
            if len(self._rest) > _LONGEST:
                lines.append(self._rest.decode("utf-8", "replace"))
                self._rest = b""
        return lines

    @staticmethod
    def _split(data: bytes) -> tuple[list[str], bytes]:
        """The lines that have ended, and what comes behind."""
        *whole, rest = data.split(b"\n")
        return [line.decode("utf-8", "replace").rstrip("\r") for line in whole], rest
