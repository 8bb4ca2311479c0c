"""What the server says about itself."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from .reading import reading


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A server, as it describes itself; what it does not tell is empty, 0 or None.

    ``name`` is ``redis`` or what else it calls itself. ``policy`` is its ``maxmemory-policy``, ``memory`` and
    ``max_memory`` are bytes (0: no limit). ``appendonly`` and ``appendfsync`` are those of its append-only file,
    ``save`` when it takes snapshots. ``ahead`` is by how many seconds its clock is ahead of ours, exact to
    ``round_trip`` seconds. ``uptime`` is in seconds, ``clients`` are those that are connected, ``keys`` how many there
    are in our database.
    """

    name: str
    version: str
    role: str
    is_cluster: bool
    policy: str
    memory: int
    max_memory: int
    appendonly: bool | None
    appendfsync: str
    save: str | None
    writes_fail: str
    loading: bool
    ahead: float = 0.0
    round_trip: float = 0.0
    uptime: int = 0
    clients: int = 0
    max_clients: int = 0
    keys: int | None = None

    @property
    def version_numbers(self) -> tuple[int, ...]:
        """The version in a form that can be compared."""
        return tuple(int(number) for number in re.findall(r"\d+", self.version)[:3])


_CONFIG = ("appendfsync", "save", "stop-writes-on-bgsave-error")


class Server:
    """Asks the server."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    @property
    def address(self) -> str:
        """Where it is, as the settings say, without user and password."""
        pool = self._client.connection_pool
        given = pool.connection_kwargs
        if given.get("folder"):  # the embedded one
            place = str(given["folder"])
        elif given.get("path"):
            place = str(given["path"])
        elif service := getattr(pool, "service_name", ""):
            place = str(service)
        else:
            place = f"{given.get('host', 'localhost')}:{given.get('port', 6379)}"
        return f"{place}/{self._database}"

    @property
    def _database(self) -> int:
        return int(self._client.connection_pool.connection_kwargs.get("db") or 0)

    @reading()
    def info(self) -> ServerInfo:
        """What it says about itself now, in three round trips. Raises a `StoreError`."""
        self._client.time()  # connects: the next round trip is one
        begun, before = time.time(), time.monotonic()
        seconds, microseconds = self._client.time()
        round_trip = time.monotonic() - before
        pipeline: Any = self._client.pipeline(transaction=False)
        self.ask(pipeline)
        info = self.told(pipeline.execute(raise_on_error=False))
        return replace(info, ahead=seconds + microseconds / 1e6 - begun - round_trip / 2, round_trip=round_trip)

    def ask(self, pipeline: Any) -> None:
        """Put the questions into ``pipeline`` whose answers, `ANSWERS` of them, `told` takes."""
        pipeline.info()
        for name in _CONFIG:
            pipeline.config_get(name)

    def told(self, answers: Sequence[Any]) -> ServerInfo:
        """What the answers to `ask` say, but for its clock. Errors among them are put up with: not everybody may ask
        everything, and a hosted server may have no such command."""
        found, *settings = ({} if isinstance(answer, ResponseError) else answer for answer in answers)
        told: Mapping[str, Any] = found
        config: dict[str, str] = {}
        for each in settings:
            config.update(_texts(each))
        return ServerInfo(
            name=str(told.get("server_name", "redis")),
            version=str(told.get("valkey_version") or told.get("redis_version", "")),
            role=str(told.get("role", "")),
            is_cluster=told.get("cluster_enabled") == 1,
            policy=str(told.get("maxmemory_policy", "")),
            memory=_integer(told.get("used_memory")),
            max_memory=_integer(told.get("maxmemory")),
            appendonly=bool(told["aof_enabled"]) if "aof_enabled" in told else None,
            appendfsync=config.get("appendfsync", ""),
            save=config.get("save"),
            writes_fail=_trouble(told, config),
            loading=told.get("loading") == 1,
            uptime=_integer(told.get("uptime_in_seconds")),
            clients=_integer(told.get("connected_clients")),
            max_clients=_integer(told.get("maxclients")),
            keys=_keys(told, self._database),
        )


ANSWERS = 1 + len(_CONFIG)
"""How many answers `Server.ask` leads to."""


def _keys(told: Mapping[str, Any], database: int) -> int | None:
    """How many keys there are in the database; one that has none is not mentioned."""
    if not told:
        return None
    found = told.get(f"db{database}", {})
    return _integer(found.get("keys")) if isinstance(found, dict) else None


def _trouble(told: Mapping[str, Any], config: Mapping[str, str]) -> str:
    """Why it takes no writes."""
    stops = config.get("stop-writes-on-bgsave-error", "yes") == "yes"
    if told.get("rdb_last_bgsave_status", "ok") != "ok" and stops:
        return "its last snapshot could not be written to disk"
    if told.get("aof_last_write_status", "ok") != "ok":
        return "its append-only file cannot be written"
    return ""


def _texts(found: Mapping[Any, Any]) -> dict[str, str]:
    def text(value: Any) -> str:
        return str(value, "utf-8", "replace") if isinstance(value, bytes) else str(value)

    return {text(name): text(value) for name, value in found.items()}


def _integer(value: Any) -> int:
    return value if isinstance(value, int) else 0
