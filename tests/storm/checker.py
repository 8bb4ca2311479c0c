"""Whether every promise was kept, decided from the evidence alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from .evidence import PUSHED, REFUSED, Evidence, Failed, Harm, Life, Push, Run, runs_of
from .kinds import DONE, KINDS

POISON = "PoisonJob"
DIRTY = "DirtyExit"
MAX_CRASHES = 3
COMPLETE, FAILED = 4, 3
"""What is in the status of a job that has ended."""

OUTLIVES = 0.5
"""Seconds for which a performer may go on after its dispatcher was killed: it has 50 ms by promise."""
UNTOLD = 10.0
"""Seconds for which a job may have ended and its dispatcher not have told Redis, while Redis could not be reached."""
UNREPORTED = 0.5
"""Seconds for which a job may have ended and its performer not have reported it."""


@dataclass(frozen=True, slots=True)
class Violation:
    """``promise`` is the one that was broken, in a word or two; ``text`` says how, with the history of the job."""

    promise: str
    text: str


@dataclass(slots=True)
class Verdict:
    """No ``violations``: every promise was kept."""

    violations: list[Violation] = field(default_factory=list)
    processed: int = 0
    failed: int = 0
    lost: int = 0
    poison: int = 0
    innocents: int = 0
    duplicates: int = 0
    from_performers: int = 0
    per_death: list[int] = field(default_factory=list)
    """For each killed or frozen dispatcher, how many finished jobs ran again."""
    reruns: int = 0
    uncertain: int = 0
    arrived: int = 0
    """How many of the uncertain ones had been pushed after all."""
    orphans: int = 0

    @property
    def mean_per_death(self) -> float:
        return sum(self.per_death) / len(self.per_death) if self.per_death else 0.0


def judge(evidence: Evidence) -> Verdict:
    """The verdict on a storm."""
    return _Court(evidence).judge()


@dataclass(frozen=True, slots=True, order=True)
class _Excuse:
    """Harm to a dispatcher, or (None) the kill of a performer, so many ``seconds`` after the end of a run. The smallest
    is the likeliest; of two, that of the run that is not the ``last``, which should be the one that was accounted for.
    """

    seconds: int
    last: bool
    harm: Harm | None = field(default=None, compare=False)


class _Court:
    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._pushes = {push.job: push for push in evidence.pushes}
        self._runs = runs_of(evidence.lines)
        self._failures: defaultdict[str, list[Failed]] = defaultdict(list)
        for failure in evidence.failures:
            self._failures[failure.job].append(failure)
        self._lives: defaultdict[int, list[Life]] = defaultdict(list)
        for life in evidence.lives:
            self._lives[life.pid].append(life)
        self._per_harm: Counter[int] = Counter()
        self._unclaimed = self._find_unclaimed()
        self._verdict = Verdict(processed=evidence.processed, failed=evidence.failed)

    def judge(self) -> Verdict:
        for job in self._pushes:
            self._judge_job(job)
        self._judge_strangers()
        self._judge_permits()
        self._judge_accounting()
        self._judge_statuses()
        self._judge_what_is_left()
        self._sum_up()
        return self._verdict

    def _accuse(self, promise: str, what: str, job: str | None = None) -> None:
        text = what if job is None else f"{what}\n{self.history(job)}"
        self._verdict.violations.append(Violation(promise, text))

    def _has_ended(self, job: str) -> bool:
        return bool(self._failures.get(job)) or any(run.finished for run in self._runs.get(job, ()))

    # -- one job -----------------------------------------------------------------------------------------------------

    def _judge_job(self, job: str) -> None:
        push, runs, failures = self._pushes[job], self._runs.get(job, []), self._failures.get(job, [])
        if push.outcome == REFUSED:
            if runs or failures:
                self._accuse("refused", f"{job} was refused for certain, and is there all the same", job)
            return
        if push.outcome != PUSHED:
            self._verdict.uncertain += 1
            if not runs and not failures:
                return
            self._verdict.arrived += 1
        if not self._has_ended(job):
            self._verdict.lost += 1
            self._accuse("lost", f"{job} is lost: it was {push.outcome} and has not ended", job)
            return
        if len(failures) > 1:
            self._accuse("one record", f"{job} has {len(failures)} failure records", job)
        if failures:
            self._judge_failure(job, push, runs, failures[0])
        else:
            self._judge_success(job, push, runs)
        self._judge_runs(job, push, runs)

    def _judge_success(self, job: str, push: Push, runs: Sequence[Run]) -> None:
        ending = KINDS[push.kind].ending
        if ending != DONE:
            self._accuse("one record", f"{job} ended without the failure record that it must have ({ending})", job)
        elif not any(run.how == "end" for run in runs):
            self._accuse("one record", f"{job} raised an error and has no failure record", job)

    def _judge_failure(self, job: str, push: Push, runs: Sequence[Run], failure: Failed) -> None:
        kind = KINDS[push.kind]
        crashes = sum(self._crashed(run) for run in runs)
        if failure.exception == POISON:
            self._verdict.poison += 1
            while crashes < MAX_CRASHES and self._claim(push.at, failure.at):
                crashes += 1
            if crashes < MAX_CRASHES:
                self._verdict.innocents += 1
                self._accuse(
                    "innocent", f"{job} is innocent: a poison job by record, with {crashes} crash(es) of its own", job
                )
        elif failure.exception == DIRTY and kind.fragile:
            if runs and not any(self._crashed(run) for run in runs):
                self._verdict.innocents += 1
                self._accuse(
                    "innocent", f"{job} is innocent: {DIRTY} by record, and no process of its own has died", job
                )
        elif failure.exception != kind.ending:
            self._accuse("own failure", f"{job} has a failure record that is not its own: {failure.exception}", job)

    def _judge_runs(self, job: str, push: Push, runs: Sequence[Run]) -> None:
        if KINDS[push.kind].attempts > 1:  # an attempt that failed is not to be performed again, but another
            runs = [run for run in runs if run.how != "raised"]
        if len(runs) < 2:
            return
        self._verdict.reruns += len(runs) - 1
        if KINDS[push.kind].fragile:
            self._accuse("on_crash", f'{job} has on_crash="fail" and was begun {len(runs)} times', job)
        for run in runs[1:]:
            if KINDS[push.kind].attempts > 1:
                continue  # the runs before may be of the attempt before
            if run.redelivered is False and not self._was_taken_before_a_freeze(run, push):
                self._accuse(
                    "redelivered", f"{job} ran again in {run.pid} and was not told that it is redelivered", job
                )
        for before, after in pairwise(runs):
            if not before.finished and not self._interrupted(before, after):
                self._accuse(
                    "begun twice", f"{job} was begun again by {after.pid} although nobody had stopped {before.pid}", job
                )
        self._judge_duplicates(job, [run for run in runs if run.finished])

    def _judge_duplicates(self, job: str, finished: Sequence[Run]) -> None:
        """All but one of the runs that came to their end must have an excuse: that one was accounted for."""
        duplicates = len(finished) - 1
        if duplicates < 1:
            return
        self._verdict.duplicates += duplicates
        excuses = [excuse for run in finished if (excuse := self._excuse(run, last=run is finished[-1])) is not None]
        if len(finished) - len(excuses) > 1:
            self._accuse(
                "duplicate", f"{job} ran again although it had ended and nothing had happened to its worker", job
            )
        for excuse in sorted(excuses)[:duplicates]:
            if excuse.harm is not None:
                self._per_harm[id(excuse.harm)] += 1
            else:
                self._verdict.from_performers += 1

    def _excuse(self, run: Run, *, last: bool = False) -> _Excuse | None:
        """What may have kept the end of a run from being accounted for."""
        if run.end is None:
            return None
        found = [_Excuse(max(0, int(harm.at - run.end)), last, harm) for harm in self._harms(run)]
        if (killed := self._killed_after(run)) is not None:
            found.append(_Excuse(max(0, int(killed - run.end)), last))
        return min((excuse for excuse in found if excuse.seconds < UNTOLD), default=None)

    def _was_taken_before_a_freeze(self, run: Run, push: Push) -> bool:
        """Whether its dispatcher may have held the job while it was frozen, and another performed it: what it begins as
        soon as it is back was not redelivered when it took it."""
        return any(
            harm.what == "frozen" and push.at <= harm.at and run.start <= harm.over + OUTLIVES
            for harm in self._harms(run)
        )

    def _crashed(self, run: Run) -> bool:
        """Whether the job's process died of this run, or its worker was lost with it."""
        if run.how == "dying" or self._killed_after(run) is not None:
            return True
        if run.finished:
            return self._excuse(run) is not None
        return any(run.start <= (harm.over or harm.at) + OUTLIVES for harm in self._harms(run))

    def _find_unclaimed(self) -> list[float]:
        """When performers and dispatchers were killed of which no job says that it ran: the moment between taking a job
        and its first word. One job each may have been hit there."""
        runs = [run for runs in self._runs.values() for run in runs]
        kills = {(pid, at) for pid, times in self._evidence.performer_kills.items() for at in times}
        harms = {id(harm): harm.at for life in self._evidence.lives for harm in life.harms}
        for run in runs:
            killed = self._killed_after(run)
            if run.how == "":  # of one that has ended nobody can say whether it was still to be reported
                kills.discard((run.pid, killed or 0.0))
            if run.how == "" and killed is None:
                for harm in self._harms(run):
                    harms.pop(id(harm), None)
        return [*(at for _, at in kills), *harms.values()]

    def _claim(self, since: float, until: float) -> bool:
        """Count one of these kills for a job that waited or ran in this time. Each counts once."""
        for at in self._unclaimed:
            if since <= at <= until:
                self._unclaimed.remove(at)
                return True
        return False

    def _interrupted(self, run: Run, after: Run) -> bool:
        """Whether something explains that a run does not end before the next one begins."""
        if self._crashed(run):
            return True
        lives = [life for life in self._lives[run.dispatcher] if life.has(run.dispatcher, run.start)]
        return any(life.died is not None and run.start < life.died for life in lives)  # the grace period was over

    def _killed_after(self, run: Run) -> float | None:
        """When its performer was killed, if that was during the run, or before it could be reported."""
        until = run.next_start if run.end is None or run.how == "dying" else min(run.next_start, run.end + UNREPORTED)
        kills = self._evidence.performer_kills.get(run.pid, ())
        return next((at for at in kills if run.start <= at <= until), None)

    def _harms(self, run: Run) -> Iterable[Harm]:
        """What befell the dispatcher of a run, from its start on."""
        for life in self._lives[run.dispatcher]:
            if life.has(run.dispatcher, run.start):
                for harm in life.harms:
                    if (harm.over or harm.at) + OUTLIVES >= run.start:
                        yield harm

    # -- all together ------------------------------------------------------------------------------------------------

    def _judge_strangers(self) -> None:
        for job in {*self._runs, *self._failures} - {*self._pushes}:
            self._accuse("stranger", f"{job or 'a job without a name'} was never enqueued", job)

    def _judge_permits(self) -> None:
        """Never more at once than there are permits. Runs of dispatchers that were killed or frozen are left out: their
        permits may have been given to others while they went on."""
        for kind in KINDS.values():
            if "concurrency" not in kind.using:
                continue
            key, most = kind.using["concurrency"]
            runs = [
                run for runs in self._runs.values() for run in runs if run.kind == kind.name and run.end is not None
            ]
            steps = [
                (at, step, run.job)
                for run in runs
                if not any(True for _ in self._harms(run))
                for at, step in ((run.start, 1), (run.end or run.start, -1))
            ]
            running = 0
            for _at, step, job in sorted(steps):
                running += step
                if running > most:
                    self._accuse("concurrency", f"{running} jobs ran at once under the key {key!r}", job)

    def _judge_accounting(self) -> None:
        """Each job exactly once in the counters."""
        evidence = self._evidence
        ended = sum(map(self._has_ended, self._pushes))
        if evidence.processed != ended:
            self._accuse("accounting", f"stat:processed is {evidence.processed:,}, and {ended:,} jobs have ended")
        if evidence.failed != len(evidence.failures):
            self._accuse(
                "accounting", f"stat:failed is {evidence.failed:,}, of {len(evidence.failures):,} failure records"
            )
        for name, most in (("processed", evidence.processed), ("failed", evidence.failed)):
            if evidence.counted.get(name, 0) > most:
                self._accuse(
                    "accounting", f"{name} is {evidence.counted[name]:,} in the statistics, and {most:,} in stat"
                )
        if evidence.queued:
            self._accuse("accounting", f"{evidence.queued:,} jobs are still in their queues")

    def _judge_statuses(self) -> None:
        for job, push in self._pushes.items():
            status = self._evidence.statuses.get(push.id)
            wanted = FAILED if self._failures.get(job) else COMPLETE
            if status is not None and status != wanted:
                self._accuse("status", f"{job} has the status {status} in the end, and not {wanted}", job)

    def _judge_what_is_left(self) -> None:
        self._verdict.orphans = len(self._evidence.orphans)
        for what, left in (("processes", self._evidence.orphans), ("keys", self._evidence.keys)):
            if left:
                self._accuse("left", "\n    ".join([f"{len(left)} {what} are left:", *left]))
        for sentence in self._evidence.misconduct:
            self._accuse("workers", sentence)

    def _sum_up(self) -> None:
        self._verdict.per_death = [
            self._per_harm[id(harm)]
            for life in self._evidence.lives
            for harm in life.harms
            if harm.what in ("killed", "frozen") or self._per_harm[id(harm)]
        ]

    # -- what a person wants to read ---------------------------------------------------------------------------------

    def history(self, job: str) -> str:
        """All that is known of a job, a line each, in order; times are seconds since the beginning."""
        began = self._evidence.began
        push = self._pushes.get(job)
        told = [(push.at, f"{push.outcome} {push.kind} {push.id}")] if push else []
        for run in self._runs.get(job, ()):
            redelivered = {True: ", redelivered", False: "", None: ""}[run.redelivered]
            told.append((run.start, f"begun by {run.pid} of dispatcher {run.dispatcher}{redelivered}"))
            if run.end is not None:
                told.append((run.end, f"{run.how} in {run.pid}"))
            for at in self._evidence.performer_kills.get(run.pid, ()):
                if run.start - 1 <= at <= run.start + 60:
                    told.append((at, f"{run.pid} was killed"))
            for life in self._lives[run.dispatcher]:
                if life.has(run.dispatcher, run.start):
                    until = f"{life.died - began:.3f}" if life.died is not None else "the end"
                    told.append((life.born, f"worker {life.number} began to live, as {life.pid}, until {until}"))
                    for harm in life.harms:
                        over = f" until {harm.over - began:.3f}" if harm.over else ""
                        told.append((harm.at, f"worker {life.number} was {harm.what}{over}"))
        lines = [f"    {at - began:9.3f}  {what}" for at, what in sorted(set(told))]
        lines += [f"    failure record: {failure.exception}: {failure.error[:300]}" for failure in self._failures[job]]
        return "\n".join(lines)
