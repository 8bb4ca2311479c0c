"""What a performer tells its dispatcher about a job."""

from __future__ import annotations

import json
import math
import traceback
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..errors import CommandExited
from ..failure import message_of, printable

_MAX_ERROR = 16_000
_MAX_FRAMES = 60
_MAX_LINES = 240
_MAX_LINE = 1_000


class Progress(NamedTuple):
    """How far the job of this ``token`` has come: JSON, a list of done, total and message."""

    token: str
    progress: bytes

    def dump(self) -> bytes:
        return b"~%b\n%b" % (self.token.encode(), self.progress)

    @classmethod
    def load(cls, packet: bytes) -> Progress:
        """Raises `ValueError` for what `dump` has not made."""
        token, found = packet[1:].decode().split("\n", 1)
        progress = _read_json(found)
        if not isinstance(progress, list) or len(progress) != 3:
            raise ValueError("this is no progress")
        return cls(token, found.encode())


class Report(NamedTuple):
    """The end of one job, by its ``token``.

    ``exception`` is the class name, empty when the job is done; ``error`` its message and ``backtrace`` its traceback,
    a line each. ``exit_status`` is what a command gave to ``sys.exit()``. ``retry``: it is to be tried again after so
    many seconds. ``result`` is JSON, empty for none; ``outcome`` a word for a special end. ``leaving``: the performer
    takes no more. ``duration`` is how many seconds the command took, ``output_end`` where what it wrote ends in the
    output file.
    """

    token: str
    exception: str = ""
    error: str = ""
    backtrace: Sequence[str] = ()
    exit_status: str = ""
    leaving: bool = False
    duration: float = 0.0
    output_end: int = 0
    retry: float | None = None
    result: bytes = b""
    outcome: str = ""

    @classmethod
    def of_failure(
        cls,
        token: str,
        error: BaseException,
        *,
        leaving: bool,
        duration: float = 0.0,
        output_end: int = 0,
        retry: float | None = None,
    ) -> Report:
        """What ``error`` was, short enough to be sent and kept."""
        return cls(
            token,
            exception=type(error).__name__,
            error=message_of(error)[:_MAX_ERROR],
            backtrace=_backtrace(error),
            exit_status=str(error.status)[:_MAX_LINE] if isinstance(error, CommandExited) else "",
            leaving=leaving,
            duration=duration,
            output_end=output_end,
            retry=retry,
        )

    def dump(self) -> bytes:
        """Six lines; then the result, or, after an empty one, a failure as JSON."""
        retry = "" if self.retry is None else f"{self.retry:.6f}"
        header = f"{self.token}\n{self.duration:.6f}\n{self.leaving:d}\n{self.output_end}\n{retry}\n{self.outcome}\n"
        if not self.exception:
            return header.encode() + self.result
        return (
            f"{header}\n".encode() + json.dumps([self.exception, self.error, self.backtrace, self.exit_status]).encode()
        )

    @classmethod
    def load(cls, packet: bytes) -> Report:
        """Raises `ValueError` for what `dump` has not made."""
        token, seconds, leaving, end, retry, outcome, rest = packet.decode().split("\n", 6)
        duration, output_end = float(seconds), int(end)
        if not 0 <= output_end < 1 << 62 or not 0 <= duration < math.inf or leaving not in ("0", "1"):
            raise ValueError("this is no report")
        delay = float(retry) if retry else None
        if (delay is not None and not 0 <= delay < math.inf) or len(outcome) > _MAX_LINE:
            raise ValueError("this is no report")
        if not rest.startswith("\n"):
            if rest:
                _read_json(rest)
            result = rest.encode()
            return cls(token, "", "", (), "", leaving == "1", duration, output_end, delay, result, outcome)
        exception, error, backtrace, exit_status = _read_failure(rest)
        return cls(token, exception, error, backtrace, exit_status, leaving == "1", duration, output_end, delay)


def _read_json(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nothing of ours is nested so deeply") from error


def _read_failure(text: str) -> list[Any]:
    found = _read_json(text)
    if not isinstance(found, list) or list(map(type, found)) != [str, str, list, str] or not found[0]:
        raise ValueError("this is no report")
    if any(type(line) is not str for line in found[2]):
        raise ValueError("this is no report")
    return found


def _backtrace(error: BaseException) -> list[str]:
    try:
        text = "".join(traceback.format_exception(error, limit=-_MAX_FRAMES))
    except BaseException as second:  # __str__ and __repr__ of the project's own classes run in here
        text = f"(the traceback could not be formatted: {type(second).__name__})"
    lines = [line[:_MAX_LINE] for line in printable(text).splitlines()]
    if len(lines) <= _MAX_LINES:
        return lines
    half = _MAX_LINES // 2  # the first cause stands first, and so does the traceback when the message has many lines
    return [*lines[:half], f"… {len(lines) - 2 * half:,} lines left out …", *lines[-half:]]
