"""Whether a process lives, as its machine tells: real processes, and identities of other places."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from django_resque.worker import machine

from .workers import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that sleeps."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def identity_of(pid: int) -> str:
    """What the process of this pid would say of itself."""
    place, _, _ = machine.identity().rsplit("/", 2)
    return f"{place}/{pid}/{machine.start_time(pid)}"


def test_an_identity_names_boot_namespace_pid_and_start():
    boot, namespace, pid, started = machine.identity().split("/")
    assert boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert os.readlink("/proc/self/ns/pid") == f"pid:[{namespace}]"
    assert int(pid) == os.getpid()
    assert started.isdigit()
    assert " " not in machine.identity()  # what stands behind a name and a blank in Redis
    assert machine.identity() == identity_of(os.getpid())


def test_a_fork_has_an_identity_of_its_own():
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, machine.identity().encode())
        os._exit(0)
    os.close(writing)
    found = os.read(reading, 1000).decode()
    os.close(reading)
    assert found.split("/")[:3] == [*machine.identity().split("/")[:2], str(pid)]
    os.waitpid(pid, 0)
    assert machine.is_dead(found)


def test_a_process_that_lives_is_not_dead(process):
    assert not machine.is_dead(machine.identity())
    assert not machine.is_dead(identity_of(process.pid))
    process.send_signal(signal.SIGSTOP)
    until(lambda: Path(f"/proc/{process.pid}/stat").read_text().split()[2] == "T")
    assert not machine.is_dead(identity_of(process.pid))


def test_a_process_that_has_ended_is_dead(process):
    identity = identity_of(process.pid)
    process.kill()
    process.wait()
    assert machine.is_dead(identity)


def test_a_zombie_is_dead(process):
    identity = identity_of(process.pid)
    process.kill()
    until(lambda: machine.start_time(process.pid) == "ended")
    os.kill(process.pid, 0)  # its pid is not free yet
    assert machine.is_dead(identity)


def test_another_process_with_the_pid_of_a_dead_one_is_not_that_one(process):
    place, _, started = identity_of(process.pid).rpartition("/")
    assert machine.is_dead(f"{place}/{int(started) - 1}")
    assert machine.is_dead(f"{place}/")


def test_the_name_of_a_program_may_hold_anything(tmp_path):
    program = tmp_path / ") Z 1 (a) b\n"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "600"]) as process:
        until(lambda: b") Z" in Path(f"/proc/{process.pid}/stat").read_bytes())
        assert machine.start_time(process.pid).isdigit()
        assert not machine.is_dead(identity_of(process.pid))
        process.kill()


@pytest.mark.parametrize("place", [0, 1])
def test_of_other_boots_and_namespaces_nothing_is_known(process, place):
    parts = identity_of(process.pid).split("/")
    process.kill()
    process.wait()
    assert machine.is_dead("/".join(parts))
    parts[place] = "another"
    assert not machine.is_dead("/".join(parts))


@pytest.mark.parametrize(
    "end",
    ["", "/", "/1", "//", "/x/1", "/-1/1", "/²/1", f"/{10**30}/1", f"/{'9' * 5000}/1", "/1.5/1", "/ /1", "/1/2/3"],
)
def test_what_is_no_identity_is_not_dead(end):
    place, _, _ = machine.identity().rsplit("/", 2)
    assert not machine.is_dead(end)
    assert not machine.is_dead(place + end)


def test_elsewhere_is_not_dead():
    assert not machine.is_dead("elsewhere")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_users_process_lives_as_far_as_it_can_be_seen(process):
    place, _, started = identity_of(process.pid).rpartition("/")
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setuid(65534)
        found = [machine.is_dead(f"{place}/{started}"), machine.is_dead(f"{place}/{int(started) - 1}")]
        os.write(writing, repr(found).encode())
        os._exit(0)
    os.close(writing)
    assert os.read(reading, 1000) == b"[False, False]"
    os.close(reading)
    os.waitpid(pid, 0)
