"""The page of the schedule, its actions, and the form with which entries are added and changed."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from django_resque import timetable
from django_resque.job import Job, digest
from django_resque.schedule import ScheduleEntry
from django_resque.status import Status, performance, status_record
from django_resque.store import Outgoing, store
from django_resque.store.schedule import MOST_ENTRIES, seen_as
from tests.dashboard import act, page, round_trips, text_of, url
from tests.sample_commands import command, installed

NIGHTLY = {
    "command": "mailing",
    "args": ["send_sign_up_email", 42],
    "options": {"template": "fancy"},
    "queue": "mail",
    "cron": "0 3 * * *",
    "timezone": "Europe/Berlin",
}
EVERY_MINUTE = {"command": "echo", "every": 60}
FORM = {
    "name": "report",
    "command": "mailing",
    "arguments": "send_sign_up_email 42 --template=fancy",
    "queue": "",
    "cron": "30 8 * * MON-FRI",
    "timezone": "Europe/Berlin",
    "every": "",
    "misfire": "skip",
}
ADDED = {
    "command": "mailing",
    "args": ["send_sign_up_email", 42],
    "options": {"template": "fancy"},
    "cron": "30 8 * * MON-FRI",
    "timezone": "Europe/Berlin",
    "misfire": "skip",
}


@pytest.fixture
def schedule(settings: Any) -> Callable[..., None]:
    """Sets RESQUE["SCHEDULE"]."""

    def set_schedule(**entries: Any) -> None:
        settings.RESQUE = {**settings.RESQUE, "SCHEDULE": entries}

    return set_schedule


@pytest.fixture
def planner(db: object) -> Client:
    """One who may change the schedule, and not see arguments."""
    user = User.objects.create_user("planner", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_dashboard", "change_schedule"]))
    client = Client()
    client.force_login(user)
    return client


def fire(name: str, slot: int, *, missed: tuple[int, int] | None = None) -> Job:
    """A slot as a scheduler deals with it."""
    job = Job("echo", queue="default")
    version = int(store().client.get("resque:django:schedule:version") or 0)
    outgoing = Outgoing(job, job.payload(), track=True)
    store().ask(store().schedule.fire(name, version, [(slot, outgoing)], slot, missed))
    return job


def mappings() -> dict[str, dict[str, Any]]:
    return {name.decode(): json.loads(raw) for name, raw in store().client.hgetall("resque:django:schedule").items()}


# -- what it shows -----------------------------------------------------------------------------------------------------


def test_an_entry_is_shown_with_its_times_in_words_and_what_it_enqueues(
    admin_client: Client, clean_redis: redis.Redis, schedule
):
    schedule(nightly=NIGHTLY)
    timetable.add("often", {"command": "echo", "every": 90})
    text = page(admin_client, "schedule")
    assert (
        "nightly of the settings mailing send_sign_up_email 42 --template=fancy Queue mail 0 3 * * * At 03:00" in text
    )
    assert "(Europe/Berlin)" in text
    assert "often added at run time echo Every 1 minute and 30 seconds" in text
    content = admin_client.get(url("schedule")).content.decode()
    slots = timetable.entry("often").next_slots(3)
    assert len(set(slots)) == 3
    assert url("schedule/entry", name="often") in content
    assert url("schedule/entry", name="nightly") not in content


def test_the_last_job_is_shown_with_its_outcome(admin_client: Client, clean_redis: redis.Redis):
    timetable.add("often", EVERY_MINUTE)
    slot = clean_redis.time()[0] - 3_700
    job = fire("often", slot)
    assert re.search(r"waits due 1 h 1 min ago", page(admin_client, "schedule"))
    ended = status_record(Status.COMPLETE, job, performance("box1:1:mail", 1, 2.5))
    clean_redis.set(f"resque:job:{job.id}:status", ended)
    assert "done in 2.5 s due 1 h 1 min ago" in page(admin_client, "schedule")
    assert url("job", id=job.id) in admin_client.get(url("schedule")).content.decode()
    clean_redis.set(f"resque:job:{job.id}:status", status_record(Status.FAILED, job))
    assert "failed due 1 h" in page(admin_client, "schedule")
    clean_redis.set(f"resque:job:{job.id}:status", status_record(Status.FAILED, job, b',"outcome":"expired"'))
    assert "expired due 1 h" in page(admin_client, "schedule")
    clean_redis.delete(f"resque:job:{job.id}:status")
    assert "not known any more due 1 h" in page(admin_client, "schedule")


def test_what_was_missed_is_told_with_what_became_of_it(admin_client: Client, clean_redis: redis.Redis):
    timetable.add("often", EVERY_MINUTE)
    assert "Missed" not in page(admin_client, "schedule")
    fire("often", 1_790_000_000, missed=(1_789_990_000, 1_790_000_000))
    assert re.search(r"Missed: from Sept?\. .* to Sept?\. .*; 1 job was enqueued later", page(admin_client, "schedule"))
    fire("often", 1_790_000_060)
    store().ask(store().schedule.fire("often", 1, [], 1_790_000_120, (1_790_000_120, 1_790_000_120)))
    assert re.search(r"Missed: Sept?\. [^;]*; skipped", page(admin_client, "schedule"))


def test_what_is_overdue_is_marked_and_it_says_that_nobody_is_there(
    admin_client: Client, clean_redis: redis.Redis, schedule
):
    schedule(often=EVERY_MINUTE, paused=EVERY_MINUTE)
    time = clean_redis.time()[0]
    entry = ScheduleEntry.from_mapping("often", EVERY_MINUTE)
    for name in ("often", "paused"):
        clean_redis.hset("resque:django:schedule:seen", seen_as(name, entry.digest), f"{time - 7_300} {time}")
    store().ask(store().schedule.pause("paused"))
    text = page(admin_client, "schedule")
    assert re.search(r"overdue by 2 h( \d min)?", text)
    assert text.count("overdue") == 1
    assert "No scheduler is alive: nothing is enqueued" in text
    clean_redis.set("resque:django:scheduler", "django:box1:1:abc")
    assert "No scheduler is alive" not in page(admin_client, "schedule")


def test_entries_that_cannot_be_used_are_shown_with_their_problem(
    admin_client: Client, clean_redis: redis.Redis, schedule
):
    schedule(broken={"command": "echo", "cron": "* * *"})
    clean_redis.hset("resque:django:schedule", mapping={"garbage": "{", "x" * 5_000: "{}", "<b>\x1b": "[]"})
    text = page(admin_client, "schedule")
    assert "the cron expression &#x27;* * *&#x27; has 3 field(s)" in text
    assert "The schedule entry &#x27;garbage&#x27;: The payload is not valid JSON" in text
    assert "&lt;b&gt;\\x1b" in text
    assert "Run now garbage" not in text
    assert "Delete garbage" in text
    assert "xxx…" in text
    assert "Deleted 2 entries." in act(admin_client, "schedule/delete", {"tick": ["garbage", "<b>%1B"]})
    assert list(mappings()) == ["x" * 5_000]


def test_there_may_be_none_or_too_many(admin_client: Client, clean_redis: redis.Redis):
    assert "The schedule has no entries." in page(admin_client, "schedule")
    assert "No scheduler" not in page(admin_client, "schedule")
    many = {f"n{number:04}": json.dumps(EVERY_MINUTE) for number in range(MOST_ENTRIES)}
    clean_redis.hset("resque:django:schedule", mapping=many)
    assert "1–50 of 1,000 Next" in page(admin_client, "schedule")
    assert "Pause n0999" in page(admin_client, "schedule", q="N0999")
    assert "No entry has a name like this." in page(admin_client, "schedule", q="nowhere")
    clean_redis.hset("resque:django:schedule", "one more", "{}")
    assert "There are 1,001 entries of run time. That is too many" in page(admin_client, "schedule")


@pytest.mark.parametrize("count", [1, 900])
def test_it_costs_five_round_trips_at_most(admin_client: Client, clean_redis: redis.Redis, count: int):
    many = {f"n{number:04}": json.dumps(NIGHTLY) for number in range(count)}
    clean_redis.hset("resque:django:schedule", mapping=many)
    clean_redis.hset("resque:django:schedule:jobs", mapping=dict.fromkeys(many, "1790000000 abc"))
    assert round_trips(admin_client, url("schedule")) == 4
    assert round_trips(admin_client, url("schedule/entry", name="n0000")) == 1


@pytest.mark.parametrize("key", ["jobs", "missed"])
def test_a_key_of_the_wrong_type_spoils_its_part_alone(admin_client: Client, clean_redis: redis.Redis, key: str):
    timetable.add("often", EVERY_MINUTE)
    clean_redis.set(f"resque:django:schedule:{key}", "text")
    text = page(admin_client, "schedule")
    assert f"resque:django:schedule:{key}: WRONGTYPE" in text
    assert "Every minute" in text


def test_arguments_are_hidden_from_those_who_may_not_see_them(
    planner: Client, admin_client: Client, clean_redis: redis.Redis
):
    with installed(command(lambda parser: [parser.add_argument("user"), parser.add_argument("--token")])):
        timetable.add("secret", {"command": "sample", "args": ["ada"], "options": {"token": "hunter2"}, "every": 60})
        assert "sample ada &#x27;--token=●●●&#x27;" in page(planner, "schedule")
        assert "hunter2" in page(admin_client, "schedule")
        assert "Some of its arguments are hidden from you" in page(planner, "schedule/entry", name="secret")
        assert "hunter2" not in planner.get(url("schedule/entry", name="secret")).content.decode()
        version = digest(clean_redis.hget("resque:django:schedule", "secret"))
        data = {**FORM, "command": "sample", "arguments": "eve", "version": version}
        assert "are hidden from you" in act(planner, "schedule/change", data, name="secret")
        assert mappings()["secret"]["args"] == ["ada"]


# -- what can be done --------------------------------------------------------------------------------------------------


def test_entries_are_paused_and_resumed(admin_client: Client, clean_redis: redis.Redis, schedule):
    schedule(nightly=NIGHTLY)
    timetable.add("often", EVERY_MINUTE)
    asked = text_of(admin_client.post(url("schedule/pause"), {"tick": ["nightly", "often"]}))
    assert "Pause 2 entries? Nothing is enqueued for them until they are resumed." in asked
    assert "nightly often" in asked
    assert "Paused 2 entries." in act(admin_client, "schedule/pause", {"tick": ["nightly", "often"]})
    assert "paused" in page(admin_client, "schedule")
    assert set(clean_redis.smembers("resque:django:schedule:paused")) == {b"nightly", b"often"}
    assert str(LogEntry.objects.get().object_repr) == "Paused 2 entries. nightly, often"
    assert "It is paused already, or gone." in act(admin_client, "schedule/pause", {"one": "often"})
    assert "Resumed 1 entry." in act(admin_client, "schedule/resume", {"one": "often"})
    asked = text_of(admin_client.post(url("schedule/resume"), {"tick": ["nightly", "often", "gone"]}))
    assert "Resume 1 entry? What was due meanwhile is not made up for. 2 are left out" in asked


def test_the_job_of_an_entry_is_enqueued_now(admin_client: Client, clean_redis: redis.Redis, schedule):
    schedule(nightly=NIGHTLY)
    assert "Enqueued 1 job." in act(admin_client, "schedule/run", {"one": "nightly"})
    (payload,) = clean_redis.lrange("resque:queue:mail", 0, -1)
    assert json.loads(payload)["args"] == [["send_sign_up_email", 42, {"template": "fancy"}]]
    entry = LogEntry.objects.get()
    assert str(entry.object_repr) == "Enqueued 1 job. nightly"
    assert "42" not in entry.object_repr + entry.get_change_message()


def test_what_cannot_be_enqueued_is_told_without_what_is_hidden(
    planner: Client, clean_redis: redis.Redis, schedule, settings
):
    schedule(
        wrong={"command": "mailing", "args": ["remind", "not a number"], "options": {"subject": "x"}, "every": 60},
        gone={"command": "nowhere_to_be_found", "every": 60},
        fine=EVERY_MINUTE,
    )
    text = act(planner, "schedule/run", {"tick": ["wrong", "gone", "fine"]})
    assert "Enqueued 1 job." in text
    assert "There is no management command &#x27;nowhere_to_be_found&#x27;" in text
    assert "not a number" not in LogEntry.objects.get().object_repr
    assert clean_redis.llen("resque:queue:default") == 1


def test_a_command_that_cannot_be_imported_is_told_too(admin_client: Client, clean_redis: redis.Redis, schedule):
    schedule(odd={"command": "sample", "every": 60})

    def explode(parser: Any) -> None:
        raise RuntimeError("no")

    with installed(command(explode)):
        schedule(odd={"command": "sample", "every": 60})
        text = act(admin_client, "schedule/run", {"one": "odd"})
    assert "Enqueued 0 jobs. odd: RuntimeError" in text


def test_only_entries_of_run_time_are_deleted(admin_client: Client, clean_redis: redis.Redis, schedule):
    schedule(nightly=NIGHTLY)
    timetable.add("often", EVERY_MINUTE)
    fire("often", 1_790_000_000)
    assert "It stands in the settings" in act(admin_client, "schedule/delete", {"one": "nightly"})
    asked = text_of(admin_client.post(url("schedule/delete"), {"tick": ["nightly", "often"]}))
    assert "Delete 1 entry? 1 is left out: It stands in the settings" in asked
    assert "This cannot be taken back." in asked
    assert "Deleted 1 entry." in act(admin_client, "schedule/delete", {"tick": ["nightly", "often"]})
    assert not any(b"often" in clean_redis.hkeys(f"resque:django:schedule:{key}") for key in ("slots", "jobs", "seen"))
    assert "no such entry any more" in act(admin_client, "schedule/delete", {"one": "often"})


# -- adding ------------------------------------------------------------------------------------------------------------


def test_an_entry_is_added_after_one_has_seen_when_it_is_due(admin_client: Client, clean_redis: redis.Redis):
    content = admin_client.get(url("schedule/entry")).content.decode()
    assert f'action="{url("schedule/add")}"' in content
    assert '<option value="Europe/Berlin">' in content
    response = admin_client.post(url("schedule/add"), FORM)
    asked = text_of(response)
    assert "Add this entry to the schedule?" in asked
    assert "report mailing send_sign_up_email 42 --template=fancy 30 8 * * MON-FRI At 08:30" in asked
    assert asked.count("next: ") == 3
    assert mappings() == {}
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', response.content.decode()))
    assert hidden.items() >= {**{name: html.escape(value) for name, value in FORM.items()}, "confirmed": "yes"}.items()
    response = admin_client.post(url("schedule/add"), {name: html.unescape(value) for name, value in hidden.items()})
    assert response["Location"] == url("schedule")
    assert mappings() == {"report": ADDED}
    assert "Added the entry report." in page(admin_client, "schedule")
    assert "42" not in LogEntry.objects.get().object_repr + LogEntry.objects.get().get_change_message()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": ""}, "This field is required."),
        ({"name": "x" * 101}, "at most 100 characters"),
        ({"name": "a\x1b[2Jb"}, "characters that cannot be shown"),
        ({"command": ""}, "This field is required."),
        ({"command": "flush"}, "flush is not one of the available choices"),
        ({"arguments": "'"}, "No closing quotation"),
        ({"arguments": "send_sign_up_email 42 --tmplate=x"}, "mailing: "),
        ({"arguments": "send_sign_up_email forty-two"}, "invalid"),
        ({"arguments": "send_sign_up_email --help"}, "is to be read elsewhere"),
        ({"arguments": "\u202e"}, "characters that cannot be shown"),
        ({"arguments": "x" * 100_000}, "characters that cannot be shown"),
        ({"queue": "no queue"}, "cannot be the name of a queue"),
        ({"cron": "0 25 * * *"}, "the hour &#x27;25&#x27;"),
        ({"cron": "0 0 30 2 *"}, "&#x27;0 0 30 2 *&#x27;"),
        ({"cron": ""}, "needs &#x27;cron&#x27; or &#x27;every&#x27;"),
        ({"every": "60"}, "has both &#x27;cron&#x27; and &#x27;every&#x27;"),
        ({"cron": "", "every": "0"}, "greater than or equal to 1"),
        ({"cron": "", "every": "99999999999"}, "a whole number of seconds from 1 to 31536000"),
        ({"timezone": "Europe/Berlim"}, "did you mean &#x27;Europe/Berlin&#x27;?"),
        ({"timezone": "../../etc/passwd"}, "is unknown"),
        ({"misfire": "never"}, "never is not one of the available choices"),
    ],
)
def test_what_cannot_be_an_entry_is_asked_for_again_and_then_confirmed(
    admin_client: Client, clean_redis: redis.Redis, wrong: dict[str, str], said: str
):
    for confirmed in ({}, {"confirmed": "yes"}):
        response = admin_client.post(url("schedule/add"), {**FORM, **wrong, **confirmed})
        text = text_of(response)
        assert "This cannot be an entry yet." in text
        assert said.casefold() in text.casefold()
        assert 'name="confirmed"' not in response.content.decode()
        assert not re.search("[\x1b\u202e]", response.content.decode())
        assert len(response.content) < 200_000
    assert mappings() == {}
    assert not LogEntry.objects.exists()


def test_there_is_one_entry_of_a_name(admin_client: Client, clean_redis: redis.Redis, schedule):
    schedule(nightly=NIGHTLY)
    timetable.add("often", EVERY_MINUTE)
    for name in ("nightly", "often"):
        text = text_of(admin_client.post(url("schedule/add"), {**FORM, "name": name, "confirmed": "yes"}))
        assert "The schedule has an entry of this name already." in text
    assert list(mappings()) == ["often"]


# -- changing ----------------------------------------------------------------------------------------------------------


def change(client: Client, name: str, **changes: str) -> str:
    """Fill in the form as it is, with these changes, and confirm."""
    content = client.get(url("schedule/entry", name=name)).content.decode()
    form = re.search(r'<form class="resque-entry".*?</form>', content, flags=re.DOTALL)[0]
    found = re.findall(r'<input type="(?:text|number|hidden)" name="([^"]+)"(?: value="([^"]*)")?', form)
    chosen = re.findall(r'<select name="([^"]+)".*?<option value="([^"]+)" selected>', form, flags=re.DOTALL)
    data = {field: html.unescape(value) for field, value in [*found, *chosen] if field != "csrfmiddlewaretoken"}
    action = html.unescape(re.search(r'action="([^"]+)"', form)[1])
    assert "This cannot be an entry yet." not in text_of(client.post(action, {**data, **changes}))
    return text_of(client.post(action, {**data, **changes, "confirmed": "yes"}, follow=True))


def test_an_entry_that_was_added_is_changed(admin_client: Client, clean_redis: redis.Redis):
    timetable.add("report", ADDED)
    assert "Changed the entry report." in change(admin_client, "report")
    assert mappings() == {"report": ADDED}
    change(admin_client, "report", arguments="remind 1 2 --subject='Good day'", queue="low", misfire="once")
    expected = {"args": ["remind", 1, 2], "options": {"subject": "Good day"}, "queue": "low"}
    assert mappings()["report"] == {**{key: ADDED[key] for key in ("command", "cron", "timezone")}, **expected}
    change(admin_client, "report", cron="", every="90", queue="")
    assert mappings()["report"]["every"] == 90
    assert not {"cron", "timezone", "queue"} & mappings()["report"].keys()


def test_what_the_form_does_not_show_is_kept(admin_client: Client, clean_redis: redis.Redis):
    limits = {"timeout": 600, "max_attempts": 3}
    timetable.add("report", {**ADDED, "using": limits})
    assert "It keeps its limits:" in page(admin_client, "schedule/entry", name="report")
    change(admin_client, "report", misfire="all")
    assert mappings()["report"] == {**ADDED, "using": limits, "misfire": "all"}


@pytest.mark.parametrize(
    "entry",
    [
        {"command": "echo", "args": [1, "1", "two words", "", "--x", 'quo"te'], "every": 60},
        {"command": "mailing", "args": ["remind", "1", 2], "options": {"subject": ""}, "every": 60},
        {"command": "mailing", "args": ["send_sign_up_email", 42], "options": {"dry_run": True}, "every": 60},
        {"command": "echo", "args": ["line\nfeed", "\u202eabc"], "every": 60},
        {"command": "echo", "options": {"a": None, "b": [1, "2"]}, "every": 60},
        {"command": "echo", "args": ["x" * 30_000], "every": 60},
    ],
)
def test_arguments_that_one_does_not_touch_stay_what_they_are(
    admin_client: Client, clean_redis: redis.Redis, entry: dict[str, Any]
):
    added = timetable.add("report", entry)
    assert "Changed the entry report." in change(admin_client, "report", every="120")
    changed = timetable.entry("report").entry
    assert (changed.args, changed.options, changed.every) == (added.args, added.options, 120)


def test_an_entry_whose_command_the_workers_alone_have_can_be_changed_where_nothing_is_checked(
    admin_client: Client, clean_redis: redis.Redis, settings
):
    settings.RESQUE = {**settings.RESQUE, "CHECK": False}
    timetable.add("report", {"command": "elsewhere", "args": ["a b"], "options": {"c": "d"}, "every": 60})
    change(admin_client, "report", arguments="'a c' --c=e --f")
    assert mappings()["report"]["args"] == ["a c"]
    assert mappings()["report"]["options"] == {"c": "e", "f": True}


def test_what_somebody_else_has_changed_meanwhile_is_not_overwritten(admin_client: Client, clean_redis: redis.Redis):
    timetable.add("report", ADDED)
    version = digest(clean_redis.hget("resque:django:schedule", "report"))
    timetable.change("report", queue="theirs")
    text = act(admin_client, "schedule/change", {**FORM, "version": version, "queue": "ours"}, name="report")
    assert "was changed by somebody else meanwhile" in text
    assert mappings()["report"]["queue"] == "theirs"


def test_what_cannot_be_changed_says_why(admin_client: Client, clean_redis: redis.Redis, schedule, db):
    schedule(nightly=NIGHTLY)
    clean_redis.hset("resque:django:schedule", "garbage", "{")
    for name, why in (
        ("nightly", "stands in the settings"),
        ("garbage", "delete it, and add it anew"),
        ("nowhere", "The schedule has no entry &#x27;nowhere&#x27;"),
        ("<b>\x1b\u202e" + "x" * 500, "The schedule has no entry"),
    ):
        assert why in page(admin_client, "schedule/entry", name=name)
        assert why in act(admin_client, "schedule/change", FORM, name=name)
    onlooker = Client()
    user = User.objects.create_user("onlooker", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_dashboard"))
    onlooker.force_login(user)
    assert "You may not change the schedule." in page(onlooker, "schedule/entry")
    assert "<form" not in onlooker.get(url("schedule")).content.decode().partition("<tbody>")[2].partition("</table")[0]
    assert onlooker.post(url("schedule/add"), FORM).status_code == 403
