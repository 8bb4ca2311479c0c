"""A request for a page of the dashboard, or for an action, and who makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from ..store import Store, store
from .redaction import Redactor

OVERVIEW = "dashboard_changelist"
"""The name of the first page's address, to which the admin's index links."""
LONGEST = 1_000
"""Characters of a parameter that are looked at. What has a longer name is shown, and cannot be asked for."""
KEY_MARGIN = 200
"""Characters that a row's key may have besides the name of a queue."""
LONGEST_KEY = 12 * (LONGEST + KEY_MARGIN)
"""Characters of a key in a form, where one may be written as four bytes, each with three characters."""
MOST_TICKED = 1_000
"""Ticked rows that are looked at: more than any page has."""


class Visit:
    """What a page or an action is asked, by whom, on which admin site."""

    def __init__(self, request: HttpRequest, site: AdminSite) -> None:
        self.request = request
        self.site = site

    @property
    def store(self) -> Store:
        """The store of the settings in force. Raises a `ResqueError` when they lead to none."""
        return store()

    def time(self) -> datetime:
        """The time of Redis' clock. Raises a `ResqueError` when it does not answer."""
        return datetime.fromtimestamp(self.store.time(), UTC)

    # -- who -----------------------------------------------------------------------------------------------------------

    def may(self, permission: str) -> bool:
        """Whether the visitor has this permission of ours, by its codename, and may see the dashboard at all."""
        user = self.request.user
        return user.has_perm("django_resque.view_dashboard") and user.has_perm(f"django_resque.{permission}")

    @cached_property
    def redactor(self) -> Redactor:
        """What hides the arguments, results and outputs that the visitor may not see."""
        return Redactor(reveal=self.may("view_arguments"))

    # -- what ----------------------------------------------------------------------------------------------------------

    def text(self, name: str, default: str = "") -> str:
        """The parameter of this name, of the address or else of the form, without outer white space."""
        found = self.request.GET.get(name) or self.request.POST.get(name) or default
        return found[:LONGEST].strip()

    def name(self, parameter: str) -> str:
        """The parameter as it is, for what has a name: no part of it is another's name. Empty when it is too long."""
        found = self.request.GET.get(parameter) or self.request.POST.get(parameter) or ""
        return found if len(found) <= LONGEST else ""

    def number(self, name: str, default: int = 0, *, most: int = 1_000_000) -> int:
        """The same as a whole number from 0 to ``most``; ``default`` when it is none."""
        found = self.text(name)
        return min(int(found), most) if found.isascii() and found.isdigit() and len(found) < 10 else default

    @property
    def ticked(self) -> Sequence[str]:
        """The keys of the rows that are meant: that of the row whose button was pressed, or those that are ticked.

        In the form they stand as in an address (``urlencode`` in the templates): a browser would change line ends."""
        one = self.request.POST.get("one")
        keys = [one] if one else self.request.POST.getlist("tick")[:MOST_TICKED]
        found = dict.fromkeys(unquote(key) for key in keys if len(key) <= LONGEST_KEY)
        return [key for key in found if len(key) <= LONGEST + KEY_MARGIN]

    @property
    def all_matching(self) -> bool:
        """Whether not single rows are meant, but all that fit the filter in the address."""
        return not self.request.POST.get("one") and self.request.POST.get("all") == "yes"

    # -- where ---------------------------------------------------------------------------------------------------------

    def url(self, slug: str, query: Mapping[str, Any] | None = None, **more: Any) -> str:
        """The address of a page or an action; what is None or empty is left out of the query."""
        path = reverse(f"{self.site.name}:django_resque_{url_name(slug)}")
        asked = {key: value for key, value in {**(query or {}), **more}.items() if value not in (None, "")}
        return f"{path}?{urlencode(asked)}" if asked else path

    def asked(self, **changes: Any) -> Mapping[str, Any]:
        """What stands in the address, with other parameters; None leaves one out."""
        return {**self.request.GET.dict(), **changes}

    def here(self, **changes: Any) -> str:
        """This page with other parameters; None leaves one out."""
        kept = {key: value for key, value in self.asked(**changes).items() if value not in (None, "")}
        return f"?{urlencode(kept)}" if kept else self.request.path

    @property
    def back(self) -> str:
        """Where the form says that it was; empty when that is not a page of the dashboard."""
        wanted = self.request.POST.get("next", "")
        hosts = {self.request.get_host()}
        is_safe = url_has_allowed_host_and_scheme(wanted, hosts, require_https=self.request.is_secure())
        return wanted if is_safe and urlsplit(wanted).path.startswith(self.url("")) else ""


def url_name(slug: str) -> str:
    """What stands behind ``django_resque_`` in the name of an address: ``failures/retry`` → ``failures_retry``."""
    return slug.replace("/", "_").replace("-", "_") or OVERVIEW
