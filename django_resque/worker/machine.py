"""What tells a process from every other, and proves its death, on the machine where it runs (Linux)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from functools import cache


def identity() -> str:
    """This process: boot, pid namespace, pid and start time. Empty where the system does not tell (macOS)."""
    place, started = _place(), start_time(os.getpid())
    return f"{place}/{os.getpid()}/{started}" if place and started else ""


def is_dead(found: str) -> bool:
    """Whether the process of this `identity` is proved dead.

    Never for one of another machine, an earlier boot or another container, of which nothing is known here. A process
    that may not be looked at is alive.
    """
    place, _, rest = found.rpartition("/")
    place, _, pid = place.rpartition("/")
    if not place or place != _place():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError, OverflowError):  # another user's; or no pid at all
        return False
    started = start_time(int(pid))
    return bool(started) and started != rest


def start_time(pid: int) -> str:
    """When a process began, in clock ticks since the boot; empty when it is not told. (proc_pid_stat(5), field 22)"""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()  # a name may hold anything, also blanks and brackets
    except OSError:
        return ""
    if fields[0] in (b"Z", b"X"):
        return "ended"  # a zombie does nothing any more
    return fields[19].decode()


def memory(pids: Iterable[int]) -> int:
    """The bytes that these processes have resident, what they share counted for each; 0 where the system does not
    tell. (proc_pid_statm(5), field 2)"""
    pages = 0
    for pid in pids:
        with suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{pid}/statm", "rb") as file:
                pages += int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@cache
def _place() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            boot = file.read().strip()
        return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""
