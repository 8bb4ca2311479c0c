"""Where the records of our logger go: to standard error, to a file, to one handler, or where ``LOGGING`` says."""

from __future__ import annotations

import logging
import logging.config
import os
import re
import select
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from logging.handlers import WatchedFileHandler
from typing import Any, TextIO

from django.conf import settings
from django.utils.log import DEFAULT_LOGGING, AdminEmailHandler, RequireDebugFalse

from .errors import ConfigurationError
from .hint import did_you_mean
from .log_format import JsonFormatter, LineFormatter

logger = logging.getLogger("django_resque")

_PLACEHOLDER = re.compile(r"\{(.*?)\}")


def level_of(verbosity: int) -> int:
    """The level that Django's ``-v`` stands for: 0 shows warnings, 1 what was done, 2 and more everything."""
    return {0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)


def project_decides() -> bool:
    """Whether the project's ``LOGGING`` says where our records go."""
    return any(not isinstance(handler, (_StderrHandler, LogFile)) for handler in _handlers())


def to_stderr(level: int, *, as_json: bool = False, stream: TextIO | None = None) -> None:
    """Log to stderr from ``level`` on."""
    _remove_ours()
    handler = _StderrHandler(stream or sys.stderr)
    handler.setFormatter(_formatter(as_json))
    logger.addHandler(handler)
    logger.setLevel(level)


def to_file(path: str, level: int, *, as_json: bool = False) -> None:
    """Log to the file ``path`` from ``level`` on. Handlers of ``LOGGING`` receive what they have received before.

    In ``path``, ``{pid}`` and ``{host}`` stand for this process and machine. Raises `ConfigurationError` when it cannot
    be written.
    """
    _remove_ours()
    file = _open(_filled_in(path))
    file.setLevel(level)
    file.setFormatter(_formatter(as_json))
    logger.disabled = False  # as LOGGING leaves it that disables the loggers that are there, which is its default
    if project_decides():
        theirs = logger.getEffectiveLevel()
        logger.addFilter(_OnlyToFile(file, theirs))
        level = min(level, theirs)
    logger.addHandler(file)
    logger.setLevel(level)


def to_handler(name: str, level: int) -> None:
    """Log to the handler of the project's ``LOGGING`` with this name, from ``level`` on, and to no other.

    Raises `ConfigurationError` when there is none, or it cannot be made.
    """
    handler = _attached_handlers().get(name) or _made_handler(name)
    _remove_ours()
    logger.handlers[:] = [handler]
    logger.propagate = logger.disabled = False
    logger.setLevel(level)


def file_in_use() -> LogFile | None:
    """The file that `to_file` has opened."""
    return next((handler for handler in logger.handlers if isinstance(handler, LogFile)), None)


def path_in_use() -> str:
    """The absolute path of the file that `to_file` has opened; empty when it has opened none."""
    file = file_in_use()
    return file.baseFilename if file is not None else ""


def writes_json() -> bool:
    """Whether the lines that we write ourselves, to stderr or a file, are JSON."""
    return any(
        isinstance(handler, (_StderrHandler, LogFile)) and isinstance(handler.formatter, JsonFormatter)
        for handler in logger.handlers
    )


def mail_failures_to_admins() -> None:
    """Mail ERROR records to ``ADMINS`` as Django does with errors of requests: unless the project's ``LOGGING`` says
    where our records go, and never with ``DEBUG`` on.

    For performers: in the dispatcher a slow mail server would keep all jobs waiting.
    """
    if logger.handlers and not project_decides():
        mailer = AdminEmailHandler()
        mailer.setLevel(logging.ERROR)
        mailer.addFilter(RequireDebugFalse())
        logger.addHandler(mailer)


def has_room(stream: TextIO | int) -> bool:
    """Whether something can be written without waiting for somebody to read."""
    try:
        return bool(select.select([], [stream], [], 0)[1])
    except (OSError, ValueError):
        return True  # no descriptor, or a closed one: it will not wait


class LogFile(WatchedFileHandler):
    """Appends to a file that may be renamed or deleted at any time, by whatever process: before each write it is looked
    whether the path still leads to the same file, and a new one is made if not.

    Dispatcher and performers write to it, each record in one piece. What it does not take goes to stderr.
    """

    def __init__(self, path: str) -> None:
        self._complained = False
        super().__init__(path, encoding="utf-8")

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # the arguments of a project's own records may not fit its words
            self.handleError(record)
        else:
            self.write(line.encode("utf-8", "backslashreplace") + b"\n")

    def write(self, data: bytes) -> None:
        """Append ``data``, whole lines."""
        self.acquire()
        try:
            file = self._open_file().fileno()
            while data:
                data = data[os.write(file, data) :]
            self._complained = False
        except OSError as error:
            self._complain(error, data)
        finally:
            self.release()

    def reopen(self) -> None:
        """Close the file, and open the one that the path leads to now."""
        self.acquire()
        try:
            stream, self.stream = self.stream, None
            if stream is not None:
                stream.close()
            self._open_file()
        except OSError as error:
            self._complain(error)
        finally:
            self.release()

    def _open(self) -> Any:
        os.makedirs(os.path.dirname(self.baseFilename), exist_ok=True)
        return super()._open()

    def _open_file(self) -> TextIO:
        """The file that the path leads to."""
        self.reopenIfNeeded()
        if self.stream is None:  # it could not be opened the last time
            self.stream = self._open()
            self._statstream()
        return self.stream

    def _complain(self, error: OSError, data: bytes = b"") -> None:
        """Say once that the file cannot be written, and write to stderr what should have gone there."""
        text = data.decode("utf-8", "replace")
        if not self._complained:
            text = f"The log {self.baseFilename} cannot be written: {error.strerror}. It goes on here.\n{text}"
        self._complained = True
        with suppress(OSError, ValueError):
            if has_room(sys.stderr):
                sys.stderr.write(text)
                sys.stderr.flush()


class _StderrHandler(logging.StreamHandler[TextIO]):
    """The handler of a project that configures none. Where nobody reads stderr, it leaves records out."""

    def emit(self, record: logging.LogRecord) -> None:
        if has_room(self.stream):
            super().emit(record)


class _OnlyToFile(logging.Filter):
    """Lets records below a level reach the file, and no handler of ``LOGGING``, which did not ask for them."""

    def __init__(self, file: LogFile, theirs: int) -> None:
        super().__init__()
        self._file = file
        self._theirs = theirs

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= self._theirs:
            return True
        if record.levelno >= self._file.level:
            self._file.handle(record)
        return False


def _formatter(as_json: bool) -> logging.Formatter:
    return JsonFormatter() if as_json else LineFormatter()


def _handlers() -> Iterator[logging.Handler]:
    """All that receive our records."""
    current: logging.Logger | None = logger
    while current is not None:
        yield from current.handlers
        current = current.parent if current.propagate else None


def _remove_ours() -> None:
    for handler in [*logger.handlers]:
        if isinstance(handler, (_StderrHandler, LogFile)):
            logger.removeHandler(handler)
            handler.close()
    for filter_ in [*logger.filters]:
        if isinstance(filter_, _OnlyToFile):
            logger.removeFilter(filter_)


# -- the file ----------------------------------------------------------------------------------------------------------


def _filled_in(path: str) -> str:
    values = {"pid": str(os.getpid()), "host": socket.gethostname()}

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name not in values:
            raise ConfigurationError(
                f"{found[0]} in the path of the log stands for nothing{did_you_mean(name, values)}:"
                " there are {pid}, the process of the worker, and {host}"
            )
        return values[name]

    return os.path.abspath(os.path.expanduser(_PLACEHOLDER.sub(value, path)))


def _open(path: str) -> LogFile:
    with suppress(OSError):
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise ConfigurationError(
                f"The log {path} is a folder: name a file in it, such as {os.path.join(path, 'resque-{pid}.log')}"
            )
        if not stat.S_ISREG(mode):  # a pipe would have to be read by somebody, and cannot be opened anew
            raise ConfigurationError(
                f"The log {path} is not a regular file: name one, or none at all to log to standard error"
            )
    try:
        return LogFile(path)
    except OSError as error:
        raise ConfigurationError(
            f"The log {path} cannot be written: {error.strerror} ({error.filename}). Name a file in a folder in which"
            " the user that runs the worker may write, or give that user the right to"
        ) from error


# -- handlers of LOGGING -----------------------------------------------------------------------------------------------


def _attached_handlers() -> dict[str, logging.Handler]:
    """The handlers that some logger has, by name."""
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    return {
        handler.name: handler
        for one in loggers
        if isinstance(one, logging.Logger)
        for handler in one.handlers
        if handler.name
    }


def _made_handler(name: str) -> logging.Handler:
    """The handler of this name, which no logger has, so that logging has made and forgotten it."""
    attached = _attached_handlers()
    for declared in (settings.LOGGING, DEFAULT_LOGGING):
        if name in declared.get("handlers", {}):
            break
    else:
        known = sorted({*attached, *settings.LOGGING.get("handlers", {}), *DEFAULT_LOGGING["handlers"]})
        raise ConfigurationError(
            f"LOGGING has no handler {name!r}{did_you_mean(name, known)}; it has {', '.join(known)}"
        )
    parts: dict[str, Any] = {
        "version": 1,
        "formatters": {**declared.get("formatters", {})},
        "filters": {**declared.get("filters", {})},
        "handlers": {**declared["handlers"], **attached},
    }
    try:
        making: Any = logging.config.dictConfigClass(parts)
        for kind, make in (("formatters", making.configure_formatter), ("filters", making.configure_filter)):
            for key, given in making.config[kind].items():
                making.config[kind][key] = make(given)
        handler: logging.Handler = making.configure_handler(making.config["handlers"][name])
    except Exception as error:  # a handler may raise anything, and so may what it imports
        reason = error.__cause__ or error
        raise ConfigurationError(
            f"The handler {name!r} of LOGGING cannot be made: {type(reason).__name__}: {reason}"
        ) from error
    handler.name = name
    return handler
