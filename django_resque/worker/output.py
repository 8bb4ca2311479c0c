"""What commands write to their standard output and error, and where it goes."""

from __future__ import annotations

import ctypes
import fcntl
import os
import sys
import tempfile

from ..log_format import output_as_json, output_as_lines
from ..log_target import file_in_use, has_room, writes_json

TAIL = 64 * 1024
"""Bytes of a job's output that are kept."""
BLOCK = 1 << 20
"""Bytes that are copied at a time; between two times the dispatcher does everything else."""
BACKLOG = 64 << 20
"""Bytes that may wait to be copied. A command that writes faster than that loses what lies between."""
_PIECE = 4096
"""Bytes for which a pipe that select() calls writable has room (PIPE_BUF on Linux)."""
_KEEP_SIZE_AND_PUNCH_HOLE = 3


class Stderr:
    """The worker's own standard error, or the file that it logs to instead, as it is when this is made.

    Standard error is never waited for: what nobody reads is left out, and counted. ``quiet``: what commands write is
    not copied there at all.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._file = file_in_use()
        self._as_json = writes_json()
        self._descriptor = sys.stderr.fileno()
        self._left_out = 0

    def write_output(self, job_id: str, text: bytes) -> None:
        """Write lines of a command's, of which the last is without its end."""
        if self.quiet:
            return
        if self._as_json:
            self.write(output_as_json(job_id, text, os.getpid()))
        else:
            self.write(output_as_lines(job_id, text))

    def write(self, data: bytes) -> None:
        """Write as much of ``data``, which are whole lines, as can be written now."""
        if self._file is not None:
            self._file.write(data)
            return
        if self._left_out and has_room(self._descriptor):
            data = b"\n(%d bytes of output left out: nobody reads them)\n%b" % (self._left_out, data)
            self._left_out = 0
        for at in range(0, len(data), _PIECE):
            if not has_room(self._descriptor):
                self._left_out += len(data) - at
                return
            try:
                os.write(self._descriptor, data[at : at + _PIECE])
            except OSError:
                return  # it is closed on the other side; the jobs are not to suffer for that


class Output:
    """An anonymous file that a performer's descriptors 1 and 2 lead to while it performs.

    The performer writes at its end and reports where each job's output ends. The dispatcher copies to the worker's own
    stderr, each line with the job's id before it, and gives back the memory of what it has copied.
    """

    def __init__(self, stderr: Stderr) -> None:
        self._stderr = stderr
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

    @property
    def tail(self) -> bytes:
        """The last `TAIL` bytes of the present job that were copied."""
        return self._tail

    def size(self) -> int:
        """Where what has been written ends."""
        return os.fstat(self._file).st_size

    def copy(self, job_id: str, end: int) -> bool:
        """Copy the lines up to ``end`` that are new, up to `BLOCK` bytes. True when there is more."""
        waiting = self._waiting(end)
        if waiting <= 0:
            return False
        if waiting > BACKLOG:
            self._leave_out(job_id, waiting - BLOCK)
        self._copy_block(job_id, end)
        return waiting > BLOCK

    def finish(self, job_id: str, end: int) -> bytes:
        """Copy what is left up to ``end``, or the last `BLOCK` of it; return the last `TAIL` bytes of the job."""
        waiting = self._waiting(end)
        if waiting > BLOCK:
            self._leave_out(job_id, waiting - BLOCK)
        if waiting > 0:
            self._copy_block(job_id, end)
        if self._line:
            self._stderr.write_output(job_id, self._line)
        tail = self._tail
        self._tail, self._line = b"", b""
        return tail

    def close(self) -> None:
        os.close(self._file)

    def _waiting(self, end: int) -> int:
        """How many bytes up to ``end`` are to be copied."""
        if end < self._copied:  # a command has emptied the file, as a shell does for "> /dev/stderr"
            self._copied = 0
        return end - self._copied

    def _copy_block(self, job_id: str, end: int) -> None:
        block = os.pread(self._file, min(BLOCK, end - self._copied), self._copied)
        self._copied += len(block)
        _free(self._file, self._copied)
        self._tail = (self._tail + block[-TAIL:])[-TAIL:]
        whole, end_of_line, self._line = (self._line + block).rpartition(b"\n")
        if end_of_line:
            self._stderr.write_output(job_id, whole)
        if len(self._line) > BLOCK:  # a line without an end must not grow in memory without one either
            self._stderr.write_output(job_id, self._line)
            self._line = b""

    def _leave_out(self, job_id: str, size: int) -> None:
        self._copied += size
        self._line = b""
        self._stderr.write_output(job_id, b"(%d bytes of output left out)" % size)


def _free(file: int, size: int) -> None:
    """Give the memory of the first ``size`` bytes back, where that can be done; their places stay."""
    if sys.platform == "linux":
        _libc.fallocate(file, _KEEP_SIZE_AND_PUNCH_HOLE, ctypes.c_int64(0), ctypes.c_int64(size))


_libc = ctypes.CDLL(None)
