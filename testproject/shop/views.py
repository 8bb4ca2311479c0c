from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from .checkout import OutOfStock, place_order
from .forms import CheckoutForm


@login_required
def index(request: HttpRequest) -> HttpResponse:
    """What there is to buy, and what the user has bought."""
    form = CheckoutForm(request.POST or None)
    if form.is_valid():
        try:
            order = place_order(request.user, form.quantities())
        except OutOfStock as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, f"Thank you! {order} is placed; the receipt comes by mail.")
            return redirect("shop:index")
    orders = request.user.orders.prefetch_related("lines__product")[:10]
    return render(request, "shop/index.html", {"form": form, "orders": orders})
