"""What a storm leaves to be judged: lines of logs, the lives of workers, the end state of Redis."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PUSHED, UNCERTAIN, REFUSED, TRIED = "pushed", "uncertain", "refused", "try"


@dataclass(slots=True)
class Push:
    """What became of an attempt to enqueue ``job``. `TRIED`: its producer was killed before it knew."""

    job: str
    kind: str
    outcome: str
    id: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Line:
    """What a job noted down: ``start``, ``end``, ``raised`` or ``dying``. ``redelivered`` is None where the engine does
    not tell."""

    event: str
    job: str
    kind: str
    pid: int
    dispatcher: int
    at: float
    redelivered: bool | None = None

    @classmethod
    def parse(cls, text: str) -> Line:
        event, job, kind, pid, dispatcher, at, redelivered = text.split()
        told = None if redelivered == "-" else redelivered == "1"
        return cls(event, job, kind, int(pid), int(dispatcher), float(at), told)


@dataclass(slots=True)
class Harm:
    """What befell a worker process: ``killed``, ``frozen`` (until ``over``), or ``cut off``: it had to end before Redis
    could be told what became of its jobs."""

    what: str
    at: float
    over: float = 0.0


@dataclass(slots=True)
class Life:
    """One worker process, the ``number``-th of the storm. Times are monotonic."""

    number: int
    pid: int
    born: float
    died: float | None = None
    harms: list[Harm] = field(default_factory=list)

    def has(self, pid: int, at: float) -> bool:
        """Whether this was the process ``pid`` at that time; a performer may outlive its dispatcher by a moment."""
        return self.pid == pid and self.born <= at and (self.died is None or at <= self.died + 1)


@dataclass(frozen=True, slots=True)
class Failed:
    """A failure record, written before ``at``."""

    job: str
    exception: str
    error: str = ""
    at: float = float("inf")


@dataclass(slots=True)
class Evidence:
    """Everything that is known when all is over."""

    began: float = 0.0
    pushes: Sequence[Push] = ()
    lines: Sequence[Line] = ()
    lives: Sequence[Life] = ()
    performer_kills: Mapping[int, Sequence[float]] = field(default_factory=dict)
    processed: int = 0
    failed: int = 0
    counted: Mapping[str, int] = field(default_factory=dict)
    """The same two by the statistics. A killed worker takes a part of them along."""
    failures: Sequence[Failed] = ()
    statuses: Mapping[str, int] = field(default_factory=dict)
    queued: int = 0
    keys: Sequence[str] = ()
    orphans: Sequence[str] = ()
    misconduct: Sequence[str] = ()
    """What the harness itself has seen that must not be, such as a worker that ended by itself."""


class Notebook:
    """A log of lines, each written at once."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def note(self, *lines: str) -> None:
        os.write(self._file, "".join(f"{line}\n" for line in lines).encode())

    def close(self) -> None:
        os.close(self._file)


class Tail:
    """What is new in a file of lines since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def lines(self) -> list[str]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                new = file.read()
        except FileNotFoundError:
            return []
        whole = new[: new.rfind(b"\n") + 1]
        self._at += len(whole)
        return whole.decode().splitlines()


def read_pushes(folder: Path) -> list[Push]:
    """What all producers have noted: a line ``try JOB KIND TIME``, then ``OUTCOME JOB ID TIME``."""
    found: dict[str, Push] = {}
    for path in sorted(folder.glob("pushes-*.log")):
        for text in path.read_text().splitlines():
            outcome, job, word, at = text.split()
            if outcome == TRIED:
                found[job] = Push(job, word, outcome, at=float(at))
            else:
                found[job].outcome, found[job].id = outcome, word
    return list(found.values())


def read_lines(folder: Path) -> list[Line]:
    """What all jobs have noted."""
    return [Line.parse(text) for text in Tail(folder / "work.log").lines()]


# -- runs --------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Run:
    """One time that a job was begun. ``how`` it ended is ``end``, ``raised``, ``dying``, or empty: it just stops."""

    job: str
    kind: str
    pid: int
    dispatcher: int
    start: float
    redelivered: bool | None = None
    end: float | None = None
    how: str = ""
    next_start: float = float("inf")
    """When the same performer began its next job."""

    @property
    def finished(self) -> bool:
        """Whether the command came to its end, well or not."""
        return self.how in ("end", "raised")


def runs_of(lines: Sequence[Line]) -> dict[str, list[Run]]:
    """The runs of each job, in the order of their starts."""
    found: dict[str, list[Run]] = defaultdict(list)
    current: dict[int, Run] = {}
    for line in sorted(lines, key=lambda line: line.at):
        before = current.get(line.pid)
        if line.event == "start":
            if before is not None:
                before.next_start = line.at
            run = Run(line.job, line.kind, line.pid, line.dispatcher, line.at, line.redelivered)
            found[line.job].append(run)
            current[line.pid] = run
        elif before is not None and before.job == line.job:
            before.end, before.how = line.at, line.event
    return found


# -- processes ---------------------------------------------------------------------------------------------------------


def processes_of(folder: Path) -> Iterator[tuple[int, str]]:
    """Pid and command line of every process that belongs to the storm in ``folder``: it, or an ancestor, was started
    with the folder in its environment, its arguments, or its open files."""
    mark = str(folder).encode()
    name = folder.name.encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            arguments = (entry / "cmdline").read_bytes()
            if name in arguments or mark in (entry / "environ").read_bytes() or _has_open(entry, str(folder)):
                yield int(entry.name), arguments.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # ended meanwhile, or another user's
            continue


def _has_open(entry: Path, folder: str) -> bool:
    return any(os.readlink(link).startswith(folder) for link in (entry / "fd").iterdir())
