"""Who performs jobs and what each is doing; telling worker processes what to do."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from django.contrib import messages
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy

from ... import control
from ...control import Outcome, Result, Target
from ...store import Counters, Worker, WorkerProcessInfo, WorkerTable
from ..action import Action, Done, NothingToDo, Plan
from ..job_actions import OF_STATE
from ..page import Page, Pager, buttons, start_of
from ..text import MESSAGE, Time, line, number
from ..visit import LONGEST, Visit
from ..worker_rows import OtherRow, ProcessRow, SlotRow

ROWS = 100
"""Rows on a page: processes with their slots, which stay together, and workers of other programs."""
SLOTS = 100
"""Slots of a process that are shown at most."""
SHOWN = 10
"""Names in a confirmation or a message."""
TIMEOUT = 3.0
"""Seconds that a visitor waits for what a message to a worker brings about."""


class WorkersPage(Page):
    """Worker processes with their slots, schedulers, and the workers of other programs."""

    slug = "workers"
    title = gettext_lazy("Workers")
    template = "workers.html"

    def context(self, visit: Visit) -> dict[str, Any]:
        table = visit.store.worker_table()
        found = _matching(table, visit.text("q").casefold())
        pages = _pages(found)
        at = start_of(visit, 1)
        page = pages[at] if at < len(pages) else []
        rows = _Rows(visit, table, page)
        processes = [rows.process(each) for each in page if not isinstance(each, str)]
        others = [rows.other(each) for each in page if isinstance(each, str)]
        return {
            "now": Time.of(table.time, table.time),
            "q": line(visit.text("q"), LONGEST),
            "processes": processes,
            "others": others,
            "left_out": _left_out(table),
            "trouble": [line(text, MESSAGE) for text in table.trouble],
            "pager": _pager(visit, pages, at) if len(pages) > 1 or at else None,
            "buttons": buttons(visit, TELLING),
            "all_paused": table.all_paused,
            "everything": buttons(visit, [ResumeEverything if table.all_paused else PauseEverything]),
        }


def _matching(table: WorkerTable, wanted: str) -> Sequence[WorkerProcessInfo | str]:
    """Our processes, and then the others' ids, in which the text stands somewhere."""
    ours = [
        process
        for process in table.processes
        if wanted in f"{process.host}~{process.name}:{process.pid}:{process.queues}".casefold()
        or any(wanted in worker.casefold() for worker in process.workers)
    ]
    return [*ours, *(worker for worker in table.others if wanted in worker.casefold())]


def _pages(found: Sequence[WorkerProcessInfo | str]) -> Sequence[Sequence[WorkerProcessInfo | str]]:
    """As many on each page as have `ROWS` rows together, and at least one."""
    pages: list[list[WorkerProcessInfo | str]] = []
    left = 0
    for each in found:
        rows = 1 if isinstance(each, str) else 1 + len(each.workers[:SLOTS])
        if rows > left:
            pages.append([])
            left = ROWS
        pages[-1].append(each)
        left -= rows
    return pages


def _pager(visit: Visit, pages: Sequence[Sequence[object]], at: int) -> Pager:
    before = sum(map(len, pages[:at]))
    shown = len(pages[at]) if at < len(pages) else 0
    words = {"first": number(before + 1), "last": number(before + shown), "total": number(sum(map(len, pages)))}
    return Pager(
        _("%(first)s–%(last)s of %(total)s") % words if shown else _("nothing more"),
        visit.here(p=at if at > 1 else None) if at else "",
        visit.here(p=at + 2) if at + 1 < len(pages) else "",
    )


def _left_out(table: WorkerTable) -> str:
    """What the page says when there are more than it reads."""
    shown = len(table.processes), len(table.others) + sum(len(process.workers) for process in table.processes)
    if table.process_count <= shown[0] and table.worker_count <= shown[1]:
        return ""
    return _(
        "Only %(processes)s of %(process_count)s processes and %(workers)s of %(worker_count)s workers are read."
    ) % {
        "processes": number(shown[0]),
        "process_count": number(table.process_count),
        "workers": number(shown[1]),
        "worker_count": number(max(table.worker_count, shown[1])),
    }


class _Rows:
    """Makes the rows of a page; what its workers do is read here."""

    def __init__(self, visit: Visit, table: WorkerTable, page: Sequence[WorkerProcessInfo | str]) -> None:
        self._visit = visit
        self._now = table.time
        ids = [id for each in page for id in ([each] if isinstance(each, str) else each.workers[:SLOTS])]
        ids = list(dict.fromkeys(ids))
        self._workers: Mapping[str, Worker] = {worker.id: worker for worker in visit.store.workers.some(ids)}
        self._counters: Mapping[str, Counters] = visit.store.stats.of_workers(ids)

    def process(self, process: WorkerProcessInfo) -> ProcessRow:
        ids = process.workers[:SLOTS]
        key = process.name if len(process.name) <= LONGEST else ""
        about = line(f"{process.host} {process.name}")
        possible = [each for each in TELLING if key and process.alive and process.mode not in each.needless]
        return ProcessRow.of(
            process,
            [self._slot(process, self._workers[each]) for each in ids],
            [self._counters[each] for each in ids],
            self._now,
            key=key if process.alive else "",
            buttons=buttons(self._visit, possible, one=key, about=about),
        )

    def _slot(self, process: WorkerProcessInfo, worker: Worker) -> SlotRow:
        job_id = worker.job.id if worker.job else ""
        able = OF_STATE["running"] if process.alive and 0 < len(job_id) <= LONGEST else ()
        ends = buttons(self._visit, able, one=job_id, about=line(job_id))
        return SlotRow.of(
            worker,
            self._counters[worker.id],
            self._visit,
            self._now,
            [replace(end, label=_("End the job")) for end in ends],
        )

    def other(self, worker: str) -> OtherRow:
        return OtherRow.of(self._workers[worker], self._counters[worker], self._visit, self._now)


# -- telling workers ---------------------------------------------------------------------------------------------------

NOT_DONE: Mapping[Outcome, Any] = {
    Outcome.ACKNOWLEDGED: gettext_lazy("Acknowledged, not done yet"),
    Outcome.REFUSED: gettext_lazy("Refused"),
    Outcome.NO_ANSWER: gettext_lazy("No answer"),
    Outcome.GONE: gettext_lazy("Gone"),
    Outcome.LEASE_ENDED: gettext_lazy("Not told, the lease has ended"),
    Outcome.NOT_OURS: gettext_lazy("Not told, a worker of another program"),
}


class Telling(Action):
    """Have worker processes do something; the message says of each what came of it.

    ``question`` states their number, ``done`` is what is said of those that did it. ``needless`` are modes in which
    nobody needs to be told.
    """

    permission = "control_worker"
    page = "workers"
    question: ClassVar[Any]
    done: ClassVar[Any]
    needless: ClassVar[Sequence[str]] = ()

    @abstractmethod
    def tell(self, targets: Sequence[Target]) -> Sequence[Result]:
        """Tell them, and wait a little."""

    def plan(self, visit: Visit) -> Plan:
        if not visit.ticked:
            raise NothingToDo(_("No worker was chosen: tick some first."))
        wanted = set(visit.ticked)
        processes = visit.store.worker_table().processes
        targets = [Target(process.name, process) for process in processes if process.name in wanted]
        if not targets:
            raise NothingToDo(_("None of these workers is registered any more."))
        return Plan(
            count=len(targets),
            question=self.question % {"count": number(len(targets)), "number": len(targets)},
            what=targets,
            items=[_told(target) for target in targets[:SHOWN]],
        )

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        results = self.tell(plan.what)
        parts = []
        for outcome, label in {Outcome.DONE: self.done, **NOT_DONE}.items():
            if found := [result for result in results if result.outcome is outcome]:
                parts.append(f"{label}: {_named(found)}.")
        return Done(" ".join(parts), level=_level(results))


def _told(target: Target) -> str:
    process = target.process
    assert process is not None
    return line(f"{process.host} {process.name}: {process.queues or process.kind}")


def _named(results: Sequence[Result]) -> str:
    """Whom they are about; with what else is known of those that did not do it."""
    names = []
    for result in results[:SHOWN]:
        host = result.target.process.host if result.target.process else ""
        detail = f" ({result.detail})" if result.detail and not result.done else ""
        names.append(line(f"{host} {result.target.name}{detail}".strip()))
    if len(results) > SHOWN:
        names.append(_("%(count)s more") % {"count": number(len(results) - SHOWN)})
    return ", ".join(names)


def _level(results: Sequence[Result]) -> int:
    if all(result.done for result in results):
        return messages.SUCCESS
    well = (Outcome.DONE, Outcome.ACKNOWLEDGED)
    return messages.INFO if all(result.outcome in well for result in results) else messages.WARNING


class PauseWorkers(Telling):
    """Have worker processes take no more jobs."""

    slug = "workers/pause"
    label = gettext_lazy("Pause")
    question = ngettext_lazy(
        "Pause %(count)s worker process? It finishes what runs, and takes no more jobs until it is resumed.",
        "Pause %(count)s worker processes? They finish what runs, and take no more jobs until they are resumed.",
        "number",
    )
    done = gettext_lazy("Paused")
    needless = ("paused", "stopping")

    def tell(self, targets: Sequence[Target]) -> Sequence[Result]:
        return control.pause(targets, timeout=TIMEOUT)


class ResumeWorkers(Telling):
    """Have worker processes take jobs again."""

    slug = "workers/resume"
    label = gettext_lazy("Resume")
    question = ngettext_lazy("Resume %(count)s worker process?", "Resume %(count)s worker processes?", "number")
    done = gettext_lazy("Resumed")
    needless = ("running", "stopping")

    def tell(self, targets: Sequence[Target]) -> Sequence[Result]:
        return control.resume(targets, timeout=TIMEOUT)


class StopWorkers(Telling):
    """Have worker processes end when their running jobs have."""

    slug = "workers/stop"
    label = gettext_lazy("Stop")
    question = ngettext_lazy(
        "Stop %(count)s worker process? It takes no more jobs and ends when the running ones are finished, or its grace"
        " period is over. It cannot be started again from here.",
        "Stop %(count)s worker processes? They take no more jobs and end when the running ones are finished, or their"
        " grace periods are over. They cannot be started again from here.",
        "number",
    )
    done = gettext_lazy("Stopped")
    needless = ("stopping",)

    def tell(self, targets: Sequence[Target]) -> Sequence[Result]:
        return control.stop(targets, timeout=TIMEOUT)


class StopWorkersNow(Telling):
    """Have worker processes end at once."""

    slug = "workers/stop-now"
    label = gettext_lazy("Stop now")
    question = ngettext_lazy(
        "Stop %(count)s worker process now? The jobs that it runs are interrupted and go back to their queues. It"
        " cannot be started again from here.",
        "Stop %(count)s worker processes now? The jobs that they run are interrupted and go back to their queues. They"
        " cannot be started again from here.",
        "number",
    )
    done = gettext_lazy("Stopped")

    def tell(self, targets: Sequence[Target]) -> Sequence[Result]:
        return control.stop(targets, force=True, timeout=TIMEOUT)


TELLING: tuple[Telling, ...] = (PauseWorkers(), ResumeWorkers(), StopWorkers(), StopWorkersNow())


# -- all of them -------------------------------------------------------------------------------------------------------


class OnEverything(Action):
    """Have no worker take jobs, whoever it is, or have them take jobs again. ``pauses`` says which; ``question`` states
    the number of workers, ``needless`` is said where it is so already, and ``done`` when it is done."""

    permission = "control_worker"
    page = "workers"
    pauses: ClassVar[bool]
    question: ClassVar[Any]
    needless: ClassVar[Any]
    done: ClassVar[Any]

    def plan(self, visit: Visit) -> Plan:
        table = visit.store.worker_table()
        if table.all_paused is self.pauses:
            raise NothingToDo(str(self.needless))
        count = table.worker_count
        return Plan(count, self.question % {"count": number(count), "number": count})

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        visit.store.ask(visit.store.control.pause_all(self.pauses))
        return Done(str(self.done))


class PauseEverything(OnEverything):
    """Have no worker take jobs, whoever it is."""

    slug = "workers/pause-everything"
    label = gettext_lazy("Pause everything")
    pauses = True
    question = ngettext_lazy(
        "Pause everything? %(count)s worker, and whoever starts later, takes no more jobs until everything is resumed."
        " What runs is finished.",
        "Pause everything? %(count)s workers, those of other programs too, and whoever starts later, take no more jobs"
        " until everything is resumed. What runs is finished.",
        "number",
    )
    needless = gettext_lazy("Everything is paused already.")
    done = gettext_lazy("Everything is paused: no worker takes jobs.")


class ResumeEverything(OnEverything):
    """Have workers take jobs again, but for those that are paused one by one."""

    slug = "workers/resume-everything"
    label = gettext_lazy("Resume everything")
    pauses = False
    question = ngettext_lazy(
        "Resume everything? %(count)s worker takes jobs again, unless it is paused itself.",
        "Resume everything? %(count)s workers take jobs again, but for those that are paused themselves.",
        "number",
    )
    needless = gettext_lazy("Not everything is paused; workers and queues are resumed one by one.")
    done = gettext_lazy("Workers take jobs again.")


PAGE = WorkersPage()
ACTIONS: tuple[Action, ...] = (*TELLING, PauseEverything(), ResumeEverything())
