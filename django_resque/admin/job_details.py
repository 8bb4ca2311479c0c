"""All that is known of one job, fit for a page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from ..command import bind
from ..command_line import line_of, to_type
from ..errors import InvalidPayload
from ..job import Job, json_members, load_json
from ..status import Status
from ..store import Seen
from ..whereabouts import Kind, Known, Place, Whereabouts
from .attempts import Attempt, attempts_of
from .failure_details import FailureDetails
from .failure_search import can_be_asked_for
from .redaction import HIDDEN, Redactor
from .text import MESSAGE, Time, block, duration, from_unix, line, number
from .visit import Visit

LARGE = 100_000
"""Bytes of what is not taken apart to be shown."""
LONGEST_LINE = 20_000
"""Characters of a command line that can be copied."""
OPEN_EXTRAS = ("timeout", "on_crash", "max_attempts", "expires", "track", "attempt", "concurrency", "schedule")
"""Keys of a payload, beside the family's, in which nobody can have written what is to be hidden."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A thing that is known. ``url`` may be empty; ``time`` stands behind the text, and is ``ahead`` or ago."""

    label: str
    text: str
    url: str = ""
    time: Time | None = None
    ahead: bool = False
    is_id: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is. ``value`` and ``most`` are numbers as HTML has them, empty where it is not known of how much."""

    value: str
    most: str
    text: str


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of JSON: ``key`` names it in the page."""

    key: str
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class JobDetails:
    """A job on its page; any of it may be empty. ``can_be_copied``: the line is what one would type, exactly."""

    id: str
    command: str
    state: str
    progress: Progress | None
    facts: Sequence[Fact]
    line: str
    can_be_copied: bool
    attempts: Sequence[Attempt]
    failure: FailureDetails | None
    failure_url: str
    result: str
    output: str
    parts: Sequence[Part]

    @classmethod
    def of(cls, known: Known, visit: Visit) -> JobDetails:
        redactor = visit.redactor
        found, seen = known.found, known.seen
        job = found.job if found else None
        failure = found.failure if found else None
        command = job.command if job else seen.command if seen else ""
        typed = _typed(found, redactor)
        return cls(
            id=line(known.id),
            command=line(command),
            state=state_of(known),
            progress=_progress(seen, job, redactor),
            facts=list(_facts(known, command, visit)),
            line=typed or _line(found, redactor),
            can_be_copied=bool(typed),
            attempts=attempts_of(known, redactor),
            failure=FailureDetails.of(failure, visit, known.time) if failure else None,
            failure_url=visit.url("failure", digest=failure.digest) if failure else "",
            result=_result(known, command, redactor),
            output=block(redactor.told(_decoded(known.output), command, job)),
            parts=list(_parts(known, command, redactor)),
        )


# -- the state ---------------------------------------------------------------------------------------------------------


def state_of(known: Known) -> str:
    """In a word or two how it stands."""
    place = known.found.place if known.found else None
    seen = known.seen
    if seen is None or seen.status is Status.UNKNOWN:
        return _at(place) if place else _("unknown")
    match seen.status:
        case Status.COMPLETE:
            return _("done")
        case Status.RUNNING:
            return _("running")
        case Status.SCHEDULED:
            return _("to be tried again") if seen.attempt else _("scheduled")
        case Status.WAITING:
            return _at(place) if place and place.kind is Kind.PARKED else _("waiting")
    return {"cancelled": _("cancelled"), "expired": _("expired")}.get(seen.outcome, _("failed"))


def _at(place: Place) -> str:
    return {
        Kind.WORKER: _("running"),
        Kind.QUEUE: _("waiting"),
        Kind.PARKED: _("waiting until fewer run"),
        Kind.DELAYED: _("scheduled"),
        Kind.RETRIES: _("to be tried again"),
        Kind.FAILED: _("failed"),
    }[place.kind]


def _progress(seen: Seen | None, job: Job | None, redactor: Redactor) -> Progress | None:
    if seen is None or seen.progress is None:
        return None
    done, total, message = seen.progress
    words = line(redactor.told(message, seen.command, job), MESSAGE)
    if total is None or total <= 0:
        return Progress("", "", " ".join(filter(None, (_amount(done), words))))
    share = f"{min(max(done / total, 0), 1):.0%}"
    told = _("%(done)s of %(total)s (%(share)s)") % {"done": _amount(done), "total": _amount(total), "share": share}
    return Progress(f"{max(done, 0):.15g}", f"{total:.15g}", " ".join(filter(None, (told, words))))


def _amount(value: float) -> str:
    return number(int(value)) if value == int(value) else number_format(value)


# -- facts -------------------------------------------------------------------------------------------------------------


def _facts(known: Known, command: str, visit: Visit) -> Iterator[Fact]:
    seen, found, now = known.seen, known.found, known.time
    job = found.job if found else None
    if command:
        url = visit.url("jobs", command=command) if can_be_asked_for(command) else ""
        yield Fact(_("Command"), line(command), url)
    yield Fact(_("Id"), line(known.id), is_id=True)
    queue = (job.queue if job else "") or (seen.queue if seen else "")
    if queue:
        yield Fact(_("Queue"), line(queue), visit.url("queue", name=queue) if can_be_asked_for(queue) else "")
    if found is not None and found.place.kind is Kind.PARKED:
        yield Fact(_("Waits for"), line(found.place.name))
    enqueued = (job.enqueued_at if job else 0.0) or (seen.enqueued_at if seen else None)
    yield from _moment(_("Enqueued"), enqueued, known)
    due = (found.due if found else None) or (seen.due if seen and seen.status is Status.SCHEDULED else None)
    moment = from_unix(due)
    if moment is not None:
        until = Time.until(moment, now)
        label = _("Overdue") if until.late else _("Due")
        yield Fact(label, until.exact, time=until, ahead=not until.late)
    if seen is not None:
        yield from _of_performance(known, seen, visit)
    if job is not None:
        yield from _limits(job)


def _of_performance(known: Known, seen: Seen, visit: Visit) -> Iterator[Fact]:
    if seen.status is Status.RUNNING:
        yield from _moment(_("Begun"), seen.begun, known)
    yield from _moment(_("Finished"), seen.finished, known)
    if seen.ended and seen.duration is not None and seen.duration >= 0:
        yield Fact(_("Took"), duration(seen.duration))
    if seen.worker:
        url = visit.url("workers", q=seen.worker) if can_be_asked_for(seen.worker) else ""
        yield Fact(_("Worker"), line(seen.worker), url, is_id=True)


def _moment(label: str, time: float | None, known: Known) -> Iterator[Fact]:
    moment = from_unix(time) if time else None
    if moment is not None:
        told = Time.of(moment, known.time)
        yield Fact(label, told.exact, time=told)


def _limits(job: Job) -> Iterator[Fact]:
    """What was chosen for this one job."""
    timeout, most = job.extra.get("timeout"), job.extra.get("max_attempts")
    if isinstance(timeout, (int, float)) and not isinstance(timeout, bool) and 0 < timeout < 1e9:
        yield Fact(_("Timeout"), duration(timeout))
    if isinstance(most, int) and not isinstance(most, bool) and 0 < most < 1_000_000:
        yield Fact(_("Attempts at most"), number(most))
    match job.extra.get("schedule"):
        case [str() as name, *_rest] if name:
            yield Fact(_("Schedule entry"), line(name))


# -- the line ----------------------------------------------------------------------------------------------------------


def _typed(found: Whereabouts | None, redactor: Redactor) -> str:
    """What one would type, exactly, for those who may see all of it; empty where nobody can tell."""
    if found is None or not redactor.reveal or len(found.raw) > LARGE:
        return ""
    try:
        typed = to_type(bind(found.job.command, found.job.args, found.job.options).argv) or ""
    except (Exception, SystemExit):  # whatever importing a command raises, or its parser
        return ""
    return typed if len(typed) <= LONGEST_LINE else ""


def _line(found: Whereabouts | None, redactor: Redactor) -> str:
    if found is None:
        return ""
    if len(found.raw) > LARGE and not redactor.reveal:
        return HIDDEN
    return f"manage.py {line_of(redactor.job(found.job), limit=MESSAGE)}"


# -- what came of it ---------------------------------------------------------------------------------------------------


def _decoded(output: bytes) -> str:
    return str(output, "utf-8", "replace")


def _result(known: Known, command: str, redactor: Redactor) -> str:
    if known.seen is None or known.seen.result is None:
        return ""
    value = redactor.value(known.seen.result, command)
    text = value if isinstance(value, str) else _json(value)
    return block(redactor.told(text, command, known.found.job if known.found else None))


def _parts(known: Known, command: str, redactor: Redactor) -> Iterator[Part]:
    """Payload and status as JSON; the record of a failure has its payload in it."""
    found = known.found
    if found is not None and found.failure is None:
        yield Part("payload", _("Payload"), _payload(found, redactor))
    if known.status is not None:
        yield Part("status", _("Status"), _status(known, command, redactor))


def _payload(found: Whereabouts, redactor: Redactor) -> str:
    job = found.job
    if redactor.reveal:
        return block(_pretty(_bytes_of_payload(found)))
    if len(found.raw) > LARGE:
        return HIDDEN
    shown = redactor.job(job)
    slot = [*shown.args, dict(shown.options)] if shown.options else list(shown.args)
    told = {"class": job.command, "args": [slot], "id": job.id, "queue_time": job.enqueued_at}
    extra = {name: value if name in OPEN_EXTRAS else HIDDEN for name, value in job.extra.items()}
    return block(redactor.text(_json({**told, **extra}), job))


def _bytes_of_payload(found: Whereabouts) -> bytes:
    """The payload, without what stands before it in the places in which jobs wait."""
    if found.place.kind is Kind.WORKER:
        return dict(json_members(found.raw)).get("payload", b"")
    lines_before = {Kind.PARKED: 1, Kind.RETRIES: 2}.get(found.place.kind, 0)
    return found.raw.split(b"\n", lines_before)[-1]


def _status(known: Known, command: str, redactor: Redactor) -> str:
    raw = known.status or b""
    if redactor.reveal:
        return block(_pretty(raw))
    try:
        value = load_json(raw)
    except InvalidPayload:
        return HIDDEN
    if len(raw) > LARGE:
        return HIDDEN
    text = _json(redactor.value(value, command))
    return block(redactor.told(text, command, known.found.job if known.found else None))


def _pretty(raw: bytes) -> str:
    try:
        return _json(load_json(raw)) if len(raw) <= LARGE else _decoded(raw)
    except InvalidPayload:
        return str(raw, "utf-8", "backslashreplace")


def _json(value: Any) -> str:
    try:
        return json.dumps(value, indent=2, ensure_ascii=False)
    except (RecursionError, ValueError):
        return _("(nested too deeply to be shown)")
