"""The list of friends by distance, which is kept in the cache for each member."""

from __future__ import annotations

from django.core.cache import cache

from .models import Member, Position

DAY = 24 * 60 * 60

Nearby = list[tuple[str, str, float]]
"""Name, place and kilometres of each friend, the nearest first."""


def nearby_friends(member: Member) -> Nearby:
    """From the cache, where the job has put it; made now when it is not there."""
    found: Nearby | None = cache.get(cache_key(member.pk))
    return refresh(member) if found is None else found


def refresh(member: Member) -> Nearby:
    """Make the list again and keep it."""
    nearby = _find(member)
    cache.set(cache_key(member.pk), nearby, DAY)
    return nearby


def cache_key(member_id: int) -> str:
    return f"social:nearby:{member_id}"


def _find(member: Member) -> Nearby:
    here = Position.objects.filter(member=member).first()
    if here is None:
        return []
    friends = Position.objects.filter(member__friends=member).select_related("member__user")
    found = [(str(there.member), there.place, here.distance_to(there)) for there in friends]
    return sorted(found, key=lambda friend: friend[2])
