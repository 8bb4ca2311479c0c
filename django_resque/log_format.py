"""How records look: as lines for people, or as JSON lines for programs.

Nothing here makes a logger, so that a project's ``LOGGING`` may name ``django_resque.log_format.JsonFormatter``: a
logger that exists before ``LOGGING`` has taken effect would be switched off by ``disable_existing_loggers``.
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
from collections.abc import Mapping
from typing import Any

from .job import UNPRINTABLE

OUTPUT_LOGGER = "django_resque.output"
"""The ``logger`` in JSON lines that hold what a command has written."""

_UNPRINTABLE = re.compile(f"[{UNPRINTABLE}]")
_ATTRIBUTES = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})
"""What every record has; the others were given to it as ``extra``."""

_worker = ""


def name_worker(name: str) -> None:
    """From now on JSON lines of this process, and of those forked from it, say that this is their worker process."""
    global _worker
    _worker = name


def clean(text: str) -> str:
    """``text`` with control characters and marks that turn the direction of writing escaped, on one line."""
    if _is_clean(text):
        return text
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def clean_line(text: str) -> str:
    """`clean`, with tabs left as they are."""
    return "\t".join(map(clean, text.split("\t")))


def _is_clean(text: str) -> bool:
    return text.isascii() and text.isprintable()


class LineFormatter(logging.Formatter):
    """Time, level and message; a traceback follows on lines of its own. Escapes what a terminal would obey."""

    _second, _time = 0, ""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if _is_clean(text) else "\n".join(map(clean_line, text.split("\n")))

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802  its base's name
        second = int(record.created)
        if second != self._second:
            self._second, self._time = second, time.strftime(self.default_time_format, self.converter(second))
        return f"{self._time},{record.msecs:03.0f}"


class JsonFormatter(logging.Formatter):
    """One JSON object on one line for each record, in ASCII.

    It has ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message`` and ``pid``; ``worker`` in a worker process;
    whatever the record was given as ``extra``, such as ``job_id``, ``command``, ``queue`` and ``duration``; and
    ``exception``, a traceback, where there is one.
    """

    def format(self, record: logging.LogRecord) -> str:
        line = _line(record.created, record.levelname, record.name, record.process)
        line["message"] = record.getMessage()
        line.update(
            (key, _plain(value)) for key, value in vars(record).items() if key not in _ATTRIBUTES and key not in line
        )
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = self.formatException(record.exc_info)
        elif record.exc_text:  # a record from another process, whose exception has been made text
            line["exception"] = record.exc_text
        return json.dumps(line)


def output_as_lines(job_id: str, text: bytes) -> bytes:
    """Lines that a command has written, the last one without its end, as they are copied: each with the job's id."""
    begin = f"[{job_id}] ".encode("utf-8", "backslashreplace")
    if text.translate(None, _PLAIN):  # else the lines need not be looked at one by one, and there may be many
        text = "\n".join(map(clean_line, _decoded(text))).encode("utf-8", "backslashreplace")
    return begin + text.replace(b"\n", b"\n" + begin) + b"\n"


def output_as_json(job_id: str, text: bytes, pid: int) -> bytes:
    """The same as JSON lines; ``pid`` is the process that copies them."""
    line = _line(time.time(), "INFO", OUTPUT_LOGGER, pid) | {"job_id": job_id}
    begin = json.dumps(line)[:-1] + ', "message": '
    return "".join(f"{begin}{json.dumps(message)}}}\n" for message in _decoded(text)).encode()


_PLAIN = bytes(range(0x20, 0x7F)) + b"\t\n"
"""The bytes that are written as they are."""


def _decoded(text: bytes) -> list[str]:
    return [line.decode("utf-8", "replace").rstrip("\r") for line in text.split(b"\n")]


def _line(when: float, level: str, logger: str, pid: int | None) -> dict[str, Any]:
    second, fraction = divmod(when, 1)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
    named: Mapping[str, Any] = {"worker": _worker} if _worker else {}
    return {"time": f"{stamp}.{int(fraction * 1000):03d}+00:00", "level": level, "logger": logger, "pid": pid, **named}


def _plain(value: object) -> object:
    """What JSON has a form for as it is, anything else as text."""
    if value is None or isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)
