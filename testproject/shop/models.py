from __future__ import annotations

from decimal import Decimal

from django.conf import settings
from django.db import models


class Product(models.Model):
    """Something to buy, while there is some."""

    name = models.CharField(max_length=100)
    slug = models.SlugField(unique=True)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    stock = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Order(models.Model):
    """What somebody bought. The last three fields are what jobs have done about it."""

    customer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="orders")
    ordered_at = models.DateTimeField(auto_now_add=True)
    receipt_sent_at = models.DateTimeField(null=True, blank=True)
    invoice_number = models.CharField(max_length=30, blank=True)
    stock_movement_number = models.CharField(max_length=30, blank=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"Order {self.pk}"

    def total(self) -> Decimal:
        # not in the database: SQLite multiplies decimals as floats
        return sum((line.price * line.quantity for line in self.lines.all()), Decimal(0))


class OrderLine(models.Model):
    """One product of an order, at the price of that moment."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, on_delete=models.PROTECT)
    quantity = models.PositiveIntegerField()
    price = models.DecimalField(max_digits=8, decimal_places=2)

    def __str__(self) -> str:
        return f"{self.quantity} × {self.product}"
