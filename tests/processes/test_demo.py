"""``manage.py demo`` and ``manage.py serve`` of the testproject, as ``make demo`` and ``make serve`` run them."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis

from tests.servers import RedisServer

TESTPROJECT = Path(__file__).resolve().parents[2] / "testproject"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for left processes in /proc")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path, as the ones of ``tmp_path`` are too long for a unix socket."""
    path = Path(tempfile.mkdtemp(prefix="demo-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


class Family:
    """A process and all that descends from it, known by a mark in their environment."""

    def __init__(self, folder: Path) -> None:
        self.mark = uuid4().hex
        self.folder = folder
        self.output = folder / "output"
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *command_line: str, **environ: str) -> subprocess.Popen[bytes]:
        """Start the testproject's ``manage.py``."""
        with self.output.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-W", "error::DeprecationWarning", str(TESTPROJECT / "manage.py"), *command_line],
                env={**os.environ, "FAMILY": self.mark, "PYTHONUNBUFFERED": "1", **environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def members(self) -> dict[int, str]:
        """The processes that live: their ids and command lines."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) != os.getpid():
                try:
                    if f"FAMILY={self.mark}".encode() in (entry / "environ").read_bytes():
                        found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                except OSError:
                    continue  # it has ended, or is somebody else's
        return found

    def kill(self) -> None:
        """End what a failed test has left."""
        while members := self.members():
            for pid in members:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            for process in self.processes:
                process.poll()


@pytest.fixture
def family(folder: Path) -> Iterator[Family]:
    family = Family(folder)
    yield family
    family.kill()


def wait_until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """What ``condition`` returns as soon as that is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} seconds"
        time.sleep(0.05)
    return found


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


# -- demo --------------------------------------------------------------------------------------------------------------


def test_the_demo_shows_what_happened_and_leaves_nothing_behind(family: Family) -> None:
    temporary = family.folder / "t"
    temporary.mkdir()
    demo = family.start("demo", TMPDIR=str(temporary))
    assert demo.wait(100) == 0, family.said()

    report = family.said()
    for title in ("Update location", "Check out"):
        without, answered = response_times(report, title)
        assert without > 1.8, "the outside world takes that long"
        assert answered < without / 2, "and a page does not wait for it"
    assert response_times(report, "Sign up")[0] > 0.3
    jobs = re.findall(r"^\d  (\w+) +[0-9a-f]{8}  (\w+) +[0-9.]+ s  done  \S", report, re.MULTILINE)
    assert sorted(jobs) == [
        ("email_sender", "mail"),
        ("erp", "default"),
        ("erp", "default"),
        ("mail_friends", "mail"),
        ("notify_friends", "default"),
        ("recommend_friends", "low"),
        ("refresh_caches", "default"),
        ("send_receipt", "mail"),
    ]
    assert "processed 8, failed 0" in report
    assert max(map(len, report.splitlines())) <= 100
    wait_until(lambda: not family.members(), seconds=5)
    assert list(temporary.iterdir()) == []


def response_times(report: str, title: str) -> tuple[float, float]:
    found = re.search(rf"^\d  {title} +([0-9.]+) s +([0-9.]+) s ", report, re.MULTILINE)
    assert found, report
    return float(found[1]), float(found[2])


def test_a_demo_that_is_interrupted_leaves_nothing_behind(family: Family) -> None:
    temporary = family.folder / "t"
    temporary.mkdir()
    demo = family.start("demo", TMPDIR=str(temporary))
    wait_until(lambda: "Playing:" in family.said())
    demo.send_signal(signal.SIGTERM)
    assert demo.wait(20) == 1
    assert "Stopped by SIGTERM" in family.said()
    wait_until(lambda: not family.members(), seconds=5)
    assert list(temporary.iterdir()) == []


# -- serve -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def serve(family: Family) -> tuple[subprocess.Popen[bytes], int]:
    """``manage.py serve``, running, and the port of its web server."""
    port = free_port()
    process = family.start(
        "serve",
        "--port",
        str(port),
        TESTPROJECT_VAR=str(family.folder / "var"),
        TESTPROJECT_MAIL_PORT=str(free_port()),
        TESTPROJECT_SERVICES_PORT=str(free_port()),
    )
    wait_until(lambda: "The testproject is running" in family.said() or process.poll() is not None, seconds=60)
    assert process.poll() is None, family.said()
    return process, port


def browser(port: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The testproject's own browser."""
    monkeypatch.syspath_prepend(str(TESTPROJECT))
    return importlib.import_module("demo.browser").Browser(f"http://127.0.0.1:{port}")


def log_in(visitor: Any, family: Family) -> None:
    password = re.search(r"log in +(\w+) +password: (\S+)", family.said())
    assert password, family.said()
    visitor.submit("/accounts/log-in/", {"username": password[1], "password": password[2]})


def test_serve_performs_jobs_until_ctrl_c_ends_everything(
    family: Family, serve: tuple[subprocess.Popen[bytes], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    process, port = serve
    visitor = browser(port, monkeypatch)
    log_in(visitor, family)

    visitor.submit("/social/", {"city": "Lisbon"}, to="/social/move/")
    wait_until(lambda: "mutual friend" in visitor.get("/social/"))
    dashboard = re.search(r'href="(/admin/django_resque/[^"]+)"', visitor.get("/admin/"))
    assert dashboard
    assert "mail, default, low" in visitor.get(f"{dashboard[1]}workers/")
    wait_until(lambda: "traffic" in visitor.get(f"{dashboard[1]}statistics/"))  # it lives by itself
    assert buyers_of_the_last(visitor, port, family, monkeypatch) == 1

    pids = family.members()
    assert len(pids) > 5  # serve, mail, services, dispatcher, performers, web server, Redis
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)  # somebody impatient
    assert process.wait(15) == 0, family.said()
    assert "Everything has ended." in family.said()
    wait_until(lambda: not family.members(), seconds=5)


def buyers_of_the_last(visitor: Any, port: int, family: Family, monkeypatch: pytest.MonkeyPatch) -> int:
    """Of the three umbrellas, two customers want two each, at the same time. How many got them."""
    field = re.search(r'name="(product-\d+)"[^>]*aria-label="Quantity of Umbrella"', visitor.get("/shop/"))
    assert field
    customers = [browser(port, monkeypatch) for _customer in range(2)]
    for customer in customers:
        log_in(customer, family)

    def buy(customer: Any) -> bool:
        try:
            customer.submit("/shop/", {field[1]: 2})
        except Exception as refused:
            if "not enough Umbrella" not in str(refused):
                raise
            return False
        return True

    with ThreadPoolExecutor() as pool:
        return sum(pool.map(buy, customers))


def test_serve_ends_with_an_error_when_one_of_its_processes_dies(
    family: Family, serve: tuple[subprocess.Popen[bytes], int]
) -> None:
    process, _port = serve
    (web_server,) = (pid for pid, command_line in family.members().items() if " runserver " in command_line)
    os.kill(web_server, signal.SIGKILL)
    assert process.wait(15) == 1
    assert "web server ended unexpectedly, by SIGKILL. Everything else was ended too." in family.said()
    wait_until(lambda: not family.members(), seconds=5)


# -- single commands, as a person calls them ---------------------------------------------------------------------------


@pytest.fixture
def manage(folder: Path, redis_server: RedisServer) -> Callable[..., str]:
    """Run the testproject's ``manage.py`` on the Redis of the tests; returns what it says."""

    def run(*command_line: str) -> str:
        done = subprocess.run(
            [sys.executable, str(TESTPROJECT / "manage.py"), *command_line],
            env={
                **os.environ,
                "TESTPROJECT_VAR": str(folder / "var"),
                "TESTPROJECT_REDIS_URL": redis_server.url,
                "TESTPROJECT_MAIL_PORT": str(free_port()),  # nobody listens there
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


def test_the_sign_up_mail_is_tried_five_times_while_the_mail_server_is_down(
    manage: Callable[..., str], clean_redis: redis.Redis
) -> None:
    manage("migrate", "--verbosity", "0")
    manage("createsuperuser", "--noinput", "--username", "grace", "--email", "grace@example.com")
    clean_redis.flushdb()  # signing up has enqueued a mail, and here it is sent by hand

    assert "The mail server is down" in manage("email_sender", "send_sign_up_email", "1")
    assert clean_redis.llen("resque:queue:mail") == 1

    manage("resque_worker", "-q", "mail", "--burst")
    assert [clean_redis.get(f"resque:stat:{name}") for name in ("processed", "failed")] == [b"4", b"1"]
    (failure,) = clean_redis.lrange("resque:failed", 0, -1)
    assert b"The mail server was down 5 times" in failure


def test_one_performer_drains_ten_thousand_jobs(manage: Callable[..., str], clean_redis: redis.Redis) -> None:
    manage("shell", "-c", "import django_resque as r; r.enqueue_many('noop', [((), {}) for _ in range(10_000)])")
    assert clean_redis.llen("resque:queue:default") == 10_000

    manage("resque_worker", "-q", "default", "-n", "1", "--burst", "-v", "0")
    assert clean_redis.llen("resque:queue:default") == 0
    assert clean_redis.get("resque:stat:processed") == b"10000"
    assert clean_redis.get("resque:stat:failed") in (None, b"0")
