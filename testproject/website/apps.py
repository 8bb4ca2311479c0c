from django.apps import AppConfig


class WebsiteConfig(AppConfig):
    """What belongs to the site as a whole."""

    name = "website"

    def ready(self) -> None:
        """Connect the receivers for requests that do without django_resque."""
        from . import without  # noqa: F401, PLC0415  needs the models
