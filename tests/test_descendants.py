"""Finding and ending what commands have started: real processes, each test in a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from setproctitle import setproctitle

from django_resque.worker.descendants import (
    ENVIRONMENT,
    become_subreaper,
    children,
    end_children,
    end_orphans,
    mark,
    sweep,
)
from tests.workers import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="this is for Linux")


def in_a_process(test: Callable[[], None]) -> None:
    """Run the test in a child that is a subreaper, as performers and dispatchers are."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            become_subreaper()
            test()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def lives(pid: int) -> bool:
    """Whether it is there, and not only its exit status."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def forked(run: Callable[[], object]) -> int:
    """A child that does this and ends."""
    child = os.fork()
    if child == 0:
        try:
            run()
        finally:
            os._exit(0)
    return child


def forked_twice(run: Callable[[], object]) -> int:
    """A grandchild whose parent has ended."""
    reading, writing = os.pipe()

    def between() -> None:
        os.setsid()
        os.write(writing, b"%d" % forked(run))

    os.waitpid(forked(between), 0)
    found = int(os.read(reading, 20))
    os.close(reading), os.close(writing)
    return found


def doze() -> None:
    time.sleep(600)


# -- the children of a performer ---------------------------------------------------------------------------------------


def test_without_children_there_is_nothing_to_end():
    in_a_process(lambda: check(end_children() == 0))


def check(fact: bool) -> None:
    assert fact


def test_children_are_ended_and_waited_for():
    def test() -> None:
        found = [
            subprocess.Popen(["sleep", "600"]).pid,
            subprocess.Popen(["sleep", "600"], start_new_session=True).pid,
            forked(doze),
            forked_twice(doze),
        ]
        assert sorted(children()) == sorted(found)
        assert end_children() == 4
        assert not any(map(lives, found))
        assert children() == []

    in_a_process(test)


def test_children_of_children_are_ended_after_them():
    def test() -> None:
        reading, writing = os.pipe()

        def family(generations: int) -> None:
            os.setsid()
            if generations:
                forked(lambda: family(generations - 1))
            os.write(writing, b"%d\n" % os.getpid())
            doze()

        forked(lambda: family(4))
        told = b""
        while told.count(b"\n") < 5:
            told += os.read(reading, 100)
        assert end_children() == 5
        assert not any(lives(int(pid)) for pid in told.split())

    in_a_process(test)


def test_children_that_have_ended_are_waited_for_and_not_counted():
    def test() -> None:
        child = forked(lambda: None)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        assert end_children() == 0
        assert children() == []

    in_a_process(test)


def test_children_that_were_there_before_are_left_alone():
    def test() -> None:
        earlier = forked(doze)
        become_subreaper()
        assert not lives(end_with(forked_twice(doze), end_orphans, ()))
        assert not lives(end_with(forked(doze), end_children))
        assert lives(earlier)
        os.kill(earlier, signal.SIGKILL)

    in_a_process(test)


def end_with(pid: int, end: Callable[..., int], *args: object) -> int:
    assert end(*args) == 1
    return pid


def test_children_that_are_spared_live_on():
    def test() -> None:
        spared = forked(doze)
        other = forked(doze)
        assert end_children(lambda pid: pid == spared) == 1
        assert children() == [spared]
        assert not lives(other)
        assert end_children(lambda pid: pid == spared) == 0
        assert end_children() == 1

    in_a_process(test)


def test_who_starts_children_faster_than_they_are_ended_is_given_up_in_time():
    def test() -> None:
        def again(spare: list[int]) -> Callable[[int], bool]:
            def never(pid: int) -> bool:
                spare.append(forked(doze))  # one more each time that somebody looks
                return False

            return never

        began = time.monotonic()
        started = [forked(doze)]
        assert end_children(again(started), within=0.2) > 0
        assert time.monotonic() - began < 5
        assert end_children() > 0
        assert not any(map(lives, started))

    in_a_process(test)


# -- the orphans of a dispatcher ---------------------------------------------------------------------------------------


def test_what_a_dead_performer_has_left_is_ended_and_nobody_else():
    def test() -> None:
        known = forked(doze)
        ended = forked(lambda: None)
        os.waitid(os.P_PID, ended, os.WEXITED | os.WNOWAIT)
        orphan = forked_twice(doze)
        assert end_orphans({known, ended}) == 1
        assert not lives(orphan)
        assert lives(known)
        assert os.waitpid(ended, os.WNOHANG) == (ended, 0)  # nobody else has waited for it
        assert end_orphans({known}) == 0
        os.kill(known, signal.SIGKILL)
        assert os.waitpid(known, 0) == (known, signal.SIGKILL)

    in_a_process(test)


# -- what a killed dispatcher has left ---------------------------------------------------------------------------------


def dead_mark() -> str:
    """The mark of a process that has ended."""
    child = forked(doze)
    found = mark(child)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return found


def marked(found: str, *command: str, **more: str) -> subprocess.Popen[bytes]:
    """A program that has the mark in its environment."""
    return subprocess.Popen([*command, "sleep", "600"], env={**os.environ, ENVIRONMENT: found, **more})


def titled(title: str) -> int:
    """A process that has this title and runs no other program."""
    reading, writing = os.pipe()

    def sit() -> None:
        setproctitle(title)
        os.write(writing, b"!")
        doze()

    child = forked(sit)
    os.read(reading, 1)
    os.close(reading), os.close(writing)
    return child


@contextlib.contextmanager
def ended_later(*pids: int) -> Iterator[None]:
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


# Who else runs on this machine may sweep too, so what is swept is looked at, and not counted.


def test_a_program_with_the_mark_of_a_dead_dispatcher_is_swept():
    found = marked(dead_mark())
    with ended_later(found.pid):
        until(lambda: Path(f"/proc/{found.pid}/cmdline").read_bytes().startswith(b"sleep"))
        sweep()
        assert found.wait(10) == -signal.SIGKILL


def test_a_process_with_the_title_of_a_dead_dispatchers_performer_is_swept():
    found = titled(f"resque-0.1.0 [django {dead_mark()}]: Processing default since 1")
    with ended_later(found):
        sweep()
        assert os.waitpid(found, 0)[1] == signal.SIGKILL


def test_what_belongs_to_a_living_dispatcher_or_to_none_is_not_swept():
    dead = dead_mark()
    found = [
        marked(mark()).pid,
        marked(dead, DJANGO_RESQUE_EMBEDDED="1").pid,
        marked("1.x").pid,
        marked("").pid,
        titled(f"resque-0.1.0 [django {mark()}]: Waiting"),
        titled("resque-0.1.0 [django]: Waiting for default"),
        titled(f"vim resque-0.1.0 [django {dead}]"),
    ]
    with ended_later(*found):
        sweep()
        assert all(map(lives, found))


def test_a_mark_means_nothing_in_another_pid_namespace():
    # the first process of a namespace is a child of one that is not in it
    try:
        outer = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", "env", f"{ENVIRONMENT}={dead_mark()}", "sleep", "600"],
            stderr=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        pytest.skip("no unshare here")
    with ended_later(outer.pid):
        path = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
        until(lambda: outer.poll() is not None or path.read_text())
        if outer.poll() is not None:
            pytest.skip("not allowed here")
        inner = int(path.read_text())
        until(lambda: Path(f"/proc/{inner}/cmdline").read_bytes().startswith(b"sleep"))
        sweep()
        assert lives(inner)


def test_a_mark_tells_processes_of_the_same_pid_apart():
    pid, _, started = mark().partition(".")
    assert int(pid) == os.getpid()
    assert int(started) > 0
    found = marked(f"{pid}.{int(started) - 1}")  # an earlier process that had our pid
    with ended_later(found.pid):
        until(lambda: Path(f"/proc/{found.pid}/cmdline").read_bytes().startswith(b"sleep"))
        sweep()
        assert found.wait(10) == -signal.SIGKILL
