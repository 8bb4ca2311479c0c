"""`tests.settings` with a log handler that raises, whatever it is given."""

import logging

from tests.settings import *  # noqa: F403


class Broken(logging.Handler):
    """A handler with a bug."""

    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError("this handler is broken")


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"broken": {"()": Broken}},
    "loggers": {"django_resque": {"handlers": ["broken"], "level": "DEBUG"}},
}
