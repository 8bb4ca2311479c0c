from __future__ import annotations

import time

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from django_resque import enqueue_many
from social.geography import distance
from social.models import Position

from .kept import is_kept, kept
from .models import City


def index(request: HttpRequest) -> HttpResponse:
    """The cities, and which of their pages are in the cache."""
    cities = [(city, is_kept(city.get_absolute_url())) for city in City.objects.all()]
    return render(request, "pages/index.html", {"cities": cities})


@kept
def city(request: HttpRequest, slug: str) -> HttpResponse:
    """A page that is expensive to make: it measures how far every member is from every city."""
    started = time.perf_counter()
    here = get_object_or_404(City, slug=slug)
    cities = list(City.objects.all())
    near = dict.fromkeys(cities, 0)
    for latitude, longitude in Position.objects.values_list("latitude", "longitude"):
        near[min(cities, key=lambda place: distance(latitude, longitude, place.latitude, place.longitude))] += 1
    ranking = sorted(near.items(), key=lambda found: -found[1])
    context = {
        "city": here,
        "members": near[here],
        "ranking": ranking,
        "rank": 1 + [place for place, _members in ranking].index(here),
        "made_at": timezone.now(),
        "took": time.perf_counter() - started,
    }
    # The page is the same for everybody, so it is rendered without the request, and nobody's name gets into the cache.
    return render(None, "pages/city.html", context)


@login_required
@require_POST
def warm(request: HttpRequest) -> HttpResponse:
    """Enqueue the warm-up of every page."""
    jobs = enqueue_many("warm_page", [((city.get_absolute_url(),), {}) for city in City.objects.all()])
    messages.success(request, f"{len(jobs)} pages are being warmed up.")
    return redirect("pages:index")
