"""Placing an order."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F

from .models import Order, OrderLine, Product
from .signals import order_placed


class OutOfStock(Exception):
    """There is not enough of a product; nothing was ordered."""

    def __init__(self, product: Product) -> None:
        super().__init__(f"There is not enough {product} left.")


def place_order(customer: User, quantities: Mapping[int, int]) -> Order:
    """Take the stock and make the order, both or none. Raises `OutOfStock`."""
    with transaction.atomic():
        order = Order.objects.create(customer=customer)
        for product_id, quantity in sorted(quantities.items()):  # always in this order: no two orders lock each other
            product = Product.objects.select_for_update().get(pk=product_id)
            # The comparison is made by the database in the same statement, so that two customers cannot both get the
            # last one, on databases without select_for_update() either.
            taken = Product.objects.filter(pk=product_id, stock__gte=quantity).update(stock=F("stock") - quantity)
            if not taken:
                raise OutOfStock(product)
            OrderLine.objects.create(order=order, product=product, quantity=quantity, price=product.price)
        order_placed.send(Order, order=order)
    return order
