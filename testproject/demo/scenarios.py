"""The three scenarios that the demo plays: what is sent to the site, and what must have happened then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.core.cache import cache
from django.db.models import Sum

from services.client import ask
from services.mailbox import count_mails
from shop.models import Order, OrderLine, Product
from social.models import Member, Notification, Recommendation
from social.nearby import cache_key

from .browser import Browser
from .sample import FRIENDS

Facts = dict[str, int]
"""What there is of each kind of thing."""


@dataclass(frozen=True)
class Scenario:
    """A request, how many jobs it enqueues, and what they must bring about."""

    number: int
    title: str
    send: Callable[[Browser, dict[str, str]], float]
    jobs: int
    effects: Facts


def facts() -> Facts:
    """What is true now: in the database, in the cache, in the mailbox and at the services."""
    services = ask("/facts")
    lists = cache.get_many([cache_key(pk) for pk in _around_the_administrator()])
    return {
        "mails": count_mails(),
        "users": User.objects.count(),
        "notifications": Notification.objects.filter(pushed=True).count(),
        "pushes": services["pushes"],
        "places looked up": services["places"],
        "lists in the cache": len(lists),
        "recommendations": Recommendation.objects.count(),
        "orders": Order.objects.count(),
        "receipts": Order.objects.filter(receipt_sent_at__isnull=False).count(),
        "invoices": services["invoices"],
        "stock movements": services["stock_movements"],
        "calls to the ERP": services["erp_calls"],
        "pieces sold": OrderLine.objects.aggregate(sum=Sum("quantity"))["sum"] or 0,
        "pieces left": Product.objects.aggregate(sum=Sum("stock"))["sum"] or 0,
    }


def changes(before: Facts, after: Facts) -> Facts:
    """What has become more or less."""
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def forget_the_last_move() -> None:
    """Clear what scenario 1 replaces rather than adds, so that it can be seen to come back."""
    cache.delete_many([cache_key(pk) for pk in _around_the_administrator()])
    Recommendation.objects.all().delete()


def scenarios(act: str) -> list[Scenario]:
    """All three. ``act`` tells apart the users that sign up."""
    return [
        Scenario(
            number=1,
            title="Update location",
            send=_update_location,
            jobs=4,
            effects={
                "places looked up": 1,
                "lists in the cache": 1 + FRIENDS,
                "mails": FRIENDS,
                "notifications": FRIENDS,
                "pushes": FRIENDS,
                "recommendations": 5,
            },
        ),
        Scenario(
            number=2,
            title="Sign up",
            send=lambda browser, headers: _sign_up(browser.site, f"grace-{act}", headers),
            jobs=1,
            effects={"users": 1, "mails": 1},
        ),
        Scenario(
            number=5,
            title="Check out",
            send=_check_out,
            jobs=3,
            effects={
                "orders": 1,
                "pieces sold": 3,
                "pieces left": -3,
                "receipts": 1,
                "mails": 1,
                "invoices": 1,
                "stock movements": 1,
                "calls to the ERP": 2,
            },
        ),
    ]


def _update_location(browser: Browser, headers: dict[str, str]) -> float:
    return browser.submit("/social/", {"city": "Lisbon"}, to="/social/move/", **headers)


def _sign_up(site: str, name: str, headers: dict[str, str]) -> float:
    fields: dict[str, object] = {
        "username": name,
        "first_name": "Grace",
        "email": f"{name}@example.com",
        "password1": "correct-horse-battery-staple",
        "password2": "correct-horse-battery-staple",
    }
    return Browser(site).submit("/accounts/sign-up/", fields, **headers)


def _check_out(browser: Browser, headers: dict[str, str]) -> float:
    lamp, teapot = Product.objects.filter(slug__in=["desk-lamp", "teapot"]).order_by("slug")
    return browser.submit("/shop/", {f"product-{lamp.pk}": 2, f"product-{teapot.pk}": 1}, **headers)


def _around_the_administrator() -> list[int]:
    member = Member.objects.get(user__username="admin")
    return [member.pk, *member.friends.values_list("pk", flat=True)]
