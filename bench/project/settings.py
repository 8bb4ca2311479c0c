"""One project, one Redis, one database; the app and the settings of the job system that is measured in this process."""

import os

SYSTEM = os.environ["BENCH_SYSTEM"]
REDIS_URL = os.environ["BENCH_REDIS"]

SECRET_KEY = "for benchmarks only"
DEBUG = False
USE_TZ = True
INSTALLED_APPS = ["django.contrib.contenttypes", "project"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["BENCH_DATABASE"]}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

if SYSTEM == "django_resque":
    # As shipped: jobs are checked and tracked, their output is captured, workers hold leases.
    INSTALLED_APPS += ["django_resque"]
    SILENCED_SYSTEM_CHECKS = ["django_resque.W001"]  # nothing clears this cache
    CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": REDIS_URL}}

elif SYSTEM == "huey":
    # As shipped. The results of our jobs are None, which it does not store.
    INSTALLED_APPS += ["huey.contrib.djhuey"]
    HUEY = {"huey_class": "huey.RedisHuey", "name": "bench", "immediate": False, "url": REDIS_URL}

elif SYSTEM == "rq":
    # As shipped.
    INSTALLED_APPS += ["django_rq"]
    RQ_QUEUES = {"default": {"URL": REDIS_URL}}

elif SYSTEM == "dramatiq":
    # Its own default middleware and Django's connections; without the two that are there to be looked at (Prometheus,
    # and the admin's, which writes each task to the database).
    INSTALLED_APPS += ["django_dramatiq"]
    DRAMATIQ_BROKER = {
        "BROKER": "dramatiq.brokers.redis.RedisBroker",
        "OPTIONS": {"url": REDIS_URL},
        "MIDDLEWARE": [
            "dramatiq.middleware.AgeLimit",
            "dramatiq.middleware.TimeLimit",
            "dramatiq.middleware.ShutdownNotifications",
            "dramatiq.middleware.Callbacks",
            "dramatiq.middleware.Pipelines",
            "dramatiq.middleware.Retries",
            "django_dramatiq.middleware.DbConnectionsMiddleware",
        ],
    }

elif SYSTEM == "celery":
    # No result backend, and the prefetching that its documentation recommends for many short tasks.
    CELERY_BROKER_URL = REDIS_URL
    CELERY_TASK_IGNORE_RESULT = True
    CELERY_WORKER_PREFETCH_MULTIPLIER = 64
    CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True

elif SYSTEM == "django_q":
    # Successes are not saved to the database; by default the last 250 are.
    INSTALLED_APPS += ["django_q"]
    Q_CLUSTER = {
        "name": "bench",
        "redis": REDIS_URL,
        "workers": int(os.environ.get("BENCH_WORKERS", "1")),
        "timeout": 60,
        "retry": 120,
        "save_limit": -1,
        "label": "Django Q2",
    }
