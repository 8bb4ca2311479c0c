"""What a performer tells its dispatcher about a job."""

from __future__ import annotations

import json
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ..errors import CommandExited
from ..failure import message_of, printable

_MAX_ERROR = 16_000
_MAX_FRAMES = 60
_MAX_LINES = 240
_MAX_LINE = 1_000


@dataclass(frozen=True, slots=True)
class Report:
    """The end of one job, by its ``token``.

    ``exception`` is the class name, empty when the job is done; ``error`` its message and ``backtrace`` its traceback,
    a line each. ``exit_status`` is what a command gave to ``sys.exit()``. ``leaving``: the performer takes no more.
    """

    token: str
    exception: str = ""
    error: str = ""
    backtrace: Sequence[str] = ()
    exit_status: str = ""
    leaving: bool = False

    @classmethod
    def of_failure(cls, token: str, error: BaseException, *, leaving: bool) -> Report:
        """What ``error`` was, short enough to be sent and kept."""
        return cls(
            token,
            exception=type(error).__name__,
            error=message_of(error)[:_MAX_ERROR],
            backtrace=_backtrace(error),
            exit_status=str(error.status)[:_MAX_LINE] if isinstance(error, CommandExited) else "",
            leaving=leaving,
        )

    def dump(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def load(cls, packet: bytes) -> Report:
        return cls(**json.loads(packet))


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
