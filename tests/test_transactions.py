"""Jobs wait for the commit of every transaction that is open when they are enqueued."""

from __future__ import annotations

import itertools
import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, connections, transaction
from django.test import TestCase

from django_resque import Job, using
from django_resque.errors import EnqueueError, InvalidJob
from django_resque.signals import enqueue_failed

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

NOBODY_LISTENS = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}}

Pushed = Callable[[], list[Any]]


@pytest.fixture
def pushed(clean_redis: redis.Redis) -> Pushed:
    """The first argument of each job in the default queue."""

    def read() -> list[Any]:
        return [json.loads(raw)["args"][0][0] for raw in clean_redis.lrange("resque:queue:default", 0, -1)]

    return read


@pytest.fixture
def failures() -> Iterator[list[tuple[Job, EnqueueError]]]:
    """What ``enqueue_failed`` was sent with."""
    received: list[tuple[Job, EnqueueError]] = []

    def receive(sender: type[Job], job: Job, error: EnqueueError, **kwargs: object) -> None:
        assert sender is Job
        received.append((job, error))

    enqueue_failed.connect(receive)
    yield received
    enqueue_failed.disconnect(receive)


def enqueue(number: object, **choices: Any) -> Job:
    return using(check=False, **choices).enqueue("tidy", number)


# -- what is waited for ------------------------------------------------------------------------------------------------


def test_outside_a_transaction_a_job_is_pushed_at_once(pushed: Pushed):
    enqueue(1)
    assert pushed() == [1]


def test_inside_a_transaction_a_job_is_pushed_at_the_commit(pushed: Pushed):
    with transaction.atomic():
        job = enqueue(1)
        assert pushed() == []
    assert pushed() == [1]
    assert len(job.id) == 32


def test_a_rollback_discards_the_job(pushed: Pushed):
    with transaction.atomic():
        enqueue(1)
        transaction.set_rollback(True)
    enqueue(2)
    assert pushed() == [2]


def test_a_rollback_to_a_savepoint_discards_what_was_enqueued_after_it(pushed: Pushed):
    with transaction.atomic():
        enqueue(1)
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            enqueue(2)
            raise ZeroDivisionError
        enqueue(3)
    assert pushed() == [1, 3]


def test_a_transaction_of_another_database_is_waited_for(pushed: Pushed):
    with transaction.atomic(using="other"):
        enqueue(1)
        assert pushed() == []
    assert pushed() == [1]


def test_a_rollback_on_the_second_database_discards_even_after_the_commit_on_the_first(pushed: Pushed):
    with pytest.raises(ZeroDivisionError), transaction.atomic(using="other"):
        with transaction.atomic():
            enqueue(1)
        raise ZeroDivisionError
    assert pushed() == []


def test_a_rollback_on_the_second_database_before_the_commit_on_the_first_discards(pushed: Pushed):
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic(using="other"):
            enqueue(1)
            raise ZeroDivisionError
    assert pushed() == []


def test_a_transaction_opened_later_is_not_waited_for(pushed: Pushed):
    first, second = transaction.atomic(), transaction.atomic(using="other")
    first.__enter__()
    enqueue(1)
    second.__enter__()
    first.__exit__(None, None, None)
    assert pushed() == [1]
    second.__exit__(None, None, None)


def test_the_transactions_of_another_thread_are_not_waited_for(pushed: Pushed):
    with transaction.atomic():
        thread = threading.Thread(target=enqueue, args=[1])
        thread.start()
        thread.join()
        assert pushed() == [1]


def test_with_on_commit_false_a_job_is_pushed_at_once(pushed: Pushed):
    with transaction.atomic():
        enqueue(1, on_commit=False)
        assert pushed() == [1]
        transaction.set_rollback(True)
    assert pushed() == [1]


def test_a_commit_that_the_database_refuses_discards_the_job(pushed: Pushed):
    with pytest.raises(IntegrityError), transaction.atomic(using="other"), transaction.atomic():
        User.groups.through.objects.create(user_id=1, group_id=1)  # neither is there; looked at in the end only
        enqueue(1)
    assert pushed() == []


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_a_job_is_pushed_when_all_transactions_open_at_its_call_are_committed_and_only_then(
    blocks: int, pushed: Pushed, clean_redis: redis.Redis
):
    for program in programs(blocks):
        clean_redis.delete("resque:queue:default")
        assert run(program, pushed) == expected(program), program


def programs(blocks: int) -> Iterator[list[str]]:
    """Every order in which so many atomic blocks can be opened, and committed or rolled back, on two databases. The
    blocks of one database are nested or follow each other, those of two overlap in any way."""
    steps = ["open default", "open other", "commit default", "commit other", "roll back default", "roll back other"]

    def extended(program: list[str], depth: dict[str, int], unopened: int) -> Iterator[list[str]]:
        if not unopened and not any(depth.values()):
            yield program
        for step in steps:
            alias = step.rpartition(" ")[2]
            change = 1 if step.startswith("open") else -1
            if (change == 1 and unopened) or (change == -1 and depth[alias]):
                yield from extended([*program, step], depth | {alias: depth[alias] + change}, unopened - (change == 1))

    return extended([], {"default": 0, "other": 0}, blocks)


def run(program: list[str], pushed: Pushed) -> list[list[Any]]:
    """What has been pushed after each step, when a job is enqueued after each step."""
    stacks: dict[str, list[Any]] = {"default": [], "other": []}
    seen = []
    for number, step in enumerate(program):
        verb, _, alias = step.rpartition(" ")
        if verb == "open":
            stacks[alias].append(transaction.atomic(using=alias))
            stacks[alias][-1].__enter__()
        else:
            error = ZeroDivisionError() if verb == "roll back" else None
            stacks[alias].pop().__exit__(error and ZeroDivisionError, error, None)
        enqueue(number)
        seen.append(pushed())
    return seen


def expected(program: list[str]) -> list[list[int]]:
    """The same, from the rule itself."""
    stacks: dict[str, list[int]] = {"default": [], "other": []}
    waiting: list[tuple[int, set[int]]] = []
    pushed: list[int] = []
    seen = []
    for number, step in enumerate(program):
        verb, _, alias = step.rpartition(" ")
        if verb == "open":
            stacks[alias].append(number)
        else:
            ended = stacks[alias].pop()
            if verb == "roll back":
                waiting = [(job, blocks) for job, blocks in waiting if ended not in blocks]
            waiting = [(job, blocks - {ended}) for job, blocks in waiting]
        waiting.append((number, {block for stack in stacks.values() for block in stack}))
        pushed = [*pushed, *(job for job, blocks in waiting if not blocks)]
        waiting = [(job, blocks) for job, blocks in waiting if blocks]
        seen.append(pushed)
    return seen


# -- one callback for a transaction's jobs -----------------------------------------------------------------------------


def test_jobs_enqueued_one_after_another_are_pushed_by_one_callback(pushed: Pushed):
    with transaction.atomic(), transaction.atomic(using="other"):
        for number in range(250):
            enqueue(number)
        assert len(connection.run_on_commit) == 1
        assert len(connections["other"].run_on_commit) == 1
    assert pushed() == list(range(250))


def test_jobs_are_pushed_in_turn_with_the_callbacks_registered_between_them(pushed: Pushed):
    seen = []
    with transaction.atomic():
        enqueue(1)
        enqueue(2)
        transaction.on_commit(lambda: seen.append(pushed()))
        enqueue(3)
    assert seen == [[1, 2]]
    assert pushed() == [1, 2, 3]


def test_a_job_after_the_end_of_one_of_two_transactions_joins_those_that_wait_for_the_other(pushed: Pushed):
    with transaction.atomic():
        with transaction.atomic(using="other"):
            enqueue(1)
        enqueue(2)
        assert len(connection.run_on_commit) == 1
        assert pushed() == []
    assert pushed() == [1, 2]


def test_a_job_does_not_join_those_that_a_rollback_has_discarded(pushed: Pushed):
    with transaction.atomic():
        with transaction.atomic(using="other"):
            enqueue(1)
            transaction.set_rollback(True, using="other")
        enqueue(2)
    assert pushed() == [2]


def test_a_job_enqueued_by_a_callback_is_pushed_at_once(pushed: Pushed):
    seen = []
    with transaction.atomic():
        enqueue(1)
        transaction.on_commit(lambda: enqueue(2))
        transaction.on_commit(lambda: seen.append(pushed()))
    assert seen == [[1, 2]]


# -- autocommit off ----------------------------------------------------------------------------------------------------


@pytest.fixture
def manual() -> Iterator[None]:
    connection.ensure_connection()
    transaction.set_autocommit(False)
    yield
    transaction.rollback()
    transaction.set_autocommit(True)


def test_with_autocommit_off_nobody_knows_of_the_commit_so_enqueueing_is_refused(manual: None, pushed: Pushed):
    with pytest.raises(InvalidJob, match=r"'default' has autocommit switched off.*on_commit=False"):
        enqueue(1)
    enqueue(2, on_commit=False)
    assert pushed() == [2]


def test_with_autocommit_off_an_atomic_block_waits_for_the_commit_by_hand(manual: None, pushed: Pushed):
    with transaction.atomic():
        enqueue(1)
    assert pushed() == []
    transaction.commit()
    transaction.set_autocommit(True)
    assert pushed() == [1]
    transaction.set_autocommit(False)


# -- a push that fails after the commit --------------------------------------------------------------------------------


def test_a_failed_push_is_raised_after_all_other_callbacks(
    settings: Any, failures: list[Any], caplog: pytest.LogCaptureFixture
):
    settings.CACHES = NOBODY_LISTENS
    called = []
    with pytest.raises(EnqueueError) as raised:
        with transaction.atomic():
            transaction.on_commit(lambda: called.append("before"))
            job = enqueue(1)
            transaction.on_commit(lambda: called.append("after"))
            transaction.on_commit(lambda: called.append("after, robust"), robust=True)
    assert called == ["before", "after", "after, robust"]
    assert raised.value.job == job
    assert not raised.value.uncertain
    assert failures == [(job, raised.value)]
    (record,) = [record for record in caplog.records if record.name == "django_resque"]
    assert record.levelno == logging.ERROR
    assert job.payload().decode() in record.getMessage()
    assert not [record for record in caplog.records if record.name == "django.db.backends.base"]


def test_each_job_of_a_failed_push_is_reported(settings: Any, failures: list[Any], caplog: pytest.LogCaptureFixture):
    settings.CACHES = NOBODY_LISTENS
    with pytest.raises(EnqueueError) as raised:
        with transaction.atomic():
            jobs = [enqueue(number) for number in range(3)]
    assert list(raised.value.jobs) == jobs == [job for job, _ in failures]
    assert len([record for record in caplog.records if record.name == "django_resque"]) == 3


def test_every_push_of_a_commit_that_fails_is_reported(settings: Any, failures: list[Any]):
    settings.CACHES = NOBODY_LISTENS
    called = []
    with pytest.raises(EnqueueError) as raised:
        with transaction.atomic():
            first = enqueue(1)
            transaction.on_commit(lambda: called.append(1))
            second = enqueue(2)
            transaction.on_commit(lambda: called.append(2))
    assert called == [1, 2]
    assert raised.value.job == first
    assert [job for job, _ in failures] == [first, second]


def test_a_receiver_of_enqueue_failed_that_fails_itself_stops_nobody(settings: Any, failures: list[Any]):
    def broken(**kwargs: object) -> None:
        raise ZeroDivisionError

    settings.CACHES = NOBODY_LISTENS
    enqueue_failed.connect(broken)
    try:
        with pytest.raises(EnqueueError):
            with transaction.atomic():
                jobs = [enqueue(1), enqueue(2)]
    finally:
        enqueue_failed.disconnect(broken)
    assert [job for job, _ in failures] == jobs


def test_settings_that_became_unusable_before_the_commit_lose_no_job_silently(settings: Any, failures: list[Any]):
    with pytest.raises(EnqueueError, match="No Redis is configured") as raised:
        with transaction.atomic():
            job = enqueue(1)
            settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    assert [job for job, _ in failures] == [job]
    assert raised.value.__cause__ is not None


def test_after_a_failed_push_the_connection_is_usable(settings: Any, pushed: Pushed, failures: list[Any]):
    caches = settings.CACHES
    settings.CACHES = NOBODY_LISTENS
    with pytest.raises(EnqueueError):
        with transaction.atomic():
            enqueue(1)
    settings.CACHES = caches
    with transaction.atomic():
        enqueue(2)
    assert pushed() == [2]


# -- inside a TestCase, with RESQUE["TESTING"] = "real" ----------------------------------------------------------------


@pytest.mark.django_db(databases=["default", "other"])
class TestInsideTheTransactionsOfATestCase:
    """Such a transaction is never committed, so nobody can wait for it."""

    def test_a_job_enqueued_in_no_other_transaction_is_pushed_at_once(self, pushed: Pushed):
        assert connection.in_atomic_block
        enqueue(1)
        assert pushed() == [1]

    def test_a_job_enqueued_in_a_transaction_waits_for_captureOnCommitCallbacks(self, pushed: Pushed):  # noqa: N802
        with TestCase.captureOnCommitCallbacks(execute=True) as callbacks:
            with transaction.atomic():
                enqueue(1)
            assert pushed() == []
        assert pushed() == [1]
        assert len(callbacks) == 1

    def test_each_capture_sees_the_jobs_enqueued_in_it(self, pushed: Pushed):
        with transaction.atomic():
            enqueue(1)
            with TestCase.captureOnCommitCallbacks(execute=True):
                enqueue(2)
            enqueue(3)
        assert pushed() == [2]

    def test_nested_captures_push_once(self, pushed: Pushed):
        with TestCase.captureOnCommitCallbacks(execute=True):
            with TestCase.captureOnCommitCallbacks(execute=True):
                with transaction.atomic():
                    enqueue(1)
        assert pushed() == [1]

    def test_a_push_that_fails_is_logged_where_it_cannot_be_raised(
        self, settings: Any, failures: list[Any], caplog: pytest.LogCaptureFixture
    ):
        settings.CACHES = NOBODY_LISTENS
        with TestCase.captureOnCommitCallbacks(execute=True):
            with transaction.atomic():
                job = enqueue(1)
        assert [job for job, _ in failures] == [job]
        assert {"django_resque", "django.test"} == {record.name for record in caplog.records}


def test_the_programs_cover_every_order():
    counts = [len(list(itertools.islice(programs(blocks), 10_000))) for blocks in (1, 2, 3)]
    assert counts == [4, 40, 560]
