"""What can be done with jobs, according to their state: with those that are named, or with all that fit a filter."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, ClassVar

from django.contrib import messages
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy

from .. import control
from ..failure import Failure
from ..store import FailureFilter, Taken
from . import items, queued, waiting
from .action import Action, Done, NothingToDo, Plan
from .items import Item
from .job_filter import JobFilter
from .job_states import piles, running
from .text import line, number
from .visit import Visit
from .waiting import MOST_AT_ONCE, MOST_BYTES, Waiting

SHOWN = 10
"""Jobs that a confirmation names."""
TIMEOUT = 5.0
"""Seconds that a visitor waits for the end of one job."""
PATIENCE = 20.0
"""Seconds after which no more jobs are ended for one visitor."""
MOST_ENDED = 100
"""Jobs that are ended at once."""


def told(count: int, what: str) -> list[str]:
    """The sentence about so many with which nothing is done; none about none."""
    if count <= 0:
        return []
    texts = {
        "gone": ngettext("%(count)s is not there any more.", "%(count)s are not there any more.", count),
        "stuck": ngettext(
            "%(count)s has stayed: it cannot go there.", "%(count)s have stayed: they cannot go there.", count
        ),
        "refused": ngettext(
            "%(count)s cannot be retried: there is no job in it, or it was retried already.",
            "%(count)s cannot be retried: there is no job in them, or they were retried already.",
            count,
        ),
        "later": ngettext("%(count)s is left for another time.", "%(count)s are left for another time.", count),
    }
    return [texts[what] % {"count": number(count)}]


def done(text: str, others: Sequence[str], names: Iterable[str] = ()) -> Done:
    """What is said of it. The log also has the most frequent ``names`` of queues or commands, and never arguments."""
    message = " ".join([text, *others])
    frequent = Counter(name for name in names if name).most_common(3)
    note = f"{message} {', '.join(line(name, 60) for name, _count in frequent)}".strip()
    return Done(message, note, messages.WARNING if others else messages.SUCCESS)


class OnJobs(Action):
    """What is done with jobs that are in one of ``states``. ``question`` states their number."""

    page = "jobs"
    states: ClassVar[Sequence[str]] = ()
    question: ClassVar[Any]
    grave: ClassVar[bool] = False

    def plan(self, visit: Visit) -> Plan:
        asked = len(visit.ticked)
        if not visit.all_matching and not asked:
            raise NothingToDo(_("No job was chosen: tick some first."))
        meant = self.matching(visit) if visit.all_matching else self.named(visit)
        if not meant.count:
            raise NothingToDo(_("There is no such job any more."))
        question = self.question % {"count": number(meant.count), "number": meant.count}
        others = [] if visit.all_matching else told(asked - meant.count, "gone")
        if not meant.whole:
            others.append(_("Not all were looked through: there are too many."))
        shown = [item.line(visit.redactor) for item in islice(meant.items, SHOWN)]
        return Plan(meant.count, " ".join([question, *others]), meant, shown, grave=self.grave)

    @abstractmethod
    def named(self, visit: Visit) -> Meant:
        """Those that are ticked, as far as they are there."""

    @abstractmethod
    def matching(self, visit: Visit) -> Meant:
        """Those that fit what stands in the address."""


@dataclass(frozen=True, slots=True)
class Meant:
    """So many are meant; ``items`` are the first of them at least, ``what`` is for the action. Not the ``whole``: there
    may be more."""

    count: int
    items: Iterable[Item]
    what: Any
    whole: bool = True


def _fits(visit: Visit) -> JobFilter:
    return JobFilter.of(visit, visit.store.time())


# -- queued ------------------------------------------------------------------------------------------------------------


class Delete(OnJobs):
    """Take jobs out of where they wait."""

    slug = "jobs/delete"
    permission = "clear_queue"
    label = gettext_lazy("Delete")
    states = ("queued", "parked")
    grave = True
    question = ngettext_lazy(
        "Delete %(count)s job? It is not performed, and its state becomes “cancelled”.",
        "Delete %(count)s jobs? They are not performed, and their state becomes “cancelled”.",
        "number",
    )

    def named(self, visit: Visit) -> Meant:
        return self._meant(queued.named(visit.store, visit.ticked))

    def matching(self, visit: Visit) -> Meant:
        permit = visit.text("state") == "parked"
        fits = _fits(visit)
        where = piles(visit.store.job_counts(), fits.queue, permit=permit)
        return self._meant(*queued.matching(visit.store, where, fits))

    @staticmethod
    def _meant(found: Mapping[queued.Pile, Sequence[bytes]], whole: bool = True) -> Meant:
        those = (pile.item(raw) for pile, elements in found.items() for raw in elements)
        return Meant(sum(map(len, found.values())), those, found, whole)

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        found: Mapping[queued.Pile, Sequence[bytes]] = plan.what.what
        deleted = sum(pile.delete(visit.store, elements) for pile, elements in found.items())
        text = ngettext("Deleted %(count)s job.", "Deleted %(count)s jobs.", deleted) % {"count": number(deleted)}
        return done(text, told(plan.count - deleted, "gone"), [pile.name for pile in found])


# -- scheduled and retrying --------------------------------------------------------------------------------------------


class OnLater(OnJobs):
    """What is done with jobs that wait for their time."""

    permission = "change_delayed"
    states = ("scheduled", "retrying")

    def named(self, visit: Visit) -> Meant:
        return self._meant(waiting.named(visit.store, visit.ticked))

    def matching(self, visit: Visit) -> Meant:
        fits, store = _fits(visit), visit.store
        retries = visit.text("state") == "retrying"
        seen: Iterator[Waiting] = map(Waiting, store.retries.each() if retries else store.delayed.each())
        those: list[Waiting] = []
        size = 0
        for each in islice(seen, MOST_AT_ONCE):
            if fits.may_be_in(each.raw) and fits(items.later(each)):
                those.append(each)
                size += len(each.raw)
                if size > MOST_BYTES:
                    break
        if retries:  # one may be come across twice; two delayed jobs that are the same to the byte are two
            those = list({each.raw: each for each in those}.values())
        return self._meant(those, next(seen, None) is None)

    @staticmethod
    def _meant(those: Sequence[Waiting], whole: bool = True) -> Meant:
        return Meant(len(those), map(items.later, those), those, whole)

    @staticmethod
    def _commands(plan: Plan) -> Iterator[str]:
        those: Sequence[Waiting] = plan.what.what
        return (each.job.command for each in those if each.job is not None)


class RunNow(OnLater):
    """Put jobs on their queues before their time."""

    slug = "jobs/run"
    label = gettext_lazy("Run now")
    question = ngettext_lazy(
        "Run %(count)s job now? It goes to its queue.",
        "Run %(count)s jobs now? They go to their queues.",
        "number",
    )

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        taken: Taken = waiting.run(visit.store, plan.what.what)
        text = ngettext("%(count)s job is in its queue now.", "%(count)s jobs are in their queues now.", taken.done)
        others = [*told(taken.gone, "gone"), *told(taken.stuck, "stuck")]
        return done(text % {"count": number(taken.done)}, others, self._commands(plan))


class Cancel(OnLater):
    """Take jobs away before their time: they are never performed."""

    slug = "jobs/cancel"
    label = gettext_lazy("Cancel")
    grave = True
    question = ngettext_lazy(
        "Cancel %(count)s job? It is not performed, and its state becomes “cancelled”.",
        "Cancel %(count)s jobs? They are not performed, and their state becomes “cancelled”.",
        "number",
    )

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        taken: Taken = waiting.cancel(visit.store, plan.what.what)
        text = ngettext("Cancelled %(count)s job.", "Cancelled %(count)s jobs.", taken.done)
        return done(text % {"count": number(taken.done)}, told(taken.gone, "gone"), self._commands(plan))


# -- running -----------------------------------------------------------------------------------------------------------


class End(OnJobs):
    """End running jobs."""

    slug = "jobs/end"
    permission = "stop_job"
    label = gettext_lazy("End")
    states = ("running",)
    grave = True
    question = ngettext_lazy(
        "End %(count)s running job? It becomes a failure, or a failed attempt where there are more.",
        "End %(count)s running jobs? They become failures, or failed attempts where there are more.",
        "number",
    )

    def named(self, visit: Visit) -> Meant:
        return self._meant(visit, set(visit.ticked), JobFilter(visit.redactor))

    def matching(self, visit: Visit) -> Meant:
        return self._meant(visit, None, _fits(visit))

    @staticmethod
    def _meant(visit: Visit, keys: set[str] | None, fits: JobFilter) -> Meant:
        found = running(visit.store, visit.store.job_counts(), fits)
        those = [item for item in found if item.key and (keys is None or item.key in keys)]
        return Meant(len(those), those, those)

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        those: Sequence[Item] = plan.what.what
        ended, gone = 0, 0
        silent: dict[str, None] = {}
        until = time.monotonic() + PATIENCE
        for item in those[:MOST_ENDED]:
            if time.monotonic() >= until:
                break
            end = control.end_job(item.id, timeout=TIMEOUT)
            ended += end.by is not None
            gone += end.by is None
            silent.update(dict.fromkeys(result.target.name for result in end.silent))
        text = ngettext("Ended %(count)s job.", "Ended %(count)s jobs.", ended) % {"count": number(ended)}
        others = [*_not_ended(gone, list(silent)), *told(len(those) - ended - gone, "later")]
        return done(text, others, [item.command for item in those])


def _not_ended(count: int, silent: Sequence[str]) -> list[str]:
    if not count:
        return []
    said = ngettext(
        "%(count)s runs on none of the workers that answered.",
        "%(count)s run on none of the workers that answered.",
        count,
    ) % {"count": number(count)}
    if not silent:
        return [said]
    return [said, _("No answer: %(silent)s.") % {"silent": ", ".join(map(line, silent[:SHOWN]))}]


# -- failed ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Fitting(FailureFilter):
    """The failures that a page shows."""

    which: JobFilter = field(kw_only=True)

    def __call__(self, failure: Failure) -> bool:
        return self.which(items.failed(failure))

    def may_be_in(self, raw: bytes) -> bool:
        return self.which.may_be_in(raw)


class OnFailures(OnJobs):
    """What is done with failures. Then `Meant.what` are those that are ticked, or what they have to fit."""

    states = ("failed",)

    def named(self, visit: Visit) -> Meant:
        found = visit.store.failures.find_all(set(visit.ticked))
        return Meant(len(found), map(items.failed, found), found)

    def matching(self, visit: Visit) -> Meant:
        which = _Fitting(which=_fits(visit))
        found = visit.store.failures.iterate(which)
        first = list(islice(found, SHOWN))
        return Meant(len(first) + sum(1 for _failure in found), map(items.failed, first), which)


class Retry(OnFailures):
    """Put the jobs of failures back on their queues."""

    slug = "jobs/retry"
    permission = "retry_failure"
    label = gettext_lazy("Retry")
    question = ngettext_lazy(
        "Retry %(count)s failure? Its job goes back to its queue.",
        "Retry %(count)s failures? Their jobs go back to their queues.",
        "number",
    )

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        which, failures = plan.what.what, visit.store.failures
        retried = failures.retry_all(which) if isinstance(which, FailureFilter) else failures.retry_many(which)
        text = ngettext("Retried %(count)s job.", "Retried %(count)s jobs.", retried.retried)
        gone = retried.seen - retried.retried - retried.refused
        others = [*told(gone, "gone"), *told(retried.refused, "refused")]
        return done(text % {"count": number(retried.retried)}, others, _commands_of(which))


class Discard(OnFailures):
    """Remove failure records."""

    slug = "jobs/discard"
    permission = "discard_failure"
    label = gettext_lazy("Discard")
    grave = True
    question = ngettext_lazy(
        "Discard %(count)s failure? Its record is removed, and its job is not performed again.",
        "Discard %(count)s failures? Their records are removed, and their jobs are not performed again.",
        "number",
    )

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        which, failures = plan.what.what, visit.store.failures
        is_filter = isinstance(which, FailureFilter)
        count = failures.discard_all(which) if is_filter else failures.discard_many(which)
        text = ngettext("Discarded %(count)s failure.", "Discarded %(count)s failures.", count)
        others = [] if is_filter else told(plan.count - count, "gone")
        return done(text % {"count": number(count)}, others, _commands_of(which))


def _commands_of(which: FailureFilter | Sequence[Failure]) -> list[str]:
    if isinstance(which, FailureFilter):
        return []
    return [failure.job.command for failure in which if failure.job is not None]


ACTIONS: tuple[OnJobs, ...] = (Delete(), RunNow(), Cancel(), End(), Retry(), Discard())
