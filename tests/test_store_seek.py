"""Searching in Redis: what is found, what is left out and told so, and that it costs one round trip."""

from __future__ import annotations

import redis

from django_resque.store import Haystack, Hit, store


def found(*haystacks: Haystack, text: bytes = b"needle") -> list[Hit]:
    return list(store().seek(text, haystacks).found)


def test_the_elements_that_contain_the_text_are_found_in_lists_sorted_sets_and_strings(clean_redis: redis.Redis):
    clean_redis.rpush("list", "hay", "a needle", "hay")
    clean_redis.zadd("zset", {"hay": 1, "needles": 2.5})
    clean_redis.set("string", "the needle")
    assert found(Haystack(["list", "zset", "string", "none"])) == [
        Hit("list", b"a needle", None),
        Hit("zset", b"needles", 2.5),
        Hit("string", b"the needle", None),
    ]


def test_what_is_searched_for_is_no_pattern(clean_redis: redis.Redis):
    clean_redis.rpush("list", "a.b", "axb", "%a", "[x]")
    assert [hit.raw for hit in found(Haystack(["list"]), text=b"a.b")] == [b"a.b"]
    assert [hit.raw for hit in found(Haystack(["list"]), text=b"[x]")] == [b"[x]"]


def test_keys_of_other_types_have_nothing(clean_redis: redis.Redis):
    clean_redis.hset("hash", "needle", "needle")
    clean_redis.sadd("set", "needle")
    hits = store().seek(b"needle", [Haystack(["hash", "set"])])
    assert (hits.found, hits.whole) == ([], True)


def test_every_element_of_a_list_that_is_short_enough_is_looked_at(clean_redis: redis.Redis):
    for length in (1, 99, 100, 101, 1_000, 9_999, 10_000):
        clean_redis.delete("list")
        clean_redis.rpush("list", *range(length))
        for at in {0, length // 3, length // 2, length - 1}:
            clean_redis.lset("list", at, f"needle {at}")
            for haystack in (Haystack(["list"]), Haystack(["list"], tail=True)):
                hits = store().seek(b"needle %d" % at, [haystack])
                assert ([hit.raw for hit in hits.found], hits.whole) == ([b"needle %d" % at], True), (length, at)


def test_of_a_long_list_both_ends_are_looked_through_and_it_says_so(clean_redis: redis.Redis):
    clean_redis.rpush("list", "needle first", *range(6_000), "needle middle", *range(6_000), "needle last")
    hits = store().seek(b"needle", [Haystack(["list"])])
    assert ([hit.raw for hit in hits.found], hits.whole) == ([b"needle first", b"needle last"], False)
    hits = store().seek(b"needle", [Haystack(["list"], tail=True)])
    assert ([hit.raw for hit in hits.found], hits.whole) == ([b"needle middle", b"needle last"][::-1], False)


def test_many_lists_share_what_is_looked_through(clean_redis: redis.Redis):
    keys = [f"list{number}" for number in range(1_000)]
    for key in keys:
        clean_redis.rpush(key, *range(10))
    clean_redis.lset("list777", 9, "needle")
    hits = store().seek(b"needle", [Haystack(keys)])
    assert (list(hits.found), hits.whole) == ([Hit("list777", b"needle", None)], True)
    clean_redis.rpush("list5", "more")
    assert not store().seek(b"needle", [Haystack(keys)]).whole


def test_large_elements_end_the_search_early_and_it_says_so(clean_redis: redis.Redis):
    clean_redis.rpush("list", *["x" * 200_000] * 50, "needle")
    hits = store().seek(b"needle", [Haystack(["list"], most=100)])
    assert (hits.found, hits.whole) == ([], False)
    clean_redis.rpush("one", "needle" * 1_000_000)
    hits = store().seek(b"needle", [Haystack(["one"])])
    assert (hits.found, hits.whole) == ([], False)
    clean_redis.set("string", "needle" * 1_000_000)
    assert not store().seek(b"needle", [Haystack(["string"], most=1)]).whole


def test_few_of_many_that_contain_it_are_given(clean_redis: redis.Redis):
    clean_redis.rpush("list", *[f"needle {number}" for number in range(50)])
    hits = store().seek(b"needle", [Haystack(["list"])])
    assert (len(hits.found), hits.whole) == (3, False)
