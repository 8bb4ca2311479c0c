"""The page of the workers, and what they can be told there. The workers here are threads that take turns."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from django_resque import control
from django_resque.admin.pages import workers
from django_resque.job import Job
from django_resque.store import store
from django_resque.store.working import LONGEST, read_working
from tests.dashboard import act, page, round_trips, text_of, url
from tests.test_control import Worker


def now() -> int:
    return int(time.time())


@pytest.fixture
def start(clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Worker]]:
    """Makes worker processes; with ``deaf=True`` they read nothing."""
    monkeypatch.setattr(control, "MARGIN", 0.2)
    monkeypatch.setattr(workers, "TIMEOUT", 1.0)
    made: list[Worker] = []

    def make(name: str = "abc123", *, deaf: bool = False, **info: Any) -> Worker:
        made.append(Worker(name, clean_redis, **info))
        if not deaf:
            made[-1].start()
        return made[-1]

    yield make
    for worker in made:
        worker.ends.set()
        if worker.ident is not None:
            worker.join(10)
        worker.taker.close()
    store().close()


def add_process(client: redis.Redis, name: str, *slots: str, lease: float = 3_000, **fields: Any) -> None:
    """A worker process as it registers itself."""
    told = {"host": "box1", "pid": 4711, "queues": "high,mail", "version": "0.1.0", "started": now() - 7_205}
    info = {**told, **fields.pop("info", {})}
    client.zadd("resque:django:processes", {f"{name} boot 4711": now() + lease})
    known = {"number": 1, "info": json.dumps(info), "mode": "running", "heard": now(), "memory": 96 * 1024**2, **fields}
    client.hset(f"resque:django:process:{name}", mapping={**known, "workers": "\n".join(slots)})
    if slots:
        client.sadd("resque:workers", *slots)


def perform(client: redis.Redis, worker: str, job: Job, *, queue: str = "mail", since: float = 75) -> None:
    """What a worker says about its job."""
    run_at = datetime.fromtimestamp(now() - since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    payload = job.payload().decode()
    client.set(f"resque:worker:{worker}", f'{{"queue":"{queue}","run_at":"{run_at}","payload":{payload},"worker":"x"}}')


def add_other(client: redis.Redis, worker: str, *, heard: float | None = None) -> None:
    client.sadd("resque:workers", worker)
    if heard is not None:
        at = datetime.now(UTC) - timedelta(seconds=heard)
        client.hset("resque:workers:heartbeat", worker, at.isoformat(timespec="seconds"))


# -- what it shows -----------------------------------------------------------------------------------------------------


def test_a_process_is_shown_with_its_slots(admin_client: Client, clean_redis: redis.Redis):
    slots = ["box1~k3f9ad-1:4711:high,mail", "box1~k3f9ad-2:4711:high,mail"]
    add_process(clean_redis, "k3f9ad", *slots)
    job = Job("act", (42,))
    perform(clean_redis, slots[0], job)
    clean_redis.mset({f"resque:stat:processed:{slots[0]}": 1200, f"resque:stat:processed:{slots[1]}": 34})
    clean_redis.set(f"resque:stat:failed:{slots[1]}", 5)
    text = page(admin_client, "workers")
    assert "box1 high, mail process 4711 · k3f9ad · version 0.1.0 running 1,234 5 96.0 MB 2 h " in text
    assert "ago heard of " in text
    assert "slot 1 act for 1 min " in text
    assert f"from mail · {job.id} 1,200 0 End the job {job.id} slot 2 waiting 34 5" in text
    content = admin_client.get(url("workers")).content.decode()
    assert f'href="{url("job", id=job.id)}"' in content
    assert f'href="{url("queue", name="mail")}"' in content
    assert f'href="{url("jobs")}?state=running&amp;command=act"' in content


@pytest.mark.parametrize(
    ("mode", "buttons"),
    [
        ("running", ["pause", "stop", "stop-now"]),
        ("paused", ["resume", "stop", "stop-now"]),
        ("stopping", ["stop-now"]),
        ("", ["pause", "resume", "stop", "stop-now"]),
    ],
)
def test_what_a_process_can_be_told_depends_on_what_it_is_doing(admin_client, clean_redis, mode: str, buttons):
    add_process(clean_redis, "k3f9ad", mode=mode)
    content = admin_client.get(url("workers")).content.decode()
    offered = [slug for slug in ("pause", "resume", "stop", "stop-now") if _button(slug, "k3f9ad") in content]
    assert offered == buttons
    assert mode in page(admin_client, "workers")


def _button(slug: str, key: str) -> str:
    return f'formaction="{url(f"workers/{slug}")}" name="one" value="{key}"'


def test_schedulers_are_among_them_without_slots(admin_client: Client, clean_redis: redis.Redis):
    add_process(clean_redis, "sched1", info={"kind": "scheduler", "queues": ""})
    assert "box1 scheduler process 4711 · sched1 · version 0.1.0 running 96.0 MB 2 h" in page(admin_client, "workers")


def test_a_process_that_has_fallen_silent_is_marked_and_cannot_be_told_anything(admin_client, clean_redis):
    add_process(clean_redis, "k3f9ad", "box1~k3f9ad-1:4711:high,mail", lease=-300, heard=now() - 330)
    perform(clean_redis, "box1~k3f9ad-1:4711:high,mail", Job("act"))
    text = page(admin_client, "workers")
    assert "its lease has ended" in text
    assert "heard of 5 min " in text
    content = admin_client.get(url("workers")).content.decode()
    assert 'name="one"' not in content
    assert 'name="tick"' not in content


def test_with_a_long_lease_a_process_is_marked_after_two_minutes(admin_client: Client, clean_redis: redis.Redis):
    add_process(clean_redis, "k3f9ad", heard=now() - 100)
    assert "not heard from" not in page(admin_client, "workers")
    add_process(clean_redis, "k3f9ad", heard=now() - 130)
    assert "not heard from" in page(admin_client, "workers")


def test_an_older_process_that_tells_less_is_shown(admin_client: Client, clean_redis: redis.Redis):
    clean_redis.zadd("resque:django:processes", {"abc123 boot": now() + 3_000})
    clean_redis.hset("resque:django:process:abc123", mapping={"number": 1, "workers": "box2~abc123-1:7:low"})
    clean_redis.sadd("resque:workers", "box2~abc123-1:7:low")
    text = page(admin_client, "workers")
    assert "box2 low process 7 · abc123 – 0 0 – Pause" in text
    assert "slot 1 waiting" in text
    assert "Workers of other programs" not in text


def test_workers_of_other_programs_are_listed_as_such_without_buttons(admin_client: Client, clean_redis: redis.Redis):
    add_other(clean_redis, "ruby1:123:*", heard=630)
    add_other(clean_redis, "php1:99:mail,low")
    add_other(clean_redis, "node1:77+1:mail", heard=3)
    add_other(clean_redis, "box1~gone99-1:5:mail")
    perform(clean_redis, "ruby1:123:*", Job("Archive", (1, 2)), queue="reports")
    clean_redis.set("resque:worker:node1:77+1:mail", '{"queue":"mail","run_at":"2026-11-20T13:21:45Z","payload":[1]}')
    text = page(admin_client, "workers")
    assert "ruby1 * process 123 Archive for 1 min " in text
    assert "– 10 min " in text
    assert "php1 mail, low process 99 waiting 0 0 – sends no heartbeat" in text
    assert "node1 mail process 77+1 (unreadable) for " in text
    assert "one of ours, whose process is not registered any more" in text
    content = admin_client.get(url("workers")).content.decode()
    assert 'name="one"' not in content
    assert 'name="tick"' not in content
    assert content.count("resque-alarm") == 1


def test_an_empty_redis_says_how_to_start_one(admin_client: Client):
    assert "Start one with manage.py resque_worker ." in page(admin_client, "workers")


def test_one_searches_by_host_process_queue_or_id(admin_client: Client, clean_redis: redis.Redis):
    add_process(clean_redis, "k3f9ad", "box1~k3f9ad-1:4711:high,mail")
    add_process(clean_redis, "zzzzzz", info={"host": "elsewhere", "queues": "low"})
    add_other(clean_redis, "ruby1:123:*")
    for q in ("BOX1", "k3f9", "4711:high", "box1~k3f9ad-1:4711:high,mail"):
        text = page(admin_client, "workers", q=q)
        assert "k3f9ad" in text
        assert "zzzzzz" not in text
        assert "ruby1" not in text
    assert "ruby1" in page(admin_client, "workers", q="ruby1:123:*")
    assert "No worker is like this." in page(admin_client, "workers", q="nowhere")


def test_many_have_pages_and_very_many_are_not_all_read(admin_client: Client, clean_redis: redis.Redis):
    pipeline = clean_redis.pipeline()
    for number in range(120):
        pipeline.zadd("resque:django:processes", {f"p{number:05} boot": now() + 3_000})
        pipeline.hset(f"resque:django:process:p{number:05}", mapping={"number": 1, "workers": ""})
    for number in range(50):
        pipeline.sadd("resque:workers", f"ruby{number:05}:1:*")
    pipeline.execute()
    first, second = page(admin_client, "workers"), page(admin_client, "workers", p=2)
    assert "1–100 of 170 Next" in first
    assert "p00099" in first
    assert "ruby" not in first
    assert "p00119" in second
    assert "ruby00049" in second
    assert "nothing more" in page(admin_client, "workers", p=9)
    clean_redis.sadd("resque:workers", *(f"more{number}:1:*" for number in range(650)))
    assert "Only 120 of 120 processes and 500 of 700 workers are read." in page(admin_client, "workers")


def test_a_process_of_very_many_slots_is_shown_with_a_part_of_them(admin_client: Client, clean_redis: redis.Redis):
    add_process(clean_redis, "k3f9ad", *(f"box1~k3f9ad-{number}:1:mail" for number in range(1, 151)))
    assert "50 more slots" in page(admin_client, "workers")


def test_slots_stay_with_their_process_where_pages_end(admin_client: Client, clean_redis: redis.Redis):
    for number in range(5):
        slots = [f"box1~p{number}-{slot}:1:mail" for slot in range(40)]
        add_process(clean_redis, f"p{number}", *slots, info={"pid": number})
    pages = [page(admin_client, "workers", p=number) for number in (1, 2, 3)]
    assert [text.count("· version") for text in pages] == [2, 2, 1]
    assert [text.count("slot 3 ") for text in pages] == [2, 2, 1]
    assert "1–2 of 5 Next" in pages[0]
    assert "Previous 3–4 of 5 Next" in pages[1]
    assert "Previous 5–5 of 5" in pages[2]


def test_a_job_of_any_size_is_named_and_never_read_as_a_whole(admin_client: Client, clean_redis: redis.Redis):
    slot = "box1~k3f9ad-1:4711:high,mail"
    add_process(clean_redis, "k3f9ad", slot)
    job = Job("act", ('"id":"no","queue_time":' + "x" * 300_000,), {"id": "neither"}, extra={"prefix": ""})
    perform(clean_redis, slot, job)
    text = page(admin_client, "workers")
    assert "slot 1 act for 1 min " in text
    assert f"End the job {job.id}" in text
    assert "xxxx" not in text


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"x" * LONGEST, b'{"queue":"a","run_at":"b","payload":{"class":"\\u"' + b"," * LONGEST],
    ids=["empty", "list", "garbage", "escape"],
)
def test_what_is_no_record_is_read_as_nothing(raw: bytes):
    assert read_working(raw, raw[-2_000:]) == {}


def test_no_arguments_are_shown(admin_client: Client, clean_redis: redis.Redis):
    slot = "box1~k3f9ad-1:4711:high,mail"
    add_process(clean_redis, "k3f9ad", slot)
    perform(clean_redis, slot, Job("act", ("hunter2",), {"password": "hunter2"}))
    assert "hunter2" not in admin_client.get(url("workers")).content.decode()


def test_while_nothing_happens_a_live_page_is_told_so(admin_client: Client, clean_redis: redis.Redis):
    add_process(clean_redis, "k3f9ad", "box1~k3f9ad-1:4711:high,mail")
    perform(clean_redis, "box1~k3f9ad-1:4711:high,mail", Job("act"))
    fragment = {"X-Resque-Fragment": "yes"}
    etag = admin_client.get(url("workers"), headers=fragment)["ETag"]
    assert admin_client.get(url("workers"), headers={**fragment, "If-None-Match": etag}).status_code == 304
    clean_redis.hset("resque:django:process:k3f9ad", "mode", "paused")
    assert admin_client.get(url("workers"), headers={**fragment, "If-None-Match": etag}).status_code == 200


def test_four_round_trips_are_enough(admin_client: Client, clean_redis: redis.Redis):
    for number in range(60):
        name = f"p{number:05}"
        slots = [f"box1~{name}-{slot}:1:mail" for slot in range(1, 9)]
        add_process(clean_redis, name, *slots)
        perform(clean_redis, slots[0], Job("act", ("x" * 100_000,)))
    assert round_trips(admin_client, url("workers")) == 4


@pytest.mark.parametrize(
    "key",
    [
        "workers",
        "django:processes",
        "django:process:k3f9ad",
        "worker:box1~k3f9ad-1:4711:high,mail",
        "workers:heartbeat",
        "stat:processed:box1~k3f9ad-1:4711:high,mail",
    ],
)
def test_a_key_of_the_wrong_type_spoils_nothing_else(admin_client: Client, clean_redis: redis.Redis, key: str):
    add_process(clean_redis, "k3f9ad", "box1~k3f9ad-1:4711:high,mail")
    add_process(clean_redis, "zzzzzz", "box2~zzzzzz-1:4711:high,mail")
    add_other(clean_redis, "ruby1:123:*", heard=3)
    clean_redis.delete(f"resque:{key}")
    clean_redis.xadd(f"resque:{key}", {"a": "b"})
    text = page(admin_client, "workers")
    assert ("zzzzzz · version" in text) == (key != "django:processes")
    assert ("ruby1" in text) == (key != "workers")
    assert (f"resque:{key}: WRONGTYPE" in text) == (key in ("workers", "django:processes"))


# -- telling them something --------------------------------------------------------------------------------------------


def test_a_worker_is_paused_and_resumed_and_the_message_says_that_it_has_happened(admin_client: Client, start):
    worker = start()
    text = act(admin_client, "workers/pause", {"one": "abc123"})
    assert "Paused: host abc123." in text
    assert (worker.mode, worker.done) == ("paused", ["pause"])
    assert LogEntry.objects.get().object_repr == "Paused: host abc123."
    assert LogEntry.objects.get().get_change_message().startswith("workers/pause: Pause 1 worker process?")
    assert "Resumed: host abc123." in act(admin_client, "workers/resume", {"tick": ["abc123"]})
    assert worker.mode == "running"


def test_it_asks_first_with_the_number(admin_client: Client, start):
    workers = [start("abc123", host="box1"), start("def456", host="box2", queues="low")]
    content = admin_client.post(url("workers/stop"), {"tick": ["abc123", "def456", "gone99"]}).content.decode()
    assert "Stop 2 worker processes?" in content
    assert "box2 def456: low" in content
    assert [worker.done for worker in workers] == [[], []]


@pytest.mark.parametrize(("slug", "done"), [("stop", "stop"), ("stop-now", "stop now")])
def test_a_worker_is_stopped(admin_client: Client, start, slug: str, done: str):
    worker = start(host="box1")
    assert "Stopped: box1 abc123." in act(admin_client, f"workers/{slug}", {"one": "abc123"})
    assert worker.done == [done]
    assert store().processes.all() == []


def test_of_each_worker_it_is_told_what_came_of_it(admin_client: Client, start, clean_redis: redis.Redis):
    start("aaa111", host="box1")
    busy = start("bbb222", host="box2")
    busy.may_leave.clear()
    busy.running = ["1", "2"]
    start("ccc333", host="box3", deaf=True)
    dead = start("ddd444", host="box4", deaf=True)
    (member,) = [each for each in clean_redis.zrange("resque:django:processes", 0, -1) if each.startswith(b"ddd444")]
    clean_redis.zadd("resque:django:processes", {member: 1})
    text = act(admin_client, "workers/stop", {"tick": ["aaa111", "bbb222", "ccc333", "ddd444"]})
    assert "Stopped: box1 aaa111. Acknowledged, not done yet: box2 bbb222 (2 job(s) were running" in text
    assert "No answer: box3 ccc333 (within 1 s). Not told, the lease has ended: box4 ddd444" in text
    assert busy.done == ["stop"]
    assert dead.done == []
    content = admin_client.get(url("workers")).content.decode()
    assert "Stopped" not in content


def test_the_message_warns_when_it_was_not_done(admin_client: Client, start):
    start(deaf=True)
    response = admin_client.post(url("workers/pause"), {"one": "abc123", "confirmed": "yes"}, follow=True)
    assert '<li class="warning">No answer: host abc123' in response.content.decode()


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        ({}, "No worker was chosen"),
        ({"one": "gone99"}, "None of these workers is registered any more."),
        ({"tick": ["ruby1:123:*"]}, "None of these workers is registered any more."),
    ],
)
def test_nobody_is_told_anything_where_nobody_is_meant(admin_client: Client, clean_redis, data, answer: str):
    add_other(clean_redis, "ruby1:123:*")
    assert answer in act(admin_client, "workers/pause", data)
    assert not LogEntry.objects.exists()
    assert not clean_redis.keys("resque:django:control:*")


# -- ending jobs -------------------------------------------------------------------------------------------------------


def test_a_job_is_ended_wherever_it_runs(admin_client: Client, start):
    start("aaa111", host="box1")
    runs = start("bbb222", host="box2")
    runs.running = ["job-1"]
    assert (
        "End 1 running job? It becomes a failure, or a failed attempt"
        in admin_client.post(url("jobs/end"), {"one": "job-1"}).content.decode()
    )
    assert runs.done == []
    assert "Ended 1 job." in act(admin_client, "jobs/end", {"one": "job-1"})
    assert runs.done == ["end_job"]
    assert "Ended 1 job." in LogEntry.objects.get().object_repr


def test_a_job_that_has_ended_meanwhile_is_told_as_such(admin_client: Client, start):
    start()
    assert "1 runs on none of the workers that answered." in act(admin_client, "jobs/end", {"one": "job-1"})


def test_where_a_worker_does_not_answer_nobody_claims_to_know(admin_client: Client, start):
    start("aaa111")
    start("bbb222", deaf=True)
    text = act(admin_client, "jobs/end", {"one": "job-1"})
    assert "1 runs on none of the workers that answered. No answer: bbb222." in text


def test_everything_is_paused_and_resumed(admin_client: Client, start, clean_redis: redis.Redis):
    start()
    clean_redis.sadd("resque:workers", "ruby1:1:*")
    content = admin_client.get(url("workers")).content.decode()
    assert ">Pause everything<" in content
    question = text_of(admin_client.post(url("workers/pause-everything")))
    assert f"Pause everything? {clean_redis.scard('resque:workers')} worker" in question
    assert not store().control.all_paused()
    assert "Everything is paused: no worker takes jobs." in act(admin_client, "workers/pause-everything")
    assert store().control.all_paused()
    assert "Everything is paused already." in act(admin_client, "workers/pause-everything")
    text = page(admin_client, "workers")
    assert "All workers are paused: they take no new jobs." in text
    assert "Resume everything" in text
    assert "Workers take jobs again." in act(admin_client, "workers/resume-everything")
    assert not store().control.all_paused()
    assert "Not everything is paused" in act(admin_client, "workers/resume-everything")
    assert LogEntry.objects.count() == 2


# -- who may -----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("permission", "buttons"),
    [
        (
            "control_worker",
            {"workers/pause", "workers/stop", "workers/stop-now", "workers/resume", "workers/pause-everything"},
        ),
        ("stop_job", {"jobs/end"}),
    ],
)
def test_each_sees_the_buttons_that_are_for_him(clean_redis: redis.Redis, permission: str, buttons: set[str]):
    slot = "box1~k3f9ad-1:4711:high,mail"
    add_process(clean_redis, "k3f9ad", slot)
    perform(clean_redis, slot, Job("act"))
    user = User.objects.create_user("someone", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_dashboard", permission]))
    client = Client()
    client.force_login(user)
    content = client.get(url("workers")).content.decode()
    slugs = [*(f"workers/{name}" for name in ("pause", "resume", "stop", "stop-now", "pause-everything")), "jobs/end"]
    assert {slug for slug in slugs if f'formaction="{url(slug)}"' in content} == buttons
