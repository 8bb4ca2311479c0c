"""Whatever anybody has written into Redis does no harm on any page, and in no question that an action asks."""

from __future__ import annotations

import re

import pytest
import redis
from django.contrib.auth.models import Permission, User
from django.test import Client

from tests.full_store import addresses, fill, presses

HOSTILE = {
    "markup": "<script>alert(1)</script><b>",
    "attributes": "\"><img src=x onerror='alert(1)'>",
    "address": "javascript:alert(1)",
    "template": "{{ settings.SECRET_KEY }}{% now 'Y' %}%(count)s",
    "escapes": "\x1b[2J\x00\r\n\x7f\x85",
    "direction": "abc\u202egpj.exe\u2066\u200f",
    "path": "../../etc/passwd",
    "plain": "名前 😀 e\u0301",
    "long": "x" * 1_000_000,
    "nested": "[" * 3_000,
}
LARGEST = 600_000
"""Characters of a page: a list of a hundred rows has less."""

pytestmark = pytest.mark.timeout(300)


def assert_harmless(content: str, where: str) -> None:
    content = content.partition("<main")[2].partition("<footer")[0] or content
    content = re.sub(r'<input type="hidden"[^>]*>', "", content)  # nobody sees it; it is what the visitor has sent
    assert not re.search(
        r"<(script|img|iframe|b)\b|<[^>]*\son\w+=['\"]|<[^>]* style=|href=['\"]?javascript:", content
    ), where
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]", content), where
    assert len(content) < LARGEST, (where, len(content))


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_in_any_field_of_any_structure_does_harm_on_any_page(
    admin_client: Client, clean_redis: redis.Redis, name: str
):
    fill(clean_redis, HOSTILE[name])
    before = {key: clean_redis.dump(key) for key in clean_redis.scan_iter()}
    for address in addresses(HOSTILE[name]):
        response = admin_client.get(address)
        assert response.status_code == 200, address[:200]
        assert_harmless(response.content.decode(), address[:200])
    assert {key: clean_redis.dump(key) for key in clean_redis.scan_iter()} == before, "a page has written"


@pytest.mark.parametrize("depth", [40, 300, 450])
def test_no_nesting_breaks_a_page_for_anybody(admin_client: Client, clean_redis: redis.Redis, depth: int):
    fill(clean_redis, "text", nested=depth)
    onlooker = Client()
    user = User.objects.create_user("onlooker", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_dashboard"))
    onlooker.force_login(user)
    for address in addresses("text"):
        for client in (admin_client, onlooker):
            response = client.get(address)
            assert response.status_code == 200, address
            assert_harmless(response.content.decode(), address)


@pytest.mark.parametrize("name", HOSTILE)
def test_nor_in_the_questions_that_actions_ask(admin_client: Client, clean_redis: redis.Redis, name: str):
    fill(clean_redis, HOSTILE[name])
    before = {key: clean_redis.dump(key) for key in clean_redis.scan_iter()}
    for address, data in presses(HOSTILE[name]):
        response = admin_client.post(address, data)
        assert response.status_code in (200, 302), (address[:200], str(data)[:200])
        if response.status_code == 302:
            assert response["Location"].startswith("/admin/django_resque/dashboard/")
        else:
            assert_harmless(response.content.decode(), address[:200])
    assert {key: clean_redis.dump(key) for key in clean_redis.scan_iter()} == before, "a question has written"


def spoil(client: redis.Redis, key: bytes, kind: str) -> None:
    """Make something of another type of this key."""
    client.delete(key)
    if kind == "string":
        client.set(key, "surprise")
    elif kind == "list":
        client.rpush(key, "surprise")
    elif kind == "hash":
        client.hset(key, "a", "b")
    elif kind == "zset":
        client.zadd(key, {"a": 1})
    elif kind == "set":
        client.sadd(key, "a")
    else:
        client.xadd(key, {"a": "b"})


PAGES_ONCE = list({address.partition("?")[0]: address for address in addresses("text")}.values())


@pytest.mark.parametrize("kind", ["string", "list", "hash", "zset", "set", "stream"])
def test_when_all_keys_are_of_the_wrong_type_no_page_breaks(admin_client: Client, clean_redis: redis.Redis, kind: str):
    fill(clean_redis, "text")
    for key in clean_redis.scan_iter():
        if clean_redis.type(key).decode() != kind:
            spoil(clean_redis, key, kind)
    for address in PAGES_ONCE:
        assert admin_client.get(address).status_code == 200, address


def test_a_key_of_the_wrong_type_breaks_no_page(admin_client: Client, clean_redis: redis.Redis):
    fill(clean_redis, "text")
    for key in sorted(clean_redis.scan_iter()):
        kept = clean_redis.dump(key)
        spoil(clean_redis, key, "stream")
        for address in PAGES_ONCE:
            assert admin_client.get(address).status_code == 200, (key, address)
        clean_redis.delete(key)
        clean_redis.restore(key, 0, kept)
