"""The project of the storm: as small as can be, so that a killed worker is soon there again."""

from __future__ import annotations

import os

SECRET_KEY = "for tests only"
DEBUG = False
USE_TZ = True
INSTALLED_APPS = ["django_resque", "tests.jobs"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        # nobody listens on port 1, so that settings loaded without a storm reach no Redis by accident
        "LOCATION": os.environ.get("DJANGO_RESQUE_STORM_REDIS", "redis://127.0.0.1:1/0"),
    }
}
# The shipped defaults, but for two: a storm cannot wait half a minute each time a worker has to be taken for dead.
RESQUE = {"TESTING": "real", "LEASE": 4, "BEAT": 1}
