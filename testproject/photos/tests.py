from __future__ import annotations

import tempfile
from io import BytesIO, StringIO
from pathlib import Path

from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.http import HttpResponse
from django.test import TestCase, override_settings
from PIL import Image

from django_resque.testing import outbox

from .models import Photo, Thumbnail

ORIENTATION = 0x0112


def image(width: int = 1200, height: int = 600, kind: str = "JPEG", *, turned: bool = False) -> bytes:
    """A picture with something in it, as a camera would have written it."""
    picture = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    exif = Image.Exif()
    if turned:
        exif[ORIENTATION] = 6  # to be shown turned by a quarter
    file = BytesIO()
    picture.save(file, kind, exif=exif)
    return file.getvalue()


class PhotosTestCase(TestCase):
    def setUp(self) -> None:
        self.media = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(override_settings(MEDIA_ROOT=self.media))
        self.user = User.objects.create_user("ada")
        self.client.force_login(self.user)
        self.before = len(outbox)

    def upload(self, content: bytes, name: str = "photo.jpg") -> HttpResponse:
        return self.client.post("/photos/", {"image": SimpleUploadedFile(name, content)})


class Uploading(PhotosTestCase):
    def test_the_thumbnails_of_an_uploaded_image_are_a_job(self) -> None:
        self.assertRedirects(self.upload(image()), "/photos/")
        photo = Photo.objects.get()
        self.assertEqual(photo.owner, self.user)
        (job,) = outbox[self.before :]
        self.assertEqual((job.command, job.queue, list(job.args)), ("make_thumbnails", "low", [photo.pk]))

    def test_what_is_not_an_image_is_refused_and_enqueues_nothing(self) -> None:
        refused = {
            "a text": (b"Dear sir or madam", "photo.jpg"),
            "a kind we do not take": (image(kind="GIF"), "photo.gif"),
            "nothing": (b"", "photo.jpg"),
            "too large": (image() + bytes(8 * 1024 * 1024), "photo.jpg"),
        }
        for reason, (content, name) in refused.items():
            with self.subTest(reason):
                self.assertContains(self.upload(content, name), "errorlist")
        self.assertFalse(Photo.objects.exists())
        self.assertEqual(len(outbox), self.before)

    def test_the_page_shows_the_thumbnail_once_it_is_there(self) -> None:
        self.upload(image())
        self.assertContains(self.client.get("/photos/"), "not made yet")
        call_command("make_thumbnails", Photo.objects.get().pk, stdout=StringIO())
        self.assertContains(self.client.get("/photos/"), "-320.jpg")


class MakingThumbnails(PhotosTestCase):
    def uploaded(self, content: bytes, name: str = "photo.jpg") -> Photo:
        return Photo.objects.create(owner=self.user, image=SimpleUploadedFile(name, content))

    def make(self, photo: Photo) -> None:
        call_command("make_thumbnails", photo.pk, stdout=StringIO())

    def sizes(self, photo: Photo) -> list[tuple[int, int]]:
        found = []
        for thumbnail in photo.thumbnails.order_by("size"):
            with Image.open(thumbnail.image.path) as picture:
                found.append(picture.size)
        return found

    def test_there_is_one_in_each_size_with_the_proportions_of_the_original(self) -> None:
        photo = self.uploaded(image(1200, 600))
        self.make(photo)
        self.assertEqual(self.sizes(photo), [(96, 48), (320, 160), (960, 480)])

    def test_a_photo_taken_upright_stays_upright(self) -> None:
        photo = self.uploaded(image(1200, 600, turned=True))
        self.make(photo)
        self.assertEqual(self.sizes(photo), [(48, 96), (160, 320), (480, 960)])

    def test_a_small_image_is_not_made_larger(self) -> None:
        photo = self.uploaded(image(200, 100, "PNG"), "photo.png")
        self.make(photo)
        self.assertEqual(self.sizes(photo), [(96, 48), (200, 100), (200, 100)])

    def test_run_twice_it_leaves_the_same_files(self) -> None:
        photo = self.uploaded(image())
        self.make(photo)
        files = {file: file.read_bytes() for file in (self.media / "thumbnails").iterdir()}
        self.make(photo)
        self.assertEqual({file: file.read_bytes() for file in (self.media / "thumbnails").iterdir()}, files)
        self.assertEqual(Thumbnail.objects.count(), 3)

    def test_an_image_that_breaks_off_passes_the_form_and_fails_in_the_job(self) -> None:
        complete = image()
        self.assertRedirects(self.upload(complete[: len(complete) // 2]), "/photos/")
        photo = Photo.objects.get()
        with self.assertRaisesMessage(CommandError, f"{photo.image.name} cannot be read as an image"):
            self.make(photo)
        self.assertFalse(Thumbnail.objects.exists())
        self.assertFalse((self.media / "thumbnails").exists())

    def test_a_photo_that_is_gone_is_an_error(self) -> None:
        with self.assertRaisesMessage(Photo.DoesNotExist, "does not exist"):
            call_command("make_thumbnails", 1_000_000)
