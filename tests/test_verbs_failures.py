"""`resque failed`, `retry` and `discard`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import redis

from django_resque.failure import Failure, failure_record
from django_resque.job import Job
from django_resque.store import store
from tests.verbs import process, verb

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    store().close()


def push(client: redis.Redis, command: str, *args: object, exception: str = "ValueError", **more: object) -> Failure:
    job = Job(command, args, queue=str(more.pop("queue", "mail")))
    raw = failure_record(
        payload=job.payload(),
        queue=job.queue,
        worker="host~abc123-1:42:mail",
        exception=exception,
        error=str(more.pop("error", "no")),
        backtrace=["line one", "line two"],
        extra={"output": "said\n"},
        now=more.pop("now", NOW),  # type: ignore[arg-type]
    )
    client.rpush("resque:failed", raw)
    return Failure.from_record(raw)


@pytest.fixture
def three(clean_redis: redis.Redis) -> list[Failure]:
    return [
        push(clean_redis, "send", 1, now=NOW - timedelta(days=2)),
        push(clean_redis, "send", 2, exception="shop.errors.NoStock", error="none left"),
        push(clean_redis, "clean", queue="low"),
    ]


def digests(client: redis.Redis) -> list[str]:
    return [Failure.from_record(raw).digest for raw in client.lrange("resque:failed", 0, -1)]


def test_failures_are_listed_the_newest_first(three: list[Failure]):
    found = process("failed", "--json").json
    assert [each["digest"] for each in found] == [failure.digest for failure in reversed(three)]
    assert found[1] == {
        "digest": three[1].digest,
        "failed_at": NOW.timestamp(),
        "exception": "shop.errors.NoStock",
        "error": "none left",
        "command": "send",
        "args": [2],
        "options": {},
        "id": three[1].job.id,  # type: ignore[union-attr]
        "queue": "mail",
        "worker": "host~abc123-1:42:mail",
    }
    lines = verb("failed").lines
    assert lines[2].split()[0] == three[1].digest[:12]
    assert lines[2].endswith("NoStock: none left")
    assert lines[-1].startswith("3 in all")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--command", "send"], [1, 0]),
        (["--exception", "NoStock"], [1]),
        (["--exception", "shop.errors.NoStock"], [1]),
        (["--since", "1d"], [2, 1]),
        (["--since", (NOW - timedelta(days=1)).isoformat()], [2, 1]),
        (["--queue", "low"], [2]),
        (["--text", "NONE LEFT"], [1]),
        (["--command", "send", "--since", "3d", "--offset", "1"], [0]),
        (["--limit", "1", "--offset", "1"], [1]),
        (["--command", "nothing"], []),
    ],
)
def test_failures_are_filtered(three: list[Failure], words: list[str], expected: list[int]):
    found = verb("failed", "--json", *words).json
    assert [each["digest"] for each in found] == [three[at].digest for at in expected]


def test_a_failure_is_shown_in_full_by_its_digest_or_the_id_of_its_job(three: list[Failure]):
    (found,) = verb("failed", three[0].digest[:8], "--json").json
    assert found["backtrace"] == ["line one", "line two"]
    assert found["extra"] == {"output": "said\n"}
    ran = verb("failed", three[0].job.id)  # type: ignore[union-attr]
    assert ran.lines[0] == f"Failure {three[0].digest}"
    assert "    line two" in ran.lines
    assert "    said" in ran.lines


def test_a_failure_that_there_is_not_is_told(three: list[Failure]):
    ran = verb("failed", "0123456789")
    assert (ran.code, ran.err) == (1, "There is no such failure: 0123456789\n")
    assert verb("failed", "012").code == 2


def test_what_somebody_has_written_moves_no_cursor(clean_redis: redis.Redis):
    clean_redis.rpush("resque:failed", b"\x1b[2Jno record", b"")
    ran = verb("failed")
    assert ran.code == 0
    assert "\x1b" not in ran.out
    assert [each["command"] for each in verb("failed", "--json").json] == [None, None]


def test_failures_are_retried_by_their_digests(clean_redis: redis.Redis, three: list[Failure]):
    ran = process("retry", three[0].digest[:10], three[2].digest, "--json")
    assert (ran.code, ran.json) == (0, {"seen": 2, "retried": 2, "refused": 0, "gone": 0})
    assert digests(clean_redis) == [three[1].digest]
    assert json.loads(clean_redis.lindex("resque:queue:low", 0))["class"] == "clean"


def test_failures_are_retried_by_a_filter_or_all_of_them(clean_redis: redis.Redis, three: list[Failure]):
    assert verb("retry", "--command", "send", "--json").json["retried"] == 2
    assert verb("retry", "--all").lines == ["Retried 1 of 1."]
    assert verb("retry", "--all").code == 1
    assert clean_redis.llen("resque:queue:mail") == 2


def test_what_cannot_be_retried_is_told(clean_redis: redis.Redis, three: list[Failure]):
    clean_redis.rpush("resque:failed", b"no record")
    ran = verb("retry", Failure.from_record(b"no record").digest)
    assert (ran.code, ran.lines) == (1, ["Retried 0 of 1. 1 cannot be retried."])
    assert "there is no job in its record" in ran.err
    assert verb("retry", three[0].digest, "0123456789").code == 1
    assert clean_redis.llen("resque:queue:mail") == 1


def test_failures_are_discarded(clean_redis: redis.Redis, three: list[Failure]):
    assert process("discard", three[1].digest, "--json").json == {"discarded": 1}
    assert verb("discard", "--command", "send").lines == ["Discarded 1."]
    ran = verb("discard", "--all")
    assert (ran.code, digests(clean_redis)) == (2, [three[2].digest])
    assert "Discard all 1 failure(s)? Nobody is there to be asked: add --yes" in ran.err
    assert verb("discard", "--all", "--yes", "--json").json == {"discarded": 1}
    assert clean_redis.exists("resque:failed") == 0
    assert verb("discard", "--all", "--yes").code == 1


@pytest.mark.parametrize("option", ["--text", "--command", "--exception", "-q"])
def test_an_empty_filter_does_not_mean_all(clean_redis: redis.Redis, three: list[Failure], option: str):
    assert verb("discard", option, "").code == 2
    assert len(digests(clean_redis)) == 3


@pytest.mark.parametrize("name", ["retry", "discard"])
def test_nobody_is_there_to_choose(three: list[Failure], name: str):
    ran = process(name)
    assert ran.code == 2
    assert f"{name} --all" in ran.err
    assert verb(name, "--all", "--command", "x").code == 2


def test_retrying_much_tells_how_far_it_is(clean_redis: redis.Redis):
    for start in range(0, 5_000, 1_000):
        for number in range(start, start + 1_000):
            push(clean_redis, "send", number)
    ran = process("retry", "--command", "send")
    assert ran.lines == ["Retried 5,000 of 5,000."]
    assert all(line.startswith("Retrying: ") for line in ran.err.splitlines())
