"""Telling workers what to do: who is meant, and what came of it. The workers here are threads that take turns."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import redis
from django.test import override_settings

from django_resque import control
from django_resque.control import Outcome, Result, Target, Wanted
from django_resque.errors import NoSuchWorker, StoreUnavailable
from django_resque.store import Population, WorkerProcessInfo, store
from django_resque.worker.control import Control

from .processes_in_redis import TurnTaker
from .proxy import Proxy
from .servers import RedisServer

SHORT = 0.3
"""Seconds to wait for what will not come."""


class Worker(threading.Thread):
    """A worker process that reads its messages and obeys, in a thread.

    It leaves when told to stop; not before `may_leave` is set.
    """

    def __init__(self, name: str, client: redis.Redis, *, queues: str = "default", **info: object) -> None:
        super().__init__(daemon=True)
        self.client = client
        self.taker = TurnTaker(name, workers=[f"host~{name}-1:42:{queues}"])
        self.key = f"resque:django:process:{name}"
        self.messages = f"resque:django:control:{name}"
        client.hset(self.key, mapping={"info": json.dumps({"queues": queues, **info}), "mode": "running"})
        self.control = Control()
        self.done: list[str] = []
        self.running: list[str] = []
        self.mode = "running"
        self.may_leave = threading.Event()
        self.may_leave.set()
        self.tells_its_mode = True
        self.ends = threading.Event()

    def run(self) -> None:
        while not self.ends.is_set():
            found = self.client.lrange(self.messages, 0, 9)
            seconds, microseconds = self.client.time()
            entries = self.control.obey(found, seconds + microseconds / 1e6, self)
            if self.tells_its_mode:
                self.client.hset(self.key, "mode", self.mode)
            if entries:
                self.taker.turn(*entries)
            if self.mode == "stopping" and self.may_leave.is_set():
                self.taker.unregister()
                return
            time.sleep(0.005)

    def control_stop(self, force: bool) -> None:
        self.done.append("stop now" if force else "stop")
        self.mode = "stopping"

    def pause(self, reason: str) -> None:
        self.done.append("pause")
        self.mode = "paused"

    def resume(self, reason: str) -> None:
        self.done.append("resume")
        self.mode = "running"

    def end_running_jobs(self, reason: str) -> list[str]:
        self.done.append("cleanup")
        ended, self.running = self.running, []
        return ended

    def end_job(self, job_id: str) -> bool:
        self.done.append("end_job")
        return job_id in self.running

    def describe(self) -> dict[str, Any]:
        return {"mode": self.mode, "running": self.running}


@pytest.fixture
def start(clean_redis: redis.Redis) -> Iterator[Callable[..., Worker]]:
    """Makes worker processes; with ``deaf=True`` they read nothing."""
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


@pytest.fixture(autouse=True)
def _short_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MARGIN", 0.2)


def outcomes(results: Sequence[Result]) -> dict[str, Outcome]:
    return {result.target.name: result.outcome for result in results}


def everybody() -> list[Target]:
    return control.find(Wanted())


# -- who is meant ------------------------------------------------------------------------------------------------------


def process(name: str, **about: Any) -> WorkerProcessInfo:
    return WorkerProcessInfo(name, "identity", lease=2, alive=True, **about)


PEOPLE = Population(
    now=1,
    processes=[
        process("aaaaaa", host="web1", queues="mail,default", workers=["web1~aaaaaa-1:7:mail,default"]),
        process("bbbbbb", host="web2", queues="*,!mail", workers=["web2~bbbbbb-1:8:*", "web2~bbbbbb-2:8:*"]),
        process("cccccc", host="web2", kind="scheduler"),
    ],
    others=["ruby:9:mail,low", "web1~dddddd-1:10:mail"],
)


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, ["aaaaaa", "bbbbbb", "cccccc", "ruby:9:mail,low", "web1~dddddd-1:10:mail"]),
        ({"worker": "web1~aaaaaa-1:7:mail,default"}, ["aaaaaa"]),
        ({"worker": "web2~bbbbbb-2:8"}, ["bbbbbb"]),
        ({"worker": "ruby:9:mail,low"}, ["ruby:9:mail,low"]),
        ({"process": "cccccc"}, ["cccccc"]),
        ({"process": "dddddd"}, ["web1~dddddd-1:10:mail"]),
        ({"host": "web2"}, ["bbbbbb", "cccccc"]),
        ({"host": "web1"}, ["aaaaaa", "web1~dddddd-1:10:mail"]),
        ({"host": "ruby"}, ["ruby:9:mail,low"]),
        ({"queue": "mail"}, ["aaaaaa", "ruby:9:mail,low", "web1~dddddd-1:10:mail"]),
        ({"queue": "low"}, ["bbbbbb", "ruby:9:mail,low"]),
        ({"queue": "low", "host": "web2"}, ["bbbbbb"]),
        ({"kind": "scheduler"}, ["cccccc"]),
        ({"kind": "worker", "host": "web2"}, ["bbbbbb"]),
    ],
)
def test_those_are_meant_for_whom_all_is_true_that_is_said(wanted: dict[str, str], names: list[str]):
    assert [target.name for target in control.select(PEOPLE, Wanted(**wanted))] == names


@pytest.mark.parametrize("wanted", [{"worker": "web1~aaaaaa-1"}, {"process": "aaaaa"}, {"host": "web"}])
def test_who_is_not_there_is_an_error_that_says_who_is(wanted: dict[str, str]):
    with pytest.raises(NoSuchWorker) as caught:
        control.select(PEOPLE, Wanted(**wanted))
    ((name, value),) = wanted.items()
    assert f"No worker is meant by {name} {value}. There are: aaaaaa (worker on web1: mail,default), " in str(
        caught.value
    )


def test_without_workers_the_error_says_that():
    with pytest.raises(NoSuchWorker, match=r"No worker is registered$"):
        control.find(Wanted())


def test_of_very_many_workers_the_error_names_some():
    many = Population(1, [process(f"aaaa{number:02}") for number in range(15)], [])
    with pytest.raises(NoSuchWorker, match="aaaa09 .* and 5 more$"):
        control.select(many, Wanted(process="x"))


# -- what came of it ---------------------------------------------------------------------------------------------------


def test_a_worker_is_stopped_when_it_has_left(start: Callable[..., Worker], clean_redis: redis.Redis):
    worker = start()
    (result,) = control.stop(everybody())
    assert (result.outcome, result.done) == (Outcome.DONE, True)
    assert worker.done == ["stop"]
    assert not clean_redis.exists("resque:django:processes")
    assert clean_redis.keys("resque:django:control:*") == []


def test_it_may_be_told_to_stop_at_once(start: Callable[..., Worker]):
    worker = start()
    assert control.stop(everybody(), force=True)[0].done
    assert worker.done == ["stop now"]


def test_a_worker_that_has_not_left_in_time_is_still_at_it(start: Callable[..., Worker]):
    worker = start()
    worker.running = ["job1"]
    worker.may_leave.clear()
    (result,) = control.stop(everybody(), timeout=SHORT)
    assert (result.outcome, result.done) == (Outcome.ACKNOWLEDGED, False)
    assert result.running == ["job1"]
    assert "1 job(s)" in result.detail


def test_several_are_told_at_once_and_each_has_a_result_of_its_own(
    start: Callable[..., Worker], clean_redis: redis.Redis
):
    start("aaaaaa")
    slow = start("bbbbbb")
    slow.may_leave.clear()
    start("cccccc", deaf=True)
    clean_redis.sadd("resque:workers", "ruby:9:mail", "host~dddddd-1:10:mail")
    assert outcomes(control.stop(everybody(), timeout=SHORT)) == {
        "aaaaaa": Outcome.DONE,
        "bbbbbb": Outcome.ACKNOWLEDGED,
        "cccccc": Outcome.NO_ANSWER,
        "ruby:9:mail": Outcome.NOT_OURS,
        "host~dddddd-1:10:mail": Outcome.GONE,
    }


def test_who_does_not_wait_is_obeyed_all_the_same(start: Callable[..., Worker]):
    worker = start()
    worker.may_leave.clear()
    (result,) = control.stop(everybody(), timeout=0)
    assert result.outcome is Outcome.ACKNOWLEDGED
    assert worker.done == ["stop"]


def test_a_message_that_nobody_read_does_not_act_later(start: Callable[..., Worker]):
    worker = start(deaf=True)
    assert outcomes(control.stop(everybody(), timeout=SHORT)) == {"abc123": Outcome.NO_ANSWER}
    worker.client.persist(worker.messages)  # Redis may be late in letting it expire
    worker.start()
    while worker.client.exists(worker.messages):
        time.sleep(0.01)
    assert worker.done == []
    assert control.pause(everybody())[0].done


def test_pausing_and_resuming_wait_until_the_worker_says_that_it_is(start: Callable[..., Worker]):
    worker = start()
    assert control.pause(everybody())[0].done
    assert store().processes.all()[0].mode == "paused"
    assert control.resume(everybody())[0].done
    worker.tells_its_mode = False
    assert outcomes(control.pause(everybody(), timeout=SHORT)) == {"abc123": Outcome.ACKNOWLEDGED}


def test_what_the_worker_will_not_do_is_refused(start: Callable[..., Worker]):
    worker = start()
    worker.may_leave.clear()
    control.stop(everybody(), timeout=SHORT)
    (result,) = control.pause(everybody())
    assert (result.outcome, result.detail) == (Outcome.REFUSED, "the worker is stopping")


def test_cleaning_up_names_the_jobs_that_were_ended(start: Callable[..., Worker]):
    worker = start()
    worker.running = ["job1", "job2"]
    (result,) = control.cleanup(everybody())
    assert (result.outcome, result.jobs, result.detail) == (Outcome.DONE, ["job1", "job2"], "ended job1, job2")
    (result,) = control.cleanup(everybody())
    assert (result.outcome, result.jobs, result.detail) == (Outcome.DONE, [], "no job was running")


def test_a_job_is_ended_wherever_it_runs(start: Callable[..., Worker]):
    workers = [start(name) for name in ("aaaaaa", "bbbbbb", "cccccc")]
    workers[1].running = ["job1"]
    found = control.end_job("job1")
    assert found.by is not None
    assert (found.by.name, found.silent) == ("bbbbbb", [])


def test_a_job_that_runs_nowhere_is_not_ended_and_who_was_silent_is_told(start: Callable[..., Worker]):
    start("aaaaaa")
    assert control.end_job("job1").by is None
    assert control.end_job("job1").silent == []
    start("bbbbbb", deaf=True)
    found = control.end_job("job1", timeout=SHORT)
    assert found.by is None
    assert outcomes(found.silent) == {"bbbbbb": Outcome.NO_ANSWER}


def test_schedulers_are_not_asked_about_jobs(start: Callable[..., Worker]):
    scheduler = start(kind="scheduler")
    assert control.end_job("job1").by is None
    assert scheduler.done == []


def test_a_worker_that_has_left_since_is_gone(start: Callable[..., Worker]):
    worker = start(deaf=True)
    targets = everybody()
    worker.taker.unregister()
    assert outcomes(control.pause(targets)) == {"abc123": Outcome.GONE}


def test_a_worker_that_leaves_without_an_answer_is_gone(start: Callable[..., Worker], clean_redis: redis.Redis):
    worker = start(deaf=True)
    results: list[Result] = []
    asking = threading.Thread(target=lambda: results.extend(control.pause(everybody())))
    asking.start()
    while not clean_redis.exists(worker.messages):
        time.sleep(0.005)
    worker.taker.unregister()
    asking.join(30)
    assert outcomes(results) == {"abc123": Outcome.GONE}


def test_a_worker_whose_lease_has_ended_is_not_told(start: Callable[..., Worker], clean_redis: redis.Redis):
    worker = start(deaf=True)
    clean_redis.zadd("resque:django:processes", {worker.taker.process.member: store().time() - 40})
    (result,) = control.stop(everybody())
    assert result.outcome is Outcome.LEASE_ENDED
    assert result.detail.endswith(" s ago; it was not told")
    assert not clean_redis.exists(worker.messages)


def test_a_worker_whose_lease_ends_while_it_is_asked(start: Callable[..., Worker], clean_redis: redis.Redis):
    worker = start(deaf=True)
    lease = store().time() + 1
    clean_redis.zadd("resque:django:processes", {worker.taker.process.member: lease})
    (result,) = control.stop(everybody(), timeout=1)
    assert result.outcome is Outcome.LEASE_ENDED


def test_what_happens_is_told_as_it_happens(start: Callable[..., Worker]):
    worker = start()
    worker.may_leave.clear()
    told: list[Result] = []

    def progress(result: Result) -> None:
        told.append(result)
        worker.may_leave.set()

    assert control.stop(everybody(), progress=progress) == told[-1:]
    assert [result.outcome for result in told] == [Outcome.ACKNOWLEDGED, Outcome.DONE]


@pytest.mark.parametrize("raw", [b"", b"\xff", b"[]", b"{}", b'{"ok": 1}'])
def test_an_answer_that_is_none_is_no_success(
    start: Callable[..., Worker], clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch, raw: bytes
):
    worker = start(deaf=True)
    results: list[Result] = []
    asking = threading.Thread(target=lambda: results.extend(control.pause(everybody())))
    asking.start()
    while not (found := clean_redis.lrange(worker.messages, 0, -1)):
        time.sleep(0.005)
    clean_redis.rpush(f"resque:django:reply:{json.loads(found[0])['id']}", raw)
    asking.join(30)
    assert outcomes(results) == {"abc123": Outcome.REFUSED}


def test_a_process_that_cannot_be_told_does_not_keep_the_others_from_it(
    start: Callable[..., Worker], clean_redis: redis.Redis
):
    start("aaaaaa")
    clean_redis.set(start("bbbbbb", deaf=True).messages, "not a list")
    first, second = control.pause(everybody())
    assert (first.outcome, second.outcome) == (Outcome.DONE, Outcome.NO_ANSWER)
    assert "WRONGTYPE" in second.detail


# -- when Redis is in trouble ------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[Proxy]:
    """What who asks has to do with; the workers have Redis itself."""
    with Proxy(redis_server.port) as found:
        yield found


@pytest.mark.parametrize("to", [b"EVALSHA", b"BLPOP", b"HMGET"])
def test_what_gets_lost_on_the_way_is_said_again_and_done_once(start: Callable[..., Worker], proxy: Proxy, to: bytes):
    worker = start()
    worker.running = ["job1"]
    with override_settings(CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": proxy.url}}):
        targets = everybody()
        if to == b"HMGET":
            store().processes.states([])
        fault = proxy.lose_replies(1, to=to)
        if to == b"HMGET":
            with pytest.raises(StoreUnavailable):  # nothing has been said yet
                control.cleanup(targets)
        (result,) = control.cleanup(targets)
        store().close()
    assert fault.happened == 1
    assert (result.outcome, result.jobs) == (Outcome.DONE, ["job1"])
    assert worker.done == ["cleanup"]


def test_who_cannot_reach_redis_any_more_says_that_nobody_has_answered(start: Callable[..., Worker], proxy: Proxy):
    start(deaf=True)
    told: list[Result] = []

    def refuse(result: Result) -> None:
        told.append(result)

    with override_settings(CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": proxy.url}}):
        targets = everybody()
        store().ask(store().control.resume_queue("mail"))  # the script's connection is there
        proxy.lose_replies(to=b"EVAL")
        (result,) = control.stop(targets, timeout=SHORT, progress=refuse)
        store().close()
    assert result.outcome is Outcome.NO_ANSWER
    assert "Redis is not available" in result.detail
    assert told == [result]
