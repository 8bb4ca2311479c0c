"""Which queues a worker serves, in which order."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import lru_cache

from ..errors import InvalidQueue
from ..job import check_queue


class Selection:
    """A list of queues as Resque takes it: names and globs in order of priority, ``!`` before what is left out.

    ``high,*,!test_*`` serves ``high`` first, then all other queues in alphabetical order, but none that begins with
    ``test_``. A list of exclusions alone leaves them out of all. Raises `InvalidQueue` for what cannot be a queue.
    """

    def __init__(self, text: str) -> None:
        items = [item.strip() for item in text.split(",") if item.strip()]
        if not items:
            raise InvalidQueue("No queue is named: give one or more, such as -q mail,default")
        for item in items:
            check_queue(item.removeprefix("!").translate(_PATTERN_CHARACTERS))
        self._excluded = [item[1:] for item in items if item.startswith("!")]
        self._wanted = [item for item in items if not item.startswith("!")] or ["*"]
        self.changes = any(_is_pattern(item) for item in self._wanted)
        """Whether what is served depends on which queues there are."""

        if not self.changes and not self.among(()):
            raise InvalidQueue(f"{text!r} leaves out every queue that it names")

    def __str__(self) -> str:
        """The queues as they stand in a worker's id, without the exclusions."""
        return ",".join(self._wanted)

    def among(self, existing: Iterable[str]) -> list[str]:
        """The queues to serve, in order, when these exist."""
        candidates = sorted(name for name in existing if _can_be_served(name) and not self._leaves_out(name))
        chosen: dict[str, None] = {}
        for item in self._wanted:
            if _is_pattern(item):
                chosen.update((name, None) for name in candidates if fnmatchcase(name, item))
            elif not self._leaves_out(item):
                chosen[item] = None
        return list(chosen)

    def _leaves_out(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self._excluded)


def serves(queues: str, queue: str) -> bool:
    """Whether a worker with these ``queues``, as on its command line, takes jobs from ``queue``."""
    selection = _selection(queues)
    return queue in (queues.split(",") if selection is None else selection.among([queue]))


@lru_cache(maxsize=1_000)  # many workers serve the same queues, and are asked about many
def _selection(queues: str) -> Selection | None:
    """None for another program's, or none."""
    try:
        return Selection(queues)
    except InvalidQueue:
        return None


def _can_be_served(name: str) -> bool:
    """Whether the name, which others may have chosen, can travel in reservations and titles: those end at a control
    character."""
    return min(name, default=" ") >= " "


_PATTERN_CHARACTERS = str.maketrans(dict.fromkeys("*?[]!", "x"))


def _is_pattern(item: str) -> bool:
    return any(character in item for character in "*?[")
