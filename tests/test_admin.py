"""The overview in Django's admin: who sees it, what it shows, what it costs, and that nothing in Redis breaks it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django.apps import apps
from django.contrib.admin import AdminSite
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

import django_resque.admin
from django_resque.admin.text import block, elapsed, line, moment, reason
from django_resque.failure import failure_record
from django_resque.job import Job
from django_resque.store import store
from tests.servers import RedisServer

URL = "/admin/django_resque/dashboard/"
NOW = datetime.now(UTC)


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def enqueue(client: redis.Redis, queue: str, *jobs: Job) -> None:
    client.sadd("resque:queues", queue)
    if jobs:
        client.rpush(f"resque:queue:{queue}", *(job.payload() for job in jobs))


def add_worker(
    client: redis.Redis,
    worker_id: str,
    *,
    heard: datetime | None = None,
    job: bytes | None = None,
    queue: str = "mail",
    since: datetime | None = None,
) -> None:
    """A worker on the boards, as any program of the family writes it."""
    client.sadd("resque:workers", worker_id)
    if heard:
        client.hset("resque:workers:heartbeat", worker_id, heard.isoformat())
    if job is not None:
        run_at = (since or ago(0)).strftime("%Y-%m-%dT%H:%M:%SZ")
        working = {"queue": queue, "run_at": run_at, "payload": json.loads(job), "worker": worker_id}
        client.set(f"resque:worker:{worker_id}", json.dumps(working))


def add_failure(client: redis.Redis, job: Job, **given: Any) -> None:
    fields: dict[str, Any] = {
        "queue": "mail",
        "worker": "box1~k3f9ad-1:42:mail",
        "exception": "ValueError",
        "error": "went wrong",
        "now": ago(0),
    }
    client.rpush("resque:failed", failure_record(payload=job.payload(), **{**fields, **given}))


def page(client: Client) -> str:
    """The text of the page's content, as a reader gets it: without markup, white space folded."""
    response = client.get(URL)
    assert response.status_code == 200
    content = response.content.decode().partition('<div id="content"')[2].partition("<footer")[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", content)).replace("\xa0", " ")


# -- where it is -------------------------------------------------------------------------------------------------------


def in_another_process(code: str) -> str:
    """What ``code`` prints in a process in which Django is not set up yet."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_index_of_the_admin_leads_to_it(admin_client: Client):
    index = admin_client.get("/admin/")
    assert reverse("admin:django_resque_dashboard_changelist") == URL
    assert f'href="{URL}"' in index.content.decode()
    assert f'href="{URL}"' in admin_client.get("/admin/django_resque/").content.decode()


def test_a_default_site_of_the_projects_own_has_it_too():
    printed = in_another_process("""
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
from django.conf import settings
settings.INSTALLED_APPS[0] = "tests.own_admin.OwnAdminConfig"
import django
django.setup()
from django.contrib import admin
print(admin.site.site_header, *(model.__name__ for model in admin.site._registry))
""")
    assert printed.startswith("Our own admin ")
    assert "Dashboard" in printed.split()


def test_another_site_has_it_when_it_is_registered_there():
    site = AdminSite("another")
    django_resque.admin.register(site)
    django_resque.admin.register(site)
    assert [model.__name__ for model in site._registry] == ["Dashboard"]
    assert "django_resque_dashboard_changelist" in [url.name for url in site._registry.popitem()[1].urls]


def test_without_the_admin_the_app_works_and_imports_none_of_it():
    printed = in_another_process("""
import sys
from django.conf import settings
settings.configure(INSTALLED_APPS=["django_resque"], DEBUG=True, BASE_DIR="/nowhere")
import django
django.setup()
from django.core.management import call_command
import django_resque
from django_resque import enqueue
call_command("check")
print("django_resque.admin" in sys.modules, "django.contrib.admin" in sys.modules)
""")
    assert "False False" in printed
    assert "no issues" in printed


# -- its model ---------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_model_has_a_permission_and_neither_table_nor_migration():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
    permissions = Permission.objects.filter(content_type__app_label="django_resque")
    assert [permission.codename for permission in permissions] == ["view_dashboard"]
    assert [name for name in connection.introspection.table_names() if "resque" in name] == []


@pytest.mark.django_db
@pytest.mark.parametrize("everything", [False, True])
def test_visitors_of_all_models_find_no_rows_of_it_instead_of_no_table(capsys, everything: bool):
    call_command("dumpdata", "django_resque", use_base_manager=everything)
    assert json.loads(capsys.readouterr().out) == []
    model = apps.get_model("django_resque", "Dashboard")
    assert model.objects.count() == 0
    assert not model._base_manager.exists()


# -- who may see it ----------------------------------------------------------------------------------------------------

PEOPLE = {
    "nobody": None,
    "member": {"is_staff": False},
    "member with the permission": {"is_staff": False, "permission": True},
    "staff": {"is_staff": True},
    "staff with the permission": {"is_staff": True, "permission": True},
    "staff who has left": {"is_staff": True, "permission": True, "is_active": False},
    "superuser": {"is_staff": True, "is_superuser": True},
}


def client_of(who: str) -> Client:
    client = Client()
    kind = PEOPLE[who]
    if kind is not None:
        fields = dict(kind)
        permission = fields.pop("permission", False)
        user = User.objects.create_user("someone", **fields)
        if permission:
            user.user_permissions.add(Permission.objects.get(codename="view_dashboard"))
        client.force_login(user)
    return client


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("who", "status"),
    [
        ("nobody", 302),
        ("member", 302),
        ("member with the permission", 302),
        ("staff", 403),
        ("staff with the permission", 200),
        ("staff who has left", 302),
        ("superuser", 200),
    ],
)
def test_only_those_who_may_see_it_do(who: str, status: int):
    client = client_of(who)
    response = client.get(URL)
    assert response.status_code == status
    if status == 302:
        assert response["Location"] == f"/admin/login/?next={URL}"
    if status != 302:
        index = client.get("/admin/").content.decode()
        assert (URL in index) == (status == 200)
        assert client.get("/admin/django_resque/").status_code == (200 if status == 200 else 404)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["add/", "1/change/", "1/delete/", "1/history/", "1/"])
def test_there_is_no_other_page(path: str):
    # the admin's last resort may add a slash, never a page
    assert client_of("superuser").get(f"{URL}{path}").status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_it_can_only_be_read(method: str):
    client = client_of("superuser")
    assert getattr(client, method)(URL).status_code == 405
    assert client.head(URL).status_code == 200


# -- what it shows -----------------------------------------------------------------------------------------------------


def test_an_empty_redis_is_shown_as_what_it_is(admin_client: Client):
    text = page(admin_client)
    assert "Waiting 0 Running 0 Workers 0 Failures kept 0 Processed in total 0 Failed in total 0" in text
    assert "There is no queue yet." in text
    assert "Start one with manage.py resque_worker ." in text
    assert "Nothing has failed." in text
    assert "namespace resque" in text


def test_queues_are_shown_by_name_with_their_lengths(admin_client: Client, clean_redis: redis.Redis):
    enqueue(clean_redis, "mail", *[Job("send_welcome")] * 1234)
    enqueue(clean_redis, "default", Job("send_welcome"))
    enqueue(clean_redis, "idle")
    text = page(admin_client)
    assert "Waiting 1,235 Running" in text
    assert "default 1 idle 0 mail 1,234" in text


def test_the_counters_are_shown(admin_client: Client, clean_redis: redis.Redis):
    clean_redis.mset({"resque:stat:processed": 1234567, "resque:stat:failed": 89})
    assert "Processed in total 1,234,567 Failed in total 89" in page(admin_client)


def test_our_workers_are_shown_with_host_process_queues_and_job(admin_client: Client, clean_redis: redis.Redis):
    ours = ["box1~k3f9ad-1:4711:high,mail", "box1~k3f9ad-2:4711:high,mail"]
    line = store().line()
    line.ask(store().reservations("k3f9ad", "a machine").register(ours, started="2026-11-20 13:21:45 +0000"))
    line.close()
    clean_redis.hset("resque:workers:heartbeat", mapping=dict.fromkeys(ours, ago(3).isoformat(timespec="seconds")))
    job = Job("send_welcome", (42,))
    add_worker(clean_redis, ours[0], job=job.payload(), since=ago(3725))
    text = page(admin_client)
    assert "Running 1 Workers 2" in text
    assert f"box1 process 4711 · k3f9ad-1 high, mail send_welcome from mail · for 1 hour, 2 minutes {job.id}" in text
    assert re.search(r"box1 process 4711 · k3f9ad-2 high, mail waiting \d seconds ago", text)


def test_workers_of_other_programs_are_shown_too(admin_client: Client, clean_redis: redis.Redis):
    add_worker(clean_redis, "ruby1:123:*", job=b'{"class":"Archive","args":[1,2]}', queue="reports", heard=ago(630))
    add_worker(clean_redis, "php1:99:mail,low")
    add_worker(clean_redis, "node1:77+1:mail", job=b'["not", "a", "job"]')
    text = page(admin_client)
    assert re.search(r"ruby1 process 123 \* Archive from reports · for \d seconds? 10 minutes ago", text)
    assert "php1 process 99 mail, low waiting sends no heartbeat" in text
    assert re.search(r"node1 process 77\+1 mail \(unreadable\) for \d seconds?", text)


def test_a_worker_that_has_fallen_silent_is_marked(admin_client: Client, clean_redis: redis.Redis):
    add_worker(clean_redis, "box1:1:mail", heard=ago(10))
    assert "resque-alarm" not in admin_client.get(URL).content.decode()
    add_worker(clean_redis, "box1:2:mail", heard=ago(130))
    assert admin_client.get(URL).content.decode().count("resque-alarm") == 1


def test_the_last_failures_are_shown_newest_first(admin_client: Client, clean_redis: redis.Redis):
    older = Job("send_welcome", (1,))
    add_failure(clean_redis, older, now=ago(300))
    newer = Job("import_users")
    add_failure(
        clean_redis,
        newer,
        queue="low",
        exception="KeyError",
        error="'name'\nin line 3",
        backtrace=["Traceback (most recent call last):", '  File "x.py", line 1, in handle', "KeyError: 'name'"],
        extra={"output": "reading\n\tline 3\n", "exit_status": "3", "signal": "SIGKILL"},
    )
    response = admin_client.get(URL).content.decode()
    text = page(admin_client)
    assert re.search(r"Failures import_users from low \w+\.? \d+, \d{4}, .{4,12}, \d seconds? ago KeyError :", text)
    assert f"Job {newer.id} Worker box1~k3f9ad-1:42:mail Exit status 3 Signal SIGKILL Traceback Traceback" in text
    assert "End of the output reading line 3" in text
    assert re.search(r"send_welcome from mail .*, 5 minutes ago ValueError : went wrong", text)
    assert text.index("import_users") < text.index("send_welcome")
    assert response.count("<details>") == 2


def test_only_the_last_failures_are_shown_and_it_says_so(admin_client: Client, clean_redis: redis.Redis):
    for number in range(30):
        add_failure(clean_redis, Job("send_welcome"), error=f"error number {number}")
    text = page(admin_client)
    assert "Failures (the last 20 of 30)" in text
    assert "error number 29" in text
    assert "error number 10" in text
    assert "error number 9 " not in text


def test_a_failure_whose_payload_has_no_id_is_shown_without_one(admin_client: Client, clean_redis: redis.Redis):
    clean_redis.rpush(
        "resque:failed", b'{"failed_at":"Fri Nov 20 13:23:26 UTC 2026","payload":{"class":"Archive","args":[1]}}'
    )
    content = admin_client.get(URL).content.decode()
    assert "Archive" in content
    assert "<details>" not in content


def test_delayed_jobs_that_no_scheduler_would_enqueue_are_told(admin_client: Client, clean_redis: redis.Redis):
    clean_redis.zadd("resque:delayed_queue_schedule", {"4102444800": 4102444800})
    assert "no scheduler is alive" in page(admin_client)
    clean_redis.set("resque:resque:resque_scheduler_master_lock", "box1:26144:math")
    assert "no scheduler is alive" not in page(admin_client)
    clean_redis.zadd("resque:django:retries", {"abc123.1.1\ndefault\n{}": 4102444800})
    assert "no scheduler is alive" in page(admin_client)
    clean_redis.set("resque:django:scheduler", "box1:1:abc", ex=15)
    assert "no scheduler is alive" not in page(admin_client)


def test_a_pause_of_all_workers_is_told(admin_client: Client, clean_redis: redis.Redis):
    clean_redis.set("resque:pause-all-workers", " True\n")
    assert "All workers are paused" in page(admin_client)
    clean_redis.set("resque:pause-all-workers", "false")
    assert "All workers are paused" not in page(admin_client)


def test_no_arguments_are_shown(admin_client: Client, clean_redis: redis.Redis):
    job = Job("send_welcome", ("hunter2",), {"password": "hunter2"})
    enqueue(clean_redis, "mail", job)
    add_worker(clean_redis, "box1:1:mail", job=job.payload())
    add_failure(clean_redis, job)
    content = admin_client.get(URL).content.decode()
    assert content.count(job.id) >= 2
    assert "hunter2" not in content


def test_another_namespace_is_another_dashboard(admin_client: Client, clean_redis: redis.Redis, settings):
    enqueue(clean_redis, "mail", Job("send_welcome"))
    settings.RESQUE = {"NAMESPACE": "elsewhere", "TESTING": "real"}
    text = page(admin_client)
    assert "There is no queue yet." in text
    assert "namespace elsewhere" in text


@pytest.mark.parametrize("language", ["de", "ar", "ja"])
def test_it_speaks_the_readers_language_where_django_does(admin_client: Client, clean_redis, settings, language: str):
    settings.LANGUAGE_CODE = language
    add_failure(clean_redis, Job("send_welcome"), now=ago(300))
    assert "send_welcome" in page(admin_client)


# -- what it costs -----------------------------------------------------------------------------------------------------


def round_trips(client: Client) -> int:
    """How often a request talks to Redis. The connections of the pool count what they send."""
    pool = store().pool
    sent: list[bytes] = []

    class Counting(pool.connection_class):  # type: ignore[misc, name-defined]
        def send_packed_command(self, command: Any, check_health: bool = True) -> None:
            sent.append(command)
            super().send_packed_command(command, check_health)

    pool.disconnect()
    pool.reset()
    pool.connection_class = Counting
    client.get(URL)  # connects
    sent.clear()
    assert client.get(URL).status_code == 200
    return len(sent)


def test_the_number_of_round_trips_does_not_grow(admin_client: Client, clean_redis: redis.Redis):
    empty = round_trips(admin_client)
    for index in range(20):
        enqueue(clean_redis, f"queue{index}", *[Job("send_welcome")] * 1_000)
        add_worker(clean_redis, f"box1~k3f9ad-{index}:42:mail", heard=ago(1), job=Job("send_welcome").payload())
        add_failure(clean_redis, Job("send_welcome"))
    some = round_trips(admin_client)
    many = clean_redis.pipeline()
    for index in range(2_000):
        many.sadd("resque:queues", f"another{index}")
        many.sadd("resque:workers", f"box2~k3f9ad-{index}:42:mail")
        many.rpush("resque:failed", b"{}")
    many.execute()
    assert empty <= some == round_trips(admin_client) <= 5


def test_of_many_queues_and_workers_a_part_is_shown_and_it_says_so(admin_client: Client, clean_redis: redis.Redis):
    clean_redis.sadd("resque:queues", *(f"queue{index}" for index in range(3_000)))
    clean_redis.sadd("resque:workers", *(f"box2~k3f9ad-{index}:42:mail" for index in range(700)))
    text = page(admin_client)
    assert "Waiting 0 1,000 of 3,000 queues Running 0 500 of 700 workers Workers 700" in text
    assert "Queues (1,000 of 3,000 queues)" in text
    assert "Workers (500 of 700 workers)" in text
    assert len(re.findall(r"\bqueue\d+ 0", text)) == 1_000


@pytest.mark.parametrize("count", [1, 100, 127, 129, 511, 513, 999, 1_000])
def test_up_to_the_bound_no_queue_is_left_out(clean_redis: redis.Redis, count: int):
    clean_redis.sadd("resque:queues", *(f"queue{index}" for index in range(count)))
    assert len(store().overview().queues) == count


def everything_in(client: redis.Redis) -> dict[bytes, bytes]:
    return {key: client.dump(key) for key in client.scan_iter()}


def test_looking_changes_nothing(admin_client: Client, clean_redis: redis.Redis):
    enqueue(clean_redis, "mail", Job("send_welcome"))
    add_worker(clean_redis, "box1:1:mail", heard=ago(1000), job=Job("send_welcome").payload())
    add_failure(clean_redis, Job("send_welcome"))
    before = everything_in(clean_redis)
    page(admin_client)
    assert everything_in(clean_redis) == before


# -- what anybody may have written -------------------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "javascript:alert(1)",
    "{{ settings.SECRET_KEY }}{% now 'Y' %}%(count)s",
    "\x1b[2J\x00\r\n\x7f\x85",
    "abc\u202egpj.exe\u2066\u200f",
    "../../etc/passwd",
    "名前 😀 e\u0301",
    "x" * 1_000_000,
]


def assert_harmless(content: str) -> None:
    content = content.partition('<div id="content"')[2]
    assert not re.search(r"<(script|img|iframe)|\son\w+=['\"]| style=|href=['\"]?javascript:", content)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]", content)
    assert len(content) < 200_000


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_in_any_place_does_harm(admin_client: Client, clean_redis: redis.Redis, text: str):
    enqueue(clean_redis, text)
    add_worker(clean_redis, text)
    payload = {"class": text, "args": [text], "id": text, "queue_time": text, "prefix": text}
    add_worker(clean_redis, f"{text}~{text}:{text}:{text},{text}", job=json.dumps(payload).encode(), queue=text)
    clean_redis.set("resque:worker:odd", json.dumps({"queue": text, "run_at": text, "payload": text}))
    clean_redis.hset("resque:workers:heartbeat", text, text)
    clean_redis.set(f"resque:worker:{text}:started", text)
    clean_redis.mset({"resque:stat:processed": text, "resque:stat:failed": text, "resque:pause-all-workers": text})
    record = {"failed_at": text, "payload": payload, "exception": text, "error": text, "worker": text, "queue": text}
    clean_redis.rpush(
        "resque:failed",
        text,
        json.dumps(text),
        json.dumps(record | {"backtrace": [text] * 3, "output": text}),
        json.dumps(record | {"backtrace": text, "output": [text], "signal": text, "payload": text}),
        json.dumps(record | {"failed_at": text.replace("x", "("), "queue": [text], "worker": {text: text}}),
    )
    assert_harmless(admin_client.get(URL).content.decode())


RECORDS = [
    b"",
    b"\xff\xfe\x00",
    b"null",
    b"[]",
    b"{}",
    b'"text"',
    b"1e999",
    b'{"error":"\\ud800","exception":"\\udfff","queue":"\\ud800","payload":{"class":"\\ud800"}}',
    b'{"failed_at":"9999-12-31T23:59:59+00:00"}',
    b'{"failed_at":"0001-01-01T00:00:00+00:00"}',
    b'{"failed_at":1e300}',
    b'{"failed_at":NaN}',
    b'{"failed_at":' + b"9" * 5_000 + b"}",
    b'{"failed_at":"' + b"(" * 500_000 + b'"}',
    b'{"exception":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"exception":' + b"[" * 940 + b"]" * 940 + b"}",
    b'{"payload":{"class":"a","args":{"9":1,"\xd9\xa3":2}}}',
    b'{"backtrace":[null,1,{"a":[]},"x"],"error":{"a":1},"exception":false,"output":1}',
]


@pytest.mark.parametrize("record", RECORDS, ids=range(len(RECORDS)))
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_no_record_breaks_the_page(admin_client: Client, clean_redis, settings, record: bytes, zone: str):
    settings.TIME_ZONE = zone
    clean_redis.rpush("resque:failed", record)
    clean_redis.sadd("resque:workers", b"box1:1:mail", b"\xff:\xff:\xff", b"", b":", b"::")
    clean_redis.set("resque:worker:box1:1:mail", record)
    clean_redis.set("resque:worker:box1:1:mail:started", b"9" * 5_000)
    clean_redis.hset("resque:workers:heartbeat", "box1:1:mail", "9" * 5_000)
    clean_redis.sadd("resque:queues", b"\xff", b"")
    clean_redis.set("resque:stat:processed", b"9" * 5_000)
    assert_harmless(admin_client.get(URL).content.decode())


KEYS = ["queues", "queue:mail", "workers", "worker:box1:1:mail", "workers:heartbeat", "failed", "stat:processed"]


@pytest.mark.parametrize("key", [*KEYS, "pause-all-workers"])
@pytest.mark.parametrize("kind", ["string", "stream"])
def test_a_key_of_the_wrong_type_spoils_nothing_else(admin_client: Client, clean_redis, key: str, kind: str):
    enqueue(clean_redis, "mail", Job("send_welcome"))
    enqueue(clean_redis, "low", Job("send_welcome"))
    add_worker(clean_redis, "box1:1:mail", heard=ago(3))
    add_worker(clean_redis, "box2:1:mail", heard=ago(3))
    add_failure(clean_redis, Job("send_welcome"))
    clean_redis.delete(f"resque:{key}")
    if kind == "string":
        clean_redis.set(f"resque:{key}", "surprise")
    else:
        clean_redis.xadd(f"resque:{key}", {"a": "b"})
    text = page(admin_client)
    assert ("low 1" in text) == (key != "queues")
    assert ("box2 process 1" in text) == (key != "workers")
    assert ("went wrong" in text) == (key != "failed")
    if key in ("queues", "workers", "failed"):
        assert f"resque:{key}: WRONGTYPE" in text
        assert "Nothing to show." in text
    if key == "queue:mail":
        assert "resque:queue:mail cannot be read as a list" in text


# -- Redis is away -----------------------------------------------------------------------------------------------------


def test_when_redis_is_away_the_page_says_why(admin_client: Client, redis_server: RedisServer):
    redis_server.stop()
    text = page(admin_client)
    assert "The queues cannot be shown" in text
    assert f"127.0.0.1:{redis_server.port}" in text
    redis_server.start()
    assert "The queues cannot be shown" not in page(admin_client)


def cache(location: str) -> dict[str, dict[str, str]]:
    return {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": location}}


@pytest.mark.parametrize(
    "location",
    [
        "redis://me:hunter2@127.0.0.1:1/0",
        "redis://:hunter2/@127.0.0.1:1/0",
        "redis://no-such-host.invalid?password=hunter2",
    ],
)
def test_the_reason_holds_no_password(admin_client: Client, settings, location: str):
    settings.CACHES = cache(location)
    text = page(admin_client)
    assert "The queues cannot be shown" in text
    assert "hunter2" not in admin_client.get(URL).content.decode()


def test_a_password_that_redis_refuses_is_not_shown(admin_client: Client, settings, redis_server: RedisServer):
    settings.CACHES = cache(redis_server.url.replace("//", "//:hunter2@"))
    text = page(admin_client)
    assert "The queues cannot be shown" in text
    assert "hunter2" not in text


@pytest.mark.parametrize("resque", [{"CACHE": "nowhere"}, {"GRACE": -1}, None])
def test_settings_that_lead_to_no_redis_are_told_on_the_page(admin_client: Client, settings, resque: object):
    settings.RESQUE = resque
    assert "The queues cannot be shown" in page(admin_client)


# -- texts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-50, "0 seconds"),
        (0, "0 seconds"),
        (1, "1 second"),
        (59.9, "59 seconds"),
        (60, "1 minute"),
        (7500, "2 hours, 5 minutes"),
    ],
)
def test_how_long_ago(seconds: float, words: str):
    now = datetime(2026, 11, 20, 13, 21, 45, tzinfo=UTC)
    assert elapsed(now - timedelta(seconds=seconds), now).replace("\xa0", " ") == words


def test_a_moment_at_the_end_of_the_calendar_is_shown_as_it_is(settings):
    settings.TIME_ZONE = "Asia/Tokyo"
    assert moment(datetime.max.replace(tzinfo=UTC)) == "9999-12-31T23:59:59.999999+00:00"
    assert moment(datetime(2026, 11, 20, 13, 21, tzinfo=UTC)) == "Nov. 20, 2026, 10:21 p.m."


def test_long_texts_are_cut():
    assert line("a" * 201) == "a" * 200 + "…"
    assert line("a\nb\u202e") == r"a\nb\u202e"
    assert block("a\r\n\tb\x07") == "a\n        b\\x07"
    assert block("a" * 60 + "b" * 60, 20) == "a" * 10 + "\n\n… 100 characters left out …\n\n" + "b" * 10


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("no route to redis://me:hunter2@host:6379/0", "no route to redis://…@host:6379/0"),
        ("CACHES (now 'redis://:hun/ter@2@host')", "CACHES (now 'redis://…@host')"),
        ("Error 111 connecting to host:6379", "Error 111 connecting to host:6379"),
        ("", "ValueError"),
    ],
)
def test_the_reason_is_what_the_error_says_without_passwords(said: str, shown: str):
    assert reason(ValueError(said)) == shown
