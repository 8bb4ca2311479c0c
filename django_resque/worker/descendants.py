"""What commands have started, and how it ends (Linux; elsewhere nothing here does anything).

A performer and its dispatcher are *subreapers*: what loses its parent becomes their child, also from a session of its
own or after forking twice. So the descendants of a job can be found after it, as children of its performer, and those
of a performer that died as children of the dispatcher. What survives a dispatcher is found by the *mark* that it
carries, the dispatcher's pid and start time: programs have it in their environment, and processes that were forked
and run no other program have it in the title that they got from their performer.

The processes of the embedded server are never touched: everybody uses it, whoever started it.
"""

from __future__ import annotations

import ctypes
import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable, Container, Iterator
from contextlib import suppress

from ..store.embedded import is_embedded_server
from .machine import start_time

ENVIRONMENT = "DJANGO_RESQUE_WORKER"
"""The variable that holds the mark."""
_LINUX = sys.platform == "linux"
_PR_SET_CHILD_SUBREAPER = 36
_IN_ENVIRONMENT = re.compile(rb"(?:^|\0)%b=(\d+)\.(\d+)(?:\0|$)" % ENVIRONMENT.encode())
_IN_TITLE = re.compile(rb"\Aresque-[^\s\0]+ \[django (\d+)\.(\d+)\]")
_PASSES = 10
_libc = ctypes.CDLL(None)  # loaded before any fork


def mark(pid: int | None = None) -> str:
    """What tells the process ``pid``, or this one, from all before and after it: ``<pid>.<start time>``."""
    pid = os.getpid() if pid is None else pid
    return f"{pid}.{start_time(pid)}"


def become_subreaper() -> None:
    """Have orphaned descendants become children of this process. Forked children do not inherit this.

    The children that are there already are left alone from now on: a shell may have started them before it became us.
    """
    global _earlier
    if _LINUX:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        _earlier = frozenset(children())


_earlier: frozenset[int] = frozenset()


def children() -> list[int]:
    """The children of this process, dead ones that nobody has waited for too."""
    found: list[int] = []
    told = False
    for task in _entries("/proc/self/task"):
        with suppress(OSError):  # the thread has ended
            with open(f"/proc/self/task/{task}/children", "rb") as file:
                found += map(int, file.read().split())
            told = True
    return found if told else [pid for pid in _processes() if _parent(pid) == os.getpid()]


def end_children(spare: Callable[[int], bool] = is_embedded_server, *, within: float = 2.0) -> int:
    """Kill all children, and those that become children as their parents die, until none is left. Returns how many.

    Those that have ended already are waited for. Takes a microsecond when there are none, and ``within`` seconds when
    somebody starts new ones all the time.
    """
    if not _LINUX:
        return 0
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return 0
    return _end((), lambda pid: not spare(pid), within)


def end_orphans(
    known: Container[int], spare: Callable[[int], bool] = is_embedded_server, *, within: float = 0.1
) -> int:
    """Kill all children that are not ``known``: what performers have left when they died. Returns how many.

    For the dispatcher. The known ones are not waited for.
    """
    if not _LINUX:
        return 0
    is_init = os.getpid() == 1  # every orphan of the container becomes a child, whoever started it
    own = mark()
    return _end(known, lambda pid: not spare(pid) and (not is_init or own in _marks(pid)), within)


def sweep() -> int:
    """Kill what dispatchers that are dead have left on this machine. Returns how many processes.

    Only processes of this user, and of this pid namespace, in which the mark's pid means something.
    """
    if not _LINUX:
        return 0
    ended: set[int] = set()
    for _pass in range(_PASSES):
        found = {pid for pid in _processes() if pid not in ended and _is_left_over(pid) and _kill_left_over(pid)}
        ended |= found
        if not found:  # what was forked while we looked is found by the next look
            break
    return len(ended)


# -- ending ------------------------------------------------------------------------------------------------------------


def _end(known: Container[int], is_to_end: Callable[[int], bool], within: float) -> int:
    deadline = time.monotonic() + within
    killed: set[int] = set()
    leave_alone = set(_earlier)
    while True:
        strangers = [pid for pid in children() if pid not in known and pid not in leave_alone]
        living = [pid for pid in strangers if not _reap(pid) and is_to_end(pid)]
        if not living or time.monotonic() > deadline:
            return len(killed)
        for pid in living:
            try:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            except PermissionError:  # it runs as somebody else by now
                leave_alone.add(pid)
        if living[0] not in leave_alone:
            _wait_for_end(living[0], deadline - time.monotonic())


def _reap(pid: int) -> bool:
    """Whether the child has ended, and was waited for."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _wait_for_end(pid: int, seconds: float) -> None:
    try:
        process = os.pidfd_open(pid)
    except OSError:
        time.sleep(0.001)  # a system without pidfds
        return
    try:
        poll = select.poll()
        poll.register(process, select.POLLIN)
        poll.poll(max(1, seconds * 1000))
    finally:
        os.close(process)


def _kill_left_over(pid: int) -> bool:
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not _is_left_over(pid):  # the pid was given to another meanwhile; from here on it cannot be
            return False
        signal.pidfd_send_signal(process, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(process)
    return True


# -- looking -----------------------------------------------------------------------------------------------------------


def _is_left_over(pid: int) -> bool:
    try:
        if pid == os.getpid() or os.stat(f"/proc/{pid}").st_uid != os.geteuid():
            return False
        if not any(map(_is_dead, _marks(pid))):
            return False
        return os.readlink(f"/proc/{pid}/ns/pid") == os.readlink("/proc/self/ns/pid") and not is_embedded_server(pid)
    except OSError:  # it is gone, or may not be looked at
        return False


def _is_dead(dispatcher: str) -> bool:
    pid, _, started = dispatcher.partition(".")
    found = start_time(int(pid))
    if found:
        return found != started
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # another user's; no pid at all
        return False
    return False


def _marks(pid: int) -> set[str]:
    """The dispatchers that the process may descend from."""
    found = _IN_ENVIRONMENT.findall(_read(pid, "environ")) + _IN_TITLE.findall(_read(pid, "cmdline"))
    return {f"{dispatcher.decode()}.{started.decode()}" for dispatcher, started in found}


def _parent(pid: int) -> int:
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return int(fields[1]) if fields else 0


def _processes() -> Iterator[int]:
    return (int(name) for name in _entries("/proc") if name.isdigit())


def _entries(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _read(pid: int, name: str) -> bytes:
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except OSError:
        return b""
