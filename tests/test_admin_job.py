"""The page of one job: what it shows where the job is, what is hidden, what can be done."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import redis
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from django_resque import enqueue, enqueue_in, using
from django_resque.failure import failure_record
from django_resque.job import Job, digest
from django_resque.status import Status
from django_resque.store import store
from tests.dashboard import act, page, round_trips, url
from tests.full_store import addresses, fill
from tests.test_admin_injection import HOSTILE, assert_harmless
from tests.workers import WorkerProcess, told, until


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    store().close()


def visitor(*codenames: str) -> Client:
    """A staff member with these permissions."""
    user = User.objects.create_user(f"someone{len(codenames)}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_dashboard", *codenames]))
    client = Client()
    client.force_login(user)
    return client


def fail(job: Job, **more: object) -> bytes:
    """The failure of a job, in the failed list."""
    record = failure_record(
        payload=job.payload(),
        queue=job.queue,
        worker="box1~abc123-1:42:mail",
        exception="ValueError",
        error="not like this",
        backtrace=["Traceback:", '  File "x.py", line 1'],
        extra=more,
        now=datetime.now(UTC),
    )
    store().client.rpush("resque:failed", record)
    return record


def set_status(job: Job, **members: object) -> None:
    found = {"status": 3, "updated": time.time(), "started": job.enqueued_at, "id": job.id, "class": job.command}
    store().client.set(f"resque:job:{job.id}:status", json.dumps({**found, "queue": job.queue, **members}))


def buttons(client: Client, job_id: str) -> list[str]:
    """Where the buttons of the page lead."""
    content = client.get(url("job", id=job_id)).content.decode()
    found = content.split('formaction="/admin/django_resque/dashboard/')[1:]
    return [each.partition('"')[0].strip("/") for each in found]


# -- what it shows -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("job_id", ["nonono", "", "x" * 2_000, "<b>"])
def test_a_job_of_which_nothing_is_known_is_no_error(admin_client: Client, job_id: str):
    assert "Nothing is known of this job" in page(admin_client, "job", id=job_id)
    assert admin_client.get(url("job", id=job_id), headers={"X-Resque-Fragment": "1"})["X-Resque-Fragment"] == "0"


def test_a_job_that_waits(admin_client: Client):
    job = using(queue="mail", timeout=5, max_attempts=3).enqueue("act", "tell", "it's here")
    text = page(admin_client, "job", id=job.id)
    assert "Job: act" in text
    for words in ("waiting", job.id, "Queue mail", "Timeout 5 s", "Attempts at most 3"):
        assert words in text
    content = admin_client.get(url("job", id=job.id)).content.decode()
    assert (
        '<code id="resque-line">manage.py act tell &#x27;it&#x27;&quot;&#x27;&quot;&#x27;s here&#x27;</code>' in content
    )
    assert 'data-copy="resque-line" hidden' in content
    assert f'href="{url("queue", name="mail")}"' in content
    assert buttons(admin_client, job.id) == ["jobs/delete"]


def test_a_delayed_job(admin_client: Client):
    job = enqueue_in(3_600, "act", "tell", "x")
    text = page(admin_client, "job", id=job.id)
    assert "scheduled" in text
    assert " in 59 min" in text or " in 1 h" in text
    assert buttons(admin_client, job.id) == ["delayed/run", "delayed/move", "delayed/cancel"]


def test_a_job_that_runs_is_followed(admin_client: Client, worker: Callable[..., WorkerProcess], facts: redis.Redis):
    worker()
    job = enqueue("life", "advance", "a")
    told(facts, "a:half")
    until(lambda: job.refresh().progress and job.output)
    response = admin_client.get(url("job", id=job.id), headers={"X-Resque-Fragment": "1"})
    content = response.content.decode()
    assert response["X-Resque-Fragment"] == "1"
    assert '<progress aria-labelledby="resque-progress" value="0" max="1000">' in content
    assert "0 of 1,000 (0%) on the way" in content
    assert "half of it" in content
    assert "manage.py life advance a" in content
    assert "<form" not in content
    assert buttons(admin_client, job.id) == ["jobs/end"]
    facts.rpush("a:go", "x")
    told(facts, "a:all")
    until(lambda: "1,000 of 1,000 (100%)" in page(admin_client, "job", id=job.id))
    facts.rpush("a:go", "x")
    assert job.wait(30) is Status.COMPLETE
    response = admin_client.get(url("job", id=job.id), headers={"X-Resque-Fragment": "1"})
    assert response["X-Resque-Fragment"] == "0"
    text = page(admin_client, "job", id=job.id)
    assert "done" in text
    assert "Its arguments are not kept." in text
    assert buttons(admin_client, job.id) == []


def test_the_result_of_a_done_job(admin_client: Client, worker: Callable[..., WorkerProcess]):
    worker()
    job = enqueue("life", "give", '{"rows": 3, "é": [1]}')
    job.wait(30)
    assert "{ &quot;rows&quot;: 3, &quot;é&quot;: [ 1 ] }" in page(admin_client, "job", id=job.id)


def test_every_attempt_with_its_worker_start_duration_and_outcome(
    admin_client: Client, worker: Callable[..., WorkerProcess], facts: redis.Redis
):
    worker()
    job = using(max_attempts=3, backoff=0.01).enqueue("life", "fail", "tries", 9)
    assert job.wait(60) is Status.FAILED
    until(lambda: store().failures.count())
    content = admin_client.get(url("job", id=job.id)).content.decode()
    rows = content.partition('id="resque-attempts"')[2].partition("</tbody>")[0].split("<tr>")[2:]
    assert len(rows) == 3
    for number, row in enumerate(rows, 1):
        assert f'data-label="Attempt">{number}<' in row
        assert f"LookupError: attempt {number} came to nothing" in row
        assert job.worker in row
        assert 'data-label="Begun">–' not in row
        assert 'data-label="Took">–' not in row
    text = page(admin_client, "job", id=job.id)
    assert "LookupError attempt 3 came to nothing Traceback (most recent call last):" in text
    assert sorted(buttons(admin_client, job.id)) == ["failures/discard", "failures/retry"]


def test_a_job_that_is_to_be_tried_again_tells_of_the_attempt_that_failed(
    admin_client: Client, worker: Callable[..., WorkerProcess], facts: redis.Redis
):
    worker()
    job = using(max_attempts=3, backoff=3_600).enqueue("life", "fail", "tries", 9)
    until(lambda: job.refresh().status is Status.SCHEDULED)
    text = page(admin_client, "job", id=job.id)
    assert "to be tried again" in text
    assert "LookupError: attempt 1 came to nothing" in text
    assert buttons(admin_client, job.id) == ["delayed/run", "delayed/cancel"]
    assert "Deleted 1 job." in act(
        admin_client, "delayed/cancel", {"one": _one(admin_client, job.id, "delayed/cancel")}
    )
    assert job.refresh().outcome == "cancelled"
    assert "cancelled" in page(admin_client, "job", id=job.id)


def _one(client: Client, job_id: str, slug: str) -> str:
    content = client.get(url("job", id=job_id)).content.decode()
    return content.partition(f'formaction="{url(slug)}"')[2].partition('value="')[2].partition('"')[0]


def test_a_job_that_expired_was_never_tried(admin_client: Client, clean_redis: redis.Redis):
    job = Job("act")
    set_status(job, outcome="expired")
    text = page(admin_client, "job", id=job.id)
    assert "expired" in text
    assert "Attempts" not in text


def test_failures_of_other_programs_are_shown_as_far_as_they_tell(admin_client: Client, clean_redis: redis.Redis):
    job = Job("Archive::Files", (1,))
    clean_redis.rpush(
        "resque:failed", json.dumps({"payload": json.loads(job.payload()), "exception": "E", "error": "x"})
    )
    text = page(admin_client, "job", id=job.id)
    assert "failed" in text
    assert "manage.py Archive::Files 1" in text
    assert "E: x" in text
    assert "data-copy" not in admin_client.get(url("job", id=job.id)).content.decode()
    assert url("run") + "?from" not in admin_client.get(url("job", id=job.id)).content.decode()


def test_escapes_in_what_a_job_writes_are_shown_and_not_obeyed(admin_client: Client, clean_redis: redis.Redis):
    job = enqueue("act", "tell", "\x1b[2J\u202e")
    clean_redis.set(f"resque:django:output:{job.id}", "\x1b[31mred\x1b[0m\r\n<b>\tend\xff")
    content = admin_client.get(url("job", id=job.id)).content.decode()
    assert "\\x1b[31mred\\x1b[0m\n&lt;b&gt;     end" in content
    assert "manage.py act tell $&#x27;\\u001b[2J\\u202e&#x27;" in content


@pytest.mark.parametrize("name", ["status", "output"])
def test_a_key_of_the_wrong_type_spoils_only_its_part(admin_client: Client, clean_redis: redis.Redis, name: str):
    job = enqueue("act", "tell", "x")
    key = {"status": f"resque:job:{job.id}:status", "output": f"resque:django:output:{job.id}"}[name]
    clean_redis.delete(key)
    clean_redis.rpush(key, "surprise")
    text = page(admin_client, "job", id=job.id)
    assert "WRONGTYPE" in text
    assert "manage.py act tell x" in text


@pytest.mark.parametrize(
    "status",
    ["", "[]", '{"status":"x","begun":"y","attempt":-5}', '{"status":2,"attempt":1e300,"begun":1e300,"duration":-1}',
     '{"status":4,"progress":[1,0,"x"],"result":{"a":[null]},"duration":1e14,"updated":1e14}', "[" * 5_000,
     '{"status":2,"progress":[5,-3,"\\ud800"],"worker":"\\u202e","attempt":9999999}'],
)  # fmt: skip
def test_no_status_breaks_the_page(admin_client: Client, clean_redis: redis.Redis, status: str):
    clean_redis.set("resque:job:abc:status", status)
    assert admin_client.get(url("job", id="abc")).status_code == 200


@pytest.mark.parametrize("extra", [
    {"history": "x", "attempt": "y"}, {"history": [1, {"attempt": True}, {"attempt": 2, "duration": "x", "worker": 5}]},
    {"history": [{"attempt": 1, "failed_at": "0001-01-01T00:00:00Z", "duration": 1e8}], "max_attempts": []},
    {"schedule": [["x"]], "timeout": 1e300}, {"schedule": [], "history": [{}] * 500},
])  # fmt: skip
def test_no_payload_breaks_the_page(admin_client: Client, clean_redis: redis.Redis, extra: dict[str, object]):
    job = Job("act", extra=extra)
    clean_redis.sadd("resque:queues", "mail")
    clean_redis.rpush("resque:queue:mail", job.payload())
    fail(Job("act", id="other", extra=extra), attempts="x")
    assert "waiting" in page(admin_client, "job", id=job.id)
    assert "failed" in page(admin_client, "job", id="other")


@pytest.mark.django_db
@pytest.mark.parametrize("depth", [20, 33, 300, 900, 980, 5_000])
def test_nothing_is_nested_too_deeply_for_the_page(clean_redis: redis.Redis, depth: int):
    deep = "[" * depth + "]" * depth
    payload = f'{{"class":"act","args":[["tell",{deep}]],"id":"%s"}}'
    clean_redis.rpush(
        "resque:failed", f'{{"payload":{payload % "failed"},"error":{deep},"history":{deep},"attempts":{deep}}}'
    )
    clean_redis.sadd("resque:queues", "mail")
    clean_redis.rpush("resque:queue:mail", payload % "queued")
    clean_redis.sadd("resque:workers", "w:1:mail")
    clean_redis.set("resque:worker:w:1:mail", f'{{"queue":{deep},"payload":{payload % "running"}}}')
    clean_redis.set("resque:job:done:status", f'{{"status":4,"result":{deep},"attempt":{deep}}}')
    for client in (visitor(), visitor("enqueue_job", "view_arguments")):
        for job_id in ("failed", "queued", "running", "done"):
            assert client.get(url("job", id=job_id)).status_code == 200
            assert client.get(url("run", **{"from": job_id})).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_does_harm_to_those_who_may_see_less(clean_redis: redis.Redis, name: str):
    fill(clean_redis, HOSTILE[name])
    client = visitor("enqueue_job")
    for address in addresses(HOSTILE[name]):
        if address.startswith((url("job"), url("run"))):
            response = client.get(address)
            assert response.status_code == 200
            assert_harmless(response.content.decode(), address[:200])


def test_the_page_costs_four_round_trips_at_most(admin_client: Client, clean_redis: redis.Redis):
    waiting, delayed, failed = enqueue("act", "complain"), enqueue_in(60, "act", "complain"), Job("act")
    fail(failed)
    set_status(failed)
    for job_id in (waiting.id, delayed.id, failed.id, "nonono"):
        assert round_trips(admin_client, url("job", id=job_id)) <= 4


# -- what is hidden ----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_what_is_sensitive_is_hidden_from_those_who_may_not_see_it(clean_redis: redis.Redis):
    job = using(queue="mail").enqueue("echo", "harmless")
    secret = Job("mailing", ("remind", 1), {"token": "swordfish"}, queue="mail")
    history = [{"attempt": 1, "exception": "E", "error": "swordfish is wrong", "failed_at": "x"}]
    carried = Job(
        "mailing", ("remind", 2), {"token": "swordfish"}, queue="mail", extra={"history": history, "x": "swordfish"}
    )
    clean_redis.rpush("resque:queue:mail", carried.payload())
    clean_redis.set(f"resque:django:output:{carried.id}", "it was swordfish")
    fail(secret, output="said swordfish")
    set_status(secret, result={"token": "swordfish"}, progress=[1, 2, "swordfish"], attempt=1)
    client = visitor()
    for job_id in (secret.id, carried.id):
        text = client.get(url("job", id=job_id)).content.decode()
        assert "swordfish" not in text
        assert "●●●" in text
        assert "data-copy" not in text
        assert "?from=" not in text
    assert "manage.py echo harmless" in page(client, "job", id=job.id)
    User.objects.get().user_permissions.add(Permission.objects.get(codename="view_arguments"))
    assert "swordfish" in client.get(url("job", id=secret.id)).content.decode()


@pytest.mark.django_db
def test_where_the_arguments_are_not_known_what_a_job_wrote_may_hold_any_of_them(clean_redis: redis.Redis):
    """Its command has a sensitive argument, and nobody knows any more what that was."""
    client = visitor()
    for command, is_hidden in (("mailing", True), ("no_such_command", True), ("echo", False)):
        job = Job(command)
        set_status(job, status=4, result="swordfish", attempt=1)
        clean_redis.set(f"resque:django:output:{job.id}", "it was swordfish")
        assert ("swordfish" not in client.get(url("job", id=job.id)).content.decode()) == is_hidden, command


@pytest.mark.django_db
def test_buttons_are_for_those_who_may_press_them(clean_redis: redis.Redis):
    waiting, delayed, failed, running = (
        enqueue("act", "complain"),
        enqueue_in(60, "act", "complain"),
        Job("act"),
        Job("act"),
    )
    fail(failed)
    set_status(running, status=2)
    client = visitor()
    ids = [waiting.id, delayed.id, failed.id, running.id]
    assert [buttons(client, each) for each in ids] == [[], [], [], []]
    user = User.objects.get()
    for codename in ("clear_queue", "change_delayed", "retry_failure", "stop_job"):
        user.user_permissions.add(Permission.objects.get(codename=codename))
    assert [buttons(client, each) for each in ids] == [
        ["jobs/delete"],
        ["delayed/run", "delayed/move", "delayed/cancel"],
        ["failures/retry"],
        ["jobs/end"],
    ]


# -- what can be done --------------------------------------------------------------------------------------------------


def test_a_job_that_waits_is_cancelled(admin_client: Client, clean_redis: redis.Redis):
    job, other = enqueue("act", "tell", "x"), enqueue("act", "tell", "y")
    content = admin_client.get(url("job", id=job.id)).content.decode()
    key = f"{digest(job.payload())}-queue-default"
    assert re.search(f'name="one" value="{key}">Cancel<', content)
    question = admin_client.post(url("jobs/delete"), {"one": key}).content.decode()
    assert "Delete 1 job?" in question
    assert "act tell x" in question
    assert clean_redis.llen("resque:queue:default") == 2
    assert "Deleted 1 job." in act(admin_client, "jobs/delete", {"one": key})
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [other.payload()]
    assert (job.refresh().status, job.outcome) == (Status.FAILED, "cancelled")
    entry = LogEntry.objects.get()
    assert job.id in entry.object_repr
    assert "tell" not in f"{entry.object_repr}{entry.change_message}"


def test_a_parked_job_is_cancelled(admin_client: Client, clean_redis: redis.Redis):
    job = Job("act")
    clean_redis.sadd("resque:django:parking", "heavy")
    raw = b"mail\n" + job.payload()
    clean_redis.rpush("resque:django:parked:heavy", raw)
    assert "waiting until fewer run" in page(admin_client, "job", id=job.id)
    key = f"{digest(raw)}-permit-heavy"
    assert f'value="{key}">Cancel<' in admin_client.get(url("job", id=job.id)).content.decode()
    assert "Deleted 1 job." in act(admin_client, "jobs/delete", {"one": key})
    assert clean_redis.llen("resque:django:parked:heavy") == 0


@pytest.mark.parametrize("keys", [{}, {"one": "nonono"}, {"tick": ["a", "b"]}])
def test_nothing_is_done_with_a_job_that_is_not_there(admin_client: Client, keys: dict[str, object]):
    act(admin_client, "jobs/delete", keys)
    assert not LogEntry.objects.exists()


def test_that_a_job_deep_in_a_long_queue_was_not_looked_for_is_told(admin_client: Client, clean_redis: redis.Redis):
    filler = Job("act").payload()
    job = Job("act", ("tell", "deep"))
    clean_redis.sadd("resque:queues", "mail")
    for raw in ([filler] * 6_000, [job.payload()], [filler] * 6_000):
        clean_redis.rpush("resque:queue:mail", *raw)
    assert "It was not looked for everywhere: there is too much." in page(admin_client, "job", id=job.id)


def test_a_job_that_runs_is_ended(admin_client: Client, worker: Callable[..., WorkerProcess], facts: redis.Redis):
    worker()
    job = enqueue("act", "wait", "a")
    told(facts, "a:started")
    until(lambda: job.refresh().status is Status.RUNNING)
    assert "Ended 1 job." in act(admin_client, "jobs/end", {"one": job.id, "next": url("job", id=job.id)})
    assert job.wait(30) is Status.FAILED
    until(lambda: store().failures.count())
    text = page(admin_client, "job", id=job.id)
    assert "cancelled" in text
    assert "ended on demand" in text


def test_a_failure_is_retried_and_discarded_from_here(admin_client: Client, clean_redis: redis.Redis):
    jobs = [Job("act", ("tell", name), queue="mail") for name in "ab"]
    for job in jobs:
        fail(job)
    back = url("job", id=jobs[0].id)
    key = _one(admin_client, jobs[0].id, "failures/retry")
    response = admin_client.post(url("failures/retry"), {"one": key, "confirmed": "yes", "next": back})
    assert response["Location"] == back
    assert clean_redis.lrange("resque:queue:mail", 0, -1) == [jobs[0].payload()]
    assert "Discarded 1 failure." in act(
        admin_client, "failures/discard", {"one": _one(admin_client, jobs[1].id, "failures/discard")}
    )
    assert store().failures.count() == 0
    assert "Nothing is known of this job" in page(admin_client, "job", id=jobs[1].id)
