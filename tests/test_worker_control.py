"""What a worker process does when it is told something through Redis, and what it answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis

from django_resque.store import Entry, store
from django_resque.worker.control import REMEMBERED, Control
from django_resque.worker.entries import reply

from .processes_in_redis import TurnTaker

NOW = 1_763_643_600.0


class Worker:
    """Does what it is told; ``done`` is what that was."""

    def __init__(self, mode: str = "running") -> None:
        self.mode = mode
        self.running = ["job1", "job2"]
        self.done: list[object] = []

    def control_stop(self, force: bool) -> None:
        self.done.append(("stop", force))
        self.mode = "stopping"

    def pause(self, reason: str) -> None:
        self.done.append(("pause", reason))
        self.mode = "paused"

    def resume(self, reason: str) -> None:
        self.done.append(("resume", reason))
        self.mode = "running"

    def end_running_jobs(self, reason: str) -> list[str]:
        self.done.append(("end", reason))
        ended, self.running = self.running, []
        return ended

    def end_job(self, job_id: str) -> bool:
        self.done.append(("end_job", job_id))
        return job_id in self.running

    def describe(self) -> dict[str, Any]:
        return {"mode": self.mode, "running": self.running}


@pytest.fixture
def actions() -> Worker:
    return Worker()


@pytest.fixture
def control() -> Control:
    return Control()


def message(verb: str, *, message_id: str = "m1", deadline: object = NOW + 1, **more: object) -> bytes:
    return json.dumps({"id": message_id, "verb": verb, "deadline": deadline, "by": "me@host", **more}).encode()


def answer(entry: Entry) -> dict[str, Any]:
    found = json.loads(entry.record)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("verb", "more", "done", "told"),
    [
        ("stop", {}, ("stop", False), {"mode": "stopping"}),
        ("stop", {"force": True}, ("stop", True), {"mode": "stopping"}),
        ("stop", {"force": "yes"}, ("stop", False), {"mode": "stopping"}),
        ("pause", {}, ("pause", "control"), {"mode": "paused"}),
        ("resume", {}, ("resume", "control"), {"mode": "running"}),
        ("cleanup", {}, ("end", "control"), {"jobs": ["job1", "job2"], "running": []}),
        ("end_job", {"job": "job2"}, ("end_job", "job2"), {"ended": True}),
        ("end_job", {"job": "job3"}, ("end_job", "job3"), {"ended": False}),
    ],
)
def test_each_verb_does_what_it_says_and_tells_how_things_are_then(
    control: Control, actions: Worker, verb: str, more: dict[str, object], done: object, told: dict[str, object]
):
    raw = message(verb, **more)
    (entry,) = control.obey([raw], NOW, actions)
    assert actions.done == [done]
    assert (entry.kind, entry.token, entry.output) == ("reply", "m1", raw)
    assert answer(entry) == {
        "id": "m1",
        "ok": True,
        "error": "",
        "mode": "running",
        "running": ["job1", "job2"],
        **told,
    }


def test_several_messages_are_obeyed_in_their_order(control: Control, actions: Worker):
    raws = [message(verb, message_id=verb) for verb in ("pause", "resume", "stop")]
    assert [entry.token for entry in control.obey(raws, NOW, actions)] == ["pause", "resume", "stop"]
    assert [done[0] for done in actions.done] == ["pause", "resume", "stop"]


def test_a_message_that_is_seen_again_is_obeyed_once_and_answered_again(control: Control, actions: Worker):
    first = control.obey([message("cleanup")], NOW, actions)
    assert control.obey([message("cleanup")], NOW, actions) == first
    assert control.obey([message("cleanup")], NOW + 100, actions) == first  # also when it may not be obeyed any more
    assert len(actions.done) == 1


def test_a_message_is_obeyed_until_its_deadline_and_not_later(control: Control, actions: Worker):
    assert answer(control.obey([message("stop", message_id="a", deadline=NOW)], NOW, actions)[0])["ok"]
    (late,) = control.obey([message("stop", message_id="b", deadline=NOW - 0.001)], NOW, actions)
    assert actions.done == [("stop", False)]
    assert (answer(late)["ok"], answer(late)["error"]) == (False, "it was read too late")


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_worker_that_stops_is_neither_paused_nor_resumed(control: Control, verb: str):
    actions = Worker("stopping")
    (entry,) = control.obey([message(verb)], NOW, actions)
    assert actions.done == []
    assert (answer(entry)["error"], answer(entry)["mode"]) == ("the worker is stopping", "stopping")


@pytest.mark.parametrize(
    ("raw", "error"),
    [(message("dance"), "this worker does not know how"), (message("end_job"), "no job is named")],
)
def test_what_it_cannot_do_it_says_so(control: Control, actions: Worker, raw: bytes, error: str):
    (entry,) = control.obey([raw], NOW, actions)
    assert actions.done == []
    assert (answer(entry)["ok"], answer(entry)["error"]) == (False, error)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff",
        b"[]",
        b"{",
        b"[" * 10_000,
        b"{}",
        message("stop") + b" " * 20_000,
        message("stop", message_id=""),
        message("stop", message_id="a b"),
        message("stop", message_id="x" * 65),
        message("stop", deadline=None),
        message("stop", deadline="soon"),
        message("stop", deadline=True),
        message("stop", deadline=float("inf")),
        message("stop", deadline=float("nan")),
        message("stop", deadline=10**400),
        message("stop", by=1),
        json.dumps({"id": "m1", "verb": ["stop"], "deadline": NOW}).encode(),
    ],
)
def test_garbage_is_answered_so_that_it_goes_and_is_logged_once(
    control: Control, actions: Worker, raw: bytes, caplog: pytest.LogCaptureFixture
):
    for _ in range(2):
        (entry,) = control.obey([raw], NOW, actions)
        assert (entry.kind, entry.output, len(entry.token)) == ("reply", raw, 40)
        assert answer(entry)["error"] == "the message could not be read"
    assert actions.done == []
    assert len(caplog.records) == 1


def test_who_asked_for_what_is_logged(control: Control, actions: Worker, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", "django_resque")
    control.obey([message("stop", force=True, by="eve\n@host")], NOW, actions)
    control.obey([message("\x1b[31m", message_id="m2", by="")], NOW, actions)
    assert [record.getMessage() for record in caplog.records] == [
        "told through Redis by eve\\n@host: stop now",
        "told through Redis by somebody, not done: '\\x1b[31m': this worker does not know how",
    ]


def test_it_remembers_so_many_messages_and_no_more(control: Control, actions: Worker):
    for number in range(REMEMBERED + 1):
        control.obey([message("pause", message_id=f"m{number}")], NOW, actions)
    control.obey([message("pause", message_id=f"m{REMEMBERED}")], NOW, actions)
    assert len(actions.done) == REMEMBERED + 1
    control.obey([message("pause", message_id="m0")], NOW, actions)
    assert len(actions.done) == REMEMBERED + 2


def test_an_answer_of_any_text_can_be_written(control: Control, actions: Worker):
    actions.running = ["\ud800"]
    (entry,) = control.obey([message("cleanup", by="\ud800")], NOW, actions)
    assert answer(entry)["jobs"] == ["\ud800"]


def test_the_answer_takes_the_place_of_the_message(clean_redis: redis.Redis, control: Control, actions: Worker):
    taker = TurnTaker()
    for raw in (message("pause"), b"garbage"):
        assert store().ask(store().control.send("abc123", raw, store().time() + 10))
    messages = clean_redis.lrange("resque:django:control:abc123", 0, -1)
    taker.turn(*control.obey(messages, NOW, actions))
    assert not clean_redis.exists("resque:django:control:abc123")
    assert 50 < clean_redis.ttl("resque:django:reply:m1") <= 60
    (found,) = clean_redis.lrange("resque:django:reply:m1", 0, -1)
    assert json.loads(found)["mode"] == "paused"
    taker.close()


def test_an_answer_of_which_the_turn_is_sent_again_is_given_once(clean_redis: redis.Redis):
    taker = TurnTaker()
    taker.turn(reply("m1", b"a message", b"{}"))
    taker.again(reply("m1", b"a message", b"{}"))
    assert clean_redis.llen("resque:django:reply:m1") == 1
    taker.close()
