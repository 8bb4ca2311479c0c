"""The list of queues, and pausing and resuming them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ...store import QueueState, QueueTable
from ...worker.selection import serves
from ..action import Action, Done, NothingToDo, Plan
from ..page import Button, Page, Pager, buttons, start_of
from ..text import MESSAGE, Time, from_unix, line, number
from ..visit import LONGEST, Visit

SIZE = 100
"""Queues on a page."""
SHOWN = 10
"""Queues that a confirmation names."""


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A queue as a row; ``length`` is empty where its key is no list, ``key`` and ``url`` are where nobody can ask for
    it."""

    name: str
    key: str
    url: str
    length: str
    oldest: Time | None
    rate: str
    failed: str
    running: str
    listening: str
    abandoned: bool
    paused: bool
    paused_by: str
    buttons: Sequence[Button]


class QueuesPage(Page):
    """All queues."""

    slug = "queues"
    title = gettext_lazy("Queues")
    template = "queues.html"

    def context(self, visit: Visit) -> dict[str, Any]:
        table = visit.store.queue_table()
        wanted = visit.text("q").casefold()
        found = [queue for queue in table.queues if wanted in queue.name.casefold()]
        start = start_of(visit, SIZE)
        shown = found[start : start + SIZE]
        more = len(found) > start + SIZE
        row = _Rows(visit, table)
        return {
            "now": Time.of(table.time, table.time),
            "q": line(visit.text("q"), LONGEST),
            "rows": [row.of(queue) for queue in shown],
            "all_paused": table.all_paused,
            "left_out": _left_out(table.count - len(table.queues)),
            "trouble": [line(text, MESSAGE) for text in table.trouble],
            "pager": Pager.of(visit, start=start, shown=len(shown), total=len(found), more=more, size=SIZE),
            "buttons": buttons(visit, [PauseQueues, ResumeQueues]),
        }


def _left_out(count: int) -> str:
    if count <= 0:
        return ""
    return ngettext(
        "There is %(count)s more queue, which is not read.",
        "There are %(count)s more queues, which are not read.",
        count,
    ) % {"count": number(count)}


class _Rows:
    """Makes rows of queues, with what there is to know beside the queues themselves."""

    def __init__(self, visit: Visit, table: QueueTable) -> None:
        self._visit = visit
        self._table = table
        self._workers = Counter(table.workers)  # many serve the same queues
        now = table.time.timestamp()
        self._rates = visit.store.statistics.rates(now)
        self._failed: Counter[str] = Counter()
        for figures in visit.store.statistics.figures("hour", now):
            self._failed[figures.queue] += figures.failures

    def of(self, queue: QueueState) -> QueueRow:
        visit, table = self._visit, self._table
        listening = sum(count for queues, count in self._workers.items() if serves(queues, queue.name))
        oldest = from_unix(queue.oldest)
        rate = self._rates.get(queue.name, 0.0)
        action = ResumeQueues if queue.paused else PauseQueues
        key = queue.name if len(queue.name) <= LONGEST else ""
        return QueueRow(
            name=line(queue.name),
            key=key,
            url=visit.url("queue", name=key) if key else "",
            length="" if queue.length is None else number(queue.length),
            oldest=Time.of(oldest, table.time) if oldest else None,
            rate=number(round(rate)) if rate >= 10 or not rate else number_format(rate, 1),
            failed=number(self._failed[queue.name]),
            running=number(queue.running),
            listening=number(listening),
            abandoned=bool(queue.length) and not listening and table.worker_count <= len(table.workers),
            paused=queue.paused,
            paused_by=line(queue.paused_by),
            buttons=buttons(visit, [action], one=key, about=line(queue.name)) if key else [],
        )


class PauseQueues(Action):
    """Have no worker of ours take jobs from some queues."""

    slug = "queues/pause"
    permission = "pause_queue"
    label = gettext_lazy("Pause")
    page = "queues"

    def plan(self, visit: Visit) -> Plan:
        names = _chosen(visit)
        return Plan(
            count=len(names),
            question=ngettext(
                "Pause %(count)s queue? No worker of ours takes jobs from it until it is resumed.",
                "Pause %(count)s queues? No worker of ours takes jobs from them until they are resumed.",
                len(names),
            )
            % {"count": number(len(names))},
            what=names,
            items=[line(name) for name in names[:SHOWN]],
        )

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        by = visit.request.user.get_username()
        changed = [name for name in plan.what if visit.store.ask(visit.store.control.pause_queue(name, by))]
        return _done(
            plan.what, ngettext("Paused %(count)s queue.", "Paused %(count)s queues.", len(changed)), len(changed)
        )


class ResumeQueues(Action):
    """Have workers take jobs from some queues again."""

    slug = "queues/resume"
    permission = "pause_queue"
    label = gettext_lazy("Resume")
    page = "queues"

    def plan(self, visit: Visit) -> Plan:
        names = _chosen(visit)
        return Plan(
            count=len(names),
            question=ngettext("Resume %(count)s queue?", "Resume %(count)s queues?", len(names))
            % {"count": number(len(names))},
            what=names,
            items=[line(name) for name in names[:SHOWN]],
        )

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        changed = [name for name in plan.what if visit.store.ask(visit.store.control.resume_queue(name))]
        return _done(
            plan.what, ngettext("Resumed %(count)s queue.", "Resumed %(count)s queues.", len(changed)), len(changed)
        )


def _chosen(visit: Visit) -> Sequence[str]:
    if not visit.ticked:
        raise NothingToDo(_("No queue was chosen: tick some first."))
    return visit.ticked


def _done(names: Sequence[str], message: str, count: int) -> Done:
    text = message % {"count": number(count)}
    return Done(text, f"{text} {line(', '.join(names))}")


PAGE = QueuesPage()
ACTIONS: tuple[Action, ...] = (PauseQueues(), ResumeQueues())
