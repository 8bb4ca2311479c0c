from __future__ import annotations

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.core.validators import FileExtensionValidator

from .models import Photo

MEGABYTES = 8


class PhotoForm(forms.ModelForm):
    """One image. Its header is read here, the whole of it only by the job."""

    class Meta:
        model = Photo
        fields = ("image",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["image"].validators.append(FileExtensionValidator(["jpg", "jpeg", "png", "webp"]))

    def clean_image(self) -> UploadedFile:
        """Refuse what is too large."""
        image: UploadedFile = self.cleaned_data["image"]
        if image.size and image.size > MEGABYTES * 1024 * 1024:
            raise forms.ValidationError(f"The image is larger than {MEGABYTES} MB.")
        return image
