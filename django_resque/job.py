"""A job, and the payload that it is on the wire.

The format is Resque's: ``{"class": …, "args": […], "id": …, "queue_time": …}``. Every member of the family writes
``args`` in a shape of its own; ``Job.from_payload`` reads them all, ``Job.payload`` writes one.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeGuard

from .errors import InvalidPayload, InvalidQueue

MAX_PAYLOAD = 512 * 1024
"""Largest payload that is enqueued, in bytes."""
MAX_READABLE = 5_000_000
"""Largest payload that is looked into, in bytes, whoever wrote it."""
MAX_INTEGER = 2**53
"""Integers beyond ± this are rounded by JavaScript and Lua readers (IEEE 754 doubles)."""
MAX_DEPTH = 32
MAX_NODES = 10_000

UNPRINTABLE = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
"""In a regular expression's brackets: control characters, marks that turn the direction of writing, half surrogates."""
_QUEUE_NAME = re.compile(rf"[^\s:,*?!\[\]{UNPRINTABLE}]{{1,100}}")
_ID = re.compile(r"[!-9;-~]{1,100}")
_PHP_INDEX = re.compile(r"0|[1-9][0-9]{0,4}")
_OWN_KEYS = ("class", "args", "id", "queue_time")
RESERVED = "_resque"
"""The option under which a delayed job carries its id and its limits: other programs' schedulers hand on class and
arguments alone. No option of a command may have this name."""


def new_id() -> str:
    """A job id: 32 random hexadecimal digits."""
    return os.urandom(16).hex()


def check_queue(name: str) -> str:
    """``name``, when it can be a queue; raises `InvalidQueue` when it cannot.

    Foreign boards take a worker's id apart at ``:`` and ``,``, and ``*``, ``?``, ``[…]`` and ``!`` select queues on a
    worker's command line, so a name holds none of them, nor white space or control characters.
    """
    if not isinstance(name, str) or not _QUEUE_NAME.fullmatch(name):
        raise InvalidQueue(
            f"{name!r} cannot be the name of a queue: use 1 to 100 characters other than white space and : , * ? ! [ ]"
        )
    return name


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A command line waiting for, or at, its execution.

    ``args`` are the positional arguments and ``options`` the named ones, as they are in JSON. ``enqueued_at`` is a unix
    time in seconds. ``extra`` holds the payload's other top-level keys, which are kept as they came.
    """

    command: str
    args: Sequence[Any] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    queue: str = "default"
    id: str = field(default_factory=new_id)
    enqueued_at: float = field(default_factory=time.time)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def payload(self) -> bytes:
        """The job as it stands in its queue, UTF-8 encoded JSON.

        Raises `InvalidPayload` for what JSON, or some reader in the family, cannot hold.
        """
        return self._payload(self.options, self.extra)

    def delayed_item(self) -> bytes:
        """The job as it stands among the delayed ones, until it is pushed as it is: a payload that names its queue.

        Raises `InvalidPayload` as `payload`.
        """
        return self._payload({**self.options, RESERVED: {"id": self.id, **self.extra}}, {"queue": self.queue})

    def _payload(self, options: Mapping[str, Any], extra: Mapping[str, Any]) -> bytes:
        slot = [*self.args, options] if options else list(self.args)
        payload = {"class": self.command, "args": [slot], "id": self.id, "queue_time": self.enqueued_at, **extra}
        check_values(payload)
        return dump_json(payload, limit=MAX_PAYLOAD)

    @classmethod
    def from_payload(cls, raw: bytes, queue: str, *, otherwise_id: str | None = None) -> Job:
        """Read a payload that any member of the Resque family may have written.

        Raises `InvalidPayload` when it is not one. ``otherwise_id`` (default: a new one) replaces a missing or unusable
        id.
        """
        payload = load_json(raw)
        if not isinstance(payload, dict):
            raise InvalidPayload("The payload is not a JSON object")
        return cls.from_mapping(payload, queue, otherwise_id=otherwise_id)

    @classmethod
    def from_mapping(cls, payload: Mapping[str, Any], queue: str, *, otherwise_id: str | None = None) -> Job:
        """The same as `from_payload` for JSON that has been read already, as inside a failure record."""
        command = payload.get("class")
        if not isinstance(command, str) or not command:
            raise InvalidPayload('The payload names no command: "class" must be a text')
        args, options = _read_arguments(payload.get("args"))
        carried: Mapping[str, Any] = {}
        if RESERVED in options:
            options = dict(options)
            found = options.pop(RESERVED)
            carried = found if isinstance(found, dict) else {}
        job_id = carried.get("id", payload.get("id"))  # the id of today's payload may be another scheduler's
        enqueued_at = payload.get("queue_time")
        return cls(
            command=command,
            args=args,
            options=options,
            queue=queue,
            id=job_id if isinstance(job_id, str) and _ID.fullmatch(job_id) else otherwise_id or new_id(),
            enqueued_at=float(enqueued_at) if _is_number(enqueued_at) else 0.0,
            # what a failed attempt has changed stands outside
            extra={key: value for key, value in {**carried, **payload}.items() if key not in _OWN_KEYS},
        )

    @property
    def status_id(self) -> str:
        """What stands between ``job:`` and ``:status`` in the key of this job's status (php-resque prefixes it)."""
        prefix = self.extra.get("prefix")
        return f"{prefix}_{self.id}" if isinstance(prefix, str) and _ID.fullmatch(prefix) else self.id

    def __eq__(self, other: object) -> bool:
        """Whether it is the same job, whatever else the other's class can do."""
        if not isinstance(other, Job):
            return NotImplemented
        return all(getattr(self, item.name) == getattr(other, item.name) for item in fields(Job))

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return f"{self.command} ({self.id})"


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < MAX_INTEGER


def _read_arguments(args: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The positional arguments and options in a payload's ``args``, whichever program wrote them."""
    if args is None:
        return (), {}
    if isinstance(args, dict):
        return _read_php_object(args)
    if not isinstance(args, list):
        raise InvalidPayload('"args" must be a list')
    if len(args) == 1:
        (only,) = args
        if only is None:
            return (), {}
        if isinstance(only, dict):
            return _read_php_object(only)
        if isinstance(only, list):
            args = only
    return _split_options(args)


def _split_options(slot: list[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A list of arguments, in which an object at the end holds the options."""
    if slot and isinstance(slot[-1], dict):
        return tuple(slot[:-1]), slot[-1]
    return tuple(slot), {}


def _read_php_object(arguments: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """PHP writes a list with holes or names as an object; ``{"0": …, "1": …}`` are positional arguments.

    Our own options are among them when a PHP scheduler has added names to the list of our arguments.
    """
    numbered = {int(key): value for key, value in arguments.items() if _PHP_INDEX.fullmatch(key)}
    if not numbered:
        return (), dict(arguments)
    named = {
        key: value for key, value in arguments.items() if not _PHP_INDEX.fullmatch(key) and key not in ("s_time", "id")
    }
    positional, options = _split_options([numbered[index] for index in sorted(numbered)])
    return positional, {**options, **named}


# -- JSON, strictly ----------------------------------------------------------------------------------------------------


def dump_json(value: Any, *, limit: int | None = None) -> bytes:
    """Compact UTF-8 JSON. Raises `InvalidPayload` for what JSON cannot hold and above ``limit`` bytes."""
    try:
        raw = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidPayload(
            "A text among the arguments holds half of a surrogate pair and cannot be written as UTF-8"
        ) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidPayload(f"The arguments cannot be written as JSON: {error}") from error
    if limit is not None and len(raw) > limit:
        raise InvalidPayload(
            f"The job's payload has {len(raw):,} bytes, the limit is {limit:,}: store the data and pass its key or path"
        )
    return raw


def load_json(raw: bytes) -> Any:
    """Read JSON that anybody may have written. Raises `InvalidPayload` when it is not JSON, or ambiguous or extreme."""
    if len(raw) > MAX_READABLE:
        raise InvalidPayload(
            f"The payload has {len(raw):,} bytes, more than {MAX_READABLE:,} are not read (SHA-1 {digest(raw)})"
        )
    try:
        text = raw.decode()
        value = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # finds escaped lone surrogates
        check_shape(value)
    except UnicodeDecodeError as error:
        raise InvalidPayload(f"The payload is not UTF-8: {error.reason} at byte {error.start}") from error
    except UnicodeEncodeError as error:
        raise InvalidPayload("The payload holds half of a surrogate pair") from error
    except (ValueError, RecursionError) as error:
        raise InvalidPayload(f"The payload is not valid JSON: {error}") from error
    return value


def json_members(raw: bytes) -> list[tuple[str, bytes]]:
    """The keys of a JSON object, each with its value's exact bytes; what is in the values may be ambiguous or extreme.

    Raises `InvalidPayload` when ``raw`` is anything else.
    """
    try:
        return _members(raw.decode())
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise InvalidPayload(f"This is not a JSON object: {error}") from error


def _members(text: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    at = _expect("{", text, 0)
    if text[at : at + 1] == "}":
        _expect_end(text, _expect("}", text, at))
        return found
    while True:
        key, at = _VALUE.raw_decode(text, at)
        if not isinstance(key, str):
            raise ValueError("a key is not a text")
        start = _expect(":", text, _behind_space(text, at))
        _value, at = _VALUE.raw_decode(text, start)
        found.append((key, text[start:at].encode()))
        at = _behind_space(text, at)
        if text[at : at + 1] == "}":
            _expect_end(text, _expect("}", text, at))
            return found
        at = _expect(",", text, at)


_VALUE = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")


def _behind_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _expect(mark: str, text: str, at: int) -> int:
    """Where the next thing begins behind ``mark``, which stands at ``at`` but for white space."""
    at = _behind_space(text, at)
    if not text.startswith(mark, at):
        raise ValueError(f"{mark} expected at character {at}")
    return _behind_space(text, at + 1)


def _expect_end(text: str, at: int) -> None:
    if at != len(text):
        raise ValueError(f"more behind the object at character {at}")


def for_another_attempt(raw: bytes, failed: int, history: Sequence[Mapping[str, Any]]) -> bytes:
    """The payload ``raw`` of a job of which ``failed`` attempts have failed, as told by ``history``; nothing else in it
    changes. Without any it is as it was before the first. Raises `InvalidPayload` when it is no JSON object."""
    members = [(key, value) for key, value in json_members(raw) if key not in ("attempt", "history")]
    if failed:
        members += ("attempt", b"%d" % failed), ("history", dump_json(list(history)))
    return b"{%b}" % b",".join(dump_json(key) + b":" + value for key, value in members)


def digest(raw: bytes) -> str:
    """The SHA-1 of ``raw``, by which a payload can be told from others without keeping it."""
    return hashlib.sha1(raw, usedforsecurity=False).hexdigest()


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidPayload("The payload has the same key twice in one object")
    return found


def _refuse_constant(name: str) -> None:
    raise InvalidPayload(f"The payload holds {name}, which is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)


def check_values(values: Iterable[Any]) -> None:
    """Raise `InvalidPayload` for a value that some reader of payloads would not get as it was written."""
    for value in check_shape(values):
        if isinstance(value, int) and not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise InvalidPayload(
                f"The integer {value} is beyond ±2^53 and would be rounded by other readers: pass it as text"
            )


def check_shape(value: Any) -> list[Any]:
    """The scalars in ``value``; raises `InvalidPayload` above `MAX_DEPTH`, above `MAX_NODES`, for NaN and Infinity."""
    scalars: list[Any] = []
    level, nodes = [value], 1
    for _depth in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, (list, tuple)):
                below.extend(item)
            elif isinstance(item, float) and not math.isfinite(item):
                raise InvalidPayload(f"{item} cannot be written as JSON: pass None or a text")
            else:
                scalars.append(item)
        if not below:
            return scalars
        nodes += len(below)
        if nodes > MAX_NODES:
            raise InvalidPayload(f"The arguments hold more than {MAX_NODES:,} values")
        level = below
    raise InvalidPayload(f"The arguments are nested deeper than {MAX_DEPTH} levels")
