"""The page with the statistics."""

from __future__ import annotations

import time

import pytest
import redis
from django.test import Client

from django_resque.admin.pages.statistics import HEIGHT, histogram
from django_resque.store.statistics import BOUNDS, OTHER, pack
from tests.dashboard import page, round_trips, url

EMPTY = [0] * (len(BOUNDS) + 1)


def count(client: redis.Redis, command: str, queue: str, *sums: int, hours_ago: int = 0) -> None:
    """Jobs that took between 100 and 300 ms, as workers add them up."""
    now = int(time.time()) - hours_ago * 3600
    histogram = [*EMPTY]
    histogram[5] = sums[0]
    field, value = pack(command, queue, [*sums, *histogram])
    for kind, length in (("minute", 60), ("hour", 3600), ("day", 86400)):
        client.hset(f"resque:django:stats:{kind}:{now // length * length}", field, value)


def test_it_shows_each_command_on_each_queue_those_first_that_took_most(admin_client: Client, clean_redis):
    count(clean_redis, "send_welcome", "mail", 1200, 30, 7, 240_000_000, 290_000)
    count(clean_redis, "import_users", "low", 2, 0, 0, 3_000_000_000, 2_400_000_000)
    text = page(admin_client, "statistics")
    assert "send_welcome mail 1,200 30 2% 7 200 ms 290 ms 4 min " in text
    assert "import_users low 2 0 0 25 min 40 min 50 min" in text
    assert text.index("import_users") < text.index("send_welcome")
    assert "All 1,202 30 54 min" in text
    assert "up to 300 ms: 1,200" in admin_client.get(url("statistics")).content.decode()


@pytest.mark.parametrize(("span", "seen"), [("hour", 1), ("day", 2), ("week", 3), ("", 2), ("nonsense", 2)])
def test_one_chooses_how_far_back_it_goes(admin_client: Client, clean_redis: redis.Redis, span: str, seen: int):
    for place, hours_ago in enumerate((0, 10, 100)):
        count(clean_redis, f"command{place}", "mail", 1, 0, 0, 1000, 1000, hours_ago=hours_ago)
    text = page(admin_client, "statistics", span=span)
    assert [f"command{place}" in text for place in range(3)] == [place < seen for place in range(3)]


def test_failures_lead_to_their_list(admin_client: Client, clean_redis: redis.Redis):
    count(clean_redis, "send_welcome", "mail", 4, 1, 0, 1000, 1000)
    content = admin_client.get(url("statistics", span="week")).content.decode()
    assert f'href="{url("failures/list")}?command=send_welcome&amp;since=7d"' in content


def test_what_was_too_much_to_be_told_apart_is_told_together(admin_client: Client, clean_redis: redis.Redis):
    count(clean_redis, OTHER, OTHER, 4, 1, 0, 1000, 1000)
    assert "all others 4 1 25%" in page(admin_client, "statistics")


def test_without_jobs_it_says_so(admin_client: Client, clean_redis: redis.Redis):
    assert "No job has ended in this time." in page(admin_client, "statistics")


def test_it_costs_two_round_trips(admin_client: Client, clean_redis: redis.Redis):
    count(clean_redis, "send_welcome", "mail", 4, 1, 0, 1000, 1000)
    assert round_trips(admin_client, url("statistics", span="week")) == 2


@pytest.mark.parametrize("language", ["de", "ar", "hi"])
def test_the_drawing_is_the_same_in_every_language(admin_client: Client, clean_redis, settings, language: str):
    count(clean_redis, "send_welcome", "mail", 1200, 30, 7, 240_000_000, 290_000)
    drawn = f'<rect x="50" y="1" width="8" height="{HEIGHT - 1}"/>'
    settings.LANGUAGE_CODE = language
    assert drawn in admin_client.get(url("statistics")).content.decode()


def test_a_part_that_is_there_can_be_seen_however_small_it_is():
    drawing = histogram([1, 0, 1_000_000])
    assert [(bar.x, bar.height) for bar in drawing.bars] == [("0", "1"), ("20", str(HEIGHT - 1))]
    assert histogram([]).bars == []
