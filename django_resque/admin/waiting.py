"""What waits for its time: delayed jobs and retries, as the dashboard names, filters and shows them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from django.utils.translation import gettext as _

from ..command_line import line_of
from ..job import Job, digest
from ..limits import failed_attempts
from ..moments import LAST_SECOND
from ..store import DelayedJob, Store, Stretch, Taken, WaitingRetry
from .redaction import Redactor
from .text import LINE, MESSAGE, line, number
from .visit import LONGEST, Visit

MOST_AT_ONCE = 100_000
"""Jobs that are looked through for an action that is about all that match."""
MOST_BYTES = 100_000_000
"""About how much one action is about."""
RETRIES = "retries"
"""The kind that is not the usual one."""
_DELAYED_KEY = re.compile(r"(0|-?[1-9][0-9]{0,14})-([0-9a-f]{40})")
_RETRY_KEY = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delayed job, or a retry; both wait until they are ``due`` (unix time)."""

    item: DelayedJob | WaitingRetry

    @property
    def due(self) -> float:
        return self.item.second if isinstance(self.item, DelayedJob) else self.item.due

    @property
    def is_retry(self) -> bool:
        return isinstance(self.item, WaitingRetry)

    @property
    def job(self) -> Job | None:
        return self.item.job

    @property
    def queue(self) -> str:
        return self.item.queue

    @property
    def raw(self) -> bytes:
        """The exact bytes that stand in Redis."""
        return self.item.raw if isinstance(self.item, DelayedJob) else self.item.member

    @property
    def id(self) -> str:
        """Empty where it came without an id: it is given another one each time it is read."""
        return self.job.id if self.job is not None and self.job.id.encode() in self.raw else ""

    @property
    def key(self) -> str:
        """What it is named by in forms."""
        sha = digest(self.raw)
        return f"{self.item.second}-{sha}" if isinstance(self.item, DelayedJob) else sha

    @property
    def attempt(self) -> int:
        """Which attempt of the job it will be."""
        return 1 if self.job is None else failed_attempts(self.job) + 1

    @property
    def problem(self) -> str:
        """Why it is no job, or goes nowhere; empty when all is well."""
        if isinstance(self.item, DelayedJob) and self.item.problem:
            return self.item.problem
        if self.job is not None:
            return ""
        return _("This is no job.") if self.queue else _("This is no job, and names no queue.")

    def line(self, redactor: Redactor, limit: int = LINE) -> str:
        """The line that one would type; what is no job, as it is, for those who may see everything."""
        if self.job is not None:
            return line(line_of(redactor.job(self.job), limit=limit), limit)
        if redactor.reveal:
            return line(self.raw[:MESSAGE].decode(errors="replace"), limit)
        return _("%(count)s bytes") % {"count": number(len(self.raw))}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which of them are looked for: those of this ``command``, and those in whose line, queue or id ``text`` stands as
    far as the visitor may see it."""

    command: str
    text: str
    redactor: Redactor

    @classmethod
    def of(cls, visit: Visit) -> Filter:
        return cls(visit.name("command"), visit.text("q"), visit.redactor)

    def __call__(self, waiting: Waiting) -> bool:
        job = waiting.job
        if self.command and (job is None or job.command != self.command):
            return False
        if not self.text:
            return True
        seen = (waiting.line(self.redactor, LONGEST * 10), waiting.queue, waiting.id)
        return any(self.text.casefold() in each.casefold() for each in seen)


def are_retries(visit: Visit) -> bool:
    """Whether the visit is about retries, and not about delayed jobs."""
    return visit.text("kind") == RETRIES


def start(visit: Visit) -> int | None:
    """The moment (unix seconds) from which on one wants to look; None for all."""
    wanted = visit.text("from")
    return min(int(wanted), LAST_SECOND) if wanted.isascii() and wanted.isdigit() and len(wanted) < 16 else None


def stretch(visit: Visit, start: int | None) -> Stretch[Waiting]:
    """What is looked through on a page, from this moment on. Raises a `StoreError`."""
    store = visit.store
    found: Stretch[DelayedJob] | Stretch[WaitingRetry]
    found = store.retries.stretch(start) if are_retries(visit) else store.delayed.stretch(start)
    return Stretch(list(map(Waiting, found.items)), found.left, found.time, found.trouble)


def named(store: Store, keys: Iterable[str]) -> list[Waiting]:
    """Those of these keys that are there."""
    delayed: list[tuple[int, str]] = []
    retries: list[str] = []
    for key in keys:
        if match := _DELAYED_KEY.fullmatch(key):
            delayed.append((int(match[1]), match[2]))
        elif _RETRY_KEY.fullmatch(key):
            retries.append(key)
    return [*map(Waiting, store.delayed.named(delayed)), *map(Waiting, store.retries.named(retries))]


def matching(visit: Visit) -> tuple[list[Waiting], bool]:
    """All that fit the filter in the address, and whether all were looked through."""
    store = visit.store
    seen: Iterator[Waiting] = map(Waiting, store.retries.each() if are_retries(visit) else store.delayed.each())
    fits, first = Filter.of(visit), start(visit)
    found: list[Waiting] = []
    size = 0
    for waiting in islice(seen, MOST_AT_ONCE):
        if fits(waiting) and (first is None or waiting.due >= first):
            found.append(waiting)
            size += len(waiting.raw)
            if size > MOST_BYTES:
                break
    if are_retries(visit):  # one may be come across twice; two delayed jobs that are the same to the byte are two
        found = list({waiting.raw: waiting for waiting in found}.values())
    return found, next(seen, None) is None


def run(store: Store, those: Sequence[Waiting]) -> Taken:
    """Put them on their queues."""
    delayed, retries = _sorted(those)
    return store.delayed.run_all(delayed) + store.retries.run_all(retries)


def cancel(store: Store, those: Sequence[Waiting]) -> Taken:
    """Take them away; none of them is performed."""
    delayed, retries = _sorted(those)
    done = store.delayed.cancel(delayed) + store.retries.cancel(retries)
    return Taken(done, gone=len(those) - done)


def move(store: Store, those: Sequence[Waiting], second: int) -> Taken:
    """Make delayed jobs due at another second."""
    delayed, _retries = _sorted(those)
    return store.delayed.move_all(delayed, second)


def _sorted(those: Sequence[Waiting]) -> tuple[list[DelayedJob], list[WaitingRetry]]:
    items = [waiting.item for waiting in those]
    return (
        [item for item in items if isinstance(item, DelayedJob)],
        [item for item in items if isinstance(item, WaitingRetry)],
    )
