"""Packets between a dispatcher and a performer, whole and in order."""

from __future__ import annotations

import array
import errno
import os
import socket
import sys
import tempfile

_LINUX = sys.platform == "linux"
_LIMIT = 100_000 if _LINUX else 2_000
"""Longest packet, in bytes, that is sent as it is; the kernel's own limit is twice as high."""
_LARGEST = 64 << 20
"""Bytes above which a packet is none of ours."""
_FD_SPACE = socket.CMSG_SPACE(array.array("i").itemsize)
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Channel:
    """A pair of sockets on which each packet is read by exactly one reader, also when several processes read.

    A packet above 100 KB is passed as an open anonymous file. Where the system has no SOCK_SEQPACKET (macOS), datagrams
    take its place and a closed writer is not noticed.
    """

    def __init__(self) -> None:
        kind = socket.SOCK_SEQPACKET if _LINUX else socket.SOCK_DGRAM
        self.reader, self.writer = socket.socketpair(socket.AF_UNIX, kind)

    def send(self, packet: bytes, *, wait: bool = True) -> None:
        """Put in one packet, which must not be empty. Raises `OSError` when nobody can read it any more.

        With ``wait=False`` raises `BlockingIOError` when there is no room for it now: the kernel keeps some 200 KB.
        """
        flags = 0 if wait else socket.MSG_DONTWAIT
        if len(packet) <= _LIMIT:
            self.writer.send(packet, flags)
            return
        file = _anonymous_file()
        try:
            _write(file, packet)
            socket.send_fds(self.writer, [b"\n"], [file], flags)
        finally:
            os.close(file)

    def receive(self, *, wait: bool = True) -> bytes | None:
        """Take out one packet; None when the other side is closed.

        With ``wait=False`` raises `BlockingIOError` when there is none. The socket itself stays blocking, because the
        flag would hold for every process that shares it.
        """
        flags = _CLOEXEC if wait else _CLOEXEC | socket.MSG_DONTWAIT
        try:
            packet, ancillary, found, _ = self.reader.recvmsg(_LIMIT, _FD_SPACE, flags)
        except ConnectionError:
            return None
        if found & socket.MSG_CTRUNC:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        for _level, _kind, data in ancillary:
            (file,) = array.array("i", data[:4])
            try:
                return _read(file)
            finally:
                os.close(file)
        return packet or None

    def close(self) -> None:
        """Close this process's ends."""
        self.reader.close()
        self.writer.close()


def _anonymous_file() -> int:
    if _LINUX:
        return os.memfd_create("django_resque", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _read(file: int) -> bytes:
    size = os.fstat(file).st_size
    if size > _LARGEST:
        raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
    chunks: list[bytes] = []
    at = 0
    while at < size:
        chunk = os.pread(file, size - at, at)
        if not chunk:
            break
        chunks.append(chunk)
        at += len(chunk)
    return b"".join(chunks)
