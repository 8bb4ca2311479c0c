"""What follows when somebody signs up."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models.signals import post_save

from django_resque import enqueue_on
from website.switch import in_the_background


@enqueue_on(post_save, sender=User, command="email_sender", when=in_the_background)
def send_sign_up_email(instance: User, created: bool, **kwargs: object) -> tuple[str, int] | None:
    """Once for each new user."""
    return ("send_sign_up_email", instance.pk) if created else None
