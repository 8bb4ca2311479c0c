"""The list of queues."""

from __future__ import annotations

import json
import time

import pytest
import redis
from django.test import Client

from django_resque.job import Job
from django_resque.store import store
from django_resque.store.queue_table import enqueued_at
from tests.dashboard import page, round_trips, url
from tests.test_admin_statistics import count


def fill(client: redis.Redis, queue: str, *jobs: Job) -> None:
    client.sadd("resque:queues", queue)
    if jobs:
        client.rpush(f"resque:queue:{queue}", *(job.payload() for job in jobs))


def test_a_row_says_how_a_queue_is(admin_client: Client, clean_redis: redis.Redis):
    fill(clean_redis, "mail", Job("act", enqueued_at=time.time() - 7205), *[Job("act")] * 1233)
    clean_redis.sadd("resque:workers", "box1~abc123-1:1:mail,low", "box1~abc123-2:1:mail,low", "ruby1:1:*")
    working = {"queue": "mail", "run_at": "2026-11-20T13:21:45Z", "payload": {"class": "act", "args": []}}
    clean_redis.set("resque:worker:box1~abc123-1:1:mail,low", json.dumps(working))
    count(clean_redis, "act", "mail", 300, 12, 0, 1000, 1000)
    count(clean_redis, "other", "mail", 300, 1, 0, 1000, 1000)
    assert "mail 1,234 2 h " in page(admin_client, "queues")
    assert " 1 13 3 open Pause mail" in page(admin_client, "queues")
    assert round_trips(admin_client, url("queues")) == 4


def test_what_nobody_serves_is_marked_only_where_something_waits(admin_client: Client, clean_redis: redis.Redis):
    fill(clean_redis, "mail", Job("act"))
    fill(clean_redis, "empty")
    text = page(admin_client, "queues")
    assert "no worker listens Pause mail" in text
    assert "open Pause empty" in text


def test_a_paused_queue_says_by_whom_also_one_that_does_not_exist_yet(admin_client: Client, clean_redis: redis.Redis):
    fill(clean_redis, "mail")
    store().ask(store().control.pause_queue("mail", "ada"))
    store().ask(store().control.pause_queue("later"))
    text = page(admin_client, "queues")
    assert "paused by ada Resume mail" in text
    assert "later 0 – 0 0 0 0 paused Resume later" in text
    store().ask(store().control.resume_queue("mail"))
    assert clean_redis.hlen("resque:django:paused-by") == 0


def test_one_searches_by_a_part_of_the_name(admin_client: Client, clean_redis: redis.Redis):
    for name in ("mail", "e-mail", "low"):
        fill(clean_redis, name)
    text = page(admin_client, "queues", q="MAIL")
    assert "Pause mail" in text
    assert "Pause e-mail" in text
    assert "Pause low" not in text
    assert "No queue has a name like this." in page(admin_client, "queues", q="nowhere")


def test_many_queues_have_pages_and_very_many_are_not_all_read(admin_client: Client, clean_redis: redis.Redis):
    clean_redis.sadd("resque:queues", *(f"queue{number:04}" for number in range(250)))
    assert "1–100 of 250 Next" in page(admin_client, "queues")
    assert "Previous 201–250 of 250" in page(admin_client, "queues", p=3)
    assert "nothing more" in page(admin_client, "queues", p=99)
    clean_redis.sadd("resque:queues", *(f"more{number:04}" for number in range(1_750)))
    assert "There are 1,000 more queues, which are not read." in page(admin_client, "queues")


@pytest.mark.parametrize(
    ("payload", "time"),
    [
        (b'{"class":"a","args":[[]],"id":"1","queue_time":1763644905.25}', 1763644905.25),
        (b'{"class": "a", "queue_time": 1763644905}', 1763644905),
        (b'"queue_time":1,"args":["\\"queue_time\\":2"],"queue_time":3,"attempt":1}', 3),
        (b'{"class":"a","args":[]}', None),
        (b'{"queue_time":"yesterday"}', None),
        (b"", None),
    ],
)
def test_when_a_job_was_enqueued_stands_at_the_end_of_its_payload(payload: bytes, time: float | None):
    assert enqueued_at(payload) == time
