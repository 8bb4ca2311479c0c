from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from django_resque import enqueue

from .forms import PhotoForm
from .models import Photo


@login_required
def index(request: HttpRequest) -> HttpResponse:
    """The user's photos, and a form for one more."""
    form = PhotoForm(request.POST or None, request.FILES or None, instance=Photo(owner=request.user))
    if form.is_valid():
        photo = form.save()
        enqueue("make_thumbnails", photo.pk)
        messages.success(request, "Your photo is here. Its thumbnails are being made.")
        return redirect("photos:index")
    photos = request.user.photos.prefetch_related("thumbnails")[:24]
    return render(request, "photos/index.html", {"form": form, "photos": photos})
