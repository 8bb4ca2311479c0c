"""Where jobs go under a test runner: a list in this process instead of Redis.

Django's own test setup does the same with mails. It replaces the list ``mail.outbox`` before every test, so a new list
there is what tells that a new test has begun. Tests also assign one themselves, to forget the mails sent so far: while
the transactions that a ``TestCase`` opened around the test are still the same, it is the same test and the jobs stay.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from django.db import connections
from django.db.transaction import Atomic

from ..conf import config
from ..job import Job


class Outbox(Sequence[Job]):
    """The jobs enqueued by the present test, in order. Compares equal to a list of the same jobs."""

    def __init__(self) -> None:
        # By id, since each operation on a dict is atomic: jobs are also taken out by finalizers, at any moment.
        self._jobs: dict[str, Job] = {}
        self._mails: object = None
        self._transactions: list[Atomic] = []

    @property
    def in_use(self) -> bool:
        """Whether jobs are collected here, rather than pushed: under a test runner, unless ``RESQUE["TESTING"]`` is
        ``"real"``."""
        return _under_test_runner() and config().testing == "outbox"

    def clear(self) -> None:
        """Forget the jobs."""
        self._mails, self._transactions = None, []
        self._jobs.clear()

    def collect(self, jobs: Iterable[Job]) -> None:
        """Take jobs in, in place of a push."""
        self._empty_in_a_new_test()
        self._jobs.update((job.id, job) for job in jobs)

    def discard(self, jobs: Iterable[Job]) -> None:
        """Take jobs out again, those that are still there."""
        for job in jobs:
            self._jobs.pop(job.id, None)

    def _empty_in_a_new_test(self) -> None:
        mails = _mails()
        if mails is not self._mails:
            transactions = _transactions_of_the_test()
            if not transactions or transactions != self._transactions:
                self._jobs.clear()
            self._mails, self._transactions = mails, transactions

    # -- a sequence --------------------------------------------------------------------------------------------------

    def _list(self) -> list[Job]:
        self._empty_in_a_new_test()
        return list(self._jobs.values())

    def __len__(self) -> int:
        return len(self._list())

    def __iter__(self) -> Iterator[Job]:
        return iter(self._list())

    @overload
    def __getitem__(self, index: int) -> Job: ...

    @overload
    def __getitem__(self, index: slice) -> list[Job]: ...

    def __getitem__(self, index: int | slice) -> Job | list[Job]:
        return self._list()[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (list, tuple, Outbox)):
            return self._list() == list(other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as of a list: it changes

    def __repr__(self) -> str:
        return f"<Outbox {self._list()!r}>"


def _under_test_runner() -> bool:
    # What setup_test_environment() leaves behind, for Django's runner and pytest-django alike. mail.outbox would not
    # do: the locmem mail backend makes one on a running site as well.
    utils = sys.modules.get("django.test.utils")
    return hasattr(getattr(utils, "_TestState", None), "saved_data")


def _mails() -> object:
    return getattr(sys.modules.get("django.core.mail"), "outbox", None)


def _transactions_of_the_test() -> list[Atomic]:
    """The blocks that Django's ``TestCase`` has opened around the present test, in this thread."""
    return [
        block
        for connection in connections.all(initialized_only=True)
        for block in connection.atomic_blocks
        if opened_by_a_test_case(block)
    ]


def opened_by_a_test_case(block: Atomic) -> bool:
    """Whether Django's ``TestCase``, or pytest-django, has opened this transaction around a test."""
    return getattr(block, "_from_testcase", False)


outbox = Outbox()
