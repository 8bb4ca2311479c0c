"""What the admin and the permissions need a model for. There are no tables: everything is in Redis."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class NoRows(models.Manager["Dashboard"]):
    """Never asks the database, so that ``dumpdata`` and other visitors of all models find nothing, not an error."""

    def get_queryset(self) -> models.QuerySet[Dashboard]:
        return super().get_queryset().none()


class Dashboard(models.Model):
    """Carries the permissions of the dashboard, and its place in the admin's index.

    ``view_dashboard`` is the door: without it none of the others opens anything.
    """

    id = models.BigAutoField(primary_key=True)  # named, or projects without DEFAULT_AUTO_FIELD would be warned of it

    objects = NoRows()

    class Meta:
        managed = False
        default_permissions = ("view",)
        permissions = [
            ("view_arguments", "Can see sensitive arguments, results and outputs of jobs"),
            ("enqueue_job", "Can enqueue jobs"),
            ("retry_failure", "Can retry failures"),
            ("discard_failure", "Can discard failures"),
            ("clear_queue", "Can delete and move waiting jobs"),
            ("pause_queue", "Can pause and resume queues"),
            ("change_delayed", "Can run, move and cancel delayed jobs and retries"),
            ("change_schedule", "Can change, pause and run schedule entries"),
            ("stop_job", "Can end running jobs"),
            ("control_worker", "Can pause, resume and stop workers"),
        ]
        base_manager_name = "objects"
        verbose_name = _("dashboard")
        verbose_name_plural = _("dashboard")

    def __str__(self) -> str:
        return "dashboard"
