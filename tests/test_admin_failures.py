"""Failures in the dashboard: by group, in a list, one alone; retrying and discarding them."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
import redis
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from django_resque.admin import failure_search
from django_resque.admin.redaction import HIDDEN
from django_resque.failure import Failure, failure_record
from django_resque.job import Job, digest
from django_resque.store import store
from django_resque.store.failures import why_not_retried
from tests.dashboard import act, page, round_trips, text_of, url
from tests.wire.recordings import recordings

FAILED = "resque:failed"
RECORDED = sorted({raw.encode() for each in recordings() for raw in each.value("failed", [])})
"""Every failure that a program of the family has written."""


def ago(**span: float) -> datetime:
    return datetime.now(UTC) - timedelta(**span)


def fail(client: redis.Redis, command: str = "act", *args: Any, options: Any = None, **given: Any) -> bytes:
    """A failure of ours in the list."""
    fields: dict[str, Any] = {
        "queue": "mail",
        "worker": "box1~k3f9ad-1:42:mail",
        "exception": "ValueError",
        "error": "went wrong",
        "now": ago(seconds=5),
    }
    raw = failure_record(payload=Job(command, args, options or {}).payload(), **{**fields, **given})
    client.rpush(FAILED, raw)
    return raw


@pytest.fixture
def some(clean_redis: redis.Redis) -> list[bytes]:
    return [
        fail(clean_redis, "send", 1, now=ago(days=30)),
        fail(clean_redis, "send", 2, exception="shop.NoStock", error="none left", now=ago(days=3)),
        fail(clean_redis, "send", 3, exception="NoStock", error="none left", now=ago(hours=3)),
        fail(clean_redis, "clean", queue="low", now=ago(minutes=2)),
        fail(clean_redis, "send", 4, now=ago(minutes=1)),
    ]


@pytest.fixture
def onlooker(client: Client, db: None) -> Client:
    """Somebody who may see the dashboard, retry and discard, and not see sensitive values."""
    user = User.objects.create_user("onlooker", is_staff=True)
    names = ("view_dashboard", "retry_failure", "discard_failure")
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(user)
    return client


def links(client: Client, address: str, part: str) -> list[str]:
    content = client.get(address).content.decode()
    return [unescape(each) for each in re.findall(r'href="([^"]*)"', content) if part in each]


def rows(client: Client, slug: str = "failures/list", **query: Any) -> list[str]:
    """The digests of the list, as the visitor gets it."""
    content = client.get(url(slug, **query)).content.decode()
    return re.findall(r'name="tick" value="([^"]*)"', content)


def buttons(client: Client, address: str) -> list[str]:
    return [unescape(each) for each in re.findall(r'formaction="([^"]*)"', client.get(address).content.decode())]


def left(client: redis.Redis) -> list[bytes]:
    return client.lrange(FAILED, 0, -1)


# -- by command and exception ------------------------------------------------------------------------------------------


def test_failures_are_counted_by_command_and_exception_those_of_the_last_hour_first(admin_client: Client, some):
    text = page(admin_client, "failures")
    assert "1 h 24 h 7 d All Last" in text
    assert "send ValueError 1 1 1 2 1 min ago" in text.replace("1 min 0 s", "1 min")
    assert "send NoStock 0 1 1 1 3 h" in text
    assert "send shop.NoStock 0 0 1 1 3 d" in text
    assert "All failures 2 3 4 5" in text
    assert re.findall(r"(send ValueError|clean|send NoStock|shop.NoStock) \d", text) == [
        "send ValueError",
        "send NoStock",
        "shop.NoStock",
    ]


def test_each_count_leads_to_the_list_of_what_it_counts(admin_client: Client, some):
    content = admin_client.get(url("failures")).content.decode()
    counted = re.findall(r'<td class="resque-number" data-label="[^"]*"><a href="([^"]*)">(\d+)</a>', content)
    assert len(counted) == 4 + 3 + 2 + 4 + 4
    for address, count in counted:
        listed = admin_client.get(unescape(address)).content.decode()
        assert listed.count('name="tick"') == int(count), address


def test_records_without_a_job_are_a_group_of_their_own(admin_client: Client, clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, "no JSON", "", "[1]", '{"exception":"E"}', '{"payload":{"class":""},"exception":"F"}')
    assert "(no job) – 0 0 0 5 –" in page(admin_client, "failures")
    assert len(rows(admin_client, none="job")) == 5
    assert rows(admin_client, none="job") == rows(admin_client)
    assert len(rows(admin_client, none="exception")) == 3
    assert buttons(admin_client, url("failures")) == [url("failures/discard", none="job")]


def test_without_an_exception_there_is_a_group_too(admin_client: Client, clean_redis: redis.Redis):
    raw = fail(clean_redis, exception="")
    fail(clean_redis)
    assert url("failures/list", command="act", none="exception") in links(admin_client, url("failures"), "none=")
    assert rows(admin_client, command="act", none="exception") == [digest(raw)]


def test_groups_are_those_of_the_time_that_is_asked_for(admin_client: Client, some):
    assert "NoStock" not in page(admin_client, "failures", since="1h")
    assert "send NoStock" in page(admin_client, "failures", since="24h")
    assert "shop.NoStock" in page(admin_client, "failures", since="all")


def test_of_many_groups_a_hundred_are_shown(admin_client: Client, clean_redis: redis.Redis):
    for number in range(103):
        fail(clean_redis, f"command_{number:03}", *range(number % 2))
    text = page(admin_client, "failures")
    assert text.count("ValueError 1 1 1 1") == 100
    assert "and 3 more groups" in text
    assert "All failures 103" in text


def test_where_nothing_has_failed_the_pages_say_so(admin_client: Client, some, clean_redis: redis.Redis):
    clean_redis.ltrim(FAILED, 0, 0)
    assert "Nothing has failed in this time." in page(admin_client, "failures", since="1h")
    assert "No failure is like this." in page(admin_client, "failures/list", since="1h")
    clean_redis.delete(FAILED)
    assert "Nothing has failed." in page(admin_client, "failures")
    assert "Nothing has failed." in page(admin_client, "failures/list")


def test_what_is_not_looked_at_is_said(admin_client: Client, some, clean_redis: redis.Redis, monkeypatch):
    monkeypatch.setattr("django_resque.store.failure_table.MOST", 3)
    clean_redis.rpush(FAILED, *(f'{{"exception":"{number}"}}' for number in range(100)))
    clean_redis.rpush(FAILED, '{"exception":"%s"}' % ("x" * 2_500_000))
    for slug, query in (("failures", {}), ("failures/list", {"none": "job"})):
        text = page(admin_client, slug, **query)
        assert "Only the newest 100 of 106 failures were looked through." in text
        assert "1 record is too large to be looked at here." in text


@pytest.mark.parametrize("name", [" blank ", "x" * 2_000, "\ud800", "a\nb", "<b>", "%2e&?=#", "é", "-", "0"])
def test_a_group_of_any_name_can_be_found_again_or_is_no_link(
    admin_client: Client, clean_redis: redis.Redis, name: str
):
    raw = json.dumps({"payload": {"class": name, "args": []}, "exception": name, "queue": "mail"}).encode()
    clean_redis.rpush(FAILED, raw, "another")
    found = [address for address in links(admin_client, url("failures"), "failures/list/?") if "none=" not in address]
    assert bool(found) == (name in ("a\nb", "<b>", "%2e&?=#", "é", "-", "0"))
    for address in found:
        assert f'value="{digest(raw)}"' in admin_client.get(address).content.decode()
        assert admin_client.get(address).content.decode().count('name="tick"') == 1


# -- the list ----------------------------------------------------------------------------------------------------------


def test_a_row_says_what_failed_how_where_and_when(admin_client: Client, clean_redis: redis.Redis):
    raw = fail(clean_redis, "act", "refuse", "now", extra={"attempts": 3}, now=ago(minutes=3))
    job_id = Failure.from_record(raw).job_id
    text = page(admin_client, "failures/list")
    assert f"act act refuse now {job_id} ValueError went wrong mail box1~k3f9ad-1:42:mail 3 min" in text
    assert "ago 3 attempts Retry act" in text
    addresses = links(admin_client, url("failures/list"), "?")
    for wanted in (
        url("failure", digest=digest(raw)),
        url("job", id=job_id),
        url("queue", name="mail"),
        url("failures/list", command="act"),
    ):
        assert wanted in addresses


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({}, [4, 3, 2, 1, 0]),
        ({"command": "send"}, [4, 2, 1, 0]),
        ({"exception": "NoStock"}, [2]),
        ({"exception": "shop.NoStock"}, [1]),
        ({"since": "1h"}, [4, 3]),
        ({"since": "24h"}, [4, 3, 2]),
        ({"since": "7d"}, [4, 3, 2, 1]),
        ({"since": "all"}, [4, 3, 2, 1, 0]),
        ({"queue": "low"}, [3]),
        ({"q": "NONE left"}, [2, 1]),
        ({"q": "none left", "since": "24h"}, [2]),
        ({"q": "send", "command": "clean"}, []),
        ({"command": "send", "exception": "ValueError", "since": "1h", "queue": "mail"}, [4]),
        ({"command": "nothing"}, []),
    ],
    ids=str,
)
def test_the_list_is_filtered(admin_client: Client, some: list[bytes], query: dict[str, str], numbers: list[int]):
    assert rows(admin_client, **query) == [digest(some[number]) for number in numbers]
    chosen = buttons(admin_client, url("failures/list", **query))[-1:] if numbers else []
    for address in chosen:  # all that match are the same
        content = admin_client.post(address, {"all": "yes"}).content.decode()
        assert f"Discard {len(numbers)} failure" in content


def test_one_searches_by_the_id_of_a_job(admin_client: Client, some: list[bytes]):
    job_id = Failure.from_record(some[2]).job_id
    assert rows(admin_client, q=job_id) == [digest(some[2])]


@pytest.mark.parametrize("q", ["/srv/übung", "Bäm", "BÄM", "Tür"])
def test_texts_are_found_however_a_program_has_written_them(admin_client: Client, clean_redis: redis.Redis, q: str):
    record = {"payload": {"class": "Boom", "args": []}, "error": "Bäm", "backtrace": ["#0 /srv/übung/Tür.php(1)"]}
    php = json.dumps(record).replace("/", "\\/")
    ruby = json.dumps(record, ensure_ascii=False)
    clean_redis.rpush(FAILED, php, ruby, "another")
    assert rows(admin_client, q=q) == [digest(ruby.encode()), digest(php.encode())]


def test_the_list_has_pages(admin_client: Client, clean_redis: redis.Redis):
    for number in range(120):
        fail(clean_redis, "send", number, error=f"number {number}", queue="mail" if number % 2 else "low")
    assert "120 failures" in page(admin_client, "failures/list")
    assert "51–100 of 120" in page(admin_client, "failures/list", p=2)
    assert "1–50 of 60" in page(admin_client, "failures/list", queue="low")
    assert len(rows(admin_client, queue="low", p=2)) == 10
    assert "1–50 Next" in page(admin_client, "failures/list", q="number")
    assert "51–100 of 120" in page(admin_client, "failures/list", p=2, q="")
    assert "51–100" in page(admin_client, "failures/list", p=2, q="number")
    assert len(rows(admin_client, q="number", p=3)) == 20
    assert "nothing more" in page(admin_client, "failures/list", p=9)


def test_a_search_says_how_many_were_looked_through(admin_client: Client, some, monkeypatch):
    monkeypatch.setattr(failure_search, "MOST_READ", 2)
    text = page(admin_client, "failures/list", q="left")
    assert "Only the newest 4 of 5 failures were looked through." in text
    monkeypatch.undo()
    assert "looked through" not in page(admin_client, "failures/list", q="left")


# -- one alone ---------------------------------------------------------------------------------------------------------


def test_a_failure_is_shown_in_full(admin_client: Client, clean_redis: redis.Redis):
    history = [{"attempt": 1, "failed_at": "2026/11/20 13:21:45 UTC", "exception": "OSError", "error": "not yet"}]
    raw = fail(
        clean_redis,
        "act",
        "refuse",
        options={"text": "é", "token": "hunter2"},
        backtrace=["Traceback (most recent call last):", '  File "x.py", line 3, in y'],
        extra={
            "output": "about to\nrefuse",
            "exit_status": "3",
            "signal": "SIGKILL",
            "attempts": 2,
            "history": history,
        },
    )
    failure = Failure.from_record(raw)
    text = unescape(page(admin_client, "failure", digest=failure.digest))
    for said in (
        "Failure of act",
        "ValueError went wrong",
        f"Job {failure.job_id}",
        "Command line act refuse '--text=é' --token=hunter2",
        "Worker box1~k3f9ad-1:42:mail",
        "Attempts 2",
        "Exit status 3",
        "Signal SIGKILL",
        'Traceback (most recent call last): File "x.py", line 3, in y',
        "about to refuse",
        "OSError not yet",
        '[ "refuse", { "text": "é", "token": "hunter2" } ]',
        f'"id": "{failure.job_id}"',
        failure.digest,
    ):
        assert said in text, said
    assert buttons(admin_client, url("failure", digest=failure.digest)) == [
        url("failures/retry"),
        url("failures/discard"),
    ]


@pytest.mark.parametrize("name", ["0" * 40, "nothing", "", "é" * 40, "F" * 40])
def test_one_that_is_gone_is_no_error(admin_client: Client, some, name: str):
    response = admin_client.get(url("failure", digest=name), headers={"X-Resque-Fragment": "yes"})
    assert "This failure is gone: retried or discarded." in response.content.decode()
    assert (response.status_code, response["X-Resque-Fragment"]) == (200, "0")


def test_what_is_no_record_is_shown_as_it_is(admin_client: Client, clean_redis: redis.Redis):
    for raw in (b"no \xff JSON \x1b[2J", b"[1, 2]", b"", b"{}"):
        clean_redis.rpush(FAILED, raw)
        text = unescape(page(admin_client, "failure", digest=digest(raw)))
        assert "Failure of (no job)" in text
        assert "there is no job in its record that could be read." in text
        assert raw.decode("utf-8", "backslashreplace").replace("\x1b", "\\x1b") in text
    assert "no \\xff JSON \\x1b[2J" in page(admin_client, "failures/list")


# -- what the family writes --------------------------------------------------------------------------------------------


def test_there_are_recordings_of_every_program():
    assert len(RECORDED) > 20


@pytest.mark.parametrize("raw", RECORDED, ids=lambda raw: digest(raw)[:8])
def test_each_failure_of_each_program_is_listed_shown_and_retried_or_refused_with_a_reason(
    admin_client: Client, clean_redis: redis.Redis, raw: bytes
):
    clean_redis.rpush(FAILED, raw)
    failure = Failure.from_record(raw)
    command = failure.job.command if failure.job else "(no job)"
    assert f"{command} {failure.exception if failure.job else '–'} " in unescape(page(admin_client, "failures"))
    assert rows(admin_client) == [failure.digest]
    listed = unescape(page(admin_client, "failures/list"))
    for said in (command, failure.exception, failure.error[:100], failure.queue, failure.worker):
        assert re.sub(r"\s+", " ", said) in listed
    assert failure.failed_at is not None
    shown = unescape(page(admin_client, "failure", digest=failure.digest))
    for said in (command, failure.exception, *failure.backtrace):
        assert re.sub(r"\s+", " ", said) in shown
    told = act(admin_client, "failures/retry", {"one": failure.digest})
    if reason := why_not_retried(failure):
        assert reason in told
        assert reason in shown
        assert left(clean_redis) == [raw]
    else:
        assert "Retried 1 failure." in told
        assert left(clean_redis) == []
        (payload,) = clean_redis.lrange(f"resque:queue:{failure.queue}", 0, -1)
        assert json.loads(payload) == json.loads(raw)["payload"]


# -- retrying and discarding -------------------------------------------------------------------------------------------


def test_the_confirmation_states_how_many_and_which_and_changes_nothing(admin_client: Client, some: list[bytes]):
    response = admin_client.post(url("failures/retry"), {"tick": [digest(some[1]), digest(some[2])]})
    text = text_of(response)
    assert "Retry 2 failures? Their jobs are put back on their queues" in text
    assert "send 3 · NoStock: none left" in text
    text = text_of(admin_client.post(url("failures/discard"), {"one": digest(some[1])}))
    assert "Discard 1 failure? " in text
    assert "This cannot be taken back." in text
    assert store().failures.count() == 5


def test_one_is_retried(admin_client: Client, some: list[bytes], clean_redis: redis.Redis):
    assert "Retried 1 failure." in act(admin_client, "failures/retry", {"one": digest(some[3])})
    assert left(clean_redis) == [*some[:3], some[4]]
    (payload,) = clean_redis.lrange("resque:queue:low", 0, -1)
    assert Job.from_payload(payload, "low") == Failure.from_record(some[3]).job
    entry = LogEntry.objects.get()
    assert entry.object_repr == f"Retried 1 failure. clean {Failure.from_record(some[3]).job_id} low"
    assert entry.get_change_message().startswith("failures/retry: Retry 1 failure?")


def test_those_that_are_ticked_are_discarded(admin_client: Client, some: list[bytes], clean_redis: redis.Redis):
    ticked = [digest(some[0]), digest(some[4])]
    assert "Discarded 2 failures." in act(admin_client, "failures/discard", {"tick": ticked})
    assert left(clean_redis) == some[1:4]
    assert clean_redis.exists("resque:queue:mail") == 0
    assert Failure.from_record(some[0]).job_id in LogEntry.objects.get().object_repr


def test_a_group_is_retried(admin_client: Client, some: list[bytes], clean_redis: redis.Redis):
    text = act(admin_client, "failures/retry", {"all": "yes"}, command="send", exception="NoStock")
    assert "Retried 1 failure." in text
    assert left(clean_redis) == [some[0], some[1], some[3], some[4]]
    assert "command=send, exception=NoStock" in LogEntry.objects.get().object_repr


def test_all_that_match_a_search_are_discarded(admin_client: Client, some: list[bytes], clean_redis: redis.Redis):
    text = act(admin_client, "failures/discard", {"all": "yes"}, q="none LEFT", since="7d")
    assert "Discarded 2 failures." in text
    assert left(clean_redis) == [some[0], some[3], some[4]]
    note = LogEntry.objects.get().object_repr
    assert "since=7d, with a text" in note
    assert "none" not in note.lower()


def test_all_are_retried(admin_client: Client, some: list[bytes], clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, "no job")
    text = text_of(admin_client.post(url("failures/retry"), {"all": "yes"}))
    assert "Retry 5 failures? " in text
    assert "1 cannot be retried and stays." in text
    told = act(admin_client, "failures/retry", {"all": "yes"})
    assert "Retried 5 failures. 1 cannot be retried and stays." in told
    assert left(clean_redis) == [b"no job"]
    assert clean_redis.llen("resque:queue:mail") == 4


def test_what_was_gone_is_told(admin_client: Client, some: list[bytes], clean_redis: redis.Redis):
    clean_redis.lrem(FAILED, 1, some[0])
    ticked = {"tick": [digest(some[0]), digest(some[1])]}
    assert "1 is not there any more." in text_of(admin_client.post(url("failures/discard"), ticked))
    assert "Retried 1 failure. 1 is not there any more." in act(admin_client, "failures/retry", ticked)
    assert "There are no such failures any more." in act(admin_client, "failures/retry", ticked)
    assert "There are no such failures any more." in act(admin_client, "failures/discard", {"one": digest(some[0])})
    assert LogEntry.objects.count() == 1
    assert clean_redis.llen("resque:queue:mail") == 1


def test_what_cannot_be_retried_is_refused_with_the_reason(admin_client: Client, clean_redis: redis.Redis):
    already = json.dumps({**json.loads(fail(clean_redis)), "retried_at": "2026/11/20 14:03:10"}).encode()
    without = json.dumps({"payload": {"class": "act", "args": []}, "exception": "E"}).encode()
    clean_redis.delete(FAILED)
    clean_redis.rpush(FAILED, already, without, "no job")
    for raw, reason in (
        (already, "retried already, by a program that keeps its record"),
        (without, "its record does not say from which queue the job came"),
        (b"no job", "there is no job in its record"),
    ):
        assert reason in act(admin_client, "failures/retry", {"one": digest(raw)})
        assert reason in page(admin_client, "failure", digest=digest(raw))
        assert buttons(admin_client, url("failure", digest=digest(raw))) == [url("failures/discard")]
    assert "None of them can be retried" in act(admin_client, "failures/retry", {"all": "yes"})
    assert clean_redis.llen(FAILED) == 3
    assert not LogEntry.objects.exists()


def test_a_queue_that_is_none_is_told(admin_client: Client, some: list[bytes], clean_redis: redis.Redis):
    clean_redis.set("resque:queue:low", "surprise")
    text = act(admin_client, "failures/retry", {"tick": [digest(some[3]), digest(some[4])]})
    assert "Retried 1 failure. 1 cannot be retried and stays." in text
    assert left(clean_redis) == some[:4]


def test_nothing_chosen_and_nothing_left(admin_client: Client, clean_redis: redis.Redis):
    assert "Nothing was chosen: tick some first." in act(admin_client, "failures/retry")
    assert "There are no such failures any more." in act(admin_client, "failures/discard", {"all": "yes"}, command="x")


@pytest.mark.parametrize(("permission", "slug"), [("retry_failure", "retry"), ("discard_failure", "discard")])
def test_there_are_buttons_for_what_one_may_do(client: Client, db, some: list[bytes], permission: str, slug: str):
    user = User.objects.create_user("someone", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_dashboard", permission]))
    client.force_login(user)
    for address in (url("failures"), url("failures/list"), url("failure", digest=digest(some[0]))):
        assert {each.partition("?")[0] for each in buttons(client, address)} == {url(f"failures/{slug}")}
    user.user_permissions.set(Permission.objects.filter(codename="view_dashboard"))
    for address in (url("failures"), url("failures/list"), url("failure", digest=digest(some[0]))):
        assert buttons(client, address) == []
        assert 'type="checkbox"' not in client.get(address).content.decode()


# -- what is hidden ----------------------------------------------------------------------------------------------------

SECRET = "hunter2-swordfish"


@pytest.fixture
def secret(clean_redis: redis.Redis) -> list[bytes]:
    """Failures that say a secret in every place."""
    history = [{"attempt": 1, "exception": "OSError", "error": f"no {SECRET}"}]
    ours = fail(
        clean_redis,
        "act",
        options={"token": SECRET, "user": "ada"},
        error=f"wrong: {SECRET}",
        backtrace=[f"line with {SECRET}"],
        extra={"output": f"said {SECRET}", "attempts": 2, "history": history, "api_key": SECRET},
    )
    payload = {"class": "NoSuch::Command", "args": [SECRET, {"token": [SECRET]}], "password": SECRET, "note": SECRET}
    foreign = json.dumps({"payload": payload, "exception": "E", "error": f'"{SECRET}"', "queue": "mail"}).encode()
    broken = foreign[:-1]
    stub = json.dumps({"payload": {"class": "", "args": [SECRET], "base64": SECRET}, "exception": "E"}).encode()
    clean_redis.rpush(FAILED, foreign, broken, stub)
    return [ours, foreign, broken, stub]


def test_secrets_are_hidden_from_those_who_may_not_see_them(onlooker: Client, secret: list[bytes]):
    addresses = [url("failures"), url("failures/list"), url("failures/list", q="ada")]
    addresses += [url("failure", digest=digest(raw)) for raw in secret]
    for address in addresses:
        content = onlooker.get(address).content.decode()
        assert SECRET not in content, address
        assert address == url("failures") or HIDDEN in content
    for slug, data in (("failures/retry", {"all": "yes"}), ("failures/discard", {"tick": list(map(digest, secret))})):
        assert SECRET not in onlooker.post(url(slug), data).content.decode()
        onlooker.post(url(slug), {**data, "confirmed": "yes"})
    assert LogEntry.objects.count() == 2
    assert not [entry for entry in LogEntry.objects.all() if SECRET in f"{entry} {entry.change_message}"]


def test_who_may_see_them_sees_them(admin_client: Client, secret: list[bytes]):
    for raw in secret:
        assert SECRET in page(admin_client, "failure", digest=digest(raw))
    assert rows(admin_client, q=SECRET) == [digest(raw) for raw in reversed(secret[:3])]


@pytest.mark.parametrize("q", [SECRET, SECRET[:5], SECRET[3:9].upper(), "wrong: hunter", "said"])
def test_a_search_finds_no_secrets(onlooker: Client, secret: list[bytes], q: str):
    assert rows(onlooker, q=q) == []
    assert "There are no such failures any more." in act(onlooker, "failures/discard", {"all": "yes"}, q=q)
    assert rows(onlooker, q="ada") == [digest(secret[0])]
    assert rows(onlooker, q="NoSuch") == [digest(secret[1])]


def test_how_far_a_search_comes_does_not_depend_on_what_is_hidden(
    onlooker: Client, secret: list[bytes], clean_redis: redis.Redis, monkeypatch
):
    monkeypatch.setattr(failure_search, "MOST_VEILED", 3)
    monkeypatch.setattr(failure_search, "MOST_READ", 3)
    for q in (SECRET, "nowhere", "ada"):
        assert "Only the newest 3 of 4 failures were looked through." in page(onlooker, "failures/list", q=q)


def test_a_search_takes_the_same_pains_whether_what_is_hidden_fits_or_not(
    onlooker: Client, secret: list[bytes], monkeypatch
):
    read: list[Failure] = []
    shown = failure_search.shown_text
    monkeypatch.setattr(failure_search, "shown_text", lambda *given: read.append(given[0]) or shown(*given))
    pains = []
    for q in (SECRET, SECRET[:-1] + "x"):
        page(onlooker, "failures/list", q=q)
        page(onlooker, "jobs", state="failed", q=q)
        onlooker.post(url("failures/discard", q=q), {"all": "yes"})
        pains.append(len(read))
        read.clear()
    assert pains[0] == pains[1] == 3 * len(secret)


def test_so_many_are_meant_as_are_looked_through_where_something_is_hidden(
    onlooker: Client, clean_redis: redis.Redis, monkeypatch
):
    monkeypatch.setattr(failure_search, "MOST_VEILED", 3)
    for number in range(5):
        fail(clean_redis, "send", number)
    text = text_of(onlooker.post(url("failures/discard", q="send"), {"all": "yes"}))
    assert "Discard 3 failures?" in text
    assert "Not all were looked through: there are too many." in text
    assert "Discarded 3 failures." in act(onlooker, "failures/discard", {"all": "yes"}, q="send")
    assert clean_redis.llen(FAILED) == 2


# -- what it costs -----------------------------------------------------------------------------------------------------


def test_a_page_costs_at_most_five_round_trips(admin_client: Client, clean_redis: redis.Redis):
    clean_redis.rpush(FAILED, *(b'{"payload":{"class":"a%d"},"exception":"E"}' % (each % 9) for each in range(3_000)))
    for address, count in (
        (url("failures"), 2),
        (url("failures/list"), 3),
        (url("failures/list", p=20), 3),
        (url("failures/list", command="a1"), 4),
        (url("failures/list", q="a1"), 3),
        (url("failure", digest=digest(b'{"payload":{"class":"a0"},"exception":"E"}')), 3),
        (url("failure", digest="0" * 40), 4),
    ):
        assert round_trips(admin_client, address) == count, address


@pytest.mark.parametrize("where", ["error", "args", "backtrace", "exception", "class", "nested", "names", "not JSON"])
def test_a_record_of_a_megabyte_makes_no_page_large_or_slow(
    admin_client: Client, onlooker: Client, clean_redis: redis.Redis, where: str
):
    large = "x y" * 330_000
    record: dict[str, Any] = {"payload": {"class": "act", "args": [1]}, "exception": "E", "queue": "mail"}
    match where:
        case "args":
            record["payload"]["args"] = [
                [large[at : at + 9] for at in range(0, 500_000, 9)],
                {"token": large[:400_000]},
            ]
        case "class":
            record["payload"]["class"] = large
        case "backtrace":
            record["backtrace"] = [large[:100]] * 9_000
        case "nested":
            record["extra"] = [[{"key": "value", "a": [1, 2]}] * 20_000]
        case "names":
            record["payload"]["args"] = [{f"token{number}": f"value{number}" for number in range(35_000)}]
        case _:
            record[where] = large
    raw = large.encode() if where == "not JSON" else json.dumps(record).encode()
    clean_redis.rpush(FAILED, raw)
    addresses = [url("failures"), url("failures/list"), url("failures/list", q="y"), url("failure", digest=digest(raw))]
    for client in (admin_client, onlooker):
        for address in addresses:
            started = time.process_time()
            response = client.get(address)
            assert response.status_code == 200
            assert len(response.content) < 150_000, address
            assert time.process_time() - started < 2, address


@pytest.mark.parametrize("kind", ["string", "set", "hash"])
def test_a_key_of_the_wrong_type_is_told(admin_client: Client, clean_redis: redis.Redis, kind: str):
    {
        "string": lambda: clean_redis.set(FAILED, "x"),
        "set": lambda: clean_redis.sadd(FAILED, "x"),
        "hash": lambda: clean_redis.hset(FAILED, "a", "b"),
    }[kind]()
    for address in (
        url("failures"),
        url("failures/list"),
        url("failures/list", q="x"),
        url("failure", digest="0" * 40),
    ):
        assert "WRONGTYPE" in admin_client.get(address).content.decode()
    for data in ({"one": "0" * 40}, {"all": "yes"}):
        assert "WRONGTYPE" in act(admin_client, "failures/discard", data)
