"""`tests.settings` with log handlers: one that all records go to, and one that nothing goes to unless it is named."""

import os

from tests.settings import *  # noqa: F403

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "django_resque.log_format.JsonFormatter"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler"},
        "extra": {
            "class": "logging.handlers.WatchedFileHandler",
            "filename": os.path.join(os.environ["DJANGO_RESQUE_TEST_LOGS"], "extra.log"),
            "formatter": "json",
        },
    },
    "root": {"handlers": ["console"], "level": "WARNING"},
}
