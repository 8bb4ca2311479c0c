"""What /proc says about the processes of a consumer."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """The process, all that descends from it, and all of its session."""
    found = []
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                fields = _stat(int(entry.name))
                if fields[0] != "Z":
                    parents[int(entry.name)] = (int(fields[1]), int(fields[3]))
    members = {pid}
    while grown := {
        one
        for one, (parent, session) in parents.items()
        if (parent in members or session == pid) and one not in members
    }:
        members |= grown
    found = [one for one in members if one in parents]
    return sorted(found)


def children(pid: int) -> list[int]:
    """The living children of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    """Whether it is there, and is not merely waiting for its parent to notice its end."""
    try:
        return _stat(pid)[0] != "Z"
    except OSError:
        return False


def cpu_seconds(pids: Iterable[int]) -> float:
    """Processor time that these processes have used so far."""
    return sum(_cpu(pid) for pid in pids)


def pss(pids: Iterable[int]) -> float:
    """Memory in MB, what is shared divided by those who share it."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total / 1024


def rss(pid: int) -> float:
    """Resident memory in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _cpu(pid: int) -> float:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        nanoseconds = [int((thread / "schedstat").read_text().split()[0]) for thread in threads]
        return sum(nanoseconds) / 1e9
    except FileNotFoundError:  # a kernel without schedstat, or the process has ended
        try:
            fields = _stat(pid)
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) * TICK


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the state on; the name before it may hold blanks and brackets."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
