"""A store in which there is something of everything, for tests that go through all pages of the dashboard."""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import redis

from django_resque.admin.pages import ACTIONS, PAGES
from tests.dashboard import url

NOW = int(time.time())
PROCESS = "k3f9ad"
JOB_ID = "0123456789abcdef0123456789abcdef"
FAILED_ID, DONE_ID, DELAYED_ID = (f"{number:032x}" for number in (2, 3, 4))
STATES = ("queued", "scheduled", "running", "retrying", "done", "failed")


def payload(text: str, number: int = 0, nested: int = 1) -> bytes:
    """A job in whose every field the text stands; its id is one. ``nested``: levels of some of its arguments, each of a
    list and an object."""
    deep: Any = text
    for _level in range(nested):
        deep = [text, {text: deep}]
    args = [text, {"nested": deep}, {text: text, "option": deep, "password": deep}]
    return json.dumps(
        {"class": text, "args": [args], "id": f"{number:032x}" if number else JOB_ID, "queue_time": NOW - 100}
        | {"prefix": text, "track": text, "history": [{"exception": text, "error": text, "worker": text, "at": text}]}
        | {"unique_key": text, "concurrency": [text, 1], text: text}
    ).encode()


def worker_ids(text: str) -> list[str]:
    return [text, f"{text}~{text}:{text}:{text},{text}", f"box1~{PROCESS}-1:42:{text}", "ruby1:123:*"]


def failures(text: str) -> list[bytes]:
    record: dict[str, Any] = {
        "failed_at": text,
        "payload": json.loads(payload(text)),
        "exception": text,
        "error": text,
        "worker": text,
        "queue": text,
    }
    ours = record | {"failed_at": time.strftime("%Y/%m/%d %H:%M:%S UTC", time.gmtime())}
    history = [{"exception": text, "error": text, "worker": text, "at": text, "duration": text}]
    records = [
        record | {"backtrace": [text] * 3, "output": text, "exit_status": text, "signal": text},
        record | {"backtrace": text, "output": [text], "signal": [text], "payload": text},
        record | {"queue": [text], "worker": {text: text}, "exception": None, "payload": {"class": text}},
        ours | {"backtrace": [text], "output": text, "attempts": text, "history": history},
        ours | {"backtrace": [text], "queue": "mail", "payload": {"class": "act", "args": [[text]], "id": JOB_ID}},
    ]
    return [text.encode(), json.dumps(text).encode(), b"", *(json.dumps(each).encode() for each in records)]


def fill(client: redis.Redis, text: str, nested: int = 1) -> None:
    """Write ``text`` into every field of every structure that the pages read; ``nested`` as in `payload`."""
    raw = payload(text, nested=nested)
    pipeline = client.pipeline()
    pipeline.sadd("resque:queues", text, "mail")
    for queue in (text, "mail"):
        pipeline.rpush(f"resque:queue:{queue}", raw, text, payload(text, 1))
    ids = worker_ids(text)
    pipeline.sadd("resque:workers", *ids)
    working = {"queue": text, "run_at": text, "worker": text}
    for at, worker in enumerate(ids):
        current = {**working, "payload": json.loads(raw) if at else text}
        pipeline.set(f"resque:worker:{worker}", json.dumps(current))
        pipeline.set(f"resque:worker:{worker}:started", text)
        pipeline.hset("resque:workers:heartbeat", worker, text)
        pipeline.set(f"resque:stat:processed:{worker}", text)
    pipeline.mset({"resque:stat:processed": text, "resque:stat:failed": text, "resque:pause-all-workers": text})
    pipeline.rpush("resque:failed", *failures(text))
    status = {
        "status": 2,
        "updated": NOW,
        "started": NOW - 50,
        "id": text,
        "class": text,
        "queue": text,
        "worker": text,
        "attempt": 2,
        "begun": NOW - 40,
        "duration": 10.5,
        "outcome": text,
        "progress": [1, 2, text],
        "result": {"text": text, "token": text},
    }
    states = [json.dumps({**status, "status": number}) for number in (1, 2, 3, 4, 63)]
    pipeline.set(f"resque:job:{JOB_ID}:status", states[1])
    pipeline.set(f"resque:job:{text}:status", states[3])
    for job_id, number in ((FAILED_ID, 3), (DONE_ID, 4)):
        job = {"class": "act", "args": [["tell", text]], "id": job_id}
        record = {"payload": job, "exception": text, "error": text, "backtrace": [text], "queue": "mail"}
        pipeline.rpush("resque:failed", json.dumps(record | ({"retried_at": text} if number == 4 else {})))
        pipeline.set(f"resque:job:{job_id}:status", json.dumps({**status, "status": number, "outcome": ""}))
    pipeline.set(f"resque:django:output:{JOB_ID}", text)
    pipeline.lpush("resque:django:recent", text, *states)
    for second in (NOW - 60, NOW + 600):
        item = json.dumps({**json.loads(raw), "queue": text})
        pipeline.rpush(f"resque:delayed:{second}", item, text)
        pipeline.sadd(f"resque:timestamps:{item}", f"delayed:{second}")
        pipeline.zadd("resque:delayed_queue_schedule", {str(second): second})
    pipeline.zadd("resque:delayed_queue_schedule", {text: NOW + 1})
    pipeline.rpush(f"resque:delayed:{NOW + 600}", json.dumps({**json.loads(raw), "id": DELAYED_ID, "queue": "mail"}))
    member = f"{PROCESS}.1.1 {JOB_ID}\n{text}\n".encode() + raw
    pipeline.zadd("resque:django:retries", {member: NOW + 60, text: NOW + 61})
    pipeline.sadd("resque:django:parking", text)
    pipeline.rpush(f"resque:django:parked:{text}", f"{text}\n".encode() + raw, text)
    pipeline.hset("resque:django:permits:" + text, text, text)
    entry = {"command": "act", "args": [text], "options": {text: text}, "cron": "0 3 * * *", "queue": text}
    pipeline.hset("resque:django:schedule", mapping={text: text, "one": json.dumps(entry), "two": json.dumps(text)})
    pipeline.hset("resque:django:schedule:slots", mapping={text: text, "one": NOW - 60})
    pipeline.hset("resque:django:schedule:seen", text, text)
    pipeline.sadd("resque:django:schedule:paused", text)
    pipeline.set("resque:django:scheduler", text)
    pipeline.set("resque:resque:resque_scheduler_master_lock", text)
    leases = {f"{PROCESS} {text}": NOW + 3_600, text: NOW + 30, f"dead {text}": NOW - 600}
    pipeline.zadd("resque:django:processes", leases)
    info = dict.fromkeys(
        ("kind", "host", "queues", "launch", "seal", "log", "cwd", "version", "memory", "pid", "started"), text
    )
    pipeline.hset(
        f"resque:django:process:{PROCESS}",
        mapping={
            "number": 1,
            "info": json.dumps({**info, "argv": [text]}),
            "mode": text,
            "workers": "\n".join([ids[2], text]),
        },
    )
    pipeline.sadd("resque:django:paused-queues", text, "mail")
    pipeline.hset("resque:django:paused-by", mapping={text: text, "mail": text})
    for key in ("jobs", "missed"):
        pipeline.hset(f"resque:django:schedule:{key}", mapping={"one": text, text: text})
    for length, kind in ((60, "minute"), (3600, "hour")):
        start = NOW // length * length
        pipeline.hset(f"resque:django:stats:{kind}:{start}", mapping={f"{text}\t{text}": text, text: "1 1 1 1 1"})
    pipeline.execute()


def addresses(text: str) -> Iterator[str]:
    """The pages, each in all the ways in which it can be asked for with this text."""
    queries: dict[str, list[dict[str, Any]]] = {
        "queues": [{"q": text}],
        "queue": [{"name": name, "q": q} for name in (text, "mail") for q in (text, "")],
        "jobs": [
            {"state": state, **more}
            for state in (*STATES, text)
            for more in ({}, {"q": text, "queue": text, "command": text, "since": text})
        ],
        "job": [{"id": job_id} for job_id in (text, JOB_ID, f"{1:032x}", FAILED_ID, DONE_ID, DELAYED_ID)],
        "failures": [{"since": since} for since in ("1h", "all", text)],
        "failures/list": [{}, *({name: text} for name in ("command", "exception", "since", "queue", "q"))],
        "failure": [{"digest": sha1(raw)} for raw in failures(text)] + [{"digest": text}],
        "delayed": [{}, {"state": "retrying"}, {"command": text, "q": text}],
        "schedule/entry": [{"name": name} for name in (text, "one", "two")],
        "run": [
            *({"command": name, "from": JOB_ID} for name in (text, "act", "mailing", "echo")),
            {"from": FAILED_ID},
            {"command": "mailing", "subcommand": text},
        ],
        "statistics": [{"span": span} for span in ("hour", "day", "week", text)],
    }
    for page in PAGES:
        yield url(page.slug)
        for query in queries.get(page.slug, [{"q": text}]):
            yield url(page.slug, **{key: value[:5_000] for key, value in query.items()}, p="1")


def presses(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The actions, each with keys that there are and with the text in all places."""
    raw = payload(text)
    keys = [text[:5_000], JOB_ID, "one", PROCESS, sha1(raw), sha1(failures(text)[3])]
    for action, key in itertools.product(ACTIONS, keys):
        yield url(action.slug), {"one": key, "name": text[:5_000], "queue": text[:5_000], "command": text[:5_000]}
    for action in ACTIONS:
        yield url(action.slug, q=text[:5_000], name="mail", queue=text[:5_000], command=text[:5_000]), {"all": "yes"}


def sha1(raw: bytes) -> str:
    return hashlib.sha1(raw).hexdigest()
