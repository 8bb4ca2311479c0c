"""Which failures are meant."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ..failure import Failure

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")
"""What stands in JSON as it is, whoever writes it: without an escape, and not as another number."""


@dataclass(frozen=True, slots=True)
class FailureFilter:
    """Which failures are meant: those that fit everything that is said here.

    ``command``: empty for those without a job that could be read. ``exception``: the name of a class, with or without
    what stands before its last ``.`` ``:`` or ``\\``; ``exactly``: all that the record gives for one. ``since``: an
    aware datetime; what has no time that could be read is left out. ``text`` is looked for, whatever its case, in what
    the record says, arguments and backtrace included; where a reader is shown something else, as ``shown`` gives it, in
    that alone: not even the time that it takes depends on what is hidden.
    """

    command: str | None = None
    exception: str | None = None
    since: datetime | None = None
    queue: str | None = None
    text: str | None = None
    exactly: str | None = None
    shown: Callable[[Failure], str] | None = None

    def __call__(self, failure: Failure) -> bool:
        command = "" if failure.job is None else failure.job.command
        return self.fits(command, failure.exception, failure.queue, failure.failed_at) and self._says(failure)

    def fits(self, command: str, exception: str, queue: str, failed_at: datetime | None) -> bool:
        """The same but for ``text``."""
        return (
            (self.command is None or command == self.command)
            and (self.queue is None or queue == self.queue)
            and (self.exactly is None or exception == self.exactly)
            and (self.exception is None or _is_called(exception, self.exception))
            and (self.since is None or (failed_at is not None and failed_at >= self.since))
        )

    def _says(self, failure: Failure) -> bool:
        if self.text is None:
            return True
        return self.text.casefold() in (self.shown or text_of)(failure).casefold()

    def may_be_in(self, raw: bytes) -> bool:
        """Whether it is worth while to read this record, which costs ten times as much."""
        if b"\\u" in raw:  # its texts may be written in more than one way
            return True
        return all(
            longest.encode() in raw
            for word in (self.command, self.exception, self.exactly, self.queue)
            if word and (longest := _longest(word))
        ) and (not self.text or self.shown is not None or _folded(self.text).encode() in _folded_record(raw))


def _longest(text: str) -> str:
    return max(_WORD.findall(text), key=len, default="")


def _folded(text: str) -> str:
    return _longest(text.casefold())


def _folded_record(raw: bytes) -> bytes:
    return raw.lower() if raw.isascii() else str(raw, "utf-8", "replace").casefold().encode()


def _is_called(exception: str, name: str) -> bool:
    return exception == name or re.split(r"[.:\\]", exception)[-1] == name


def text_of(failure: Failure) -> str:
    """What a record says, as one text in which something is looked for."""
    job = failure.job
    said = [failure.exception, failure.error, failure.queue, failure.worker, *failure.backtrace]
    if job is not None:
        options = (f"--{name}={value}" for name, value in job.options.items())
        said.append(" ".join([job.command, *map(str, job.args), *options]))  # more or less as one types it
        said += failure.job_id, json.dumps([*job.args, job.options], ensure_ascii=False)
    return "\n".join(said)
