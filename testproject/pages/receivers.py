"""What follows when a page of the city guide is changed."""

from __future__ import annotations

from django.db.models.signals import post_save

from django_resque import enqueue_on

from .models import City

enqueue_on(post_save, sender=City, command="warm_page", args=lambda instance: instance.get_absolute_url())
