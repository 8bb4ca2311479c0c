"""The form for an entry of the schedule."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import timetable
from ..command import bind, job_commands
from ..command_line import line_of
from ..conf import config
from ..errors import InvalidArguments
from ..job import UNPRINTABLE, Job
from ..schedule import ScheduleEntry
from ..typed_line import Call, read_line, read_plainly
from .forms import MOST, TextForm
from .text import line, reason

ZONES = "resque-zones"
"""The id of the list of time zones that the page has for the form."""
_UNPRINTABLE = re.compile(f"[{UNPRINTABLE}]")
_OBEYED = ("-h", "--help", "--version")
"""Words that a parser answers at once, and ends the program."""


class EntryForm(TextForm):
    """An entry that was added at run time, and is to be changed.

    ``version`` tells whether it is still the entry that was shown.
    """

    command = forms.ChoiceField(label=gettext_lazy("Command"))
    arguments = forms.CharField(
        required=False,
        max_length=MOST,
        label=gettext_lazy("Arguments"),
        help_text=gettext_lazy("As one would type them behind the name of the command."),
        widget=forms.TextInput(attrs={"class": "vLargeTextField", "spellcheck": "false"}),
    )
    queue = forms.CharField(
        required=False, label=gettext_lazy("Queue"), help_text=gettext_lazy("Empty: the queue of the command.")
    )
    cron = forms.CharField(
        required=False,
        label=gettext_lazy("Cron expression"),
        help_text=gettext_lazy("Minute, hour, day of the month, month, day of the week, such as 0 3 * * *"),
        widget=forms.TextInput(attrs={"spellcheck": "false"}),
    )
    timezone = forms.CharField(
        required=False,
        label=gettext_lazy("Time zone of the expression"),
        widget=forms.TextInput(attrs={"list": ZONES}),
    )
    every = forms.IntegerField(
        required=False,
        min_value=1,
        label=gettext_lazy("Or every … seconds"),
        help_text=gettext_lazy("In place of an expression."),
    )
    misfire = forms.ChoiceField(
        label=gettext_lazy("For what was missed"),
        choices=[
            ("once", gettext_lazy("one job altogether")),
            ("all", gettext_lazy("one job for each time")),
            ("skip", gettext_lazy("no job")),
        ],
    )
    version = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, entry: ScheduleEntry | None = None, version: str = ""
    ) -> None:
        self._before = entry
        super().__init__(data, initial={"timezone": settings.TIME_ZONE, **_initial(entry), "version": version})
        commands = ["", *job_commands()]
        if entry is not None and entry.command not in commands:
            commands.append(entry.command)  # that the workers alone have
        self._fields["command"].choices = [(name, name) for name in commands]
        self._text = "" if entry is None else _text(entry)
        if entry is not None and self._text is None:
            self._fields["arguments"].disabled = True
            self._fields["arguments"].help_text = _("They cannot be written as a line here, and stay as they are.")
        self.initial["arguments"] = line(line_of(job_of(entry))) if entry and self._text is None else self._text

    @property
    def _fields(self) -> dict[str, Any]:
        return self.fields

    @property
    def entry(self) -> ScheduleEntry:
        """What was asked for, when the form is valid."""
        found: ScheduleEntry = self.cleaned_data["entry"]
        return found

    @property
    def mapping(self) -> dict[str, Any]:
        """The same as `timetable.add` and `timetable.change` take it."""
        given = self.cleaned_data
        found = {
            "command": given["command"],
            "queue": given["queue"] or None,
            "cron": given["cron"] or None,
            "every": given["every"],
            "timezone": given["timezone"] or None if given["cron"] else None,
            "misfire": given["misfire"],
        }
        if "call" in given:
            found |= {"args": given["call"].args, "options": given["call"].options}
        return found

    def clean(self) -> dict[str, Any]:
        super().clean()
        given: dict[str, Any] = self.cleaned_data
        if self.errors:
            return given
        try:
            if not self._keeps_its_arguments():
                given["call"] = _read(given["command"], given["arguments"])
            before = {} if self._before is None else self._before.to_mapping()
            given["entry"] = ScheduleEntry.from_mapping(self._name(), {**before, **self.mapping})
            timetable.check_job(given["entry"])
        except SystemExit as error:
            raise forms.ValidationError(_("The command's own parser ends the program at this.")) from error
        except Exception as error:  # also whatever importing a command raises, or its parser
            raise forms.ValidationError(reason(error)) from error
        return given

    def _name(self) -> str:
        return "" if self._before is None else self._before.name

    def _keeps_its_arguments(self) -> bool:
        """Whether they are what they were: reading a line may make other values of them that come to the same."""
        before, given = self._before, self.cleaned_data
        if before is None:
            return False
        return self._text is None or (given["command"] == before.command and given["arguments"] == self._text.strip())


class NewEntryForm(EntryForm):
    """An entry that is to be added."""

    name = forms.CharField(max_length=100, label=gettext_lazy("Name"))
    field_order = ("name",)

    def _name(self) -> str:
        name: str = self.cleaned_data["name"]
        return name


def job_of(entry: ScheduleEntry) -> Job:
    """The command and the arguments of an entry."""
    return Job(entry.command, entry.args, entry.options)


def _initial(entry: ScheduleEntry | None) -> dict[str, Any]:
    if entry is None:
        return {}
    found = {name: getattr(entry, name) for name in ("command", "queue", "cron", "every", "misfire")}
    return {**found, "timezone": entry.timezone} if entry.cron is not None else found


def _read(command: str, text: str) -> Call:
    words = shlex.split(text)
    if any(word in _OBEYED for word in words):
        raise InvalidArguments(_("The help of a command is to be read elsewhere."))
    return read_line(command, words) if config().check else read_plainly(command, words)


def _text(entry: ScheduleEntry) -> str | None:
    """The line that gives the arguments of an entry when it is read; None when there is none."""
    try:
        if config().check:
            words = bind(entry.command, entry.args, entry.options).argv[1:]
        else:
            words = shlex.split(line_of(job_of(entry)))[1:]
            if read_plainly(entry.command, words) != (list(entry.args), dict(entry.options)):
                return None
    except Exception:  # whatever importing a command raises; or no line gives these arguments
        return None
    text = shlex.join(words)
    return text if len(text) <= MOST and not _UNPRINTABLE.search(text) else None
