"""The verbs of ``manage.py resque``, in the order in which its help lists them."""

from __future__ import annotations

from collections.abc import Sequence

from .verb import NO, OK, USAGE, UsageError, Verb, add_yes_argument, confirmed

VERBS: Sequence[type[Verb]] = ()

__all__ = ["NO", "OK", "USAGE", "VERBS", "UsageError", "Verb", "add_yes_argument", "confirmed"]
