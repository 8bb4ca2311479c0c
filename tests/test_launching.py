"""Workers that are started in the background."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis

import __main__
from django_resque import control, launching
from django_resque.control import Outcome, Wanted
from django_resque.errors import NotStarted
from django_resque.launching import Started, manage_py, options_of, start
from django_resque.store import WorkerProcessInfo, store
from tests.workers import ROOT, is_gone, until

MANAGE = """
import os, sys
{before}
if __name__ == "__main__":
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
"""


@pytest.fixture
def launch(clean_redis: redis.Redis) -> Iterator[Callable[..., list[Started]]]:
    """Starts in the background; what still runs at the end of the test is killed."""
    begun: list[Started] = []

    def started(*arguments: str, **more: Any) -> list[Started]:
        begun.extend(found := start(arguments or ["resque_worker"], **more))
        return found

    yield started
    for one in begun:
        if one.status is None and not is_gone(one.pid):
            os.kill(one.pid, signal.SIGKILL)  # a child of the tests: the pid is still its own
        if one.status is None:
            os.waitpid(one.pid, 0)
    store().close()


@pytest.fixture
def run_as(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has this process be one that runs the program in ``path``, as the module ``name`` when it has one."""

    def pretend(path: Path | None, name: str = "", parent: str = "") -> None:
        spec = types.SimpleNamespace(name=name, origin=str(path), parent=parent) if name else None
        monkeypatch.setattr(__main__, "__spec__", spec, raising=False)
        monkeypatch.setattr(__main__, "__file__", None if path is None else str(path), raising=False)

    return pretend


def stop(started: Sequence[Started]) -> list[Outcome]:
    return [
        control.stop(control.find(Wanted(process=one.process.name)), force=True)[0].outcome
        for one in started
        if one.process is not None
    ]


def test_workers_are_started_and_waited_for_until_they_have_registered(launch: Callable[..., list[Started]]):
    started = launch("resque_worker", "-q", "mail", count=2)
    assert [one.status for one in started] == [None, None]
    found = {process.pid: process for process in store().processes.all()}
    assert [found[one.pid] for one in started] == [one.process for one in started]
    assert len({one.launch for one in started}) == 2
    for one in started:
        assert one.process is not None
        assert (one.process.launch, one.process.queues, one.process.kind) == (one.launch, "mail", "worker")
        assert os.getsid(one.pid) == one.pid
        assert os.readlink(f"/proc/{one.pid}/fd/0") == os.devnull
    assert stop(started) == [Outcome.DONE, Outcome.DONE]


def test_what_they_write_is_added_to_the_log(launch: Callable[..., list[Started]], tmp_path: Path):
    log = tmp_path / "resque.log"
    log.write_text("before\n")
    (one,) = launch(log=log)
    assert one.log_end == []
    until(lambda: "started: 1 performer(s)" in log.read_text())
    assert log.read_text().startswith("before\n")
    assert os.readlink(f"/proc/{one.pid}/fd/2") == str(log)


def test_of_one_that_ended_the_end_of_its_log_is_told(launch: Callable[..., list[Started]], tmp_path: Path):
    log = tmp_path / "resque.log"
    log.write_text("before\n" * 100)
    (one,) = launch("resque_worker", "--no-such-option", log=log)
    assert (one.registered, one.status) == (False, 2)
    assert "unrecognized arguments: --no-such-option" in one.log_end[-1]
    assert "before" not in one.log_end


def test_only_the_last_lines_are_told(launch: Callable[..., list[Started]], tmp_path: Path):
    log = tmp_path / "resque.log"
    (one,) = launch("diffsettings", "--all", log=log)
    assert one.status == 0
    assert one.log_end == log.read_text().splitlines()[-launching.TAIL_LINES :]


def test_one_that_does_not_register_in_time_goes_on(
    launch: Callable[..., list[Started]], redis_server: Any, tmp_path: Path
):
    (one,) = launch(env={"DJANGO_RESQUE_TEST_REDIS": "redis://127.0.0.1:1/0"}, timeout=0.5, log=tmp_path / "resque.log")
    assert (one.registered, one.status) == (False, None)
    assert not is_gone(one.pid)


def test_without_redis_it_is_not_known_whether_they_have_registered(
    launch: Callable[..., list[Started]], redis_server: Any
):
    redis_server.stop()
    (one,) = launch(timeout=0.5)
    assert (one.registered, one.status) == (False, None)


def test_what_cannot_be_started_is_an_error(tmp_path: Path):
    with pytest.raises(NotStarted, match="nowhere/resque.log cannot be written: No such file"):
        start(["resque_worker"], log=tmp_path / "nowhere" / "resque.log")
    with pytest.raises(NotStarted, match="cannot be started"):
        start(["resque_worker"], cwd=tmp_path / "nowhere")


def test_they_have_the_settings_and_the_import_path_of_who_starts_them(
    launch: Callable[..., list[Started]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "own_settings.py").write_text("from tests.settings import *\nRESQUE = {'NAMESPACE': 'own'}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "own_settings")
    (one,) = launch(cwd=tmp_path, timeout=0.2)
    until(lambda: store().client.exists("own:django:processes"))
    assert Path(f"/proc/{one.pid}/cwd").readlink() == tmp_path


def test_they_are_not_taken_for_what_a_job_has_left_running(
    launch: Callable[..., list[Started]], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DJANGO_RESQUE_WORKER", "1.1")
    (one,) = launch()
    assert one.registered
    assert b"DJANGO_RESQUE_WORKER=1.1" not in Path(f"/proc/{one.pid}/environ").read_bytes()


def test_they_outlive_who_starts_them_and_nobody_is_warned():
    code = (
        "import django; django.setup()\n"
        "from django_resque.launching import start\n"
        "(one,) = start(['resque_worker'])\n"
        "print(one.pid, one.registered)\n"
    )
    found = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert (found.stdout.split()[1], found.stderr) == ("True", "")
    (target,) = control.find(Wanted())
    assert target.process is not None
    pid = target.process.pid
    assert pid == int(found.stdout.split()[0])
    assert control.stop([target])[0].done
    until(lambda: is_gone(pid))


def test_nobody_is_warned_of_those_that_go_on(launch: Callable[..., list[Started]]):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        launch()


# -- how to run manage.py ----------------------------------------------------------------------------------------------


def test_a_manage_py_is_run_again_whatever_it_is_called(run_as: Callable[..., None], tmp_path: Path):
    script = tmp_path / "site-admin"
    script.write_text(MANAGE.format(before=""))
    run_as(script)
    assert manage_py() == [sys.executable, str(script)]


def test_a_module_that_runs_commands_is_run_again(run_as: Callable[..., None], tmp_path: Path):
    script = tmp_path / "manage.py"
    script.write_text(MANAGE.format(before=""))
    run_as(script, "project.manage", "project")
    assert manage_py() == [sys.executable, "-m", "project.manage"]
    run_as(script, "project.__main__", "project")
    assert manage_py() == [sys.executable, "-m", "project"]


def test_any_other_program_is_not_run_again(run_as: Callable[..., None], tmp_path: Path):
    other = tmp_path / "server.py"
    other.write_text("serve_forever()")
    django = [sys.executable, "-m", "django"]
    assert manage_py() == django  # the tests themselves
    for path, name in ((other, ""), (tmp_path / "gone.py", ""), (None, ""), (other, "server"), (tmp_path, "")):
        run_as(path, name)
        assert manage_py() == django


def test_without_an_interpreter_nothing_is_started(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(NotStarted, match="which Python"):
        start(["resque_worker"])


def test_what_a_manage_py_prepares_is_prepared_for_them_too(
    launch: Callable[..., list[Started]], run_as: Callable[..., None], tmp_path: Path
):
    script = tmp_path / "manage.py"
    script.write_text(
        MANAGE.format(before=f"os.environ['DJANGO_SETTINGS_MODULE'] = 'nowhere'; open({str(tmp_path / 'ran')!r}, 'w')")
    )
    run_as(script)
    (one,) = launch()
    assert one.registered  # with our settings, although the script sets others
    assert (tmp_path / "ran").exists()


def test_what_stood_on_a_command_line_can_be_started_again(launch: Callable[..., list[Started]]):
    (one,) = launch("resque_worker", "-q", "mail", "-n", "2", "--settings=tests.settings")
    assert one.process is not None
    assert options_of(one.process) == ["resque_worker", "-q", "mail", "-n", "2", "--settings=tests.settings"]
    unknown = WorkerProcessInfo("abc123", "", 0, True)
    assert options_of(unknown) == []
