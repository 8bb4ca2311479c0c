"""The schedule: the entries that were added at run time, and how far each entry has come."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..status import Status, status_record
from .keys import Keys
from .producers import WAITING_TTL, Outgoing
from .request import Request

MOST_ENTRIES = 1_000
"""Entries that there may be at run time."""
FORGET_AFTER = 30 * 24 * 3600
"""Seconds after which it is forgotten how far an entry has come that is in nobody's schedule any more."""
_SECOND = re.compile(rb"[0-9]{1,11}")


@dataclass(frozen=True, slots=True)
class Timetable:
    """What Redis knows of the schedule at ``time``, by its clock.

    ``entries`` are the JSON of those that were added at run time, by name; ``left_out`` counts them when they are more
    than `MOST_ENTRIES`, of which none is read. ``slots``: the slot up to which an entry is done with, by name.
    ``seen``: since when an entry has stood in the schedule as it does, by `seen_as`. All are unix seconds.
    """

    time: float
    version: int
    entries: Mapping[str, bytes]
    left_out: int
    slots: Mapping[str, int]
    seen: Mapping[str, int]
    paused: frozenset[str]

    def base(self, name: str, digest: str) -> int:
        """The unix second up to which the slots of this entry are none of its any more."""
        return max(self.slots.get(name, 0), self.seen.get(seen_as(name, digest), math.floor(self.time)))


@dataclass(frozen=True, slots=True)
class Fired:
    """What has become of some slots of an entry.

    ``changed``: nothing, for the schedule is not the one that was read any more. ``moved``: whether slots are done with
    that were not before; ``done`` is the last slot that is, None when there is none. ``enqueued`` says for each slot
    whether its job was pushed by this call. ``trouble`` is what kept the rest from it.
    """

    changed: bool
    moved: bool
    done: int | None
    enqueued: tuple[bool, ...]
    trouble: str


class Schedule:
    """Reading and changing the schedule, and enqueueing what it says."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def load(self, known: Sequence[str] | None = None) -> Request[Timetable]:
        """Read all of it. ``known`` are the entries that the caller has so far, as `seen_as` names them: those that
        were not in anybody's schedule until now are from now on, and what nobody has had for long is forgotten. None:
        nothing is noted and nothing forgotten."""
        keys = self._keys
        return Request(
            "schedule_load",
            [
                keys.none,
                keys.schedule,
                keys.schedule_slots,
                keys.schedule_seen,
                keys.schedule_paused,
                keys.schedule_version,
                keys.schedule_jobs,
                keys.schedule_missed,
            ],
            [MOST_ENTRIES, "" if known is None else FORGET_AFTER, *(known or ())],
            _timetable,
        )

    def put(self, name: str, entry: bytes, digest: str, *, instead_of: bytes = b"", new_slots: bool) -> Request[str]:
        """Add an entry, or change the one that is ``instead_of``. ``new_slots``: it has other slots than before, those
        from now on.

        Gives ``"done"``, ``"full"`` when there are `MOST_ENTRIES`, ``"other"`` when what stands there is not
        ``instead_of``.
        """
        keys = self._keys
        return Request(
            "schedule_put",
            [keys.schedule, keys.schedule_seen, keys.schedule_version, keys.bell],
            [name, entry, instead_of, digest, int(new_slots), MOST_ENTRIES],
            lambda reply: str(reply, "ascii"),
        )

    def delete(self, name: str) -> Request[bool]:
        """Delete an entry that was added at run time. False when there is none of this name."""
        keys = self._keys
        return Request(
            "schedule_delete",
            [
                keys.schedule,
                keys.schedule_slots,
                keys.schedule_seen,
                keys.schedule_paused,
                keys.schedule_version,
                keys.bell,
                keys.schedule_jobs,
                keys.schedule_missed,
            ],
            [name],
            bool,
        )

    def pause(self, name: str) -> Request[bool]:
        """Have nothing enqueued for this entry until it is resumed. False when it is paused already."""
        keys = self._keys
        return Request("schedule_pause", [keys.schedule_paused, keys.schedule_version, keys.bell], [name], bool)

    def resume(self, name: str) -> Request[bool]:
        """Go on with this entry; its slots up to now are done with. False when it is not paused."""
        keys = self._keys
        return Request(
            "schedule_resume",
            [keys.schedule_paused, keys.schedule_slots, keys.schedule_version, keys.bell],
            [name],
            bool,
        )

    def fire(
        self,
        name: str,
        version: int,
        slots: Sequence[tuple[int, Outgoing]],
        done: int,
        missed: tuple[int, int] | None = None,
    ) -> Request[Fired]:
        """Enqueue the jobs of these slots, in order and each slot once, and be done with all up to ``done``.

        Slots that are done with already, and those that are yet to come by Redis' clock, are left out. ``version`` is
        that of the schedule which the entry was read from. ``missed`` are the first and the last slot for which this is
        too late; that is noted.
        """
        ours = self._keys
        keys = [ours.schedule_slots, ours.schedule_version, ours.queues, ours.bell]
        keys += ours.schedule_jobs, ours.schedule_missed
        args: list[str | bytes | int] = [name, version, done, WAITING_TTL, ours.prefix, *(missed or ("", ""))]
        for slot, item in slots:
            job = item.job
            keys += ours.queue(job.queue), ours.status(job.status_id)
            unique, seconds = item.unique or ("", 0)
            args += slot, job.queue, item.payload, status_record(Status.WAITING, job) if item.track else b""
            args += job.id, unique, math.ceil(seconds)
        return Request("fire", keys, args, _fired)


def seen_as(name: str, digest: str) -> str:
    """An entry of this name with these slots."""
    return f"{name} {digest}"


def _timetable(reply: Any) -> Timetable:
    time, version, count, entries, slots, seen, paused = reply
    return Timetable(
        time=float(time),
        version=int(version) if version.isdigit() and len(version) < 16 else 0,
        entries=dict(_pairs(entries)),
        left_out=count if count > MOST_ENTRIES else 0,
        slots=_seconds(slots),
        seen=_seconds(seen),
        paused=frozenset(str(name, "utf-8", "replace") for name in paused),
    )


def _pairs(flat: Sequence[bytes]) -> list[tuple[str, bytes]]:
    return [(str(flat[at], "utf-8", "replace"), flat[at + 1]) for at in range(0, len(flat), 2)]


def _seconds(flat: Sequence[bytes]) -> dict[str, int]:
    return {name: int(value) for name, value in _pairs(flat) if _SECOND.fullmatch(value)}


def _fired(reply: Any) -> Fired:
    state, before, after, enqueued, trouble = reply
    return Fired(
        changed=state == b"changed",
        moved=before != after,
        done=int(after) if _SECOND.fullmatch(after) else None,
        enqueued=tuple(code == 1 for code in enqueued),
        trouble=str(trouble, "utf-8", "replace"),
    )
