"""A TCP proxy in front of a Redis server, that spoils the conversation on command."""

from __future__ import annotations

import math
import random
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass(eq=False)
class Fault:
    """Something that befalls the next ``left`` requests or replies, each with the probability ``chance``.

    ``to``: only where the request holds these bytes, such as ``b"EVALSHA"``. ``act`` is given the client's socket and
    the data, and returns what goes on to the other side, or None when the connection is to be cut. ``happened`` counts.
    """

    left: float
    to: bytes
    chance: float
    act: Callable[[socket.socket, bytes], bytes | None]
    happened: int = 0


class Proxy:
    """Forwards connections from a free port of 127.0.0.1 to the server at ``upstream``, another port there.

    Faults are for what begins after the call. `heal` ends them.
    """

    def __init__(self, upstream: int, *, seed: int = 0) -> None:
        self._upstream = upstream
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._faults_of_requests: list[Fault] = []
        self._faults_of_replies: list[Fault] = []
        self._released = threading.Event()
        self._clients: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._accepter: threading.Thread | None = None
        self._filler: socket.socket | None = None
        self.port = 0
        self._listener = self._bind()
        self.port = self._listener.getsockname()[1]
        self._accept()

    @property
    def url(self) -> str:
        """The address of database 0 behind the proxy."""
        return f"redis://127.0.0.1:{self.port}/0"

    # -- what befalls replies ------------------------------------------------------------------------------------------

    def lose_replies(self, count: float = math.inf, *, to: bytes = b"", chance: float = 1) -> Fault:
        """The server does what it was asked for, then the connection is cut before its reply."""
        return self._befall(self._faults_of_replies, Fault(count, to, chance, lambda client, data: None))

    def truncate_replies(self, count: float = math.inf, *, to: bytes = b"", chance: float = 1, keep: int = 2) -> Fault:
        """The connection is cut after the first ``keep`` bytes of the reply."""

        def truncate(client: socket.socket, data: bytes) -> None:
            client.sendall(data[:keep])

        return self._befall(self._faults_of_replies, Fault(count, to, chance, truncate))

    def delay_replies(self, seconds: float, count: float = math.inf, *, to: bytes = b"") -> Fault:
        """The reply comes that much later."""
        return self._befall(self._faults_of_replies, Fault(count, to, 1, self._holding(seconds)))

    def hold_replies(self, count: float = math.inf, *, to: bytes = b"") -> Fault:
        """The server does what it was asked for; its reply is on the way until `heal`."""
        return self._befall(self._faults_of_replies, Fault(count, to, 1, self._holding()))

    # -- what befalls requests -----------------------------------------------------------------------------------------

    def hold_requests(self, count: float = math.inf, *, to: bytes = b"") -> Fault:
        """The request is on the way until `heal`, and then arrives although its sender may have given up."""
        return self._befall(self._faults_of_requests, Fault(count, to, 1, self._holding()))

    # -- what befalls connections --------------------------------------------------------------------------------------

    def cut(self) -> None:
        """Cut all connections."""
        with self._lock:
            for client in self._clients:
                _shut(client)

    def refuse(self) -> None:
        """Refuse new connections until `heal`, and cut those there are."""
        self._stop_accepting()
        self.cut()

    def ignore(self) -> None:
        """Give attempts to connect no answer until `heal`, as a firewall would, and cut the connections there are."""
        self._stop_accepting()
        self._listener.listen(0)
        self._filler = socket.create_connection(("127.0.0.1", self.port))  # nobody accepts it: the backlog is full
        self.cut()

    def heal(self) -> None:
        """End all faults, deliver what was held, take connections again."""
        with self._lock:
            self._faults_of_requests.clear()
            self._faults_of_replies.clear()
            released, self._released = self._released, threading.Event()
        released.set()
        if self._accepter is None:
            self._stop_accepting()
            self._accept()

    def close(self) -> None:
        """Cut everything and end."""
        self._stop_accepting()
        self._released.set()
        self.cut()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # -- below ---------------------------------------------------------------------------------------------------------

    def _befall(self, faults: list[Fault], fault: Fault) -> Fault:
        with self._lock:
            faults.append(fault)
        return fault

    def _bind(self) -> socket.socket:
        """A socket that keeps the port ours; as long as it does not listen, connections are refused."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        return listener

    def _accept(self) -> None:
        self._listener.listen()
        self._accepter = self._start(self._accept_all, self._listener)

    def _stop_accepting(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        if self._accepter is not None:
            self._accepter.join()
            self._accepter = None
        if self._filler is not None:
            self._filler.close()
            self._filler = None
        self._listener = self._bind()

    def _start(self, target: Callable[..., None], *args: socket.socket) -> threading.Thread:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads = [thread, *(other for other in self._threads if other.is_alive())]
        thread.start()
        return thread

    def _accept_all(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._clients.add(client)
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._upstream)) as server:
                self._converse(client, server)
        finally:
            with self._lock:
                self._clients.discard(client)

    def _converse(self, client: socket.socket, server: socket.socket) -> None:
        request = b""
        while True:
            ready, _, _ = select.select([client, server], [], [])
            from_client = client in ready
            data: bytes | None = (client if from_client else server).recv(65536)
            if not data:
                return
            if from_client:
                request += data
            fault = self._drawn(self._faults_of_requests if from_client else self._faults_of_replies, request)
            if fault is not None:
                data = fault.act(client, data)
                if data is None:
                    return
            (server if from_client else client).sendall(data)
            if not from_client:
                request = b""

    def _drawn(self, faults: list[Fault], request: bytes) -> Fault | None:
        with self._lock:
            for fault in faults:
                if fault.left > 0 and fault.to in request and self._random.random() < fault.chance:
                    fault.left -= 1
                    fault.happened += 1
                    return fault
        return None

    def _holding(self, seconds: float | None = None) -> Callable[[socket.socket, bytes], bytes]:
        released = self._released

        def hold(client: socket.socket, data: bytes) -> bytes:
            released.wait(seconds)
            return data

        return hold


def _shut(client: socket.socket) -> None:
    with suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
