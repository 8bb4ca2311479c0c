"""Pages that are made once and kept in the cache."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from hashlib import sha256

from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import resolve

HOUR = 60 * 60
View = Callable[..., HttpResponse]


def kept(view: View) -> View:
    """Keep what ``view`` answers for an hour, for everybody. The header ``X-Kept`` says how old the page is."""

    @wraps(view)
    def from_cache(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        found = None if hasattr(request, "warming_up") else cache.get(_key(request.path))
        if found is None:
            response = view(request, *args, **kwargs)
            if response.status_code == 200:
                cache.set(_key(request.path), (time.time(), response.content), HOUR)
            return response
        made_at, content = found
        return HttpResponse(content, headers={"X-Kept": f"{time.time() - made_at:.0f} seconds"})

    from_cache.is_kept = True
    return from_cache


def is_kept(path: str) -> bool:
    """Whether the page is in the cache."""
    return cache.get(_key(path)) is not None


def warm_up(path: str) -> HttpResponse:
    """Make the page at ``path`` again, whatever is in the cache, and keep it. Raises ``Http404`` if there is none."""
    view, args, kwargs = resolve(path)
    if not hasattr(view, "is_kept"):
        raise Http404(f"{path} is not a page that is kept")
    request = RequestFactory().get(path)
    request.warming_up = True
    return view(request, *args, **kwargs)


def _key(path: str) -> str:
    return f"pages:{sha256(path.encode()).hexdigest()}"
