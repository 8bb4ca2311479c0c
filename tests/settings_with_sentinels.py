"""`tests.settings` with a Redis that is found through Sentinels, whose ports are in the environment."""

import os
from collections.abc import Iterable
from typing import Any

from tests.settings import *  # noqa: F403


def cache(ports: Iterable[int], **options: Any) -> dict[str, Any]:
    """A django-redis alias whose server the Sentinels on these ports know."""
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": "redis://mymaster/0",
        "OPTIONS": {
            "CLIENT_CLASS": "django_redis.client.SentinelClient",
            "CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory",
            "SENTINELS": [("127.0.0.1", port) for port in ports],
            **options,
        },
    }


CACHES = {"default": cache(map(int, os.environ.get("DJANGO_RESQUE_TEST_SENTINELS", "").split()))}
