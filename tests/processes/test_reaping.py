"""Deaths: of performers, of whole worker processes, of hosts; and who gives back what they held, how soon."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from django_resque import enqueue, enqueue_many, using
from django_resque.store import Entry, store
from tests.processes_in_redis import TurnTaker, guard
from tests.proxy import Proxy
from tests.servers import RedisServer
from tests.workers import ROOT, WorkerProcess, is_gone, resque, told, until, within

SHORT = {"LEASE": 2, "BEAT": 0.5}
LEFT_BEHIND = ["plain", "setsid", "twice", "forked"]


@pytest.fixture
def short_lease(settings: Any) -> dict[str, str]:
    """Leases end after two seconds: here, and in a worker with this environment."""
    settings.RESQUE = {**settings.RESQUE, **SHORT}
    return resque(**SHORT)


def processed() -> int:
    return store().stats.counters().processed


def failures() -> list[str]:
    return [failure.exception for failure in store().failures.latest()]


def queued(queue: str = "default") -> list[str]:
    """The ids of the jobs in a queue."""
    return [json.loads(payload)["id"] for payload in store().queues.peek(queue)]


def registered(count: int = 1) -> None:
    until(lambda: len(store().workers.all()) == count)


def witnessed(facts: redis.Redis, key: str) -> tuple[int, bool]:
    """Who performs the job, and whether it may have been begun before."""
    pid, redelivered = ast.literal_eval(told(facts, key))
    return pid, redelivered


def turns(client: redis.Redis, name: str) -> int:
    """How many turns a worker process has taken."""
    return int(client.hget(f"resque:django:process:{name}", "number") or 0)


def names(client: redis.Redis) -> set[str]:
    """The worker processes that are registered."""
    return {member.decode().split()[0] for member in client.zrange("resque:django:processes", 0, -1)}


# -- a performer dies --------------------------------------------------------------------------------------------------


def test_a_job_whose_performer_dies_is_begun_again_at_once_and_knows(worker, facts):
    enqueue("act", "witness", "job")
    enqueue("act", "tell", "behind")
    process = worker()
    pid, redelivered = witnessed(facts, "job")
    assert not redelivered
    os.kill(pid, signal.SIGKILL)
    with within(0.1):
        again, redelivered = witnessed(facts, "job")
    assert (again != pid, redelivered) == (True, True)
    assert facts.llen("behind") == 0
    facts.rpush("job:go", "now")
    told(facts, "behind")
    assert process.stop() == 0


def test_of_a_batch_whose_performer_dies_exactly_the_job_that_was_begun_is_repeated(worker, facts, tmp_path):
    path = tmp_path / "begun"
    killers = {100, 101, 250, 399}
    enqueue_many(
        "act",
        [(("stumble" if number in killers else "jot", str(path), str(number)), {}) for number in range(400)],
    )
    process = worker("--burst")
    assert process.wait() == 0
    begun = path.read_text().split()
    assert sorted(begun) == sorted([*map(str, range(400)), *map(str, killers)])
    assert processed() == 400
    assert failures() == []
    assert process.log.count("crashed act") == len(killers)
    assert store().client.exists("resque:django:crashes") == 0  # it went well in the end


# -- a dispatcher is killed --------------------------------------------------------------------------------------------


def test_the_performers_of_a_killed_dispatcher_die_with_it(worker, facts):
    enqueue("act", "wait", "waiting")
    enqueue("act", "hang_in_c", "hanging")
    process = worker("-n", "3")
    told(facts, "waiting:started"), told(facts, "hanging")
    performers = until(lambda: len(found := process.children()) == 3 and found)
    os.kill(process.pid, signal.SIGKILL)
    with within(0.05):
        until(lambda: all(map(is_gone, performers)))


def test_siblings_give_back_what_a_killed_worker_held_once_and_in_order(worker, facts, clean_redis):
    jobs = [enqueue("act", "witness", "job") for _ in range(5)]
    process = worker("-n", "4")
    for _ in range(4):
        witnessed(facts, "job")
    siblings = [worker("-q", "other") for _ in range(3)]
    registered(7)
    os.kill(process.pid, signal.SIGKILL)
    with within(2):
        until(lambda: store().queues.size("default") == 5)
    until(lambda: len(store().workers.all()) == 3)  # it is off the boards
    assert queued() == [job.id for job in jobs]
    assert set(clean_redis.hvals("resque:django:crashes")) == {b"0"}
    for sibling in siblings:
        assert sibling.stop() == 0
    assert sum(sibling.log.count("is dead (its process has ended)") for sibling in siblings) == 1
    heir = worker("-n", "5")
    assert sorted(witnessed(facts, "job")[1] for _ in jobs) == [False, True, True, True, True]
    facts.rpush("job:go", *"12345")
    until(lambda: processed() == 5)
    assert heir.stop() == 0
    assert failures() == []
    assert clean_redis.exists("resque:django:crashes", "resque:django:processes") == 0


def test_what_commands_had_started_is_gone_after_a_siblings_sweep(worker, facts):
    for how in LEFT_BEHIND:
        enqueue("act", "start_and_wait", how, how)
    process = worker("-n", "4")
    left = [int(told(facts, how)) for how in LEFT_BEHIND]
    sibling = worker("-q", "other")
    registered(5)
    os.kill(process.pid, signal.SIGKILL)
    with within(2):
        until(lambda: all(map(is_gone, left)))
    assert sibling.stop() == 0


def test_the_next_start_ends_what_a_killed_worker_had_started_and_gives_back_its_jobs(worker, facts):
    for how in LEFT_BEHIND:
        enqueue("act", "start_and_wait", how, how)
    process = worker("-n", "4")
    left = [int(told(facts, how)) for how in LEFT_BEHIND]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process = worker("-q", "other")
    until(lambda: all(map(is_gone, left)))
    registered()
    with within(2):
        until(lambda: store().queues.size("default") == 4)
    assert process.stop() == 0


def test_innocents_beside_a_job_that_kills_its_worker_are_not_failed(worker, facts):
    for name in ("one", "other"):
        enqueue("act", "witness", name)
    for _death in range(3):
        process = worker("-n", "2")
        witnessed(facts, "one"), witnessed(facts, "other")
        os.kill(process.pid, signal.SIGKILL)
    process = worker("-n", "2")
    witnessed(facts, "one"), witnessed(facts, "other")
    facts.rpush("one:go", "now")
    facts.rpush("other:go", "now")
    until(lambda: processed() == 2)
    assert process.stop() == 0
    assert failures() == []
    assert store().client.exists("resque:django:crashes") == 0


def test_a_job_that_kills_its_worker_each_time_is_poison(worker, facts):
    job = enqueue("act", "kill_dispatcher", "killer")
    enqueue("act", "tell", "behind")
    process = worker()  # it proves nothing the first time; then the job is alone
    deaths = 1
    while process.wait() != 0:
        told(facts, "killer")
        process = worker("--burst")
        deaths += 1
        assert deaths <= 5
    (failure,) = store().failures.latest()
    assert (failure.job.id, failure.exception) == (job.id, "PoisonJob")
    assert deaths == 5
    told(facts, "behind")
    assert processed() == 2


# -- at most once ------------------------------------------------------------------------------------------------------


def test_the_first_crash_of_a_job_that_must_not_begin_twice_is_its_failure(worker, facts, clean_redis):
    job = using(on_crash="fail").enqueue("act", "kill", "SIGKILL", "begun")
    enqueue("act", "tell", "behind")
    assert worker("--burst").wait() == 0
    told(facts, "behind")
    (failure,) = store().failures.latest()
    assert (failure.job.id, failure.exception, failure.extra["signal"]) == (job.id, "DirtyExit", "SIGKILL")
    assert facts.llen("begun") == 1
    counters = store().stats.counters()
    assert (counters.processed, counters.failed) == (2, 1)
    assert clean_redis.exists("resque:django:crashes") == 0


def test_a_job_that_must_not_begin_twice_fails_when_its_worker_is_killed(worker, facts):
    job = using(on_crash="fail").enqueue("act", "witness", "job")
    process = worker()
    witnessed(facts, "job")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert worker("--burst").wait() == 0
    (failure,) = store().failures.latest()
    assert (failure.job.id, failure.exception) == (job.id, "DirtyExit")
    assert facts.llen("job") == 0
    counters = store().stats.counters()
    assert (counters.processed, counters.failed) == (1, 1)


def test_a_job_that_must_not_begin_twice_and_had_not_begun_is_performed(worker, facts, redis_server):
    using(on_crash="fail").enqueue("act", "witness", "job")
    with Proxy(redis_server.port) as proxy:
        held = proxy.hold_requests(1, to=b"\r\nstart\r\n")
        facts_url = os.environ["DJANGO_RESQUE_TEST_REDIS"].removesuffix("/0") + "/1"
        process = worker(env={"DJANGO_RESQUE_TEST_REDIS": proxy.url, "DJANGO_RESQUE_TEST_FACTS": facts_url})
        until(lambda: held.happened)
        assert facts.llen("job") == 0  # nobody has begun it before Redis knows
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        facts.rpush("job:go", "now")
        assert worker("--burst").wait() == 0
        assert witnessed(facts, "job")[1]  # it may have been begun, as far as is known
        proxy.heal()
    assert failures() == []
    assert processed() == 1


def dead_identity() -> str:
    """What tells a process of this machine that has ended."""
    code = "from django_resque.worker.machine import identity; print(identity())"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_each_job_of_a_dead_process_is_dealt_with_as_far_as_it_had_come(worker, facts, clean_redis):
    plain = enqueue("act", "tell", "plain")
    begun = using(on_crash="fail").enqueue("act", "tell", "begun")
    using(on_crash="fail").enqueue("act", "tell", "not begun")
    dead = TurnTaker(identity=dead_identity().strip())
    first, second, _third = dead.turn(wanted=3).jobs
    dead.turn(Entry("start", dead.workers[0], second.token, begun.id, record=guard(once=True)))
    dead.close()
    assert worker("--burst").wait() == 0
    (failure,) = store().failures.latest()
    assert (failure.job.id, failure.exception, failure.worker) == (begun.id, "DirtyExit", dead.workers[0])
    assert [facts.llen(key) for key in ("plain", "begun", "not begun")] == [1, 0, 1]
    assert plain.id.encode() in first.payload
    counters = store().stats.counters()
    assert (counters.processed, counters.failed) == (3, 1)
    assert clean_redis.exists("resque:django:crashes", "resque:django:processes") == 0


# -- a host dies: nothing but its lease tells --------------------------------------------------------------------------


@pytest.fixture
def elsewhere(short_lease: object) -> Iterator[Callable[[], TurnTaker]]:
    """A worker process of another machine, as far as anybody can tell; it holds the next job of the default queue."""
    made: list[TurnTaker] = []

    def hold() -> TurnTaker:
        made.append(TurnTaker(identity="another-boot/1/1/1"))
        assert made[-1].turn(wanted=1).jobs
        return made[-1]

    yield hold
    for taker in made:
        taker.close()


def test_the_jobs_of_a_dead_host_are_requeued_when_its_lease_ends_and_not_before(
    worker, facts, clean_redis, short_lease, elsewhere
):
    enqueue("act", "witness", "job")
    holder = elsewhere()
    process = worker("--interval", "0.05", env=short_lease)
    registered(2)
    facts.rpush("job:go", "now")
    beats = 0
    while beats < 6:  # it lives, for longer than its lease
        holder.turn(renew=True)
        beats += 1
        time.sleep(SHORT["BEAT"])
        assert facts.llen("job") == 0
    holder.turn(renew=True)
    ends = clean_redis.zscore("resque:django:processes", holder.process.member)
    with within(SHORT["LEASE"] + 2):
        _, redelivered = witnessed(facts, "job")
    assert redelivered
    assert clean_redis.time()[0] >= ends
    until(lambda: processed() == 1)
    assert holder.turn().state == "gone"
    assert process.stop() == 0
    assert clean_redis.exists("resque:django:processes", "resque:django:reservations:abc123") == 0


def test_leases_mean_nothing_for_as_long_as_one_lasts_after_redis_was_away(worker, facts, settings, short_lease):
    lease = SHORT["LEASE"]
    facts_url = os.environ["DJANGO_RESQUE_TEST_REDIS"].removesuffix("/0") + "/1"
    with RedisServer(appendfsync="always") as server:
        settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": server.url}}
        enqueue("act", "witness", "job")
        holder = TurnTaker(identity="another-boot/1/1/1")
        assert holder.turn(wanted=1).jobs
        holder.close()
        with server.client() as client:
            client.zadd("resque:django:processes", {holder.process.member: 2_000_000_000})
            process = worker(
                "--interval",
                "0.05",
                env={**short_lease, "DJANGO_RESQUE_TEST_REDIS": server.url, "DJANGO_RESQUE_TEST_FACTS": facts_url},
            )
            until(lambda: len(names(client)) == 2)
            (name,) = names(client) - {"abc123"}
            until(lambda: turns(client, name) > 2 * lease / 0.25)  # it has been in touch for longer than a lease
            client.zadd("resque:django:processes", {holder.process.member: client.time()[0] - 1})
            server.kill()
        server.start()
        begun = time.monotonic()
        assert witnessed(facts, "job")[1]
        assert time.monotonic() - begun >= lease
        facts.rpush("job:go", "now")
        until(lambda: processed() == 1)
        assert process.stop() == 0


# -- a worker that was taken for dead and is not -----------------------------------------------------------------------


def freeze(process: WorkerProcess, proxy: Proxy) -> None:
    os.kill(process.pid, signal.SIGSTOP)


def thaw(process: WorkerProcess, proxy: Proxy) -> None:
    os.kill(process.pid, signal.SIGCONT)


def part(process: WorkerProcess, proxy: Proxy) -> None:
    proxy.refuse()


def heal(process: WorkerProcess, proxy: Proxy) -> None:
    proxy.heal()


@pytest.mark.parametrize(("go", "come_back"), [(freeze, thaw), (part, heal)], ids=["frozen", "partitioned"])
def test_what_a_worker_tells_that_was_away_past_its_lease_is_refused_and_it_works_on(
    worker, facts, clean_redis, redis_server, short_lease, go, come_back
):
    enqueue("act", "witness", "job")
    facts_url = os.environ["DJANGO_RESQUE_TEST_REDIS"].removesuffix("/0") + "/1"
    with Proxy(redis_server.port) as proxy:
        away = worker(env={**short_lease, "DJANGO_RESQUE_TEST_REDIS": proxy.url, "DJANGO_RESQUE_TEST_FACTS": facts_url})
        here, _ = witnessed(facts, "job")
        (name,) = names(clean_redis)
        sibling = worker(env=short_lease)
        registered(2)
        go(away, proxy)
        there, redelivered = witnessed(facts, "job")  # it is begun elsewhere
        assert (there != here, redelivered) == (True, True)
        facts.rpush("job:go", "now", "now")  # and ends at both
        until(lambda: processed() == 1)
        assert sibling.stop() == 0
        enqueue("act", "witness", "next")
        come_back(away, proxy)
        witnessed(facts, "next")
        (new,) = names(clean_redis)
        assert new != name
        facts.rpush("next:go", "now")
        until(lambda: processed() == 2)
        assert away.stop() == 0
    assert f"worker {name} was declared dead" in away.log
    assert failures() == []
    counters = store().stats.counters()
    assert (counters.processed, counters.failed) == (2, 0)
    assert clean_redis.exists("resque:django:processes", "resque:django:crashes") == 0


def test_a_worker_that_lives_and_nobody_reaps_renews_a_lease_that_has_ended(worker, facts, clean_redis):
    enqueue("act", "witness", "job")
    process = worker(env=resque(LEASE=1, BEAT=0.3))
    witnessed(facts, "job")
    ((member, _),) = clean_redis.zrange("resque:django:processes", 0, -1, withscores=True)
    os.kill(process.pid, signal.SIGSTOP)
    until(lambda: clean_redis.zscore("resque:django:processes", member) < clean_redis.time()[0])
    os.kill(process.pid, signal.SIGCONT)
    until(lambda: clean_redis.zscore("resque:django:processes", member) > clean_redis.time()[0])
    facts.rpush("job:go", "now")
    until(lambda: processed() == 1)
    assert process.stop() == 0
    assert "declared dead" not in process.log
