"""A TCP proxy that is far away: whatever passes through arrives later, in either direction. A process of its own.

Usage: python -m harness.proxy UPSTREAM_PORT SECONDS, which prints the port that it listens on.

It adds latency and takes nothing away: what is read at once has its own due time and nothing waits for an answer, so
any amount may be under way. ``select`` and not ``epoll``, whose timeouts are whole milliseconds.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections import deque
from contextlib import suppress

CHUNK = 1 << 18


class Pipe:
    """One direction of a connection. An empty chunk is its end."""

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.source = source
        self.target = target
        self.under_way: deque[tuple[float, memoryview]] = deque()

    def read(self, seconds: float) -> bool:
        """Take what has come; False when nothing more will."""
        try:
            data = self.source.recv(CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        self.under_way.append((time.monotonic() + seconds, memoryview(data)))
        return bool(data)

    def deliver(self, now: float) -> None:
        """Pass on what is due."""
        while self.under_way and self.under_way[0][0] <= now:
            _, data = self.under_way.popleft()
            try:
                if not data:
                    self.target.shutdown(socket.SHUT_WR)
                    continue
                sent = self.target.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.under_way.clear()
                return
            if sent < len(data):
                self.under_way.appendleft((now + 0.0002, data[sent:]))  # its buffer is full
                return


def serve(upstream: int, seconds: float) -> None:
    """Forward until killed."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(listener.getsockname()[1], flush=True)
    readers: dict[socket.socket, Pipe | None] = {listener: None}
    pipes: list[Pipe] = []
    while True:
        dues = [pipe.under_way[0][0] for pipe in pipes if pipe.under_way]
        timeout = max(0.0, min(dues) - time.monotonic()) if dues else None
        for ready in select.select(list(readers), [], [], timeout)[0]:
            pipe = readers[ready]
            if pipe is None:
                for new in connect(listener, upstream):
                    readers[new.source] = new
                    pipes.append(new)
            elif not pipe.read(seconds):
                del readers[ready]
        now = time.monotonic()
        for pipe in pipes:
            pipe.deliver(now)
        if any(pipe.source not in readers and not pipe.under_way for pipe in pipes):
            pipes = [pipe for pipe in pipes if pipe.source in readers or pipe.under_way]


def connect(listener: socket.socket, upstream: int) -> list[Pipe]:
    """The two directions of a new connection."""
    client, _ = listener.accept()
    try:
        server = socket.create_connection(("127.0.0.1", upstream))
    except OSError:
        client.close()
        return []
    for end in (client, server):
        end.setblocking(False)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return [Pipe(client, server), Pipe(server, client)]


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        serve(int(sys.argv[1]), float(sys.argv[2]))
