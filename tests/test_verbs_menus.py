"""What verbs ask of who sits at a terminal, and the words in which they say things."""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import redis

from django_resque import using
from django_resque.command_line import line_of
from django_resque.job import Job
from django_resque.management import moments
from django_resque.management.records import id_of
from django_resque.management.terminal import Terminal
from django_resque.management.verbs import VERBS
from django_resque.store import store
from tests.test_verbs_failures import push


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    store().close()


class Tty(io.StringIO):
    """A terminal, but for rich, which draws on real ones alone."""

    def isatty(self) -> bool:
        return True


def typing(name: str, *words: str, typed: str) -> tuple[int, str]:
    """Run a verb for somebody who types this; its exit code, and what it wrote."""
    verb = next(kind for kind in VERBS if kind.name == name)()
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    out = Tty()
    terminal = Terminal(out, io.StringIO(), stdin=Tty(typed))
    return verb.run(vars(parser.parse_args(words)), terminal), out.getvalue()


# -- menus -------------------------------------------------------------------------------------------------------------


def test_queues_to_clear_are_chosen_and_confirmed(clean_redis: redis.Redis):
    for queue in ("high", "low", "mail"):
        using(queue=queue).enqueue("act", "tell", "x")
    code, out = typing("clear", typed="1,3\ny\n")
    assert code == 0
    assert "1  high (1)" in out
    assert "Remove 2 job(s) from high, mail?" in out
    assert [clean_redis.llen(f"resque:queue:{queue}") for queue in ("high", "low", "mail")] == [0, 1, 0]
    assert typing("clear", "low", typed="n\n") == (1, "Remove 1 job(s) from low? [y/N] Nothing was done.\n")
    assert typing("clear", typed="\n")[0] == 1
    assert clean_redis.llen("resque:queue:low") == 1


@pytest.mark.parametrize(("name", "left"), [("retry", 1), ("discard", 1)])
def test_failures_are_chosen_from_the_latest(clean_redis: redis.Redis, name: str, left: int):
    for number in range(2):
        push(clean_redis, "send", number)
    code, out = typing(name, typed="1\n")
    assert code == 0
    assert f"Which failures do you want to {name}?" in out
    assert "send 1  ValueError: no" in out.splitlines()[1]
    assert clean_redis.llen("resque:failed") == left
    push(clean_redis, "send", 2)
    code, out = typing(name, typed="\n")
    assert (code, out.splitlines()[-1].endswith("Nothing was done.")) == (1, True)


@pytest.mark.parametrize(
    ("words", "left"), [(["discard", "--all"], 1), (["delayed", "cancel", "--all"], 1), (["dequeue", "-q", "x"], 1)]
)
def test_what_cannot_be_undone_is_asked(clean_redis: redis.Redis, words: list[str], left: int):
    push(clean_redis, "send")
    using(delay=60).enqueue("act", "tell", "x")
    using(queue="x").enqueue("act", "tell", "x")
    before = sorted(clean_redis.keys())
    name, *rest = words
    code, out = typing(name, *rest, typed="no\n")
    assert code == 1
    assert out.endswith("Nothing was done.\n")
    assert sorted(clean_redis.keys()) == before
    assert typing(name, *rest, typed="yes\n")[0] == 0
    assert sorted(clean_redis.keys()) != before


# -- words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1.5h", 5400), ("10m", 600), ("2 min", 120), ("3d", 259200), ("1W", 604800)]
)
def test_durations_are_read(text: str, seconds: float):
    assert moments.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5", "1 fortnight", "1e5", "nan"])
def test_what_is_no_duration_is_refused(text: str):
    with pytest.raises(argparse.ArgumentTypeError, match="is no duration"):
        moments.duration(text)


def test_moments_are_read():
    assert moments.second("1900000000") == 1_900_000_000
    assert moments.second("2030-01-01T00:00:00.5Z") == 1893456001
    with pytest.raises(argparse.ArgumentTypeError, match="does not exist"):
        moments.second("2030-03-10T02:30")  # clocks are set forward over it in Chicago
    with pytest.raises(argparse.ArgumentTypeError, match="year 9999"):
        moments.second("9" * 14)


def test_the_past_is_read():
    assert abs(moments.since("2h") - (datetime.now(UTC) - timedelta(hours=2))) < timedelta(seconds=10)
    assert moments.since("1900000000") == datetime.fromtimestamp(1_900_000_000, UTC)
    with pytest.raises(argparse.ArgumentTypeError, match="too long ago"):
        moments.since("9999999999999d")


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (moments.elapsed, None, ""),
        (moments.elapsed, 0.254, "0.25 s"),
        (moments.elapsed, 12.7, "13 s"),
        (moments.elapsed, 300, "5 min"),
        (moments.elapsed, 12_000, "3 h 20 min"),
        (moments.elapsed, 10 * 86_400, "10 d"),
        (moments.shown, None, ""),
        (moments.shown, 1e18, "1e+18"),
        (moments.ago, None, ""),
    ],
)
def test_durations_and_moments_are_written(write: Callable[[object], str], value: object, text: str):
    assert write(value) == text


def test_how_long_ago_something_is():
    assert moments.ago(100, 160) == "60 s ago"
    assert moments.ago(time.time() + 600).startswith("in 9 min")
    assert moments.ago(100.5, 100) == "0.00 s ago"  # clocks differ


def test_lines_of_jobs():
    job = Job(
        "send", (1, "two words", True), {"dry_run": True, "wet": False, "tags": ["a", "b"], "to": "x", "no": None}
    )
    assert line_of(job) == "send 1 'two words' True --dry-run --no-wet --tags a b --to=x"
    assert line_of(job, limit=10) == "send 1 't…"
    assert id_of(job.payload(), job) == job.id
    assert line_of(Job("send", ("a\nb",))) == "send 'a\\nb'"
    assert id_of(b'{"class":"send"}', job) == "011db316549c"
