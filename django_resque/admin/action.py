"""What an action of the dashboard is: something is asked for, confirmed, done, and noted in the admin's log."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.contrib import messages

from ..errors import ResqueError
from .visit import Visit


class NothingToDo(ResqueError):
    """What was asked for is not there (any more), or nothing was chosen. The message is shown to the visitor."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an action is about to do.

    ``count`` is how many things it is about, and ``question`` a sentence that states it; ``what`` is for
    `Action.carry_out`. ``items`` are lines that show the first few of them. ``form`` asks what else there is to know;
    it is bound once the visitor has answered. ``grave``: it cannot be taken back.
    """

    count: int
    question: str
    what: Any = None
    items: Sequence[str] = ()
    form: forms.Form | None = None
    grave: bool = False
    draft: bool = False
    """What was filled in elsewhere is not right yet: the form is shown again, and confirmed after that."""
    again: bool = False
    """It was filled in elsewhere, and one may go back to that."""


@dataclass(frozen=True, slots=True)
class Done:
    """What an action has done: ``message`` for the visitor, ``note`` for the log (empty: the message)."""

    message: str
    note: str = ""
    level: int = messages.SUCCESS
    go_to: str = ""
    """Where to go from here; empty: back."""


class Action(ABC):
    """An action: POST alone, first without and then with the visitor's confirmation.

    ``slug`` is its address below the dashboard's, ``permission`` the codename of what it needs, ``label`` what is
    written on its button, ``page`` the slug of the page to go back to when nobody says from where it came.
    """

    slug: ClassVar[str]
    permission: ClassVar[str]
    label: ClassVar[Any]
    page: ClassVar[str] = ""

    @abstractmethod
    def plan(self, visit: Visit) -> Plan:
        """What it would do; nothing is changed. Raises `NothingToDo`, or another `ResqueError`."""

    @abstractmethod
    def carry_out(self, visit: Visit, plan: Plan) -> Done:
        """Do it. Raises a `ResqueError` when it cannot be done."""
