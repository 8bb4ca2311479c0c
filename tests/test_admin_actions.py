"""What all actions have in common: asking first, telling, the log, the way back; and what all pages have."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
import redis
from django.contrib.admin import AdminSite
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client, override_settings
from django.urls import include, path

import django_resque.admin
from django_resque.job import Job
from django_resque.store import store
from tests.dashboard import act, page, url
from tests.servers import RedisServer

FRAGMENT = {"X-Resque-Fragment": "yes"}

other_site = AdminSite("other")
django_resque.admin.register(other_site)
urlpatterns = [path("", include("tests.urls")), path("other/", other_site.urls)]


@pytest.fixture
def mail(clean_redis: redis.Redis) -> redis.Redis:
    clean_redis.sadd("resque:queues", "mail", "low")
    return clean_redis


# -- asking, telling, noting -------------------------------------------------------------------------------------------


def test_an_action_asks_first_with_the_number_and_changes_nothing(admin_client: Client, mail: redis.Redis):
    response = admin_client.post(url("queues/pause"), {"tick": ["mail", "low"]})
    content = response.content.decode()
    assert response.status_code == 200
    assert "Pause 2 queues?" in content
    assert '<input type="hidden" name="tick" value="mail">' in content
    assert store().control.paused_queues() == []
    assert not LogEntry.objects.exists()


def test_it_acts_when_that_is_confirmed_and_tells_and_notes_it(admin_client: Client, mail: redis.Redis):
    text = act(admin_client, "queues/pause", {"tick": ["mail", "low"]})
    assert "Paused 2 queues." in text
    assert store().control.paused_queues() == ["low", "mail"]
    entry = LogEntry.objects.get()
    assert entry.user == User.objects.get(username="admin")
    assert str(entry.object_repr) == "Paused 2 queues. mail, low"
    assert entry.get_change_message().startswith("queues/pause: Pause 2 queues?")
    assert entry.content_type.model_class()._meta.label == "django_resque.Dashboard"
    index = admin_client.get("/admin/").content.decode()
    assert "Paused 2 queues. mail, low" in index


def test_the_row_whose_button_is_pressed_is_meant_not_those_that_are_ticked(admin_client: Client, mail: redis.Redis):
    act(admin_client, "queues/pause", {"tick": ["mail"], "one": "low"})
    assert store().control.paused_queues() == ["low"]


def test_where_nothing_is_ticked_it_says_so(admin_client: Client, mail: redis.Redis):
    assert "No queue was chosen: tick some first." in act(admin_client, "queues/pause")
    assert not LogEntry.objects.exists()


def test_what_goes_wrong_on_the_way_is_told_and_noted(admin_client: Client, mail: redis.Redis):
    text = act(admin_client, "queues/pause", {"tick": ["mail", "no queue : at all"]})
    assert "cannot be the name of a queue" in text
    assert store().control.paused_queues() == ["mail"]
    assert LogEntry.objects.get().object_repr == "Pause: InvalidQueue"


def test_without_redis_an_action_says_why(admin_client: Client, redis_server: RedisServer):
    redis_server.stop()
    assert "Redis did not answer" in act(admin_client, "queues/pause", {"tick": ["mail"]})


# -- the way back ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "leads_to"),
    [
        (url("queues", q="mai", p=2), url("queues", q="mai", p=2)),
        ("", url("queues")),
        ("https://example.com" + url("queues"), url("queues")),
        ("//example.com/admin/django_resque/dashboard/", url("queues")),
        ("/admin/logout/", url("queues")),
        ("javascript:alert(1)", url("queues")),
    ],
)
def test_one_comes_back_to_the_page_one_was_on_and_never_leaves_the_dashboard(
    admin_client: Client, mail: redis.Redis, given: str, leads_to: str
):
    response = admin_client.post(url("queues/pause"), {"one": "mail", "next": given, "confirmed": "yes"})
    assert response.status_code == 302
    assert response["Location"] == leads_to


# -- what is meant -----------------------------------------------------------------------------------------------------


def test_a_name_of_any_letters_is_meant_as_it_is(admin_client: Client, clean_redis: redis.Redis):
    name = "😀" * 100
    clean_redis.sadd("resque:queues", name)
    key = quote(name, safe="")
    assert f'value="{key}"' in admin_client.get(url("queues")).content.decode()
    assert "Paused 1 queue." in act(admin_client, "queues/pause", {"one": key})
    assert store().control.paused_queues() == [name]


def test_of_a_name_that_is_too_long_no_part_is_meant(admin_client: Client, clean_redis: redis.Redis):
    clean_redis.sadd("resque:queues", "q" * 1_000)
    assert "No queue was chosen" in act(admin_client, "queues/pause", {"one": "q" * 15_000})
    assert store().control.paused_queues() == []


def test_a_blank_before_a_name_is_a_part_of_it(admin_client: Client, clean_redis: redis.Redis):
    clean_redis.sadd("resque:queues", "mail", " mail")
    clean_redis.rpush("resque:queue:mail", Job("act").payload())
    clean_redis.rpush("resque:queue: mail", Job("act").payload())
    assert "Deleted 1 job" in act(admin_client, "jobs/delete", {"all": "yes"}, state="queued", queue=" mail")
    assert (clean_redis.llen("resque:queue:mail"), clean_redis.llen("resque:queue: mail")) == (1, 0)


def test_all_that_match_may_be_more_when_one_confirms_and_it_says_so(admin_client: Client, clean_redis: redis.Redis):
    clean_redis.sadd("resque:queues", "mail")
    clean_redis.rpush("resque:queue:mail", Job("act").payload())
    question = admin_client.post(url("jobs/delete", state="queued"), {"all": "yes"})
    assert "also what comes until then" in question.content.decode()


def test_how_much_is_looked_through_says_nothing_of_what_is_hidden(clean_redis: redis.Redis, db: None):
    clean_redis.sadd("resque:queues", "mail")
    payloads = [Job("act", options={"password": f"hunter2secret{number}"}).payload() for number in range(2_500)]
    clean_redis.rpush("resque:queue:mail", *payloads)
    client = Client()
    user = User.objects.create_user("onlooker", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_dashboard"))
    client.force_login(user)
    for slug, query in (("jobs", {"state": "queued"}), ("queue", {"name": "mail"})):
        right, wrong = (page(client, slug, q=text, **query).replace(text, "") for text in ("hunter2s", "hunter3s"))
        assert re.sub(r"\d+ (s|min)", "", right) == re.sub(r"\d+ (s|min)", "", wrong)


# -- another admin site ------------------------------------------------------------------------------------------------


@override_settings(ROOT_URLCONF="tests.test_admin_actions")
def test_on_another_admin_site_everything_leads_to_that_site(admin_client: Client, mail: redis.Redis):
    root = "/other/django_resque/dashboard/"
    content = admin_client.get(f"{root}queues/").content.decode()
    inner = content.partition('<div id="content"')[2].partition("<footer")[0]
    assert f'formaction="{root}queues/pause/"' in inner
    assert "/admin/" not in inner
    response = admin_client.post(f"{root}queues/pause/", {"one": "mail", "confirmed": "yes"})
    assert response["Location"] == f"{root}queues/"


# -- fragments ---------------------------------------------------------------------------------------------------------


def test_a_fragment_is_the_changing_part_alone_and_304_while_nothing_changes(admin_client: Client, mail: redis.Redis):
    first = admin_client.get(url("queues"), headers=FRAGMENT)
    assert first.status_code == 200
    assert "<html" not in first.content.decode()
    assert "csrf" not in first.content.decode()
    assert first["X-Resque-Fragment"] == "5"
    again = admin_client.get(url("queues"), headers={**FRAGMENT, "If-None-Match": first["ETag"]})
    assert (again.status_code, again.content, again["X-Resque-Fragment"]) == (304, b"", "5")
    mail.sadd("resque:queues", "another")
    changed = admin_client.get(url("queues"), headers={**FRAGMENT, "If-None-Match": first["ETag"]})
    assert changed.status_code == 200
    assert changed["ETag"] != first["ETag"]


def test_a_whole_page_is_never_304(admin_client: Client, mail: redis.Redis):
    etag = admin_client.get(url("queues"), headers=FRAGMENT)["ETag"]
    assert admin_client.get(url("queues"), headers={"If-None-Match": etag}).status_code == 200


def test_a_fragment_says_when_redis_is_away(admin_client: Client, redis_server: RedisServer):
    redis_server.stop()
    response = admin_client.get(url("queues"), headers=FRAGMENT)
    assert "Redis did not answer" in response.content.decode()


def test_messages_wait_for_a_whole_page(admin_client: Client, mail: redis.Redis):
    admin_client.post(url("queues/pause"), {"one": "mail", "confirmed": "yes"})
    assert "Paused 1 queue." not in admin_client.get(url("queues"), headers=FRAGMENT).content.decode()
    assert "Paused 1 queue." in page(admin_client, "queues")
