"""The ``RESQUE`` setting: what it may hold, what is told about the rest, and that it is read anew when it changes."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, fields
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import override_settings

from django_resque.conf import _READERS, Config, config, problems, raw_settings
from django_resque.errors import ConfigurationError
from django_resque.store import store


def test_every_key_has_a_reader_and_every_reader_a_key():
    assert set(_READERS) == {item.name.upper() for item in fields(Config)}


def test_without_the_setting_the_defaults_are_in_force(settings):
    settings.RESQUE = {}  # so that Django tells of a change when this test is over; it does not for a deletion
    del settings.RESQUE
    config.cache_clear()
    assert list(problems()) == []
    for item in fields(Config):
        default = getattr(Config(), item.name)
        assert getattr(config(), item.name) == default
        # a project may write the default down
        assert _READERS[item.name.upper()](default) == default


def test_the_setting_is_read_once_and_again_when_it_changes(settings):
    settings.RESQUE = {"QUEUE": "first"}
    first = config()
    assert config() is first
    with override_settings(RESQUE={"QUEUE": "second"}):
        assert config().queue == "second"
    assert config().queue == "first"


@pytest.mark.parametrize(
    ("name", "value"), [("RESQUE", {}), ("CACHES", {}), ("DEBUG", True), ("BASE_DIR", Path("elsewhere"))]
)
def test_a_change_of_what_leads_to_redis_makes_a_new_store(name: str, value: object):
    before = store()
    assert store() is before
    with override_settings(**{name: value}):
        assert store() is not before


def test_a_change_of_anything_else_keeps_the_store():
    before = store()
    with override_settings(LANGUAGE_CODE="de"):
        assert store() is before


def test_the_configuration_cannot_be_changed_in_place():
    with pytest.raises(FrozenInstanceError):
        config().queue = "other"  # type: ignore[misc]


GOOD = [
    ("CACHE", "jobs", "jobs"),
    ("EMBEDDED", None, None),
    ("EMBEDDED", "var/resque", Path("var/resque").absolute()),
    ("EMBEDDED", Path("/srv/resque"), Path("/srv/resque")),
    ("NAMESPACE", "resque:site", "resque:site"),
    ("NAMESPACE", "{resque}", "{resque}"),
    ("QUEUE", "mail", "mail"),
    ("COMMANDS", [], {}),
    ("COMMANDS", ["clearsessions"], {"clearsessions": {}}),
    ("COMMANDS", ("clearsessions", "flush_all2"), {"clearsessions": {}, "flush_all2": {}}),
    ("COMMANDS", {"clearsessions"}, {"clearsessions": {}}),
    (
        "COMMANDS",
        {"clearsessions": {"queue": "low", "track": False}},
        {"clearsessions": {"queue": "low", "track": False}},
    ),
    (
        "COMMANDS",
        {"clearsessions": {"timeout": 0, "on_crash": "fail"}},
        {"clearsessions": {"timeout": 0, "on_crash": "fail"}},
    ),
    *[
        ("COMMANDS", {"clearsessions": {key: value}}, {"clearsessions": {key: value}})
        for key, value in [
            ("max_attempts", 3),
            ("backoff", 0),
            ("backoff", [1, 2.5]),
            ("backoff", abs),
            ("unique_for", timedelta(days=1)),
            ("concurrency", 2),
            ("concurrency", ("smtp", 2)),
            ("expires", 60),
        ]
    ],
    ("SCHEDULE", {"nightly": {"command": "echo"}}, {"nightly": {"command": "echo"}}),
    ("CHECK", False, False),
    ("TRACK", False, False),
    ("STATUS_TTL", 1, 1),
    ("TIMEOUT", None, None),
    ("TIMEOUT", 0, 0),
    ("TIMEOUT", 0.5, 0.5),
    ("TIMEOUT", 31_536_000, 31_536_000),
    ("ON_CRASH", "fail", "fail"),
    ("LEASE", 15, 15),
    ("LEASE", 60.5, 60.5),
    ("BEAT", 0.1, 0.1),
    ("BEAT", 10, 10),
    ("GRACE", 0, 0),
    ("GRACE", 2.5, 2.5),
    ("WORKERS", [{"queues": ["mail", "low"]}, {}], {"1": {"queues": "mail,low"}, "2": {}}),
    ("WORKERS", {"mail": {"count": 2, "log": Path("x")}}, {"mail": {"count": 2, "log": "x"}}),
    ("MAX_ATTEMPTS", 3, 3),
    ("MAX_CRASHES", 1, 1),
    ("MAX_JOBS", 1, 1),
    ("MAX_RSS", None, None),
    ("MAX_RSS", 512, 512),
    ("MAX_AGE", None, None),
    ("MAX_AGE", 3600, 3600),
    ("FAILED_MAX", 100, 100),
    ("TESTING", "real", "real"),
]


@pytest.mark.parametrize(("key", "value", "read"), GOOD)
def test_a_good_value_is_taken(settings, key: str, value: object, read: object):
    settings.RESQUE = {key: value}
    assert list(problems()) == []
    assert getattr(config(), key.lower()) == read


BAD = [
    ("CACHE", None, "the name of an alias"),
    ("CACHE", "", "the name of an alias"),
    ("CACHE", "redis://127.0.0.1/0", "the name of an alias"),
    ("EMBEDDED", "", "the path of a folder"),
    ("EMBEDDED", True, "the path of a folder"),
    ("NAMESPACE", "", "white space"),
    ("NAMESPACE", b"resque", "white space"),
    ("NAMESPACE", "my site", "white space"),
    ("NAMESPACE", "resque:", "one is added"),
    ("QUEUE", "", "cannot be the name of a queue"),
    ("QUEUE", "a,b", "cannot be the name of a queue"),
    ("QUEUE", "*", "cannot be the name of a queue"),
    ("QUEUE", None, "cannot be the name of a queue"),
    ("COMMANDS", None, "a list of command names"),
    ("COMMANDS", "clearsessions", "a list of command names"),
    ("COMMANDS", b"clearsessions", "a list of command names"),
    ("COMMANDS", 3, "a list of command names"),
    ("COMMANDS", ["Clear-Sessions"], "cannot be the name of a command"),
    ("COMMANDS", [None], "cannot be the name of a command"),
    ("COMMANDS", {"clearsessions": None}, "must be a dict"),
    ("COMMANDS", {"clearsessions": {"queue": "a b"}}, "cannot be the name of a queue"),
    ("COMMANDS", {"clearsessions": {"track": 1}}, "the track of 'clearsessions' must be True or False"),
    ("COMMANDS", {"clearsessions": {"timeout": -1}}, "the timeout of 'clearsessions' must be a number of seconds"),
    ("COMMANDS", {"clearsessions": {"timeout": None}}, "0 for no limit"),
    ("COMMANDS", {"clearsessions": {"on_crash": "retry"}}, "the on_crash of 'clearsessions' must be one of 'requeue'"),
    ("COMMANDS", {"clearsessions": {"que": "mail"}}, "did you mean 'queue'"),
    ("COMMANDS", {"clearsessions": {"zzz": 1}}, "known are backoff, concurrency, expires, max_attempts"),
    *[
        ("COMMANDS", {"clearsessions": {key: value}}, f"the {key} of 'clearsessions' must be {words}")
        for key, value, words in [
            ("max_attempts", 0, "an integer from 1 to 1000"),
            ("backoff", [], "a number of seconds, or a list of 1 to 100 of them, or a function"),
            ("backoff", "5", "a number of seconds, or a list of 1 to 100 of them, or a function"),
            ("backoff", -1, "a number of seconds"),
            ("unique_for", 0, "a number of seconds above 0"),
            ("unique_for", "a day", "a number of seconds above 0"),
            ("concurrency", 0, "how many may run at once"),
            ("concurrency", ("a b", 2), "a text of 1 to 200 characters"),
            ("expires", timedelta(0), "a number of seconds above 0"),
        ]
    ],
    ("SCHEDULE", ["clearsessions"], "must be a dict of name → entry"),
    ("SCHEDULE", {1: {}}, "the name of an entry must be a text, not 1"),
    ("SCHEDULE", {"nightly": "clearsessions"}, "the entry 'nightly' must be a dict"),
    ("CHECK", 1, "must be True or False"),
    ("TRACK", None, "must be True or False"),
    ("STATUS_TTL", 0, "an integer of at least 1"),
    ("STATUS_TTL", 3.5, "an integer of at least 1"),
    ("STATUS_TTL", True, "an integer of at least 1"),
    ("STATUS_TTL", "3600", "an integer of at least 1"),
    *[
        ("TIMEOUT", value, "a number of seconds from 0.001 to 31536000, or 0 for no limit")
        for value in (-1, 1e-9, 31_536_001, float("inf"), float("nan"), True, "30")
    ],
    ("ON_CRASH", "retry", "one of 'requeue', 'fail'"),
    ("ON_CRASH", None, "one of 'requeue', 'fail'"),
    ("LEASE", 0.5, "a number of at least 1"),
    ("LEASE", None, "a number of at least 1"),
    ("BEAT", 0.05, "a number of at least 0.1"),
    ("BEAT", "5", "a number of at least 0.1"),
    ("GRACE", -1, "a number of at least 0"),
    ("GRACE", float("nan"), "a number of at least 0"),
    ("GRACE", float("inf"), "a number of at least 0"),
    ("GRACE", None, "a number of at least 0"),
    ("WORKERS", "mail", "must be a list of workers"),
    ("WORKERS", [{"queue": "mail"}], "unknown key 'queue' (did you mean 'queues'?)"),
    *[("MAX_ATTEMPTS", value, "an integer from 1 to 1000") for value in (0, 1001, 2.0, True, "3", None)],
    ("MAX_CRASHES", 0, "an integer of at least 1"),
    ("MAX_JOBS", 0, "an integer of at least 1"),
    ("MAX_RSS", 0, "an integer of at least 1"),
    ("MAX_RSS", "512 MB", "an integer of at least 1"),
    ("MAX_AGE", 0, "a number of at least 1"),
    ("MAX_AGE", "1 h", "a number of at least 1"),
    ("FAILED_MAX", 0, "an integer of at least 1"),
    ("TESTING", "eager", "one of 'outbox', 'real'"),
    ("TESTING", ["outbox"], "one of 'outbox', 'real'"),
]


@pytest.mark.parametrize(("key", "value", "words"), BAD)
def test_a_bad_value_is_told_with_its_key_and_stops_whoever_asks(settings, key: str, value: object, words: str):
    settings.RESQUE = {key: value}
    (problem,) = problems()
    assert problem.startswith(f"RESQUE[{key!r}] = ")
    assert words in problem
    with pytest.raises(ConfigurationError) as raised:
        config()
    assert str(raised.value) == problem


@pytest.mark.parametrize("beats", [{"LEASE": 10}, {"BEAT": 11}, {"LEASE": 3, "BEAT": 1.1}])
def test_a_worker_may_miss_a_beat_without_being_taken_for_dead(settings, beats: dict[str, float]):
    settings.RESQUE = beats
    (problem,) = problems()
    assert re.fullmatch(r"RESQUE\['BEAT'\] = \S+ must be at most a third of RESQUE\['LEASE'\] = .*", problem)
    with pytest.raises(ConfigurationError) as raised:
        config()
    assert str(raised.value) == problem


@pytest.mark.parametrize(("lease", "beat"), [(1, 1 / 3), (1.2, 0.4), (30, 10), (3.3, 1.1)])
def test_a_beat_may_be_a_third_of_the_lease(settings, lease: float, beat: float):
    settings.RESQUE = {"LEASE": lease, "BEAT": beat}
    assert list(problems()) == []
    assert (config().lease, config().beat) == (lease, beat)


def test_every_key_is_tried_with_good_and_with_bad_values():
    assert {key for key, _value, _read in GOOD} == set(_READERS) == {key for key, _value, _words in BAD}


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("QUEUES", "did you mean 'QUEUE'?"),
        ("queue", "did you mean 'QUEUE'?"),
        ("max_job", "did you mean 'MAX_JOBS'?"),
        ("XYZZY", "known are BEAT, CACHE, CHECK,"),
        (1, "known are BEAT, CACHE, CHECK,"),
    ],
)
def test_an_unknown_key_is_told_and_otherwise_ignored(settings, key: object, words: str):
    settings.RESQUE = {key: 1, "QUEUE": "mail"}
    (problem,) = problems()
    assert problem.startswith(f"RESQUE[{key!r}] is unknown")
    assert words in problem
    assert config().queue == "mail"


def test_all_problems_are_told_at_once(settings):
    settings.RESQUE = {"QUEUES": 1, "QUEUE": "", "GRACE": -1}
    assert len(list(problems())) == 3


@pytest.mark.parametrize("value", [None, ["QUEUE"], "default"])
def test_a_setting_that_is_no_dict_is_told(settings, value: object):
    settings.RESQUE = value
    (problem,) = problems()
    assert problem == f"RESQUE must be a dict, not {type(value).__name__}"
    for ask in (config, raw_settings):
        with pytest.raises(ConfigurationError, match="RESQUE must be a dict"):
            ask()


def test_a_password_in_the_wrong_place_is_not_repeated(settings):
    settings.RESQUE = {"CACHE": "redis://:hunter2@10.0.0.1/0"}
    (problem,) = problems()
    assert "hunter2" not in problem
    assert "10.0.0.1" in problem
