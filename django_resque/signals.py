"""Django signals that django_resque sends."""

from django.dispatch import Signal

enqueue_failed = Signal()
"""A push failed after the commit of the transaction it waited for. Sent with ``job`` (a `Job`) and ``error`` (an
`EnqueueError`); the sender is the class `Job`."""
