"""The testproject without django_resque: the same commands, called before the request is answered.

This is what a Django project does until it has background jobs. It is here to be compared with the ``receivers.py`` of
the other apps, and works only when a request turns the switch (`website.switch`).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.core.management import call_command
from django.db import transaction
from django.db.models import Model
from django.db.models.signals import post_save
from django.dispatch import receiver

from shop.models import Order
from shop.signals import order_placed
from social.models import Position

from .switch import in_the_request


@receiver(post_save, sender=Position)
def follow_up_position(instance: Position, raw: bool, **kwargs: object) -> None:
    """Scenario 1: four commands after each move."""
    if in_the_request() and not raw:
        for command in ("refresh_caches", "mail_friends", "notify_friends", "recommend_friends"):
            _call_on_commit(command, instance.pk)


@receiver(post_save, sender="auth.User")
def follow_up_sign_up(instance: Model, created: bool, raw: bool, **kwargs: object) -> None:
    """Scenario 2: the sign-up mail."""
    if in_the_request() and created and not raw:
        _call_on_commit("email_sender", "send_sign_up_email", instance.pk)


@receiver(order_placed, sender=Order)
def follow_up_order(order: Order, **kwargs: object) -> None:
    """Scenario 5: receipt and ERP."""
    if in_the_request():
        _call_on_commit("send_receipt", order.pk)
        _call_on_commit("erp", "book_invoice", order.pk)
        _call_on_commit("erp", "book_stock_movement", order.pk)


def _call_on_commit(*command_line: Any) -> None:
    transaction.on_commit(partial(call_command, *command_line))
