"""What a page of the dashboard is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from .action import Action
from .text import number
from .visit import Visit


class Page(ABC):
    """A page: GET alone, and nothing that it does writes.

    ``slug`` is its address below the dashboard's, ``title`` its heading and its name in the menu, ``template`` is
    below ``admin/django_resque/``. It extends the template ``layout``, and what changes by itself stands in its block
    ``live``; nothing in there differs from one request to the next while Redis says the same, but for what stands in
    ``<time>``.
    """

    slug: str
    title: Any
    template: str
    section = ""
    """The slug of the page below which it stands, which is marked in the menu. Empty: it stands in the menu itself."""
    every = 5
    """Seconds after which a page that is live looks again."""

    @abstractmethod
    def context(self, visit: Visit) -> dict[str, Any]:
        """What the template shows, in at most five round trips to Redis. Raises a `ResqueError` when Redis does not
        answer. Its ``title`` and ``every`` take the place of the page's."""


@dataclass(frozen=True, slots=True)
class Pager:
    """Where one is in a long list. ``text`` says so; addresses are empty where there is no such page."""

    text: str
    previous: str
    next: str

    @classmethod
    def of(cls, visit: Visit, *, start: int, shown: int, total: int | None, more: bool, size: int) -> Pager | None:
        """The page that shows ``shown`` rows behind the first ``start``, of ``total`` (None: not known); None when it
        is the only one. ``size`` is how many rows a page has, the parameter ``p`` the number of the page, from 1."""
        if start == 0 and not more:
            return None
        here = start // size + 1
        first, last = number(start + 1), number(start + shown)
        if not shown:
            text = _("nothing more")
        elif total is None:
            text = _("%(first)s–%(last)s") % {"first": first, "last": last}
        else:
            text = _("%(first)s–%(last)s of %(total)s") % {"first": first, "last": last, "total": number(total)}
        return cls(
            text,
            visit.here(p=here - 1 if here > 2 else None) if here > 1 else "",
            visit.here(p=here + 1) if more else "",
        )


@dataclass(frozen=True, slots=True)
class Button:
    """A button of the page's form: for the ticked rows; or, with ``one``, for that row; or for all that match.

    It is left out where the visitor may not press it.
    """

    label: Any
    url: str
    one: str = ""
    all: bool = False
    about: str = ""
    """What it is for, where the label alone does not say it: read out by screen readers."""


def buttons(
    visit: Visit,
    actions: Iterable[Action | type[Action]],
    asked: Mapping[str, Any] | None = None,
    *,
    one: str = "",
    all: bool = False,
    about: str = "",
) -> list[Button]:
    """The buttons of those of these actions that the visitor may do; ``asked`` stands in their addresses."""
    return [
        Button(action.label, visit.url(action.slug, asked), one, all, about)
        for action in actions
        if visit.may(action.permission)
    ]


def start_of(visit: Visit, size: int) -> int:
    """How many rows stand before the page that is asked for."""
    return (max(1, visit.number("p", 1, most=100_000)) - 1) * size


def choices(chosen: str, options: Sequence[tuple[str, Any]], visit: Visit, name: str) -> list[dict[str, Any]]:
    """Links between which one chooses, as the template ``choices.html`` shows them: value and label of each."""
    return [
        {"label": label, "url": visit.here(**{name: value or None, "p": None}), "current": value == chosen}
        for value, label in options
    ]
