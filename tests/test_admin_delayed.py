"""The page of delayed jobs and retries, and what can be done there."""

from __future__ import annotations

import json
import re
import time

import pytest
import redis
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from django_resque import enqueue_in, using
from django_resque.admin import waiting
from django_resque.job import Job, digest
from django_resque.store import store
from tests.dashboard import act, page, round_trips, text_of, url
from tests.test_store_stretch import SECOND, delay, retry

SCHEDULE = "resque:delayed_queue_schedule"


def key(second: int, raw: bytes) -> str:
    return f"{second}-{digest(raw)}"


def rows(content: str) -> list[str]:
    """What stands in the rows of the table."""
    found = re.findall(r"<tr>(.*?)</tr>", content.partition("<tbody>")[2], flags=re.DOTALL)
    return [re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", row)).replace("\xa0", " ").strip() for row in found]


def look(client: Client, **query: object) -> list[str]:
    response = client.get(url("delayed", **query))
    assert response.status_code == 200
    return rows(response.content.decode())


def alive(client: redis.Redis, holder: str = "") -> None:
    client.set("resque:django:scheduler", "django:box1:1:abc")
    if holder:
        client.set("resque:resque:resque_scheduler_master_lock", holder)


@pytest.fixture
def onlooker(db: object) -> Client:
    """One who may change what is delayed, and not see arguments."""
    user = User.objects.create_user("onlooker", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_dashboard", "change_delayed"]))
    client = Client()
    client.force_login(user)
    return client


# -- what it shows -----------------------------------------------------------------------------------------------------


def test_delayed_jobs_stand_in_the_order_of_time_with_the_time_to_come(admin_client: Client, clean_redis: redis.Redis):
    later = enqueue_in(7_205, "mailing", "send_sign_up_email", 42, template="fancy")
    sooner = enqueue_in(65, "act", "tell", "key")
    first, second = look(admin_client)
    assert re.match(rf"act tell key {sooner.id} default 1 min \d s .* Run now", first)
    assert re.match(rf"mailing send_sign_up_email 42 --template=fancy {later.id} mail 2 h .* Run now", second)
    content = admin_client.get(url("delayed")).content.decode()
    assert url("job", id=later.id) in content
    assert url("queue", name="mail") in content


def test_what_is_overdue_is_marked_and_it_says_when_nobody_looks_after_it(
    admin_client: Client, clean_redis: redis.Redis
):
    delay(clean_redis, int(time.time()) - 125, Job("act", ("tell", "key")).delayed_item())
    assert "overdue by 2 min " in page(admin_client, "delayed")
    assert "no scheduler is alive: start a worker" in page(admin_client, "delayed")
    alive(clean_redis)
    assert "no scheduler is alive" not in page(admin_client, "delayed")
    alive(clean_redis, "ruby1:42:<b>")
    assert "The scheduler of another program looks after the delayed jobs: ruby1:42:&lt;b&gt;." in page(
        admin_client, "delayed"
    )


def test_an_empty_store_says_so(admin_client: Client):
    assert "No job is delayed." in page(admin_client, "delayed")
    assert "No job waits for its next attempt." in page(admin_client, "delayed", state="retrying")
    assert "All that match" not in page(admin_client, "delayed")


def test_retries_are_listed_with_the_attempt_that_comes(admin_client: Client, clean_redis: redis.Redis):
    job = Job("act", ("tell", "key"), queue="mail", extra={"attempt": 2})
    retry(clean_redis, time.time() + 90, 1, job)
    (row,) = look(admin_client, state="retrying")
    assert re.match(rf"act tell key {job.id} mail 1 min \d+ s .* 3 Run now.*Delete", row)
    assert "Reschedule" not in row


def test_items_that_are_no_jobs_are_shown_as_they_are_with_what_is_wrong(
    admin_client: Client, clean_redis: redis.Redis, onlooker: Client
):
    delay(
        clean_redis,
        SECOND,
        b"garbage\x1b[2J",
        b'{"queue":"mail","no":"class"}',
        b'{"class":"Archive","args":["secret 1"]}',
        b"\xff" * 2_000_000,
    )
    clean_redis.zadd("resque:django:retries", {"no retry": SECOND})
    first, second, third, fourth = look(admin_client)
    assert "garbage\\x1b[2J This is no job. the item is not JSON" in first
    assert "Run now" not in first
    assert "{&quot;queue&quot;:&quot;mail&quot;,&quot;no&quot;:&quot;class&quot;} This is no job. mail " in second
    assert "Run now" in second
    assert "names no queue" in third
    assert len(fourth) < 2_000
    assert "no retry This is no job. It names no queue. –" in look(admin_client, state="retrying")[0]
    hidden = " ".join(look(onlooker) + look(onlooker, state="retrying"))
    for text in ("garbage", "Archive", "secret", "no retry"):
        assert text not in hidden
    assert "11 bytes This is no job. the item is not JSON" in hidden


def test_keys_of_the_wrong_type_are_told_and_the_rest_is_shown(admin_client: Client, clean_redis: redis.Redis):
    delay(clean_redis, SECOND, Job("act", ("tell", "key")).delayed_item())
    clean_redis.set("resque:delayed:5", "text")
    clean_redis.zadd(SCHEDULE, {"5": 5, "no second": 6})
    text = page(admin_client, "delayed")
    assert "resque:delayed:5 is a string and not a list" in text
    assert "no second, though it stands in the schedule: no second" in text
    assert "act tell key" in text
    clean_redis.delete(SCHEDULE)
    clean_redis.set(SCHEDULE, "text")
    assert "WRONGTYPE" in page(admin_client, "delayed")
    clean_redis.set("resque:django:retries", "text")
    assert "WRONGTYPE" in page(admin_client, "delayed", state="retrying")


def test_one_filters_by_command_and_by_what_one_sees(admin_client: Client, clean_redis: redis.Redis):
    job = enqueue_in(60, "mailing", "send_sign_up_email", 42)
    for number in range(3):
        enqueue_in(60, "act", "tell", f"key{number}")
    assert len(look(admin_client)) == 4
    assert len(look(admin_client, command="mailing")) == 1
    for text in ("EMAIL 42", "mail", job.id, job.id[3:20]):
        assert len(look(admin_client, q=text)) == 1
    assert len(look(admin_client, q="key1")) == 1
    assert "Nothing like this." in page(admin_client, "delayed", q="key1", command="mailing")
    assert "Per command act 3 mailing 1" in page(admin_client, "delayed")


def test_searching_tells_nothing_of_what_is_hidden(admin_client: Client, onlooker: Client, clean_redis: redis.Redis):
    using(check=False, delay=60).enqueue("mailing", "remind", 1, token="hunter2")
    assert len(look(admin_client, q="hunter2")) == 1
    assert look(onlooker, q="hunter2") == []
    assert "--token=●●●" in look(onlooker, q="mailing")[0]
    assert "Nothing" not in page(onlooker, "delayed", q="●●●")


def test_long_lists_have_pages_and_what_was_not_looked_through_is_one_link_away(
    admin_client: Client, clean_redis: redis.Redis
):
    for second in range(130):
        delay(clean_redis, SECOND + second, *(Job("act", ("tell", str(second))).delayed_item() for _ in range(20)))
    assert len(look(admin_client)) == 50
    text = page(admin_client, "delayed")
    assert "1–50 of 2,500 Next" in text
    assert "2,500 were looked through: there are more. From" in text
    assert f"from={SECOND + 125}" in admin_client.get(url("delayed")).content.decode()
    assert "nothing more" in page(admin_client, "delayed", p=60)
    text = page(admin_client, "delayed", **{"from": SECOND + 125})
    assert "1–50 of 100" in text
    assert "act tell 125" in text
    assert "From the beginning" in text
    for nonsense in ("x", "-5", "9" * 30, "１"):
        assert len(look(admin_client, **{"from": nonsense})) in (0, 50)


def test_more_in_one_second_than_is_looked_through_is_told(admin_client: Client, clean_redis: redis.Redis):
    delay(clean_redis, SECOND, *(b"%d" % number for number in range(2_600)))
    assert "Too many are due at this time: the others are not shown." in page(admin_client, "delayed")


@pytest.mark.parametrize("jobs", [1, 3_000])
def test_it_costs_two_round_trips(admin_client: Client, clean_redis: redis.Redis, jobs: int):
    for number in range(jobs):
        delay(clean_redis, SECOND + number // 7, Job("act", (number,)).delayed_item())
        retry(clean_redis, SECOND, number)
    for query in ({}, {"q": "nowhere"}, {"p": 20}, {"state": "retrying"}):
        assert round_trips(admin_client, url("delayed", **query)) == 2


# -- what can be done --------------------------------------------------------------------------------------------------


def test_one_is_run_now(admin_client: Client, clean_redis: redis.Redis):
    jobs = [Job("act", ("tell", name), queue="mail") for name in "ab"]
    first, second = (job.delayed_item() for job in jobs)
    delay(clean_redis, SECOND, first, second)
    asked = admin_client.post(url("delayed/run"), {"one": key(SECOND, second)}).content.decode()
    assert "Run 1 job now? It goes to its queue." in asked
    assert "act tell b" in asked
    assert clean_redis.exists("resque:queue:mail") == 0
    assert "1 job is in its queue now." in act(admin_client, "delayed/run", {"one": key(SECOND, second)})
    assert clean_redis.lrange("resque:queue:mail", 0, -1) == [second]
    assert clean_redis.lrange(f"resque:delayed:{SECOND}", 0, -1) == [first]
    entry = LogEntry.objects.get()
    assert str(entry.object_repr) == f"1 job is in its queue now. act {jobs[1].id} mail"
    assert "tell" not in entry.object_repr + entry.get_change_message()


def test_those_that_are_ticked_are_run_and_what_was_gone_is_told(admin_client: Client, clean_redis: redis.Redis):
    items = [Job("act", (name,), queue="mail").delayed_item() for name in "abc"]
    delay(clean_redis, SECOND, *items)
    member = retry(clean_redis, SECOND, 1)
    keys = [*(key(SECOND, item) for item in items), digest(member)]
    clean_redis.lrem(f"resque:delayed:{SECOND}", 1, items[0])
    asked = admin_client.post(url("delayed/run"), {"tick": keys}).content.decode()
    assert "Run 3 jobs now? They go to their queues. 1 is not there any more." in asked
    act(admin_client, "delayed/run", {"tick": keys})
    assert clean_redis.lrange("resque:queue:mail", 0, -1) == [*items[1:], member.split(b"\n", 2)[2]]
    assert "There is no such job any more." in act(admin_client, "delayed/run", {"tick": keys})
    assert clean_redis.llen("resque:queue:mail") == 3


def test_all_that_match_are_deleted_and_their_status_says_so(admin_client: Client, clean_redis: redis.Redis):
    jobs = [enqueue_in(600 + number, "act", "tell", f"key{number % 2}") for number in range(10)]
    enqueue_in(600, "mailing", "send_sign_up_email", 42)
    content = admin_client.get(url("delayed", q="key1")).content.decode()
    assert url("delayed/cancel", q="key1") in content
    asked = admin_client.post(url("delayed/cancel", q="key1"), {"all": "yes"}).content.decode()
    assert "Delete 5 jobs?" in asked
    assert "This cannot be taken back." in asked
    assert "Deleted 5 jobs." in act(admin_client, "delayed/cancel", {"all": "yes"}, q="key1")
    assert [jobs[1].refresh().outcome, jobs[0].refresh().outcome] == ["cancelled", ""]
    assert clean_redis.get("resque:stat:processed") == b"5"
    assert "Deleted 6 jobs." in act(admin_client, "delayed/cancel", {"all": "yes"})
    assert clean_redis.exists(SCHEDULE) == 0


def test_all_retries_that_match_are_run_or_deleted(admin_client: Client, clean_redis: redis.Redis):
    for number in range(6):
        retry(clean_redis, SECOND, number, Job("act" if number % 2 else "echo", (number,), queue="mail"))
    delay(clean_redis, SECOND, Job("act").delayed_item())
    text = act(admin_client, "delayed/run", {"all": "yes"}, state="retrying", command="act")
    assert "3 jobs are in their queues now." in text
    assert "Deleted 3 jobs." in act(admin_client, "delayed/cancel", {"all": "yes"}, state="retrying")
    assert clean_redis.exists("resque:django:retries") == 0
    assert clean_redis.zcard(SCHEDULE) == 1


@pytest.mark.parametrize("q", ["names no queue", "not JSON", "1000", "None", "ACT", "mail"])
def test_all_that_match_are_those_that_are_shown(admin_client: Client, clean_redis: redis.Redis, q: str):
    delay(
        clean_redis,
        SECOND,
        b"garbage",
        b'{"class":"act","args":[1e3],"queue":"mail"}',
        b'{"class":"act","args":[null],"queue":"mail"}',
        b'{"class":"act","args":["not JSON, names no queue"]}',
        Job("act", ("1000", "None"), queue="mail").delayed_item(),
    )
    shown = len(look(admin_client, q=q))
    asked = text_of(admin_client.post(url("delayed/cancel", q=q), {"all": "yes"}, follow=True))
    assert (f"Delete {shown} job" if shown else "There is no such job any more.") in asked


def test_a_text_that_is_too_long_means_the_same_to_the_page_and_to_its_buttons(
    admin_client: Client, clean_redis: redis.Redis
):
    enqueue_in(60, "act", "tell", "x" * 1_000)
    enqueue_in(60, "act", "tell", "y")
    q = "x" * 1_500
    content = admin_client.get(url("delayed", q=q)).content.decode()
    assert f'formaction="{url("delayed/cancel", q=q)}"' in content
    assert "Delete 1 job?" in text_of(admin_client.post(url("delayed/cancel", q=q), {"all": "yes"}))


def test_what_narrows_the_list_is_told_and_can_be_dropped(admin_client: Client, clean_redis: redis.Redis):
    enqueue_in(60, "mailing", "send_sign_up_email", 42)
    enqueue_in(60, "act", "tell", "key")
    query = {"command": "mailing", "queue": "mail", "since": "1h"}
    text = page(admin_client, "delayed", **query)
    assert "Delayed jobs: mailing, queue mail, enqueued within an hour" in text
    assert "act tell" not in text
    assert f'<a href="{url("delayed")}">Show all</a>' in admin_client.get(url("delayed", **query)).content.decode()
    assert "Show all" not in page(admin_client, "delayed")


def test_garbage_can_be_deleted_and_goes_nowhere_else(admin_client: Client, clean_redis: redis.Redis):
    delay(clean_redis, SECOND, b"garbage")
    data = {"one": key(SECOND, b"garbage")}
    assert "This names no queue to which it could go." in act(admin_client, "delayed/run", data)
    assert "Deleted 1 job." in act(admin_client, "delayed/cancel", data)
    assert clean_redis.exists(f"resque:delayed:{SECOND}", "resque:queue:") == 0


def test_a_queue_of_the_wrong_type_keeps_the_job_where_it_is(admin_client: Client, clean_redis: redis.Redis):
    item = Job("act", queue="broken").delayed_item()
    delay(clean_redis, SECOND, item)
    clean_redis.set("resque:queue:broken", "text")
    text = act(admin_client, "delayed/run", {"one": key(SECOND, item)})
    assert "0 jobs are in their queues now. 1 has stayed: it cannot go there." in text
    assert clean_redis.lrange(f"resque:delayed:{SECOND}", 0, -1) == [item]


# -- rescheduling ------------------------------------------------------------------------------------------------------


def test_rescheduling_asks_when_and_takes_a_number_of_seconds(admin_client: Client, clean_redis: redis.Redis):
    job = enqueue_in(600, "act", "tell", "key")
    (delayed,) = store().delayed.each()
    data = {"one": key(delayed.second, delayed.raw)}
    asked = admin_client.post(url("delayed/move"), data).content.decode()
    assert "Reschedule 1 job?" in asked
    assert 'type="datetime-local"' in asked
    assert "errorlist" not in asked
    before = clean_redis.time()[0]
    assert "1 job is due " in act(admin_client, "delayed/move", {**data, "seconds": "3600"})
    (moved,) = store().delayed.each()
    assert before + 3600 <= moved.second <= before + 3610
    assert moved.raw == delayed.raw
    assert job.refresh().due == moved.second


@pytest.mark.parametrize(
    ("zone", "at", "second"),
    [
        ("Europe/Berlin", "2035-06-01T12:00", 2_064_304_800),
        ("Asia/Kolkata", "2035-06-01T12:00:30", 2_064_292_230),
        ("UTC", "2035-06-01 12:00:00", 2_064_312_000),
    ],
)
def test_or_a_moment_in_the_current_time_zone(
    admin_client: Client, clean_redis: redis.Redis, settings, zone: str, at: str, second: int
):
    settings.TIME_ZONE = zone
    delay(clean_redis, SECOND, b'{"class":"act","args":[],"queue":"mail"}', b"garbage")
    act(admin_client, "delayed/move", {"all": "yes", "at": at}, command="act")
    assert clean_redis.zrange(SCHEDULE, 0, -1) == [b"%d" % second, b"%d" % SECOND]
    assert clean_redis.lrange(f"resque:delayed:{SECOND}", 0, -1) == [b"garbage"]  # that has no command
    act(admin_client, "delayed/move", {"all": "yes", "at": at})
    assert clean_redis.zrange(SCHEDULE, 0, -1) == [b"%d" % second]
    assert clean_redis.llen(f"resque:delayed:{second}") == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "Say when"),
        ({"at": "2035-06-01T12:00", "seconds": "5"}, "Say when"),
        ({"at": "2020-01-01T00:00"}, "That moment has passed."),
        ({"at": "2035-03-25T02:30"}, "time zone Europe/Berlin"),
        ({"at": "tomorrow"}, "Enter a valid date/time."),
        ({"at": "\x1b\u202e" * 10}, "characters that cannot be shown"),
        ({"seconds": "-1"}, "greater than or equal to 0"),
        ({"seconds": "9" * 30}, "less than or equal to"),
        ({"seconds": "253402300799"}, "after the year 9999"),
        ({"seconds": "1.5"}, "whole number"),
        ({"seconds": "x" * 100_000}, "characters that cannot be shown"),
    ],
)
def test_what_is_no_moment_to_come_is_asked_for_again(
    admin_client: Client, clean_redis: redis.Redis, settings, given: dict[str, str], said: str
):
    settings.TIME_ZONE = "Europe/Berlin"
    item = Job("act").delayed_item()
    delay(clean_redis, SECOND, item)
    text = act(admin_client, "delayed/move", {"one": key(SECOND, item), **given})
    assert said in text
    assert not re.search("[\x1b\u202e]", text)
    assert clean_redis.lrange(f"resque:delayed:{SECOND}", 0, -1) == [item]
    assert not LogEntry.objects.exists()


def test_a_retry_cannot_be_rescheduled(admin_client: Client, clean_redis: redis.Redis):
    member = retry(clean_redis, SECOND, 1)
    assert "A retry can be run now or deleted" in act(admin_client, "delayed/move", {"one": digest(member)})


def test_two_items_that_are_the_same_to_the_byte_are_taken_one_at_a_time(
    admin_client: Client, clean_redis: redis.Redis
):
    raw = json.dumps({"class": "act", "args": [], "queue": "mail"}).encode()
    delay(clean_redis, SECOND, raw, raw)
    act(admin_client, "delayed/run", {"one": key(SECOND, raw)})
    assert clean_redis.lrange("resque:queue:mail", 0, -1) == [raw]
    assert clean_redis.lrange(f"resque:delayed:{SECOND}", 0, -1) == [raw]


def test_so_much_is_dealt_with_at_once_and_no_more(admin_client: Client, clean_redis: redis.Redis, monkeypatch):
    delay(clean_redis, SECOND, *(Job("act", (number,), queue="mail").delayed_item() for number in range(30)))
    monkeypatch.setattr(waiting, "MOST_AT_ONCE", 20)
    asked = text_of(admin_client.post(url("delayed/run"), {"all": "yes"}))
    assert "Run 20 jobs now? They go to their queues. Not all were looked through: there are too many." in asked
    monkeypatch.setattr(waiting, "MOST_BYTES", 1_000)
    act(admin_client, "delayed/run", {"all": "yes"})
    assert 5 < clean_redis.llen("resque:queue:mail") < 15


def test_a_fragment_is_the_same_as_long_as_nothing_changes(admin_client: Client, clean_redis: redis.Redis):
    delay(clean_redis, SECOND, Job("act").delayed_item())
    delay(clean_redis, 1_700_000_000, Job("act").delayed_item())
    retry(clean_redis, SECOND, 1)
    for query in ({}, {"state": "retrying"}):
        etags = {
            admin_client.get(url("delayed", **query), headers={"X-Resque-Fragment": "yes"})["ETag"] for _ in range(2)
        }
        assert len(etags) == 1


@pytest.mark.parametrize("slug", ["delayed/run", "delayed/move", "delayed/cancel"])
@pytest.mark.parametrize("name", ["", "x", "5", "-" * 900, f"{SECOND}-{'0' * 40}", "0" * 40, f"{'9' * 30}-{'0' * 40}"])
def test_what_names_nothing_does_nothing(admin_client: Client, clean_redis: redis.Redis, slug: str, name: str):
    delay(clean_redis, SECOND, b"item")
    text = act(admin_client, slug, {"one": name})
    assert "There is no such job any more." in text or "Nothing was chosen" in text
    assert clean_redis.lrange(f"resque:delayed:{SECOND}", 0, -1) == [b"item"]
