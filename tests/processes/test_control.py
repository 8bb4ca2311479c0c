"""Workers that are told what to do through Redis, from here and from another host."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from django_resque import control, enqueue, enqueue_to
from django_resque.control import Outcome, Result, Target, Wanted
from django_resque.store import store
from tests.servers import RedisServer
from tests.workers import is_gone, told, until, within

PROMPT = 0.5
"""Seconds in which a worker that has nothing else to do obeys: the bell wakes it."""
HOSTNAME = "another-host"
ON_ANOTHER_HOST = (
    "import os, socket, sys\n"
    f"socket.sethostname({HOSTNAME!r})\n"
    "os.execv(sys.executable, [sys.executable, '-m', 'django', 'resque_worker', *sys.argv[1:]])\n"
)
"""Runs in namespaces of its own: other pids, other sockets, another name."""
_NAMESPACES = ["unshare", "--net", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]


def workers(count: int = 1) -> list[Target]:
    """All workers, as soon as so many have registered."""
    until(lambda: len(store().processes.all()) >= count)
    return control.find(Wanted())


def processed() -> int:
    return store().stats.counters().processed


def failures() -> list[str]:
    return [failure.exception for failure in store().failures.latest()]


def outcomes(results: list[Result]) -> list[Outcome]:
    return [result.outcome for result in results]


# -- stopping ----------------------------------------------------------------------------------------------------------


def test_an_idle_worker_stops_at_once(worker, facts):
    process = worker()
    targets = workers()
    with within(PROMPT):
        assert outcomes(control.stop(targets)) == [Outcome.DONE]
    assert process.wait() == 0
    assert "told through Redis by" in process.log
    assert store().client.keys("resque:django:control:*") == []


def test_a_worker_that_is_stopped_finishes_what_runs(worker, facts):
    enqueue("act", "wait", "job")
    enqueue("act", "wait", "next")
    process = worker("--grace", "60")
    told(facts, "job:started")

    def on_acknowledgement(result: Result) -> None:
        if result.outcome is Outcome.ACKNOWLEDGED:
            assert len(result.running) == 1
            facts.rpush("job:go", "now")

    assert outcomes(control.stop(workers(), progress=on_acknowledgement)) == [Outcome.DONE]
    assert process.wait() == 0
    assert (processed(), store().queues.size("default"), failures()) == (1, 1, [])


def test_a_worker_that_is_still_at_it_when_the_time_is_over_is_told_to_stop_now(worker, facts):
    enqueue("act", "wait", "job")
    process = worker("--grace", "60")
    performer = int(told(facts, "job:started"))
    (result,) = control.stop(workers(), timeout=0.5)
    assert (result.outcome, len(result.running)) == (Outcome.ACKNOWLEDGED, 1)
    assert store().processes.all()[0].mode == "stopping"
    with within(1.5):
        assert outcomes(control.stop(workers(), force=True)) == [Outcome.DONE]
    assert process.wait() == 0
    assert is_gone(performer)
    assert (processed(), store().queues.size("default"), failures()) == (0, 1, [])  # it is to be performed again


def test_all_workers_are_stopped_at_once_and_those_of_other_programs_left_alone(worker, clean_redis):
    processes = [worker() for _ in range(2)]
    workers(2)
    clean_redis.sadd("resque:workers", "ruby:7:mail")
    assert outcomes(control.stop(control.find(Wanted()))) == [Outcome.DONE, Outcome.DONE, Outcome.NOT_OURS]
    assert [process.wait() for process in processes] == [0, 0]
    assert clean_redis.smembers("resque:workers") in ({b"ruby:7:mail"}, [b"ruby:7:mail"])


def test_those_that_serve_a_queue_are_stopped_and_no_others(worker):
    mail = worker("-q", "mail,default")
    other = worker("-q", "*,!mail")
    workers(2)
    assert outcomes(control.stop(control.find(Wanted(queue="mail")))) == [Outcome.DONE]
    assert mail.wait() == 0
    assert other.process.poll() is None


# -- pausing, and ending jobs ------------------------------------------------------------------------------------------


def test_a_paused_worker_finishes_what_runs_and_takes_nothing_more_until_it_is_resumed(worker, facts):
    enqueue("act", "wait", "job")
    worker()
    told(facts, "job:started")
    (result,) = control.pause(workers())
    assert (result.outcome, len(result.running)) == (Outcome.DONE, 1)
    assert store().processes.all()[0].mode == "paused"
    enqueue("act", "tell", "next")
    facts.rpush("job:go", "now")
    until(lambda: processed() == 1)
    assert store().queues.size("default") == 1
    with within(PROMPT):
        assert outcomes(control.resume(workers())) == [Outcome.DONE]
    told(facts, "next")
    assert store().processes.all()[0].mode == "running"


def test_cleaning_up_ends_what_runs_and_keeps_the_worker(worker, facts):
    jobs = [enqueue("act", "wait", name) for name in ("one", "two")]
    process = worker("-n", "2")
    performers = [int(told(facts, f"{name}:started")) for name in ("one", "two")]
    (result,) = control.cleanup(workers())
    assert result.outcome is Outcome.DONE
    assert sorted(result.jobs) == sorted(job.id for job in jobs)
    until(lambda: processed() == 2)
    assert failures() == ["JobEnded", "JobEnded"]
    assert all(map(is_gone, performers))
    enqueue("act", "tell", "next")
    told(facts, "next")
    assert process.stop() == 0


def test_one_job_is_ended_wherever_it_runs_and_the_others_go_on(worker, facts):
    worker("-q", "one")
    worker("-q", "two", "-n", "2")
    spared = [enqueue_to("one", "act", "wait", "a"), enqueue_to("two", "act", "wait", "b")]
    ended = enqueue_to("two", "act", "wait", "c")
    pids = {name: int(told(facts, f"{name}:started")) for name in "abc"}
    found = control.end_job(ended.id)
    assert found.by is not None
    assert found.by.process is not None
    assert found.by.process.queues == "two"
    until(lambda: processed() == 1)
    assert failures() == ["JobEnded"]
    assert [is_gone(pids[name]) for name in "abc"] == [False, False, True]
    assert control.end_job(ended.id).by is None
    assert len(spared) == 2
    facts.rpush("a:go", "now")
    facts.rpush("b:go", "now")
    until(lambda: processed() == 3)
    assert failures() == ["JobEnded"]


def test_a_paused_queue_is_left_alone_while_others_are_served(worker, facts):
    store().ask(store().control.pause_queue("mail"))
    worker("-q", "mail,default")
    enqueue_to("mail", "act", "tell", "mail")
    enqueue("act", "tell", "default")
    told(facts, "default")
    assert store().queues.size("mail") == 1
    with within(PROMPT):
        store().ask(store().control.resume_queue("mail"))
        told(facts, "mail")


def test_all_workers_wait_while_all_are_paused(worker, facts):
    store().ask(store().control.pause_all(True))
    process = worker()
    until(lambda: "all workers are paused" in process.log)
    enqueue("act", "tell", "job")
    store().ask(store().control.pause_all(False))
    told(facts, "job")


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_a_frozen_worker_does_not_stop_later(worker, facts):
    process = worker()
    targets = workers()
    process.process.send_signal(signal.SIGSTOP)
    assert outcomes(control.stop(targets, timeout=0.5)) == [Outcome.NO_ANSWER]
    process.process.send_signal(signal.SIGCONT)
    enqueue("act", "tell", "job")
    told(facts, "job")
    assert outcomes(control.pause(workers())) == [Outcome.DONE]
    assert process.process.poll() is None


def test_a_killed_worker_does_not_answer(worker):
    process = worker()
    targets = workers()
    process.process.kill()
    process.process.wait()
    assert outcomes(control.stop(targets, timeout=0.5)) == [Outcome.NO_ANSWER]


def test_garbage_among_the_messages_does_no_harm(worker, clean_redis):
    process = worker()
    (target,) = workers()
    clean_redis.rpush(f"resque:django:control:{target.name}", b"\xff", *[b"garbage %d" % n for n in range(30)])
    assert outcomes(control.pause([target])) == [Outcome.DONE]
    until(lambda: not clean_redis.exists(f"resque:django:control:{target.name}"))
    assert process.log.count("a control message could not be read") == 31


# -- on another host ---------------------------------------------------------------------------------------------------


@pytest.fixture
def distant(tmp_path, worker, settings):
    """A worker in namespaces of its own, which shares with the tests a Redis and nothing else."""
    probe = subprocess.run([*_NAMESPACES, "true"], capture_output=True) if sys.platform == "linux" else None
    if probe is None or probe.returncode != 0:
        pytest.skip("namespaces cannot be made here")
    with RedisServer(unix=True) as server:
        settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": server.url}}
        facts = f"unix://{server.socket}?db=1"
        env = {"DJANGO_RESQUE_TEST_REDIS": server.url, "DJANGO_RESQUE_TEST_FACTS": facts}
        process = worker(
            env=env, command=[*_NAMESPACES, sys.executable, "-c", ON_ANOTHER_HOST, "--grace", "60", "-n", "2"]
        )
        with redis.Redis.from_url(facts, decode_responses=True, socket_timeout=None) as client:
            yield process, client
        process.close()
        store().close()


def test_a_worker_of_another_host_does_what_it_is_told(distant):
    process, facts = distant
    (here,) = workers()
    assert here.process is not None
    assert here.process.host == HOSTNAME
    assert here.process.pid == 1  # over there; here this is quite another process
    assert not Path("/proc/1/cmdline").read_bytes().startswith(b"resque-")

    def everybody() -> list[Target]:
        return control.find(Wanted(host=HOSTNAME))

    assert outcomes(control.pause(everybody())) == [Outcome.DONE]
    one, two, three = (enqueue("act", "wait", name) for name in ("one", "two", "three"))
    assert store().queues.size("default") == 3
    assert outcomes(control.resume(everybody())) == [Outcome.DONE]
    told(facts, "one:started")
    told(facts, "two:started")
    found = control.end_job(one.id)
    assert found.by == control.find(Wanted(host=HOSTNAME))[0]
    told(facts, "three:started")
    (result,) = control.cleanup(everybody())
    assert sorted(result.jobs) == sorted([two.id, three.id])
    until(lambda: processed() == 3)
    assert failures() == ["JobEnded"] * 3
    assert outcomes(control.stop(everybody())) == [Outcome.DONE]
    assert process.wait() == 0
    assert store().processes.all() == []


def test_a_worker_of_another_host_finishes_its_job_before_it_has_left(distant):
    process, facts = distant
    workers()
    enqueue("act", "wait", "job")
    told(facts, "job:started")
    (result,) = control.stop(control.find(Wanted(host=HOSTNAME)), timeout=0.5)
    assert result.outcome is Outcome.ACKNOWLEDGED
    facts.rpush("job:go", "now")
    assert process.wait() == 0
    assert (processed(), failures(), store().processes.all()) == (1, [], [])
