from django.apps import AppConfig


class ShopConfig(AppConfig):
    """Scenario 5: an order, its receipt, and a slow ERP."""

    name = "shop"

    def ready(self) -> None:
        """Connect the receivers."""
        from . import receivers  # noqa: F401, PLC0415  needs the models
