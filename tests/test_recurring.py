"""The schedule at work: each slot has its job once, never early, whoever else is at it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
import redis

from django_resque import timetable
from django_resque.conf import config
from django_resque.errors import ConfigurationError, InvalidArguments, ScheduleError, UnknownCommand
from django_resque.recurring import AGAIN, MOST_SLOTS, RELOAD_EVERY, TROUBLE_AGAIN, Recurring
from django_resque.schedule import MOST_MADE_UP, ScheduleEntry
from django_resque.store import Request, store
from django_resque.store.schedule import MOST_ENTRIES, seen_as

EVERY_MINUTE = {"command": "echo", "every": 60}


class Scheduler:
    """A worker process with nothing but its `Recurring`, and clocks that the test sets.

    Redis' own clock goes on all the while. Slots are in the past of it, so that none is early for Redis.
    """

    def __init__(self, time: float, *, answer: bool = True) -> None:
        self.recurring = Recurring(store(), self.ask, config=config())
        self.time, self.now = time, 1000.0
        self.asked: list[str] = []
        self.unanswered: list[Callable[[], None]] = []
        self.answer = answer
        self.reachable = True
        self.look()

    def ask(self, request: Request[Any], then: Callable[[Any], None]) -> None:
        self.asked.append(request.script)

        def finish() -> None:
            then(store().ask(request) if self.reachable else None)

        if self.answer:
            finish()
        else:
            self.unanswered.append(finish)

    def look(self, *, version: int | None = None) -> None:
        """What a turn says."""
        if version is None:
            version = int(store().client.get("resque:django:schedule:version") or 0)
        self.recurring.look(version=version, time=self.time, now=self.now)

    def work(self) -> None:
        """All that there is to do now."""
        for _ in range(1000):
            if not self.recurring.has_work(self.now):
                return
            self.recurring.work(self.now)
        raise AssertionError("there is no end to it")

    def pass_by(self, seconds: float, *, look: bool = True) -> None:
        self.time += seconds
        self.now += seconds
        if look:
            self.look()
        self.work()


def jobs(client: redis.Redis, queue: str = "default") -> list[dict[str, Any]]:
    return [json.loads(raw) for raw in client.lrange(f"resque:queue:{queue}", 0, -1)]


def slots(client: redis.Redis, queue: str = "default") -> list[int]:
    """The slots whose jobs are on the queue."""
    return [job["schedule"][1] for job in jobs(client, queue)]


@pytest.fixture
def minute(clean_redis: redis.Redis) -> int:
    """A full hour, a few days ago by Redis' clock."""
    return clean_redis.time()[0] // 3600 * 3600 - 100 * 3600


@pytest.fixture
def schedule(settings: Any, clean_redis: redis.Redis, minute: int) -> Callable[..., None]:
    """Sets RESQUE["SCHEDULE"], whose entries are all known since ``minute``."""

    def set_schedule(since: int | None = None, **entries: Any) -> None:
        settings.RESQUE = {**settings.RESQUE, "SCHEDULE": entries}
        for name, mapping in entries.items():
            stand_since(clean_redis, ScheduleEntry.from_mapping(name, mapping), minute if since is None else since)

    return set_schedule


def stand_since(client: redis.Redis, entry: ScheduleEntry, second: int) -> None:
    value = f"{second} {client.time()[0]}"
    client.hset("resque:django:schedule:seen", seen_as(entry.name, entry.digest), value)


# -- on time -----------------------------------------------------------------------------------------------------------


def test_nothing_is_done_before_redis_has_told_its_time(schedule, minute):
    schedule(minutely=EVERY_MINUTE)
    recurring = Recurring(store(), pytest.fail, config=config())
    assert recurring.next_at is None
    assert not recurring.has_work(1e9)


def test_a_slot_has_its_job_when_it_comes_and_not_before(clean_redis, schedule, minute):
    schedule(minutely=EVERY_MINUTE)
    scheduler = Scheduler(minute + 30)
    scheduler.work()
    assert scheduler.asked == ["schedule_load"]
    assert scheduler.recurring.next_at == 1030.0
    scheduler.pass_by(29.999)
    assert scheduler.asked == ["schedule_load"]
    scheduler.pass_by(0.001)
    assert scheduler.asked == ["schedule_load", "fire"]
    assert slots(clean_redis) == [minute + 60]
    assert scheduler.recurring.next_at == pytest.approx(1060.0)  # it reads the schedule


def test_between_two_looks_time_goes_on(clean_redis, schedule, minute):
    schedule(minutely=EVERY_MINUTE)
    scheduler = Scheduler(minute + 59.5)
    scheduler.work()
    scheduler.pass_by(0.4, look=False)
    assert slots(clean_redis) == []
    scheduler.pass_by(0.1, look=False)
    assert slots(clean_redis) == [minute + 60]


def test_the_job_is_what_the_entry_says(clean_redis, schedule, minute):
    what = {"args": ["a", 1], "options": {"b": True}, "queue": "mail", "using": {"timeout": 5, "max_attempts": 3}}
    schedule(minutely={**EVERY_MINUTE, **what})
    Scheduler(minute + 60).work()
    (job,) = jobs(clean_redis, "mail")
    assert (job["class"], job["args"]) == ("echo", [["a", 1, {"b": True}]])
    assert (job["timeout"], job["max_attempts"]) == (5, 3)
    assert job["schedule"] == ["minutely", minute + 60]
    assert json.loads(clean_redis.get(f"resque:job:{job['id']}:status"))["status"] == 1


@pytest.mark.parametrize(
    ("command", "more", "queue"),
    [
        ("mailing", {}, "mail"),  # its class says so
        ("mailing", {"queue": "low"}, "low"),
        ("ordinary", {}, "slow"),  # RESQUE["COMMANDS"]
        ("nowhere_to_be_found", {}, "else"),  # others have it
    ],
)
def test_the_queue_is_the_entrys_or_the_commands_or_the_one_of_the_settings(
    settings, clean_redis, schedule, minute, command: str, more: dict[str, Any], queue: str
):
    settings.RESQUE = {**settings.RESQUE, "QUEUE": "else", "COMMANDS": {"ordinary": {"queue": "slow"}}}
    schedule(minutely={"command": command, "every": 60, **more})
    Scheduler(minute + 60).work()
    assert slots(clean_redis, queue) == [minute + 60]


def test_a_unique_job_that_still_waits_stands_for_the_next(clean_redis, schedule, minute):
    schedule(minutely={**EVERY_MINUTE, "using": {"unique_for": 600}})
    scheduler = Scheduler(minute + 60)
    scheduler.work()
    scheduler.pass_by(60)
    assert slots(clean_redis) == [minute + 60]
    assert clean_redis.hget("resque:django:schedule:slots", "minutely") == str(minute + 120).encode()


def test_each_entry_has_its_own_slots(clean_redis, schedule, minute):
    schedule(
        seconds={"command": "echo", "cron": "*/20 * * * * *", "queue": "s"},
        minutes={"command": "echo", "cron": "* * * * *", "queue": "m"},
    )
    scheduler = Scheduler(minute + 1)
    for _ in range(90):
        scheduler.pass_by(1)
    assert slots(clean_redis, "s") == [minute + 20, minute + 40, minute + 60, minute + 80]
    assert slots(clean_redis, "m") == [minute + 60]


# -- once --------------------------------------------------------------------------------------------------------------


def test_many_schedulers_enqueue_each_slot_once(clean_redis, schedule, minute):
    schedule(
        often={"command": "echo", "cron": "*/5 * * * * *"},
        berlin={"command": "echo", "cron": "* * * * *", "timezone": "Europe/Berlin", "queue": "b"},
    )
    schedulers = [Scheduler(minute + offset) for offset in (0, 0.3, 1.7, -2, 4.9)]
    for _ in range(240):
        for scheduler in schedulers:
            scheduler.pass_by(1)
    assert slots(clean_redis)[:47] == list(range(minute + 5, minute + 240, 5))
    assert len(set(slots(clean_redis))) == len(slots(clean_redis))
    assert slots(clean_redis, "b") == [minute + 60, minute + 120, minute + 180, minute + 240]


def test_schedulers_that_have_all_asked_before_the_first_was_answered_enqueue_each_slot_once(
    clean_redis, schedule, minute
):
    schedule(minutely={**EVERY_MINUTE, "misfire": "all"})
    schedulers = [Scheduler(minute + 600) for _ in range(3)]
    for scheduler in schedulers:
        scheduler.recurring.work(scheduler.now)  # read the schedule
        scheduler.answer = False
        scheduler.recurring.work(scheduler.now)
        assert not scheduler.recurring.has_work(scheduler.now)
        assert scheduler.recurring.next_at is None
    for scheduler in schedulers:
        scheduler.unanswered.pop()()
    assert slots(clean_redis) == list(range(minute + 60, minute + 601, 60))
    assert [scheduler.recurring.next_at for scheduler in schedulers] == [1060.0] * 3


def test_a_scheduler_that_starts_again_goes_on_where_the_last_has_stopped(clean_redis, schedule, minute):
    schedule(minutely=EVERY_MINUTE)
    Scheduler(minute + 60).work()
    Scheduler(minute + 70).work()
    assert slots(clean_redis) == [minute + 60]
    Scheduler(minute + 121).work()
    assert slots(clean_redis) == [minute + 60, minute + 120]


def test_a_slot_whose_answer_was_lost_is_asked_for_again_and_has_one_job(clean_redis, schedule, minute):
    schedule(minutely=EVERY_MINUTE)
    scheduler = Scheduler(minute + 59)
    scheduler.work()
    scheduler.reachable = False
    scheduler.pass_by(1)
    scheduler.reachable = True
    assert scheduler.recurring.next_at == pytest.approx(scheduler.now + AGAIN)
    Scheduler(minute + 60).work()  # it had been carried out
    scheduler.pass_by(AGAIN)
    assert scheduler.asked == ["schedule_load", "fire", "fire"]
    assert slots(clean_redis) == [minute + 60]
    assert scheduler.recurring.next_at == pytest.approx(1061.0 - 1)


def test_a_redis_that_is_away_is_asked_again_after_a_while(schedule, minute):
    schedule(minutely=EVERY_MINUTE)
    scheduler = Scheduler(minute + 60)
    scheduler.reachable = False
    scheduler.work()
    assert scheduler.asked == ["schedule_load"]
    assert scheduler.recurring.next_at == scheduler.now + AGAIN


def test_two_deployments_with_different_times_double_no_slot(clean_redis, settings, schedule, minute):
    schedule(minutely={"command": "echo", "cron": "*/2 * * * *"})
    old = Scheduler(minute)
    old.work()
    schedule(since=minute + 90, minutely={"command": "echo", "cron": "* * * * *"})
    new = Scheduler(minute + 90)
    old.pass_by(90)
    for _ in range(20):
        old.pass_by(30)
        new.pass_by(30)
    found = slots(clean_redis)
    assert len(found) == len(set(found))
    assert found == list(range(minute + 120, minute + 690, 60))


# -- clocks ------------------------------------------------------------------------------------------------------------


def test_a_clock_that_is_set_back_repeats_no_slot(clean_redis, schedule, minute):
    schedule(minutely=EVERY_MINUTE)
    scheduler = Scheduler(minute + 60)
    scheduler.pass_by(60)
    scheduler.time -= 90
    for _ in range(8):
        scheduler.pass_by(15)
    assert slots(clean_redis) == [minute + 60, minute + 120]
    scheduler.pass_by(30)
    assert slots(clean_redis) == [minute + 60, minute + 120, minute + 180]


def test_a_clock_that_is_set_forward_makes_missed_slots(clean_redis, schedule, minute):
    schedule(minutely=EVERY_MINUTE)
    scheduler = Scheduler(minute + 60)
    scheduler.work()
    scheduler.time += 3600
    scheduler.pass_by(1)
    assert slots(clean_redis) == [minute + 60, minute + 3600, minute + 3660]


def test_a_scheduler_that_is_ahead_of_redis_enqueues_nothing_early(clean_redis, schedule):
    ahead = clean_redis.time()[0] // 60 * 60 + 600
    schedule(since=ahead - 60, minutely=EVERY_MINUTE)
    clean_redis.hset("resque:django:schedule:slots", "minutely", ahead - 60)
    scheduler = Scheduler(ahead)
    scheduler.work()
    assert scheduler.asked == ["schedule_load", "fire"]
    assert slots(clean_redis) == []
    assert scheduler.recurring.next_at == scheduler.now + AGAIN


# -- missed slots ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("misfire", "made_up", "words"),
    [
        ("skip", [], "it is left out"),
        ("once", [540], "1 job(s) enqueued for it"),
        ("all", list(range(60, 541, 60)), "9 job(s) enqueued for it"),
    ],
)
def test_missed_slots_have_what_the_entry_says_and_the_log_tells(
    clean_redis, schedule, minute, caplog, misfire: str, made_up: list[int], words: str
):
    schedule(minutely={**EVERY_MINUTE, "misfire": misfire})
    with caplog.at_level(logging.DEBUG, "django_resque"):
        for _ in range(2):
            Scheduler(minute + 655).work()
    assert [slot - minute for slot in slots(clean_redis)] == [*made_up, 600]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "'minutely' has missed" in warnings[0]
    assert words in warnings[0]
    debug = [record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG]
    assert sum("enqueued echo" in line for line in debug) == len(made_up) + 1
    past = store().past(["minutely"])
    missed = past.missed["minutely"]
    assert (missed.first - minute, missed.last - minute, missed.made_up) == (60, 540, len(made_up))
    assert past.jobs["minutely"].slot == minute + 600
    assert past.jobs["minutely"].id == jobs(clean_redis)[-1]["id"]


def test_of_very_many_missed_slots_the_last_thousand_are_made_up_for(clean_redis, schedule, minute, caplog):
    schedule(minutely={**EVERY_MINUTE, "misfire": "all"})
    now = minute + 60 * (MOST_MADE_UP + 500)
    first = Scheduler(now)
    first.recurring.work(first.now)
    first.recurring.work(first.now)
    assert len(slots(clean_redis)) == MOST_SLOTS  # and then its machine dies
    Scheduler(now).work()
    assert slots(clean_redis) == list(range(now - 60 * (MOST_MADE_UP + 1), now + 1, 60))
    assert sum("is left out" in record.getMessage() for record in caplog.records) == 1
    missed = store().past(["minutely"]).missed["minutely"]
    assert (missed.first, missed.made_up) == (minute + 60, MOST_MADE_UP)


def test_large_jobs_go_in_several_requests(clean_redis, schedule, minute):
    schedule(minutely={**EVERY_MINUTE, "args": ["x" * 400_000], "misfire": "all"})
    scheduler = Scheduler(minute + 600)
    scheduler.work()
    assert scheduler.asked.count("fire") == 4
    assert slots(clean_redis) == list(range(minute + 60, minute + 601, 60))


def test_a_new_entry_does_not_fire_for_the_past(clean_redis, settings):
    settings.RESQUE = {**settings.RESQUE, "SCHEDULE": {"minutely": EVERY_MINUTE}}
    time = clean_redis.time()[0]
    scheduler = Scheduler(time)
    scheduler.work()
    assert slots(clean_redis) == []
    assert scheduler.time + scheduler.recurring.next_at - scheduler.now <= time + 60


def test_an_entry_with_other_times_does_not_fire_for_the_past(clean_redis, settings, schedule, minute):
    schedule(hourly={"command": "echo", "cron": "0 * * * *"})
    Scheduler(minute + 4000).work()
    before = len(slots(clean_redis))
    settings.RESQUE = {**settings.RESQUE, "SCHEDULE": {"hourly": {"command": "echo", "cron": "*/7 * * * *"}}}
    Scheduler(clean_redis.time()[0]).work()
    assert len(slots(clean_redis)) == before
    # with other arguments it is the same entry
    schedule(hourly={"command": "echo", "cron": "0 * * * *", "args": ["new"]})
    Scheduler(minute + 9000).work()
    assert jobs(clean_redis)[-1]["args"] == [["new"]]


# -- changes at run time -----------------------------------------------------------------------------------------------


def test_an_entry_that_is_added_changed_and_deleted_takes_effect_at_the_next_look(clean_redis, minute):
    scheduler = Scheduler(minute)
    scheduler.work()
    entry = timetable.add("minutely", EVERY_MINUTE)
    stand_since(clean_redis, entry, minute)
    scheduler.pass_by(1)
    scheduler.pass_by(59)
    assert slots(clean_redis) == [minute + 60]
    timetable.change("minutely", args=["changed"])
    scheduler.pass_by(60)
    assert [job["args"] for job in jobs(clean_redis)] == [[[]], [["changed"]]]
    timetable.delete("minutely")
    scheduler.pass_by(60)
    assert len(slots(clean_redis)) == 2
    assert timetable.entries() == []


def test_a_change_that_no_look_has_told_of_yet_takes_effect_all_the_same(clean_redis, schedule, minute):
    schedule(minutely=EVERY_MINUTE)
    scheduler = Scheduler(minute + 30)
    scheduler.work()
    timetable.pause("minutely")
    scheduler.pass_by(30, look=False)
    assert scheduler.asked == ["schedule_load", "fire", "schedule_load"]
    assert slots(clean_redis) == []


def test_the_schedule_is_read_once_a_minute_at_least(schedule, minute):
    schedule(daily={"command": "echo", "every": 86_400})
    scheduler = Scheduler(minute)
    scheduler.work()
    scheduler.pass_by(RELOAD_EVERY - 0.1)
    assert scheduler.asked == ["schedule_load"]
    scheduler.pass_by(0.1)
    assert scheduler.asked == ["schedule_load"] * 2


def test_what_would_have_been_due_while_it_was_paused_is_not_made_up_for(clean_redis, schedule, minute):
    schedule(minutely={**EVERY_MINUTE, "misfire": "all"})
    assert timetable.pause("minutely") is True
    scheduler = Scheduler(minute + 3600)
    scheduler.work()
    assert slots(clean_redis) == []
    assert timetable.resume("minutely") is True
    scheduler.time = clean_redis.time()[0]
    scheduler.pass_by(0)
    assert slots(clean_redis) == []
    (listed,) = timetable.entries()
    assert listed.next_slot == listed.last_slot // 60 * 60 + 60


def test_unusable_entries_are_told_once_and_hold_up_no_other(clean_redis, schedule, settings, minute, caplog):
    schedule(good=EVERY_MINUTE)
    settings.RESQUE["SCHEDULE"]["bad"] = {"command": "echo", "cron": "0 25 * * *"}
    settings.RESQUE = {**settings.RESQUE}
    clean_redis.hset("resque:django:schedule", mapping={"worse": "{", "worst": b"\xff", "list": "[]"})
    scheduler = Scheduler(minute + 60)
    scheduler.work()
    scheduler.pass_by(60)
    assert slots(clean_redis) == [minute + 60, minute + 120]
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 4
    assert "the hour '25'" in errors[0]
    assert all("nothing is enqueued for it" in error for error in errors)
    problems = {listed.name: listed.problem for listed in timetable.entries()}
    assert "the hour '25'" in problems.pop("bad")
    assert problems.pop("good") == ""
    assert "must be a dict, not list" in problems["list"]


def test_a_queue_that_is_not_usable_holds_up_no_other_entry(clean_redis, schedule, minute, caplog):
    schedule(bad={**EVERY_MINUTE, "queue": "mail"}, good=EVERY_MINUTE)
    clean_redis.set("resque:queue:mail", "text")
    scheduler = Scheduler(minute + 60)
    scheduler.work()
    assert slots(clean_redis) == [minute + 60]
    assert ["'bad': WRONGTYPE" in record.getMessage() for record in caplog.records] == [True]
    clean_redis.delete("resque:queue:mail")
    scheduler.pass_by(TROUBLE_AGAIN)
    assert slots(clean_redis, "mail") == [minute + 60, minute + 120]


def test_the_settings_win_over_an_entry_of_the_same_name(clean_redis, schedule, minute, caplog):
    schedule(minutely=EVERY_MINUTE)
    clean_redis.hset("resque:django:schedule", "minutely", '{"command":"echo","every":1}')
    scheduler = Scheduler(minute + 60)
    scheduler.work()
    scheduler.pass_by(RELOAD_EVERY)
    assert slots(clean_redis) == [minute + 60, minute + 120]
    assert sum("the settings have an entry 'minutely' too" in record.getMessage() for record in caplog.records) == 1


def test_too_many_entries_of_run_time_are_told_and_those_of_the_settings_go_on(clean_redis, schedule, minute, caplog):
    schedule(minutely=EVERY_MINUTE)
    clean_redis.hset("resque:django:schedule", mapping={f"n{number}": "{}" for number in range(MOST_ENTRIES + 1)})
    Scheduler(minute + 60).work()
    assert slots(clean_redis) == [minute + 60]
    assert "more than 1000: none is read" in caplog.text


# -- for people --------------------------------------------------------------------------------------------------------


def test_all_entries_are_listed_with_their_state(clean_redis, schedule, minute):
    schedule(hourly={"command": "echo", "every": 3600}, paused=EVERY_MINUTE)
    timetable.add("added", {"command": "echo", "every": 300})
    timetable.pause("paused")
    clean_redis.hset("resque:django:schedule:slots", "hourly", minute)
    added, hourly, paused = timetable.entries()
    time = clean_redis.time()[0]
    assert (added.name, added.origin, added.paused, added.last_slot) == ("added", "run time", False, None)
    assert (hourly.name, hourly.origin, hourly.last_slot) == ("hourly", "settings", minute)
    assert hourly.description == "Every hour"
    assert hourly.entry == ScheduleEntry.from_mapping("hourly", {"command": "echo", "every": 3600})
    assert time - 5 < hourly.next_slot <= time + 3600
    assert hourly.next_slot % 3600 == 0
    assert (paused.paused, paused.next_slot, paused.next_slots(3)) == (True, None, [])
    assert timetable.entry("added") == added
    assert hourly.next_slots(3) == [hourly.next_slot + 3600 * number for number in range(3)]
    assert (added.overdue, hourly.overdue, paused.overdue) == (None, minute + 3600, None)


def test_an_entry_is_checked_before_it_is_added(clean_redis):
    with pytest.raises(ConfigurationError, match="the hour '25'"):
        timetable.add("a", {"command": "echo", "cron": "0 25 * * *"})
    with pytest.raises(UnknownCommand):
        timetable.add("a", {"command": "nowhere_to_be_found", "every": 60})
    with pytest.raises(InvalidArguments):
        timetable.add("a", {"command": "mailing", "args": ["remind", "not a number"], "every": 60})
    assert clean_redis.keys() == []


def test_a_program_that_does_not_have_the_commands_adds_them_unchecked(settings):
    settings.RESQUE = {**settings.RESQUE, "CHECK": False}
    assert timetable.add("a", {"command": "nowhere_to_be_found", "every": 60}).command == "nowhere_to_be_found"


def test_a_name_is_added_once_and_only_names_that_are_there_are_changed():
    timetable.add("minutely", EVERY_MINUTE)
    with pytest.raises(ScheduleError, match="has an entry 'minutely' already"):
        timetable.add("minutely", EVERY_MINUTE)
    for act in (timetable.change, timetable.pause, timetable.resume, timetable.run_now, timetable.entry):
        with pytest.raises(ScheduleError, match="did you mean 'minutely'"):
            act("minutly")
    with pytest.raises(ScheduleError, match="no entry 'minutly'"):
        timetable.delete("minutly")


def test_changing_replaces_what_is_named_and_nothing_else():
    timetable.add("a", {**EVERY_MINUTE, "args": ["x"], "queue": "mail"})
    changed = timetable.change("a", cron="0 3 * * *", timezone="Europe/Berlin", queue=None)
    assert changed == timetable.entry("a").entry
    assert (changed.cron, changed.every, changed.args, changed.queue) == ("0 3 * * *", None, ("x",), None)
    assert timetable.change("a", every=60).cron is None
    with pytest.raises(ConfigurationError, match="the key 'evry' is unknown"):
        timetable.change("a", evry=60)


def test_entries_of_the_settings_are_changed_in_the_settings_but_paused_and_run_anywhere(clean_redis, schedule):
    schedule(minutely=EVERY_MINUTE)
    for act in (
        lambda: timetable.change("minutely", every=5),
        lambda: timetable.delete("minutely"),
        lambda: timetable.add("minutely", EVERY_MINUTE),
    ):
        with pytest.raises(ScheduleError, match=r"stands in the settings, RESQUE\['SCHEDULE'\]"):
            act()
    assert [timetable.pause("minutely"), timetable.pause("minutely")] == [True, False]
    job = timetable.run_now("minutely")
    assert [found["id"] for found in jobs(clean_redis)] == [job.id]
    assert clean_redis.hlen("resque:django:schedule:slots") == 0
    assert [timetable.resume("minutely"), timetable.resume("minutely")] == [True, False]


def test_an_unusable_entry_cannot_be_run_but_deleted(clean_redis):
    clean_redis.hset("resque:django:schedule", "bad", "{")
    with pytest.raises(ScheduleError, match="'bad'"):
        timetable.run_now("bad")
    timetable.delete("bad")
    assert timetable.entries() == []
