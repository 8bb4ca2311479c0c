"""``manage.py resque``: each verb that has to do with worker processes, typed as somebody types it."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis

from django_resque import enqueue, enqueue_to
from django_resque.store import WorkerProcessInfo, store
from tests.workers import ROOT, WorkerProcess, is_gone, resque, told, until


class Ran(NamedTuple):
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def command_line(*argv: str) -> list[str]:
    return [sys.executable, "-m", "django", "resque", *argv]


def environment(env: dict[str, str] | None = None) -> dict[str, str]:
    ours = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    return {**os.environ, **ours, **(env or {})}


def run(*argv: str, env: dict[str, str] | None = None, ok: bool = True) -> Ran:
    """Type ``resque``, the verb and its options, in a script; it is to succeed, or (``ok`` False) not."""
    done = subprocess.run(
        command_line(*argv), env=environment(env), cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert (done.returncode == 0) == ok, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


def processes() -> dict[str, WorkerProcessInfo]:
    return {process.name: process for process in store().processes.all()}


def registered(count: int) -> list[WorkerProcessInfo]:
    """So many processes, as soon as they have registered."""
    until(lambda: len(processes()) == count)
    return list(processes().values())


@pytest.fixture
def background(clean_redis: redis.Redis, tmp_path: Path) -> Iterator[list[str]]:
    """Options with which workers are started in the background; those that are left at the end are killed."""
    yield ["--log", str(tmp_path / "resque.log")]
    for process in processes().values():
        if process.launch:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)


# -- start -------------------------------------------------------------------------------------------------------------


def test_workers_are_started_in_the_background_and_perform(background: list[str], facts: redis.Redis, tmp_path: Path):
    found = run("start", "-n2", "--performers=2", "-q", "mail,default", "--json", *background).json
    assert [worker["registered"] for worker in found] == [True, True]
    assert {worker["worker"] for worker in found} == set(processes())
    for process in processes().values():
        assert (process.queues, process.performers, process.mode) == ("mail,default", 2, "running")
        assert process.log == str(tmp_path / "resque.log")
        assert os.getsid(process.pid) == process.pid
        assert os.readlink(f"/proc/{process.pid}/fd/0") == "/dev/null"
    enqueue("act", "tell", "fact")
    assert told(facts, "fact") == "here"
    assert (tmp_path / "resque.log").read_text().count("started: 2 performer(s) for mail,default") == 2
    assert run("stop", "--all").out.count(" done") == 2
    assert all(is_gone(worker["pid"]) for worker in found)


def test_a_worker_that_does_not_start_is_an_error_with_the_end_of_its_log(background: list[str], tmp_path: Path):
    log = tmp_path / "resque.log"
    log.write_text("of an earlier day\n")
    ran = run("start", *background, env=resque(COMMANDS=["nonesuch"]), ok=False)
    assert ran.status == 1
    assert "has ended with exit status 1 before it had registered. The end of what it has written in" in ran.err
    assert "django_resque.E003" in ran.err
    assert "of an earlier day" not in ran.err


def test_a_worker_that_cannot_register_in_time_goes_on_trying(background: list[str], tmp_path: Path):
    nowhere = {"DJANGO_RESQUE_TEST_REDIS": "redis://127.0.0.1:1/0"}
    pidfile = tmp_path / "pid"
    ran = run("start", "--timeout=6", "--pidfile", str(pidfile), *background, env=nowhere, ok=False)
    os.kill(int(pidfile.read_text()), signal.SIGKILL)
    assert "has not registered within 6 s, and goes on trying" in ran.err
    assert "Redis is not available" in ran.err


def test_each_worker_may_have_a_log_of_its_own(background: list[str], tmp_path: Path):
    found = run("start", "-n2", "--log", str(tmp_path / "{pid}.log"), "--json").json
    assert {worker["log"] for worker in found} == {str(tmp_path / f"{worker['pid']}.log") for worker in found}
    assert all("started" in Path(worker["log"]).read_text() for worker in found)
    ran = run(
        "start", "--log", str(tmp_path / "{pid}.log"), "--log-level=ERROR", env=resque(COMMANDS=["nonesuch"]), ok=False
    )
    assert "django_resque.E003" in ran.err


def test_a_scheduler_is_started_in_the_background(background: list[str], clean_redis: redis.Redis):
    (found,) = run("startscheduler", "--json", *background).json
    (process,) = processes().values()
    assert (process.kind, process.name) == ("scheduler", found["worker"])
    run("stop")
    assert processes() == {}


def test_predefined_workers_are_loaded(background: list[str], tmp_path: Path):
    workers = {
        "mail": {"queues": ["mail", "low"], "performers": 2, "log": str(tmp_path / "mail.log")},
        "rest": {"queues": "*,!mail", "count": 2, "log": str(tmp_path / "rest.log"), "options": ["--max-jobs", "5"]},
    }
    env = resque(WORKERS=workers)
    found = run("load", "--json", env=env).json
    assert sorted((worker["queues"], Path(worker["log"]).name) for worker in found) == [
        ("*,!mail", "rest.log"),
        ("*,!mail", "rest.log"),
        ("mail,low", "mail.log"),
    ]
    run("stop", "-q", "images")
    (left,) = processes().values()
    assert left.queues == "mail,low"
    assert "mail,low" in run("load", "mail", env=env).out
    assert len(processes()) == 2


# -- control -----------------------------------------------------------------------------------------------------------


def test_a_worker_is_paused_and_resumed(worker: Callable[..., WorkerProcess], facts: redis.Redis):
    worker()
    (process,) = registered(1)
    out = run("pause").out
    assert process.name in out
    assert "done" in out
    assert processes()[process.name].mode == "paused"
    enqueue("act", "tell", "fact")
    enqueue("act", "tell", "fact", "again")
    assert run("pause", ok=False).err.strip().endswith("No worker is running")
    assert facts.llen("fact") == 0
    run("resume")
    assert (told(facts, "fact"), told(facts, "fact")) == ("here", "again")


def test_everything_is_paused_and_resumed(worker: Callable[..., WorkerProcess], facts: redis.Redis):
    worker()
    registered(1)
    run("pause", "--everything")
    enqueue("act", "tell", "fact")
    run("pause")
    assert "pause --everything is in force" in run("resume").err
    assert facts.llen("fact") == 0
    run("resume", "--everything")
    assert told(facts, "fact") == "here"


def test_a_queue_is_paused_and_resumed(worker: Callable[..., WorkerProcess], facts: redis.Redis):
    run("pausequeue", "mail")
    worker("-q", "mail,default")
    enqueue_to("mail", "act", "tell", "fact", "of mail")
    enqueue("act", "tell", "fact", "of default")
    assert told(facts, "fact") == "of default"
    run("resumequeue", "mail")
    assert told(facts, "fact") == "of mail"


def test_a_worker_that_is_stopped_finishes_its_job_first(worker: Callable[..., WorkerProcess], facts: redis.Redis):
    process = worker()
    enqueue("act", "wait", "job")
    told(facts, "job:started")
    (name,) = processes()
    with subprocess.Popen(
        command_line("stop", name), env=environment(), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as stop:
        until(lambda: processes()[name].mode == "stopping")
        facts.rpush("job:go", "")
        out, err = stop.communicate(timeout=60)
    assert (stop.returncode, process.wait()) == (0, 0)
    assert (b"done" in out, b"1 job(s) still run there" in err) == (True, True)
    assert facts.llen("job:ended") == 1


def test_a_worker_that_takes_too_long_to_stop_has_not_stopped(worker: Callable[..., WorkerProcess], facts: redis.Redis):
    process = worker()
    enqueue("act", "wait", "job")
    told(facts, "job:started")
    ran = run("stop", "--timeout=1", ok=False)
    assert "acknowledged, not yet" in ran.out
    assert ran.err.count("1 job(s) still run there") == 1
    facts.rpush("job:go", "")
    assert process.wait() == 0


def test_a_worker_is_stopped_at_once_and_the_job_goes_back(worker: Callable[..., WorkerProcess], facts: redis.Redis):
    process = worker()
    job = enqueue("act", "wait", "job")
    told(facts, "job:started")
    assert run("stop", "--all", "--force", ok=False).status == 2
    (result,) = run("stop", "--all", "--force", "--yes", "--json").json
    assert (result["done"], result["running"]) == (True, [job.id])
    assert process.wait() == 0
    assert store().queues.size("default") == 1


def test_running_jobs_are_ended_and_the_worker_goes_on(worker: Callable[..., WorkerProcess], facts: redis.Redis):
    process = worker("-n2")
    jobs = [enqueue("act", "wait", key) for key in ("a", "b")]
    told(facts, "a:started")
    told(facts, "b:started")
    (result,) = run("cleanup", "--json").json
    assert (result["done"], set(result["jobs"])) == (True, {job.id for job in jobs})
    until(lambda: store().failures.count() == 2)
    enqueue("act", "tell", "fact")
    assert told(facts, "fact") == "here"
    assert process.process.poll() is None


def test_all_those_of_a_queue_are_told(worker: Callable[..., WorkerProcess]):
    mail, other, all_ = worker("-q", "mail"), worker("-q", "other"), worker("-q", "*")
    registered(3)
    assert "There are 3 workers" in run("stop", ok=False).err
    results = run("stop", "-q", "mail", "--json").json
    assert sorted(result["queues"] for result in results) == ["*", "mail"]
    assert (mail.wait(), all_.wait(), other.process.poll()) == (0, 0, None)
    assert run("stop", "--host", socket.gethostname()).status == 0
    assert other.wait() == 0


def test_a_frozen_worker_is_told_in_vain(worker: Callable[..., WorkerProcess]):
    process = worker()
    registered(1)
    os.kill(process.pid, signal.SIGSTOP)
    ran = run("pause", "--all", "--timeout=1", "--json", ok=False)
    assert ran.json[0]["outcome"] in ("no_answer", "lease_ended")
    os.kill(process.pid, signal.SIGCONT)


# -- a terminal --------------------------------------------------------------------------------------------------------


class AtATerminal:
    """``resque`` typed at a terminal."""

    def __init__(self, *argv: str) -> None:
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            command_line(*argv),
            env=environment({"TERM": "xterm"}),
            cwd=ROOT,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.screen = ""

    def read_until(self, text: str, timeout: float = 60) -> str:
        """Wait until ``text`` has appeared; all that has appeared so far."""
        deadline = time.monotonic() + timeout
        while text not in self.screen:
            assert time.monotonic() < deadline, f"{text!r} did not appear in:\n{self.screen}"
            if select.select([self._ours], [], [], 0.1)[0]:
                self.screen += os.read(self._ours, 65_536).decode()
        return self.screen

    def type(self, text: str) -> None:
        self.screen = ""
        os.write(self._ours, text.encode())

    def wait(self) -> int:
        """Read until it has ended; its exit code."""
        with suppress(OSError):  # what Linux says when nobody has the other side open any more
            while data := os.read(self._ours, 65_536):
                self.screen += data.decode()
        return self._process.wait(60)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._ours)


@pytest.fixture
def at_a_terminal() -> Iterator[Callable[..., AtATerminal]]:
    made: list[AtATerminal] = []

    def make(*argv: str) -> AtATerminal:
        made.append(AtATerminal(*argv))
        return made[-1]

    yield make
    for terminal in made:
        terminal.close()


def test_several_workers_are_chosen_from_a_menu(
    worker: Callable[..., WorkerProcess], at_a_terminal: Callable[..., AtATerminal]
):
    for queue in ("mail", "low", "images"):
        worker("-q", queue)
    registered(3)
    terminal = at_a_terminal("stop")
    lines = terminal.read_until("(nothing: none): ").splitlines()
    assert lines[0] == "Which workers do you want to stop?"
    number = next(line.split()[0] for line in lines if ": low)" in line)
    terminal.type("7\n")
    assert "7 is not among 1 to 3" in terminal.read_until("(nothing: none): ")
    terminal.type(f"{number}\n")
    assert terminal.wait() == 0
    assert "done" in terminal.screen
    assert sorted(process.queues for process in processes().values()) == ["images", "mail"]
    terminal = at_a_terminal("pause")
    terminal.read_until("(nothing: none): ")
    terminal.type("\n")
    assert terminal.wait() == 1
    assert "Nothing was chosen" in terminal.screen


def test_somebody_at_the_terminal_is_asked_before_jobs_are_ended(
    worker: Callable[..., WorkerProcess], at_a_terminal: Callable[..., AtATerminal]
):
    process = worker()
    registered(1)
    terminal = at_a_terminal("stop", "--all", "--force")
    terminal.read_until("End the jobs of 1 worker(s) now, and stop them? [y/N] ")
    terminal.type("n\n")
    assert terminal.wait() == 1
    assert "Nothing was done" in terminal.screen
    terminal = at_a_terminal("stop", "--all", "--force")
    terminal.read_until("[y/N] ")
    terminal.type("y\n")
    assert terminal.wait() == 0
    assert process.wait() == 0


# -- restart -----------------------------------------------------------------------------------------------------------


def test_workers_are_started_again_as_they_were(background: list[str], facts: redis.Redis, tmp_path: Path):
    run("start", "-n2", "-q", "mail,default", "--performers=2", *background)
    old = processes()
    enqueue("act", "nap", "1", "napping")
    told(facts, "napping")
    out = run("restart", "--all").out
    new = processes()
    assert len(new) == 2
    assert not set(old) & set(new)
    assert all(f"{name} is back as " in out for name in old)
    assert all(is_gone(process.pid) for process in old.values())
    for process in new.values():
        assert (process.queues, process.performers) == ("mail,default", 2)
        assert (process.log, process.cwd) == (str(tmp_path / "resque.log"), str(ROOT))
        assert process.argv in [before.argv for before in old.values()]
    assert store().failures.count() == 0
    enqueue("act", "tell", "fact")
    assert told(facts, "fact") == "here"


def test_a_worker_that_has_not_left_in_time_is_not_started_again(background: list[str], facts: redis.Redis):
    run("start", *background)
    enqueue("act", "wait", "job")
    told(facts, "job:started")
    ran = run("restart", "--timeout=1", ok=False)
    assert "has not been stopped, so not started again: acknowledged, not yet" in ran.err
    facts.rpush("job:go", "")
    until(lambda: processes() == {})


def test_what_does_not_come_back_is_an_error(background: list[str]):
    run("start", *background)
    ran = run("restart", env=resque(COMMANDS=["nonesuch"]), ok=False)
    assert "django_resque.E003" in ran.err


def test_a_worker_in_the_foreground_is_left_to_whoever_has_started_it(worker: Callable[..., WorkerProcess]):
    process = worker()
    registered(1)
    assert "was not started in the background" in run("restart", "--all", ok=False).err
    assert process.process.poll() is None


# -- tail --------------------------------------------------------------------------------------------------------------


def test_logs_are_followed_also_when_they_are_rotated_and_when_workers_come(
    background: list[str], facts: redis.Redis, tmp_path: Path
):
    log = tmp_path / "resque.log"
    run("start", *background)
    assert "started: 1 performer(s)" in run("tail", "--no-follow").out
    shown = tmp_path / "shown"
    with shown.open("wb") as file:
        tail = subprocess.Popen(command_line("tail", "--lines=1"), env=environment(), cwd=ROOT, stdout=file)
    try:
        until(lambda: "started: 1 performer(s)" in shown.read_text())
        log.rename(tmp_path / "resque.log.1")
        job = enqueue("act", "tell", "fact")
        told(facts, "fact")
        until(lambda: f"done act {job.id}" in shown.read_text())
        run("start", "--log", str(tmp_path / "second.log"), "-q", "second")
        until(lambda: "second.log | " in shown.read_text())
        job = enqueue("act", "tell", "fact")
        until(
            lambda: any(line.startswith("resque.log | ") and job.id in line for line in shown.read_text().split("\n"))
        )
        tail.send_signal(signal.SIGINT)
        assert tail.wait(30) == 0
    finally:
        tail.kill()
        tail.wait()


def test_who_reads_only_the_beginning_breaks_nothing(background: list[str], tmp_path: Path):
    log = tmp_path / "resque.log"
    run("start", *background)
    log.write_text("one line\n" * 100_000)
    tail = subprocess.Popen(
        command_line("tail", "--lines=100000"),
        env=environment(),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert tail.stdout is not None
    assert tail.stdout.readline() == b"one line\n"
    tail.stdout.close()
    assert tail.stderr is not None
    assert tail.stderr.read() == b""
    tail.stderr.close()
    assert tail.wait(30) == 0
