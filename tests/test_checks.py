"""What ``manage.py check`` says about the settings."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.core.checks import CheckMessage, run_checks
from django.core.management import call_command
from django.db import OperationalError

from django_resque.errors import ConfigurationError
from django_resque.store import store

from .jobs.management.commands import echo

REDIS = "django_redis.cache.RedisCache"
LOCAL_MEMORY = "django.core.cache.backends.locmem.LocMemCache"
DJANGOS = "django.core.cache.backends.redis.RedisCache"


def messages() -> list[CheckMessage]:
    return run_checks(tags=["django_resque"])


def ids() -> list[str]:
    return [str(message.id).removeprefix("django_resque.") for message in messages()]


@pytest.fixture
def dedicated(settings) -> dict[str, dict[str, Any]]:
    """Caches as they should be: the jobs have a database of their own."""
    settings.CACHES = {
        "default": {"BACKEND": REDIS, "LOCATION": "redis://127.0.0.1:6379/0"},
        "jobs": {"BACKEND": REDIS, "LOCATION": "redis://127.0.0.1:6379/1"},
    }
    settings.RESQUE = {"CACHE": "jobs", "TESTING": "real"}
    return settings.CACHES


def test_good_settings_are_passed_over_in_silence(dedicated):
    assert messages() == []


def test_the_checks_run_with_all_others(settings):
    settings.RESQUE = {"QUEUES": "mail"}
    assert "django_resque.E001" in [message.id for message in run_checks()]
    settings.SILENCED_SYSTEM_CHECKS = ["django_resque.E001", "django_resque.W001"]
    call_command("check", tags=["django_resque"])


# -- the setting -------------------------------------------------------------------------------------------------------


def test_each_problem_of_the_setting_is_an_error(dedicated, settings):
    settings.RESQUE = {"CACHE": "jobs", "TESTING": "real", "QUEUES": "mail", "GRACE": -1}
    unknown, bad = messages()
    assert (unknown.id, bad.id) == ("django_resque.E001", "django_resque.E001")
    assert unknown.msg == "RESQUE['QUEUES'] is unknown (did you mean 'QUEUE'?)."
    assert "GRACE" in bad.msg


def test_a_beat_that_is_too_slow_for_the_lease_is_an_error(dedicated, settings):
    settings.RESQUE = {"CACHE": "jobs", "TESTING": "real", "LEASE": 5}
    (message,) = messages()
    assert message.id == "django_resque.E001"
    assert "a third of RESQUE['LEASE'] = 5" in message.msg


def test_an_unknown_key_does_not_hide_what_else_is_wrong(dedicated, settings):
    settings.RESQUE = {"CACHE": "job", "TESTING": "real", "QUEUES": "mail"}
    assert ids() == ["E001", "E002"]


# -- the commands ------------------------------------------------------------------------------------------------------


def test_a_command_that_no_app_has_is_an_error(dedicated, settings):
    settings.RESQUE = {"CACHE": "jobs", "TESTING": "real", "COMMANDS": ["migrate", "migrat", "xyzzy"]}
    typo, unknown = messages()
    assert (typo.id, unknown.id) == ("django_resque.E003", "django_resque.E003")
    assert "'migrat'" in typo.msg
    assert "did you mean 'migrate'?" in typo.msg
    assert "'xyzzy'" in unknown.msg
    assert "INSTALLED_APPS" in str(unknown.hint)


def test_a_program_that_enqueues_what_others_perform_may_name_any_command(dedicated, settings):
    settings.RESQUE = {"CACHE": "jobs", "TESTING": "real", "COMMANDS": ["xyzzy"], "CHECK": False}
    assert messages() == []


# -- the schedule ------------------------------------------------------------------------------------------------------


def test_each_entry_of_the_schedule_is_read_and_bound_to_its_command(dedicated, settings):
    schedule = {
        "good": {"command": "echo", "args": ["a"], "options": {"b": 1}, "every": 60},
        "hour": {"command": "echo", "cron": "0 25 * * *"},
        "command": {"command": "eco", "every": 60},
        "refused": {"command": "flush", "every": 60},
        "arguments": {"command": "echo", "options": {"bb": 1}, "every": 60},
    }
    settings.RESQUE = {"CACHE": "jobs", "TESTING": "real", "SCHEDULE": schedule}
    hour, command, refused, arguments = messages()
    assert {message.id for message in messages()} == {"django_resque.E004"}
    assert "The schedule entry 'hour': the hour '25'" in hour.msg
    assert "The schedule entry 'command': There is no management command 'eco' (did you mean 'echo'?)" in command.msg
    assert "'refused'" in refused.msg
    assert "may not be a job" in refused.msg
    assert "'arguments': echo: " in arguments.msg


def test_a_schedule_of_commands_that_others_have_is_only_read(dedicated, settings):
    schedule = {"others": {"command": "xyzzy", "every": 60}, "bad": {"command": "xyzzy", "every": 0}}
    settings.RESQUE = {"CACHE": "jobs", "TESTING": "real", "SCHEDULE": schedule, "CHECK": False}
    (message,) = messages()
    assert "'bad'" in message.msg


@pytest.mark.parametrize("schedule", [["echo"], {"a": "echo"}, {1: {"command": "echo"}}])
def test_a_schedule_of_another_shape_is_an_error_of_the_setting(dedicated, settings, schedule: Any):
    settings.RESQUE = {"CACHE": "jobs", "TESTING": "real", "SCHEDULE": schedule}
    (message,) = messages()
    assert message.id == "django_resque.E001"
    assert "RESQUE['SCHEDULE']" in message.msg


def test_an_entry_whose_command_cannot_be_looked_at_is_a_warning(dedicated, settings, monkeypatch):
    def ask_the_database(*args: object) -> None:
        raise OperationalError("no such table: mail_template")

    monkeypatch.setattr(echo.Command, "add_arguments", ask_the_database)
    schedule = {"mail": {"command": "echo", "every": 60}}
    settings.RESQUE = {"CACHE": "jobs", "TESTING": "real", "SCHEDULE": schedule}
    (message,) = messages()
    assert message.id == "django_resque.W002"
    assert "The schedule entry 'mail' cannot be checked: OperationalError: no such table" in message.msg


# -- Redis -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("caches", "words"),
    [
        ({"default": {"BACKEND": REDIS}, "job": {"BACKEND": REDIS}}, "CACHES has no 'jobs' (did you mean 'job'?)."),
        ({"default": {"BACKEND": LOCAL_MEMORY}}, "CACHES has no 'jobs'."),
        ({"jobs": {"BACKEND": LOCAL_MEMORY}}, f"{LOCAL_MEMORY!r}, which is not django-redis'"),
        ({"jobs": {"BACKEND": DJANGOS}}, f"{DJANGOS!r}, which is not django-redis'"),
        ({"jobs": {"BACKEND": "no.such.Backend"}}, "'no.such.Backend', which cannot be imported"),
        ({"jobs": {}}, "which cannot be imported"),
    ],
)
def test_without_a_redis_it_is_an_error_that_says_what_to_write(settings, caches: dict[str, Any], words: str):
    settings.CACHES = caches
    settings.RESQUE = {"CACHE": "jobs", "TESTING": "real"}
    (message,) = messages()
    assert message.id == "django_resque.E002"
    assert "No Redis is configured" in message.msg
    assert words in str(message.hint)
    assert '"BACKEND": "django_redis.cache.RedisCache"' in str(message.hint)


def test_without_a_redis_the_embedded_server_serves_while_debug_is_on(settings, tmp_path):
    settings.CACHES = {"default": {"BACKEND": LOCAL_MEMORY}}
    settings.BASE_DIR = tmp_path
    settings.DEBUG = True
    assert messages() == []


def test_the_embedded_server_needs_a_place_for_its_data(settings):
    settings.CACHES = {"default": {"BACKEND": LOCAL_MEMORY}}
    settings.DEBUG = True
    del settings.BASE_DIR
    (message,) = messages()
    assert message.id == "django_resque.E002"
    assert "BASE_DIR" in message.msg


def test_a_folder_for_the_embedded_server_is_enough(settings, tmp_path):
    settings.CACHES = {"default": {"BACKEND": LOCAL_MEMORY}}
    settings.RESQUE = {"EMBEDDED": tmp_path, "TESTING": "real"}
    assert messages() == []
    assert not list(tmp_path.iterdir()), "a check has started the server"


def test_under_a_test_runner_no_redis_is_needed(settings):
    settings.CACHES = {"default": {"BACKEND": LOCAL_MEMORY}}
    settings.RESQUE = {"TESTING": "outbox"}
    assert messages() == []


@pytest.mark.parametrize(
    "location", ["redis://:hunter2/x@127.0.0.1:6379/0", "redis://:hunter2#x@127.0.0.1/0", "127.0.0.1:6379", "http://x"]
)
def test_an_address_that_is_none_is_an_error_without_its_password(settings, location: str):
    settings.CACHES = {"default": {"BACKEND": REDIS, "LOCATION": location}}
    (message,) = [message for message in messages() if message.id == "django_resque.E002"]
    assert "CACHES['default'] cannot be used" in message.msg
    assert "hunter2" not in str(message)
    with pytest.raises(ConfigurationError) as raised:
        store().queue_table()
    assert raised.value.__cause__ is None, "a traceback would show the password"


def test_an_option_that_redis_py_does_not_know_is_an_error(settings):
    settings.CACHES = {"default": {"BACKEND": REDIS, "LOCATION": "redis://127.0.0.1/0?colour=blue"}}
    (message,) = [message for message in messages() if message.id == "django_resque.E002"]
    assert "colour" in message.msg


# -- a cache that would delete the jobs --------------------------------------------------------------------------------


def test_the_default_cache_in_the_same_database_is_a_warning(settings):
    settings.CACHES = {"default": {"BACKEND": REDIS, "LOCATION": "redis://127.0.0.1:6379/0"}}
    (message,) = messages()
    assert message.id == "django_resque.W001"
    assert "caches['default'].clear()" in message.msg
    assert "database number" in str(message.hint)


@pytest.mark.parametrize("name", ["SESSION_CACHE_ALIAS", "CACHE_MIDDLEWARE_ALIAS"])
def test_a_cache_that_django_uses_beside_the_default_one_is_warned_of_too(dedicated, settings, name: str):
    setattr(settings, name, "jobs")
    assert ids() == ["W001"]


@pytest.mark.parametrize("backend", [REDIS, DJANGOS])
@pytest.mark.parametrize(
    ("jobs", "other"),
    [
        ("redis://127.0.0.1:6379/1", "redis://127.0.0.1:6379/1"),
        ("redis://127.0.0.1:6379/1", "redis://localhost/1"),
        ("redis://127.0.0.1:6379/1", "redis://user:password@127.0.0.1/1"),
        ("redis://127.0.0.1:6379/1", "redis://127.0.0.1:6379/5?db=1"),
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379"),
        ("redis://cache.example:6379/1", "redis://Cache.example/1,redis://replica.example/1"),
        ("redis://cache.example:6379/1", ["redis://cache.example/1", "redis://replica.example/1"]),
        ("unix:///run/redis.sock?db=1", "unix://user:password@/run/redis.sock?db=1"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock?db=0"),
    ],
)
def test_the_same_database_is_recognised_however_it_is_written(
    dedicated, settings, backend: str, jobs: str, other: str | list[str]
):
    settings.CACHES = {
        "default": {"BACKEND": LOCAL_MEMORY},
        "jobs": {"BACKEND": REDIS, "LOCATION": jobs},
        "other": {"BACKEND": backend, "LOCATION": other},
    }
    (message,) = messages()
    assert message.id == "django_resque.W001"
    assert "caches['other']" in message.msg
    assert "caches['jobs']" not in message.msg


@pytest.mark.parametrize(
    ("jobs", "other"),
    [
        ("redis://127.0.0.1:6379/1", "redis://127.0.0.1:6379/2"),
        ("redis://127.0.0.1:6379/1", "redis://127.0.0.1:6380/1"),
        ("redis://127.0.0.1:6379/1", "redis://10.0.0.1:6379/1"),
        ("redis://127.0.0.1:6379/1", "redis://127.0.0.1:6379/1?db=2"),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock?db=2"),
        ("unix:///run/redis.sock?db=1", "unix:///run/other.sock?db=1"),
    ],
)
def test_another_database_is_no_reason_to_warn(dedicated, settings, jobs: str, other: str):
    settings.CACHES = {
        "default": {"BACKEND": LOCAL_MEMORY},
        "jobs": {"BACKEND": REDIS, "LOCATION": jobs},
        "other": {"BACKEND": REDIS, "LOCATION": other},
    }
    assert messages() == []


def test_a_database_number_among_the_options_counts(dedicated, settings):
    settings.CACHES = {
        "default": {"BACKEND": DJANGOS, "LOCATION": "redis://127.0.0.1:6379", "OPTIONS": {"db": 1}},
        "jobs": {
            "BACKEND": REDIS,
            "LOCATION": "redis://127.0.0.1:6379",
            "OPTIONS": {"CONNECTION_POOL_KWARGS": {"db": 1}},
        },
    }
    assert ids() == ["W001"]
    settings.CACHES["default"]["OPTIONS"] = {"db": 2}
    assert ids() == []


def test_clearing_a_cache_that_is_warned_of_does_delete_the_jobs(clean_redis):
    assert ids() == ["W001"]
    clean_redis.rpush("resque:queue:default", b"{}")
    cache.clear()
    assert clean_redis.dbsize() == 0
