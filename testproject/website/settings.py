"""Settings of the testproject.

Nothing here needs an environment variable. Those that are read are for programs that start the site: its tests and
``manage.py demo``, which want a folder and ports of their own, and ``manage.py serve``, which wants some traffic.
"""

import os
from pathlib import Path

import django

BASE_DIR = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.get("TESTPROJECT_VAR") or BASE_DIR / "var")
"""Everything that the site writes: database, uploads, cache, mails, the embedded server's data."""
VAR.mkdir(parents=True, exist_ok=True)

SECRET_KEY = "django-insecure-this-site-is-for-trying-things-out"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_resque",
    "website",
    "accounts",
    "social",
    "photos",
    "pages",
    "shop",
    "services",
    "demo",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "website.switch.SwitchMiddleware",
    "website.stopwatch.StopwatchMiddleware",
]

ROOT_URLCONF = "website.urls"
WSGI_APPLICATION = "website.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": VAR / "site.sqlite3",
        # The web server and the workers write at the same time: they wait for each other instead of failing.
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",  # the default one takes longer than all the rest of a sign-up
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
LOGIN_URL = "accounts:login"
LOGIN_REDIRECT_URL = "website:home"
LOGOUT_REDIRECT_URL = "website:home"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
MEDIA_URL = "media/"
MEDIA_ROOT = VAR / "media"

# -- Redis: none has to be there; the workers and the site then share an embedded server ------------------------------

RESQUE = {}
REDIS_URL = os.environ.get("TESTPROJECT_REDIS_URL")
if REDIS_URL:
    CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": REDIS_URL}}
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": VAR / "cache"}}
    if VAR != BASE_DIR / "var":  # where the embedded server would be without a word
        RESQUE["EMBEDDED"] = VAR / "resque"

# -- what happens by itself; `manage.py serve` wants it, so that the dashboard has something to show -------------------

if os.environ.get("TESTPROJECT_TRAFFIC"):
    RESQUE["SCHEDULE"] = {
        "traffic": {"command": "traffic", "every": 10},
        "yearly report": {
            "command": "yearly_report",
            "args": [2026],
            "cron": "0 4 * * SUN",
            "timezone": "Europe/Berlin",
        },
    }

# -- the outside world: deliberately slow servers, which `manage.py serve` and `manage.py demo` start -----------------

MAIL_PORT = int(os.environ.get("TESTPROJECT_MAIL_PORT") or 8025)
SERVICES_PORT = int(os.environ.get("TESTPROJECT_SERVICES_PORT") or 8026)
SERVICES_URL = f"http://127.0.0.1:{SERVICES_PORT}"
MAILBOX = VAR / "mails"
"""A Maildir: what the slow mail server has received."""

DEFAULT_FROM_EMAIL = "The testproject <site@example.com>"
if django.VERSION >= (6, 1):
    MAILERS = {
        "default": {
            "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "OPTIONS": {"host": "127.0.0.1", "port": MAIL_PORT, "timeout": 10},
        }
    }
else:
    EMAIL_HOST = "127.0.0.1"
    EMAIL_PORT = MAIL_PORT
    EMAIL_TIMEOUT = 10

MESSAGE_LEVEL = 10  # messages.DEBUG: how long each form took
