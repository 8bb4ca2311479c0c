"""What can be done with jobs, according to where they are: with those that are named, or with all that fit a filter."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy

from .. import control
from ..failure import Failure
from ..job import digest
from ..moments import LAST_SECOND, due_second
from ..store import FailureFilter, Taken
from ..store.failures import why_not_retried
from . import items, queued, waiting
from .action import Action, Done, NothingToDo, Plan
from .failure_search import FailureSearch, veiled
from .forms import TextForm
from .items import Item, Later
from .job_filter import JobFilter
from .job_states import piles, running
from .redaction import Redactor
from .text import from_unix, line, moment, number
from .visit import Visit

SHOWN = 10
"""Jobs that a confirmation names."""
LOGGED = 3
"""Jobs that the log names."""
IN_LOG = 60
"""Characters of a name in the log."""
OF_SHA = 12
"""Characters of an SHA-1 in the log, where there is no id."""
TIMEOUT = 5.0
"""Seconds that a visitor waits for the end of one job."""
PATIENCE = 20.0
"""Seconds after which no more jobs are ended for one visitor."""
MOST_ENDED = 100
"""Jobs that are ended at once."""


@dataclass(frozen=True, slots=True)
class Meant:
    """So many are meant; ``items`` are the first of them at least, ``what`` is for the action. ``unfit`` further ones
    are there, with which it cannot be done; ``gone`` were chosen and are not there any more. Not the ``whole``: there
    may be more. ``words`` say for the log what was asked for, where they were not chosen one by one."""

    count: int
    items: Iterable[Item]
    what: Any
    unfit: int = 0
    gone: int = 0
    whole: bool = True
    words: str = ""


def told(count: int, what: str) -> list[str]:
    """The sentence about so many with which nothing is done; none about none."""
    if count <= 0:
        return []
    texts = {
        "gone": ngettext("%(count)s is not there any more.", "%(count)s are not there any more.", count),
        "stuck": ngettext(
            "%(count)s has stayed: it cannot go there.", "%(count)s have stayed: they cannot go there.", count
        ),
        "unfit": ngettext("%(count)s is left out: that cannot be.", "%(count)s are left out: that cannot be.", count),
        "refused": ngettext("%(count)s cannot be retried and stays.", "%(count)s cannot be retried and stay.", count),
        "later": ngettext("%(count)s is left for another time.", "%(count)s are left for another time.", count),
    }
    return [texts[what] % {"count": number(count)}]


def done(text: str, count: int, others: Sequence[str], meant: Meant) -> Done:
    """What is said of so many with which it was done; ``text`` states their ``count`` and whatever else. The log also
    has what was asked for, or commands, ids and queues of the first ones, and never arguments."""
    message = " ".join([text, *others])
    names = meant.words or ", ".join(_name(item) for item in islice(meant.items, LOGGED))
    return Done(message, f"{message} {names}".strip(), messages.WARNING if others or not count else messages.SUCCESS)


def _name(item: Item) -> str:
    names = item.command, item.id or digest(item.raw)[:OF_SHA], item.queue
    return " ".join(line(name, IN_LOG) for name in names if name)


def _in_words(item: Item, redactor: Redactor) -> str:
    seen = item.line(redactor) if item.command or item.raw else line(item.id)
    return " · ".join(filter(None, (seen, item.note(redactor))))


class OnJobs(Action):
    """What is done with jobs. ``question`` states their number, ``left_out`` is what there is to tell of those with
    which it cannot be done, ``none`` what is said when there are none. ``moves``: it puts them on queues."""

    page = "jobs"
    question: ClassVar[Any]
    grave: ClassVar[bool] = False
    left_out: ClassVar[str] = "unfit"
    moves: ClassVar[bool] = False
    none: ClassVar[Any] = gettext_lazy("There is no such job any more.")

    def plan(self, visit: Visit) -> Plan:
        asked = len(visit.ticked)
        if not visit.all_matching and not asked:
            raise NothingToDo(_("Nothing was chosen: tick some first."))
        found = self.matching(visit) if visit.all_matching else self.named(visit)
        if not found.count:
            raise NothingToDo(self.why_not(found) if found.unfit else str(self.none))
        gone = 0 if visit.all_matching else asked - found.count - found.unfit
        meant = replace(found, items=list(islice(found.items, SHOWN)), gone=gone)
        question = self.question % {"count": number(meant.count), "number": meant.count}
        others = [*told(meant.unfit, self.left_out), *told(gone, "gone")]
        if not meant.whole:
            others.append(_("Not all were looked through: there are too many."))
        shown = [_in_words(item, visit.redactor) for item in meant.items]
        return Plan(meant.count, " ".join([question, *others]), meant, shown, self.form(visit), self.grave)

    @abstractmethod
    def named(self, visit: Visit) -> Meant:
        """Those that are ticked, as far as they are there."""

    @abstractmethod
    def matching(self, visit: Visit) -> Meant:
        """Those that fit what stands in the address."""

    def can(self, item: Item) -> bool:
        """Whether it can be done with this one."""
        return item.goes or not self.moves

    def why_not(self, found: Meant) -> str:
        """Why it can be done with none of those that were found."""
        return _("That cannot be done with any of them.")

    def form(self, visit: Visit) -> forms.Form | None:
        """What asks for more than a confirmation."""
        return None


def _fits(visit: Visit) -> JobFilter:
    return JobFilter.of(visit, visit.store.time())


# -- in queues, or waiting for a permit --------------------------------------------------------------------------------


def deleted_so_many(count: int) -> str:
    return ngettext("Deleted %(count)s job.", "Deleted %(count)s jobs.", count) % {"count": number(count)}


class Delete(OnJobs):
    """Take jobs out of where they wait."""

    slug = "jobs/delete"
    permission = "clear_queue"
    label = gettext_lazy("Delete")
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
        fits, counts = _fits(visit), visit.store.job_counts()
        found, whole = queued.matching(visit.store, piles(counts, fits.queue, permit=permit), fits)
        more = counts.more_parked if permit else counts.more_queues and not fits.queue
        return replace(self._meant(found), whole=whole and not more, words=fits.in_words())

    @staticmethod
    def _meant(found: Mapping[queued.Pile, Sequence[bytes]]) -> Meant:
        those = (pile.item(raw) for pile, elements in found.items() for raw in elements)
        return Meant(sum(map(len, found.values())), those, found)

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        meant: Meant = plan.what
        deleted = sum(pile.delete(visit.store, elements) for pile, elements in meant.what.items())
        return done(deleted_so_many(deleted), deleted, told(meant.gone + meant.count - deleted, "gone"), meant)


# -- delayed, or to be tried again -------------------------------------------------------------------------------------


class OnLater(OnJobs):
    """What is done with jobs that wait for their time."""

    permission = "change_delayed"
    page = "delayed"

    def named(self, visit: Visit) -> Meant:
        return self._meant(waiting.named(visit.store, visit.ticked))

    def matching(self, visit: Visit) -> Meant:
        fits = _fits(visit)
        found, whole = waiting.matching(visit.store, fits, retries=visit.text("state") == "retrying")
        return replace(self._meant(found), whole=whole, words=fits.in_words())

    def _meant(self, found: Sequence[Later]) -> Meant:
        able = [each for each in found if self.can(items.later(each))]
        return Meant(len(able), map(items.later, able), able, unfit=len(found) - len(able))


class RunNow(OnLater):
    """Put jobs on their queues before their time."""

    slug = "delayed/run"
    label = gettext_lazy("Run now")
    question = ngettext_lazy(
        "Run %(count)s job now? It goes to its queue.",
        "Run %(count)s jobs now? They go to their queues.",
        "number",
    )
    moves = True

    def why_not(self, found: Meant) -> str:
        return _("This names no queue to which it could go.")

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        meant: Meant = plan.what
        taken = waiting.run(visit.store, meant.what)
        text = ngettext("%(count)s job is in its queue now.", "%(count)s jobs are in their queues now.", taken.done)
        return done(text % {"count": number(taken.done)}, taken.done, _left(meant, taken), meant)


class MomentForm(TextForm):
    """Asks for another moment, or for so many seconds from ``now`` (unix time) on."""

    at = forms.DateTimeField(
        required=False,
        label=gettext_lazy("At"),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": 1}, format="%Y-%m-%dT%H:%M:%S"),
    )
    seconds = forms.IntegerField(required=False, min_value=0, max_value=LAST_SECOND, label=gettext_lazy("or in"))

    def __init__(self, data: Any, *, now: int) -> None:
        self._now = now
        super().__init__(data)
        zone = timezone.get_current_timezone_name()
        self.fields["at"].help_text = _("Date and time, in the time zone %(zone)s.") % {"zone": zone}
        self.fields["seconds"].help_text = _("Seconds from now on, in place of that.")

    def clean(self) -> dict[str, Any]:
        super().clean()
        given: dict[str, Any] = self.cleaned_data
        at, seconds = given.get("at"), given.get("seconds")
        if self.errors:
            return given
        if (at is None) == (seconds is None):
            raise forms.ValidationError(_("Say when: a date and time, or a number of seconds."))
        wanted = self._now + int(seconds or 0) if at is None else at
        try:
            second = due_second(wanted, zone=timezone.get_current_timezone())
        except (ValueError, OverflowError) as error:
            raise forms.ValidationError(line(str(error))) from error
        if second < self._now:
            raise forms.ValidationError(_("That moment has passed."))
        given["second"] = second
        return given


class Reschedule(OnLater):
    """Make delayed jobs due at another time."""

    slug = "delayed/move"
    label = gettext_lazy("Reschedule")
    question = ngettext_lazy(
        "Reschedule %(count)s job? It waits for another time then.",
        "Reschedule %(count)s jobs? They wait for another time then.",
        "number",
    )

    def form(self, visit: Visit) -> forms.Form:
        data = visit.request.POST if "confirmed" in visit.request.POST else None
        return MomentForm(data, now=visit.store.time())

    def can(self, item: Item) -> bool:
        return "-" in item.key  # a retry has no second in its key

    def why_not(self, found: Meant) -> str:
        return _("A retry can be run now or deleted, and not be rescheduled.")

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        assert plan.form is not None
        meant: Meant = plan.what
        second: int = plan.form.cleaned_data["second"]
        taken = waiting.move(visit.store, meant.what, second)
        when = from_unix(second)
        text = ngettext("%(count)s job is due %(when)s now.", "%(count)s jobs are due %(when)s now.", taken.done)
        words = {"count": number(taken.done), "when": moment(when) if when else number(second)}
        return done(text % words, taken.done, _left(meant, taken), meant)


class Cancel(OnLater):
    """Take jobs away before their time: they are never performed."""

    slug = "delayed/cancel"
    label = gettext_lazy("Delete")
    grave = True
    question = Delete.question

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        meant: Meant = plan.what
        taken = waiting.cancel(visit.store, meant.what)
        return done(deleted_so_many(taken.done), taken.done, _left(meant, taken), meant)


def _left(meant: Meant, taken: Taken) -> list[str]:
    return [*told(meant.gone + taken.gone, "gone"), *told(taken.stuck, "stuck")]


# -- running -----------------------------------------------------------------------------------------------------------


class End(OnJobs):
    """End running jobs; `Meant.what` are their ids. Those that are named are asked for at all workers, whether the
    first ones that one looks at say that they perform them or not."""

    slug = "jobs/end"
    permission = "stop_job"
    label = gettext_lazy("End")
    grave = True
    question = ngettext_lazy(
        "End %(count)s running job? It becomes a failure, or a failed attempt where there are more.",
        "End %(count)s running jobs? They become failures, or failed attempts where there are more.",
        "number",
    )

    def named(self, visit: Visit) -> Meant:
        ids = visit.ticked
        known = {item.key: item for item in running(visit.store, visit.store.job_counts(), JobFilter(visit.redactor))}
        return Meant(len(ids), [known.get(each) or items.unknown(each) for each in ids], ids)

    def matching(self, visit: Visit) -> Meant:
        fits, counts = _fits(visit), visit.store.job_counts()
        found = [item for item in running(visit.store, counts, fits) if item.key]
        ids = [item.key for item in found]
        return Meant(len(found), found, ids, whole=not counts.more_workers, words=fits.in_words())

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        meant: Meant = plan.what
        ended, gone = 0, 0
        silent: dict[str, None] = {}
        until = time.monotonic() + PATIENCE
        for job_id in meant.what[:MOST_ENDED]:
            if time.monotonic() >= until:
                break
            end = control.end_job(job_id, timeout=TIMEOUT)
            ended += end.by is not None
            gone += end.by is None
            silent.update(dict.fromkeys(result.target.name for result in end.silent))
        text = ngettext("Ended %(count)s job.", "Ended %(count)s jobs.", ended) % {"count": number(ended)}
        others = [*_not_ended(gone, list(silent)), *told(meant.count - ended - gone, "later")]
        return done(text, ended, others, meant)


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


class OnFailures(OnJobs):
    """What is done with failures. Then `Meant.what` are those that are ticked, or what they have to fit."""

    page = "failures"
    none = gettext_lazy("There are no such failures any more.")

    def named(self, visit: Visit) -> Meant:
        found = visit.store.failures.find_all(visit.ticked)
        return self._meant(found, found)

    def matching(self, visit: Visit) -> Meant:
        search = FailureSearch.of(visit)
        words = search.in_words() or _("all")
        which = search.filter(visit.time(), visit.redactor)
        if search.q and not visit.redactor.reveal:
            found, whole = veiled(visit, which)
            return replace(self._meant(found, found), whole=whole, words=words)
        return replace(self._meant(visit.store.failures.iterate(which), which), words=words)

    def _meant(self, found: Iterable[Failure], what: Any) -> Meant:
        count = unfit = 0
        first: list[Item] = []
        for failure in found:
            if self.moves and why_not_retried(failure):
                unfit += 1
                continue
            count += 1
            if len(first) < SHOWN:
                first.append(items.failed(failure))
        return Meant(count, first, what, unfit)


class Retry(OnFailures):
    """Put the jobs of failures back on their queues."""

    slug = "failures/retry"
    permission = "retry_failure"
    label = gettext_lazy("Retry")
    left_out = "refused"
    moves = True
    question = ngettext_lazy(
        "Retry %(count)s failure? Its job is put back on its queue, as if it had not been tried yet.",
        "Retry %(count)s failures? Their jobs are put back on their queues, as if they had not been tried yet.",
        "number",
    )

    def why_not(self, found: Meant) -> str:
        if found.unfit == 1 and not isinstance(found.what, FailureFilter):
            return why_not_retried(found.what[0])
        return _("None of them can be retried: there is no job in them that could be put back on its queue.")

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        meant: Meant = plan.what
        which, failures = meant.what, visit.store.failures
        found = failures.retry_all(which) if isinstance(which, FailureFilter) else failures.retry_many(which)
        text = ngettext("Retried %(count)s failure.", "Retried %(count)s failures.", found.retried)
        gone = meant.gone + found.seen - found.retried - found.refused
        others = [*told(found.refused, "refused"), *told(gone, "gone")]
        return done(text % {"count": number(found.retried)}, found.retried, others, meant)


class Discard(OnFailures):
    """Remove failures for good."""

    slug = "failures/discard"
    permission = "discard_failure"
    label = gettext_lazy("Discard")
    grave = True
    question = ngettext_lazy(
        "Discard %(count)s failure? Its record is removed, and its job is not performed again.",
        "Discard %(count)s failures? Their records are removed, and their jobs are not performed again.",
        "number",
    )

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        meant: Meant = plan.what
        which, failures = meant.what, visit.store.failures
        is_filter = isinstance(which, FailureFilter)
        count = failures.discard_all(which) if is_filter else failures.discard_many(which)
        text = ngettext("Discarded %(count)s failure.", "Discarded %(count)s failures.", count)
        gone = 0 if is_filter else meant.gone + meant.count - count
        return done(text % {"count": number(count)}, count, told(gone, "gone"), meant)


DELAYED: Sequence[OnJobs] = (RunNow(), Reschedule(), Cancel())
FAILED: Sequence[OnFailures] = (Retry(), Discard())
OF_STATE: Mapping[str, Sequence[OnJobs]] = {
    "queued": (Delete(),),
    "parked": (Delete(),),
    "scheduled": DELAYED,
    "retrying": (RunNow(), Cancel()),
    "running": (End(),),
    "failed": FAILED,
}
"""What can be done with jobs in each state."""
