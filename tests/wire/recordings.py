"""Recordings of the Resque family: every Redis key after every operation of four programs.

``ruby/`` is Ruby Resque 3.0 with resque-scheduler 5.0, ``php/`` resque/php-resque 1.3 with its scheduler,
``php-chrisboulton/`` chrisboulton/php-resque with php-resque-scheduler, ``node/`` node-resque 9.7. The files of a
folder follow one another on one server.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import redis

FOLDER = Path(__file__).parent
PREFIX = "resque:"


@dataclass(frozen=True)
class Recording:
    """The keys of a server, each with its ``type``, ``value`` and ``ttl_ms``."""

    name: str
    keys: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, path: Path) -> Self:
        return cls(f"{path.parent.name}/{path.stem}", json.loads(path.read_text())["keys"])

    def load(self, client: redis.Redis) -> None:
        """Put the keys into a real Redis."""
        for key, recorded in self.keys.items():
            value = recorded["value"]
            match recorded["type"]:
                case "string":
                    client.set(key, value)
                case "list":
                    client.rpush(key, *value)
                case "set":
                    client.sadd(key, *value)
                case "zset":
                    client.zadd(key, dict(value))
                case "hash":
                    client.hset(key, mapping=value)
            if recorded["ttl_ms"] is not None:
                client.pexpire(key, recorded["ttl_ms"])

    def value(self, name: str, default: Any = None) -> Any:
        """What stands under ``name``, which is given without the namespace."""
        return self.keys.get(PREFIX + name, {"value": default})["value"]

    def elements(self, kind: str) -> Iterator[bytes]:
        """Every element of the lists ``<kind>:<name>``."""
        for key, recorded in self.keys.items():
            if key.startswith(f"{PREFIX}{kind}:") and recorded["type"] == "list":
                yield from map(str.encode, recorded["value"])

    def __str__(self) -> str:
        return self.name


@cache
def recordings() -> list[Recording]:
    """All of them, in order."""
    return [Recording.read(path) for path in sorted(FOLDER.glob("*/*.json"))]


def recording(name: str) -> Recording:
    """The one whose name begins like this, such as ``ruby/10``."""
    (found,) = (each for each in recordings() if each.name.startswith(name))
    return found
