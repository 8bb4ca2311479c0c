"""What becomes of the processes that jobs have started, whoever dies."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from django_resque import enqueue
from django_resque.store import store
from django_resque.store.embedded import is_embedded_server, stop
from tests.workers import WorkerProcess, told, until

HOW = ["plain", "setsid", "twice", "forked"]


def lives(pid: int) -> bool:
    """Whether it is there, and not only its exit status."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def dead(pid: int) -> bool:
    return not lives(pid)


def test_what_jobs_have_left_ends_with_them(worker, facts):
    for how in HOW:
        enqueue("act", "leave_running", how, how)
    enqueue("act", "tell", "after")
    process = worker("-n", "2")
    told(facts, "after")
    for how in HOW:
        pid = int(told(facts, how))
        until(lambda pid=pid: dead(pid))
    assert process.stop() == 0
    assert store().stats.counters().processed == 5
    assert store().failures.latest() == []


@pytest.mark.parametrize("how", HOW)
def test_what_a_crashed_job_has_left_ends_with_its_performer(worker, facts, how):
    enqueue("act", "leave_running_and_die", "left", how)
    assert worker("--burst").wait() == 0
    for _crash in range(3):
        assert dead(int(told(facts, "left")))


@pytest.mark.parametrize("how", HOW)
def test_what_a_killed_worker_has_left_is_ended_by_the_next(worker, facts, clean_redis, how):
    enqueue("act", "start_and_wait", "left", how)
    process = worker()
    pid = int(told(facts, "left"))
    process.stop(signal.SIGKILL)
    clean_redis.flushdb()
    assert worker("--burst").wait() == 0
    assert dead(pid)


def test_what_a_killed_worker_has_left_is_ended_by_its_sibling(worker, facts):
    enqueue("act", "start_and_wait", "left", "setsid")
    process = worker()
    pid = int(told(facts, "left"))
    sibling = worker("-q", "other")
    until(lambda: len(store().workers.all()) == 2)
    process.stop(signal.SIGKILL)
    until(lambda: dead(pid))
    assert sibling.stop() == 0


def test_what_was_there_before_the_worker_lives_on(worker, facts, tmp_path):
    path = tmp_path / "pid"
    shell = f"sleep 600 & echo $! > {path}; exec {sys.executable} -m django resque_worker --burst"
    enqueue("act", "leave_running_and_die", "left", "plain")
    process: WorkerProcess = worker(command=["sh", "-c", shell])
    assert process.wait() == 0
    pid = int(path.read_text())
    assert lives(pid)
    os.kill(pid, signal.SIGKILL)


def test_an_embedded_server_that_a_crashed_job_has_started_lives_on(worker, facts):
    home = Path(tempfile.mkdtemp(prefix="resque-")).resolve()
    folder = home / "server"
    try:
        enqueue("act", "start_embedded", str(folder))
        enqueue("act", "leave_running_and_die", "left", "setsid")
        assert worker("--burst").wait() == 0
        for name in ("running.lock", "keeper.lock"):
            assert is_embedded_server(int((folder / name).read_text()))
    finally:
        stop(folder)
        shutil.rmtree(home)
