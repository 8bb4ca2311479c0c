"""What tests of the dashboard share: its addresses, what a page says, what it costs."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.models import LogEntry
from django.test import Client

from django_resque.store import store

ROOT = "/admin/django_resque/dashboard/"


def url(slug: str = "", **query: Any) -> str:
    """The address of a page or an action."""
    path = f"{ROOT}{slug}/" if slug else ROOT
    return f"{path}?{urlencode(query)}" if query else path


def text_of(response: Any) -> str:
    """A page's content as a reader gets it: without markup, white space folded."""
    assert response.status_code == 200
    content = response.content.decode().partition("<main")[2].partition("<footer")[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", content)).replace("\xa0", " ")


def page(client: Client, slug: str = "", **query: Any) -> str:
    """What the page at this address says."""
    return text_of(client.get(url(slug, **query)))


def act(client: Client, slug: str, data: dict[str, Any] | None = None, **query: Any) -> str:
    """Press the button of an action and confirm; what the page says to which it leads."""
    response = client.post(url(slug, **query), {**(data or {}), "confirmed": "yes"}, follow=True)
    for entry in LogEntry.objects.all():
        entry.clean_fields()  # other databases than that of the tests take no longer texts
    return text_of(response)


def round_trips(client: Client, path: str) -> int:
    """How often a request talks to Redis. The connections of the pool count what they send."""
    pool = store().pool
    sent: list[Any] = []

    class Counting(pool.connection_class):  # type: ignore[misc, name-defined]
        def send_packed_command(self, command: Any, check_health: bool = True) -> None:
            sent.append(command)
            super().send_packed_command(command, check_health)

    usual = pool.connection_class
    store().close()
    pool.reset()
    pool.connection_class = Counting
    try:
        client.get(path)  # connects
        sent.clear()
        assert client.get(path).status_code == 200
        return len(sent)
    finally:
        store().close()
        pool.reset()
        pool.connection_class = usual
