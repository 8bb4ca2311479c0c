"""The project that the tests run in. Its Redis is started by ``tests/conftest.py``."""

from __future__ import annotations

import json
import os
from pathlib import Path

BASE_DIR = Path(__file__).parent
SECRET_KEY = "for tests only"
DEBUG = False
USE_TZ = True
ALLOWED_HOSTS = ["testserver"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_resque",
    "tests.jobs",
]

ROOT_URLCONF = "tests.urls"
STATIC_URL = "/static/"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick, and good enough for users of tests

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "tests.policy.StrictPolicy",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
    "other": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
}

CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        # nobody listens on port 1, so that settings loaded without conftest.py reach no Redis by accident
        "LOCATION": os.environ.get("DJANGO_RESQUE_TEST_REDIS", "redis://127.0.0.1:1/0"),
    }
}

RESQUE = {
    "TESTING": "real",
    **json.loads(os.environ.get("DJANGO_RESQUE_TEST_RESQUE", "{}")),  # what a test wants of its workers
}
