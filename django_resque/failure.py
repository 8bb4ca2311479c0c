"""A failure record: what is kept of a job that was not done.

Every program of the Resque family may have written one, each with times and fields of its own, and some write none of
it. `Failure.from_record` reads them all and never raises; `failure_record` writes the family's common form.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .errors import InvalidPayload
from .job import MAX_READABLE, Job, check_shape, digest, dump_json, json_members, load_json

KEPT_OF_A_LARGE_PAYLOAD = 2048
"""Bytes that a failure record keeps of a payload which is too large to be read."""
MANY_BRACKETS = 100
"""So many have to be in a record before it is worth while to see whether it is nested deeply."""

_FORMATS = (
    "%Y/%m/%d %H:%M:%S %z",  # Ruby and ours: 2026/11/20 13:21:45 UTC
    "%Y/%m/%d %H:%M:%S",  # node-resque's retries: 2026/11/20 13:21:45
    "%a %b %d %H:%M:%S %z %Y",  # PHP: Fri Nov 20 13:23:26 UTC 2026
    "%a %b %d %Y %H:%M:%S GMT%z",  # JavaScript: Fri Nov 20 2026 14:05:02 GMT+0000 (Coordinated Universal Time)
)
_OURS = re.compile(r"([0-9]{4})/([0-9]{2})/([0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2}) UTC")
"""The first of these formats, read thirty times as fast."""
_LOCAL_FORMAT = "%a %b %d %H:%M:%S %Z %Y"  # PHP where it has another time zone: Fri Nov 20 14:23:26 CET 2026


@dataclass(frozen=True, slots=True)
class Failure:
    """One record of the failed list.

    ``raw`` are its exact bytes, which identify it. ``failed_at`` is an aware datetime or None, ``job`` is None when the
    payload is not a job. ``extra`` holds what only we write, such as ``output``.
    """

    raw: bytes
    failed_at: datetime | None
    job: Job | None
    exception: str
    error: str
    backtrace: Sequence[str]
    worker: str
    queue: str
    extra: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """The SHA-1 of its bytes, by which addresses and command lines name it."""
        return digest(self.raw)

    @property
    def is_unreadable(self) -> bool:
        """Whether it is no JSON object, or an empty one: then its beginning stands for the error."""
        return self.job is None and self.error == _beginning(self.raw)

    @property
    def is_ours(self) -> bool:
        """Whether a worker of ours has written it."""
        return "~" in self.worker.partition(":")[0]

    @property
    def job_id(self) -> str:
        """The id of its job, where the record tells it; a job without one is given another each time it is read."""
        return self.job.id if self.job is not None and self.job.id.encode() in self.raw else ""

    @classmethod
    def from_record(cls, raw: bytes) -> Failure:
        """Read a record, whatever it is."""
        try:
            found = json.loads(raw)
        except (ValueError, RecursionError):
            found = None
        record: Mapping[str, Any] = found if isinstance(found, dict) else {}
        queue = text_in(record.get("queue"))
        backtrace = record.get("backtrace")
        known = ("failed_at", "payload", "exception", "error", "backtrace", "worker", "queue")
        return cls(
            raw=raw,
            failed_at=parse_time(record.get("failed_at")),
            job=_job(raw, record.get("payload"), queue),
            exception=text_in(record.get("exception")),
            error=text_in(record.get("error")) if record else _beginning(raw),
            backtrace=[text_in(line) for line in backtrace] if isinstance(backtrace, list) else [],
            worker=text_in(record.get("worker")),
            queue=queue,
            extra={key: value for key, value in record.items() if key not in known},
        )


def failure_record(
    *,
    payload: bytes,
    queue: str,
    worker: str,
    exception: str,
    error: str,
    backtrace: Sequence[str] = (),
    extra: Mapping[str, Any] | None = None,
    now: datetime,
) -> bytes:
    """A failure record as the whole family reads it, our ``extra`` keys last.

    The payload goes in as it is; one that is no JSON object is replaced by a stub that has its bytes in base64, because
    foreign pages fail on anything else.
    """
    before = dump_json({"failed_at": now.strftime("%Y/%m/%d %H:%M:%S UTC")})
    after = dump_json(
        {
            "exception": printable(exception),
            "error": printable(error),
            "backtrace": [printable(line) for line in backtrace],
            "worker": printable(worker),
            "queue": printable(queue),
            **{key: printable(value) if isinstance(value, str) else value for key, value in (extra or {}).items()},
        }
    )
    return b'%b,"payload":%b,%b' % (before[:-1], payload_object(payload), after[1:])


def payload_object(payload: bytes) -> bytes:
    """``payload``, when it is a JSON object; else a stub object that holds its bytes in base64.

    Of a payload above `MAX_READABLE` the stub holds the size, the SHA-1 and the first bytes alone.
    """
    stub: dict[str, Any] = {"class": "", "args": []}
    if len(payload) > MAX_READABLE:
        stub |= {"bytes": len(payload), "sha1": digest(payload)}
        return dump_json({**stub, "base64": _base64(payload[:KEPT_OF_A_LARGE_PAYLOAD])})
    try:
        if isinstance(load_json(payload), dict):
            return payload
    except InvalidPayload:
        pass
    return dump_json({**stub, "base64": _base64(payload)})


def shrunk(raw: bytes) -> bytes | None:
    """A record without its traceback and output, the rest of it to the byte; None when it has neither.

    ``backtrace`` stays, as an empty list: foreign pages fail without one.
    """
    try:
        members = json_members(raw)
    except InvalidPayload:
        return None
    kept = [(key, _shrunk_member(key, value)) for key, value in members if key != "output"]
    if kept == members:
        return None
    return b"{%b}" % b",".join(json.dumps(key).encode() + b":" + value for key, value in kept)


def _shrunk_member(key: str, value: bytes) -> bytes:
    return b"[]" if key == "backtrace" and value != b"null" else value


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def parse_time(value: object) -> datetime | None:
    """The time in any of the family's formats (a text, or unix seconds), aware, or None."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError):
            return None
    if not isinstance(value, str) or len(value) > 100:  # the expression below takes forever over a long one
        return None
    if ours := _OURS.fullmatch(value):
        value = "{}-{}-{}T{}".format(*ours.groups())
    text = re.sub(r"\s*\([^)]*\)$", "", value.strip())
    try:
        return _aware(datetime.fromisoformat(text))
    except ValueError:
        pass
    text = re.sub(r" (?:UTC|GMT)\b(?![+-])", " +0000", text)
    text = re.sub(r"( [+-]\d\d)(?!\S)", r"\g<1>00", text)  # PHP's name for a zone that has none
    for form in _FORMATS:
        try:
            return _aware(datetime.strptime(text, form))  # noqa: DTZ007  _aware adds the zone
        except ValueError:
            continue
    try:
        return datetime.fromtimestamp(time.mktime(time.strptime(text, _LOCAL_FORMAT)), UTC)
    except (ValueError, OverflowError):
        return None  # the name of a zone says something only where it is also this project's


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def printable(text: str) -> str:
    """``text`` without what UTF-8 cannot hold (lone surrogates)."""
    return text.encode("utf-8", "backslashreplace").decode()


def message_of(error: BaseException) -> str:
    """What ``error`` says, also when its class cannot say it."""
    try:
        return printable(str(error))
    except BaseException as second:  # a project's own __str__ may raise anything, SystemExit too
        return f"(its message could not be read: {type(second).__name__})"


def text_in(value: object) -> str:
    """What stands in a record where a text should stand."""
    if value is None:
        return ""
    try:
        return printable(value if isinstance(value, str) else json.dumps(value))
    except RecursionError:  # as deeply nested as can just be read
        return ""


def _beginning(raw: bytes) -> str:
    return str(raw[:2048], "utf-8", "backslashreplace")


def _job(raw: bytes, payload: object, queue: str) -> Job | None:
    if not isinstance(payload, dict) or is_extreme(raw, payload):
        return None
    try:
        return Job.from_mapping(payload, queue)
    except InvalidPayload:
        return None


def is_extreme(raw: bytes, payload: Any) -> bool:
    """Whether ``payload``, which stands in ``raw``, is one that no worker of ours would look into, such as a deeply
    nested one."""
    if raw.count(b"[") + raw.count(b"{") < MANY_BRACKETS:
        return False
    try:
        check_shape(payload)
    except InvalidPayload:
        return True
    return False
