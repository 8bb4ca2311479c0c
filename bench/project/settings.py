"""One project, two job systems, one Redis: what differs is theirs."""

import os

REDIS_URL = os.environ["BENCH_REDIS"]

SECRET_KEY = "for benchmarks only"
DEBUG = False
USE_TZ = True
INSTALLED_APPS = ["django.contrib.contenttypes", "django_resque", "huey.contrib.djhuey", "project"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": REDIS_URL}}

RESQUE: dict[str, object] = {}

HUEY = {"huey_class": "huey.RedisHuey", "name": "bench", "immediate": False, "url": REDIS_URL}
