from __future__ import annotations

from io import StringIO

from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import TestCase, override_settings

from django_resque.testing import outbox

from .models import City

LOCMEM = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "pages tests"}}


@override_settings(CACHES=LOCMEM)
class CityGuide(TestCase):
    def setUp(self) -> None:
        cache.clear()
        City.objects.bulk_create(
            City(name=name, slug=name.lower(), country="Germany", latitude=latitude, longitude=10)
            for name, latitude in (("Hamburg", 53.5), ("Ulm", 48.4))
        )

    def warm(self, path: str) -> str:
        output = StringIO()
        call_command("warm_page", path, stdout=output)
        return output.getvalue()

    def test_a_page_that_was_warmed_up_comes_from_the_cache(self) -> None:
        self.assertIn("/cities/ulm/ is in the cache", self.warm("/cities/ulm/"))
        with self.assertNumQueries(0):
            response = self.client.get("/cities/ulm/")
        self.assertEqual(response["X-Kept"], "0 seconds")
        self.assertContains(response, "<h1>Ulm</h1>")

    def test_a_page_that_was_not_is_made_now_and_kept(self) -> None:
        self.assertNotIn("X-Kept", self.client.get("/cities/ulm/"))
        self.assertIn("X-Kept", self.client.get("/cities/ulm/"))

    def test_warming_up_replaces_what_is_in_the_cache(self) -> None:
        self.warm("/cities/ulm/")
        City.objects.filter(slug="ulm").update(about="With a minster.")
        self.assertNotContains(self.client.get("/cities/ulm/"), "minster")
        self.warm("/cities/ulm/")
        self.assertContains(self.client.get("/cities/ulm/"), "minster")

    def test_no_visitor_can_have_a_page_made_again(self) -> None:
        self.warm("/cities/ulm/")
        response = self.client.get("/cities/ulm/?warming_up=1", headers={"Cache-Control": "no-cache"})
        self.assertIn("X-Kept", response)

    def test_the_button_enqueues_a_job_for_each_page(self) -> None:
        self.client.force_login(User.objects.create_user("ada"))
        before = len(outbox)
        self.assertRedirects(self.client.post("/cities/warm/"), "/cities/")
        self.assertEqual(
            [(job.command, job.queue, list(job.args)) for job in outbox[before:]],
            [("warm_page", "low", ["/cities/hamburg/"]), ("warm_page", "low", ["/cities/ulm/"])],
        )

    def test_the_button_is_for_users(self) -> None:
        self.assertEqual(self.client.post("/cities/warm/").status_code, 302)
        self.assertEqual(outbox, [])

    def test_a_link_does_not_enqueue(self) -> None:
        self.client.force_login(User.objects.create_user("ada"))
        self.assertEqual(self.client.get("/cities/warm/").status_code, 405)

    def test_changing_a_city_warms_its_page_up(self) -> None:
        City.objects.get(slug="ulm").save()
        (job,) = outbox
        self.assertEqual((job.command, list(job.args)), ("warm_page", ["/cities/ulm/"]))

    def test_only_pages_that_are_kept_are_warmed_up(self) -> None:
        for path in ("/cities/atlantis/", "/admin/", "/nowhere"):
            with self.subTest(path), self.assertRaisesMessage(CommandError, f"{path} cannot be warmed up"):
                self.warm(path)

    def test_the_list_says_which_pages_are_in_the_cache(self) -> None:
        self.warm("/cities/ulm/")
        self.assertContains(self.client.get("/cities/"), "<td>yes</td>", count=1, html=True)
