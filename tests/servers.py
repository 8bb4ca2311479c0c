"""Redis servers for the tests: private ones, that die with the test session."""

from __future__ import annotations

import ctypes
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from django_resque.store.embedded import find_server

LIBC = ctypes.CDLL(None)  # loaded here: between fork and exec only what is loaded already may be used
PR_SET_PDEATHSIG = 1
STARTS_WITHIN = 10  # seconds


class RedisServer:
    """One server of our own, on a free port of 127.0.0.1 or (``unix=True``) on a unix socket, in a temporary folder.

    With ``appendfsync`` ("always", "everysec", "no") there is an append-only file and data survive `restart` and
    `kill`; without it every start is empty. ``config`` are further lines of the configuration, as in
    ``{"maxmemory": "20mb"}``. Port, socket and folder stay the same over restarts.

    Start it from the main thread: on Linux it is killed when the thread that started it ends, however it ends.
    """

    def __init__(
        self, *, unix: bool = False, appendfsync: str | None = None, config: Mapping[str, str] | None = None
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="resque-tests-"))
        self.log = self.folder / "server.log"
        self.socket = self.folder / "redis.sock" if unix else None
        self.port = 0  # chosen by the first start
        self.config = {
            "dir": str(self.folder),
            "logfile": str(self.log),
            "save": "",
            "appendonly": "yes" if appendfsync else "no",
            "appendfsync": appendfsync or "no",
            "databases": "16",
            **(config or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    # -- addresses -----------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The address of database 0, as django-redis and redis-py take it."""
        return f"unix://{self.socket}?db=0" if self.socket else f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The process of the running server."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def client(self, *, timeout: float = 10) -> redis.Redis:
        """A new client that never sends anything twice."""
        return redis.Redis.from_url(
            self.url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
        )

    # -- life ----------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start, and return when the server answers."""
        assert not self.running, "the server is running already"
        for port in [self.port] if self.port or self.socket else [_free_port() for _ in range(5)]:
            self._spawn(port)
            if self._answers():
                return self
        raise RuntimeError(f"the server does not start:\n{self.log.read_text()[-4000:]}")

    def stop(self) -> None:
        """End the server as an administrator would, with TERM."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server with KILL, as the out of memory killer would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The server takes connections and does not answer (SIGSTOP) within this block."""
        assert self._process is not None, "the server is not running"
        process = self._process
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End the server and delete its folder."""
        if self._process is not None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # -- below ---------------------------------------------------------------------------------------------------------

    def _spawn(self, port: int) -> None:
        self.port = port
        config = {**self.config, "port": str(port), "bind": "127.0.0.1"}
        if self.socket:
            config["unixsocket"] = str(self.socket)
        arguments = [text for name, value in config.items() for text in (f"--{name}", value)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [find_server(), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_the_tests if sys.platform == "linux" else None,
            )

    def _answers(self) -> bool:
        """Whether the server came up. False when it ended, as it does when somebody took its port meanwhile."""
        assert self._process is not None
        deadline = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < deadline and self._process.poll() is None:
            with self.client(timeout=1) as client:
                try:
                    # another server on this port would answer PING as well
                    if client.info("server")["process_id"] == self._process.pid:
                        return True
                except redis.RedisError:
                    pass
            time.sleep(0.005)
        self.kill()
        return False

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None, "the server is not running"
        self._process.send_signal(number)
        self._process.send_signal(signal.SIGCONT)  # a frozen one would never see TERM
        self._process.wait(30)
        self._process = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_the_tests() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
