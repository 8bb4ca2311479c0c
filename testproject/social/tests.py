from __future__ import annotations

from io import StringIO

from django.contrib.auth.models import User
from django.core import mail
from django.core.cache import cache
from django.core.management import call_command
from django.test import TestCase, override_settings
from django.utils import timezone

from django_resque.testing import outbox
from services.client import ServiceUnavailable
from services.testing import ServicesMixin, closed_port

from .geography import PLACES, distance
from .models import Member, Notification, Position, Recommendation
from .nearby import cache_key, nearby_friends

LOCMEM = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "social tests"}}
WHERE = {place.name: (place.latitude, place.longitude) for place in PLACES}


def member_in(city: str, name: str, *, north: float = 0) -> Member:
    """A member in a city, or ``north`` degrees north of it."""
    user = User.objects.create_user(name.lower(), f"{name.lower()}@example.com", first_name=name)
    latitude, longitude = WHERE[city]
    Position.objects.create(member=user.member, latitude=latitude + north, longitude=longitude, place=city)
    return user.member


@override_settings(CACHES=LOCMEM)
class SocialTestCase(ServicesMixin, TestCase):
    def setUp(self) -> None:
        super().setUp()
        cache.clear()
        self.ada = member_in("Berlin", "Ada")
        self.grace = member_in("Paris", "Grace")
        self.alan = member_in("London", "Alan")
        self.ada.friends.set([self.grace, self.alan])
        self.position = self.ada.position
        self.before = len(outbox)

    def run_command(self, name: str) -> str:
        output = StringIO()
        call_command(name, self.position.pk, stdout=output)
        return output.getvalue()


class Moving(SocialTestCase):
    def test_the_page_saves_and_the_rest_are_jobs(self) -> None:
        self.client.force_login(self.ada.user)
        response = self.client.post("/social/move/", {"city": "Lisbon"})

        self.assertRedirects(response, "/social/")
        self.position.refresh_from_db()
        self.assertEqual((self.position.latitude, self.position.longitude), WHERE["Lisbon"])
        jobs = outbox[self.before :]
        self.assertEqual(
            [(job.command, job.queue, list(job.args)) for job in jobs],
            [
                ("refresh_caches", "default", [self.position.pk]),
                ("mail_friends", "mail", [self.position.pk]),
                ("notify_friends", "default", [self.position.pk]),
                ("recommend_friends", "low", [self.position.pk]),
            ],
        )
        self.assertEqual((mail.outbox, Notification.objects.count()), ([], 0))

    def test_coordinates_do_as_well_as_a_city(self) -> None:
        self.client.force_login(self.ada.user)
        self.client.post("/social/move/", {"latitude": "-33.9", "longitude": "18.4"})
        self.position.refresh_from_db()
        self.assertEqual((self.position.latitude, self.position.longitude), (-33.9, 18.4))

    def test_a_place_that_is_not_on_earth_is_refused_and_enqueues_nothing(self) -> None:
        self.client.force_login(self.ada.user)
        for fields in (
            {"latitude": "91", "longitude": "0"},
            {"latitude": "nan", "longitude": "0"},
            {"latitude": "1"},
            {},
        ):
            with self.subTest(fields):
                self.assertContains(self.client.post("/social/move/", fields), "errorlist")
        self.assertEqual(len(outbox), self.before)

    def test_without_django_resque_the_request_does_everything(self) -> None:
        self.client.force_login(self.ada.user)
        with override_settings(DEBUG=True), self.captureOnCommitCallbacks(execute=True):
            self.client.post("/social/move/", {"city": "Lisbon"}, headers={"X-Without-Resque": "1"})
        self.assertEqual(len(outbox), self.before)
        self.assertEqual((len(mail.outbox), Notification.objects.count()), (2, 2))
        self.position.refresh_from_db()
        self.assertEqual(self.position.place, "Lisbon")

    def test_who_is_not_logged_in_cannot_move(self) -> None:
        self.assertEqual(self.client.post("/social/move/", {"city": "Lisbon"}).status_code, 302)
        self.assertEqual(len(outbox), self.before)


class FollowingUp(SocialTestCase):
    def test_refresh_caches_names_the_place_and_refreshes_the_lists_around_the_member(self) -> None:
        Position.objects.update(place="?")
        for member in (self.ada, self.grace, self.alan):
            cache.set(cache_key(member.pk), [("stale", "", 0)])

        self.assertEqual(self.run_command("refresh_caches"), "Ada is in Berlin; 3 lists refreshed\n")

        self.assertEqual([name for name, _place, _kilometres in nearby_friends(self.ada)], ["Grace", "Alan"])
        self.assertEqual([(name, place) for name, place, _kilometres in nearby_friends(self.alan)], [("Ada", "Berlin")])

    def test_refresh_caches_is_no_move_itself(self) -> None:
        self.run_command("refresh_caches")
        self.assertEqual(len(outbox), self.before)

    def test_refresh_caches_fails_while_the_gazetteer_is_down(self) -> None:
        with (
            override_settings(SERVICES_URL=f"http://127.0.0.1:{closed_port()}"),
            self.assertRaisesMessage(ServiceUnavailable, "cannot be reached"),
        ):
            self.run_command("refresh_caches")

    def test_mail_friends_writes_to_each_friend_how_far_it_is(self) -> None:
        self.run_command("mail_friends")
        self.assertEqual([message.to for message in mail.outbox], [["grace@example.com"], ["alan@example.com"]])
        self.assertIn("Ada has moved and is now 877 km away", mail.outbox[0].body)

    def test_notify_friends_run_twice_notifies_once(self) -> None:
        for _run in range(2):
            self.run_command("notify_friends")
        self.assertEqual({found.recipient for found in Notification.objects.all()}, {self.grace, self.alan})
        self.assertEqual(self.services.facts()["pushes"], 2)

    def test_notify_friends_goes_on_where_it_was_interrupted(self) -> None:
        self.run_command("notify_friends")
        Notification.objects.filter(recipient=self.alan).update(pushed=False)  # as if it had died before this push
        self.run_command("notify_friends")
        self.assertEqual(Notification.objects.filter(pushed=True).count(), 2)

    def test_notify_friends_notifies_of_each_move(self) -> None:
        self.run_command("notify_friends")
        self.position.moved_at = timezone.now()
        self.position.save()
        self.run_command("notify_friends")
        self.assertEqual(self.services.facts()["pushes"], 4)

    def test_recommend_friends_finds_people_near_by_and_those_with_mutual_friends_first(self) -> None:
        member_in("Berlin", "Near", north=0.01)
        known = member_in("Berlin", "Known", north=0.2)
        known.friends.add(self.grace)
        member_in("Tokyo", "Far")

        for _run in range(2):
            self.run_command("recommend_friends")

        found = [(str(found.other), found.mutual_friends) for found in self.ada.recommendations.all()]
        self.assertEqual(found, [("Known", 1), ("Near", 0)])

    def test_recommend_friends_replaces_what_was_recommended_elsewhere(self) -> None:
        Recommendation.objects.create(member=self.ada, other=self.alan, kilometres=1, mutual_friends=0)
        self.run_command("recommend_friends")
        self.assertFalse(self.ada.recommendations.exists())


class Distances(TestCase):
    def test_distances_are_those_of_the_atlas(self) -> None:
        self.assertAlmostEqual(distance(*WHERE["Berlin"], *WHERE["Paris"]), 878, delta=2)
        self.assertAlmostEqual(distance(*WHERE["London"], *WHERE["New York"]), 5570, delta=10)
        self.assertEqual(distance(*WHERE["Tokyo"], *WHERE["Tokyo"]), 0)
