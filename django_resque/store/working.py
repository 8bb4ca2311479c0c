"""What a worker says that it performs at the moment: the value of ``worker:<id>``, which holds a whole payload."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

LONGEST = 65_536
"""Bytes from the beginning that are read at most: a payload may have a thousand times as many as a page shows."""
TAIL = 2_048
"""Bytes from the end in which the id of a longer one's job is looked for: it stands behind the arguments."""
_TEXT = rb'("(?:[^"\\]|\\.){0,2000}")'
_BEGINNING = re.compile(rb'\{"queue":%b,"run_at":%b,"payload":\{"class":%b,' % (_TEXT, _TEXT, _TEXT))
_ID = re.compile(rb'"id":("[0-9A-Za-z_-]{1,200}"),"queue_time":')


def read_working(raw: bytes | None, tail: bytes = b"") -> Mapping[str, Any]:
    """The record in the first `LONGEST` bytes of the value; empty when it is none.

    Of a longer one, of which ``tail`` are the last bytes, only what stands around the arguments is known.
    """
    try:
        found = json.loads(raw or b"")
    except (ValueError, RecursionError):
        return _around_the_arguments(raw, tail) if raw and len(raw) >= LONGEST else {}
    return found if isinstance(found, dict) else {}


def _around_the_arguments(head: bytes, tail: bytes) -> Mapping[str, Any]:
    beginning = _BEGINNING.match(head)
    ids = _ID.findall(tail)
    try:
        queue, run_at, command = map(json.loads, beginning.groups()) if beginning else (None, None, None)
    except ValueError:
        return {}
    if command is None:
        return {}
    payload = {"class": command, "args": []} | ({"id": json.loads(ids[-1])} if ids else {})
    return {"queue": queue, "run_at": run_at, "payload": payload}
