from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import login
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from .forms import SignUpForm


def sign_up(request: HttpRequest) -> HttpResponse:
    """Make a user. The mail is not this view's business: `accounts.receivers`."""
    form = SignUpForm(request.POST or None)
    if not form.is_valid():
        return render(request, "accounts/sign_up.html", {"form": form})
    with transaction.atomic():
        user = form.save()
    login(request, user)
    messages.success(
        request, f"Welcome, {user.get_short_name() or user.username}! A mail is on its way to {user.email}."
    )
    return redirect("social:index")
