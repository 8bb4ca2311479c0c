"""The server and how long everything in it is, and what the system checks say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.checks import ERROR, run_checks
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...diagnosis import Level, of_server
from ...errors import ResqueError
from ...store import Counts, ServerInfo, Spread
from ..action import Action
from ..page import Page
from ..text import Time, discreet, duration, line, number, reason
from ..visit import Visit

TAG = "django_resque"
"""The system checks that are ours."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing about the server, with what else there is to say of it."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """How long something is. ``count`` is empty where the key is something else than it should be; the address leads to
    the page that shows what is in there."""

    label: str
    count: str
    key: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    """Something that is wrong and what to do about it; ``id`` is that of a system check."""

    text: str
    advice: str
    is_error: bool
    id: str = ""


class RedisPage(Page):
    """Version, memory, policy, persistence, clients, lengths, system checks; also where Redis does not answer."""

    slug = "redis"
    title = gettext_lazy("Redis")
    template = "redis.html"

    def context(self, visit: Visit) -> dict[str, Any]:
        checks = check_words()
        try:
            counts, server = visit.store.counts(), visit.store.server.info()
        except ResqueError as error:  # then, too, the checks are what is looked for here
            return {"checks": checks, "silent": reason(error)}
        now = datetime.now(UTC) + timedelta(seconds=server.ahead)
        return {
            "now": Time.of(now, now),
            "address": discreet(visit.store.server.address),
            "checks": checks,
            "facts": list(facts(server)),
            "findings": [
                Word(discreet(found.what), discreet(found.advice), found.level is Level.ERROR)
                for found in of_server(server)
            ],
            "rows": key_rows(counts, server, visit),
        }


def check_words() -> Sequence[Word]:
    """What our system checks say, which do not connect; but for those that the project has silenced."""
    return [
        Word(discreet(found.msg), discreet(found.hint or ""), found.level >= ERROR, line(str(found.id or "")))
        for found in run_checks(tags=[TAG])
        if not found.is_silenced()
    ]


def facts(server: ServerInfo) -> Iterator[Fact]:
    """The server in a few words; what it does not tell is left out."""
    if server.version:
        yield Fact(_("Version"), line(f"{server.name} {server.version}"), line(server.role))
    if server.memory:
        limit = _("of %(limit)s") % {"limit": filesizeformat(server.max_memory)} if server.max_memory else _("no limit")
        yield Fact(_("Memory"), filesizeformat(server.memory), limit)
    if server.policy:
        yield Fact(_("When it is full"), line(server.policy))
    yield Fact(_("Persistence"), *_persistence(server))
    if server.clients:
        most = _("of %(limit)s") % {"limit": number(server.max_clients)} if server.max_clients else ""
        yield Fact(_("Clients"), number(server.clients), most)
    if server.keys is not None:
        yield Fact(_("Keys in the database"), number(server.keys))
    if server.uptime:
        yield Fact(_("Running for"), duration(server.uptime))


def _persistence(server: ServerInfo) -> tuple[str, str]:
    if server.appendonly:
        return _("append-only file"), line(server.appendfsync)
    if server.appendonly is None:
        return _("not told"), ""
    return (_("none"), "") if server.save == "" else (_("snapshots"), line(server.save or ""))


def key_rows(counts: Counts, server: ServerInfo, visit: Visit) -> Sequence[KeyRow]:
    """How long everything is that is ours or the family's."""
    keys, spreads = visit.store.keys, counts.spreads
    return [
        KeyRow(_("Queues"), _count(counts.queues), keys.queues, visit.url("queues")),
        KeyRow(_("Paused queues"), _count(counts.paused_queues), keys.paused_queues, visit.url("queues")),
        KeyRow(_("Failures"), _count(counts.failed), keys.failed, visit.url("failures")),
        KeyRow(_("Delayed jobs"), _spread(spreads.delayed), keys.delayed_schedule, visit.url("delayed")),
        KeyRow(_("Retries"), _count(counts.retries), keys.retries, visit.url("delayed", state="retrying")),
        KeyRow(_("Jobs that wait for a permit"), _spread(spreads.parked), keys.parking),
        KeyRow(
            _("Jobs that worker processes hold"),
            _spread(spreads.reserved),
            keys.reservations("…"),
            visit.url("jobs", state="running"),
        ),
        KeyRow(_("Worker processes"), _count(counts.processes), keys.processes, visit.url("workers")),
        KeyRow(_("Workers"), _count(counts.workers), keys.workers, visit.url("workers")),
        KeyRow(_("Jobs that ended last"), _count(counts.recent), keys.recent, visit.url("jobs", state="done")),
        KeyRow(_("Schedule entries of run time"), _count(counts.schedule), keys.schedule, visit.url("schedule")),
        KeyRow(_("Jobs whose worker has died"), _count(counts.crashes), keys.crashes),
    ]


def _count(count: int | None) -> str:
    return "" if count is None else number(count)


def _spread(spread: Spread) -> str:
    if spread.jobs is None:
        return ""
    return number(spread.jobs) if spread.whole else f"≥ {number(spread.jobs)}"


PAGE = RedisPage()
ACTIONS: tuple[Action, ...] = ()
