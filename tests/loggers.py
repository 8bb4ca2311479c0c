"""Our logger as tests want it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django_resque import log


@contextmanager
def nothing_configured() -> Iterator[None]:
    """Our logger as it is when the project has said nothing about it, and pytest neither."""
    logger = log.logger
    before = logger.propagate, logger.handlers, logger.filters, logger.disabled, logger.level
    logger.propagate, logger.handlers, logger.filters, logger.disabled = False, [], [], False
    try:
        yield
    finally:
        for handler in logger.handlers:
            handler.close()
        logger.propagate, logger.handlers, logger.filters, logger.disabled = before[:4]
        logger.setLevel(before[4])


class Kept(logging.Handler):
    """A handler of the project's, which keeps what it receives."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
