"""Enqueues what the schedule says, when it says so.

Every worker process has a `Recurring`, and all do the same; Redis sees to it that each slot has one job. It makes
requests and gets their answers later, as everything in a dispatcher's loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from . import log
from .client import using
from .conf import Config
from .errors import ConfigurationError, InvalidJob, InvalidPayload
from .job import dump_json, load_json
from .schedule import MOST_MADE_UP, Due, ScheduleEntry
from .store import Fired, Outgoing, Request, Store, Timetable
from .store.schedule import MOST_ENTRIES, seen_as

RELOAD_EVERY = 60.0
"""Seconds after which the schedule is read anew although nobody has said that it has changed."""
AGAIN = 2.0
"""Seconds after which a request without an answer is made again."""
TROUBLE_AGAIN = 60.0
"""Seconds after which an entry whose queue is not usable is tried again."""
MOST_SLOTS = 100
"""Jobs in one request, so that its script stays short."""
MOST_BYTES = 1_000_000
"""About how many bytes of payloads go into one request."""


@dataclass(slots=True)
class _Plan:
    """An entry, the slot up to which it is done with, and when there is something to do for it, by Redis' clock."""

    entry: ScheduleEntry
    base: int
    wakes_at: float | None


class Recurring:
    """One for each worker process, and for each of its lives in Redis.

    ``ask`` makes a request and calls what it is given with the result later, or with None when there was none. Times
    called ``now`` are monotonic ones, others are unix time by Redis' clock.
    """

    def __init__(
        self, store: Store, ask: Callable[[Request[Any], Callable[[Any], None]], None], *, config: Config
    ) -> None:
        self._schedule = store.schedule
        self._ask = ask
        self._settings = _usable(config.schedule)
        self._read: dict[str, tuple[bytes, ScheduleEntry | None]] = {}
        self._hidden: set[str] = set()
        self._plans: dict[str, _Plan] = {}
        self._wakes_at: float | None = None
        self._version = -1
        self._load_at = 0.0
        self._clock: tuple[float, float] | None = None
        self._now = 0.0
        self._asked = False

    # -- when --------------------------------------------------------------------------------------------------------

    def look(self, *, version: int, time: float, now: float) -> None:
        """Take note of the schedule's ``version`` and of Redis' ``time``, as they are ``now``.

        ``time`` may be a little behind, and must not be ahead: nothing is ever early.
        """
        self._clock, self._now = (time, now), now
        if version != self._version:
            self._load_at = min(self._load_at, now)

    @property
    def next_at(self) -> float | None:
        """When there is something to do, monotonic; it may have passed. None: not before the next look or answer."""
        if self._asked or self._clock is None:
            return None
        if self._wakes_at is None:
            return self._load_at
        time, now = self._clock
        return min(self._load_at, now + (self._wakes_at - time))

    def has_work(self, now: float) -> bool:
        """Whether there is something to do now."""
        next_at = self.next_at
        return next_at is not None and next_at <= now

    def _time(self) -> float:
        """Redis' clock, as far as the last look tells."""
        time, now = self._clock or (0.0, 0.0)
        return time + self._now - now

    # -- what --------------------------------------------------------------------------------------------------------

    def work(self, now: float) -> None:
        """Make the next request; there must be `has_work`."""
        self._now = now
        if now >= self._load_at:
            self._load()
            return
        plan = min(self._plans.values(), key=_wakes_at)
        due = plan.entry.due(plan.base, self._time())
        if due is None:  # its slots were reckoned by a clock that has been set back
            self._wait(plan, AGAIN)
            self._load()
        else:
            self._fire(plan, due)

    def _request(self, request: Request[Any], then: Callable[[Any], None]) -> None:
        def answered(result: Any) -> None:
            self._asked = False
            then(result)

        self._asked = True
        self._ask(request, answered)

    def _load(self) -> None:
        entries = [*self._settings.values(), *(entry for _, entry in self._read.values() if entry is not None)]
        self._request(self._schedule.load([seen_as(entry.name, entry.digest) for entry in entries]), self._loaded)

    def _loaded(self, timetable: Timetable | None) -> None:
        self._load_at = self._now + (AGAIN if timetable is None else RELOAD_EVERY)
        if timetable is None:
            return
        self._version = timetable.version
        if timetable.left_out:
            log.too_many_entries(timetable.left_out, MOST_ENTRIES)
        entries = {**self._added(timetable.entries), **self._settings}
        before, self._plans = self._plans, {}
        for name, entry in entries.items():
            if name not in timetable.paused:
                base = timetable.base(name, entry.digest)
                plan = before.get(name)
                if plan is None or plan.base != base or plan.entry != entry:
                    plan = _Plan(entry, base, entry.slot_after(base))
                self._plans[name] = plan
        self._plan()

    def _added(self, written: Mapping[str, bytes]) -> dict[str, ScheduleEntry]:
        """The entries that were added at run time; what is the same as the last time is not read again."""
        before, self._read = self._read, {}
        for name, raw in written.items():
            known = before.get(name)
            if name in self._settings:
                if name not in self._hidden:
                    log.entry_hidden(name)
                self._hidden.add(name)
            elif known is not None and known[0] == raw:
                self._read[name] = known
            else:
                self._read[name] = raw, _read_entry(name, raw)
        return {name: entry for name, (_, entry) in self._read.items() if entry is not None}

    # -- a slot ------------------------------------------------------------------------------------------------------

    def _fire(self, plan: _Plan, due: Due) -> None:
        items: list[tuple[int, Outgoing]] = []
        size = 0
        try:
            for slot in due.slots[:MOST_SLOTS]:
                items.append((slot, outgoing(plan.entry, slot)))
                size += len(items[-1][1].payload)
                if size > MOST_BYTES:
                    break
        except (InvalidJob, ValueError) as error:  # what its command's class declares may be too much for a payload
            log.entry_unusable(error)
            plan.wakes_at = None
            self._plan()
            return
        done = due.done if len(items) == len(due.slots) else items[-1][0]
        self._request(
            self._schedule.fire(plan.entry.name, self._version, items, done, due.missed),
            lambda fired: self._fired(plan, due, items, fired),
        )

    def _fired(self, plan: _Plan, due: Due, items: list[tuple[int, Outgoing]], fired: Fired | None) -> None:
        if fired is None:
            self._wait(plan, AGAIN)
        elif fired.changed:
            self._load_at = self._now
        else:
            if fired.moved:
                self._say(plan, due, items, fired)
            base = plan.base if fired.done is None else max(plan.base, fired.done)
            if fired.trouble:
                log.entry_in_trouble(plan.entry.name, fired.trouble)
                plan.base = base
                self._wait(plan, TROUBLE_AGAIN)
            elif base == plan.base:  # it was early, by Redis' clock
                self._wait(plan, AGAIN)
            else:
                plan.base, plan.wakes_at = base, plan.entry.slot_after(base)
                self._plan()

    def _say(self, plan: _Plan, due: Due, items: list[tuple[int, Outgoing]], fired: Fired) -> None:
        name = plan.entry.name
        pushed = [item for item, enqueued in zip(items, fired.enqueued, strict=False) if enqueued]
        if due.missed is not None:
            first, last = due.missed
            late = [slot for slot, _ in pushed if slot <= last]
            if plan.entry.misfire == "all" and len(due.slots) >= MOST_MADE_UP and due.slots[0] > first:
                log.slots_left_out(name, first, due.slots[0])
                first = due.slots[0]
            log.slots_missed(name, first, min(last, fired.done or last), len(late))
        for slot, item in pushed:
            log.slot_enqueued(name, slot, item.job)

    def _wait(self, plan: _Plan, seconds: float) -> None:
        plan.wakes_at = self._time() + seconds
        self._plan()

    def _plan(self) -> None:
        self._wakes_at = min(map(_wakes_at, self._plans.values()), default=None)
        if self._wakes_at == _NEVER:
            self._wakes_at = None


_NEVER = float("inf")


def _wakes_at(plan: _Plan) -> float:
    return _NEVER if plan.wakes_at is None else plan.wakes_at


def outgoing(entry: ScheduleEntry, slot: int) -> Outgoing:
    """The job of this slot. Its payload names both, for people to see where it came from.

    Raises an `InvalidJob` or `ValueError` when there cannot be one.
    """
    item = using(queue=entry.queue, **entry.using).unchecked(entry.command, entry.args, entry.options)
    job = replace(item.job, extra={**item.job.extra, "schedule": [entry.name, slot]})
    return replace(item, job=job, payload=job.payload())


def _usable(written: Mapping[str, Any]) -> dict[str, ScheduleEntry]:
    found = {}
    for name, mapping in written.items():
        try:
            found[name] = ScheduleEntry.from_mapping(name, mapping)
        except ConfigurationError as error:
            log.entry_unusable(error)
    return found


def _read_entry(name: str, raw: bytes) -> ScheduleEntry | None:
    try:
        return entry_of(name, raw)
    except ConfigurationError as error:
        log.entry_unusable(error)
        return None


def entry_of(name: str, raw: bytes) -> ScheduleEntry:
    """The entry that was added at run time as ``raw``. Raises `ConfigurationError` when it cannot be used."""
    try:
        return ScheduleEntry.from_mapping(name, load_json(raw))
    except InvalidPayload as error:
        raise ConfigurationError(f"The schedule entry {name!r}: {error}") from error


def written(entry: ScheduleEntry) -> bytes:
    """The same entry as it is kept in Redis."""
    return dump_json(entry.to_mapping())
