"""What commands write to their standard output and error."""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
from typing import BinaryIO

from ..log import clean

TAIL = 4096
"""Bytes of a job's output that its failure record keeps."""
_BLOCK = 1 << 20


class Output:
    """An anonymous file that a performer's descriptors 1 and 2 lead to while it performs.

    The performer writes; the dispatcher copies to the worker's own stderr, each line with the job's id before it, and
    empties the file between jobs.
    """

    def __init__(self) -> None:
        if sys.platform == "linux":
            self._file = os.memfd_create("django_resque output", os.MFD_CLOEXEC)
        else:
            with tempfile.TemporaryFile() as file:
                self._file = os.dup(file.fileno())
        flags = fcntl.fcntl(self._file, fcntl.F_GETFL)
        fcntl.fcntl(self._file, fcntl.F_SETFL, flags | os.O_APPEND)
        self._copied = 0
        self._tail = b""
        self._line = b""

    def fileno(self) -> int:
        return self._file

    def copy(self, job_id: str, to: BinaryIO) -> None:
        """Copy the complete lines that are new."""
        if os.fstat(self._file).st_size == self._copied:
            return
        prefix = f"[{job_id}] "
        while block := os.pread(self._file, _BLOCK, self._copied):
            self._copied += len(block)
            self._tail = (self._tail + block[-TAIL:])[-TAIL:]
            *lines, self._line = (self._line + block).split(b"\n")
            if len(self._line) > _BLOCK:  # a line without an end must not grow in memory without one either
                lines.append(self._line)
                self._line = b""
            _write_lines(to, prefix, lines)

    def finish(self, job_id: str, to: BinaryIO) -> str:
        """Copy what is left, empty the file and return the output's last `TAIL` bytes as text."""
        self.copy(job_id, to)
        if not self._copied:
            return ""
        if self._line:
            _write_lines(to, f"[{job_id}] ", [self._line])
        tail = self._tail.decode("utf-8", "replace")
        os.ftruncate(self._file, 0)
        self._copied, self._tail, self._line = 0, b"", b""
        return tail

    def close(self) -> None:
        os.close(self._file)


def _write_lines(to: BinaryIO, prefix: str, lines: list[bytes]) -> None:
    text = "".join(
        prefix + "\t".join(map(clean, line.decode("utf-8", "replace").rstrip("\r").split("\t"))) + "\n"
        for line in lines
    )
    try:
        to.write(text.encode("utf-8", "backslashreplace"))
        to.flush()
    except OSError:
        pass  # the worker's stderr is gone; its jobs are not to suffer for that
