from __future__ import annotations

import tempfile
from pathlib import Path

from django.contrib.auth.models import User
from django.test import TestCase, override_settings

from services.testing import ServicesMixin, closed_port

LOCMEM = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "website tests"}}


@override_settings(CACHES=LOCMEM)
class Site(ServicesMixin, TestCase):
    def setUp(self) -> None:
        super().setUp()
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(override_settings(MAILBOX=folder / "mails"))

    def test_every_page_answers(self) -> None:
        for path in ("/", "/arrived/", "/accounts/sign-up/", "/accounts/log-in/", "/cities/"):
            with self.subTest(path, visitor="anybody"):
                self.assertContains(self.client.get(path), "testproject")
        self.client.force_login(User.objects.create_superuser("admin", "admin@example.com", "secret"))
        for path in ("/", "/social/", "/photos/", "/cities/", "/shop/", "/arrived/", "/admin/"):
            with self.subTest(path, visitor="admin"):
                self.assertContains(self.client.get(path), "admin")

    def test_the_pages_of_users_ask_who_it_is(self) -> None:
        for path in ("/social/", "/photos/", "/shop/"):
            with self.subTest(path):
                self.assertRedirects(self.client.get(path), f"/accounts/log-in/?next={path}")

    def test_logging_in_and_out(self) -> None:
        User.objects.create_user("ada", password="correct-horse")
        fields = {"username": "ada", "password": "correct-horse", "next": "/shop/"}
        response = self.client.post("/accounts/log-in/", fields)
        self.assertRedirects(response, "/shop/")
        self.assertRedirects(self.client.post("/accounts/log-out/"), "/")

    def test_what_arrived_says_when_the_services_are_down(self) -> None:
        with override_settings(SERVICES_URL=f"http://127.0.0.1:{closed_port()}"):
            self.assertContains(self.client.get("/arrived/"), "cannot be reached")

    def test_the_page_after_a_form_says_how_long_it_took(self) -> None:
        self.client.force_login(User.objects.create_user("ada"))
        page = self.client.post("/social/move/", {"city": "Lisbon"}, follow=True)
        self.assertContains(page, " s, with django_resque.")
