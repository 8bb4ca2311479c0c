"""What `docs/worker.md` and the README promise about Redis, output, order and fairness, a test for each.

Deaths and leases are in ``test_reaping.py``, signals in ``test_stopping.py``, time limits in ``test_timeouts.py``, lost
replies and administrators in ``test_redis_trouble.py``.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import redis

from django_resque import enqueue, enqueue_many, enqueue_to, using
from django_resque.errors import QueueFull, StoreUnavailable
from django_resque.store import store
from tests.processes_in_redis import TurnTaker, full
from tests.proxy import Proxy
from tests.servers import RedisServer
from tests.workers import PATIENCE, WorkerProcess, resque, told, until, within


def processed() -> int | None:
    """The counter; None while the server is away or still loads what it had."""
    try:
        return store().stats.counters().processed
    except StoreUnavailable:
        return None


def failures() -> list[str]:
    return [failure.exception for failure in store().failures.latest()]


def jots(path: Path) -> list[str]:
    """What jobs have written, in order."""
    return path.read_text().split() if path.exists() else []


def enqueue_jots(path: Path, *texts: object, seconds: float = 0) -> None:
    enqueue_many("act", [(("jot", str(path), str(text), seconds), {}) for text in texts])


@pytest.fixture(scope="module")
def _server() -> Iterator[RedisServer]:
    with RedisServer(appendfsync="always") as server:
        yield server


@pytest.fixture
def server(_server: RedisServer, settings: Any) -> RedisServer:
    """A server for the queues alone; nothing that it has acknowledged is lost when it is killed."""
    if not _server.running:
        _server.start()
    with _server.client() as client:
        client.flushall()
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": _server.url}}
    return _server


@pytest.fixture
def start(worker: Callable[..., WorkerProcess], server: RedisServer) -> Callable[..., WorkerProcess]:
    """Starts a worker of it."""
    facts_url = os.environ["DJANGO_RESQUE_TEST_REDIS"].removesuffix("/0") + "/1"

    def start(*args: str, url: str = server.url, env: dict[str, str] | None = None) -> WorkerProcess:
        return worker(
            *args, env={**(env or {}), "DJANGO_RESQUE_TEST_REDIS": url, "DJANGO_RESQUE_TEST_FACTS": facts_url}
        )

    return start


# -- Redis restarts, is away, is full ----------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [RedisServer.stop, RedisServer.kill])
def test_what_ends_while_redis_is_down_is_told_when_it_is_back(start, server, facts, end):
    enqueue("act", "witness", "ends meanwhile")
    enqueue("act", "witness", "goes on")
    process = start("-n", "2")
    told(facts, "ends meanwhile"), told(facts, "goes on")
    performers = process.children()
    end(server)
    facts.rpush("ends meanwhile:go", "now")
    until(lambda: "not available" in process.log)
    server.start()
    with within(3):
        until(lambda: processed() == 1)
    enqueue("act", "tell", "next")
    with within(3):
        told(facts, "next")
    assert process.children() == performers
    facts.rpush("goes on:go", "now")
    until(lambda: processed() == 3)
    assert process.stop() == 0
    assert failures() == []
    assert "crashed" not in process.log
    assert store().client.exists("resque:django:crashes", "resque:django:processes") == 0


def test_nothing_ends_however_long_redis_is_away(start, server, facts):
    enqueue("act", "witness", "job")
    with Proxy(server.port) as proxy:
        process = start("-n", "2", url=proxy.url, env=resque(LEASE=1, BEAT=0.3))
        told(facts, "job")
        performers = process.children()
        proxy.refuse()
        begun = time.monotonic()
        until(lambda: "not available" in process.log)
        while time.monotonic() - begun < 6:  # several leases, and longer than it ever waits between two attempts
            assert process.process.poll() is None
            assert process.children() == performers
            time.sleep(0.1)
        proxy.heal()
        with within(3):
            until(lambda: "available again" in process.log)
        facts.rpush("job:go", "now")
        until(lambda: processed() == 1)
        assert process.log.count("not available") == 1
        assert process.stop() == 0
    assert "declared dead" not in process.log


def test_workers_drain_a_redis_that_is_full_and_keep_their_leases(start, server, facts):
    for number in range(20):
        enqueue("act", "tell", "done", str(number))
    enqueue("act", "refuse", "no way")
    enqueue("act", "kill", "SIGKILL")
    enqueue("act", "witness", "job")
    with server.client() as client, full(client):
        with pytest.raises(QueueFull):
            enqueue("act", "tell", "too much")
        process = start(env=resque(LEASE=1, BEAT=0.3))  # registering is possible too
        told(facts, "job")
        assert facts.lrange("done", 0, -1) == [str(number) for number in range(20)]
        ((member, lease),) = client.zrange("resque:django:processes", 0, -1, withscores=True)
        until(lambda: client.zscore("resque:django:processes", member) >= lease + 2)
        facts.rpush("job:go", "now")
        until(lambda: processed() == 23)
        assert process.stop() == 0
    assert failures() == ["PoisonJob", "ValueError"]
    assert facts.llen("too much") == 0
    assert "declared dead" not in process.log


def test_a_reaper_does_its_work_when_redis_is_full(start, server, facts):
    enqueue("act", "tell", "inherited")
    dead = TurnTaker(identity="another-boot/1/1/1")
    assert dead.turn(wanted=1).jobs
    dead.close()
    with server.client() as client:
        client.zadd("resque:django:processes", {dead.process.member: 1})
        with full(client):
            process = start(env=resque(LEASE=1, BEAT=0.3))
            told(facts, "inherited")
            until(lambda: processed() == 1)
            assert process.stop() == 0


# -- the wrong type on a key -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    ["resque:stat:processed", "resque:workers:heartbeat", "resque:pause-all-workers", "resque:queue:broken"],
)
def test_a_broken_key_that_no_job_depends_on_hinders_none(worker, facts, clean_redis, key):
    wrong = clean_redis.set if key.startswith("resque:queue") else lambda key, text: clean_redis.rpush(key, text)
    wrong(key, "not what you think")
    enqueue("act", "tell", "fine")
    enqueue("act", "refuse", "no way")
    enqueue("act", "witness", "job")
    process = worker("-q", "broken,default", "--interval", "0.05")
    told(facts, "fine")
    told(facts, "job")
    (worker_id,) = (raw.decode() for raw in clean_redis.smembers("resque:workers"))
    clean_redis.delete(f"resque:worker:{worker_id}")
    clean_redis.rpush(f"resque:worker:{worker_id}", "not what you think")
    facts.rpush("job:go", "now")
    until(lambda: len(failures()) == 1)
    enqueue("act", "tell", "after")
    told(facts, "after")
    assert process.stop() == 0
    assert failures() == ["ValueError"]
    assert store().queues.size("default") == 0
    assert clean_redis.exists("resque:django:processes", "resque:django:crashes") == 0


@pytest.mark.parametrize(
    "key",
    ["resque:failed", "resque:django:crashes", "resque:django:processes", "resque:queues", "resque:workers"],
)
def test_a_broken_key_that_jobs_depend_on_is_said_and_work_goes_on_when_it_is_mended(worker, facts, clean_redis, key):
    enqueue("act", "witness", "job")
    process = worker("--interval", "0.05", env=resque(LEASE=1, BEAT=0.3))
    told(facts, "job")
    clean_redis.rename(key, "kept") if clean_redis.exists(key) else clean_redis.delete("kept")
    clean_redis.set(key, "not what you think")
    facts.rpush("job:go", "now")
    if key != "resque:workers":  # which is only for people to look at, once it is registered
        until(lambda: "WRONGTYPE" in process.log)
    assert process.process.poll() is None
    clean_redis.delete(key)
    if clean_redis.exists("kept"):
        clean_redis.rename("kept", key)
    until(lambda: processed() == 1)
    enqueue("act", "tell", "after")
    told(facts, "after")
    until(lambda: processed() == 2)
    assert process.stop() == 0
    assert failures() == []
    assert facts.llen("job") == 0  # it was not begun again


# -- performers are replaced -------------------------------------------------------------------------------------------


def test_with_max_jobs_1_every_job_has_a_performer_of_its_own_and_never_two_at_once(worker, facts):
    enqueue_many("act", [(("span", "spans", 0.01), {}) for _ in range(30)])
    process = worker("--burst", "--max-jobs", "1")
    assert process.wait() == 0
    spans = sorted((ast.literal_eval(text) for text in facts.lrange("spans", 0, -1)), key=lambda span: span[1])
    assert len({pid for pid, _, _ in spans}) == len(spans) == 30
    assert all(ended <= begun for (_, _, ended), (_, begun, _) in pairwise(spans))
    assert processed() == 30


def test_a_performer_that_is_too_old_is_replaced(worker, facts):
    for _ in range(2):
        enqueue("act", "span", "spans", 1.1)
    enqueue("act", "span", "spans", 0)
    assert worker("--burst", "--max-age", "1").wait() == 0
    pids = [ast.literal_eval(told(facts, "spans"))[0] for _ in range(3)]
    assert len(set(pids)) == 3


# -- output ------------------------------------------------------------------------------------------------------------


def test_the_output_of_fast_jobs_is_attributed_to_each(worker, clean_redis):
    jobs = enqueue_many("act", [(("murmur", f"the text of job {number}"), {}) for number in range(300)])
    process = worker("--burst")
    assert process.wait() == 0
    for number, job in enumerate(jobs):
        assert clean_redis.get(f"resque:django:output:{job.id}") == b"the text of job %d\n" % number
        assert f"[{job.id}] the text of job {number}\n" in process.log
    assert process.log.count("the text of job") == 300
    assert 0 < clean_redis.ttl(f"resque:django:output:{jobs[0].id}") <= 24 * 3600


def test_quiet_jobs_are_quiet_and_their_output_is_kept(worker, clean_redis):
    job = enqueue("act", "murmur", "psst")
    process = worker("--burst", "--quiet-jobs")
    assert process.wait() == 0
    assert "psst" not in process.log
    assert clean_redis.get(f"resque:django:output:{job.id}") == b"psst\n"


def test_the_end_of_long_output_is_kept(worker, clean_redis):
    job = enqueue("act", "murmur", "0123456789abcdef", 10_000)
    assert worker("--burst", "--quiet-jobs").wait() == 0
    kept = clean_redis.get(f"resque:django:output:{job.id}")
    assert len(kept) == 64 * 1024
    assert kept == (b"0123456789abcdef" * 10_000 + b"\n")[-64 * 1024 :]


def memory(process: WorkerProcess) -> int:
    """Bytes of RAM of the dispatcher, and of what commands have written and nobody has taken yet."""
    own = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    folder = Path(f"/proc/{process.pid}/fd")
    files = [path for path in folder.iterdir() if "django_resque output" in os.readlink(path)]
    return own + sum(path.stat().st_blocks * 512 for path in files)


def test_a_gigabyte_of_output_takes_little_memory_and_keeps_nobody_waiting(worker, facts):
    process = worker("-n", "2", stdout=subprocess.DEVNULL)
    enqueue("act", "tell", "warm")
    told(facts, "warm")
    before = memory(process)
    job = enqueue("act", "flood", "flooding", 1 << 30)
    told(facts, "flooding")
    most, waited, number = 0, 0.0, 0
    while processed() == 1 + number:
        most = max(most, memory(process))
        begun = time.monotonic()
        number += 1
        enqueue("act", "tell", "heard")
        told(facts, "heard")
        waited = max(waited, time.monotonic() - begun)
        until(lambda: processed() in (1 + number, 2 + number))  # noqa: B023
    assert most - before < 400 << 20
    assert waited < PATIENCE * 0.2
    assert process.stop() == 0
    kept = store().client.get(f"resque:django:output:{job.id}")
    assert kept == b"y\n" * (32 * 1024)


# -- order and fairness ------------------------------------------------------------------------------------------------


def test_a_long_job_delays_no_other_while_a_performer_is_free(worker, facts, tmp_path):
    path = tmp_path / "jots"
    enqueue_jots(path, *range(300))
    enqueue("act", "nap", 1.5, "napping")
    enqueue_many("act", [(("tell", "behind", "it"), {}) for _ in range(5)])
    process = worker("-n", "2")
    told(facts, "napping")
    with within(0.06):
        for _ in range(5):
            told(facts, "behind")
    assert process.stop() == 0
    assert processed() == 306


def test_what_waits_behind_a_long_job_is_given_back_in_order(worker, facts, clean_redis, tmp_path):
    path = tmp_path / "jots"
    enqueue_jots(path, *range(300))
    enqueue("act", "witness", "job")
    enqueue_jots(path, *range(300, 350))
    process = worker()
    told(facts, "job")
    (held,) = until(lambda: clean_redis.keys("resque:django:reservations:*"))
    with within(0.06):
        until(lambda: clean_redis.hlen(held) == 1)
    assert store().queues.size("default") >= 50
    other = worker("--burst")  # another worker has them at once
    assert other.wait() == 0
    assert sorted(jots(path), key=int) == [str(number) for number in range(350)]
    assert jots(path)[-50:] == [str(number) for number in range(300, 350)]
    facts.rpush("job:go", "now")
    until(lambda: processed() == 351)
    assert process.stop() == 0


def test_a_job_on_a_higher_queue_waits_for_a_few_milliseconds_of_work_at_most(worker, tmp_path):
    path = tmp_path / "jots"
    enqueue_many("act", [(("jot", str(path), "low"), {}) for _ in range(4000)])
    process = worker("-q", "high,default")
    until(lambda: len(jots(path)) > 500)
    before = len(jots(path))
    with within(0.06):
        enqueue_to("high", "act", "jot", str(path), "high")
        until(lambda: "high" in jots(path))
    between = jots(path).index("high") - before
    assert store().queues.size("default") > 0
    assert between <= 500
    assert process.stop() == 0


def test_slow_jobs_of_a_higher_queue_are_not_overtaken_by_quick_ones(worker, tmp_path):
    path = tmp_path / "jots"
    enqueue_many("act", [(("jot", str(path), "low"), {}) for _ in range(2000)])
    process = worker("-q", "high,default")
    until(lambda: len(jots(path)) > 500)
    using(queue="high").enqueue_many("act", [(("jot", str(path), "high", 0.03), {}) for _ in range(10)])
    until(lambda: jots(path).count("high") == 10)
    found = jots(path)
    first = found.index("high")
    assert found[first : first + 10] == ["high"] * 10
    assert process.stop() == 0


def test_jobs_of_one_performer_run_in_the_order_in_which_they_were_enqueued(worker, tmp_path):
    path = tmp_path / "jots"
    calls = [(("jot", str(path), str(number), 0.12 if number % 100 == 99 else 0), {}) for number in range(800)]
    enqueue_many("act", calls)
    assert worker("--burst").wait() == 0
    order = [int(number) for number in jots(path)]
    assert sorted(order) == list(range(800))
    # A performer that gets no processor for 50 ms looks like one with a long job. What waits behind that is taken back
    # while it goes on, and may take one more.
    assert sum(before > after for before, after in pairwise(order)) <= 5


def test_a_crash_costs_the_jobs_behind_it_nothing(worker, facts):
    for number in range(6):
        enqueue("act", "tell", "order", str(number))
    enqueue("act", "witness", "job")
    enqueue("act", "tell", "order", "6")
    process = worker()
    pid, _ = ast.literal_eval(told(facts, "job"))
    os.kill(pid, 9)
    told(facts, "job")  # at the head of its queue again; the one behind it is with the next performer already, or waits
    assert facts.lrange("order", 0, -1) in (list("012345"), list("0123456"))
    facts.rpush("job:go", "now")
    until(lambda: processed() == 8)
    assert facts.lrange("order", 0, -1) == list("0123456")
    assert process.stop() == 0


def test_a_job_knows_that_it_was_never_begun_before(worker, facts, clean_redis: redis.Redis):
    enqueue("act", "describe", "about")
    assert worker("--burst").wait() == 0
    assert ast.literal_eval(told(facts, "about"))["redelivered"] is False
    assert json.loads(clean_redis.get("resque:stat:processed")) == 1
