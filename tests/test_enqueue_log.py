"""What was enqueued during a request, and where in the code."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_finished, request_started
from django.dispatch import Signal
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import path

import django_resque
from django_resque import enqueue_log
from django_resque.enqueue_log import MOST, Log, collect, current, note
from django_resque.job import Job

seen: list[Log] = []
"""The logs that the views below have found."""


def code_of(module: str, source: str, **names: Any) -> dict[str, Any]:
    """What ``source`` defines, as if it stood in ``module``."""
    namespace = {"__name__": module, **names}
    exec(source, namespace)
    return namespace


enqueue = code_of("django_resque.client", "def enqueue(number): note([Job('act', (number,))])", note=note, Job=Job)[
    "enqueue"
]


def numbers(log: Log) -> list[int]:
    return [entry.job.args[0] for entry in log]


def view(request: HttpRequest, number: int) -> HttpResponse:
    note([Job("act", (number,))])
    seen.append(current())
    return HttpResponse()


async def async_view(request: HttpRequest, number: int) -> HttpResponse:
    def in_a_thread() -> None:
        note([Job("act", (number + 3,))])

    async def in_a_task(add: int) -> None:
        note([Job("act", (number + add,))])

    note([Job("act", (number,))])
    await asyncio.gather(in_a_task(1), in_a_task(2))
    await sync_to_async(in_a_thread)()
    await sync_to_async(in_a_thread, thread_sensitive=False)()
    seen.append(current())
    return HttpResponse()


urlpatterns = [path("sync/<int:number>", view), path("async/<int:number>", async_view)]


@pytest.fixture(autouse=True)
def _urls(settings: Any) -> Iterator[None]:
    settings.ROOT_URLCONF = __name__
    settings.DEBUG = True
    seen.clear()
    yield
    seen.clear()


@pytest.fixture
def request_in_progress() -> Iterator[None]:
    enqueue_log._begin()
    yield
    enqueue_log._end()


# -- what is noted -----------------------------------------------------------------------------------------------------


def test_an_entry_has_the_job_when_it_is_due_and_where_it_was_asked_for():
    job = Job("send_welcome", (42,), {"template": "fancy"}, "mail")
    with collect() as log:
        note([job], due=1_795_190_900)
    (entry,) = log
    assert (entry.job, entry.due) == (job, 1_795_190_900)
    assert Path(entry.file) == Path(__file__)
    assert "note([job], due=1_795_190_900)" in Path(__file__).read_text().splitlines()[entry.line - 1]
    assert entry.function == "test_an_entry_has_the_job_when_it_is_due_and_where_it_was_asked_for"
    assert entry.place == f"{__file__}:{entry.line}:{entry.function}"


def test_whatever_enqueues_is_noted():
    with collect() as log:
        jobs = [django_resque.enqueue("act", "tell", "x"), django_resque.enqueue_in(60, "act", "tell", "y")]
        jobs += django_resque.enqueue_many("act", [(("tell", "z"), {})])
    assert [entry.job.id for entry in log] == [job.id for job in jobs]
    assert [entry.due is None for entry in log] == [True, False, True]
    assert {entry.function for entry in log} == {"test_whatever_enqueues_is_noted"}


def test_the_place_is_outside_of_django_and_django_resque():
    saved = Signal()
    receivers = code_of("django_resque.receivers", "def receive(**sent): enqueue(1)", enqueue=enqueue)
    saved.connect(receivers["receive"])
    with collect() as log:
        saved.send(None)
    (entry,) = log
    assert entry.function == "test_the_place_is_outside_of_django_and_django_resque"


def test_several_jobs_of_one_call_have_one_place():
    with collect() as log:
        note([Job("act", (number,)) for number in range(3)])
    assert numbers(log) == [0, 1, 2]
    assert len({entry.place for entry in log}) == 1


def test_a_thread_that_runs_nothing_but_enqueue_has_no_place():
    async def call() -> None:
        await sync_to_async(note)([Job("act")])

    with collect() as log:
        asyncio.run(call())
    (entry,) = log
    assert (entry.file, entry.line, entry.function, entry.place) == ("", 0, "", "")


def test_a_log_is_bounded_and_counts_the_rest():
    with collect() as log:
        note([Job("act", (number,)) for number in range(MOST - 1)])
        note([Job("act", (MOST - 1,)), Job("act", (MOST,))])
        note([Job("act", (MOST + 1,))])
    assert numbers(log) == list(range(MOST))
    assert log.left_out == 2


# -- for whom ----------------------------------------------------------------------------------------------------------


def test_nobody_takes_note_without_a_request_or_a_collector(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(enqueue_log, "_calling_code", lambda: pytest.fail("somebody has looked where this is"))
    note([Job("act")])
    assert current() == []


@pytest.mark.usefixtures("request_in_progress")
def test_collectors_inside_each_other_and_a_request_all_take_note():
    with collect() as outer:
        enqueue(1)
        with collect() as inner:
            enqueue(2)
        enqueue(3)
    enqueue(4)
    assert (numbers(outer), numbers(inner), numbers(current())) == ([1, 2, 3], [2], [1, 2, 3, 4])


@pytest.mark.usefixtures("request_in_progress")
def test_an_empty_log_that_somebody_holds_is_filled_later():
    log = current()
    assert log == []
    enqueue(1)
    assert numbers(log) == [1]


# -- requests ----------------------------------------------------------------------------------------------------------


def test_each_request_has_a_log_of_its_own(client: Client):
    client.get("/sync/1")
    client.get("/sync/2")
    assert [numbers(log) for log in seen] == [[1], [2]]
    assert seen[0][0].function == "view"
    assert current() == []


def test_without_debug_there_is_none(client: Client, settings: Any):
    settings.DEBUG = False
    client.get("/sync/1")
    assert seen == [[]]


def test_a_collector_hears_what_requests_of_a_client_enqueue(client: Client, settings: Any):
    settings.DEBUG = False
    with collect() as log:
        client.get("/sync/1")
        client.get("/async/10")
        asyncio.run(AsyncClient().get("/async/20"))
    assert sorted(numbers(log)) == [1, 10, 11, 12, 13, 13, 20, 21, 22, 23, 23]


def test_an_async_view_under_a_sync_server(client: Client):
    client.get("/async/1")
    assert [sorted(numbers(log)) for log in seen] == [[1, 2, 3, 4, 4]]


def asgi(*paths: str) -> None:
    """Serve GET requests, all at the same time, as an ASGI server does."""

    async def serve(handler: Callable[..., Any], target: str) -> None:
        received = asyncio.Queue[dict[str, Any]]()
        received.put_nowait({"type": "http.request", "body": b""})

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        sent: list[dict[str, Any]] = []
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "method": "GET",
            "path": target,
            "query_string": b"",
            "headers": [(b"host", b"testserver")],
        }
        await handler(scope, received.get, send)
        assert sent[0]["status"] == 200

    async def serve_all() -> None:
        handler = ASGIHandler()
        await asyncio.gather(*(serve(handler, target) for target in paths))

    asyncio.run(serve_all())


def test_requests_under_asgi_have_a_log_each_for_all_their_tasks_and_threads():
    asgi("/async/10", "/async/20", "/sync/30", "/sync/40")
    assert sorted(sorted(numbers(log)) for log in seen) == [[10, 11, 12, 13, 13], [20, 21, 22, 23, 23], [30], [40]]
    assert len(enqueue_log._async_requests) == 0


def test_threads_that_serve_requests_do_not_see_each_others():
    both = threading.Barrier(2)

    def serve(number: int) -> None:
        request_started.send(None, environ={})
        both.wait(10)
        enqueue(number)
        both.wait(10)
        found[number] = numbers(current())
        request_finished.send(None)
        after[number] = numbers(current())

    found: dict[int, list[int]] = {}
    after: dict[int, list[int]] = {}
    threads = [threading.Thread(target=serve, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {1: [1], 2: [2]}
    assert after == {1: [], 2: []}
