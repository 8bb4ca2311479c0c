"""The overview in Django's admin: who sees it, what it shows, what it costs, and that nothing in Redis breaks it."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha1
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
from django_resque.models import Dashboard
from django_resque.store import store
from tests.dashboard import page, round_trips
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
def test_the_model_has_permissions_and_neither_table_nor_migration():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
    permissions = Permission.objects.filter(content_type__app_label="django_resque")
    assert "view_dashboard" in {permission.codename for permission in permissions}
    own = {codename for codename, _name in Dashboard._meta.permissions}
    assert {permission.codename for permission in permissions} == {"view_dashboard", *own}
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


def count(client: redis.Redis, minutes_ago: int, processed: int, failed: int = 0) -> None:
    """Jobs that ended in a minute, as workers count them."""
    minute = (int(time.time()) // 60 - minutes_ago) * 60
    key = f"resque:django:stats:throughput:{minute // 3600 * 3600}"
    client.hset(key, mapping={f"p{minute // 60 % 60}": processed, f"f{minute // 60 % 60}": failed})


def test_an_empty_redis_is_shown_as_what_it_is(admin_client: Client):
    text = page(admin_client)
    assert "Queued 0 Oldest waiting job – Running 0 Workers 0 Delayed 0 Processed in an hour 0 0 in a day" in text
    assert "Failed in an hour 0 0 in a day Failures kept 0" in text
    assert "There is no queue yet." in text
    assert "Nothing has failed." in text
    assert "namespace resque" in text
    assert alerts(admin_client) == ["The server keeps nothing on disk: a restart loses all jobs. Redis"]


def test_the_tiles_say_how_much_there_is_and_lead_to_it(admin_client: Client, clean_redis: redis.Redis):
    enqueue(clean_redis, "mail", Job("act", enqueued_at=time.time() - 7205), *[Job("act")] * 1233)
    enqueue(clean_redis, "low", Job("act"))
    add_worker(clean_redis, "box1~abc123-1:1:mail", job=Job("act").payload())
    add_worker(clean_redis, "box1~abc123-2:1:mail")
    clean_redis.zadd("resque:delayed_queue_schedule", {"4102444800": 4102444800})
    clean_redis.rpush("resque:delayed:4102444800", "{}", "{}")
    clean_redis.zadd("resque:django:retries", {"a": 4102444800})
    for minutes_ago, processed, failed in ((0, 5, 1), (40, 7, 2), (70, 100, 10), (1439, 1000, 20), (1500, 9, 9)):
        count(clean_redis, minutes_ago, processed, failed)
    add_failure(clean_redis, Job("act"))
    text = page(admin_client)
    assert "Queued 1,235 Oldest waiting job 2 h " in text
    assert "Running 1 Workers 2 Delayed 2 1 retry Processed in an hour 12 1,112 in a day" in text
    assert "Failed in an hour 3 33 in a day Failures kept 1" in text
    content = admin_client.get(URL).content.decode()
    for address in ("queues/", "jobs/?state=running", "workers/", "delayed/", "statistics/?span=hour", "failures/"):
        assert f'<dd><a href="{URL}{address}' in content


def test_the_longest_queues_are_shown_longest_first(admin_client: Client, clean_redis: redis.Redis):
    for number in range(30):
        enqueue(clean_redis, f"queue{number:02}", *[Job("act")] * (number + 1))
    add_worker(clean_redis, "box1~abc123-1:1:queue29,queue2*")
    add_worker(clean_redis, "box1~abc123-2:1:queue29", job=Job("act").payload(), queue="queue29")
    text = page(admin_client)
    assert "Queues (the longest 20 of 30)" in text
    assert "queue29 30 0 s 1 2 open queue28 29 0 s 0 1 open" in text
    assert "queue10 11 0 s 0 0 no worker listens All queues" in text
    assert "queue09" not in text.partition("Queues (the longest")[2]
    assert f'href="{URL}queue/?name=queue29"' in admin_client.get(URL).content.decode()


def test_the_throughput_is_drawn_and_stands_there_as_a_table(admin_client: Client, clean_redis: redis.Redis):
    count(clean_redis, 1, 30, 3)
    content = admin_client.get(URL).content.decode()
    assert content.count('<svg role="img"') == 2
    assert '<desc id="resque-hour-words">30 processed, 3 of them failed</desc>' in content
    assert "Last hour 30 processed, 3 of them failed" in page(admin_client)
    assert re.search(r"As a table Last hour From Processed Failed .* 30 3 .* As a table Last 24", page(admin_client))


def test_the_last_failures_are_shown_newest_first_and_lead_to_their_pages(admin_client: Client, clean_redis):
    for number in range(7):
        add_failure(clean_redis, Job("send_welcome"), error=f"error\nnumber {number}", now=ago(300 - 10 * number))
    add_failure(clean_redis, Job("import_users"), queue="low", exception="KeyError", error="'name'")
    text = page(admin_client)
    assert "Failures (the last 5 of 8)" in text
    assert re.search(r"import_users KeyError : &#x27;name&#x27; low \d s ago send_welcome ValueError : error\\n", text)
    assert "number 3 mail 4 min 3" in text
    assert "number 2 " not in text
    digest = sha1(clean_redis.lindex("resque:failed", -1)).hexdigest()
    assert f'href="{URL}failure/?digest={digest}"' in admin_client.get(URL).content.decode()


def test_secrets_in_messages_are_hidden_from_those_who_may_not_see_them(clean_redis: redis.Redis, db: None):
    add_failure(clean_redis, Job("act", options={"password": "swordfish"}), error="no swordfish, token=hunter2")
    text = page(client_of("staff with the permission"))
    assert "swordfish" not in text
    assert "hunter2" not in text
    assert "no ●●●, token=●●●" in text


def test_no_arguments_are_shown(admin_client: Client, clean_redis: redis.Redis):
    job = Job("send_welcome", ("hunter2",), {"password": "hunter2"})
    enqueue(clean_redis, "mail", job)
    add_worker(clean_redis, "box1:1:mail", job=job.payload())
    add_failure(clean_redis, job)
    content = admin_client.get(URL).content.decode()
    assert "send_welcome" in content
    assert "hunter2" not in content


# -- what needs attention ----------------------------------------------------------------------------------------------

NOTHING_KEPT = "The server keeps nothing on disk: a restart loses all jobs. Redis"


def alerts(client: Client) -> list[str]:
    found = re.search(r'<ul class="messagelist">(.*?)</ul>', client.get(URL).content.decode(), re.DOTALL)
    items = re.findall(r"<li[^>]*>(.*?)</li>", found[1], re.DOTALL) if found else []
    return [html.unescape(re.sub(r"<[^>]*>", "", item)) for item in items]


def others(client: Client) -> list[str]:
    return [alert for alert in alerts(client) if alert != NOTHING_KEPT]


def test_a_queue_that_nobody_listens_to_is_told_when_something_waits(admin_client: Client, clean_redis: redis.Redis):
    enqueue(clean_redis, "mail", Job("act"))
    enqueue(clean_redis, "low")
    assert others(admin_client) == ["Jobs wait in the queue mail, and no worker listens to it. Queues"]
    add_worker(clean_redis, "box1~abc123-1:1:m*,!mail")
    enqueue(clean_redis, "low", Job("act"))
    assert others(admin_client) == ["Jobs wait in queues to which no worker listens: low, mail. Queues"]
    add_worker(clean_redis, "box1~abc123-2:1:*")
    assert others(admin_client) == []


def test_of_many_such_queues_some_are_named(admin_client: Client, clean_redis: redis.Redis):
    for number in range(9):
        enqueue(clean_redis, f"queue{number}", Job("act"))
    assert others(admin_client) == [
        "Jobs wait in queues to which no worker listens: queue0, queue1, queue2, queue3, queue4, 4 more. Queues"
    ]


def test_workers_that_have_fallen_silent_are_told(admin_client: Client, clean_redis: redis.Redis):
    clean_redis.zadd("resque:django:processes", {"abc123 boot": time.time() + 60, "def456 boot": time.time() - 60})
    add_worker(clean_redis, "ruby1:1:mail", heard=ago(10))
    add_worker(clean_redis, "box1~abc123-1:1:mail", heard=ago(1000))
    assert others(admin_client) == ["1 worker process was not heard from: its lease has ended. Workers"]
    add_worker(clean_redis, "ruby2:1:mail", heard=ago(130))
    add_worker(clean_redis, "ruby3:1:mail", heard=ago(500))
    assert "2 workers of other programs were not heard from for two minutes. Workers" in others(admin_client)


def test_delayed_jobs_that_no_scheduler_would_enqueue_are_told(admin_client: Client, clean_redis: redis.Redis):
    clean_redis.zadd("resque:delayed_queue_schedule", {"4102444800": 4102444800})
    assert "no scheduler is alive" in page(admin_client)
    clean_redis.set("resque:resque:resque_scheduler_master_lock", "box1:26144:math")
    assert "no scheduler is alive" not in page(admin_client)
    clean_redis.zadd("resque:django:retries", {"abc123.1.1\ndefault\n{}": 4102444800})
    assert "no scheduler is alive" in page(admin_client)
    clean_redis.set("resque:django:scheduler", "box1:1:abc", ex=15)
    assert "no scheduler is alive" not in page(admin_client)


def test_what_is_paused_is_told(admin_client: Client, clean_redis: redis.Redis):
    clean_redis.set("resque:pause-all-workers", " True\n")
    assert others(admin_client) == ["All workers are paused: they take no new jobs. Workers"]
    clean_redis.set("resque:pause-all-workers", "false")
    store().ask(store().control.pause_queue("mail"))
    assert others(admin_client) == ["The queue mail is paused. Queues"]
    store().ask(store().control.pause_queue("low"))
    assert others(admin_client) == ["Queues are paused: low, mail. Queues"]


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_server_that_may_drop_something_is_told(admin_client: Client, clean_redis: redis.Redis, policy: str):
    clean_redis.config_set("maxmemory-policy", policy)
    try:
        assert f"maxmemory-policy is {policy}" in page(admin_client)
    finally:
        clean_redis.config_set("maxmemory-policy", "noeviction")
    assert "maxmemory-policy" not in page(admin_client)


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


def test_the_number_of_round_trips_does_not_grow(admin_client: Client, clean_redis: redis.Redis):
    for index in range(20):
        enqueue(clean_redis, f"queue{index}", *[Job("send_welcome")] * 1_000)
        add_worker(clean_redis, f"box1~k3f9ad-{index}:42:mail", heard=ago(1), job=Job("send_welcome").payload())
        add_failure(clean_redis, Job("send_welcome"))
        count(clean_redis, index * 70, 10)
    some = round_trips(admin_client, URL)
    many = clean_redis.pipeline()
    for index in range(2_000):
        many.sadd("resque:queues", f"another{index}")
        many.sadd("resque:workers", f"box2:{index}:mail")
        many.rpush("resque:failed", b"{}")
        many.zadd("resque:delayed_queue_schedule", {str(index): index})
    many.execute()
    assert some == round_trips(admin_client, URL) == 5


def test_of_many_queues_and_workers_a_part_is_read_and_it_says_so(admin_client: Client, clean_redis: redis.Redis):
    clean_redis.sadd("resque:queues", *(f"queue{index}" for index in range(3_000)))
    clean_redis.sadd("resque:workers", *(f"box2~k3f9ad-{index}:42:mail" for index in range(700)))
    clean_redis.rpush("resque:queue:queue1", Job("act").payload())
    for second in range(1_005):
        clean_redis.zadd("resque:delayed_queue_schedule", {str(second): second})
        clean_redis.rpush(f"resque:delayed:{second}", "{}")
    text = page(admin_client)
    assert "1,000 of 3,000 queues" in text
    assert "Running 0 500 of 700 workers Workers 700 Delayed ≥ 1,000" in text
    assert "Queues (the longest 20 of 3,000)" in text
    assert "no worker listens" not in text


@pytest.mark.parametrize("count", [1, 100, 127, 129, 511, 513, 999, 1_000])
def test_up_to_the_bound_no_queue_is_left_out(clean_redis: redis.Redis, count: int):
    clean_redis.sadd("resque:queues", *(f"queue{index}" for index in range(count)))
    assert len(store().queue_table().queues) == count


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


KEYS = ["queues", "queue:mail", "workers", "worker:box1:1:mail", "workers:heartbeat", "failed", "django:retries"]


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
    assert ("low 1 " in text) == (key != "queues")
    assert ("Workers 2" in text) == (key != "workers")
    assert ("went wrong" in text) == (key != "failed")
    told = ("queues", "workers", "failed", "workers:heartbeat", "django:retries")
    assert (f"resque:{key}: WRONGTYPE" in text) == (key in told)
    if key in ("queues", "failed"):
        assert "Nothing to show." in text
    if key == "queue:mail":
        assert "resque:queue:mail cannot be read as a list" in text
        assert "mail not a list" in text


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
        (-50, "0 s"),
        (0, "0 s"),
        (1, "1 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (7500, "2 h 5 min"),
        (90_000, "1 d 1 h"),
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
