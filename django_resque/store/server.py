"""What the server says about itself."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis
from redis.exceptions import ResponseError

from .reading import reading


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A server, as it describes itself; what it does not tell is empty, 0 or None.

    ``name`` is ``redis`` or what else it calls itself. ``policy`` is its ``maxmemory-policy``, ``memory`` and
    ``max_memory`` are bytes (0: no limit). ``appendonly`` and ``appendfsync`` are those of its append-only file,
    ``save`` when it takes snapshots. ``ahead`` is by how many seconds its clock is ahead of ours, exact to
    ``round_trip`` seconds.
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
    ahead: float
    round_trip: float

    @property
    def version_numbers(self) -> tuple[int, ...]:
        """The version in a form that can be compared."""
        return tuple(int(number) for number in re.findall(r"\d+", self.version)[:3])


class Server:
    """Asks the server."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    @reading()
    def info(self) -> ServerInfo:
        """What it says about itself now. Raises a `StoreError`."""
        self._client.time()  # connects: the next round trip is one
        begun, before = time.time(), time.monotonic()
        seconds, microseconds = self._client.time()
        round_trip = time.monotonic() - before
        told = self._told()
        config = self._config()
        save = config.get("save")
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
            save=save,
            writes_fail=_trouble(told, config),
            loading=told.get("loading") == 1,
            ahead=seconds + microseconds / 1e6 - begun - round_trip / 2,
            round_trip=round_trip,
        )

    def _told(self) -> Mapping[str, Any]:
        try:
            return cast("Mapping[str, Any]", self._client.info())
        except ResponseError:  # not everybody may ask
            return {}

    def _config(self) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for name in ("appendfsync", "save", "stop-writes-on-bgsave-error"):
            try:
                found.update(_texts(self._client.config_get(name)))
            except ResponseError:  # a hosted server may have no such command
                break
        return found


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
