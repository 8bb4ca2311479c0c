"""The processes of a storm, and a supervisor that starts anew whatever has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers import LIBC
from tests.workers import ROOT, WorkerProcess

from .evidence import PUSHED, Harm, Life, processes_of

GRACE = 2.0
"""Seconds that a worker of the storm gives its jobs when it is told to stop."""
EXIT_WITHIN = GRACE + 5.0
"""Seconds in which it must have ended; one after the grace period is promised."""
READY_WITHIN = 30.0
"""Seconds in which a new worker must have its performers."""
LOOK_EVERY = 0.02
PR_SET_CHILD_SUBREAPER = 36
CUT_OFF = ("they stay in its reservations",)
"""What stands in the log of a worker that had to end before it could tell Redis everything."""

ARGUMENTS = (
    ("-q", "high,low"),
    ("-q", "low,high", "--max-jobs", "100"),
    ("-q", "*"),
)
"""The command lines of the workers, in turn."""


@dataclass(slots=True)
class Member:
    """A worker process that lives, at its ``place`` in the fleet."""

    place: int
    life: Life
    process: WorkerProcess
    log: Path
    ready_at: float | None = None
    asked_to_stop: float | None = None
    frozen: Harm | None = None

    def performers(self) -> dict[int, bool]:
        """The pids of its performers; whether they have a job just now."""
        found = {}
        with suppress(OSError):
            for pid in self.process.children():
                with suppress(OSError):
                    title = Path(f"/proc/{pid}/cmdline").read_bytes()
                    if title.startswith(b"resque-"):  # and no child of a job that has been adopted
                        found[pid] = b"Processing" in title
        return found


@dataclass
class Fleet:
    """``dispatchers`` workers with ``performers`` each, and producers, that reach Redis at ``url``."""

    folder: Path
    url: str
    dispatchers: int
    performers: int
    lives: list[Life] = field(default_factory=list)
    misconduct: list[str] = field(default_factory=list)
    performer_kills: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    slowest_exit: float = 0.0

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._members: list[Member] = []
        self._producers: list[Producer] = []
        self._stopping = False
        self._over = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        # The orphans of a killed worker become our children, so that none is left to a pid 1 that does not reap.
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    # -- life --------------------------------------------------------------------------------------------------------

    def start(self, *, jobs: int, seconds: float, seed: str, spare_pids: Callable[[], set[int]]) -> None:
        """Start the workers, and when they are ready the producers of ``jobs`` in so many seconds. ``spare_pids`` are
        children of ours that another looks after."""
        self._spare = spare_pids
        for place in range(self.dispatchers):
            self._start_worker(place)
        self._supervisor.start()
        deadline = time.monotonic() + READY_WITHIN
        while any(member.ready_at is None for member in self.members()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the workers do not start; see {self.folder}")
            time.sleep(LOOK_EVERY)
        with self._lock:
            self._producers = [
                Producer(
                    self.folder,
                    self._environment(),
                    name,
                    jobs=(jobs + 1) // 2,
                    seconds=seconds,
                    seed=seed,
                    bursts=name == "bursty",
                )
                for name in ("steady", "bursty")
            ]

    def _environment(self) -> dict[str, str]:
        return {
            "DJANGO_RESQUE_STORM": str(self.folder),
            "DJANGO_RESQUE_STORM_REDIS": self.url,
            "DJANGO_SETTINGS_MODULE": "tests.storm.settings",
        }

    def _start_worker(self, place: int) -> None:
        number = len(self.lives) + 1
        log = self.folder / f"worker-{number:03}.log"
        arguments = ["-n", str(self.performers), "--grace", str(GRACE), *ARGUMENTS[place % len(ARGUMENTS)]]
        with log.open("wb") as file:
            process = WorkerProcess(
                *arguments, env=self._environment(), settings="tests.storm.settings", stdout=file.fileno()
            )
        life = Life(number, process.pid, born=time.monotonic())
        self.lives.append(life)
        self._members.append(Member(place, life, process, log))

    def _supervise(self) -> None:
        while not self._over.wait(LOOK_EVERY):
            with self._lock:
                for member in list(self._members):
                    self._look_after(member)
                for producer in self._producers:
                    if (problem := producer.look_after()) is not None:
                        self.misconduct.append(problem)
                self._reap_orphans()

    def _look_after(self, member: Member) -> None:
        now = time.monotonic()
        code = member.process.process.poll()
        if code is None:
            if member.ready_at is None:
                if len(member.performers()) >= self.performers:
                    member.ready_at = now
                elif member.frozen is None and now > member.life.born + READY_WITHIN:
                    member.ready_at = now  # say it once
                    self.misconduct.append(f"{_name(member)} is not ready after {READY_WITHIN:g} s")
            self._judge_delay(member, now)
            return
        member.life.died = now
        self._members.remove(member)
        self._judge_end(member, code, now)
        member.process.close()
        if not self._stopping:
            self._start_worker(member.place)

    def _judge_delay(self, member: Member, now: float) -> None:
        """A worker that does not end is killed, so that the storm can go on."""
        asked = member.asked_to_stop
        if asked is not None and member.frozen is None and now > asked + EXIT_WITHIN:
            self.misconduct.append(f"{_name(member)} has not ended {EXIT_WITHIN:g} s after TERM")
            member.life.harms.append(Harm("killed", now))
            member.process.process.kill()

    def _judge_end(self, member: Member, code: int, now: float) -> None:
        if any(harm.what == "killed" for harm in member.life.harms):
            return
        if member.asked_to_stop is None:
            self.misconduct.append(
                f"{_name(member)} ended by itself with status {code}; it wrote: {_end_of(member.log)}"
            )
            return
        self.slowest_exit = max(self.slowest_exit, now - member.asked_to_stop)
        if code != 0:
            self.misconduct.append(
                f"{_name(member)} ended with status {code} after TERM; it wrote: {_end_of(member.log)}"
            )
        text = member.log.read_text(errors="replace")
        if any(words in text for words in CUT_OFF):
            member.life.harms.append(Harm("cut off", now))

    def _reap_orphans(self) -> None:
        ours = {member.process.pid for member in self._members} | {producer.pid for producer in self._producers}
        ours |= self._spare()
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if found is None or found.si_pid in ours:
                    return  # one of ours is next: whoever started it will see to it
                os.waitpid(found.si_pid, 0)
            except ChildProcessError:
                return

    # -- who is there ------------------------------------------------------------------------------------------------

    def members(self) -> list[Member]:
        """The workers that live and were not told to stop."""
        with self._lock:
            return [member for member in self._members if member.asked_to_stop is None]

    def ready(self) -> list[Member]:
        """Those of them that are there to be harmed: they have performers, and are not frozen."""
        return [member for member in self.members() if member.ready_at is not None and member.frozen is None]

    def producers(self) -> list[Producer]:
        return self._producers

    # -- harm --------------------------------------------------------------------------------------------------------

    def kill_performer(self, pid: int) -> bool:
        with self._lock:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return False
            self.performer_kills[pid].append(time.monotonic())
            return True

    def kill(self, *members: Member) -> None:
        """KILL for dispatchers, all at the same moment. Their performers die with them, by themselves."""
        with self._lock:
            alive = [member for member in members if member.life.died is None]
            for member in alive:
                member.process.process.kill()
            for member in alive:
                member.life.harms.append(Harm("killed", time.monotonic()))

    def freeze(self, member: Member) -> None:
        with self._lock:
            if member.life.died is None and member.asked_to_stop is None:
                member.frozen = Harm("frozen", time.monotonic(), over=float("inf"))
                member.life.harms.append(member.frozen)
                member.process.process.send_signal(signal.SIGSTOP)

    def thaw(self, member: Member) -> None:
        with self._lock:
            if member.frozen is not None:
                member.frozen.over = time.monotonic()
                member.frozen = None
                member.process.process.send_signal(signal.SIGCONT)

    def ask_to_stop(self, member: Member) -> None:
        """TERM, as at a deploy."""
        with self._lock:
            if member.life.died is None and member.frozen is None and member.asked_to_stop is None:
                member.asked_to_stop = time.monotonic()
                member.process.process.send_signal(signal.SIGTERM)

    # -- the end -----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """TERM for all workers; returns when they have ended."""
        with self._lock:
            self._stopping = True
            for member in self.members():
                self.ask_to_stop(member)
        while True:
            with self._lock:
                if not self._members:
                    return
            time.sleep(LOOK_EVERY)

    def close(self) -> None:
        """Kill everything that is left."""
        self._over.set()
        if self._supervisor.is_alive():
            self._supervisor.join()
        for member in self._members:
            member.process.close()
        for producer in self._producers:
            producer.close()
        for pid, _ in processes_of(self.folder):
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


class Producer:
    """One of the processes that enqueue. Killed, it is started anew, under another name, for what is left to do."""

    def __init__(
        self,
        folder: Path,
        environment: dict[str, str],
        name: str,
        *,
        jobs: int,
        seconds: float,
        seed: str,
        bursts: bool,
    ) -> None:
        self._folder = folder
        self._environment = environment
        self._name = name
        self._jobs = jobs
        self._until = time.monotonic() + 0.95 * seconds
        self._seed = seed
        self._bursts = bursts
        self._generation = 0
        self._killed = False
        self.done = False
        self._start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _start(self) -> None:
        self._generation += 1
        self._killed = False
        arguments = [
            *("--name", f"{self._name}{self._generation}"),
            *("--jobs", str(self._jobs - self.pushed())),
            *("--seconds", str(max(0.0, self._until - time.monotonic()))),
            *("--seed", self._seed),
        ]
        with (self._folder / f"producer-{self._name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.storm.producer", *arguments, *["--bursts"][: self._bursts]],
                env={**os.environ, **self._environment, "PYTHONPATH": str(ROOT)},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def pushed(self) -> int:
        """How many jobs it has pushed, over all its lives."""
        paths = self._folder.glob(f"pushes-{self._name}*.log")
        return sum(path.read_bytes().count(f"{PUSHED} ".encode()) for path in paths)

    def kill(self) -> None:
        if not self.done:
            self._killed = True
            self._process.kill()

    def look_after(self) -> str | None:
        """Start it anew when it was killed; returns what is wrong with it."""
        if self.done or self._process.poll() is None:
            return None
        if self._killed:
            self._start()
            return None
        self.done = True
        if self._process.returncode == 0:
            return None
        log = self._folder / f"producer-{self._name}.log"
        return f"producer {self._name} ended with status {self._process.returncode}; it wrote: {_end_of(log)}"

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def _name(member: Member) -> str:
    return f"worker {member.life.number} (pid {member.life.pid}, {member.log.name})"


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:].strip() or "nothing"
