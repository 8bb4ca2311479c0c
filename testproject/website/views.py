"""The first page, and the page that shows what left the site."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from services.client import ServiceUnavailable, ask
from services.mailbox import received_mails


def home(request: HttpRequest) -> HttpResponse:
    """What there is to try."""
    return render(request, "website/home.html")


def arrived(request: HttpRequest) -> HttpResponse:
    """What the outside world got from us: mails, ERP bookings, pushes."""
    try:
        facts = ask("/facts")
    except ServiceUnavailable as error:
        facts = {"unavailable": str(error)}
    return render(request, "website/arrived.html", {"mails": received_mails(limit=50), "facts": facts})
