"""A job that notes the time."""

import time
from typing import Any

import redis
from django.conf import settings

from django_resque.management import JobCommand


class Command(JobCommand):
    def handle(self, *args: Any, **options: Any) -> None:
        redis.Redis.from_url(settings.REDIS_URL).rpush("bench:marks", repr(time.monotonic()))
