"""Enqueueing: what is checked, what is chosen, and what then stands in Redis."""

from __future__ import annotations

import json
import sys
import time
import types
import uuid
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django.contrib.auth.models import User
from django.core.management import get_commands
from django.utils.translation import gettext_lazy

from django_resque import Job, enqueue, enqueue_many, enqueue_to, using
from django_resque.client import Using
from django_resque.conf import Config
from django_resque.errors import (
    EnqueueError,
    InvalidArguments,
    InvalidPayload,
    InvalidQueue,
    RefusedCommand,
    UnknownCommand,
)
from django_resque.job_command import JobCommand
from django_resque.limits import Limits, limits_of
from django_resque.store import store


class Command(JobCommand):
    queue = "mail"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user_id", type=int)
        parser.add_argument("--template", choices=["plain", "fancy"])

    def handle(self, *args: Any, **options: Any) -> None:
        raise AssertionError("enqueueing performs nothing")


@pytest.fixture(autouse=True)
def send_welcome(monkeypatch: pytest.MonkeyPatch) -> type[Command]:
    """A command of the project, ``send_welcome``."""
    module = types.ModuleType("tests.somewhere.management.commands.send_welcome")
    monkeypatch.setattr(module, "Command", Command, raising=False)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(get_commands(), "send_welcome", "tests.somewhere")
    return Command


def payloads(client: redis.Redis, queue: str = "mail") -> list[dict[str, Any]]:
    return [json.loads(raw) for raw in client.lrange(f"resque:queue:{queue}", 0, -1)]


def nothing_was_sent(client: redis.Redis) -> bool:
    return client.keys() == []


# -- a job -------------------------------------------------------------------------------------------------------------


def test_a_job_stands_in_its_queue_as_the_family_writes_it(clean_redis: redis.Redis):
    before = time.time()
    job = enqueue("send_welcome", 42, template="fancy")
    (payload,) = payloads(clean_redis)
    assert list(payload) == ["class", "args", "id", "queue_time"]
    assert payload["class"] == "send_welcome"
    assert payload["args"] == [[42, {"template": "fancy"}]]
    assert payload["id"] == job.id
    assert before <= payload["queue_time"] == job.enqueued_at <= time.time()
    assert set(clean_redis.smembers("resque:queues")) == {b"mail"}


def test_the_job_that_is_returned_is_the_one_that_was_pushed(clean_redis: redis.Redis):
    job = enqueue("send_welcome", 42, template="fancy")
    assert isinstance(job, Job)
    assert (job.command, job.args, job.options, job.queue) == ("send_welcome", (42,), {"template": "fancy"}, "mail")
    assert clean_redis.lrange("resque:queue:mail", 0, -1) == [job.payload()]


def test_values_are_written_as_a_shell_would_have_them(clean_redis: redis.Redis):
    number = uuid.uuid4()
    job = using(check=False).enqueue("tidy", number, label=gettext_lazy("Monday"))
    assert job.args == (str(number),)
    assert payloads(clean_redis, "default")[0]["args"] == [[str(number), {"label": "Monday"}]]


def test_a_command_may_have_options_named_like_our_parameters(clean_redis: redis.Redis):
    using(check=False).enqueue("tidy", command="a", args="b", self="c", queue="d")
    assert payloads(clean_redis, "default")[0]["args"] == [[{"command": "a", "args": "b", "self": "c", "queue": "d"}]]


# -- the queue and the status ------------------------------------------------------------------------------------------


def test_the_call_wins_over_the_settings_and_the_settings_over_the_class(settings: Any, clean_redis: redis.Redis):
    assert enqueue("send_welcome", 1).queue == "mail"
    settings.RESQUE = {"TESTING": "real", "COMMANDS": {"send_welcome": {"queue": "slow"}}}
    assert enqueue("send_welcome", 1).queue == "slow"
    assert enqueue_to("urgent", "send_welcome", 1).queue == "urgent"
    assert using(queue="urgent").enqueue("send_welcome", 1).queue == "urgent"
    assert [len(payloads(clean_redis, queue)) for queue in ("mail", "slow", "urgent")] == [1, 1, 2]


def test_a_job_that_nobody_gave_a_queue_goes_to_the_one_of_the_settings(settings: Any):
    assert using(check=False).enqueue("tidy").queue == "default"
    settings.RESQUE = {"TESTING": "real", "QUEUE": "jobs", "COMMANDS": ["clearsessions"]}
    assert enqueue("clearsessions").queue == "jobs"


def test_without_a_check_the_settings_are_still_asked(settings: Any, clean_redis: redis.Redis):
    settings.RESQUE = {"TESTING": "real", "CHECK": False, "COMMANDS": {"tidy": {"queue": "slow", "track": False}}}
    job = enqueue("tidy")
    assert job.queue == "slow"
    assert not clean_redis.exists(f"resque:job:{job.id}:status")


@pytest.mark.parametrize(
    ("call", "command", "project", "tracked"),
    [
        (None, None, True, True),
        (None, None, False, False),
        (None, True, False, True),
        (None, False, True, False),
        (True, False, False, True),
        (False, True, True, False),
    ],
)
def test_a_status_is_kept_as_the_call_the_command_and_the_settings_say(
    call: bool | None, command: bool | None, project: bool, tracked: bool, settings: Any, clean_redis: redis.Redis
):
    defaults = {} if command is None else {"track": command}
    settings.RESQUE = {"TESTING": "real", "TRACK": project, "COMMANDS": {"send_welcome": defaults}}
    job = using(track=call).enqueue("send_welcome", 1)
    assert clean_redis.exists(f"resque:job:{job.id}:status") == tracked


# -- the limits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choices", "written"),
    [
        ({"timeout": 30}, {"timeout": 30}),
        ({"timeout": 0.5}, {"timeout": 0.5}),
        ({"timeout": 0}, {"timeout": 0}),
        ({"timeout": timedelta(minutes=2)}, {"timeout": 120}),
        ({"timeout": timedelta(0)}, {"timeout": 0}),
        ({"on_crash": "fail"}, {"on_crash": "fail"}),
        ({"on_crash": "requeue", "timeout": 1}, {"timeout": 1, "on_crash": "requeue"}),
        ({"timeout": None, "on_crash": None}, {}),
    ],
)
def test_limits_that_a_call_gives_stand_in_the_payload(
    choices: dict[str, Any], written: dict[str, Any], clean_redis: redis.Redis
):
    job = using(**choices).enqueue("send_welcome", 42)
    using(**choices).enqueue_many("send_welcome", [((42,), {})])
    for payload in payloads(clean_redis):
        assert {key: payload[key] for key in payload if key not in ("class", "args", "id", "queue_time")} == written
    assert job.extra == written
    assert Job.from_payload(job.payload(), "mail") == job


def test_limits_of_the_settings_and_the_class_are_left_to_the_worker(
    settings: Any, monkeypatch: pytest.MonkeyPatch, clean_redis: redis.Redis
):
    monkeypatch.setattr(Command, "timeout", 5)
    defaults = {"send_welcome": {"timeout": 3, "on_crash": "fail"}}
    settings.RESQUE = {"TESTING": "real", "TIMEOUT": 60, "ON_CRASH": "fail", "COMMANDS": defaults}
    assert enqueue("send_welcome", 42).extra == {}


def test_a_command_may_have_options_named_like_the_limits(clean_redis: redis.Redis):
    using(check=False, timeout=3).enqueue("tidy", timeout=5, on_crash="weep")
    (payload,) = payloads(clean_redis, "default")
    assert payload["args"] == [[{"timeout": 5, "on_crash": "weep"}]]
    assert payload["timeout"] == 3


# -- what is refused, before anything is sent --------------------------------------------------------------------------


def test_a_command_that_does_not_exist_is_refused(clean_redis: redis.Redis):
    with pytest.raises(UnknownCommand, match="did you mean 'send_welcome'"):
        enqueue("send_welcom", 1)
    assert nothing_was_sent(clean_redis)


def test_a_command_that_the_project_has_not_allowed_is_refused(clean_redis: redis.Redis):
    with pytest.raises(RefusedCommand):
        enqueue("flush")
    assert nothing_was_sent(clean_redis)


@pytest.mark.parametrize(
    ("args", "options"),
    [([], {}), (["x"], {}), ([1, 2], {}), ([1], {"template": "ugly"}), ([1], {"templat": "plain"}), ([None], {})],
)
def test_arguments_that_the_command_would_not_take_are_refused(
    args: list[Any], options: dict[str, Any], clean_redis: redis.Redis
):
    with pytest.raises(InvalidArguments):
        enqueue("send_welcome", *args, **options)
    assert nothing_was_sent(clean_redis)


def test_a_model_instance_is_refused_with_what_to_pass_instead(clean_redis: redis.Redis):
    for attempt in (using(), using(check=False)):
        with pytest.raises(InvalidArguments, match=r"pass user\.pk"):
            attempt.enqueue("send_welcome", User(pk=1))
    assert nothing_was_sent(clean_redis)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53 + 1, "\ud800", "x" * 600_000])
def test_what_json_or_a_reader_of_it_cannot_hold_is_refused(value: Any, clean_redis: redis.Redis):
    with pytest.raises(InvalidPayload):
        using(check=False).enqueue("tidy", value)
    assert nothing_was_sent(clean_redis)


@pytest.mark.parametrize("queue", ["", "a b", "a:b", "a,b", "*", "!low", "x" * 101, 7])
def test_a_queue_that_no_worker_could_name_is_refused(queue: Any, clean_redis: redis.Redis):
    with pytest.raises(InvalidQueue):
        using(queue=queue)
    with pytest.raises(InvalidQueue):
        enqueue_to(queue, "send_welcome", 1)
    assert nothing_was_sent(clean_redis)


# -- without a check ---------------------------------------------------------------------------------------------------


def test_without_a_check_a_command_of_another_project_is_enqueued(settings: Any, clean_redis: redis.Redis):
    using(check=False).enqueue("theirs", 1)
    settings.RESQUE = {"TESTING": "real", "CHECK": False}
    enqueue("theirs", 2)
    assert [payload["args"] for payload in payloads(clean_redis, "default")] == [[[1]], [[2]]]
    with pytest.raises(UnknownCommand):
        using(check=True).enqueue("theirs", 3)


@pytest.mark.parametrize("name", ["", "Theirs", "a b", "../x", "1st", "a" * 65, None])
def test_without_a_check_the_name_must_still_be_one_of_a_command(name: Any, clean_redis: redis.Redis):
    with pytest.raises(UnknownCommand):
        using(check=False).enqueue(name)
    assert nothing_was_sent(clean_redis)


# -- using -------------------------------------------------------------------------------------------------------------


def test_a_mistyped_choice_is_an_error_that_names_the_right_one():
    with pytest.raises(TypeError, match=r"no 'queu' \(did you mean 'queue'\?"):
        using(queu="mail")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="known are queue, delay, at, timeout, max_attempts, backoff, unique_for, "):
        using(zzz=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["track", "on_commit", "check"])
def test_a_choice_of_the_wrong_type_is_an_error(name: str):
    with pytest.raises(TypeError, match=f"{name} must be True or False, not 0"):
        using(**{name: 0})


@pytest.mark.parametrize(
    "timeout", [-1, 1e-9, 1e9, float("inf"), float("nan"), True, "30", timedelta(-1), timedelta(999)]
)
def test_a_timeout_that_no_timer_could_be_set_to_is_an_error(timeout: Any):
    with pytest.raises(ValueError, match=r"timeout must be a number of seconds from 0\.001 .* 0 for no limit; not "):
        using(timeout=timeout)


@pytest.mark.parametrize("on_crash", ["retry", "", True, ["fail"]])
def test_what_becomes_of_a_crashed_job_is_one_of_two(on_crash: Any):
    with pytest.raises(ValueError, match="on_crash must be 'requeue' or 'fail'; not "):
        using(on_crash=on_crash)


SECONDS = r"must be a number of seconds above 0, up to 31536000, or a timedelta"
WRONG = [
    ("max_attempts", 0, r"max_attempts must be an integer from 1 to 1000; not 0"),
    ("max_attempts", 1001, r"max_attempts must be an integer"),
    ("max_attempts", 2.0, r"max_attempts must be an integer"),
    ("max_attempts", True, r"max_attempts must be an integer"),
    ("backoff", -1, r"backoff must be a number of seconds, or a list of 1 to 100 of them; not -1"),
    ("backoff", [], r"backoff must be a number of seconds, or a list"),
    ("backoff", [1] * 101, r"backoff must be a number of seconds, or a list"),
    ("backoff", [1, "2"], r"backoff must be a number of seconds, or a list"),
    ("backoff", float("nan"), r"backoff must be a number of seconds, or a list"),
    ("backoff", abs, r"backoff must be a number of seconds, or a list"),  # a payload cannot hold a function
    ("unique_for", 0, rf"unique_for {SECONDS}; not 0"),
    ("unique_for", True, rf"unique_for {SECONDS}"),
    ("unique_for", timedelta(-1), rf"unique_for {SECONDS}"),
    ("unique_for", timedelta(999), rf"unique_for {SECONDS}"),
    (
        "concurrency",
        0,
        r"concurrency must be how many may run at once, an integer above 0, or a pair of a key and that",
    ),
    ("concurrency", 2.5, r"concurrency must be how many may run at once"),
    ("concurrency", ("smtp", 0), r"concurrency must be how many may run at once"),
    ("concurrency", ("smtp",), r"concurrency must be how many may run at once"),
    ("concurrency", ("a b", 1), r"concurrency must be a text of 1 to 200 characters without white space"),
    ("concurrency", (5, 1), r"concurrency must be a text of 1 to 200 characters"),
    ("expires", 0, rf"expires {SECONDS}, or a datetime; not 0"),
    ("expires", "tomorrow", rf"expires {SECONDS}, or a datetime; not 'tomorrow'"),
    ("delay", -1, r"^a delay cannot be negative: -1$"),
    ("delay", timedelta(-1), r"^a delay cannot be negative: -1 day"),
    ("delay", float("inf"), r"^a delay must be a number of seconds or a timedelta, not inf$"),
    ("delay", 1e12, r"^a delay that ends after the year 9999"),
    ("at", 1_700_000_000_000, r"^a time after the year 9999: unix time is counted in seconds, not in milliseconds$"),
    ("at", float("nan"), r"^a time must be a datetime or a unix time in seconds, not nan$"),
]


@pytest.mark.parametrize(("name", "value", "words"), WRONG)
def test_a_choice_that_makes_no_sense_is_an_error_that_names_it(name: str, value: Any, words: str):
    with pytest.raises(ValueError, match=words):
        using(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("delay", "5", "a delay must be a number of seconds or a timedelta, not str"), ("at", "noon", "a time must be")],
)
def test_a_moment_of_the_wrong_type_is_an_error(name: str, value: Any, words: str):
    with pytest.raises(TypeError, match=words):
        using(**{name: value})


@pytest.mark.parametrize("key", ["", "a b", "a\nb", "x" * 201, "\u202e", 5])
def test_a_key_of_uniqueness_that_could_not_be_read_in_redis_is_an_error(key: Any):
    with pytest.raises(ValueError, match="unique_key must be a text of 1 to 200 characters without white space"):
        using(unique_for=5, unique_key=key)


def test_choices_that_belong_together_are_given_together():
    with pytest.raises(ValueError, match="give delay or at, not both"):
        using(delay=1, at=2)
    with pytest.raises(ValueError, match="unique_key needs unique_for"):
        using(unique_key="a")


def test_a_time_that_never_comes_is_an_error_at_once(settings: Any):
    settings.TIME_ZONE = "Europe/Berlin"
    for name in ("at", "expires"):
        with pytest.raises(ValueError, match=r"2026-03-29 02:30:00 does not exist in Europe/Berlin"):
            using(**{name: datetime(2026, 3, 29, 2, 30)})  # noqa: DTZ001  the current zone is meant


def test_every_choice_stands_in_the_payload_as_the_worker_reads_it(clean_redis: redis.Redis):
    before = time.time()
    chosen = using(
        timeout=timedelta(minutes=1),
        max_attempts=3,
        backoff=(1, 2),
        unique_for=timedelta(hours=1),
        unique_key="the-key",
        concurrency=("smtp", 2),
        expires=60,
        on_crash="fail",
    )
    job = chosen.enqueue("send_welcome", 1)
    (payload,) = payloads(clean_redis)
    expires = payload.pop("expires")
    assert before + 60 - 0.01 <= expires <= time.time() + 60
    assert payload == {
        "class": "send_welcome",
        "args": [[1]],
        "id": job.id,
        "queue_time": job.enqueued_at,
        "timeout": 60.0,
        "max_attempts": 3,
        "backoff": [1, 2],
        "on_crash": "fail",
        "concurrency": ["smtp", 2],
        "unique": ["the-key", 3600.0],
    }
    assert clean_redis.get("resque:django:unique:the-key").decode() == job.id
    limits = limits_of(job, None, Config())
    assert limits == Limits(60.0, "fail", ("the-key", 3600.0), ("smtp", 2), expires)


def test_a_number_of_jobs_at_once_is_that_of_the_command_and_another_key_is_shared(clean_redis: redis.Redis):
    using(concurrency=2).enqueue("send_welcome", 1)
    using(concurrency=["smtp", 3]).enqueue("send_welcome", 1)
    assert [payload["concurrency"] for payload in payloads(clean_redis)] == [["send_welcome", 2], ["smtp", 3]]


def test_limits_of_concurrency_and_time_that_a_command_declares_travel_with_the_job(
    clean_redis: redis.Redis, send_welcome: type[Command], monkeypatch: pytest.MonkeyPatch
):
    for name, value in {"concurrency": 2, "expires": timedelta(minutes=1), "unique_for": 30}.items():
        monkeypatch.setattr(send_welcome, name, value)
    enqueue("send_welcome", 1)
    (payload,) = payloads(clean_redis)
    assert payload["concurrency"] == ["send_welcome", 2]
    assert payload["expires"] == pytest.approx(time.time() + 60, abs=5)
    assert payload["unique"][1] == 30


@pytest.mark.parametrize("check", [True, False])
def test_what_the_settings_say_of_a_command_holds_without_a_check_too(
    settings: Any, clean_redis: redis.Redis, check: bool
):
    defaults = {"unique_for": timedelta(minutes=2), "expires": timedelta(minutes=1), "concurrency": 3}
    settings.RESQUE = {**settings.RESQUE, "COMMANDS": {"send_welcome": defaults}}
    using(check=check, queue="mail").enqueue("send_welcome", 1)
    (payload,) = payloads(clean_redis)
    assert payload["concurrency"] == ["send_welcome", 3]
    assert payload["expires"] == pytest.approx(time.time() + 60, abs=5)
    assert payload["unique"][1] == 120


def test_the_same_command_and_arguments_are_the_same_however_they_are_written(clean_redis: redis.Redis):
    once = using(unique_for=60)
    first = once.enqueue("send_welcome", 1, template="fancy", verbosity=2)
    assert once.enqueue("send_welcome", 1, verbosity=2, template="fancy").id == first.id
    others = [once.enqueue("send_welcome", 2), once.enqueue("send_welcome", 1)]
    others.append(using(unique_for=60, check=False, queue="mail").enqueue("send_receipt", 1))
    assert len({first.id, *(job.id for job in others)}) == 4
    assert len(payloads(clean_redis)) == 4


def test_of_many_jobs_that_are_to_be_unique_each_gets_the_id_of_the_one_that_waits(clean_redis: redis.Redis):
    calls = [((number % 120,), {}) for number in range(250)]
    jobs = using(unique_for=60).enqueue_many("send_welcome", calls)
    assert [payload["args"] for payload in payloads(clean_redis)] == [[[number]] for number in range(120)]
    by_argument = {job.args[0]: job.id for job in jobs[:120]}
    assert [job.id for job in jobs] == [by_argument[job.args[0]] for job in jobs]


def test_an_expiry_counts_from_when_the_job_is_due(clean_redis: redis.Redis):
    due = int(clean_redis.time()[0]) + 1000
    using(at=due, expires=5).enqueue("send_welcome", 1)
    (item,) = clean_redis.lrange(f"resque:delayed:{due}", 0, -1)
    assert Job.from_payload(item, "mail").extra["expires"] == due + 5
    using(delay=1000, expires=5).enqueue("send_welcome", 2)
    (later,) = (key for key in clean_redis.scan_iter("resque:delayed:*") if clean_redis.lindex(key, 0) != item)
    expires = Job.from_payload(clean_redis.lindex(later, 0), "mail").extra["expires"]
    assert expires == pytest.approx(int(later.rpartition(b":")[2]) + 5, abs=2)
    using(expires=datetime(2100, 1, 1, tzinfo=UTC)).enqueue("send_welcome", 3)
    assert payloads(clean_redis)[0]["expires"] == 4102444800.0


def test_choices_can_be_kept_and_used_again(clean_redis: redis.Redis):
    urgently = using(queue="urgent")
    assert urgently == Using(queue="urgent")
    urgently.enqueue("send_welcome", 1)
    urgently.enqueue_many("send_welcome", [((2,), {})])
    assert len(payloads(clean_redis, "urgent")) == 2


# -- many --------------------------------------------------------------------------------------------------------------


def test_many_jobs_are_pushed_in_order(clean_redis: redis.Redis):
    jobs = enqueue_many("send_welcome", (((number,), {"template": "plain"}) for number in range(250)))
    assert [payload["id"] for payload in payloads(clean_redis)] == [job.id for job in jobs]
    assert [job.args for job in jobs] == [(number,) for number in range(250)]
    assert len({job.id for job in jobs}) == 250


def test_no_calls_are_no_jobs(clean_redis: redis.Redis):
    assert enqueue_many("send_welcome", []) == []
    assert nothing_was_sent(clean_redis)


def test_one_wrong_call_among_many_is_named_and_nothing_is_sent(clean_redis: redis.Redis):
    with pytest.raises(InvalidArguments, match=r"^calls\[150\]: send_welcome: .*template"):
        enqueue_many("send_welcome", [((n,), {"template": "ugly"} if n == 150 else {}) for n in range(200)])
    with pytest.raises(InvalidPayload, match=r"^calls\[1\]: .*NaN|nan"):
        using(check=False).enqueue_many("tidy", [((1,), {}), ((float("nan"),), {})])
    assert nothing_was_sent(clean_redis)


@pytest.mark.parametrize("call", [(1,), 1, "ab", (1, {}), ((1,), None), ((1,), {}, {}), ("ab", {}), ((), {1: 2})])
def test_calls_must_be_pairs_of_arguments_and_options(call: Any, clean_redis: redis.Redis):
    with pytest.raises(InvalidArguments, match=r"calls\[0\].*is not a pair"):
        using(check=False).enqueue_many("tidy", [call])
    assert nothing_was_sent(clean_redis)


def test_the_command_of_no_calls_is_checked_too():
    with pytest.raises(UnknownCommand):
        enqueue_many("no_such_command", [])


# -- a Redis that does not answer --------------------------------------------------------------------------------------


def test_a_redis_that_cannot_be_reached_is_an_error_with_the_job(settings: Any):
    settings.CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}}
    began = time.monotonic()
    with pytest.raises(EnqueueError) as raised:
        enqueue("send_welcome", 42)
    assert time.monotonic() - began < 2.5
    assert raised.value.job.args == (42,)
    assert not raised.value.uncertain


def test_many_jobs_that_could_not_be_pushed_are_all_in_the_error(settings: Any):
    settings.CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}}
    with pytest.raises(EnqueueError) as raised:
        enqueue_many("send_welcome", [((number,), {}) for number in range(250)])
    assert [job.args[0] for job in raised.value.jobs] == list(range(250))


def test_settings_changed_by_a_test_are_those_in_force(settings: Any, clean_redis: redis.Redis):
    settings.RESQUE = {"TESTING": "real", "NAMESPACE": "elsewhere"}
    enqueue("send_welcome", 1)
    assert clean_redis.llen("elsewhere:queue:mail") == 1
    assert store().queues.size("mail") == 1
