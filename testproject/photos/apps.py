from django.apps import AppConfig


class PhotosConfig(AppConfig):
    """Scenario 3: thumbnails of what people upload."""

    name = "photos"
