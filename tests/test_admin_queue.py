"""The page of a queue: what it says, and what can be done there."""

from __future__ import annotations

import hashlib
import json
import time

import pytest
import redis
from django.contrib.admin.models import LogEntry
from django.test import Client

from django_resque.job import Job
from django_resque.status import Status, status_record
from django_resque.store import store
from tests.dashboard import act, page, round_trips, text_of, url
from tests.test_admin_permissions import visitor

MAIL = "resque:queue:mail"


def key(raw: bytes, queue: str = "mail") -> str:
    return f"{hashlib.sha1(raw).hexdigest()}-queue-{queue}"


def push(client: redis.Redis, *jobs: Job | bytes, queue: str = "mail") -> list[bytes]:
    raws = [job.payload() if isinstance(job, Job) else job for job in jobs]
    client.sadd("resque:queues", queue)
    if raws:
        client.rpush(f"resque:queue:{queue}", *raws)
    return raws


def reminders(count: int) -> list[Job]:
    return [Job("mailing", ("remind", number), {"subject": f"Hello {number}"}) for number in range(count)]


def waiting(client: redis.Redis, queue: str = "mail") -> list[bytes]:
    return client.lrange(f"resque:queue:{queue}", 0, -1)


# -- what it says ------------------------------------------------------------------------------------------------------


def test_it_says_how_the_queue_is_and_what_is_next(admin_client: Client, clean_redis: redis.Redis):
    first = Job("mailing", ("remind", 7), {"subject": "Hello"}, enqueued_at=time.time() - 7_205)
    push(clean_redis, first, Job("act", ("echo", "hi"), extra={"attempt": 2}))
    clean_redis.sadd("resque:workers", "ruby1:1:*", "ruby1:2:low")
    clean_redis.set("resque:worker:ruby1:1:*", json.dumps({"queue": "mail", "payload": {"class": "x", "args": []}}))
    store().ask(store().control.pause_queue("mail", "ada"))
    text = page(admin_client, "queue", name="mail")
    assert "Queue mail" in text
    assert "Jobs waiting 2 Oldest 2 h" in text
    assert "Running 1 Workers 1 State paused by ada Resume Clear Remove" in text
    assert f"1 mailing remind 7 --subject=Hello {first.id} 2 h" in text
    assert "2 act echo hi" in text
    assert "attempt 3" in text


def test_it_leads_to_its_jobs_and_the_list_of_queues_leads_to_it(admin_client: Client, clean_redis: redis.Redis):
    job = Job("act")
    push(clean_redis, job, queue="a&b ü")
    assert f'href="{url("queue", name="a&b ü")}"' in admin_client.get(url("queues")).content.decode()
    content = admin_client.get(url("queue", name="a&b ü")).content.decode()
    assert f'href="{url("job", id=job.id)}"' in content
    assert "Queue a&amp;b ü" in content


@pytest.mark.django_db
def test_what_cannot_be_read_is_shown_as_bytes_to_those_who_may_see_everything(clean_redis: redis.Redis):
    push(clean_redis, b"no job \x00\xff <b>", b'{"class":"Foreign","args":["hunter2"]}')
    clean_redis.sadd("resque:queues", "mail")
    content = visitor("superuser").get(url("queue", name="mail")).content.decode()
    assert "no job \\x00\\xff &lt;b&gt;" in content
    assert "This is no job." in content


@pytest.mark.django_db
def test_others_get_no_sensitive_arguments_and_no_bytes_to_see(clean_redis: redis.Redis):
    push(
        clean_redis, b"no job hunter2", b'{"class":"Foreign","args":["hunter2"]}', Job("act", (), {"token": "hunter2"})
    )
    client = visitor("view_dashboard")
    text = page(client, "queue", name="mail")
    assert "hunter2" not in text
    assert "14 bytes" in text
    assert "Foreign &#x27;●●●&#x27;" in text
    assert "act &#x27;--token=●●●&#x27;" in text
    assert "Nothing like this." in page(client, "queue", name="mail", q="hunter2")
    assert "formaction" not in client.get(url("queue", name="mail")).content.decode()


def test_a_job_without_an_id_has_none_and_leads_nowhere(admin_client: Client, clean_redis: redis.Redis):
    push(clean_redis, b'{"class":"Archive","args":["x"]}')
    content = admin_client.get(url("queue", name="mail")).content.decode()
    assert "Archive x" in content
    assert "dashboard/job/" not in content


def test_long_queues_have_pages_by_position(admin_client: Client, clean_redis: redis.Redis):
    push(clean_redis, *reminders(120))
    assert "1–50 of 120 Next" in page(admin_client, "queue", name="mail")
    text = page(admin_client, "queue", name="mail", p=3)
    assert "101 mailing remind 100" in text
    assert "Previous 101–120 of 120" in text
    assert "nothing more" in page(admin_client, "queue", name="mail", p=9)


def test_one_searches_by_text_or_id_and_is_told_how_many_were_looked_through(
    admin_client: Client, clean_redis: redis.Redis, monkeypatch
):
    jobs = reminders(120)
    push(clean_redis, *jobs)
    assert "12 mailing remind 11 " in page(admin_client, "queue", name="mail", q="SUBJECT=hello 11")
    assert "112 mailing remind 111" in page(admin_client, "queue", name="mail", q="remind 111")
    assert "8 mailing remind 7" in page(admin_client, "queue", name="mail", q=jobs[7].id)
    assert "Nothing like this." in page(admin_client, "queue", name="mail", q="nowhere")
    assert "1–50 Next" in page(admin_client, "queue", name="mail", q="remind")
    assert "51–100 Next" in page(admin_client, "queue", name="mail", q="remind", p=2)
    assert "101–120 of 120" in page(admin_client, "queue", name="mail", q="remind", p=3)
    monkeypatch.setattr("django_resque.admin.job_filter.MOST_READ", 100)
    assert "Only 100 of 120 were looked through." in page(admin_client, "queue", name="mail", q="remind 119")


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b'{"class":"a","args":["caf\\u00e9"]}', "CAFÉ"),
        ('{"class":"a","args":["Café"]}'.encode(), "CAFÉ"),
        (b'{"class":"App\\\\Jobs\\\\Mail","args":[]}', "jobs\\mail"),
        (b'{"class":"a","args":[{"dry_run":true}]}', "--dry-run"),
        (b'{"class":"a","args":["it\'s","a \\"word\\""]}', "word"),
        (b'{"class":"a","args":[4711]}', "4711"),
        ('{"class":"a","args":["Straße"]}'.encode(), "STRASSE"),
        (b"garbage \xff", "garbage"),
    ],
)
def test_a_text_is_found_however_it_is_written(
    admin_client: Client, clean_redis: redis.Redis, payload: bytes, text: str
):
    push(clean_redis, b'{"class":"other","args":[]}', payload)
    assert "Nothing like this." not in page(admin_client, "queue", name="mail", q=text)


def test_a_queue_that_nobody_knows_and_none_at_all(admin_client: Client, clean_redis: redis.Redis):
    assert "There is no queue of this name." in page(admin_client, "queue", name="none")
    assert "No queue was named." in page(admin_client, "queue")
    push(clean_redis)
    assert "Nothing waits in this queue." in page(admin_client, "queue", name="mail")


def test_one_that_is_no_list_is_told(admin_client: Client, clean_redis: redis.Redis):
    clean_redis.sadd("resque:queues", "mail")
    clean_redis.set(MAIL, "surprise")
    text = page(admin_client, "queue", name="mail")
    assert "not a list" in text
    assert "resque:queue:mail cannot be read as a list" in text
    for slug in ("jobs/delete", "queue/front", "queue/clear", "queue/remove"):
        assert "WRONGTYPE" in act(admin_client, slug, {"one": f"{'0' * 40}-queue-mail"}, name="mail", queue="mail")
    assert clean_redis.get(MAIL) == b"surprise"


def test_that_nobody_listens_is_told_where_something_waits(admin_client: Client, clean_redis: redis.Redis):
    push(clean_redis, Job("act"))
    assert "No worker listens to this queue." in page(admin_client, "queue", name="mail")
    clean_redis.sadd("resque:workers", "ruby1:1:mail")
    assert "No worker listens" not in page(admin_client, "queue", name="mail")


def test_it_costs_four_round_trips_at_most(admin_client: Client, clean_redis: redis.Redis):
    push(clean_redis, *reminders(1_000))
    assert round_trips(admin_client, url("queue", name="mail")) <= 4
    assert round_trips(admin_client, url("queue", name="mail", q="remind 999")) <= 4


# -- jobs --------------------------------------------------------------------------------------------------------------


def test_the_jobs_that_are_ticked_are_deleted(admin_client: Client, clean_redis: redis.Redis):
    jobs = reminders(4)
    clean_redis.set(f"resque:job:{jobs[1].id}:status", status_record(Status.WAITING, jobs[1]), ex=1_000)
    raws = push(clean_redis, *jobs)
    ticked = {"tick": [key(raws[1]), key(raws[3])]}
    question = text_of(admin_client.post(url("jobs/delete", queue="mail"), ticked))
    assert "Delete 2 jobs? They are not performed" in question
    assert "mailing remind 1 " in question
    assert "This cannot be taken back." in question
    assert waiting(clean_redis) == raws
    assert "Deleted 2 jobs." in act(admin_client, "jobs/delete", ticked, queue="mail")
    assert waiting(clean_redis) == [raws[0], raws[2]]
    assert json.loads(clean_redis.get(f"resque:job:{jobs[1].id}:status"))["outcome"] == "cancelled"
    entry = LogEntry.objects.get()
    assert entry.object_repr == f"Deleted 2 jobs. mailing {jobs[1].id} mail, mailing {jobs[3].id} mail"
    assert "Hello" not in entry.object_repr + entry.get_change_message()


def test_one_job_and_what_cannot_be_read_are_deleted(admin_client: Client, clean_redis: redis.Redis):
    raws = push(clean_redis, b"garbage", *reminders(2))
    assert "Deleted 1 job." in act(admin_client, "jobs/delete", {"one": key(raws[0])}, queue="mail")
    assert waiting(clean_redis) == raws[1:]


def test_all_that_match_are_deleted_and_nothing_else(admin_client: Client, clean_redis: redis.Redis):
    raws = push(clean_redis, *reminders(1_200), Job("act", ("remind",)))
    content = admin_client.get(url("queue", name="mail", q="mailing remind 11")).content.decode()
    assert "All that match:" in content
    question = admin_client.post(url("jobs/delete", queue="mail", q="mailing remind 11"), {"all": "yes"})
    assert "Delete 111 jobs?" in text_of(question)
    assert "Deleted 111 jobs." in act(admin_client, "jobs/delete", {"all": "yes"}, queue="mail", q="mailing remind 11")
    assert waiting(clean_redis) == [
        raw for raw in raws if not raw.startswith(b'{"class":"mailing","args":[["remind",11')
    ]


def test_what_is_too_much_for_one_action_is_told(admin_client: Client, clean_redis: redis.Redis, monkeypatch):
    monkeypatch.setattr("django_resque.store.windows.MOST_MATCHING_BYTES", 1)
    push(clean_redis, *reminders(2))
    question = text_of(admin_client.post(url("jobs/delete", queue="mail", q="remind"), {"all": "yes"}))
    assert "Delete 1 job?" in question
    assert "Not all were looked through: there are too many." in question


@pytest.mark.django_db
def test_a_search_does_not_tell_by_its_actions_either_what_is_hidden(clean_redis: redis.Redis):
    raws = push(clean_redis, Job("act", (), {"token": "hunter2"}))
    client = visitor("view and clear_queue")
    response = client.post(
        url("jobs/delete", queue="mail", q="hunter2"), {"all": "yes", "confirmed": "yes"}, follow=True
    )
    assert "There is no such job any more." in text_of(response)
    assert "hunter2" not in text_of(client.post(url("jobs/delete", queue="mail"), {"one": key(raws[0])}))
    assert waiting(clean_redis) == raws


def test_jobs_go_to_the_front_in_their_order(admin_client: Client, clean_redis: redis.Redis):
    raws = push(clean_redis, *reminders(4))
    text = act(admin_client, "queue/front", {"tick": [key(raws[3]), key(raws[2])]}, queue="mail")
    assert "2 jobs are at the front of the queue now." in text
    assert waiting(clean_redis) == [raws[2], raws[3], raws[0], raws[1]]


def test_jobs_go_to_another_queue_that_is_asked_for(admin_client: Client, clean_redis: redis.Redis):
    jobs = reminders(3)
    raws = push(clean_redis, *jobs)
    data = {"tick": [key(raws[0]), key(raws[2])]}
    question = admin_client.post(url("queue/move", queue="mail"), data)
    assert "To the queue" in text_of(question)
    text = act(admin_client, "queue/move", {**data, "to": "low"}, queue="mail")
    assert "Moved 2 jobs to the queue low." in text
    assert waiting(clean_redis, "low") == [raws[0], raws[2]]
    assert waiting(clean_redis) == [raws[1]]
    assert clean_redis.sismember("resque:queues", "low")
    note = f"Moved 2 jobs to the queue low. mailing {jobs[0].id} mail, mailing {jobs[2].id} mail"
    assert LogEntry.objects.get().object_repr == note


@pytest.mark.parametrize("name", ["", "a b", "a:b", "*", "mail", "x" * 101, "a\x00b", "a\u202eb"])
def test_a_queue_that_cannot_be_is_refused_and_nothing_moves(admin_client: Client, clean_redis: redis.Redis, name: str):
    raws = push(clean_redis, *reminders(1))
    data = {"one": key(raws[0]), "to": name, "confirmed": "yes"}
    response = admin_client.post(url("queue/move", queue="mail"), data)
    assert response.status_code == 200
    assert "errorlist" in response.content.decode()
    assert waiting(clean_redis) == raws
    assert set(clean_redis.smembers("resque:queues")) == {b"mail"}


def test_where_the_other_queue_is_no_list_nothing_moves(admin_client: Client, clean_redis: redis.Redis):
    raws = push(clean_redis, *reminders(1))
    clean_redis.set("resque:queue:low", "surprise")
    assert "WRONGTYPE" in act(admin_client, "queue/move", {"one": key(raws[0]), "to": "low"}, queue="mail")
    assert waiting(clean_redis) == raws


def test_what_a_worker_has_taken_meanwhile_is_told_and_nothing_else_is_hit(
    admin_client: Client, clean_redis: redis.Redis
):
    raws = push(clean_redis, *reminders(3))
    clean_redis.lpop(MAIL)
    text = act(admin_client, "jobs/delete", {"tick": [key(raws[0]), key(raws[1])]}, queue="mail")
    assert "Deleted 1 job." in text
    assert waiting(clean_redis) == [raws[2]]
    assert "1 is not there any more." in text_of(
        admin_client.post(url("jobs/delete", queue="mail"), {"tick": [key(raws[0]), key(raws[2])]})
    )
    assert "There is no such job any more." in act(admin_client, "queue/front", {"one": key(raws[0])}, queue="mail")
    assert "Nothing was chosen" in act(admin_client, "jobs/delete", queue="mail")
    assert "No queue was named." in act(admin_client, "queue/front", {"one": key(raws[2])})
    assert waiting(clean_redis) == [raws[2]]


# -- the queue ---------------------------------------------------------------------------------------------------------


def test_a_queue_is_cleared(admin_client: Client, clean_redis: redis.Redis):
    jobs = reminders(250)
    clean_redis.set(f"resque:job:{jobs[5].id}:status", status_record(Status.WAITING, jobs[5]), ex=1_000)
    push(clean_redis, *jobs)
    assert "Delete all 250 jobs in the queue mail" in text_of(admin_client.post(url("queue/clear", name="mail")))
    text = act(admin_client, "queue/clear", name="mail")
    assert "Deleted 250 jobs." in text
    assert clean_redis.exists(MAIL) == 0
    assert clean_redis.sismember("resque:queues", "mail")
    assert json.loads(clean_redis.get(f"resque:job:{jobs[5].id}:status"))["outcome"] == "cancelled"
    assert LogEntry.objects.get().object_repr == "Deleted 250 jobs. mail"
    assert "Nothing waits in this queue." in act(admin_client, "queue/clear", name="mail")


def test_a_queue_is_removed_and_one_is_back_at_the_list(admin_client: Client, clean_redis: redis.Redis):
    push(clean_redis, *reminders(2))
    push(clean_redis, queue="low")
    text = act(admin_client, "queue/remove", {"next": url("queue", name="mail")}, name="mail")
    assert "The queue is removed. Deleted 2 jobs." in text
    assert "Pause low" in text
    assert set(clean_redis.smembers("resque:queues")) == {b"low"}
    assert "There is no queue of this name." in act(admin_client, "queue/remove", name="mail")


def test_that_a_pause_outlives_a_queue_is_told(admin_client: Client, clean_redis: redis.Redis):
    push(clean_redis)
    store().ask(store().control.pause_queue("mail", "ada"))
    assert "It stays paused." in text_of(admin_client.post(url("queue/remove", name="mail")))


def test_it_is_paused_and_resumed_from_its_page(admin_client: Client, clean_redis: redis.Redis):
    push(clean_redis)
    back = {"one": "mail", "next": url("queue", name="mail")}
    assert "State paused by admin Resume" in act(admin_client, "queues/pause", back)
    assert "State open Pause" in act(admin_client, "queues/resume", back)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("permission", "labels"),
    [("pause_queue", ["Pause"]), ("clear_queue", ["Clear", "Remove", "To the front", "Move", "Delete"])],
)
def test_there_are_buttons_for_what_one_may_do(clean_redis: redis.Redis, permission: str, labels: list[str]):
    push(clean_redis, Job("act"))
    content = visitor(f"view and {permission}").get(url("queue", name="mail")).content.decode()
    found = [
        label for label in ("Pause", "Clear", "Remove", "To the front", "Move", "Delete") if f">{label}<" in content
    ]
    assert found == labels
