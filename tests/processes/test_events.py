"""The signals of jobs and workers: when they are sent, in which process, and what receivers can do."""

from __future__ import annotations

import ast
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.dispatch import Signal

from django_resque import Job, enqueue, enqueue_in, enqueue_many, using
from django_resque.errors import DontCreate
from django_resque.signals import after_enqueue, after_schedule, before_enqueue
from django_resque.status import Status
from django_resque.store import store
from tests.workers import WorkerProcess, resque, told, until

Listening = Callable[..., WorkerProcess]


@pytest.fixture
def listening(worker: Callable[..., WorkerProcess], tmp_path: Path) -> Listening:
    """Starts a worker with the receivers of ``tests/jobs/receivers.py``."""

    def start(*args: str, **settings: Any) -> WorkerProcess:
        env = {"DJANGO_RESQUE_TEST_DATABASE": str(tmp_path / "db.sqlite3"), **resque(**settings)}
        return worker(*args, settings="tests.settings_with_receivers", env=env)

    return start


def events(facts: Any, job: Job | None = None) -> list[tuple[str, int, dict[str, Any]]]:
    """What receivers have told, of one job or of the worker: event, pid, and the rest."""
    found = [json.loads(text) for text in facts.lrange("events", 0, -1)]
    wanted = None if job is None else job.id
    return [(event, pid, about) for event, pid, about in found if about.pop("job", None) == wanted]


def failure_of(job: Job) -> Any:
    (found,) = (failure for failure in store().failures.latest() if failure.job.id == job.id)
    return found


# -- of a worker -------------------------------------------------------------------------------------------------------


def test_the_signals_of_a_worker_and_its_forks(listening, facts):
    process = listening("-q", "default,mail", "-n", "2")
    enqueue("act", "describe", "about")
    about = ast.literal_eval(told(facts, "about"))
    until(lambda: len(events(facts)) == 6)
    performers = process.children()
    assert process.stop() == 0
    told_events = events(facts)
    worker = told_events[0][2]["worker"]
    assert all(about["worker"] == worker for _, _, about in told_events)
    in_dispatcher = [event for event, pid, _ in told_events if pid == process.pid]
    assert in_dispatcher[0] == "before_first_fork"
    assert sorted(in_dispatcher) == [
        "before_first_fork", "before_fork", "before_fork", "worker_started", "worker_stopped",
    ]  # fmt: skip
    assert in_dispatcher[-1] == "worker_stopped"
    elsewhere = [(event, pid) for event, pid, _ in told_events if pid != process.pid]
    assert sorted(elsewhere) == sorted(("after_fork", pid) for pid in performers)
    assert [about["queues"] for event, _, about in told_events if event == "worker_started"] == ["default,mail"]
    # what they have connected to is closed before the fork
    connected = {event: about["connected"] for event, _, about in told_events if "connected" in about}
    assert connected == {"before_first_fork": True, "before_fork": True, "after_fork": False}
    assert not any("db.sqlite3" in target for target in about["descriptors"])
    # and what they raise is logged, and all that becomes of it
    for word in ("before all forks", "leaves the worker", "leaves the performer", "at the start", "at the end"):
        assert word in process.log
    assert "ended unexpectedly" not in process.log


def test_each_performer_is_announced(listening, facts):
    enqueue_many("act", [(("tell", "done"), {}) for _ in range(3)])
    process = listening("--burst", "--max-jobs", "1")
    assert process.wait() == 0
    found = [event for event, _, _ in events(facts)]
    assert found.count("before_first_fork") == 1
    assert found.count("before_fork") == found.count("after_fork") >= 3
    assert facts.llen("done") == 3


# -- of a job ----------------------------------------------------------------------------------------------------------


def test_the_signals_of_a_job_are_sent_where_it_is_performed(listening, facts):
    job = enqueue("life", "give", '{"rows": 3}')
    tried = using(max_attempts=2, backoff=0.01).enqueue("act", "refuse", "no")
    process = listening()
    assert job.wait(30) is Status.COMPLETE
    assert tried.wait(30) is Status.FAILED
    (performer,) = process.children()
    assert events(facts, job) == [
        ("before_perform", performer, {"current": job.id}),
        ("after_perform", performer, {"result": {"rows": 3}}),
    ]
    assert events(facts, tried) == [
        ("before_perform", performer, {"current": tried.id}),
        ("after_retry", performer, {"error": "ValueError", "attempt": 1, "delay": 0.01}),
        ("before_perform", performer, {"current": tried.id}),
        ("on_failure", performer, {"error": "ValueError", "attempt": 2}),
    ]
    assert "a receiver was here" in tried.output
    assert process.stop() == 0
    assert "of the receiver of a retry" in process.log
    assert "of the receiver of a failure" in process.log


def test_a_receiver_can_keep_a_job_from_being_performed_or_make_it_a_failure(listening, facts):
    unwanted = enqueue("act", "tell", "done", "unwanted")
    before = enqueue("act", "tell", "done", "spoilt before")
    behind = enqueue("act", "tell", "done", "spoilt behind")
    leaving = enqueue("act", "refuse", "leave")
    after = enqueue("act", "tell", "done", "after")
    process = listening()
    assert [job.wait(30) for job in (unwanted, before, behind, leaving, after)] == [
        Status.COMPLETE, Status.FAILED, Status.FAILED, Status.FAILED, Status.COMPLETE,
    ]  # fmt: skip
    assert (unwanted.outcome, after.outcome) == ("not performed", "")
    assert facts.lrange("done", 0, -1) == ["spoilt behind", "after"]
    for job, where in ((before, "before"), (behind, "behind")):
        failure = failure_of(job)
        assert (failure.exception, failure.error) == ("ArithmeticError", f"of the receiver {where}")
        assert any("receivers.py" in line for line in failure.backtrace)
    assert failure_of(leaving).exception == "ValueError"
    assert process.stop() == 0
    assert "a receiver leaves" in process.log
    assert "crashed" not in process.log
    counters = store().stats.counters()
    assert (counters.processed, counters.failed) == (5, 3)


def test_when_a_performer_died_the_next_one_tells_before_its_next_job(listening, facts):
    poison = enqueue("act", "kill", "SIGKILL", "dead")
    killed = enqueue("act", "witness", "killed")
    fatal = using(on_crash="fail").enqueue("act", "kill", "SIGKILL", "fatal")
    leaving = using(on_crash="fail").enqueue("act", "kill", "SIGKILL", "leave")
    last = enqueue("act", "tell", "done", "last")
    process = listening(MAX_CRASHES=1)
    dead = {poison.id: int(told(facts, "dead"))}
    dead[killed.id] = ast.literal_eval(told(facts, "killed"))[0]
    os.kill(process.pid, signal.SIGUSR1)
    dead[fatal.id] = int(told(facts, "fatal"))
    assert last.wait(30) is Status.COMPLETE
    assert [job.wait(30) for job in (poison, killed, fatal, leaving)] == [Status.FAILED] * 4
    order = [json.loads(text) for text in facts.lrange("events", 0, -1)]
    order = [(event, pid, about.get("job"), about.get("error")) for event, pid, about in order if "job" in about]
    names = ["PoisonJob", "JobEnded", "DirtyExit", "DirtyExit"]
    jobs = [poison, killed, fatal, leaving, last]
    for job, following, name in zip(jobs, jobs[1:], names, strict=False):
        at = order.index(next(event for event in order if event[0] == "on_failure" and event[2] == job.id))
        _, pid, _, error = order[at]
        assert error == name
        assert pid != dead.get(job.id)
        assert order[at + 1][:3] == ("before_perform", pid, following.id)
    assert process.stop() == 0
    assert "a receiver leaves" in process.log


# -- where jobs are enqueued -------------------------------------------------------------------------------------------


@contextmanager
def connected(receiver: Callable[..., None], *signals: Signal) -> Iterator[None]:
    for each in signals:
        each.connect(receiver)
    try:
        yield
    finally:
        for each in signals:
            each.disconnect(receiver)


def test_the_signals_of_a_job_that_is_enqueued_and_of_one_that_is_delayed():
    sent: list[tuple[Signal, str, Any]] = []

    def receive(sender: Any, job: Job, signal: Signal, due: Any = "", **_: Any) -> None:
        assert sender is Job
        sent.append((signal, job.id, due))

    with connected(receive, before_enqueue, after_enqueue, after_schedule):
        now = enqueue("act", "tell", "now")
        later = using(at=4_000_000_000).enqueue("act", "tell", "later")
    assert sent == [
        (before_enqueue, now.id, ""),
        (after_enqueue, now.id, ""),
        (before_enqueue, later.id, ""),
        (after_enqueue, later.id, ""),
        (after_schedule, later.id, 4_000_000_000),
    ]


def test_a_receiver_can_keep_a_job_from_being_enqueued():
    told_of = []

    def refuse(job: Job, **_: Any) -> None:
        if "unwanted" in job.args:
            raise DontCreate

    def note(job: Job, **_: Any) -> None:
        told_of.append(job.id)

    with connected(refuse, before_enqueue), connected(note, after_enqueue):
        unwanted = enqueue("act", "tell", "unwanted")
        enqueue_in(60, "act", "tell", "unwanted")
        several = enqueue_many("act", [(("tell", "unwanted"), {}), (("tell", "wanted"), {})])
    assert (unwanted.status, several[0].status, several[1].status) == (
        Status.UNKNOWN, Status.UNKNOWN, Status.WAITING,
    )  # fmt: skip
    assert store().queues.size("default") == 1
    assert store().client.zcard("resque:delayed_queue_schedule") == 0
    assert told_of == [several[1].id]
    with connected(_divide, before_enqueue), pytest.raises(ZeroDivisionError):
        enqueue("act", "tell", "unwanted")
    assert store().queues.size("default") == 1


def _divide(**_: Any) -> None:
    raise ZeroDivisionError


def test_the_failure_of_a_job_whose_whole_worker_died_is_told_by_who_finds_it(listening, facts):
    victim = listening()
    job = using(on_crash="fail").enqueue("act", "wait", "job")
    told(facts, "job:started")
    sibling = listening()
    until(lambda: len(store().processes.all()) == 2)
    os.kill(victim.pid, signal.SIGKILL)
    assert job.wait(30) == Status.FAILED
    (found,) = until(lambda: [told for told in events(facts, job) if told[0] == "on_failure"])
    assert found[1] in sibling.children()
    assert found[2] == {"error": "DirtyExit", "attempt": 1}
    assert sibling.stop() == 0
