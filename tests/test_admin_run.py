"""Running a command from a form that is made from its own parser."""

from __future__ import annotations

import json
import re
from argparse import SUPPRESS, BooleanOptionalAction
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
import redis
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.management.base import BaseCommand
from django.test import Client, override_settings

from django_resque import Job as TrackedJob
from django_resque import enqueue, using
from django_resque.errors import StoreUnavailable
from django_resque.failure import failure_record
from django_resque.job import Job
from django_resque.status import Status
from django_resque.store import store
from django_resque.store.failures import Failures
from tests.dashboard import page, round_trips, text_of, url
from tests.sample_commands import command, installed
from tests.servers import RedisServer
from tests.workers import WorkerProcess, told

SENT = {"queue": "default"}
REAL = {"TESTING": "real", "COMMANDS": ["sample"]}


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    store().close()


def visitor(*codenames: str) -> Client:
    """A staff member with these permissions."""
    user = User.objects.create_user("someone", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_dashboard", *codenames]))
    client = Client()
    client.force_login(user)
    return client


def fields(client: Client, **query: Any) -> dict[str, str]:
    """The fields of the form by their names: the whole element of each."""
    content = (
        client.get(url("run", **query)).content.decode().partition('class="resque-run"')[2].partition("</form>")[0]
    )
    found = {}
    for each in re.finditer(r"<(input|select|textarea)\b[^>]*name=\"([^\"]+)\"[^>]*>", content):
        rest = "" if each[1] == "input" else content[each.end() :].partition(f"</{each[1]}>")[0]
        found[each[2]] = each[0] + rest
    return found


def ask(client: Client, data: dict[str, Any], **query: Any) -> str:
    """Send the form; what the page says that comes then."""
    response = client.post(url("run/enqueue", **query), {**SENT, **data}, follow=True)
    return text_of(response)


def run(client: Client, data: dict[str, Any], **query: Any) -> Job:
    """Send the form, confirm, and give the job that waits then."""
    before = waiting()
    assert "Enqueue 1 job?" in ask(client, data, **query)
    assert waiting() == before
    response = client.post(url("run/enqueue", **query), {**SENT, **data, "confirmed": "yes"})
    (raw,) = [raw for raw in waiting() if raw not in before]
    queue = next(name for name in store().queues.names() if raw in store().queues.peek(name))
    job = Job.from_payload(raw, queue)
    assert response["Location"] == url("job", id=job.id)
    return job


def waiting() -> list[bytes]:
    return [raw for queue in store().queues.names() for raw in store().queues.peek(queue)]


# -- the list ----------------------------------------------------------------------------------------------------------


def test_the_commands_that_may_be_jobs_are_listed_with_their_help(admin_client: Client):
    content = admin_client.get(url("run")).content.decode()
    assert f'<a href="{url("run", command="mailing")}">mailing</a>' in content
    assert "Mails to users." in content
    assert ">flush<" not in content
    assert ">plain<" not in content


@pytest.mark.django_db
def test_those_who_may_not_enqueue_see_the_list_alone():
    client = visitor()
    for query in ({}, {"command": "mailing"}, {"from": "x"}):
        content = client.get(url("run", **query)).content.decode()
        assert "Mails to users." in content
        assert f'href="{url("run", command="mailing")}"' not in content
        assert "run/enqueue" not in content


@pytest.mark.parametrize("name", ["flush", "plain", "nonono", "../x", "x" * 1_000, "<b>"])
def test_what_may_not_be_a_job_is_told_and_not_run(admin_client: Client, name: str):
    assert "cannot be run:" in page(admin_client, "run", command=name)
    assert "cannot be run:" in ask(admin_client, {"confirmed": "yes"}, command=name)
    assert waiting() == []


def test_a_subcommand_is_chosen_first(admin_client: Client):
    content = admin_client.get(url("run", command="mailing")).content.decode()
    assert f'href="{url("run", command="mailing", subcommand="remind").replace("&", "&amp;")}"' in content
    assert "Remind users of us." in content
    assert "run/enqueue" not in content
    assert "Choose a subcommand first." in ask(admin_client, {}, command="mailing")
    assert "There is no subcommand nonono." in page(admin_client, "run", command="mailing", subcommand="nonono")


def test_it_costs_no_round_trip_to_redis(admin_client: Client):
    for query in ({}, {"command": "mailing"}, {"command": "mailing", "subcommand": "remind"}):
        assert round_trips(admin_client, url("run", **query)) == 0


class Trouble(BaseCommand):
    """A command whose parser cannot be built."""

    error: BaseException = ValueError("no database: redis://user:hunter2@host")

    def create_parser(self, *args: Any, **kwargs: Any) -> Any:
        raise self.error


@pytest.mark.parametrize("error", [ValueError("no redis://user:hunter2@host"), SystemExit(3), RecursionError("deep")])
def test_a_parser_that_cannot_be_built_is_told(admin_client: Client, error: BaseException):
    with installed(type("Command", (Trouble,), {"error": error})):
        text = page(admin_client, "run", command="sample")
        assert "sample" in text or "ends the program" in text
        assert "hunter2" not in text
        ask(admin_client, {}, command="sample")
        assert "sample" in page(admin_client, "run")


# -- the form ----------------------------------------------------------------------------------------------------------


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


def everything(parser: Any) -> None:
    """Arguments of all kinds."""
    parser.add_argument("name", help="The <b>name</b>, 100%%.")
    parser.add_argument("count", nargs="?", type=int, default=3)
    parser.add_argument("rest", nargs="*")
    parser.add_argument("--ratio", type=float, default=0.5, help="How much (%(default)s).")
    parser.add_argument("--size", choices=["s", "m"], default="s")
    parser.add_argument("--level", type=int, choices=range(1, 4), required=True)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--no-input", action="store_false", dest="interactive")
    parser.add_argument("--tint", action=BooleanOptionalAction, default=True)
    parser.add_argument("--cache", action=BooleanOptionalAction)
    parser.add_argument("--tag", action="append", type=int)
    parser.add_argument("--pair", nargs=2)
    parser.add_argument("--group", nargs="+", action="append")
    parser.add_argument("-x", "--extra", action="count", default=0)
    parser.add_argument("--quiet", action="store_const", const="quiet", dest="mode")
    parser.add_argument("--ids", nargs="*", type=int)
    parser.add_argument("--token")
    parser.add_argument("--hidden", help=SUPPRESS)


@pytest.fixture
def sample() -> Iterator[type[BaseCommand]]:
    with (
        installed(command(everything, help="Does <i>everything</i>.\n\nAnd more.")) as cls,
        override_settings(RESQUE=REAL),
    ):
        yield cls


def test_the_form_has_a_field_for_each_argument(admin_client: Client, sample: type[BaseCommand]):
    found = fields(admin_client, command="sample")
    assert [name for name in found if name[:2] == "0:"] == [
        *("0:name", "0:count", "0:rest", "0:--ratio", "0:--size", "0:--level", "0:--dry-run", "0:--no-input"),
        *("0:--tint", "0:--cache", "0:--tag", "0:--pair", "0:--group", "0:-x", "0:--quiet", "0:--ids", "0:--token"),
        "0:-v",
    ]
    assert "required" in found["0:name"]
    assert 'autocomplete="off"' in found["0:token" if "0:token" in found else "0:--token"]
    assert 'type="password"' not in found["0:--token"]
    assert 'inputmode="numeric"' in found["0:count"]
    assert 'inputmode="decimal"' in found["0:--ratio"]
    assert found["0:rest"].startswith("<textarea")
    assert [*re.findall(r'value="([^"]*)"', found["0:--level"])] == ["", "1", "2", "3"]
    assert 'type="checkbox"' in found["0:--dry-run"]
    assert "checked" not in found["0:--dry-run"]
    assert "checked" in found["0:--tint"]
    assert [*re.findall(r'value="([^"]*)"', found["0:--cache"])] == ["", "yes", "no"]
    assert 'value="default"' in found["queue"]
    content = admin_client.get(url("run", command="sample")).content.decode()
    for text in ("The &lt;b&gt;name&lt;/b&gt;, 100%.", "How much (0.5).", "Default: 3", "Default: s", "Does &lt;i&gt;"):
        assert text in content
    for name in ("settings", "pythonpath", "traceback", "no-color", "force-color", "skip-checks", "hidden", "version"):
        assert f"--{name}" not in content


GIVEN = {
    "0:name": "it's -x",
    "0:count": "7",
    "0:rest": "--one\r\ntwo words\r\n\r\nthree",
    "0:--ratio": "0.25",
    "0:--size": "m",
    "0:--level": "2",
    "0:--dry-run": "on",
    "0:--no-input": "on",
    "0:--cache": "no",
    "0:--tag": "1\n2",
    "0:--pair": "a b\nc",
    "0:--group": "a 'b c'\nd",
    "0:-x": "2",
    "0:--quiet": "on",
    "0:--ids": "5\n6",
    "0:-v": "2",
}  # --tint is not sent: it is unchecked


def test_what_is_filled_in_is_what_the_job_carries(admin_client: Client, sample: type[BaseCommand]):
    job = run(admin_client, GIVEN, command="sample")
    assert job.args == ("it's -x", 7, "--one", "two words", "three")
    assert job.options == {
        "ratio": 0.25,
        "size": "m",
        "level": 2,
        "dry_run": True,
        "interactive": False,
        "tint": False,
        "cache": False,
        "tag": [1, 2],
        "pair": ["a b", "c"],
        "group": [["a", "b c"], ["d"]],
        "extra": 2,
        "mode": "quiet",
        "ids": [5, 6],
        "verbosity": 2,
    }


def test_what_is_left_empty_is_left_to_the_command(admin_client: Client, sample: type[BaseCommand]):
    job = run(admin_client, {"0:name": "x", "0:--level": "1", "0:--tint": "on"}, command="sample")
    assert job.args == ("x",)
    assert set(job.options) == {"level"}


def test_the_question_shows_the_exact_line(admin_client: Client):
    sent = {"1:user_id": "42", "1:--template": "it's\x20fancy", "1:--dry-run": "on"}
    response = admin_client.post(
        url("run/enqueue", command="mailing", subcommand="send_sign_up_email"), {**SENT, **sent}
    )
    content = response.content.decode()
    assert "Enqueue 1 job?" in content
    line = "manage.py mailing send_sign_up_email 42 '--template=it'\"'\"'s fancy' --dry-run"
    assert line.replace("'", "&#x27;").replace('"', "&quot;") in content
    assert "Queue: default" in content
    assert content.count('name="1:user_id"') == 1
    assert '<input type="hidden" name="1:user_id" value="42">' in content


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ({"0:name": ""}, "This field is required."),
        ({"0:count": "many"}, "invalid int value"),
        ({"0:--level": ""}, "This field is required."),
        ({"0:--level": "9"}, "invalid choice: 9"),
        ({"0:--pair": "one"}, "It takes 2 values."),
        ({"0:--group": "'"}, "No closing quotation"),
        ({"0:count": "", "0:rest": "x"}, "Fill this in too, or leave empty what comes behind it."),
        ({"0:name": "\x1b[2J"}, "holds characters that cannot be shown"),
        ({"0:name": "x" * 30_000}, "This is too long"),
        ({"queue": "no queue"}, "cannot be the name of a queue"),
        ({"delay": "-1"}, "greater than or equal to 0"),
        ({"delay": "1e300"}, "9999"),
        ({"delay": "5", "at": "2030-01-01T10:00"}, "give delay or at, not both"),
        ({"at": "soon"}, "Enter a valid date/time."),
        ({"timeout": "1e9"}, "timeout must be a number of seconds"),
        ({"max_attempts": "100000"}, "max_attempts must be an integer"),
    ],
)
def test_what_does_not_fit_is_told_in_the_form_and_confirmed_after_that(
    admin_client: Client, sample: type[BaseCommand], sent: dict[str, str], error: str
):
    whole = {"0:name": "x", "0:--level": "1", **sent}
    for confirmed in ({}, {"confirmed": "yes"}):
        response = admin_client.post(url("run/enqueue", command="sample"), {**SENT, **whole, **confirmed})
        content = response.content.decode()
        assert error in content
        assert "Some of it is not right yet." in content
        assert 'name="confirmed"' not in content
        assert content.count('name="0:--level"') == 1
    assert waiting() == []
    assert not LogEntry.objects.exists()


def test_groups_that_exclude_one_another_are_checked_by_the_command(admin_client: Client):
    def add_arguments(parser: Any) -> None:
        group = parser.add_mutually_exclusive_group(required=True)
        group.add_argument("--all", action="store_true")
        group.add_argument("--only")

    with installed(command(add_arguments)), override_settings(RESQUE=REAL):
        assert "one of the arguments --all, --only is required" in ask(admin_client, {}, command="sample")
        both = ask(admin_client, {"0:--all": "on", "0:--only": "x"}, command="sample")
        assert "not allowed with argument --all" in both
        assert run(admin_client, {"0:--only": "x"}, command="sample").options == {"only": "x"}


@pytest.mark.parametrize(
    "settings",
    [
        {"choices": range(10**8), "type": int, "metavar": "N"},
        {"choices": type("Odd", (), {"__contains__": lambda self, value: True})(), "metavar": "ANY"},
        {"choices": list(Size), "type": Size},
        {"default": Decimal("1.50"), "type": Decimal},
        {"default": object()},
        {"help": "100% of %(nothing)s"},
        {"metavar": ("A", "B"), "nargs": 2},
        {"nargs": "?", "const": "all"},
        {"dest": "class", "metavar": "<script>"},
    ],
)
def test_odd_arguments_break_no_form(admin_client: Client, settings: dict[str, Any]):
    with installed(command(lambda parser: parser.add_argument("--odd", **settings))):
        content = admin_client.get(url("run", command="sample")).content.decode()
        assert 'name="0:--odd"' in content
        assert "<script>" not in content.partition("<main")[2]
        ask(admin_client, {"0:--odd": "s"}, command="sample")


def test_a_help_in_another_language_with_markup_is_escaped(admin_client: Client):
    with installed(command(lambda parser: parser.add_argument("x", help="<img src=x>", choices=["<b>", "é"]))):
        content = admin_client.get(url("run", command="sample")).content.decode().partition("<main")[2]
        assert "&lt;img src=x&gt;" in content
        assert "<img" not in content
        assert '<option value="&lt;b&gt;">&lt;b&gt;</option>' in content


# -- enqueueing --------------------------------------------------------------------------------------------------------


def test_when_and_where_it_is_performed_is_chosen(admin_client: Client, clean_redis: redis.Redis):
    sent = {"1:key": "x", "queue": "mail", "timeout": "5", "max_attempts": "3"}
    job = run(admin_client, sent, command="act", subcommand="tell")
    assert (job.queue, job.args, job.extra) == ("mail", ("tell", "x"), {"timeout": 5, "max_attempts": 3})
    asked = ask(admin_client, {"1:key": "x", "queue": "", "delay": "60"}, command="act", subcommand="tell")
    assert "Queue: default Delay: 1 min" in asked
    data = {**SENT, "1:key": "x", "delay": "60", "confirmed": "yes"}
    text = text_of(admin_client.post(url("run/enqueue", command="act", subcommand="tell"), data, follow=True))
    assert "scheduled" in text
    at = {**SENT, "1:key": "x", "at": "2100-01-01T10:00", "confirmed": "yes"}
    admin_client.post(url("run/enqueue", command="act", subcommand="tell"), at)
    assert clean_redis.zcard("resque:delayed_queue_schedule") == 2


def test_the_log_says_who_has_enqueued_what_without_its_arguments(admin_client: Client):
    job = run(admin_client, {"1:key": "hunter2"}, command="act", subcommand="tell")
    entry = LogEntry.objects.get()
    assert entry.object_repr == f"Enqueued act as job {job.id}."
    assert "hunter2" not in entry.change_message


def test_a_worker_performs_what_the_form_has_enqueued(
    admin_client: Client, worker: Callable[..., WorkerProcess], facts: redis.Redis
):
    worker()
    data = {**SENT, "0:texts": "one\r\n--two\r\nit's three", "0:--a": " x ", "0:--n": "5", "confirmed": "yes"}
    response = admin_client.post(url("run/enqueue", command="echo"), data)
    assert json.loads(told(facts, "echo")) == [["one", "--two", "it's three"], {"a": " x ", "n": "5"}]
    job = TrackedJob.get(response["Location"].partition("id=")[2])
    assert job is not None
    assert job.wait(30) is Status.COMPLETE
    assert "done" in text_of(admin_client.get(response["Location"]))


@pytest.mark.parametrize("name", ["act tell key", "mailing remind", "returning"])
def test_the_line_that_is_shown_does_what_the_job_does(admin_client: Client, name: str):
    words = name.split()
    sent = {"1:key": "it's"} if "tell" in words else {"1:user_ids": "1\n2", "1:--subject": "-x"}
    query = {"command": words[0], "subcommand": words[1]} if len(words) > 1 else {"command": words[0]}
    job = run(admin_client, sent, **query)
    assert (job.command, *job.args[:1]) == (words[0], *words[1:2])


def test_what_goes_wrong_on_the_way_is_told_and_not_a_page_of_errors(admin_client: Client, clean_redis: redis.Redis):
    clean_redis.set("resque:queue:mail", "surprise")
    sent = {"1:key": "x", "queue": "mail", "confirmed": "yes"}
    assert "WRONGTYPE" in ask(admin_client, sent, command="act", subcommand="tell")
    assert LogEntry.objects.get().object_repr == "Enqueue: EnqueueError"  # an error may quote arguments


def test_without_redis_the_commands_and_their_forms_are_there(admin_client: Client, redis_server: RedisServer):
    redis_server.stop()
    assert "mailing" in page(admin_client, "run")
    assert "1:key" in fields(admin_client, command="act", subcommand="tell")


@pytest.mark.django_db
def test_nobody_enqueues_without_the_permission():
    client = visitor("view_arguments")
    response = client.post(url("run/enqueue", command="act", subcommand="tell"), {"1:key": "x", "confirmed": "yes"})
    assert response.status_code == 403
    assert waiting() == []


# -- a job once more, with other arguments -----------------------------------------------------------------------------


def fail(job: Job) -> bytes:
    record = failure_record(
        payload=job.payload(), queue=job.queue, worker="w:1:q", exception="E", error="e", now=datetime.now(UTC)
    )
    store().client.rpush("resque:failed", record)
    return record


def test_the_arguments_of_a_job_stand_in_the_form(admin_client: Client):
    job = using(queue="low", timeout=7).enqueue("mailing", "send_sign_up_email", 42, template="fancy", dry_run=True)
    found = fields(admin_client, **{"from": job.id})
    assert 'value="42"' in found["1:user_id"]
    assert 'value="fancy"' in found["1:--template"]
    assert "checked" in found["1:--dry-run"]
    assert 'value="low"' in found["queue"]
    assert 'value="7"' in found["timeout"]
    assert "discard" not in found


VALUES = [
    ((1, 2.5, "x"), {}),
    (("a\nb", "\x1b[2J", " spaces "), {}),
    (("", "\u202e"), {"a": "\r\n", "b": "x" * 50_000}),
    ((), {"a": 5, "b": True, "e": [1, "x"], "f": ""}),
]


@pytest.mark.parametrize(("args", "options"), VALUES, ids=range(len(VALUES)))
def test_what_is_left_as_it_is_stays_the_same_to_the_byte(
    admin_client: Client, args: tuple[Any, ...], options: dict[str, Any]
):
    job = enqueue("echo", *args, **options)
    page_ = admin_client.get(url("run", **{"from": job.id}))
    form = page_.context["form"]
    sent = {}
    for name in form.fields:
        value = form[name].value()
        if value is True:
            sent[name] = "on"
        elif value not in (None, False, ""):
            sent[name] = str(value).replace("\n", "\r\n")  # as browsers send it
    new = run(admin_client, sent, command="echo", **{"from": job.id})
    assert (new.args, new.options) == (job.args, job.options)
    assert new.id != job.id


def test_a_failure_is_retried_with_other_arguments_and_stays_unless_that_is_wanted(
    admin_client: Client, clean_redis: redis.Redis
):
    old = Job("mailing", ("remind", 1, 2), {"subject": "Hi"}, queue="mail", extra={"attempt": 3})
    fail(old)
    assert "discard" in fields(admin_client, **{"from": old.id})
    query = {"command": "mailing", "subcommand": "remind", "from": old.id}
    new = run(admin_client, {"1:user_ids": "1\n2\n3", "1:--subject": "Hi", "queue": "mail"}, **query)
    assert (new.args, new.options, new.queue, new.extra) == (("remind", 1, 2, 3), {"subject": "Hi"}, "mail", {})
    assert store().failures.count() == 1
    sent = {"1:user_ids": "4", "queue": "mail", "discard": "on"}
    assert "Enqueue 1 job? The failure is discarded." in ask(admin_client, sent, **query)
    assert store().failures.count() == 1
    assert "The failure was discarded." in ask(admin_client, {**sent, "confirmed": "yes"}, **query)
    assert store().failures.count() == 0
    assert clean_redis.llen("resque:queue:mail") == 2


def test_that_the_job_is_enqueued_is_told_also_when_its_failure_cannot_be_discarded(
    admin_client: Client, clean_redis: redis.Redis, monkeypatch
):
    old = Job("mailing", ("remind", 1), queue="mail")
    fail(old)

    def redis_ends(*given: object) -> None:
        raise StoreUnavailable("Redis cannot be reached", sent=False)

    monkeypatch.setattr(Failures, "discard", redis_ends)
    sent = {"1:user_ids": "4", "queue": "mail", "discard": "on", "confirmed": "yes"}
    text = ask(admin_client, sent, command="mailing", subcommand="remind", **{"from": old.id})
    assert "Enqueued mailing as job " in text
    assert "The failure could not be discarded: Redis cannot be reached" in text
    assert clean_redis.llen("resque:queue:mail") == 1
    assert store().failures.count() == 1


def test_arguments_that_do_not_fit_any_more_are_told(admin_client: Client):
    old = Job("mailing", ("remind", 1), {"colour": "red"})
    fail(old)
    text = page(admin_client, "run", **{"from": old.id})
    assert "do not fit the command any more:" in text
    assert "colour" in text
    assert "1:user_ids" in fields(admin_client, **{"from": old.id})


@pytest.mark.parametrize("job", [
    Job("Archive::Files", (1,)), Job("flush"), Job("mailing"), Job("mailing", ("nonono",)), Job("mailing", (1, [2])),
    Job("echo", ([1, {"a": 2}],), {"a": {"b": 1}, "z": None}), Job("mailing", ("remind", None), {"subject": [[]]}),
])  # fmt: skip
def test_jobs_that_cannot_be_filled_in_break_nothing(admin_client: Client, job: Job):
    fail(job)
    page(admin_client, "run", **{"from": job.id})
    ask(admin_client, {}, command=job.command, **{"from": job.id})


def test_a_job_that_is_gone_is_told(admin_client: Client):
    assert "not known any more" in page(admin_client, "run", **{"from": "nonono"})
    assert "not known any more" in ask(admin_client, {}, command="echo", **{"from": "nonono"})


@pytest.mark.django_db
def test_arguments_are_not_shown_to_those_who_may_not_see_them(clean_redis: redis.Redis):
    old = Job("mailing", ("remind", 1), {"subject": "swordfish"})
    fail(old)
    client = visitor("enqueue_job", "discard_failure")
    text = client.get(url("run", **{"from": old.id})).content.decode()
    assert "You may not see the arguments of jobs" in text
    assert "swordfish" not in text
    sent = {"1:user_ids": "1", "discard": "on", "confirmed": "yes"}
    client.post(url("run/enqueue", command="mailing", subcommand="remind", **{"from": old.id}), {**SENT, **sent})
    assert waiting() == []
    assert store().failures.count() == 1


@pytest.mark.django_db
def test_a_failure_is_not_discarded_without_the_permission(clean_redis: redis.Redis):
    old = Job("mailing", ("remind", 1))
    fail(old)
    client = visitor("enqueue_job", "view_arguments")
    assert "discard" not in fields(client, **{"from": old.id})
    sent = {"1:user_ids": "1", "discard": "on"}
    run(client, sent, command="mailing", subcommand="remind", **{"from": old.id})
    assert store().failures.count() == 1
