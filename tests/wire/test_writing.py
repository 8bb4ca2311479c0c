"""What we write, beside what the family's other programs write under the same keys.

A real worker performs jobs that end in every way; what stands in Redis before, meanwhile and afterwards is compared
with the recordings.
"""

from __future__ import annotations

import base64
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
import redis

from django_resque import enqueue_to
from django_resque.failure import parse_time
from django_resque.store import store
from tests.jobs.management.commands.act import facts
from tests.servers import RedisServer
from tests.workers import WorkerProcess, told, until

from .recordings import PREFIX, recordings

OURS = f"{PREFIX}django:"
GARBAGE = b"not json"


@dataclass(frozen=True)
class Key:
    """A key as it stood in Redis. A string, hash, set or list, of text."""

    type: str
    value: Any
    ttl: int


Keys = dict[str, Key]


@dataclass
class Story:
    """The keys at four moments, and who wrote them."""

    pid: int = 0
    ids: list[str] = field(default_factory=list)
    waiting: Keys = field(default_factory=dict)
    working: Keys = field(default_factory=dict)
    idle: Keys = field(default_factory=dict)
    stopped: Keys = field(default_factory=dict)

    def value(self, moment: str, name: str) -> Any:
        return getattr(self, moment)[PREFIX + name].value


@pytest.fixture(scope="module")
def story(redis_server: RedisServer) -> Story:
    """Six jobs: one that takes its time, one that raises, one that exits, one that kills its performer, one that is
    none, and one of a foreign producer."""
    found = Story()
    with redis_server.client() as client, facts() as said:
        client.flushall()
        for args in (["wait", "job"], ["refuse", "no: é\u2028"], ["leave", 3], ["kill", "SIGKILL"]):
            found.ids.append(enqueue_to("mail", "act", *args).id)
        found.waiting = keys_now(client)
        process = WorkerProcess("-q", "mail,low", "--interval", "0.05")
        try:
            found.pid = process.pid
            told(said, "job:started")
            until(lambda: any(worker.job for worker in store().workers.all()))
            found.working = keys_now(client)
            client.rpush("resque:queue:mail", GARBAGE, b'{"class":"act","args":["tell","all done"]}')
            said.rpush("job:go", "now")
            told(said, "all done")
            until(lambda: store().stats.counters().processed == 6)
            found.idle = keys_now(client)
            assert process.stop() == 0
            found.stopped = keys_now(client)
        finally:
            process.close()
    return found


def keys_now(client: redis.Redis) -> Keys:
    return {key.decode(): read(client, key) for key in client.scan_iter()}


def read(client: redis.Redis, key: bytes) -> Key:
    kind = client.type(key).decode()
    value: Any
    match kind:
        case "string":
            value = client.get(key).decode()
        case "list":
            value = [item.decode() for item in client.lrange(key, 0, -1)]
        case "set":
            value = sorted(item.decode() for item in client.smembers(key))
        case "zset":
            value = [item.decode() for item in client.zrange(key, 0, -1)]
        case "hash":
            value = {name.decode(): item.decode() for name, item in client.hgetall(key).items()}
    return Key(kind, value, client.ttl(key))


# -- the same as the family's, whatever it is --------------------------------------------------------------------------


def pattern(key: str) -> str:
    """The name of a key without the namespace, and with placeholders for what differs from case to case."""
    name = key.removeprefix(PREFIX)
    for expression, general in (
        (r"queue:.+", "queue:<queue>"),
        (r"worker:ping:.+", "worker:ping:<id>"),
        (r"worker:.+:started", "worker:<id>:started"),
        (r"worker:.+", "worker:<id>"),
        (r"(stat:\w+):.+", r"\1:<id>"),
        (r"job:.+:(\w+)", r"job:<id>:\1"),
    ):
        if re.fullmatch(expression, name):
            return re.sub(expression, general, name)
    return name


def elements(kind: str, value: Any) -> list[str]:
    """The texts that stand in a key."""
    match kind:
        case "string":
            return [value]
        case "hash":
            return list(value.values())
        case "zset":
            return [member for member, _score in value]
    return list(value)


def kinds(text: str) -> dict[str, str]:
    """What a text consists of: the kind of each field for an object in JSON, with those of the payload in it."""
    if not text.startswith("{"):
        return {"": "digits" if text.isdigit() else kind(text)}
    found = json.loads(text)
    fields = {name: kind(value) for name, value in found.items()}
    if fields.get("payload") == "dict":
        fields |= {f"payload.{name}": kind(value) for name, value in found["payload"].items()}
    return fields


def kind(value: Any) -> str:
    """``number``, ``list`` and so on; for a time how it is written, such as ``9999-99-99 99:99:99 +9999``."""
    if isinstance(value, str):
        return re.sub(r"\d", "9", value) if parse_time(value) else "text"
    return "number" if type(value) in (int, float) else type(value).__name__


@dataclass
class Recorded:
    """What the recordings have under one pattern: types of keys, kinds of fields, and the fields that never miss."""

    types: set[str] = field(default_factory=set)
    kinds: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    always: set[str] | None = None


@cache
def recorded() -> dict[str, Recorded]:
    found: dict[str, Recorded] = defaultdict(Recorded)
    for recording in recordings():
        for key, about in recording.keys.items():
            here = found[pattern(key)]
            here.types.add(about["type"])
            for text in elements(about["type"], about["value"]):
                fields = kinds(text)
                here.always = set(fields) if here.always is None else here.always & set(fields)
                for name, its in fields.items():
                    here.kinds[name].add(its)
    return found


MOMENTS = ["waiting", "working", "idle", "stopped"]


def shared(keys: Keys) -> Iterator[tuple[str, Key]]:
    return ((key, about) for key, about in keys.items() if not key.startswith(OURS))


@pytest.mark.parametrize("moment", MOMENTS)
def test_every_key_that_is_not_ours_alone_is_one_that_the_family_has(story: Story, moment: str):
    for key, about in shared(getattr(story, moment)):
        assert pattern(key) in recorded(), key
        assert recorded()[pattern(key)].types == {about.type}, key


@pytest.mark.parametrize("moment", MOMENTS)
def test_every_value_has_the_familys_fields_each_of_a_kind_that_it_knows(story: Story, moment: str):
    compared = 0
    for key, about in shared(getattr(story, moment)):
        family = recorded()[pattern(key)]
        for text in elements(about.type, about.value):
            fields = kinds(text)
            assert family.always is not None
            assert fields.keys() >= family.always, (key, text)
            for name, its in fields.items():
                if name in family.kinds:
                    assert its in family.kinds[name], (key, name, text)
                    compared += 1
    assert compared > 5


def test_the_comparison_sees_every_kind_of_key(story: Story):
    seen = {pattern(key) for moment in MOMENTS for key, _ in shared(getattr(story, moment))}
    assert seen == {
        "queues",
        "queue:<queue>",
        "workers",
        "workers:heartbeat",
        "worker:<id>",
        "worker:<id>:started",
        "stat:processed",
        "stat:processed:<id>",
        "stat:failed",
        "stat:failed:<id>",
        "failed",
        "job:<id>:status",
        "resque_scheduler_leader_lock",
        "resque:resque_scheduler_master_lock",
    }
    assert recorded()["failed"].always == {
        *("failed_at", "payload", "exception", "error", "backtrace", "worker", "queue"),
        *("payload.class", "payload.args"),
    }


# -- to the letter -----------------------------------------------------------------------------------------------------


def worker_id(story: Story) -> str:
    (found,) = story.value("working", "workers")
    return str(found)


def test_a_worker_id_is_one_that_foreign_boards_can_take_apart(story: Story):
    host, pid, queues = worker_id(story).split(":")
    assert re.fullmatch(r"[A-Za-z0-9._-]+~[a-z0-9]{6}-1", host)
    assert (pid, queues) == (str(story.pid), "mail,low")
    assert list(story.value("working", "workers:heartbeat")) == [worker_id(story)]


def test_times_are_written_as_ruby_writes_them(story: Story):
    written = worker_id(story)
    started = story.value("working", f"worker:{written}:started")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000", started)
    beat = story.value("working", "workers:heartbeat")[written]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", beat)
    run_at = json.loads(story.value("working", f"worker:{written}"))["run_at"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", run_at)
    for raw in story.value("idle", "failed"):
        assert re.fullmatch(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d UTC", json.loads(raw)["failed_at"])


def test_the_current_job_is_shown_with_the_bytes_of_its_payload(story: Story):
    written = worker_id(story)
    current = story.value("working", f"worker:{written}")
    assert list(json.loads(current)) == ["queue", "run_at", "payload", "worker"]
    assert json.loads(current)["queue"] == "mail"
    assert json.loads(current)["worker"] == written.removesuffix(":mail,low")
    assert f'"payload":{story.value("waiting", "queue:mail")[0]},' in current
    assert f"{PREFIX}worker:{written}" not in story.idle


def test_failures_are_written_in_the_familys_order_with_our_own_fields_behind(story: Story):
    records = [json.loads(raw) for raw in story.value("idle", "failed")]
    assert [record["exception"] for record in records] == ["ValueError", "CommandExited", "PoisonJob", "InvalidPayload"]
    for record in records:
        assert list(record)[:7] == ["failed_at", "payload", "exception", "error", "backtrace", "worker", "queue"]
        assert (record["worker"], record["queue"]) == (worker_id(story), "mail")
        assert all(isinstance(line, str) for line in record["backtrace"])
    assert [list(record)[7:] for record in records] == [["output"], ["exit_status"], ["signal"], []]


def test_failures_hold_the_bytes_of_their_payload_or_a_stub(story: Story):
    *others, garbage = story.value("idle", "failed")
    payloads = story.value("waiting", "queue:mail")[1:]
    assert all(f'"payload":{payload},' in raw for payload, raw in zip(payloads, others, strict=True))
    stub = json.loads(garbage)["payload"]
    assert stub == {"class": "", "args": [], "base64": base64.b64encode(GARBAGE).decode()}


@pytest.mark.parametrize(
    ("moment", "statuses", "kept"),
    [
        ("waiting", [1, 1, 1, 1], [7 * 86_400] * 4),
        ("working", [2, 1, 1, 1], [7 * 86_400] * 4),
        ("idle", [4, 3, 3, 3], [3_600, 86_400, 86_400, 86_400]),
    ],
)
def test_the_status_of_a_job_is_php_resques(story: Story, moment: str, statuses: list[int], kept: list[int]):
    keys = [getattr(story, moment)[f"{PREFIX}job:{job_id}:status"] for job_id in story.ids]
    written = [json.loads(key.value) for key in keys]
    assert [status["status"] for status in written] == statuses
    for job_id, status in zip(story.ids, written, strict=True):
        told = list(status)
        assert told[:3] == ["status", "updated", "started"]
        assert told[3:6] == ["id", "class", "queue"]
        assert (status["id"], status["class"], status["queue"]) == (job_id, "act", "mail")
        performed = ["worker", "attempt", "begun", "duration"] if status["status"] != 1 else []
        assert told[6:] == performed
    assert all(seconds - 60 < key.ttl <= seconds for key, seconds in zip(keys, kept, strict=True))


def test_every_end_is_counted_once_and_no_crash_is(story: Story):
    written = worker_id(story)
    counters = [f"stat:{kind}{of}" for kind in ("processed", "failed") for of in ("", f":{written}")]
    assert [story.value("idle", name) for name in counters] == ["6", "6", "4", "4"]
    assert f"{PREFIX}stat:processed" not in story.working


def test_a_worker_leaves_nothing_behind_but_results_and_what_expires(story: Story):
    left = {pattern(key) for key, _ in shared(story.stopped)}
    assert left == {"queues", "stat:processed", "stat:failed", "failed", "job:<id>:status"}
    lasting = {key for key, about in story.stopped.items() if key.startswith(OURS) and about.ttl < 0}
    assert lasting == {f"{OURS}recent"}  # which is bounded
    assert len(story.value("stopped", "django:recent")) == 6


def test_what_holds_the_only_copy_of_a_job_never_expires(story: Story):
    (reservations,) = (about for key, about in story.working.items() if key.startswith(f"{OURS}reservations:"))
    assert reservations.ttl == -1
    assert list(reservations.value.values()) == [f"mail\n{story.value('waiting', 'queue:mail')[0]}"]
