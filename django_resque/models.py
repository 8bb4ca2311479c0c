"""What the admin and the permissions need a model for. There are no tables: everything is in Redis."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class NoRows(models.Manager["Dashboard"]):
    """Never asks the database, so that ``dumpdata`` and other visitors of all models find nothing, not an error."""

    def get_queryset(self) -> models.QuerySet[Dashboard]:
        return super().get_queryset().none()


class Dashboard(models.Model):
    """Carries the permission ``django_resque.view_dashboard`` and the dashboard's place in the admin's index."""

    id = models.BigAutoField(primary_key=True)  # named, or projects without DEFAULT_AUTO_FIELD would be warned of it

    objects = NoRows()

    class Meta:
        managed = False
        default_permissions = ("view",)
        base_manager_name = "objects"
        verbose_name = _("dashboard")
        verbose_name_plural = _("dashboard")

    def __str__(self) -> str:
        return "dashboard"
