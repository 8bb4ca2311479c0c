from django.apps import AppConfig


class SocialConfig(AppConfig):
    """Scenario 1: members, where they are, and what follows when they move."""

    name = "social"

    def ready(self) -> None:
        """Connect the receivers."""
        from . import receivers  # noqa: F401, PLC0415  needs the models
