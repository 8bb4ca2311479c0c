"""All jobs by state: which are shown, how they are filtered, and what can be done with them."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import time
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
import redis
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

from django_resque import enqueue
from django_resque.admin.job_actions import OF_STATE
from django_resque.failure import failure_record
from django_resque.job import Job
from django_resque.status import Status, performance, status_record
from django_resque.store import store
from tests.dashboard import act, page, round_trips, text_of, url
from tests.full_store import STATES
from tests.test_admin_permissions import visitor
from tests.workers import told, until


def now() -> float:
    return time.time()


ACTIONS = {action.slug: action for actions in OF_STATE.values() for action in actions}.values()
OURS = "box1~k3f9ad-1:42:mail"


def sha1(raw: bytes) -> str:
    return hashlib.sha1(raw).hexdigest()


def push(client: redis.Redis, *jobs: Job | bytes, queue: str = "mail") -> list[bytes]:
    raws = [job.payload() if isinstance(job, Job) else job for job in jobs]
    client.sadd("resque:queues", queue)
    client.rpush(f"resque:queue:{queue}", *raws)
    return raws


def queued_key(raw: bytes, queue: str = "mail") -> str:
    return f"{sha1(raw)}-queue-{queue}"


def delay(client: redis.Redis, job: Job, second: int | None = None) -> str:
    """Gives its key."""
    second = second or int(now()) + 600
    item = job.delayed_item()
    client.rpush(f"resque:delayed:{second}", item)
    client.zadd("resque:delayed_queue_schedule", {str(second): second})
    return f"{second}-{sha1(item)}"


def retry_later(client: redis.Redis, job: Job) -> str:
    """Gives its key."""
    member = f"k3f9ad.1.1 {job.id}\n{job.queue}\n".encode() + job.payload()
    client.zadd("resque:django:retries", {member: now() + 60})
    return sha1(member)


def run(client: redis.Redis, job: Job, worker: str = OURS, since: float = 75) -> None:
    client.sadd("resque:workers", worker)
    run_at = (datetime.now(UTC) - timedelta(seconds=since)).strftime("%Y-%m-%dT%H:%M:%SZ")
    working = {"queue": job.queue, "run_at": run_at, "payload": json.loads(job.payload()), "worker": worker}
    client.set(f"resque:worker:{worker}", json.dumps(working))


def end(client: redis.Redis, job: Job, status: Status = Status.COMPLETE, more: bytes = b"") -> None:
    client.lpush("resque:django:recent", status_record(status, job, performance(OURS, 2, 0.25) + more))


def fail(client: redis.Redis, job: Job, **given: Any) -> bytes:
    fields = {"queue": job.queue, "worker": OURS, "exception": "ValueError", "error": "went wrong", **given}
    record = failure_record(payload=job.payload(), **{"now": datetime.now(UTC) - timedelta(seconds=30), **fields})
    client.rpush("resque:failed", record)
    return record


def job(*args: Any, command: str = "act", queue: str = "mail", **more: Any) -> Job:
    return Job(command, args, queue=queue, **more)


def one_in_each_state(client: redis.Redis) -> dict[str, Job]:
    jobs = {state: job(state) for state in STATES}
    push(client, jobs["queued"])
    delay(client, jobs["scheduled"])
    run(client, jobs["running"])
    retry_later(client, jobs["retrying"])
    end(client, jobs["done"])
    fail(client, jobs["failed"])
    return jobs


# -- what is shown -----------------------------------------------------------------------------------------------------


def test_each_state_shows_its_jobs_and_all_are_counted(admin_client: Client, clean_redis: redis.Redis):
    jobs = one_in_each_state(clean_redis)
    for state in STATES:
        text = page(admin_client, "jobs", state=state)
        assert "Queued 1 Scheduled 1 Running 1 Retrying 1 Done 1 Failed 1" in text
        assert jobs[state].id in text
        assert not any(jobs[other].id in text for other in STATES if other != state)
        assert f'href="{url("job", id=jobs[state].id)}"' in admin_client.get(url("jobs", state=state)).content.decode()


def test_rows_say_what_is_known(admin_client: Client, clean_redis: redis.Redis):
    push(clean_redis, job("a", enqueued_at=time.time() - 3_600))
    assert "mail 1 h" in page(admin_client, "jobs")
    delay(clean_redis, job("late"), int(now()) - 120)
    assert "overdue by 2 min" in page(admin_client, "jobs", state="scheduled")
    run(clean_redis, job("b", extra={"attempt": 1}))
    text = page(admin_client, "jobs", state="running")
    assert "mail 1 min 15 s" in text
    assert f"{OURS} 2 End" in text
    history = [{"exception": "OSError", "error": "no route"}]
    retry_later(clean_redis, job("c", extra={"attempt": 1, "history": history}))
    assert "OSError: no route" in page(admin_client, "jobs", state="retrying")
    end(clean_redis, job("d"))
    assert f"ago 250 ms {OURS} 2" in page(admin_client, "jobs", state="done")
    fail(clean_redis, job("e"))
    assert "ValueError: went wrong mail 30 s" in page(admin_client, "jobs", state="failed")


def test_an_unknown_state_is_the_usual_one(admin_client: Client, clean_redis: redis.Redis):
    push(clean_redis, job("hello"))
    assert "act hello" in page(admin_client, "jobs", state="nonsense")
    assert "There is none." in page(admin_client, "jobs", state="done")


def test_jobs_that_wait_for_a_permit_have_a_state_of_their_own_while_there_are_any(
    admin_client: Client, clean_redis: redis.Redis
):
    assert "Waiting for a permit" not in page(admin_client, "jobs")
    clean_redis.sadd("resque:django:parking", "import")
    clean_redis.rpush("resque:django:parked:import", b"low\n" + job("parked").payload(), "garbage")
    assert "Waiting for a permit 2" in page(admin_client, "jobs")
    text = page(admin_client, "jobs", state="parked")
    assert "act parked" in text
    assert "waits for a permit" not in text
    assert "low" in text
    key = f"{sha1(clean_redis.lindex('resque:django:parked:import', 0))}-permit-import"
    assert "Deleted 1 job." in act(admin_client, "jobs/delete", {"one": key})
    assert clean_redis.lrange("resque:django:parked:import", 0, -1) == [b"garbage"]
    assert "Deleted 1 job." in act(admin_client, "jobs/delete", {"all": "yes"}, state="parked")
    assert clean_redis.exists("resque:django:parked:import") == 0


def test_foreign_workers_jobs_run_too_and_cannot_be_ended(admin_client: Client, clean_redis: redis.Redis):
    run(clean_redis, job("theirs"), "ruby1:123:*")
    content = admin_client.get(url("jobs", state="running")).content.decode()
    assert "act theirs" in content
    assert 'name="tick"' not in content
    assert "There is no such job any more." in act(admin_client, "jobs/end", {"all": "yes"}, state="running")


def test_done_are_those_alone_that_are_complete(admin_client: Client, clean_redis: redis.Redis):
    end(clean_redis, job(), Status.FAILED, b',"outcome":"cancelled"')
    end(clean_redis, job(command="fine"))
    clean_redis.lpush("resque:django:recent", "garbage", '{"status":4,', '{"status":4,"id":[]}')
    text = page(admin_client, "jobs", state="done")
    assert "fine" in text
    assert "act" not in text.partition("Took")[2]


def test_the_first_ones_of_all_queues_or_those_of_one(admin_client: Client, clean_redis: redis.Redis):
    push(clean_redis, *(job("m", number) for number in range(60)))
    push(clean_redis, *(job("l", number, queue="low") for number in range(60)), queue="low")
    assert "1–50 of 120 Next" in page(admin_client, "jobs")
    assert "act m 0" not in page(admin_client, "jobs")
    assert "act m 0 " in page(admin_client, "jobs", p=2)
    assert "1–50 of 60 Next" in page(admin_client, "jobs", queue="mail")
    assert "act m 59 " in page(admin_client, "jobs", queue="mail", p=2)
    assert "Nothing like this." in page(admin_client, "jobs", queue="none")


# -- filters -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
def test_jobs_are_filtered_by_queue_command_and_text_in_every_state(
    admin_client: Client, clean_redis: redis.Redis, state: str
):
    jobs = [
        job("alpha", command="act", queue="mail"),
        job("beta", command="act", queue="low"),
        job("gamma", command="echo", queue="mail"),
    ]
    for number, each in enumerate(jobs):
        push(clean_redis, each, queue=each.queue)
        delay(clean_redis, each)
        run(clean_redis, each, f"box1~k3f9ad-{number}:42:mail")
        retry_later(clean_redis, each)
        end(clean_redis, each)
        fail(clean_redis, each)

    def shown(**query: str) -> list[int]:
        text = page(admin_client, "jobs", state=state, **query)
        return [number for number, each in enumerate(jobs) if text.count(each.id) > text.count("is known")]

    assert shown() == [0, 1, 2]
    assert shown(queue="mail") == [0, 2]
    assert shown(command="act") == [0, 1]
    assert shown(queue="mail", command="act") == [0]
    assert shown(q=jobs[1].id) == [1]
    assert shown(queue="low", q=jobs[0].id) == []
    if state != "done":  # whose arguments are not kept
        assert shown(q="GAMMA") == [2]
    assert shown(since="1h") == [0, 1, 2]


def test_jobs_are_filtered_by_time(admin_client: Client, clean_redis: redis.Redis):
    now = datetime.now(UTC)
    push(clean_redis, job("old", enqueued_at=time.time() - 7_200), job("new"))
    fail(clean_redis, job("old"), now=now - timedelta(hours=30))
    fail(clean_redis, job("new"), now=now - timedelta(hours=3))
    run(clean_redis, job("old"), since=7_200)
    for query, old, new in (
        ({"since": "1h"}, False, True),
        ({"since": "24h"}, True, True),
        ({"since": "1h", "queue": "mail"}, False, True),
        ({"state": "failed", "since": "1h"}, False, False),
        ({"state": "failed", "since": "24h"}, False, True),
        ({"state": "failed", "since": "7d"}, True, True),
        ({"state": "failed", "since": "nonsense"}, True, True),
        ({"state": "running", "since": "1h"}, False, False),
        ({"state": "running", "since": "24h"}, True, False),
    ):
        text = page(admin_client, "jobs", **query)
        assert ("act old" in text, "act new" in text) == (old, new), query


def test_filters_stay_from_state_to_state(admin_client: Client, clean_redis: redis.Redis):
    content = admin_client.get(url("jobs", state="done", command="act", q="x", p=3)).content.decode()
    assert "?state=failed&amp;command=act&amp;q=x" in content
    assert '<input type="hidden" name="state" value="done">' in content


@pytest.mark.parametrize(
    ("status", "more", "state"),
    [
        (Status.WAITING, b"", "queued"),
        (Status.SCHEDULED, b"", "scheduled"),
        (Status.SCHEDULED, performance(OURS, 1, 0.1), "retrying"),
        (Status.RUNNING, performance(OURS, 1, 0.1), "running"),
        (Status.COMPLETE, performance(OURS, 1, 0.1), "done"),
        (Status.FAILED, performance(OURS, 1, 0.1), "failed"),
    ],
    ids=["waiting", "scheduled", "to be tried again", "running", "complete", "failed"],
)
def test_an_id_is_found_in_whatever_state_the_job_is(
    admin_client: Client, clean_redis: redis.Redis, status: Status, more: bytes, state: str
):
    jobs = one_in_each_state(clean_redis)
    sought = jobs[state]
    clean_redis.set(f"resque:job:{sought.id}:status", status_record(status, sought, more))
    text = page(admin_client, "jobs", q=sought.id)
    assert f"Job {sought.id} is known: {state.capitalize()}. Show it" in text
    assert text.count(sought.id) > 1  # told, and listed
    assert f"Job {sought.id} is known" in page(admin_client, "jobs", q=sought.id, state="scheduled")


@pytest.mark.django_db
@pytest.mark.parametrize("state", STATES)
def test_what_is_hidden_is_neither_shown_nor_found(clean_redis: redis.Redis, state: str):
    secret = Job(
        "act", (), {"token": "hunter2"}, queue="mail", extra={"attempt": 1, "history": [{"error": "token=hunter2"}]}
    )
    push(clean_redis, secret, b"hunter2")
    delay(clean_redis, secret)
    run(clean_redis, secret)
    retry_later(clean_redis, secret)
    end(clean_redis, secret)
    fail(clean_redis, secret, error="refused hunter2")
    clean_redis.rpush("resque:failed", "no record: hunter2", '{"payload":{"class":[]},"error":"hunter2"}')
    client = visitor("view_dashboard")
    text = page(client, "jobs", state=state)
    assert secret.id in text
    assert "hunter2" not in text
    found = page(client, "jobs", state=state, q="hunter2")
    assert secret.id not in found
    if state != "done":
        client.logout()
        client.force_login(_reveal())
        assert secret.id in page(client, "jobs", state=state, q="hunter2")


def _reveal() -> Any:
    return User.objects.create_superuser("root")


@pytest.mark.django_db
def test_nor_do_actions_tell_it(clean_redis: redis.Redis):
    secret = Job("act", (), {"token": "hunter2"}, queue="mail")
    push(clean_redis, secret)
    delay(clean_redis, secret)
    record = fail(clean_redis, secret, error="refused hunter2")
    for slug, permission, state, said in (
        ("jobs/delete", "clear_queue", "queued", "There is no such job any more."),
        ("delayed/cancel", "change_delayed", "scheduled", "There is no such job any more."),
        ("failures/discard", "discard_failure", "failed", "There are no such failures any more."),
    ):
        client = visitor(f"view and {permission}")
        data = {"all": "yes", "confirmed": "yes"}
        response = client.post(url(slug, state=state, q="hunter2"), data, follow=True)
        assert said in text_of(response)
        question = text_of(client.post(url(slug, state=state), {"all": "yes"}))
        assert "●●●" in question
        assert "hunter2" not in question
        _forget_visitor()
    assert clean_redis.lrange("resque:failed", 0, -1) == [record]


def _forget_visitor() -> None:
    User.objects.filter(username="someone").delete()


# -- bounds ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [*STATES, "parked"])
def test_a_page_costs_five_round_trips_at_most(admin_client: Client, clean_redis: redis.Redis, state: str):
    jobs = one_in_each_state(clean_redis)
    clean_redis.sadd("resque:django:parking", "import")
    clean_redis.rpush("resque:django:parked:import", b"low\n" + job("parked").payload())
    for each in jobs.values():
        clean_redis.set(f"resque:job:{each.id}:status", status_record(Status.WAITING, each))
    for query in ({}, {"q": jobs["queued"].id}, {"queue": "mail", "command": "act", "since": "1h"}):
        assert round_trips(admin_client, url("jobs", state=state, **query)) <= 5


def test_what_was_not_looked_through_is_told(admin_client: Client, clean_redis: redis.Redis, monkeypatch):
    monkeypatch.setattr("django_resque.admin.job_filter.MOST_READ", 50)
    monkeypatch.setattr("django_resque.admin.failure_search.MOST_READ", 50)
    push(clean_redis, *(job(number) for number in range(120)))
    for number in range(60):
        end(clean_redis, job(number, id=f"id-{number:08}"))
        fail(clean_redis, job(number))
        delay(clean_redis, job(number))
    for state, said in (
        ("queued", "Only 50 of 120 were looked through."),
        ("scheduled", "Only 50 of 60 were looked through."),
        ("failed", "Only the newest 50 of 60 failures were looked through."),
    ):
        assert said in page(admin_client, "jobs", state=state, q="act x act")
    assert "All of them" in page(admin_client, "jobs", state="scheduled", q="act x act")


@pytest.mark.parametrize(
    ("key", "state"),
    [
        ("queue:mail", "queued"),
        ("delayed_queue_schedule", "scheduled"),
        ("workers", "running"),
        ("django:retries", "retrying"),
        ("django:recent", "done"),
        ("failed", "failed"),
    ],
)
@pytest.mark.parametrize("query", [{}, {"q": "something"}, {"queue": "mail"}])
def test_a_broken_key_spoils_its_state_alone(
    admin_client: Client, clean_redis: redis.Redis, key: str, state: str, query: dict[str, str]
):
    jobs = one_in_each_state(clean_redis)
    clean_redis.delete(f"resque:{key}")
    clean_redis.set(f"resque:{key}", "surprise")
    text = page(admin_client, "jobs", state=state, **query)
    assert "WRONGTYPE" in text or key == "queue:mail"
    other = "failed" if state != "failed" else "done"
    assert jobs[other].id in page(admin_client, "jobs", state=other)


# -- actions -----------------------------------------------------------------------------------------------------------


def test_queued_jobs_are_deleted(admin_client: Client, clean_redis: redis.Redis):
    raws = push(clean_redis, job("a"), job("b"), b"garbage")
    push(clean_redis, job("c", queue="low-mail"), queue="low-mail")
    other = clean_redis.lindex("resque:queue:low-mail", 0)
    ticked = {"tick": [queued_key(raws[0]), queued_key(other, "low-mail"), queued_key(raws[2])]}
    content = admin_client.get(url("jobs")).content.decode()
    assert all(f'value="{key}"' in content for key in ticked["tick"])
    question = text_of(admin_client.post(url("jobs/delete"), ticked))
    assert "Delete 3 jobs?" in question
    assert "act a" in question
    assert "Deleted 3 jobs." in act(admin_client, "jobs/delete", ticked)
    assert clean_redis.lrange("resque:queue:mail", 0, -1) == [raws[1]]
    assert clean_redis.exists("resque:queue:low-mail") == 0
    first, last = (Job.from_payload(raw, "mail").id for raw in (raws[0], other))
    note = f"Deleted 3 jobs. act {first} mail, {sha1(raws[2])[:12]} mail, act {last} low-mail"
    assert LogEntry.objects.get().object_repr == note
    assert "There is no such job any more." in act(admin_client, "jobs/delete", ticked)


def test_all_queued_jobs_that_match_are_deleted(admin_client: Client, clean_redis: redis.Redis):
    push(clean_redis, job("a"), job("b", command="echo"), job("a", "old", enqueued_at=1))
    push(clean_redis, job("a", queue="low"), queue="low")
    query = {"state": "queued", "command": "act", "since": "1h"}
    button = f'formaction="{url("jobs/delete", **query)}"'.replace("&", "&amp;")
    assert button in admin_client.get(url("jobs", **query)).content.decode()
    assert "Deleted 1 job." in act(admin_client, "jobs/delete", {"all": "yes"}, **query, queue="low")
    assert "Deleted 1 job." in act(admin_client, "jobs/delete", {"all": "yes"}, **query)
    assert "Deleted 2 jobs." in act(admin_client, "jobs/delete", {"all": "yes"}, state="queued")


@pytest.mark.parametrize("state", ["scheduled", "retrying"])
def test_jobs_to_come_are_run_now(admin_client: Client, clean_redis: redis.Redis, state: str):
    wait = delay if state == "scheduled" else retry_later
    jobs = [job(number) for number in range(3)]
    keys = [wait(clean_redis, each) for each in jobs]
    content = admin_client.get(url("jobs", state=state)).content.decode()
    assert all(f'value="{key}"' in content for key in keys)
    assert "Run 2 jobs now?" in text_of(admin_client.post(url("delayed/run"), {"tick": keys[:2]}))
    assert clean_redis.exists("resque:queue:mail") == 0
    assert "2 jobs are in their queues now." in act(admin_client, "delayed/run", {"tick": keys[:2]})
    assert clean_redis.llen("resque:queue:mail") == 2
    told_of = f"2 jobs are in their queues now. act {jobs[0].id} mail, act {jobs[1].id} mail"
    assert LogEntry.objects.get().object_repr == told_of
    assert "There is no such job any more." in act(admin_client, "delayed/run", {"tick": keys[:2]})
    assert "1 job is in its queue now." in act(admin_client, "delayed/run", {"all": "yes"}, state=state, q="act 2")
    assert clean_redis.llen("resque:queue:mail") == 3


@pytest.mark.parametrize("state", ["scheduled", "retrying"])
def test_jobs_to_come_are_cancelled(admin_client: Client, clean_redis: redis.Redis, state: str):
    wait = delay if state == "scheduled" else retry_later
    jobs = [job(number) for number in range(3)]
    clean_redis.set(f"resque:job:{jobs[0].id}:status", status_record(Status.SCHEDULED, jobs[0]), ex=1_000)
    keys = [wait(clean_redis, each) for each in jobs]
    assert "Deleted 1 job." in act(admin_client, "delayed/cancel", {"one": keys[0]})
    assert json.loads(clean_redis.get(f"resque:job:{jobs[0].id}:status"))["outcome"] == "cancelled"
    assert "Deleted 2 jobs." in act(admin_client, "delayed/cancel", {"all": "yes"}, state=state, command="act")
    assert (store().delayed.count(), store().retries.count()) == (0, 0)
    assert clean_redis.exists("resque:queue:mail") == 0


@pytest.mark.parametrize(
    ("state", "slug", "query"),
    [
        ("queued", "jobs/delete", {"queue": " mail"}),
        ("scheduled", "delayed/cancel", {"from": "2000000000"}),
        ("failed", "failures/discard", {"exception": "KeyError"}),
        ("failed", "failures/discard", {"none": "exception"}),
    ],
)
def test_buttons_for_all_mean_what_the_page_shows(
    admin_client: Client, clean_redis: redis.Redis, state: str, slug: str, query: dict[str, str]
):
    push(clean_redis, job("shown"), queue=" mail")
    push(clean_redis, job("other"))
    delay(clean_redis, job("shown"), 2_000_000_000)
    delay(clean_redis, job("other"), 1_999_999_999)
    fail(clean_redis, job("other"))
    fail(clean_redis, job("shown"), exception="" if "none" in query else "KeyError")
    content = admin_client.get(url("jobs", state=state, **query)).content.decode()
    assert "act shown" in content
    assert "act other" not in content
    address = re.search(rf'formaction="([^"]*/{slug}/[^"]*)" name="all"', content)
    assert address
    question = text_of(admin_client.post(unescape(address[1]), {"all": "yes"}))
    assert "1 job?" in question or "1 failure?" in question
    assert "act shown" in question


def test_where_not_all_is_looked_through_the_question_says_so(
    admin_client: Client, clean_redis: redis.Redis, monkeypatch
):
    monkeypatch.setattr(sys.modules["django_resque.store.job_counts"], "NAMES", 50)
    for number in range(300):  # Redis gives small sets whole
        push(clean_redis, job(), queue=f"queue{number}")
        run(clean_redis, job(), f"box1~k3f9ad-{number}:42:mail")
        clean_redis.sadd("resque:django:parking", f"key{number}")
        clean_redis.rpush(f"resque:django:parked:key{number}", b"low\n" + job().payload())
    for slug, state in (("jobs/delete", "queued"), ("jobs/delete", "parked"), ("jobs/end", "running")):
        question = text_of(admin_client.post(url(slug, state=state), {"all": "yes"}))
        assert "Not all were looked through: there are too many." in question, (slug, state)
    question = text_of(admin_client.post(url("jobs/delete", state="queued", queue="queue1"), {"all": "yes"}))
    assert "Not all were looked through" not in question


def test_where_a_queue_is_no_list_its_jobs_stay(admin_client: Client, clean_redis: redis.Redis):
    key = delay(clean_redis, job())
    clean_redis.set("resque:queue:mail", "surprise")
    text = act(admin_client, "delayed/run", {"one": key})
    assert "0 jobs are in their queues now. 1 has stayed: it cannot go there." in text
    assert store().delayed.count() == 1


def test_failures_are_retried(admin_client: Client, clean_redis: redis.Redis):
    records = [fail(clean_redis, job(number)) for number in range(4)]
    clean_redis.rpush("resque:failed", "garbage")
    content = admin_client.get(url("jobs", state="failed")).content.decode()
    assert f'value="{sha1(records[0])}"' in content
    assert f'href="{url("failure", digest=sha1(records[0]))}"' in content
    ticked = {"tick": [sha1(records[0]), sha1(b"garbage")]}
    text = act(admin_client, "failures/retry", ticked)
    assert "Retried 1 failure. 1 cannot be retried" in text
    assert "Retried 1 failure." in act(admin_client, "failures/retry", {"all": "yes"}, state="failed", q="act 3")
    assert clean_redis.lrange("resque:failed", 0, -1) == [*records[1:3], b"garbage"]
    assert [json.loads(raw)["args"] for raw in clean_redis.lrange("resque:queue:mail", 0, -1)] == [[[0]], [[3]]]


def test_failures_are_discarded(admin_client: Client, clean_redis: redis.Redis):
    records = [fail(clean_redis, job(number, command="act" if number else "echo")) for number in range(4)]
    assert "Discarded 1 failure." in act(admin_client, "failures/discard", {"one": sha1(records[2])})
    assert LogEntry.objects.get().object_repr.startswith("Discarded 1 failure. act ")
    text = act(admin_client, "failures/discard", {"all": "yes"}, state="failed", command="act", since="1h")
    assert "Discarded 2 failures." in text
    assert clean_redis.lrange("resque:failed", 0, -1) == [records[0]]
    assert clean_redis.exists("resque:queue:mail") == 0


def test_a_running_job_is_ended_and_becomes_a_failure(admin_client: Client, worker, facts, clean_redis: redis.Redis):
    ended = enqueue("act", "wait", "job")
    worker()
    told(facts, "job:started")
    until(lambda: store().job_counts().busy)
    assert f"{ended.id}" in page(admin_client, "jobs", state="running")
    assert "End 1 running job?" in text_of(admin_client.post(url("jobs/end"), {"one": ended.id}))
    text = act(admin_client, "jobs/end", {"tick": [ended.id]})
    assert "Ended 1 job." in text
    until(lambda: store().failures.count() == 1)
    assert ended.id in page(admin_client, "jobs", state="failed")
    assert LogEntry.objects.get().object_repr == f"Ended 1 job. act {ended.id} default"


def test_one_that_no_worker_knows_is_told(admin_client: Client, clean_redis: redis.Redis):
    run(clean_redis, job(id="0123456789"))
    text = act(admin_client, "jobs/end", {"one": "0123456789"})
    assert "Ended 0 jobs. 1 runs on none of the workers that answered." in text


def test_no_more_are_ended_than_somebody_waits_for(admin_client: Client, clean_redis: redis.Redis, monkeypatch):
    monkeypatch.setattr("django_resque.admin.job_actions.PATIENCE", 0)
    run(clean_redis, job())
    assert "Ended 0 jobs. 1 is left for another time." in act(admin_client, "jobs/end", {"all": "yes"}, state="running")


@pytest.mark.parametrize("slug", [action.slug for action in ACTIONS])
def test_where_nothing_is_meant_nothing_is_done(admin_client: Client, clean_redis: redis.Redis, slug: str):
    one_in_each_state(clean_redis)
    before = {key: clean_redis.dump(key) for key in clean_redis.scan_iter()}
    gone = "There are no such failures" if slug.startswith("failures/") else "There is no such job"
    assert "Nothing was chosen" in act(admin_client, slug)
    if slug != "jobs/end":  # which asks all workers
        for key in ("0" * 40, "nonsense", "-queue-mail", f"{'0' * 40}-queue-mail", f"1-{'0' * 40}"):
            assert gone in act(admin_client, slug, {"one": key})
    assert gone in act(admin_client, slug, {"all": "yes"}, q="nowhere")
    assert {key: clean_redis.dump(key) for key in clean_redis.scan_iter()} == before
    assert not LogEntry.objects.exists()


@pytest.mark.django_db
def test_there_are_buttons_for_what_one_may_do(clean_redis: redis.Redis):
    one_in_each_state(clean_redis)
    for permission, state, slugs in (
        ("clear_queue", "queued", {"jobs/delete"}),
        ("change_delayed", "scheduled", {"delayed/run", "delayed/move", "delayed/cancel"}),
        ("change_delayed", "retrying", {"delayed/run", "delayed/cancel"}),
        ("stop_job", "running", {"jobs/end"}),
        ("retry_failure", "failed", {"failures/retry"}),
        ("discard_failure", "failed", {"failures/discard"}),
    ):
        client = visitor(f"view and {permission}")
        content = client.get(url("jobs", state=state)).content.decode()
        assert {action.slug for action in ACTIONS if f"/{action.slug}/" in content} == slugs
        assert "formaction" not in client.get(url("jobs", state="done")).content.decode()
        _forget_visitor()
