from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from .forms import PositionForm
from .models import Position
from .nearby import nearby_friends


@login_required
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Where you are, and who is near."""
    return _page(request, PositionForm())


@login_required
@require_POST
def move(request: HttpRequest) -> HttpResponse:
    """Save where the user is. That is all this view does; `social.receivers` has what follows."""
    form = PositionForm(request.POST)
    if not form.is_valid():
        return _page(request, form)
    Position.objects.update_or_create(
        member=request.user.member,
        defaults={
            "latitude": form.cleaned_data["latitude"],
            "longitude": form.cleaned_data["longitude"],
            "place": "",
            "moved_at": timezone.now(),
        },
    )
    messages.success(request, "Your position is saved.")
    return redirect("social:index")


def _page(request: HttpRequest, form: PositionForm) -> HttpResponse:
    member = request.user.member
    context = {
        "form": form,
        "position": Position.objects.filter(member=member).first(),
        "nearby": nearby_friends(member),
        "notifications": member.notifications.all()[:8],
        "recommendations": member.recommendations.select_related("other__user"),
    }
    return render(request, "social/index.html", context)
