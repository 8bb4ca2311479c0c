"""Retrying and discarding failures: one, those that are ticked, or all that an address asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.contrib import messages
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..failure import Failure
from ..store import FailureFilter, Retried
from ..store.failures import why_not_retried
from .action import Action, Done, NothingToDo, Plan
from .failure_search import FailureSearch
from .text import line, number
from .visit import Visit

SHOWN = 10
"""Failures that a confirmation names."""
IN_LOG = 12
"""Digits of a digest in the log."""


@dataclass(frozen=True, slots=True)
class Meant:
    """The failures that an action is about: these ``single`` ones, or where that is None those that ``matching`` fits.

    ``missing`` of those that were chosen are gone already, ``refused`` cannot be retried. ``words`` are for the log.
    """

    count: int
    refused: int
    missing: int
    items: Sequence[str]
    words: str
    single: Sequence[Failure] | None
    matching: FailureFilter


def _meant(visit: Visit) -> Meant:
    if not visit.all_matching:
        return _chosen(visit)
    search = FailureSearch.of(visit)
    matching = search.filter(datetime.fromtimestamp(visit.store.time(), UTC), visit.redactor)
    count = refused = 0
    items: list[str] = []
    for failure in visit.store.failures.iterate(matching):
        count += 1
        refused += bool(why_not_retried(failure))
        if len(items) < SHOWN:
            items.append(_in_words(failure))
    if not count:
        raise NothingToDo(_("There are no such failures any more."))
    return Meant(count, refused, 0, items, search.in_words() or _("all"), None, matching)


def _chosen(visit: Visit) -> Meant:
    digests = visit.ticked
    if not digests:
        raise NothingToDo(_("No failure was chosen: tick some first."))
    found = visit.store.failures.find_all(digests)
    if not found:
        raise NothingToDo(
            ngettext(
                "This failure is gone: retried or discarded.",
                "These failures are gone: retried or discarded.",
                len(digests),
            )
        )
    return Meant(
        count=len(found),
        refused=sum(bool(why_not_retried(failure)) for failure in found),
        missing=len(digests) - len(found),
        items=[_in_words(failure) for failure in found[:SHOWN]],
        words=", ".join(failure.digest[:IN_LOG] for failure in found[:SHOWN]),
        single=found,
        matching=FailureFilter(),
    )


def _in_words(failure: Failure) -> str:
    command = line(failure.job.command) if failure.job else _("(no job)")
    return " · ".join(filter(None, (command, line(failure.exception), failure.job_id, failure.digest[:IN_LOG])))


class RetryFailures(Action):
    """Put the jobs of failures back on their queues."""

    slug = "failures/retry"
    permission = "retry_failure"
    label = gettext_lazy("Retry")
    page = "failures"

    def plan(self, visit: Visit) -> Plan:
        meant = _meant(visit)
        possible = meant.count - meant.refused
        if not possible:
            raise NothingToDo(_why_none(meant))
        question = ngettext(
            "Retry %(count)s failure? Its job is put back on its queue, as if it had not been tried yet.",
            "Retry %(count)s failures? Their jobs are put back on their queues, as if they had not been tried yet.",
            possible,
        ) % {"count": number(possible)}
        return Plan(possible, _sentences(question, _refused(meant.refused), _gone(meant.missing)), meant, meant.items)

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        meant: Meant = plan.what
        failures = visit.store.failures
        if meant.single is None:
            found = failures.retry_all(meant.matching)
        else:
            found = failures.retry_many(meant.single)
        gone = meant.missing + found.seen - found.retried - found.refused
        return _done(meant, found, gone)


def _done(meant: Meant, found: Retried, gone: int) -> Done:
    text = _sentences(
        ngettext("Retried %(count)s failure.", "Retried %(count)s failures.", found.retried)
        % {"count": number(found.retried)},
        _refused(found.refused),
        _gone(gone),
    )
    is_all = found.retried and not found.refused and not gone
    return Done(text, f"{text} {meant.words}", messages.SUCCESS if is_all else messages.WARNING)


def _why_none(meant: Meant) -> str:
    if meant.single is not None and len(meant.single) == 1:
        return why_not_retried(meant.single[0])
    return _("None of them can be retried: there is no job in them that could be put back on its queue.")


class DiscardFailures(Action):
    """Remove failures for good."""

    slug = "failures/discard"
    permission = "discard_failure"
    label = gettext_lazy("Discard")
    page = "failures"

    def plan(self, visit: Visit) -> Plan:
        meant = _meant(visit)
        question = ngettext("Discard %(count)s failure?", "Discard %(count)s failures?", meant.count) % {
            "count": number(meant.count)
        }
        return Plan(meant.count, _sentences(question, _gone(meant.missing)), meant, meant.items, grave=True)

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        meant: Meant = plan.what
        failures = visit.store.failures
        if meant.single is None:
            count, gone = failures.discard_all(meant.matching), 0
        else:
            count = failures.discard_many(meant.single)
            gone = meant.missing + meant.count - count
        text = _sentences(
            ngettext("Discarded %(count)s failure.", "Discarded %(count)s failures.", count) % {"count": number(count)},
            _gone(gone),
        )
        return Done(text, f"{text} {meant.words}", messages.WARNING if gone or not count else messages.SUCCESS)


def _refused(count: int) -> str:
    if not count:
        return ""
    text = ngettext("%(count)s cannot be retried and stays.", "%(count)s cannot be retried and stay.", count)
    return text % {"count": number(count)}


def _gone(count: int) -> str:
    if not count:
        return ""
    text = ngettext("%(count)s was gone already.", "%(count)s were gone already.", count)
    return text % {"count": number(count)}


def _sentences(*sentences: str) -> str:
    return " ".join(filter(None, sentences))
