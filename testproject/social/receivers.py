"""What follows when somebody moves."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models.signals import post_save
from django.dispatch import receiver

from django_resque import enqueue_on
from website.switch import in_the_background

from .models import Member, Position

for command in ("refresh_caches", "mail_friends", "notify_friends", "recommend_friends"):
    enqueue_on(post_save, sender=Position, command=command, when=in_the_background)


@receiver(post_save, sender=User)
def make_member(instance: User, created: bool, raw: bool, **kwargs: object) -> None:
    """Every user is a member."""
    if created and not raw:
        Member.objects.create(user=instance)
