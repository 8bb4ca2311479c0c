"""``from django_resque.management import JobCommand``: the base class of commands that are made to be jobs."""

from __future__ import annotations

from ..command import JobCommand

__all__ = ["JobCommand"]
