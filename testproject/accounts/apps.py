from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Scenario 2: signing up, and the mail that follows."""

    name = "accounts"

    def ready(self) -> None:
        """Connect the receivers."""
        from . import receivers  # noqa: F401, PLC0415  needs the models
