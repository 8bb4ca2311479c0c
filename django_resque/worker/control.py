"""What a worker process is told through Redis: read, done once, answered. `django_resque.control` is who asks."""

from __future__ import annotations

import hashlib
import json
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .. import log
from ..store import Entry
from . import entries

REMEMBERED = 1000
"""Messages of which it is known that they were dealt with, and how they were answered."""
REASON = "control"
"""What stands in the log where a signal's name would."""
_LONGEST = 16_384
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


class Actions(Protocol):
    """What a message can have done."""

    def control_stop(self, force: bool) -> None:
        """Stop within the grace period; with ``force`` at once."""

    def pause(self, reason: str) -> None:
        """Take no more jobs."""

    def resume(self, reason: str) -> None:
        """Take jobs again."""

    def end_running_jobs(self, reason: str) -> list[str]:
        """End the jobs that run, and give their ids."""

    def end_job(self, job_id: str) -> bool:
        """End this job when it runs here."""

    def describe(self) -> dict[str, Any]:
        """What every answer tells: at least ``mode`` (``running``, ``paused``, ``stopping``), and ``running``, the ids
        of the jobs that run."""


@dataclass(frozen=True, slots=True)
class _Message:
    """``deadline`` is in unix seconds of Redis' clock. ``by`` says who asks, for the log."""

    id: str
    verb: str
    deadline: float
    by: str
    force: bool
    job_id: str

    @classmethod
    def read(cls, raw: bytes) -> _Message | None:
        """None for what is no message."""
        try:
            found = json.loads(raw) if len(raw) <= _LONGEST else None
        except (ValueError, RecursionError):
            return None
        if not isinstance(found, dict):
            return None
        texts = [found.get(name, "") for name in ("id", "verb", "by", "job")]
        deadline = found.get("deadline")
        if not all(isinstance(text, str) for text in texts) or not _ID.match(texts[0]):
            return None
        if isinstance(deadline, bool) or not isinstance(deadline, int | float) or not 0 < deadline < 1e12:
            return None
        return cls(texts[0], texts[1], float(deadline), texts[2], found.get("force") is True, texts[3])


class Control:
    """Obeys each message once, as long as it may be obeyed.

    A message stays in Redis until its answer has gone out with a turn, so that the same one may be seen again; and one
    whose sender got no answer may be sent again. Both get the answer of the first time.
    """

    def __init__(self) -> None:
        self._answers: OrderedDict[str, bytes] = OrderedDict()

    def obey(self, messages: Sequence[bytes], now_server: float, actions: Actions) -> list[Entry]:
        """Have ``actions`` done, and give the answers. ``now_server`` is in unix seconds, by Redis' clock."""
        return [self._obey(raw, now_server, actions) for raw in messages]

    def _obey(self, raw: bytes, now: float, actions: Actions) -> Entry:
        message = _Message.read(raw)
        message_id = message.id if message else hashlib.sha1(raw, usedforsecurity=False).hexdigest()
        if message_id not in self._answers:
            if message is None:
                log.control_unreadable(raw)
                answer: dict[str, Any] = {"ok": False, "error": "the message could not be read"}
            else:
                answer = _do(message, now, actions)
            self._answers[message_id] = json.dumps({"id": message_id, **answer}).encode()
            if len(self._answers) > REMEMBERED:
                self._answers.popitem(last=False)
        return entries.reply(message_id, raw, self._answers[message_id])


def _do(message: _Message, now: float, actions: Actions) -> dict[str, Any]:
    """Do what the message says, or not; the answer."""
    found: Mapping[str, Any] = {}
    why = ""
    if now > message.deadline:
        why = "it was read too late"
    elif message.verb in ("pause", "resume") and actions.describe().get("mode") == "stopping":
        why = "the worker is stopping"
    elif message.verb not in _VERBS:
        why = "this worker does not know how"
    elif message.verb == "end_job" and not message.job_id:
        why = "no job is named"
    if why:
        log.control_refused(repr(message.verb[:50]), message.by, why)
    else:
        log.control_obeyed(message.verb.replace("_", " ") + " now" * message.force, message.by)
        found = _VERBS[message.verb](message, actions)
    return {"ok": not why, "error": why, **found, **actions.describe()}


def _stop(message: _Message, actions: Actions) -> dict[str, Any]:
    actions.control_stop(message.force)
    return {}


def _pause(message: _Message, actions: Actions) -> dict[str, Any]:
    actions.pause(REASON)
    return {}


def _resume(message: _Message, actions: Actions) -> dict[str, Any]:
    actions.resume(REASON)
    return {}


def _cleanup(message: _Message, actions: Actions) -> dict[str, Any]:
    return {"jobs": actions.end_running_jobs(REASON)}


def _end_job(message: _Message, actions: Actions) -> dict[str, Any]:
    return {"ended": actions.end_job(message.job_id)}


_VERBS = {"stop": _stop, "pause": _pause, "resume": _resume, "cleanup": _cleanup, "end_job": _end_job}
