"""`tests.settings` of a site that has admins; their mails are files."""

import os

from tests.settings import *  # noqa: F403

ADMINS = [("Ada", "ada@example.com")]
EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = os.environ["DJANGO_RESQUE_TEST_MAILS"]
