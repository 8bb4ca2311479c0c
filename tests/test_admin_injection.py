"""Whatever anybody has written into Redis does no harm on any page, and in no question that an action asks."""

from __future__ import annotations

import re

import pytest
import redis
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


@pytest.mark.parametrize("kind", ["string", "stream", "list", "hash", "zset", "set"])
def test_keys_of_the_wrong_type_break_no_page(admin_client: Client, clean_redis: redis.Redis, kind: str):
    fill(clean_redis, "text")
    addressed = list(addresses("text"))
    for key in sorted(clean_redis.scan_iter()):
        if clean_redis.type(key).decode() == kind:
            continue
        kept = clean_redis.dump(key)
        clean_redis.delete(key)
        {
            "string": lambda key: clean_redis.set(key, "surprise"),
            "stream": lambda key: clean_redis.xadd(key, {"a": "b"}),
            "list": lambda key: clean_redis.rpush(key, "surprise"),
            "hash": lambda key: clean_redis.hset(key, "a", "b"),
            "zset": lambda key: clean_redis.zadd(key, {"a": 1}),
            "set": lambda key: clean_redis.sadd(key, "a"),
        }[kind](key)
        for address in {address.partition("?")[0]: address for address in addressed}.values():
            assert admin_client.get(address).status_code == 200, (key, address)
        clean_redis.delete(key)
        clean_redis.restore(key, 0, kept)
