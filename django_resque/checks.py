"""System checks: what is wrong with the settings, told before the first job.

Nothing here connects to Redis. No command is imported but those of ``RESQUE["SCHEDULE"]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.conf import settings
from django.core.cache import DEFAULT_CACHE_ALIAS
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.redis import RedisCache
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.management import get_commands
from django.utils.module_loading import import_string

from .conf import Config, config, problems
from .errors import ConfigurationError, InvalidJob
from .hint import did_you_mean
from .schedule import ScheduleEntry
from .store.connection import embedded_folder, is_redis_alias, make_pool
from .store.outbox import outbox
from .timetable import check_job


@register("django_resque")
def check_settings(**kwargs: object) -> list[CheckMessage]:
    """E001: the ``RESQUE`` setting. E002: the Redis it leads to. E003: commands that it names. E004: its schedule.
    W001: the cache that shares a database with the jobs. W002: an entry of the schedule that cannot be checked."""
    found: list[CheckMessage] = [Error(problem, id="django_resque.E001") for problem in problems()]
    try:
        in_force = config()
    except ConfigurationError:
        return found
    return [*found, *_commands(in_force), *_schedule(in_force), *_redis(in_force)]


def _commands(config: Config) -> Iterator[CheckMessage]:
    """``RESQUE["COMMANDS"]`` names commands that exist, unless this program only enqueues what others have."""
    if not config.check:
        return
    installed = get_commands()
    for name in config.commands:
        if name not in installed:
            yield Error(
                f'RESQUE["COMMANDS"] names {name!r}, but no installed app has such a command'
                f"{did_you_mean(name, installed)}.",
                hint="Correct the name, or add the app that has the command to INSTALLED_APPS.",
                id="django_resque.E003",
            )


def _schedule(config: Config) -> Iterator[CheckMessage]:
    """The entries of ``RESQUE["SCHEDULE"]`` can be used, and their commands take what they are given."""
    for name, mapping in config.schedule.items():
        try:
            check_job(ScheduleEntry.from_mapping(name, mapping))
        except ConfigurationError as error:
            yield Error(f"{error}.", hint='Correct it in RESQUE["SCHEDULE"].', id="django_resque.E004")
        except InvalidJob as error:
            yield Error(f"The schedule entry {name!r}: {error}.", id="django_resque.E004")
        except Exception as error:  # whatever the command's module, or its parser that looks into the database, raises
            yield Warning(
                f"The schedule entry {name!r} cannot be checked: {type(error).__name__}: {error}.",
                id="django_resque.W002",
            )


def _redis(config: Config) -> Iterator[CheckMessage]:
    """The settings lead to a Redis, and no cache deletes the jobs in it."""
    if outbox.in_use:
        return  # DEBUG is off under a test runner, and no Redis is needed
    try:
        if embedded_folder(config) is None:
            make_pool(config)
            yield from _shared_database(config)
    except ConfigurationError as error:
        yield Error(f"{error}.", hint=_what_the_alias_is(config.cache), id="django_resque.E002")


def _what_the_alias_is(alias: str) -> str | None:
    """What a person needs to know about ``CACHES`` when ``alias`` does not lead to a Redis."""
    if is_redis_alias(alias):
        return None  # the error says it all
    if alias not in settings.CACHES:
        found = f"CACHES has no {alias!r}{did_you_mean(alias, settings.CACHES)}."
    else:
        backend = settings.CACHES[alias].get("BACKEND")
        what = "which cannot be imported" if _backend(alias) is None else "which is not django-redis'"
        found = f"CACHES[{alias!r}] has the BACKEND {backend!r}, {what}."
    return (
        f'{found} It could be: CACHES = {{"{alias}": {{"BACKEND": "django_redis.cache.RedisCache",'
        ' "LOCATION": "redis://127.0.0.1:6379/0"}, …}'
    )


# -- a cache that shares the database ----------------------------------------------------------------------------------


def _shared_database(config: Config) -> Iterator[CheckMessage]:
    """``cache.clear()`` is FLUSHDB, for django-redis and for Django's own Redis cache: it deletes the jobs too."""
    own = _database(config.cache)
    # The alias of the jobs itself is nobody's cache, if only its name is none of those that Django and the project use.
    in_use = {DEFAULT_CACHE_ALIAS, settings.SESSION_CACHE_ALIAS, settings.CACHE_MIDDLEWARE_ALIAS}
    sharing = [
        alias
        for alias in settings.CACHES
        if (alias != config.cache or alias in in_use) and _is_some_redis(alias) and _database(alias) == own
    ]
    if sharing:
        aliases = ", ".join(f"caches[{alias!r}].clear()" for alias in sharing)
        yield Warning(
            f"The jobs and the cache share one Redis database: {aliases} would delete all jobs.",
            hint='Add an alias to CACHES whose LOCATION has another database number (a prefix or RESQUE["NAMESPACE"]'
            ' does not help: the whole database is flushed) and name it in RESQUE["CACHE"]. If nothing ever clears'
            ' the cache: SILENCED_SYSTEM_CHECKS = ["django_resque.W001"].',
            id="django_resque.W001",
        )


def _is_some_redis(alias: str) -> bool:
    backend = _backend(alias)
    return is_redis_alias(alias) or (backend is not None and issubclass(backend, RedisCache))


def _backend(alias: str) -> type[BaseCache] | None:
    try:
        backend = import_string(settings.CACHES[alias].get("BACKEND", ""))
    except (ImportError, AttributeError):
        return None
    return backend if isinstance(backend, type) else None


def _database(alias: str) -> tuple[str, ...]:
    """The server and the number of the database behind a Redis alias, in a form that can be compared."""
    params: dict[str, Any] = settings.CACHES[alias]
    location = params.get("LOCATION") or "redis://127.0.0.1:6379"
    first = location.split(",")[0] if isinstance(location, str) else str(next(iter(location), ""))
    url = urlsplit(first.strip())
    options = params.get("OPTIONS", {})
    # redis-py's order: the query, the path, keyword arguments
    db = parse_qs(url.query).get("db", [""])[0]
    if url.scheme == "unix":
        server: tuple[str, ...] = (unquote(url.path),)
    else:
        try:
            port = url.port or 6379
        except ValueError:
            port = 0  # the alias cannot be used, which is another check's business
        host = unquote(url.hostname or "localhost")
        server = ("127.0.0.1" if host in ("localhost", "::1") else host, str(port))
        db = db or unquote(url.path).replace("/", "")
    number = db or options.get("db") or options.get("CONNECTION_POOL_KWARGS", {}).get("db") or "0"
    return (*server, str(number))
