"""`tests.settings` with receivers of all signals, and a database that is a file: a connection to it can be seen."""

import os

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as APPS

INSTALLED_APPS = ["tests.jobs.apps.ListeningConfig" if app == "tests.jobs" else app for app in APPS]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DJANGO_RESQUE_TEST_DATABASE"]}}
