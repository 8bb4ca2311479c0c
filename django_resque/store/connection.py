"""How Redis is reached: the server comes from the project's settings, the way of talking to it is ours.

redis-py resends commands by default, and django-redis shares one pool for all aliases of the same URL, whatever their
options. Either would lose or double jobs, so the pool made here is our own: nothing is resent unseen, every call has a
time limit, and replies are bytes.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string
from django_redis.cache import RedisCache
from django_redis.client import SentinelClient
from django_redis.pool import get_connection_factory
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.connection import UnixDomainSocketConnection
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

from ..conf import Config
from ..errors import ConfigurationError
from . import embedded
from .sentinel import TIMEOUT as SENTINEL_TIMEOUT
from .sentinel import make_ours

CONNECT_TIMEOUT = 1.0
"""Seconds for a connection to be made."""
TIMEOUT = 5.0
"""Seconds for a reply to begin."""


def make_pool(config: Config) -> ConnectionPool:
    """A pool for the server that the settings name. Raises `ConfigurationError` when they name none.

    Which server: the folder in ``RESQUE["EMBEDDED"]``; else the django-redis alias ``RESQUE["CACHE"]``; else, with
    ``DEBUG`` on, an embedded server in ``BASE_DIR/var/resque``.
    """
    folder = embedded_folder(config)
    if folder is not None:
        return ConnectionPool(connection_class=EmbeddedConnection, path="", folder=folder, **_ours())
    return _pool_of_alias(config.cache)


def embedded_folder(config: Config) -> Path | None:
    """The folder of the embedded server, or None when the settings name a Redis of the project's own."""
    if config.embedded is not None:
        return config.embedded
    if is_redis_alias(config.cache):
        return None
    if not settings.DEBUG:
        raise ConfigurationError(
            f'No Redis is configured: add a django-redis alias to CACHES and name it in RESQUE["CACHE"]'
            f' (now {config.cache!r}), or name a folder for a server of the project\'s own in RESQUE["EMBEDDED"]'
        )
    base = getattr(settings, "BASE_DIR", None)
    if base is None:
        raise ConfigurationError(
            "No Redis is configured, and the settings have no BASE_DIR below which an embedded server could keep its"
            ' data: set BASE_DIR, or RESQUE = {"EMBEDDED": folder}, or add a django-redis alias to CACHES'
        )
    return Path(base).absolute() / "var" / "resque"


def is_redis_alias(alias: str) -> bool:
    """Whether ``alias`` stands in ``CACHES`` and is a django-redis one."""
    backend = settings.CACHES.get(alias, {}).get("BACKEND", "")
    try:
        found = import_string(backend) if isinstance(backend, str) else backend
    except ImportError:
        return False
    return isinstance(found, type) and issubclass(found, RedisCache)


def _pool_of_alias(alias: str) -> ConnectionPool:
    params: dict[str, Any] = settings.CACHES[alias]
    location = params.get("LOCATION") or "redis://127.0.0.1:6379"
    primary = location.split(",")[0] if isinstance(location, str) else location[0]
    options = dict(params.get("OPTIONS", {}))
    for option in ("SOCKET_TIMEOUT", "SOCKET_CONNECT_TIMEOUT"):
        options.pop(option, None)
    options["SENTINEL_KWARGS"] = {**(options.get("SENTINEL_KWARGS") or {}), **_ours_for_sentinels()}
    options["CONNECTION_POOL_KWARGS"] = {**options.get("CONNECTION_POOL_KWARGS", {}), **_ours()}
    try:
        factory = get_connection_factory(options=options)
    except (TypeError, ValueError, ImportError, ImproperlyConfigured) as error:
        raise ConfigurationError(f"CACHES[{alias!r}] cannot be used: {error}") from error
    try:
        pool: ConnectionPool = factory.get_connection_pool(factory.make_connection_params(_without_ours(primary)))
        pool.connection_kwargs.update(_ours())  # a factory of the project's own may have chosen otherwise
        if isinstance(pool, SentinelConnectionPool):
            make_ours(pool)
        elif _is_for_sentinels(options):
            raise ImproperlyConfigured(
                "its CLIENT_CLASS is for Sentinels, and no pool of connections that asks them is made (OPTIONS may name"
                ' one: "CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory")'
            )
        pool.connection_class(**pool.connection_kwargs)  # connects to nothing; refuses options that it does not know
    except ValueError:
        # What urllib says holds a part of the password, when that holds a "/" or a "#".
        raise ConfigurationError(
            f"CACHES[{alias!r}] cannot be used: its LOCATION is no address of a Redis, such as"
            " redis://:password@host:6379/0 (%2F, %23, %3F and %40 stand for / # ? and @ in a password)"
        ) from None
    except (TypeError, ImportError, ImproperlyConfigured) as error:
        raise ConfigurationError(f"CACHES[{alias!r}] cannot be used: {error}") from error
    return pool


def _is_for_sentinels(options: dict[str, Any]) -> bool:
    named = options.get("CLIENT_CLASS", "")
    found = import_string(named) if isinstance(named, str) and named else named
    return isinstance(found, type) and issubclass(found, SentinelClient)


def _without_ours(address: str) -> str:
    """``address`` without the parameters that are ours to choose: redis-py would rather believe it than us."""
    address, _, query = address.partition("?")
    kept = [(name, value) for name, value in parse_qsl(query) if name not in _ours()]
    return f"{address}?{urlencode(kept)}" if kept else address


def _ours() -> dict[str, Any]:
    return {
        "retry": Retry(NoBackoff(), 0),
        "retry_on_timeout": False,
        "retry_on_error": [],
        "socket_timeout": TIMEOUT,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "health_check_interval": 0,
        "decode_responses": False,
        "protocol": 2,
    }


def _ours_for_sentinels() -> dict[str, Any]:
    ours = {**_ours(), "socket_timeout": SENTINEL_TIMEOUT, "socket_connect_timeout": SENTINEL_TIMEOUT}
    del ours["retry_on_timeout"]  # a `Redis` warns of it
    return ours


def make_client(pool: ConnectionPool) -> Redis:
    """A client for reading; what must happen once goes through a `Line`."""
    return Redis(connection_pool=pool)


class EmbeddedConnection(UnixDomainSocketConnection):
    """A connection to the embedded server, which it starts when nobody has yet."""

    def __init__(self, *, folder: Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self.folder = folder

    def _connect(self) -> socket.socket:
        if self.path:
            try:
                return super()._connect()  # type: ignore[no-any-return,no-untyped-call]
            except (FileNotFoundError, ConnectionRefusedError):
                pass  # the server has ended since; another is started
        self.path = str(embedded.ensure_running(self.folder))
        return super()._connect()  # type: ignore[no-any-return,no-untyped-call]
