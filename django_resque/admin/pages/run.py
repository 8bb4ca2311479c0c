"""Running a command: a form for each that may be a job, made from its own parser."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib import messages
from django.core.management import get_commands
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ... import whereabouts
from ...command import CommandInfo, job_commands
from ...errors import StoreError
from ...failure import Failure
from ...whereabouts import Known
from ..action import Action, Done, NothingToDo, Plan
from ..command_form import CommandForm, Described, words_of
from ..page import Page
from ..text import block, line, number, reason
from ..visit import Visit


@dataclass(frozen=True, slots=True)
class Choice:
    """A command, or a subcommand, that may be chosen; ``url`` is empty for those who may only look."""

    name: str
    help: str
    url: str
    queue: str = ""


@dataclass(frozen=True, slots=True)
class App:
    """The commands of an app."""

    title: str
    commands: Sequence[Choice]


class RunPage(Page):
    """The commands that may be jobs; with ``command`` the form for one of them, with ``from`` that for a job."""

    slug = "run"
    title = gettext_lazy("Run a command")
    template = "run.html"
    every = 0

    def context(self, visit: Visit) -> dict[str, Any]:
        may = visit.may("enqueue_job")
        if not may or not (visit.text("command") or visit.text("from")):
            return {"apps": _apps(visit, may), "may": may}
        try:
            return self._context_of_command(visit)
        except NothingToDo as nothing:
            return {"obstacle": str(nothing), "list_url": visit.url(self.slug)}

    def _context_of_command(self, visit: Visit) -> dict[str, Any]:
        before = _before(visit)
        described = _described(visit, before)
        name = described.info.name
        words = " ".join([name, *described.path])
        found = {
            "title": _("Run: %(command)s") % {"command": words},
            "words": words,
            "help": block(described.help),
            "list_url": visit.url(self.slug),
            "up_url": visit.url(self.slug, command=name) if described.path else "",
        }
        if described.choices:
            return {**found, "subcommands": list(_subcommands(visit, described))}
        form = _form(visit, described, before, None)
        address = visit.url(
            Enqueue.slug, {"command": name, "subcommand": " ".join(described.path), "from": visit.text("from")}
        )
        return {
            **found,
            "form": form,
            "groups": form.groups(),
            "address": address,
            "label": Enqueue.label,
            "does_not_fit": form.does_not_fit,
            "from_id": line(before.id) if before else "",
            "from_url": visit.url("job", id=before.id) if before else "",
        }


# -- what can be run ---------------------------------------------------------------------------------------------------


def _apps(visit: Visit, may: bool) -> list[App]:
    by_app: dict[str, list[Choice]] = {}
    owners = get_commands()
    for name, info in job_commands().items():
        url = visit.url(RunPage.slug, command=name) if may else ""
        choice = Choice(line(name), _summary(info), url, line(info.queue or ""))
        by_app.setdefault(str(owners[name]), []).append(choice)
    titles = {str(config.name): str(config.verbose_name) for config in apps.get_app_configs()}
    found = [App(line(titles.get(name, name)), commands) for name, commands in by_app.items()]
    return sorted(found, key=lambda app: app.title.casefold())


def _summary(info: CommandInfo) -> str:
    """The first line of its help, or of its class's own docstring."""
    try:
        text = str(info.cls.help) or info.cls.__doc__ or ""
    except Exception:  # a lazy text of the project's
        return ""
    return line(text.strip().partition("\n")[0])


def _subcommands(visit: Visit, described: Described) -> Iterator[Choice]:
    for name, summary in described.choices.items():
        words = " ".join([*described.path, name])
        yield Choice(line(name), summary, visit.url(RunPage.slug, command=described.info.name, subcommand=words))


# -- what is asked for -------------------------------------------------------------------------------------------------


def _before(visit: Visit) -> Known | None:
    """The job whose arguments are to stand in the form. Raises `NothingToDo` when the visitor may not see them, or
    nobody knows them."""
    job_id = visit.text("from")
    if not job_id:
        return None
    if not visit.may("view_arguments"):
        raise NothingToDo(_("You may not see the arguments of jobs, so this one cannot be changed by you."))
    known = whereabouts.glance(job_id)
    if known.found is None:
        raise NothingToDo(_("The arguments of this job are not known any more."))
    return known


def _described(visit: Visit, before: Known | None) -> Described:
    """The command that is asked for. Raises `NothingToDo` with the reason why there is none."""
    name = visit.text("command")
    try:
        if before is not None and before.found is not None and name in ("", before.found.job.command):
            return Described.of_job(before.found.job)
        return Described.of(name, words_of(visit.text("subcommand")))
    except SystemExit as error:
        raise NothingToDo(_("The command's own parser ends the program.")) from error
    except Exception as error:  # whatever importing a command raises, or its parser
        told = {"command": line(name or (before.found.job.command if before and before.found else ""))}
        raise NothingToDo(_("%(command)s cannot be run:") % told + f" {reason(error)}") from error


def _form(visit: Visit, described: Described, before: Known | None, data: Any) -> CommandForm:
    found = before.found if before else None
    job = found.job if found and found.job.command == described.info.name else None
    return CommandForm(described, data, before=job, can_discard=_failure(visit, before) is not None)


def _failure(visit: Visit, before: Known | None) -> Failure | None:
    """The failure that the visitor may discard when its job is enqueued anew."""
    found = before.found if before else None
    return found.failure if found is not None and visit.may("discard_failure") else None


class Enqueue(Action):
    """Enqueue a command as it was filled in."""

    slug = "run/enqueue"
    permission = "enqueue_job"
    label = gettext_lazy("Enqueue")
    page = "run"

    def plan(self, visit: Visit) -> Plan:
        before = _before(visit)
        described = _described(visit, before)
        if described.choices:
            raise NothingToDo(_("Choose a subcommand first."))
        form = _form(visit, described, before, visit.request.POST)
        if not form.is_valid():
            return Plan(0, _("Some of it is not right yet."), form=form, draft=True)
        if "again" in visit.request.POST:
            return Plan(0, _("What is to be enqueued?"), form=form, draft=True)
        failure = _failure(visit, before) if form.cleaned_data.get("discard") else None
        question = ngettext("Enqueue %(count)s job?", "Enqueue %(count)s jobs?", 1) % {"count": number(1)}
        if failure is not None:
            question += " " + _("The failure is discarded.")
        return Plan(1, question, what=(form, failure), items=form.in_words(), again=True)

    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        form, failure = plan.what
        name = form.described.info.name
        job = form.using.enqueue(name, *form.args, **form.options)
        told = _("Enqueued %(command)s as job %(id)s.") % {"command": name, "id": job.id}
        go_to = visit.url("job", id=job.id)
        if failure is None:
            return Done(told, go_to=go_to)
        try:  # after the push: whatever happens in between, nothing is lost
            discarded = visit.store.ask(visit.store.failures.discard(failure))
        except StoreError as error:
            kept = _("The failure could not be discarded: %(why)s") % {"why": reason(error)}
            return Done(f"{told} {kept}", note=told, level=messages.WARNING, go_to=go_to)
        if not discarded:
            return Done(f"{told} {_('The failure was gone already.')}", level=messages.WARNING, go_to=go_to)
        return Done(f"{told} {_('The failure was discarded.')}", go_to=go_to)


PAGE = RunPage()
ACTIONS: tuple[Action, ...] = (Enqueue(),)
