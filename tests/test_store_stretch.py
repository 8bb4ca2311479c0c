"""What a page looks through of the delayed jobs and the retries, and how it finds one again by its bytes."""

from __future__ import annotations

import pytest
import redis

from django_resque.errors import StoreError
from django_resque.job import Job, digest
from django_resque.store import Taken, store, stretch

SECOND = 4_000_000_000


def delay(client: redis.Redis, second: int | str, *items: bytes) -> None:
    client.rpush(f"resque:delayed:{second}", *items)
    client.zadd("resque:delayed_queue_schedule", {str(second): float(second)})


def retry(client: redis.Redis, due: float, number: int, job: Job | None = None) -> bytes:
    job = job or Job("act", (number,), queue="mail")
    member = f"ab.{number} {job.id}\n{job.queue}\n".encode() + job.payload()
    client.zadd("resque:django:retries", {member: due})
    return member


# -- delayed jobs ------------------------------------------------------------------------------------------------------


def test_nothing_is_delayed(clean_redis):
    found = store().delayed.stretch()
    assert (found.items, found.left, found.trouble) == ([], None, [])
    assert abs(found.time - clean_redis.time()[0]) < 5


def test_delayed_jobs_come_in_the_order_of_time(clean_redis):
    delay(clean_redis, SECOND + 1, b"3")
    delay(clean_redis, SECOND, b"1", b"2")
    delay(clean_redis, -5, b"0")
    found = store().delayed.stretch()
    assert [(each.second, each.raw) for each in found.items] == [
        (-5, b"0"),
        (SECOND, b"1"),
        (SECOND, b"2"),
        (SECOND + 1, b"3"),
    ]
    assert found.left is None


@pytest.mark.parametrize(("most", "left"), [(3, SECOND), (20, SECOND + 1), (25, SECOND + 1), (30, None)])
def test_it_ends_after_so_many_and_says_where_the_rest_begins(clean_redis, most: int, left: float | None):
    delay(clean_redis, SECOND, *(b"%d" % number for number in range(20)))
    delay(clean_redis, SECOND + 1, *(b"%d" % number for number in range(20, 30)))
    found = store().delayed.stretch(most=most)
    assert [each.raw for each in found.items] == [b"%d" % number for number in range(most)]
    assert found.left == left


def test_it_goes_on_from_any_moment(clean_redis):
    for number in range(10):
        delay(clean_redis, SECOND + number, b"%d" % number)
    first = store().delayed.stretch(most=4)
    assert first.left == SECOND + 4
    rest = store().delayed.stretch(int(first.left))
    assert [each.raw for each in rest.items] == [b"%d" % number for number in range(4, 10)]


def test_large_items_end_it_early_and_one_comes_at_least(clean_redis):
    large = b"x" * (stretch.MOST_BYTES // 2 - 100)
    delay(clean_redis, SECOND, large + b"1", large + b"2", large + b"3")
    found = store().delayed.stretch()
    assert [each.raw[-1:] for each in found.items] == [b"1", b"2"]
    assert found.left == SECOND
    clean_redis.delete(f"resque:delayed:{SECOND}")
    delay(clean_redis, SECOND, large * 3, b"small")
    assert len(store().delayed.stretch().items) == 1


def test_what_is_no_second_is_told_and_passed_over(clean_redis):
    clean_redis.set(f"resque:delayed:{SECOND}", "a text")
    names = {str(SECOND): SECOND, "no second": 1, "007": 7, "x" * 1_000: 8, str(SECOND + 1): SECOND + 1}
    clean_redis.zadd("resque:delayed_queue_schedule", names)
    delay(clean_redis, SECOND + 2, b"item")
    found = store().delayed.stretch()
    assert [each.raw for each in found.items] == [b"item"]
    assert found.trouble[:2] == [
        "no second, though it stands in the schedule: no second",
        "no second, though it stands in the schedule: 007",
    ]
    assert found.trouble[3:] == [
        f"resque:delayed:{SECOND} is a string and not a list",
        f"resque:delayed:{SECOND + 1} is a none and not a list",
    ]
    assert max(map(len, found.trouble)) < 300


def test_a_schedule_of_another_type_is_an_error(clean_redis):
    clean_redis.set("resque:delayed_queue_schedule", "a text")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        store().delayed.stretch()


def test_an_item_is_found_again_by_its_second_and_its_bytes(clean_redis):
    items = [b"%d" % number for number in range(35)]
    delay(clean_redis, SECOND, *items, b"")
    clean_redis.set(f"resque:delayed:{SECOND + 1}", "a text")
    wanted = [(SECOND, digest(b"34")), (SECOND, digest(b"gone")), (SECOND + 1, digest(b"1")), (SECOND, digest(b""))]
    assert [(each.second, each.raw) for each in store().delayed.named(wanted)] == [(SECOND, b"34"), (SECOND, b"")]
    delay(clean_redis, SECOND + 2, b"34", b"35", b"35")
    wanted = [(SECOND, digest(b"34")), (SECOND + 2, digest(b"35"))]
    assert [(each.second, each.raw) for each in store().delayed.named(wanted)] == [(SECOND, b"34"), (SECOND + 2, b"35")]
    assert store().delayed.named([]) == []


def test_several_are_run_and_moved_and_what_is_gone_or_cannot_go_is_told(clean_redis):
    jobs = [Job("act", (number,), queue=queue) for number, queue in enumerate(["mail", "mail", "broken"])]
    delay(clean_redis, SECOND, *(job.delayed_item() for job in jobs), b"garbage")
    clean_redis.set("resque:queue:broken", "a text")
    found = list(store().delayed.each())
    clean_redis.lrem(f"resque:delayed:{SECOND}", 1, jobs[1].delayed_item())
    assert store().delayed.run_all(found) == Taken(done=1, gone=1, stuck=2)
    assert clean_redis.lrange("resque:queue:mail", 0, -1) == [jobs[0].delayed_item()]
    assert store().delayed.move_all(found, SECOND + 9) == Taken(done=2, gone=2)
    assert clean_redis.zrange("resque:delayed_queue_schedule", 0, -1) == [b"%d" % (SECOND + 9)]
    assert clean_redis.lrange(f"resque:delayed:{SECOND + 9}", 0, -1) == [jobs[2].delayed_item(), b"garbage"]


# -- retries -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("most", "left"), [(1, SECOND + 1), (10, SECOND + 10), (25, None), (100, None)])
def test_retries_come_in_the_order_of_time_too(clean_redis, most: int, left: float | None):
    members = [retry(clean_redis, SECOND + number, number) for number in range(25)]
    found = store().retries.stretch(most=most)
    assert [each.raw for each in found.items] == members[:most]
    assert found.left == left
    later = store().retries.stretch(SECOND + 20)
    assert [each.raw for each in later.items] == members[20:]


def test_large_retries_end_it_early(clean_redis):
    large = b"x" * (stretch.MOST_BYTES // 2)
    clean_redis.zadd("resque:django:retries", {b"1" + large: 1, b"2" + large: 2, b"3": 3})
    found = store().retries.stretch()
    assert [each.raw[:1] for each in found.items] == [b"1"]
    assert found.left == 2


def test_a_retry_is_found_again_by_its_bytes(clean_redis):
    members = [retry(clean_redis, SECOND + number, number) for number in range(2_500)]
    wanted = [digest(members[2_400]), digest(b"gone"), digest(members[3])]
    assert {each.raw for each in store().retries.named(wanted)} == {members[2_400], members[3]}
    assert store().retries.named([digest(members[2_400])], most=1_000) == []
    assert store().retries.named([]) == []


def test_several_retries_are_run_at_once(clean_redis):
    first, second = (retry(clean_redis, SECOND, number) for number in range(2))
    clean_redis.zadd("resque:django:retries", {"garbage": SECOND})
    found = list(store().retries.each())
    clean_redis.zrem("resque:django:retries", second)
    assert store().retries.run_all(found) == Taken(done=1, gone=1, stuck=1)
    assert clean_redis.zrange("resque:django:retries", 0, -1) == [b"garbage"]
    assert clean_redis.lrange("resque:queue:mail", 0, -1) == [first.split(b"\n", 2)[2]]
