"""The storm's checker: it finds what a storm may break, and excuses what a storm may do."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest

from tests.storm.checker import Verdict, judge
from tests.storm.evidence import (
    PUSHED,
    REFUSED,
    TRIED,
    UNCERTAIN,
    Evidence,
    Failed,
    Harm,
    Life,
    Line,
    Push,
    Tail,
    read_pushes,
)
from tests.storm.kinds import KINDS
from tests.storm.weather import WEIGHTS, forecast

DISPATCHER, OTHER = 100, 200
PERFORMER, SECOND, THIRD = 101, 102, 201


class Story:
    """A storm that did not happen, told one fact after the other; a tenth of a second passes with each."""

    def __init__(self) -> None:
        self._clock = itertools.count(1)
        self.pushes: list[Push] = []
        self.lines: list[Line] = []
        self.failures: list[Failed] = []
        self.kills: dict[int, list[float]] = {}
        self.lives = {DISPATCHER: Life(1, DISPATCHER, born=0.0), OTHER: Life(2, OTHER, born=0.0)}
        self.more: dict[str, Any] = {}

    def now(self) -> float:
        return next(self._clock) / 10

    def push(self, job: str = "a.1", kind: str = "noop", outcome: str = PUSHED) -> None:
        self.pushes.append(Push(job, kind, outcome, id=f"id-of-{job}", at=self.now()))

    def note(self, event: str, job: str = "a.1", pid: int = PERFORMER, *, again: bool = False) -> None:
        kind = next((push.kind for push in self.pushes if push.job == job), "noop")
        dispatcher = OTHER if pid == THIRD else DISPATCHER
        self.lines.append(Line(event, job, kind, pid, dispatcher, self.now(), redelivered=again))

    def perform(self, job: str = "a.1", pid: int = PERFORMER, *, ending: str = "end", again: bool = False) -> None:
        self.note("start", job, pid, again=again)
        self.note(ending, job, pid, again=again)

    def fail(self, exception: str, job: str = "a.1") -> None:
        self.failures.append(Failed(job, exception, at=self.now()))

    def kill_performer(self, pid: int = PERFORMER) -> None:
        self.kills.setdefault(pid, []).append(self.now())

    def kill(self, pid: int = DISPATCHER) -> None:
        self.lives[pid].died = self.now()
        self.lives[pid].harms.append(Harm("killed", self.now()))

    def freeze(self, pid: int = DISPATCHER, *, until: float) -> None:
        self.lives[pid].harms.append(Harm("frozen", self.now(), over=until))

    def verdict(self, **more: Any) -> Verdict:
        """What the checker says; the counters are right unless ``more`` says otherwise."""
        ended = {line.job for line in self.lines if line.event in ("end", "raised")}
        ended |= {failure.job for failure in self.failures}
        known = {
            "processed": len(ended),
            "failed": len(self.failures),
            "pushes": self.pushes,
            "lines": self.lines,
            "lives": list(self.lives.values()),
            "performer_kills": self.kills,
            "failures": self.failures,
            **more,
        }
        return judge(Evidence(**known))


@pytest.fixture
def story() -> Story:
    return Story()


def broken(verdict: Verdict) -> list[str]:
    """The promises that were broken."""
    return [violation.promise for violation in verdict.violations]


# -- nothing is wrong --------------------------------------------------------------------------------------------------


def test_jobs_that_end_as_they_should_break_no_promise(story: Story) -> None:
    story.push("a.1")
    story.perform("a.1")
    story.push("a.2", "refuse")
    story.perform("a.2", ending="raised")
    story.fail("ValueError", "a.2")
    assert broken(story.verdict(statuses={"id-of-a.1": 4, "id-of-a.2": 3})) == []


@pytest.mark.parametrize("outcome", [UNCERTAIN, TRIED])
def test_an_uncertain_job_may_be_there_or_not(story: Story, outcome: str) -> None:
    story.push("a.1", outcome=outcome)
    story.push("a.2", outcome=outcome)
    story.perform("a.2")
    verdict = story.verdict()
    assert broken(verdict) == []
    assert (verdict.uncertain, verdict.arrived) == (2, 1)


def test_a_job_may_run_again_when_its_performer_was_killed(story: Story) -> None:
    story.push()
    story.note("start")
    story.kill_performer()
    story.perform(pid=SECOND, again=True)
    verdict = story.verdict()
    assert broken(verdict) == []
    assert (verdict.reruns, verdict.duplicates) == (1, 0)


def test_a_job_may_run_again_when_the_grace_period_of_its_worker_was_over(story: Story) -> None:
    story.push()
    story.note("start")
    story.lives[DISPATCHER].died = story.now()
    story.perform(pid=THIRD, again=True)
    assert broken(story.verdict()) == []


# -- what is lost, doubled or miscounted -------------------------------------------------------------------------------


def test_a_lost_job_is_found_and_its_history_told(story: Story) -> None:
    story.push()
    story.note("start")
    story.kill()
    verdict = story.verdict()
    assert broken(verdict) == ["lost"]
    assert verdict.lost == 1
    assert "begun by 101 of dispatcher 100" in verdict.violations[0].text
    assert "worker 1 was killed" in verdict.violations[0].text


def test_a_job_that_was_never_begun_is_lost_too(story: Story) -> None:
    story.push()
    assert broken(story.verdict()) == ["lost"]


def test_an_uncertain_job_that_was_begun_must_end(story: Story) -> None:
    story.push(outcome=UNCERTAIN)
    story.note("start")
    assert broken(story.verdict()) == ["lost"]


def test_a_refused_job_must_not_be_there(story: Story) -> None:
    story.push(outcome=REFUSED)
    story.perform()
    assert "refused" in broken(story.verdict())


def test_a_job_that_nobody_has_enqueued_is_found(story: Story) -> None:
    story.perform("b.1")
    assert "stranger" in broken(story.verdict(processed=0))


@pytest.mark.parametrize(
    "wrong",
    [
        *({"processed": 2}, {"processed": 0}, {"failed": 1}, {"queued": 1}),
        *({"counted": {"processed": 2}}, {"counted": {"failed": 1}}),
    ],
)
def test_counters_that_do_not_add_up_are_found(story: Story, wrong: dict[str, Any]) -> None:
    story.push()
    story.perform()
    assert broken(story.verdict(**wrong)) == ["accounting"]


def test_a_status_that_is_not_final_is_found(story: Story) -> None:
    story.push()
    story.perform()
    assert broken(story.verdict(statuses={"id-of-a.1": 2})) == ["status"]


# -- failure records ---------------------------------------------------------------------------------------------------


def test_two_failure_records_of_one_job_are_found(story: Story) -> None:
    story.push(kind="refuse")
    story.perform(ending="raised")
    story.fail("ValueError")
    story.fail("ValueError")
    assert broken(story.verdict()) == ["one record"]


def test_a_failing_job_without_a_failure_record_is_found(story: Story) -> None:
    story.push(kind="refuse")
    story.perform(ending="raised")
    assert "one record" in broken(story.verdict())


def test_the_failure_record_of_a_job_that_has_done_its_work_is_found(story: Story) -> None:
    story.push()
    story.perform()
    story.fail("JobTimeout")
    assert broken(story.verdict()) == ["own failure"]


# -- poison ------------------------------------------------------------------------------------------------------------


def die(story: Story, times: int) -> None:
    for number in range(times):
        story.perform(ending="dying", again=number > 0)


def test_a_job_that_killed_three_performers_is_poison(story: Story) -> None:
    story.push(kind="die_always")
    die(story, 3)
    story.fail("PoisonJob")
    verdict = story.verdict()
    assert broken(verdict) == []
    assert (verdict.poison, verdict.innocents) == (1, 0)


def test_a_poison_job_with_two_crashes_of_its_own_is_innocent(story: Story) -> None:
    story.push(kind="die_twice")
    die(story, 2)
    story.fail("PoisonJob")
    verdict = story.verdict()
    assert broken(verdict) == ["innocent"]
    assert verdict.innocents == 1


def test_the_kill_of_a_performer_in_the_run_is_a_crash_of_its_own(story: Story) -> None:
    story.push(kind="die_twice")
    die(story, 2)
    story.note("start", pid=SECOND, again=True)
    story.kill_performer(SECOND)
    story.fail("PoisonJob")
    assert broken(story.verdict()) == []


def test_the_kill_of_a_performer_that_had_not_said_yet_what_it_runs_counts_for_one_job(story: Story) -> None:
    for job in ("a.1", "a.2"):
        story.push(job, "die_twice")
        story.perform(job, ending="dying")
        story.perform(job, ending="dying", again=True)
    story.kill_performer(SECOND)
    story.fail("PoisonJob", "a.1")
    assert broken(story.verdict()) == ["lost"]
    story.fail("PoisonJob", "a.2")
    assert broken(story.verdict()) == ["innocent"]


def test_a_kill_after_the_failure_does_not_count(story: Story) -> None:
    story.push(kind="die_twice")
    die(story, 2)
    story.fail("PoisonJob")
    story.kill_performer(SECOND)
    assert broken(story.verdict()) == ["innocent"]


# -- on_crash="fail" ---------------------------------------------------------------------------------------------------


def test_a_fragile_job_fails_with_its_worker(story: Story) -> None:
    story.push(kind="fragile")
    story.note("start")
    story.kill()
    story.fail("DirtyExit")
    assert broken(story.verdict()) == []


def test_a_fragile_job_that_fails_without_a_death_is_innocent(story: Story) -> None:
    story.push(kind="fragile")
    story.perform()
    story.fail("DirtyExit")
    assert broken(story.verdict()) == ["innocent"]


def test_a_fragile_job_that_was_begun_twice_is_found(story: Story) -> None:
    story.push(kind="fragile")
    story.note("start")
    story.kill_performer()
    story.perform(pid=SECOND, again=True)
    assert broken(story.verdict()) == ["on_crash"]


# -- duplicates --------------------------------------------------------------------------------------------------------


def test_finished_work_must_not_be_done_again_for_no_reason(story: Story) -> None:
    story.push()
    story.perform()
    story.perform(pid=SECOND, again=True)
    verdict = story.verdict()
    assert broken(verdict) == ["duplicate"]
    assert verdict.duplicates == 1


def test_the_kill_of_another_worker_is_no_reason(story: Story) -> None:
    story.push()
    story.perform()
    story.kill(OTHER)
    story.perform(pid=SECOND, again=True)
    assert "duplicate" in broken(story.verdict())


def test_duplicates_of_a_killed_dispatcher_are_counted_for_each_kill(story: Story) -> None:
    for job in ("a.1", "a.2"):
        story.push(job)
        story.perform(job)
    story.kill()
    for job in ("a.1", "a.2"):
        story.perform(job, THIRD, again=True)
    story.kill(OTHER)
    verdict = story.verdict()
    assert broken(verdict) == []
    assert (verdict.duplicates, verdict.per_death, verdict.mean_per_death) == (2, [2, 0], 1.0)


def test_a_frozen_dispatcher_excuses_what_its_performers_end_meanwhile(story: Story) -> None:
    story.push()
    story.note("start")
    story.freeze(until=5.0)
    story.note("end")
    story.perform(pid=THIRD, again=True)
    verdict = story.verdict()
    assert broken(verdict) == []
    assert verdict.duplicates == 1


def test_a_kill_long_after_the_end_of_a_job_does_not_excuse_its_duplicate(story: Story) -> None:
    story.push()
    story.perform()
    story.lives[DISPATCHER].harms.append(Harm("killed", 60.0))
    story.perform(pid=SECOND, again=True)
    assert "duplicate" in broken(story.verdict())


def test_a_job_must_not_be_begun_again_while_it_runs(story: Story) -> None:
    story.push()
    story.note("start")
    story.perform(pid=THIRD, again=True)
    assert broken(story.verdict()) == ["begun twice"]


def test_a_job_that_runs_again_must_be_told_so(story: Story) -> None:
    story.push()
    story.note("start")
    story.kill_performer()
    story.perform(pid=SECOND, again=False)
    assert broken(story.verdict()) == ["redelivered"]


def test_what_a_dispatcher_held_while_it_was_frozen_was_not_redelivered_when_it_took_it(story: Story) -> None:
    story.push()
    story.freeze(until=1.0)
    story.perform(pid=THIRD, again=True)
    story.note("start")
    story.lines[-1] = dataclasses.replace(story.lines[-1], at=1.2)
    assert "redelivered" not in broken(story.verdict())
    story.lines[-1] = dataclasses.replace(story.lines[-1], at=2.0)
    assert "redelivered" in broken(story.verdict())


def test_a_duplicate_is_put_down_to_what_happened_soonest_after_the_job(story: Story) -> None:
    story.push()
    story.perform()
    story.kill()
    story.perform(pid=THIRD, again=True)
    story.lives[OTHER].harms.append(Harm("killed", 9.0))
    assert story.verdict().per_death == [1, 0]


# -- what is left ------------------------------------------------------------------------------------------------------


def test_what_is_left_and_what_workers_did_wrong_is_told(story: Story) -> None:
    verdict = story.verdict(orphans=["4711 sleep"], keys=["resque:workers"], misconduct=["worker 1 ended by itself"])
    assert broken(verdict) == ["left", "left", "workers"]
    assert verdict.orphans == 1


# -- what the evidence comes from --------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_faults() -> None:
    assert forecast("1", 60, 500) == forecast("1", 60, 500)
    assert forecast("1", 60, 500) != forecast("2", 60, 500)
    assert {fault.kind for fault in forecast("1", 60, 2000)} == set(WEIGHTS)


def test_pushes_are_read_as_producers_note_them(tmp_path: Path) -> None:
    (tmp_path / "pushes-a.log").write_text("try a.1 noop 1.5\ntry a.2 noop 1.5\npushed a.1 abc 1.6\n")
    assert read_pushes(tmp_path) == [Push("a.1", "noop", PUSHED, "abc", 1.5), Push("a.2", "noop", TRIED, "", 1.5)]


def test_a_line_that_is_not_whole_yet_is_read_later(tmp_path: Path) -> None:
    path = tmp_path / "work.log"
    tail = Tail(path)
    assert tail.lines() == []
    path.write_text("start a.1 noop 1 2 3.5 0\nend a.1")
    assert [Line.parse(text) for text in tail.lines()] == [Line("start", "a.1", "noop", 1, 2, 3.5, redelivered=False)]
    with path.open("a") as file:
        file.write(" noop 1 2 3.6 -\n")
    assert [Line.parse(text) for text in tail.lines()] == [Line("end", "a.1", "noop", 1, 2, 3.6, redelivered=None)]


def test_every_kind_of_job_is_one_that_the_checker_knows() -> None:
    assert {kind.ending for kind in KINDS.values()} == {"", "ValueError", "PoisonJob", "DirtyExit", "JobTimeout"}
