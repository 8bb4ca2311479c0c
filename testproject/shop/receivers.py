"""What follows an order. It waits for the commit of the transaction that places the order."""

from __future__ import annotations

from django_resque import enqueue_on
from website.switch import in_the_background

from .models import Order
from .signals import order_placed


@enqueue_on(order_placed, sender=Order, command="send_receipt", when=in_the_background)
def receipt(order: Order) -> int:
    return order.pk


@enqueue_on(order_placed, sender=Order, command="erp", when=in_the_background)
def invoice(order: Order) -> tuple[str, int]:
    return ("book_invoice", order.pk)


@enqueue_on(order_placed, sender=Order, command="erp", when=in_the_background)
def stock_movement(order: Order) -> tuple[str, int]:
    return ("book_stock_movement", order.pk)
