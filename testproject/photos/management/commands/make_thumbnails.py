from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from PIL import Image, ImageOps, UnidentifiedImageError

from django_resque.management import JobCommand
from photos.models import Photo, Thumbnail


class Command(JobCommand):
    help = "Make the thumbnails of a photo, in every size. Run again, it makes the same files again."
    queue = "low"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("photo_id", type=int)

    def handle(self, *args: Any, photo_id: int, **options: Any) -> None:
        photo = Photo.objects.get(pk=photo_id)
        try:
            with Image.open(photo.image.path) as opened:
                original = ImageOps.exif_transpose(opened).convert("RGB")
        except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise CommandError(f"{photo.image.name} cannot be read as an image: {error}") from error
        for size in Thumbnail.SIZES:
            name = f"thumbnails/{photo.pk}-{size}.jpg"
            small = original.copy()
            small.thumbnail((size, size))
            _save(small, settings.MEDIA_ROOT / name)
            Thumbnail.objects.update_or_create(photo=photo, size=size, defaults={"image": name})
        self.stdout.write(f"{len(Thumbnail.SIZES)} thumbnails of {photo.image.name}")


def _save(image: Image.Image, file: Path) -> None:
    """Write the file as a whole or not at all: a page may be showing the one that it replaces."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        image.save(unfinished, "JPEG", quality=85)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
