"""The app as Django sees it."""

from django.apps import AppConfig

from . import enqueue_log


class DjangoResqueConfig(AppConfig):
    """Connects the system checks and the enqueue log when Django is ready."""

    name = "django_resque"
    verbose_name = "Resque"

    def ready(self) -> None:
        """Register the system checks, and keep a log of what requests enqueue."""
        from . import checks  # noqa: F401, PLC0415  importing registers them; they need the app registry

        enqueue_log.connect()
