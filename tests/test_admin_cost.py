"""What a page costs does not depend on how much there is."""

from __future__ import annotations

import json
import time

import pytest
import redis
from django.test import Client

from django_resque.failure import failure_record
from django_resque.job import Job
from tests.dashboard import round_trips, url
from tests.full_store import JOB_ID, STATES, sha1
from tests.test_admin import NOW

MOST = 5
"""Round trips of a page."""
SHOULD_TAKE = 300
"""Milliseconds, at most. They are told, and not asserted: the machine may have other things to do."""

pytestmark = pytest.mark.timeout(600)


def fill(client: redis.Redis, *, jobs: int, queues: int, workers: int, failures: int) -> list[str]:
    """A site of this size; gives the addresses of its pages."""
    pipeline = client.pipeline(transaction=False)
    pipeline.sadd("resque:queues", "mail", *(f"queue{number}" for number in range(queues - 1)))
    for number in range(queues - 1):
        pipeline.rpush(f"resque:queue:queue{number}", Job("mailing", ("remind", number)).payload())
    waiting = [
        Job("mailing", ("remind", number, number + 1), {"subject": "Hello"}) for number in range(min(jobs, 1_000))
    ]
    payloads = [job.payload() for job in waiting]
    for at in range(0, jobs, 1_000):
        pipeline.rpush(
            "resque:queue:mail", *[raw.replace(b'"id":"', b'"id":"%x' % at) for raw in payloads[: jobs - at]]
        )
    for number in range(jobs):
        second = int(NOW.timestamp()) + 60 + number // 10
        if number % 10 == 0:
            pipeline.zadd("resque:delayed_queue_schedule", {str(second): second})
        pipeline.rpush(f"resque:delayed:{second}", payloads[number % len(payloads)][:-1] + b',"queue":"mail"}')
    for number in range(jobs):
        raw = payloads[number % len(payloads)]
        pipeline.zadd("resque:django:retries", {b"abc123.1.%d %032x\nmail\n" % (number, number) + raw: 4e9 + number})
    seen = {"status": 4, "updated": NOW.timestamp(), "started": NOW.timestamp(), "class": "mailing", "queue": "mail"}
    for number in range(min(jobs, 10_000)):
        ended = {**seen, "id": f"{number:032x}", "worker": "box1~abc123-1:42:mail", "attempt": 1, "duration": 0.01}
        pipeline.lpush("resque:django:recent", json.dumps(ended))
    names = [f"box{number // 8}~p{number // 8:05}-{number % 8 + 1}:42:mail,low" for number in range(workers)]
    for number, name in enumerate(names):
        pipeline.sadd("resque:workers", name)
        pipeline.hset("resque:workers:heartbeat", name, NOW.isoformat())
        working = {"queue": "mail", "run_at": NOW.isoformat(), "payload": json.loads(payloads[number % len(payloads)])}
        pipeline.set(f"resque:worker:{name}", json.dumps(working))
    for number in range(0, workers, 8):
        process = f"p{number // 8:05}"
        info = {"kind": "worker", "host": f"box{number // 8}", "pid": 42, "queues": "mail,low", "performers": 8}
        pipeline.zadd("resque:django:processes", {f"{process} boot 42": 4e9})
        mapping = {
            "number": 1,
            "info": json.dumps(info),
            "mode": "running",
            "workers": "\n".join(names[number : number + 8]),
        }
        pipeline.hset(f"resque:django:process:{process}", mapping=mapping)
    records = []
    for number in range(failures):
        job = waiting[number % len(waiting)]
        exception = f"Error{number % 40}"
        backtrace = [f'  File "site-packages/library/module{line}.py", line {line}, in function' for line in range(30)]
        records.append(
            failure_record(
                payload=job.payload(),
                queue="mail",
                worker=names[number % len(names)] if names else "box1:1:mail",
                exception=exception,
                error=f"went wrong {number}",
                backtrace=backtrace,
                extra={"output": "a line of output\n" * 20},
                now=NOW,
            )
        )
    for at in range(0, failures, 1_000):
        pipeline.rpush("resque:failed", *records[at : at + 1_000])
    status = {**seen, "id": JOB_ID, "status": 1}
    pipeline.set(f"resque:job:{JOB_ID}:status", json.dumps(status))
    pipeline.execute()
    last, job_id = records[0], waiting[-1].id
    return [
        url(),
        url("queues"),
        url("queues", q="queue9"),
        url("queue", name="mail"),
        url("queue", name="mail", q="nowhere to be found"),
        url("queue", name="mail", p=500),
        *(url("jobs", state=state) for state in STATES),
        *(url("jobs", state=state, q="nowhere to be found", command="mailing") for state in STATES),
        url("jobs", q=job_id),
        url("job", id=job_id),
        url("job", id=JOB_ID),
        url("job", id="unknown"),
        url("failures"),
        url("failures/list"),
        url("failures/list", command="mailing", exception="Error7", since="24h", q="nowhere to be found"),
        url("failure", digest=sha1(last)),
        url("failure", digest="0" * 40),
        url("workers"),
        url("delayed"),
        url("delayed", q="nowhere to be found"),
        url("delayed", p=50),
        url("delayed", state="retrying"),
        url("schedule"),
        url("run"),
        url("run", command="mailing"),
        *(url("statistics", span=span) for span in ("hour", "day", "week")),
        url("redis"),
    ]


@pytest.mark.parametrize(
    "size",
    [
        {"jobs": 10, "queues": 2, "workers": 2, "failures": 10},
        {"jobs": 100_000, "queues": 1_000, "workers": 500, "failures": 10_000},
    ],
    ids=["small", "large"],
)
def test_a_page_costs_at_most_five_round_trips(admin_client: Client, clean_redis: redis.Redis, capsys, size):
    rows = []
    for address in fill(clean_redis, **size):
        trips = round_trips(admin_client, address)
        started = time.perf_counter()
        response = admin_client.get(address)
        took = (time.perf_counter() - started) * 1000
        rows.append(
            (trips, took, len(response.content) // 1024, address.removeprefix("/admin/django_resque/dashboard/"))
        )
    with capsys.disabled():
        print(f"\n{size}\n trips     ms     KB  page")
        for trips, took, kilobytes, address in rows:
            print(f"{trips:6} {took:6.0f} {kilobytes:6}  {address or '(overview)'}{' *' if took > SHOULD_TAKE else ''}")
    assert [row for row in rows if row[0] > MOST] == []
