"""Telling workers on any host what to do: through Redis, acknowledged, and waiting until it has happened.

A message may be obeyed until its deadline, by Redis' clock, and never later: a stop that nobody has read does not act
when nobody expects it any more. Nothing is ever sent to a pid. `django_resque.worker.control` is who obeys.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .errors import NoSuchWorker, StoreError, StoreUnavailable
from .store import Population, ProcessState, Replies, Store, WorkerProcessInfo, store
from .store.processes import process_of
from .worker.selection import serves

TIMEOUT = 30.0
"""Seconds to wait for what a message brings about."""
ANSWER_WITHIN = 10.0
"""Seconds in which a message may be obeyed, at most."""
LEAST_TO_ANSWER = 1.0
"""The same for who does not want to wait: time enough for a worker to read the message at all."""
MARGIN = 2.0
"""Seconds after that in which the answer may still be under way."""
_LOOK = 0.1
"""Seconds between two looks at whether it has happened."""


# -- whom --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Target:
    """A worker process of ours; or (``process`` is None) a worker on the boards that is none, by its id."""

    name: str
    process: WorkerProcessInfo | None = None

    def __str__(self) -> str:
        if self.process is None:
            return self.name
        return f"{self.name} ({self.process.kind} on {self.process.host or 'an unknown host'}: {self._serves})"

    @property
    def _serves(self) -> str:
        assert self.process is not None
        return self.process.queues or "no queues"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which workers are meant: those for which all that is given is true, and all of them when nothing is.

    ``worker`` is the id of a worker, with or without its queues; the whole process is meant, which may have others.
    ``process`` is a process's name, ``host`` the host's, ``queue`` one of the queues that are served, ``kind`` is
    ``worker`` or ``scheduler``.
    """

    worker: str = ""
    process: str = ""
    host: str = ""
    queue: str = ""
    kind: str = ""

    def __str__(self) -> str:
        given = [f"{name} {getattr(self, name)}" for name in self.__slots__ if getattr(self, name)]
        return ", ".join(given) or "any"


def find(wanted: Wanted) -> list[Target]:
    """The workers that are meant, as Redis knows them now. Raises `NoSuchWorker` as `select`, and a `StoreError`."""
    return select(store().processes.population(), wanted)


def select(population: Population, wanted: Wanted) -> list[Target]:
    """Those of ``population`` that are meant. Raises `NoSuchWorker`, which says what there is, when nobody is."""
    everybody = [Target(process.name, process) for process in population.processes]
    everybody += [Target(worker) for worker in population.others]
    found = [target for target in everybody if _is_meant(target, wanted)]
    if not found:
        raise NoSuchWorker(f"No worker is meant by {wanted}. {_there_are(everybody)}")
    return found


def _there_are(everybody: Sequence[Target]) -> str:
    return f"There are: {listed(everybody)}" if everybody else "No worker is registered"


def listed(targets: Sequence[Target], most: int = 10) -> str:
    """The first of them on one line, and how many more there are."""
    more = f" and {len(targets) - most} more" if len(targets) > most else ""
    return ", ".join(map(str, targets[:most])) + more


def _is_meant(target: Target, wanted: Wanted) -> bool:
    process = target.process
    ids: Sequence[str]
    if process is None:
        host, _, rest = target.name.partition(":")
        queues, kind, ids, name = rest.partition(":")[2], "worker", [target.name], process_of(target.name)
        host = host.partition("~")[0] if name else host
    else:
        host, queues, kind, ids, name = process.host, process.queues, process.kind, process.workers, process.name
    return (
        (not wanted.worker or any(wanted.worker in (worker, worker.rpartition(":")[0]) for worker in ids))
        and wanted.process in ("", name)
        and wanted.host in ("", host)
        and (not wanted.queue or serves(queues, wanted.queue))
        and wanted.kind in ("", kind)
    )


# -- what came of it ---------------------------------------------------------------------------------------------------


class Outcome(StrEnum):
    """What is known of a worker that was told something. `DONE` alone is a success."""

    DONE = "done"
    """It has happened."""
    ACKNOWLEDGED = "acknowledged, not yet"
    """The worker is at it."""
    REFUSED = "refused"
    """The worker has answered that it does not do it."""
    NO_ANSWER = "no answer"
    """Nobody has answered in time. A message that was not obeyed by now never will be."""
    GONE = "gone"
    """It was not registered any more, or has left before it answered."""
    LEASE_ENDED = "lease has ended"
    """It is dead, frozen, or cut off from Redis; the jobs that it held go to others."""
    NOT_OURS = "not ours"
    """A worker of another program: it takes no messages."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of telling one target. ``detail`` is a half-sentence for people, ``jobs`` are the ids of jobs that were
    ended, ``running`` of those that were running when the worker answered."""

    target: Target
    outcome: Outcome
    detail: str = ""
    jobs: Sequence[str] = ()
    running: Sequence[str] = ()

    @property
    def done(self) -> bool:
        return self.outcome is Outcome.DONE


Progress = Callable[[Result], None]
"""Is called with each acknowledgement and with each final result, as they come."""


def _ignore(result: Result) -> None:
    """Nobody wants to know."""


def stop(
    targets: Sequence[Target], *, force: bool = False, timeout: float = TIMEOUT, progress: Progress = _ignore
) -> list[Result]:
    """Have them take no more jobs and end: when the running ones are finished, or their grace period is over; with
    ``force`` at once, and what runs goes back to its queue. Done when they have left.

    Waits up to ``timeout`` seconds, and a little longer for the last answer; gives a result for each target. As all
    of these: raises no error for a Redis that does not answer on the way, but says so in the results.
    """
    return _tell("stop", targets, _has_left, timeout, progress, force=force)


def pause(targets: Sequence[Target], *, timeout: float = TIMEOUT, progress: Progress = _ignore) -> list[Result]:
    """Have them take no more jobs, and finish what runs. Done when they say that they are paused."""
    return _tell("pause", targets, _is("paused"), timeout, progress)


def resume(targets: Sequence[Target], *, timeout: float = TIMEOUT, progress: Progress = _ignore) -> list[Result]:
    """Have them take jobs again."""
    return _tell("resume", targets, _is("running"), timeout, progress)


def cleanup(targets: Sequence[Target], *, timeout: float = TIMEOUT, progress: Progress = _ignore) -> list[Result]:
    """Have them end the jobs that run, as failures, and go on. The results name the jobs."""
    return _tell("cleanup", targets, _at_once, timeout, progress)


@dataclass(frozen=True, slots=True)
class JobEnd:
    """What came of `end_job`: ``by`` is the process that has ended it, None when it runs on none of those that
    answered. ``silent`` are those that did not."""

    by: Target | None
    silent: Sequence[Result]


def end_job(job_id: str, *, timeout: float = TIMEOUT) -> JobEnd:
    """End one running job, wherever it runs; it becomes a failure. Raises a `StoreError` when Redis cannot be asked
    where."""
    workers = [
        Target(process.name, process)
        for process in store().processes.all()
        if process.kind == "worker" and process.alive
    ]
    conversation = _Conversation(store(), "end_job", workers, _at_once, timeout, _ignore, {"job": job_id})
    results = conversation.hold(enough=lambda result: bool(result.jobs))
    by = next((result.target for result in results if result.jobs), None)
    return JobEnd(by, [result for result in results if not result.done] if by is None else [])


# -- the effects -------------------------------------------------------------------------------------------------------

Effect = Callable[[ProcessState], bool]
"""Whether it has happened, as far as the process's state tells."""


def _has_left(state: ProcessState) -> bool:
    return not state.registered


def _is(mode: str) -> Effect:
    return lambda state: state.mode == mode


def _at_once(state: ProcessState) -> bool:
    """It has happened before the answer is written."""
    return True


# -- the conversation --------------------------------------------------------------------------------------------------


def _tell(
    verb: str, targets: Sequence[Target], effect: Effect, timeout: float, progress: Progress, **more: Any
) -> list[Result]:
    return _Conversation(store(), verb, targets, effect, timeout, progress, more).hold()


@dataclass(slots=True)
class _Thread:
    """What is said to one process, and what it has said; ``leased``: its lease lasts, as far as is known."""

    target: Target
    process: WorkerProcessInfo
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    sent: bool = False
    answer: dict[str, Any] | None = None
    leased: bool = True


class _Conversation:
    """One message to each of several processes, at the same time. ``more`` goes into the message."""

    def __init__(
        self,
        store: Store,
        verb: str,
        targets: Sequence[Target],
        effect: Effect,
        timeout: float,
        progress: Progress,
        more: dict[str, Any],
    ) -> None:
        self._store = store
        self._verb = verb
        self._targets = {target.name: target for target in targets}
        self._effect = effect
        self._timeout = timeout
        self._answer_within = max(LEAST_TO_ANSWER, min(timeout, ANSWER_WITHIN))
        self._progress = progress
        self._more = {**more, "by": somebody()}
        self._results: dict[str, Result] = {}
        self._open: dict[str, _Thread] = {}
        self._deadline = 0.0
        self._trouble = ""

    def hold(self, enough: Callable[[Result], bool] = lambda result: False) -> list[Result]:
        """Tell them, and wait until it has happened everywhere, the time is over, or one result is ``enough``."""
        begun = time.monotonic()
        self._begin()
        with self._store.control.replies() as replies:
            while self._open and not any(map(enough, self._results.values())):
                self._go_on(replies)
                self._give_up(time.monotonic() - begun)
        return [self._results[name] for name in self._targets if name in self._results]

    def _begin(self) -> None:
        """Find out who can be told at all."""
        ours = [(target, target.process) for target in self._targets.values() if target.process is not None]
        now, states = self._store.processes.states([process for _, process in ours])
        self._deadline = now + self._answer_within
        for target in self._targets.values():
            if process_of(target.name):
                self._settle(target, Outcome.GONE, "its process is not registered any more")
            elif target.process is None:
                self._settle(target, Outcome.NOT_OURS, "a worker of another program, which takes no messages")
        for (target, process), state in zip(ours, states, strict=True):
            if not state.registered:
                self._settle(target, Outcome.GONE, "it is not registered any more")
            elif state.lease <= now:
                self._settle(target, Outcome.LEASE_ENDED, f"{now - state.lease:.0f} s ago; it was not told")
            else:
                thread = _Thread(target, process)
                self._open[thread.id] = thread

    def _go_on(self, replies: Replies) -> None:
        """Send what is to be sent, hear what is answered within a moment, look what has happened."""
        try:
            self._send()
            self._listen(replies, _LOOK)
            self._look(replies)
        except StoreUnavailable as error:
            self._trouble = str(error)
            for thread in self._open.values():
                thread.sent = False  # its message or its answer may be lost; it answers again, and obeys once
            time.sleep(_LOOK)

    def _send(self) -> None:
        for thread in list(self._open.values()):
            if thread.sent or thread.answer is not None:
                continue
            message = {"id": thread.id, "verb": self._verb, "deadline": self._deadline, **self._more}
            request = self._store.control.send(thread.process.name, json.dumps(message).encode(), self._deadline)
            try:
                thread.sent = self._store.ask(request)
            except StoreUnavailable:
                raise
            except StoreError as error:
                self._end(thread, Outcome.NO_ANSWER, f"it cannot be told: {error}")

    def _listen(self, replies: Replies, seconds: float) -> None:
        """Hear all answers that come within ``seconds``; when none is awaited, sleep."""
        until = time.monotonic() + seconds
        while waiting := [thread.id for thread in self._open.values() if thread.answer is None]:
            found = replies.next(waiting, max(until - time.monotonic(), 0.0))
            if found is None:
                return
            self._hear(self._open[found[0]], found[1])
        if self._open:
            time.sleep(max(until - time.monotonic(), 0.0))

    def _hear(self, thread: _Thread, raw: bytes) -> None:
        answer = _read(raw)
        if answer.get("ok") is not True:
            self._end(thread, Outcome.REFUSED, str(answer.get("error") or "it says something that is no answer"))
            return
        thread.answer = answer
        if self._effect is not _at_once:
            self._progress(self._result(thread, Outcome.ACKNOWLEDGED, ""))

    def _look(self, replies: Replies) -> None:
        """See where it has happened."""
        threads = list(self._open.values())
        now, states = self._store.processes.states([thread.process for thread in threads])
        if any(thread.answer is None and not state.registered for thread, state in zip(threads, states, strict=True)):
            self._listen(replies, 0)  # it may have answered just before it left
        for thread, state in zip(threads, states, strict=True):
            thread.leased = state.lease > now
            if thread.id not in self._open:
                continue
            if thread.answer is not None and self._effect(state):
                self._end(thread, Outcome.DONE, self._words(thread))
            elif not state.registered:
                self._end(thread, Outcome.GONE, "it has left meanwhile")

    def _give_up(self, elapsed: float) -> None:
        """End what has taken too long."""
        for thread in list(self._open.values()):
            if thread.answer is not None and elapsed >= self._timeout:
                self._end(thread, Outcome.ACKNOWLEDGED, self._words(thread))
            elif thread.answer is None and elapsed >= self._answer_within + MARGIN:
                if self._trouble and not thread.sent:
                    self._end(thread, Outcome.NO_ANSWER, f"Redis is not available: {self._trouble}")
                elif not thread.leased:
                    self._end(thread, Outcome.LEASE_ENDED, "it does not answer")
                else:
                    self._end(thread, Outcome.NO_ANSWER, f"within {self._answer_within:g} s")

    def _words(self, thread: _Thread) -> str:
        answer = thread.answer or {}
        if self._verb == "cleanup":
            jobs = _texts(answer.get("jobs"))
            return f"ended {', '.join(jobs)}" if jobs else "no job was running"
        running = len(_texts(answer.get("running")))
        return f"{running} job(s) were running when it answered" if running else ""

    # -- results -------------------------------------------------------------------------------------------------------

    def _end(self, thread: _Thread, outcome: Outcome, detail: str) -> None:
        del self._open[thread.id]
        result = self._result(thread, outcome, detail)
        self._results[thread.target.name] = result
        self._progress(result)

    def _result(self, thread: _Thread, outcome: Outcome, detail: str) -> Result:
        answer = thread.answer or {}
        jobs = [self._more["job"]] if answer.get("ended") is True else _texts(answer.get("jobs"))
        return Result(thread.target, outcome, detail, jobs, _texts(answer.get("running")))

    def _settle(self, target: Target, outcome: Outcome, detail: str) -> None:
        self._results[target.name] = Result(target, outcome, detail)
        self._progress(self._results[target.name])


def _read(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _texts(value: object) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def somebody() -> str:
    """Who asks, for the log over there: user and host of this process."""
    user = str(os.getuid())
    with suppress(KeyError, OSError, ImportError):  # a container may know no name for its user
        user = getpass.getuser()
    return f"{user}@{socket.gethostname()}"
