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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
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
AGREES_WITHIN = 60  # seconds
GROUP = "mymaster"
PATIENCE = 600_000  # milliseconds in which a Sentinel does not miss a server
FAILOVER_TIMEOUT = 5_000  # milliseconds after which it begins again with a failover that gets stuck


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
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [find_server(), *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_the_tests if sys.platform == "linux" else None,
            )

    def _arguments(self) -> list[str]:
        config = {**self.config, "port": str(self.port), "bind": "127.0.0.1"}
        if self.socket:
            config["unixsocket"] = str(self.socket)
        return [text for name, value in config.items() for text in (f"--{name}", value)]

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


class SentinelServer(RedisServer):
    """A Sentinel: the same program with other arguments. Watches `GROUP`, whose primary is ``primary`` now."""

    def __init__(self, primary: RedisServer) -> None:
        super().__init__()
        self.file = self.folder / "sentinel.conf"  # where it writes down what it finds out
        self.file.write_text(
            f"sentinel monitor {GROUP} 127.0.0.1 {primary.port} 2\n"
            f"sentinel down-after-milliseconds {GROUP} {PATIENCE}\n"
            f"sentinel failover-timeout {GROUP} {FAILOVER_TIMEOUT}\n"
        )

    def _arguments(self) -> list[str]:
        options = {"port": self.port, "bind": "127.0.0.1", "dir": self.folder, "logfile": self.log}
        return [
            str(self.file),
            "--sentinel",
            *(str(text) for name, value in options.items() for text in (f"--{name}", value)),
        ]


class SentinelGroup:
    """A primary, a replica and three Sentinels. They make the replica the primary when a test says so, and do nothing
    of themselves, however slow the machine is.

    `servers` are the two; which of them is the primary is to be asked each time. No data outlive both.
    """

    def __init__(self) -> None:
        # Else a primary waits for more replicas before it sends what it has.
        self.servers = [RedisServer(config={"repl-diskless-sync-delay": "0"}) for _ in range(2)]
        self.sentinels: list[SentinelServer] = []

    @property
    def primary(self) -> RedisServer:
        """The server that is the primary, as the Sentinels say."""
        sentinel = next(sentinel for sentinel in self.sentinels if sentinel.running)
        with sentinel.client() as client:
            port = client.sentinel_master(GROUP)["port"]
        return next(server for server in self.servers if server.port == port)

    @property
    def replica(self) -> RedisServer:
        """The other server."""
        primary = self.primary
        return next(server for server in self.servers if server is not primary)

    @property
    def ports(self) -> list[int]:
        """Those of the Sentinels."""
        return [sentinel.port for sentinel in self.sentinels]

    def agree(self) -> bool:
        """Whether all servers and Sentinels that run say the same of each other, and the replica has all data."""
        try:
            return self._agree()
        except redis.ConnectionError:  # a server that becomes a replica closes its connections
            return False

    def _agree(self) -> bool:
        running = [server for server in self.servers if server.running]
        primary = self.primary
        if any(_role(server) != ("master" if server is primary else "slave") for server in running):
            return False
        if len(running) == 2 and not self.replicated(primary):
            return False
        return all(self._knows(sentinel, primary, len(running) - 1) for sentinel in self.sentinels if sentinel.running)

    def replicated(self, primary: RedisServer) -> bool:
        """Whether the replica has everything that ``primary`` has done for anybody until now."""
        with primary.client() as client:
            found = client.info("replication")
            if found["role"] != "master" or found["connected_slaves"] != 1 or found["slave0"]["state"] != "online":
                return False
            client.set("resque-tests:replicated", "")
            return bool(client.wait(1, 1000) == 1)

    def _knows(self, sentinel: SentinelServer, primary: RedisServer, replicas: int) -> bool:
        with sentinel.client() as client:
            state = client.sentinel_master(GROUP)
            if state["port"] != primary.port or state["flags"] != "master" or state["num-other-sentinels"] != 2:
                return False
            known = [replica for replica in client.sentinel_slaves(GROUP) if replica["flags"] == "slave"]
            return not replicas or [replica["master-link-status"] for replica in known] == ["ok"]

    # -- life ----------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start all, and return when all know each other."""
        primary, replica = self.servers
        primary.start()
        replica.start()
        self._follow(replica, primary)
        _until(lambda: self.replicated(primary))  # a Sentinel looks for replicas when it starts, and seldom later
        self.sentinels = [SentinelServer(primary) for _ in range(3)]
        for sentinel in self.sentinels:
            sentinel.start()
            self._hurry(sentinel)
        _until(self.agree)
        return self

    def repair(self) -> None:
        """Start what a test has ended, empty the primary, and return when all is as after `start`."""
        self.start_what_is_missing()
        for server in self.servers:
            with server.client() as client:
                client.config_set("min-replicas-to-write", 0)
        _until(self.agree)
        with self.primary.client() as client:
            client.flushall()

    def start_what_is_missing(self) -> None:
        """Start what was killed; a server as the replica of the other, unless that is its replica."""
        for sentinel in self.sentinels:
            if not sentinel.running:
                sentinel.start()
                self._hurry(sentinel)
        primary = self.primary
        for server in self.servers:
            if not server.running:
                server.start()
                if server is not primary:
                    self._follow(server, primary)

    def close(self) -> None:
        """End all and delete their folders."""
        for server in (*self.sentinels, *self.servers):
            server.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # -- what befalls it -----------------------------------------------------------------------------------------------

    def fail_over(self) -> None:
        """Have the Sentinels exchange primary and replica, as an administrator would.

        They promote the replica, and tell the primary of old some seconds later. Until then it refuses to write, as
        our documentation recommends, because no replica follows it.
        """
        with self.primary.client() as client:
            client.config_set("min-replicas-to-write", 1)
        self._exchange()
        _until(self.agree)

    def elect(self) -> None:
        """Have the Sentinels do without a primary that is gone. Returns when all name the replica instead."""
        after = self.replica
        self._exchange()
        _until(lambda: all(self._knows(sentinel, after, 0) for sentinel in self.sentinels))

    def _exchange(self) -> None:
        before = self.primary

        def exchanged() -> bool:
            if self.primary is before:
                with self.sentinels[0].client() as client, suppress(redis.ResponseError):  # it does so already
                    client.execute_command("SENTINEL FAILOVER", GROUP)
            return self.primary is not before

        _until(exchanged)

    def exchange_by_hand(self) -> None:
        """Exchange primary and replica as somebody does who tells everybody but the clients: their connections stay."""
        before, after = self.primary, self.replica
        for sentinel in self.sentinels:
            with sentinel.client() as client:
                client.sentinel_remove(GROUP)  # from all first: they tell each other what they know
        with after.client() as client:
            client.replicaof("NO", "ONE")
        self._follow(before, after)
        for sentinel in self.sentinels:
            with sentinel.client() as client:
                client.sentinel_monitor(GROUP, "127.0.0.1", after.port, 2)
                client.sentinel_set(GROUP, "down-after-milliseconds", PATIENCE)
                client.sentinel_set(GROUP, "failover-timeout", FAILOVER_TIMEOUT)

    def _follow(self, replica: RedisServer, primary: RedisServer) -> None:
        with replica.client() as client:
            client.replicaof("127.0.0.1", primary.port)

    def _hurry(self, sentinel: SentinelServer) -> None:
        """What it does every two or ten seconds is done more often; and no pause of the machine upsets it.

        The periods depend on each other. The Sentinel that leads a failover looks at the replica once a second: its
        knowledge may be five pings or three infos old, and after four publish periods another Sentinel makes a replica
        again of what the leader has promoted and not seen yet.
        """
        with sentinel.client() as client:
            for name, milliseconds in {
                "info-period": 1000,
                "publish-period": 1000,
                "ask-period": 100,
                "tilt-trigger": 60_000,
            }.items():
                client.execute_command("SENTINEL DEBUG", name, milliseconds)


def _role(server: RedisServer) -> str:
    if not server.running:
        return ""
    with server.client() as client:
        return str(client.info("replication")["role"])


def _until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + AGREES_WITHIN
    while True:
        with suppress(redis.ConnectionError):  # as above
            if fact():
                return
        if time.monotonic() > deadline:
            raise RuntimeError("servers and Sentinels do not agree")
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_the_tests() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
