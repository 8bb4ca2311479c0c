from __future__ import annotations

from django.conf import settings
from django.db import models


class Photo(models.Model):
    """An image as it was uploaded."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="photos")
    image = models.ImageField(upload_to="photos/")
    uploaded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return str(self.image.name)

    def medium(self) -> Thumbnail | None:
        """The thumbnail for lists, once the job has made it."""
        return next((found for found in self.thumbnails.all() if found.size == Thumbnail.MEDIUM), None)


class Thumbnail(models.Model):
    """A photo made smaller, by a job: one for each size."""

    SMALL, MEDIUM, LARGE = 96, 320, 960
    SIZES = (SMALL, MEDIUM, LARGE)

    photo = models.ForeignKey(Photo, on_delete=models.CASCADE, related_name="thumbnails")
    size = models.PositiveIntegerField(help_text="Of the longer side, in pixels.")
    image = models.ImageField(upload_to="thumbnails/")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["photo", "size"], name="one_thumbnail_for_each_size")]

    def __str__(self) -> str:
        return str(self.image.name)
