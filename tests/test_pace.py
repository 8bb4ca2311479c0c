"""How many jobs are taken at once, by how long they have taken."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from django_resque.worker.pace import MOST, WORK, Pace


def pace(*seconds: float, filled: int = 20) -> Pace:
    """After jobs of this length, and so many batches that came full."""
    pace = Pace()
    for each in seconds:
        pace.took(each)
    for _ in range(filled):
        pace.filled()
    return pace


def test_one_job_is_taken_while_nothing_is_known():
    assert pace(filled=0).batch == pace().batch == 1


def test_quick_jobs_are_taken_by_the_hundred_and_slow_ones_one_by_one():
    assert [pace(seconds).batch for seconds in (0, 1e-9, 0.0001, 0.0002, 0.001, 0.004, 0.01, 0.0101, 1, 1e9)] == [
        MOST,
        MOST,
        100,
        100,
        21,
        6,
        3,
        2,
        1,
        1,
    ]


def test_a_batch_doubles_each_time_it_comes_full_and_is_halved_when_jobs_are_given_back():
    found = pace(0.0001, filled=0)
    grown = []
    for _ in range(9):
        grown.append(found.batch)
        found.filled()
    assert grown == [1, 2, 4, 8, 16, 32, 64, 100, 100]
    shrunk = []
    for _ in range(9):
        found.gave_back()
        shrunk.append(found.batch)
    assert shrunk == [50, 25, 12, 6, 3, 1, 1, 1, 1]


def test_one_slow_job_among_quick_ones_makes_careful_for_a_while():
    found = pace(0.0001)
    found.took(1)
    assert found.batch == 1
    for _ in range(60):
        found.took(0.0001)
    assert found.batch > 50


@given(
    st.lists(
        st.one_of(
            st.floats(min_value=0, max_value=1e9, allow_nan=False),
            st.sampled_from(["filled", "gave_back"]),
        ),
        max_size=200,
    )
)
def test_whatever_happens_a_batch_has_a_job_and_is_not_more_than_some_work(events):
    found = Pace()
    longest = 0.0
    for event in events:
        if isinstance(event, str):
            getattr(found, event)()
        else:
            found.took(event)
            longest = max(longest, event)
        assert 1 <= found.batch <= MOST
    shortest = min((event for event in events if not isinstance(event, str)), default=None)
    if shortest is not None:
        assert found.batch == 1 or (found.batch - 1) * shortest <= WORK * 1.000001
