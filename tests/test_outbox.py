"""Under a test runner jobs are collected, in a list that is empty when a test begins."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import unittest
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core import mail
from django.db import connection, transaction
from django.test import SimpleTestCase, TestCase, TransactionTestCase, override_settings
from django.test.utils import _TestState

from django_resque import Job, using
from django_resque.errors import UnknownCommand
from django_resque.testing import outbox

NO_REDIS: dict[str, Any] = {"RESQUE": {}, "CACHES": {}}

pytestmark = pytest.mark.usefixtures("no_redis")


@pytest.fixture
def no_redis(settings: Any) -> None:
    """Settings as a project without a thought of Redis has them."""
    settings.RESQUE = {}
    settings.CACHES = {}


def enqueue(number: object, **choices: Any) -> Job:
    return using(check=False, **choices).enqueue("tidy", number)


def numbers() -> list[Any]:
    return [job.args[0] for job in outbox]


# -- the list ----------------------------------------------------------------------------------------------------------


def test_the_outbox_is_like_a_list_of_jobs():
    assert outbox == []
    assert not outbox
    first, second = enqueue(1), enqueue(2)
    assert outbox == [first, second]
    assert outbox == (first, second)
    assert outbox != [second, first]
    assert outbox != "jobs"
    assert len(outbox) == 2
    assert outbox[0] is first
    assert outbox[-1] is second
    assert outbox[1:] == [second]
    assert first in outbox
    assert list(reversed(outbox)) == [second, first]
    assert repr(outbox) == f"<Outbox [{first!r}, {second!r}]>"
    outbox.clear()
    assert outbox == []
    with pytest.raises(TypeError):
        hash(outbox)


def test_the_jobs_of_enqueue_many_are_collected():
    jobs = using(check=False).enqueue_many("tidy", [((number,), {}) for number in range(250)])
    assert outbox == jobs


def test_nothing_is_pushed(clean_redis: redis.Redis):
    enqueue(1)
    assert clean_redis.keys() == []


def test_a_job_is_checked_before_it_is_collected():
    with pytest.raises(UnknownCommand):
        using().enqueue("tidy")
    assert outbox == []


# -- when it is used ---------------------------------------------------------------------------------------------------


def test_with_testing_real_jobs_are_pushed(request: pytest.FixtureRequest, settings: Any, clean_redis: redis.Redis):
    settings.RESQUE = {"TESTING": "real"}
    settings.CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": redis_url(request)}}
    enqueue(1)
    assert outbox == []
    assert clean_redis.llen("resque:queue:default") == 1


def test_a_site_whose_mails_go_to_the_locmem_backend_pushes(
    request: pytest.FixtureRequest, settings: Any, clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
):
    settings.CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": redis_url(request)}}
    monkeypatch.delattr(_TestState, "saved_data")  # as outside a test runner
    assert mail.outbox == []  # the backend makes one where there is none
    enqueue(1)
    assert outbox == []
    assert clean_redis.llen("resque:queue:default") == 1


def redis_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue("redis_server").url
    return url


# -- transactions ------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
class TestInsideATestCase:
    def test_a_job_is_there_at_once(self):
        assert connection.in_atomic_block
        enqueue(1)
        assert numbers() == [1]

    def test_a_job_of_an_atomic_block_is_there_at_once_and_stays_when_the_block_ends(self):
        with transaction.atomic():
            enqueue(1)
            assert numbers() == [1]
        assert numbers() == [1]

    def test_a_job_of_a_block_that_is_rolled_back_is_gone(self):
        enqueue(1)
        with transaction.atomic():
            enqueue(2)
            with pytest.raises(ZeroDivisionError), transaction.atomic():
                enqueue(3)
                raise ZeroDivisionError
            assert numbers() == [1, 2]
            transaction.set_rollback(True)
        assert numbers() == [1]

    def test_a_job_is_gone_when_a_block_around_its_own_is_rolled_back(self):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            with transaction.atomic():
                enqueue(1)
            assert numbers() == [1]
            raise ZeroDivisionError
        assert numbers() == []

    def test_a_job_pushed_at_once_stays_whatever_happens(self):
        with transaction.atomic():
            enqueue(1, on_commit=False)
            transaction.set_rollback(True)
        assert numbers() == [1]

    def test_all_jobs_of_one_enqueue_many_go_together(self):
        with transaction.atomic():
            using(check=False).enqueue_many("tidy", [((1,), {}), ((2,), {})])
            assert numbers() == [1, 2]
            transaction.set_rollback(True)
        assert numbers() == []

    def test_executing_the_captured_callbacks_adds_no_second_job(self):
        with TestCase.captureOnCommitCallbacks(execute=True) as callbacks:
            with transaction.atomic():
                enqueue(1)
            enqueue(2)
        assert len(callbacks) == 1
        assert numbers() == [1, 2]

    def test_what_was_committed_as_far_as_the_test_can_say_stays(self):
        with transaction.atomic():
            with TestCase.captureOnCommitCallbacks(execute=True) as callbacks:
                enqueue(1)
            callbacks.clear()
            transaction.set_rollback(True)
        assert numbers() == [1]

    def test_forgetting_the_mails_keeps_the_jobs(self):
        enqueue(1)
        mail.outbox = []
        assert numbers() == [1]
        enqueue(2)
        assert numbers() == [1, 2]


@pytest.mark.django_db(databases=["default", "other"])
def test_a_rollback_on_one_of_two_databases_takes_the_job_out():
    with transaction.atomic():
        with transaction.atomic(using="other"):
            enqueue(1)
            assert numbers() == [1]
            transaction.set_rollback(True, using="other")
        assert numbers() == []


@pytest.mark.django_db(transaction=True)
class TestInsideATransactionTestCase:
    def test_a_job_is_there_after_the_commit(self):
        with transaction.atomic():
            enqueue(1)
            assert numbers() == []
        assert numbers() == [1]

    def test_a_job_that_is_rolled_back_never_is(self):
        with transaction.atomic():
            enqueue(1)
            transaction.set_rollback(True)
        assert numbers() == []


# -- each test begins with an empty outbox -----------------------------------------------------------------------------


@pytest.mark.parametrize("time", [1, 2])
def test_a_function_begins_with_an_empty_outbox(time: int):
    assert outbox == []
    enqueue(time)


@pytest.mark.django_db
@pytest.mark.parametrize("time", [1, 2])
def test_a_function_with_a_database_begins_with_an_empty_outbox(time: int):
    assert outbox == []
    enqueue(time)


class Emptied:
    """The same two tests for each of Django's classes."""

    def enqueue_into_an_empty_outbox(self: Any) -> None:
        self.assertEqual(outbox, [])
        enqueue(1)
        self.assertEqual(len(outbox), 1)

    test_first = test_second = enqueue_into_an_empty_outbox


@override_settings(**NO_REDIS)
class ASimpleTestCase(Emptied, SimpleTestCase):
    pass


@override_settings(**NO_REDIS)
class ATransactionTestCase(Emptied, TransactionTestCase):
    pass


@override_settings(**NO_REDIS)
class ATestCase(Emptied, TestCase):
    @classmethod
    def setUpTestData(cls) -> None:
        enqueue("of all tests")


CLASSES: list[type[unittest.TestCase]] = [ASimpleTestCase, ATransactionTestCase, ATestCase]


@pytest.mark.parametrize("case", CLASSES)
def test_djangos_own_classes_need_no_pytest(
    case: type[unittest.TestCase], django_db_setup: None, django_db_blocker: Any
):
    with django_db_blocker.unblock():
        result = unittest.TestLoader().loadTestsFromTestCase(case).run(unittest.TestResult())
    assert result is not None
    assert result.testsRun == 2
    assert not result.failures
    assert not result.errors


# -- the pytest plugin -------------------------------------------------------------------------------------------------


def test_where_nothing_is_enqueued_the_plugin_imports_nothing(tmp_path: Path):
    (tmp_path / "test_it.py").write_text(
        textwrap.dedent(
            """
            import sys

            def test_it():
                assert "django_resque.testing_plugin" in sys.modules
                assert not [name for name in sys.modules if name.partition(".")[0] in ("django", "redis")]
            """
        )
    )
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:django", str(tmp_path)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
