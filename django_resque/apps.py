"""The app as Django sees it."""

from django.apps import AppConfig


class DjangoResqueConfig(AppConfig):
    """Connects the system checks when Django is ready."""

    name = "django_resque"
    verbose_name = "Resque"

    def ready(self) -> None:
        """Register the system checks."""
        from . import checks  # noqa: F401, PLC0415  importing registers them; they need the app registry
