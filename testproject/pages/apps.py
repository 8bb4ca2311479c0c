from django.apps import AppConfig


class PagesConfig(AppConfig):
    """Scenario 4: pages that are in the cache before anybody asks for them."""

    name = "pages"

    def ready(self) -> None:
        """Connect the receivers."""
        from . import receivers  # noqa: F401, PLC0415  needs the models
