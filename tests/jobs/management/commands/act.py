"""A job that does what a test asks for, and says so in Redis, where the test waits for it."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import redis
from django.core.management.base import CommandError

from django_resque import current_job
from django_resque.errors import JobTimeout
from django_resque.management import JobCommand
from django_resque.store.embedded import ensure_running


def facts() -> redis.Redis:
    """Where tests wait: the database beside the one with the queues, unless they say otherwise."""
    beside = os.environ["DJANGO_RESQUE_TEST_REDIS"].removesuffix("/0") + "/1"
    return redis.Redis.from_url(os.environ.get("DJANGO_RESQUE_TEST_FACTS", beside), socket_timeout=None)


class Command(JobCommand):
    """Subcommands for the tests of the worker."""

    def tell(self, key: str, value: str = "here") -> None:
        """Push ``value`` to the list ``key``."""
        facts().rpush(key, value)

    def clock(self, key: str) -> None:
        """Say which job this is, and what time it is by Redis' clock."""
        with facts() as client:
            seconds, microseconds = client.time()
            job = current_job()
            client.rpush(key, f"{job.id if job else ''} {seconds + microseconds / 1e6:.6f}")

    def wait(self, key: str) -> None:
        """Say ``<key>:started``, wait for ``<key>:go``, say ``<key>:ended``."""
        with facts() as client:
            client.rpush(f"{key}:started", os.getpid())
            client.blpop([f"{key}:go"], timeout=60)
            client.rpush(f"{key}:ended", os.getpid())

    def say(self, text: str) -> None:
        """Write to both streams and through the file descriptor."""
        self.stdout.write(f"{text} on stdout")
        self.stderr.write(f"{text} on stderr")
        subprocess.run(["echo", f"{text} from a child"], check=True)

    def refuse(self, text: str) -> None:
        """Say goodbye and raise a ValueError."""
        self.stdout.write("about to refuse")
        raise ValueError(text)

    def complain(self) -> None:
        raise CommandError("that will not do")

    def leave(self, status: int) -> None:
        sys.exit(status)

    def leave_with(self, words: str) -> None:
        sys.exit(words)

    def interrupt(self) -> None:
        raise KeyboardInterrupt

    def kill(self, name: str, key: str = "") -> None:
        """Die of a signal; ``key`` counts how often."""
        if key:
            facts().rpush(key, os.getpid())
        os.kill(os.getpid(), getattr(signal, name))

    def vanish(self, status: int = 0) -> None:
        """End the process without a word."""
        os._exit(status)

    def crash_in_c(self) -> None:
        ctypes.string_at(0)

    def close_everything(self) -> None:
        """Close all descriptors, the performer's own too, and stay."""
        os.closerange(3, 1024)
        time.sleep(60)

    def lie(self) -> None:
        """Write to every socket, the performer's own too."""
        for name in os.listdir("/proc/self/fd"):
            if _target(name).startswith("socket:"):
                with contextlib.suppress(OSError):
                    os.write(int(name), b"not what you think")
        time.sleep(60)

    def fork_and_return(self, key: str) -> None:
        """Come back twice, once in a child."""
        facts().rpush(key, os.getpid())
        if os.fork() == 0:
            return

    def make_a_mess(self) -> None:
        """Change everything that a process has only once."""
        os.chdir("/")
        os.umask(0o777)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.environ["MESS"] = "made"
        os.environ.pop("PATH", None)
        sys.stdout.close()
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115

    def describe(self, key: str) -> None:
        """Tell about the process that performs this."""
        mask = os.umask(0)
        os.umask(mask)
        about: dict[str, Any] = {
            "cwd": os.getcwd(),
            "umask": mask,
            "term": str(signal.getsignal(signal.SIGTERM)),
            "mess": os.environ.get("MESS", ""),
            "path": "PATH" in os.environ,
            "pid": os.getpid(),
            "ppid": os.getppid(),
            "mark": os.environ.get("DJANGO_RESQUE_WORKER"),
            "pgid": os.getpgid(0),
            "stdin": os.readlink("/proc/self/fd/0"),
            "descriptors": [_target(name) for name in sorted(os.listdir("/proc/self/fd"), key=int)],
            "oom_score_adj": open("/proc/self/oom_score_adj").read().strip(),  # noqa: SIM115
            "title": open("/proc/self/cmdline").read().rstrip("\0"),  # noqa: SIM115
        }
        job = current_job()
        if job is not None:
            about["job"] = [job.id, job.command, job.queue, job.attempt]
            about["redelivered"] = job.redelivered
        facts().rpush(key, repr(about))

    def chatter(self, key: str) -> None:
        """Write as fast as can be, until ``<key>:go``."""
        with facts() as client, subprocess.Popen(["yes", "and so on"]) as process:
            client.rpush(f"{key}:started", os.getpid())
            client.blpop([f"{key}:go"], timeout=60)
            process.kill()
        self.stdout.write("the end")

    def close_stdout_below(self) -> None:
        """Leave text in a buffer that cannot be written any more."""
        sys.stdout.reconfigure(line_buffering=False)  # type: ignore[union-attr]
        print("lost", end="")  # noqa: T201
        os.close(1)

    def leave_timers(self) -> None:
        """Leave what would kill the next job: an alarm, and signals that are blocked."""
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, 1000)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        os.environ["TZ"] = "Asia/Tokyo"
        time.tzset()

    def find_timers(self, key: str) -> None:
        """Tell what is left of them."""
        blocked = sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        facts().rpush(
            key, repr((signal.getitimer(signal.ITIMER_REAL), [int(number) for number in blocked], time.tzname))
        )

    def nap(self, seconds: float, key: str = "") -> None:
        """Say ``key`` and sleep."""
        if key:
            facts().rpush(key, os.getpid())
        time.sleep(seconds)

    def swallow(self) -> None:
        """Take no notice of a timeout."""
        with contextlib.suppress(JobTimeout):
            time.sleep(60)

    def translate(self) -> None:
        """Make another exception of a timeout."""
        try:
            time.sleep(60)
        except JobTimeout as error:
            raise ValueError("it took too long") from error

    def hang_in_c(self, key: str = "") -> None:
        """Loop where Python calls no handler of a signal."""
        if key:
            facts().rpush(key, os.getpid())
        sum(itertools.repeat(0))

    def leave_an_alarm(self) -> None:
        """Leave a handler that raises, and a timer that calls it again and again."""

        def ring(number: int, frame: object) -> None:
            raise TimeoutError("of the command's own")

        signal.signal(signal.SIGVTALRM, ring)
        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)

    def own_alarm(self, seconds: float) -> None:
        """Use SIGALRM for a purpose of one's own."""
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        signal.pause()

    def leave_running(self, key: str, how: str) -> None:
        """Leave a process behind and push its pid to ``key``. ``how`` it is started: plain, setsid, twice or forked."""
        if how in ("plain", "setsid"):
            child = subprocess.Popen(["sleep", "600"], start_new_session=how == "setsid")
            facts().rpush(key, child.pid)
        elif os.fork() == 0:
            os.setsid()
            if how == "twice" and os.fork():
                os._exit(0)
            facts().rpush(f"{key}:forked", os.getpid())
            time.sleep(600)
            os._exit(0)
        else:
            with facts() as client:
                client.blmove(f"{key}:forked", key, timeout=60)

    def leave_dead(self) -> None:
        """Leave a child that has ended, and nobody has waited for."""
        if (child := os.fork()) == 0:
            os._exit(0)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)

    def start_and_wait(self, key: str, how: str) -> None:
        """The same, and stay."""
        self.leave_running(key, how)
        time.sleep(600)

    def leave_running_and_die(self, key: str, how: str) -> None:
        """The same, and die of SIGKILL."""
        self.leave_running(key, how)
        os.kill(os.getpid(), signal.SIGKILL)

    def witness(self, key: str) -> None:
        """Say at ``key`` who performs this and whether it may have been begun before; wait for ``<key>:go``."""
        job = current_job()
        with facts() as client:
            client.rpush(key, repr((os.getpid(), job is not None and job.redelivered)))
            client.blpop([f"{key}:go"], timeout=60)

    def jot(self, path: str, text: str, seconds: float = 0) -> None:
        """Append ``text`` to a file, then sleep."""
        with open(path, "a") as file:
            file.write(f"{text}\n")
        time.sleep(seconds)

    def stumble(self, path: str, text: str) -> None:
        """Append ``text`` to a file, and die the first time."""
        with open(path, "a+") as file:
            file.seek(0)
            first = f"{text}\n" not in file.readlines()
            file.write(f"{text}\n")
        if first:
            os._exit(0)

    def span(self, key: str, seconds: float) -> None:
        """Push to ``key`` who performed this, from when until when."""
        begun = time.monotonic()
        time.sleep(seconds)
        facts().rpush(key, repr((os.getpid(), begun, time.monotonic())))

    def murmur(self, text: str, times: int = 1) -> None:
        """Write a text to stdout, again and again."""
        self.stdout.write(text * times)

    def flood(self, key: str, size: int) -> None:
        """Have a program write ``size`` bytes, in many lines; say ``key`` before."""
        facts().rpush(key, os.getpid())
        subprocess.run(f"yes | head -c {size}", shell=True, check=True)

    def kill_dispatcher(self, key: str) -> None:
        """Take the whole worker process along."""
        facts().rpush(key, os.getpid())
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)

    def hang_with_a_child(self, key: str) -> None:
        """Hang where no exception can be raised, with a child that hangs as well."""
        child = subprocess.Popen(["sleep", "600"])
        facts().rpush(key, os.getpid(), child.pid)
        sum(itertools.repeat(0))

    def start_embedded(self, folder: str) -> None:
        """Start an embedded server."""
        ensure_running(Path(folder), look_every=0.02, idle=60)

    def log(self, text: str) -> None:
        logging.getLogger("django_resque").warning(text)


def _target(descriptor: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""
