"""Which jobs a page is about, in whatever state they are: what stands in its address."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from django.utils.translation import gettext as _

from ..moments import LAST_SECOND
from .items import Item
from .redaction import Redactor
from .text import LINE, line
from .visit import Visit

SPANS = {"1h": 3_600, "24h": 86_400, "7d": 7 * 86_400}
"""Values of ``since``, in seconds."""
MOST_READ = 2_000
"""Elements that are taken apart for one page. Whether they are worth that is seen in a hundredth of the time."""
MOST_VEILED = 500
"""The same where something is hidden from the visitor: then all are taken apart, whatever stands in them, so that
neither how many were looked through nor the time that it takes says anything of what is hidden."""
_SEEN = 10 * LINE
"""Characters of a job's line in which something is looked for."""
_WORD = re.compile(r"[a-z0-9]+")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Jobs of this ``queue`` and this ``command``, that came at ``since`` or later, whose time is not before ``start``
    (unix times), and in whose line, id, worker or note ``text`` stands, whatever its case, as far as the visitor gets
    to see it. What is empty does not matter."""

    redactor: Redactor
    queue: str = ""
    command: str = ""
    since: float | None = None
    text: str = ""
    start: int | None = None

    @classmethod
    def of(cls, visit: Visit, now: float) -> JobFilter:
        """What the address asks for, at the time ``now``."""
        span = SPANS.get(visit.text("since"))
        since = None if span is None else now - span
        return cls(visit.redactor, visit.name("queue"), visit.name("command"), since, visit.text("q"), _start(visit))

    @property
    def is_empty(self) -> bool:
        """Whether all jobs are meant."""
        return not (self.queue or self.command or self.since or self.text or self.start is not None)

    def in_words(self) -> str:
        """The same for the log, in which what is looked for may be too much."""
        said = [f"{name}={line(value)}" for name, value in (("queue", self.queue), ("command", self.command)) if value]
        said += [f"{name}={at:.0f}" for name, at in (("since", self.since), ("from", self.start)) if at is not None]
        return ", ".join([*said, *([_("with a text")] if self.text else [])]) or _("all")

    def __call__(self, item: Item) -> bool:
        return (
            (not self.queue or item.queue == self.queue)
            and (not self.command or item.command == self.command)
            and (self.since is None or (item.came is not None and item.came >= self.since))
            and (self.start is None or (item.time is not None and item.time >= self.start))
            and (not self.text or self._finds(item))
        )

    def _finds(self, item: Item) -> bool:
        wanted = self.text.casefold()
        seen = (item.id, item.worker, item.line(self.redactor, _SEEN), item.note(self.redactor))
        return any(wanted in text.casefold() for text in seen)

    def may_be_in(self, raw: bytes) -> bool:
        """Whether it is worth while to take this element apart."""
        if not self.redactor.reveal:  # what is hidden must not decide it
            return True
        if b"\\u" in raw:  # its texts may be written in more than one way
            return True
        word = max(_WORD.findall(self.text.casefold()), key=len, default="")
        if word and word.encode() not in (raw.lower() if raw.isascii() else _folded(raw)):
            return False
        return b"\\" in raw or self.command.encode() in raw


def _start(visit: Visit) -> int | None:
    wanted = visit.text("from")
    return min(int(wanted), LAST_SECOND) if wanted.isascii() and wanted.isdigit() and len(wanted) < 16 else None


def _folded(raw: bytes) -> bytes:
    return str(raw, "utf-8", "replace").casefold().encode()


@dataclass(frozen=True, slots=True)
class Sifted:
    """A page of what is meant: ``shown``, each behind its place among the elements, and whether there is ``more``.
    ``total`` is how many are meant in all, None where not all of the elements were looked through, but ``looked``."""

    shown: Sequence[tuple[int, Item]]
    more: bool
    total: int | None
    looked: int


def sift(
    elements: Sequence[T],
    raw: Callable[[T], bytes],
    item: Callable[[T], Item],
    fits: JobFilter,
    *,
    start: int,
    size: int,
) -> Sifted:
    """Up to ``size`` of those elements that are meant, behind the first ``start`` ones. ``raw`` gives the bytes in
    which an element's texts stand, ``item`` takes it apart: as few as need be, and not more than `MOST_READ`, or
    `MOST_VEILED`."""
    if fits.is_empty:
        some = elements[start : start + size]
        shown = [(place, item(each)) for place, each in enumerate(some, start)]
        return Sifted(shown, len(elements) > start + size, len(elements), len(elements))
    found: list[tuple[int, Item]] = []
    read, most = 0, MOST_READ if fits.redactor.reveal else MOST_VEILED
    for place, element in enumerate(elements):
        if not fits.may_be_in(raw(element)):
            continue
        if read == most or len(found) > start + size:
            return Sifted(found[start : start + size], len(found) > start + size, None, place)
        read += 1
        each = item(element)
        if fits(each):
            found.append((place, each))
    return Sifted(found[start : start + size], len(found) > start + size, len(found), len(elements))
