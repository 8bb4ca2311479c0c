"""Sample data: members all over the world, their friends, a city guide and a shop."""

from __future__ import annotations

import random
from decimal import Decimal

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import transaction
from django.utils.text import slugify

from pages.models import City
from shop.models import Product
from social.geography import PLACES
from social.models import Member, Position

MEMBERS = 3000
FRIENDS = 6
"""How many friends an administrator has."""

FIRST_NAMES = ("Ada", "Amara", "Carlos", "Clara", "Edsger", "Fatima", "Hugo", "Mai", "Ravi", "Tove", "Wangari", "Yuki")
LAST_NAMES = (
    "Adeyemi",
    "Costa",
    "Garcia",
    "Haddad",
    "Ito",
    "Jansen",
    "Khan",
    "Moreau",
    "Novak",
    "Park",
    "Silva",
    "Wirth",
)
PRODUCTS = (
    ("Desk lamp", "39.90", 40),
    ("Map of the world", "24.50", 60),
    ("Teapot", "32.00", 25),
    ("Umbrella", "18.00", 3),
)


@transaction.atomic
def load() -> bool:
    """Fill an empty database, always with the same data. False when there is something in it already."""
    if City.objects.exists():
        return False
    # Rows made by bulk_create() send no signals, so none of this enqueues anything.
    City.objects.bulk_create(
        City(
            name=place.name,
            slug=slugify(place.name),
            country=place.country,
            latitude=place.latitude,
            longitude=place.longitude,
            about=f"What the members of this site say about {place.name} stands here.",
        )
        for place in PLACES
    )
    Product.objects.bulk_create(
        Product(name=name, slug=slugify(name), price=Decimal(price), stock=stock) for name, price, stock in PRODUCTS
    )
    _load_members(random.Random(1962))
    return True


def make_administrator(password: str) -> User:
    """The user ``admin``, with this password from now on, a position and friends."""
    user = User.objects.filter(username="admin").first()
    if user is None:
        administrator = User(
            username="admin", first_name="Ada", email="admin@example.com", is_staff=True, is_superuser=True
        )
        (user,) = User.objects.bulk_create([administrator])  # sends no signal: nobody has signed up
        others = Member.objects.filter(position__isnull=False).order_by("pk")[:FRIENDS]
        Member.objects.create(user=user).friends.set(others)
    user.set_password(password)
    user.save()
    return user


def _load_members(dice: random.Random) -> None:
    unusable = make_password(None)
    users = User.objects.bulk_create(
        User(
            username=f"{first}.{last}.{number}".lower(),
            first_name=first,
            last_name=last,
            email=f"{first}.{last}.{number}@example.com".lower(),
            password=unusable,
        )
        for number in range(MEMBERS)
        for first, last in [(dice.choice(FIRST_NAMES), dice.choice(LAST_NAMES))]
    )
    members = Member.objects.bulk_create(Member(user=user) for user in users)
    places = [dice.choice(PLACES) for _member in members]
    Position.objects.bulk_create(
        Position(
            member=member,
            latitude=place.latitude + dice.gauss(0, 0.15),
            longitude=place.longitude + dice.gauss(0, 0.2),
            place=place.name,
        )
        for member, place in zip(members, places, strict=True)
    )
    pairs = {tuple(sorted(dice.sample(range(MEMBERS), 2))) for _friendship in range(MEMBERS * 3)}
    friendship = Member.friends.through
    friendship.objects.bulk_create(
        friendship(from_member=members[one], to_member=members[other])
        for pair in sorted(pairs)
        for one, other in (pair, reversed(pair))
    )
