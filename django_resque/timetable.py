"""The schedule as people see and change it: what the settings say, and what was added at run time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .client import using
from .command import bind
from .conf import config
from .errors import ConfigurationError, ScheduleError
from .hint import did_you_mean
from .job import Job
from .recurring import entry_of, written
from .schedule import ScheduleEntry, describe
from .store import store


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry of the schedule, as it is now.

    ``origin`` is ``"settings"`` or ``"run time"``. ``next_slot`` is when it is due next, None when it is paused or
    cannot be used; ``last_slot`` the slot up to which all is done with, None when it has not been due yet. ``overdue``
    is the first slot that has passed and is not done with: it comes a moment later, or there is nobody to see to it.
    All are unix seconds. ``description`` says in words when it is due. ``entry`` is None, and ``problem`` says why,
    when it cannot be used.
    """

    name: str
    origin: str
    paused: bool
    entry: ScheduleEntry | None = None
    next_slot: int | None = None
    last_slot: int | None = None
    overdue: int | None = None
    description: str = ""
    problem: str = ""

    def next_slots(self, count: int) -> list[int]:
        """The next ``count`` slots, `next_slot` first."""
        if self.entry is None or self.next_slot is None:
            return []
        return self.entry.next_slots(self.next_slot - 1, count)


class Listing:
    """The schedule as it was when this was made, one round trip: entries are read when they are asked for.

    Raises a `StoreError`.
    """

    def __init__(self) -> None:
        self._settings = config().schedule
        self._timetable = store().ask(store().schedule.load())

    @property
    def time(self) -> float:
        """Redis' clock (unix time)."""
        return self._timetable.time

    @property
    def left_out(self) -> int:
        """How many entries of run time are not read, because they are too many; then none of them is."""
        return self._timetable.left_out

    @property
    def names(self) -> list[str]:
        """The names of all entries, sorted."""
        return sorted({*self._settings, *self._timetable.entries})

    def __getitem__(self, name: str) -> Listed:
        """The entry of this name. Raises `ScheduleError` when there is none."""
        self._check_known(name)
        timetable, settings = self._timetable, self._settings
        origin = "settings" if name in settings else "run time"
        paused = name in timetable.paused
        last_slot = timetable.slots.get(name)
        try:
            found = (
                ScheduleEntry.from_mapping(name, settings[name])
                if name in settings
                else entry_of(name, timetable.entries[name])
            )
        except ConfigurationError as error:
            return Listed(name, origin, paused, last_slot=last_slot, problem=str(error))
        base = timetable.base(name, found.digest)
        first = None if paused else found.slot_after(base)
        overdue = first if first is not None and first <= timetable.time else None
        return Listed(
            name,
            origin,
            paused,
            entry=found,
            next_slot=found.slot_after(timetable.time) if overdue is not None else first,
            last_slot=last_slot,
            overdue=overdue,
            description=describe(found),
        )

    def raw(self, name: str) -> bytes:
        """The entry as it was added at run time. Raises `ScheduleError` when there is none of this name, or it stands
        in the settings."""
        self._check_known(name)
        _check_is_not_of_the_settings(name)
        return self._timetable.entries[name]

    def _check_known(self, name: str) -> None:
        known = {*self._settings, *self._timetable.entries}
        if name not in known:
            raise ScheduleError(f"The schedule has no entry {name!r}{did_you_mean(name, known)}")


def entries() -> list[Listed]:
    """All entries of the schedule, by name: those of this project's settings, and those added at run time."""
    listing = Listing()
    return [listing[name] for name in listing.names]


def entry(name: str) -> Listed:
    """One of them. Raises `ScheduleError` when there is none of this name."""
    return Listing()[name]


def add(name: str, mapping: Mapping[str, Any]) -> ScheduleEntry:
    """Add an entry at run time. Its first slot is the next one.

    Raises `ConfigurationError` or an `InvalidJob` when it cannot be one, `ScheduleError` when there is one of this name
    already, or there are too many.
    """
    return _put(name, mapping, b"")


def change(name: str, **changes: Any) -> ScheduleEntry:
    """Change an entry that was added at run time: these keys of its mapping, None to leave one out. ``cron`` takes the
    place of ``every``, and the other way round.

    Raises as `add`, and `ScheduleError` when there is none of this name, it stands in the settings, or somebody else
    changes it at the same time.
    """
    raw = Listing().raw(name)
    mapping = entry_of(name, raw).to_mapping()
    for one, other in (("cron", "every"), ("every", "cron")):
        if changes.get(one) is not None and other not in changes:
            mapping.pop(other, None)
    return _put(name, {**mapping, **changes}, raw)


def delete(name: str) -> None:
    """Delete an entry that was added at run time. Raises `ScheduleError` when there is none, or it stands in the
    settings."""
    _check_is_not_of_the_settings(name)
    if not store().ask(store().schedule.delete(name)):
        raise ScheduleError(f"The schedule has no entry {name!r} that was added at run time")


def pause(name: str) -> bool:
    """Have nothing enqueued for an entry until it is resumed, wherever it stands.

    False when it is paused already. Raises `ScheduleError` when there is none of this name.
    """
    entry(name)
    return store().ask(store().schedule.pause(name))


def resume(name: str) -> bool:
    """Go on with an entry. What would have been due meanwhile is not made up for.

    False when it is not paused. Raises `ScheduleError` when there is none of this name.
    """
    entry(name)
    return store().ask(store().schedule.resume(name))


def run_now(name: str, *, on_commit: bool = True) -> Job:
    """Enqueue the job of an entry once, now, beside what is due. A paused entry, too. ``on_commit=False`` does not wait
    for the transactions that are open.

    Raises `ScheduleError` when there is none of this name, and what `enqueue` raises.
    """
    found = entry(name)
    if found.entry is None:
        raise ScheduleError(found.problem)
    what = found.entry
    return using(queue=what.queue, on_commit=on_commit, **what.using).enqueue(what.command, *what.args, **what.options)


def check_job(entry: ScheduleEntry) -> None:
    """Raise an `InvalidJob`, or what importing its module raises, when the command may not be a job or does not take
    the arguments. Nothing is looked at in a program with ``CHECK`` off."""
    if config().check:
        bind(entry.command, entry.args, entry.options)


def _put(name: str, mapping: Mapping[str, Any], instead_of: bytes) -> ScheduleEntry:
    new = ScheduleEntry.from_mapping(name, mapping)
    _check_is_not_of_the_settings(name)
    check_job(new)
    new_slots = not instead_of or _digest(name, instead_of) != new.digest
    request = store().schedule.put(name, written(new), new.digest, instead_of=instead_of, new_slots=new_slots)
    outcome = store().ask(request)
    if outcome == "full":
        raise ScheduleError("The schedule has as many entries as there may be at run time: delete some")
    if outcome == "other":
        raise ScheduleError(
            f"The schedule entry {name!r} was changed by somebody else meanwhile: look again"
            if instead_of
            else f"The schedule has an entry {name!r} already"
        )
    return new


def _digest(name: str, raw: bytes) -> str:
    try:
        return entry_of(name, raw).digest
    except ConfigurationError:
        return ""


def _check_is_not_of_the_settings(name: str) -> None:
    if name in config().schedule:
        raise ScheduleError(
            f"The schedule entry {name!r} stands in the settings, RESQUE['SCHEDULE']: change it there. At run time it"
            " can be paused, resumed, and run now"
        )
