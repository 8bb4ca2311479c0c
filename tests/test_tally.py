"""What a dispatcher counts for the statistics, and when it tells."""

from __future__ import annotations

from typing import Literal

import pytest

from django_resque.store import Entry, Outcome
from django_resque.store.statistics import BOUNDS, MOST_COMMANDS, OTHER
from django_resque.worker.tally import EVERY, Tally


def outcome(command: str = "mail", how: Literal["done", "failed", "retried"] = "done", seconds: float = 0.5) -> Outcome:
    return Outcome(command, "default", how, seconds)


def told(tally: Tally) -> dict[str, list[int]]:
    """What it tells: command → the numbers."""
    return {
        entry.status_id.partition("\t")[0]: list(map(int, entry.record.split()))
        for entry in tally.take()
        if entry.kind == "sum"
    }


def test_outcomes_are_summed_up():
    tally = Tally()
    for how, seconds in (("done", 0.002), ("done", 0.5), ("failed", 4.0), ("retried", 60.0)):
        tally.count(outcome(how=how, seconds=seconds), 0)
    count, failures, retries, microseconds, longest, *histogram = told(tally)["mail"]
    assert (count, failures, retries) == (3, 1, 1)
    assert (microseconds, longest) == (4_502_000, 4_000_000)
    assert {BOUNDS[part]: number for part, number in enumerate(histogram) if number} == {0.003: 1, 1.0: 1, 10.0: 1}


def test_what_was_told_is_forgotten():
    tally = Tally()
    assert not tally.pending
    tally.count(outcome(), 0)
    assert tally.pending
    assert len(tally.take()) == 1
    assert not tally.pending
    assert tally.take() == []


def test_a_second_is_summed_up_before_it_is_told():
    tally = Tally()
    assert not tally.is_due(1000)
    tally.count(outcome(), 1000)
    tally.count(outcome("other"), 1000 + EVERY / 2)
    assert not tally.is_due(1000 + EVERY * 0.99)
    assert tally.is_due(1000 + EVERY)
    tally.take()
    assert not tally.is_due(1000 + 2 * EVERY)
    tally.count(outcome(), 2000)
    assert not tally.is_due(2000 + EVERY / 2)


def test_what_was_refused_does_not_count():
    tally = Tally()
    entries = [Entry("done", "worker", f"1.{place}", outcome=outcome()) for place in range(5)]
    tally.settle([*entries, Entry("beat", "worker"), Entry("given back", "worker", "1.9")], ["1.1", "1.3"], 0)
    assert told(tally)["mail"][0] == 3


@pytest.mark.parametrize("bound", BOUNDS)
def test_a_bound_belongs_to_what_is_below_it(bound):
    tally = Tally()
    tally.count(outcome(seconds=bound), 0)
    tally.count(outcome(seconds=bound * 1.001), 0)
    histogram = told(tally)["mail"][5:]
    place = BOUNDS.index(bound)
    assert histogram[place : place + 2] == [1, 1]


@pytest.mark.parametrize("seconds", [1e12, 1e300])
def test_a_performer_may_claim_any_time(seconds):
    tally = Tally()
    tally.count(outcome(seconds=seconds), 0)
    assert told(tally)["mail"][3:5] == [10**15, 10**15]


def test_of_more_names_than_are_told_apart_the_rest_is_summed_up():
    tally = Tally()
    for number in range(3 * MOST_COMMANDS):
        tally.count(outcome(f"command{number}"), 0)
    found = told(tally)
    assert len(found) == MOST_COMMANDS + 1
    assert found[OTHER][0] == 2 * MOST_COMMANDS
