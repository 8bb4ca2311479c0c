"""The death of worker processes: what they held is given back, once, whoever finds them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from django_resque.errors import StoreError
from django_resque.failure import failure_record
from django_resque.store import Bequest, Burial, Entry, Process, Remains, Reserved, store
from django_resque.worker import entries

from .processes_in_redis import IDENTITY, WORKER, TurnTaker, digest, full, guard, state

MEMBER = f"abc123 {IDENTITY}"
START = "start"


@pytest.fixture
def taker() -> Iterator[Callable[..., TurnTaker]]:
    """Makes worker processes."""
    made: list[TurnTaker] = []

    def make(name: str, **kwargs: Any) -> TurnTaker:
        made.append(TurnTaker(name, **kwargs))
        return made[-1]

    yield make
    for process in made:
        process.close()


@pytest.fixture
def dead(taker) -> TurnTaker:
    """A worker process that is going to be dead."""
    return taker("abc123")


@pytest.fixture
def reaper(taker) -> TurnTaker:
    """One that lives, and is not registered so that Redis holds nothing of it."""
    return taker("reaper", register=False)


@pytest.fixture
def other(taker) -> TurnTaker:
    """Another of those."""
    return taker("other", register=False)


def payload(number: int, **more: Any) -> bytes:
    return json.dumps({"class": "act", "args": [[number]], "id": f"id{number}", **more}).encode()


def bury(reaper: TurnTaker, dead: TurnTaker, remains: Remains) -> Burial:
    """What a reaper does with what it found."""
    bequests = entries.bequests(remains, max_crashes=3)
    return reaper.ask(reaper.reservations.bury(dead.process, remains.workers, bequests))


def reap(reaper: TurnTaker, dead: TurnTaker) -> int:
    """Condemn and bury until nothing is left; gives how many rounds that took."""
    for rounds in range(1, 1000):
        remains = reaper.condemn(dead)
        if remains.state != "dead":
            return rounds - 1
        burial = bury(reaper, dead, remains)
        assert burial.trouble == []
        if not burial.left:
            return rounds
    raise AssertionError("it goes on and on")


def started(process: TurnTaker, *jobs: Reserved) -> None:
    """Make it known that these jobs begin."""
    process.turn(*[Entry(START, process.workers[0], job.token, record=guard(once=True)) for job in jobs])


def ended(kind: str, reserved: Reserved, worker: str = WORKER) -> Entry:
    return Entry(kind, worker, reserved.token, "1", kind.encode(), b"waiting", b"a record", b"output")


def failures(client: redis.Redis) -> list[dict[str, Any]]:
    return [json.loads(record) for record in client.lrange("resque:failed", 0, -1)]


# -- declaring a process dead ------------------------------------------------------------------------------------------


def test_a_proved_death_needs_no_end_of_the_lease(dead, reaper, clean_redis):
    first, second = dead.reserve("a", "b")
    remains = reaper.condemn(dead, proved=True)
    assert remains == Remains("dead", True, [WORKER], 2, [(second, ""), (first, "")], [])
    assert clean_redis.zscore("resque:django:processes", MEMBER) == 0


def test_without_a_proof_a_process_lives_until_its_lease_ends(dead, reaper, clean_redis):
    dead.reserve("a")
    before = state(clean_redis)
    assert reaper.condemn(dead, proved=False).state == "alive"
    assert state(clean_redis) == before
    seconds = clean_redis.time()[0]
    clean_redis.zadd("resque:django:processes", {MEMBER: seconds + 2})
    assert reaper.condemn(dead, proved=False).state == "alive"
    clean_redis.zadd("resque:django:processes", {MEMBER: seconds})
    remains = reaper.condemn(dead, proved=False)
    assert (remains.state, remains.first) == ("dead", True)


@pytest.mark.parametrize("proved", [False, True])
def test_a_process_that_is_not_there_is_unknown_and_nothing_is_done(taker, reaper, clean_redis, proved):
    nobody = taker("nobody", register=False)
    dead = taker("abc123", identity="another machine")
    assert reaper.condemn(nobody, proved=proved).state == "unknown"
    nobody.process = Process("abc123", IDENTITY, 0)  # the same name with another identity is another process
    assert reaper.condemn(nobody, proved=proved).state == "unknown"
    assert bury(reaper, nobody, Remains("dead", True, [], 0, [])) == Burial(0, [], [])
    assert dead.turn().state == "ok"


def test_a_process_is_left_to_who_declared_it_dead_for_a_while(dead, reaper, other, clean_redis):
    dead.reserve("a")
    assert reaper.condemn(dead).first
    before = state(clean_redis)
    assert other.condemn(dead).state == other.condemn(dead, proved=False).state == "taken"
    assert state(clean_redis) == before
    again = reaper.condemn(dead, proved=False)
    assert (again.state, again.first) == ("dead", False)
    clean_redis.hset("resque:django:process:abc123", "buried until", clean_redis.time()[0])
    remains = other.condemn(dead, proved=False)  # the first is not coming back
    assert (remains.state, remains.first, remains.reservations) == ("dead", False, 1)
    assert reaper.condemn(dead).state == "taken"
    assert bury(other, dead, remains) == Burial(0, ["1.1"], [])
    assert reaper.condemn(dead).state == "unknown"


def test_a_living_process_is_not_buried(dead, reaper, clean_redis):
    (reserved,) = dead.reserve("a")
    before = state(clean_redis)
    burial = bury(reaper, dead, Remains("dead", True, [WORKER], 1, [(reserved, "")]))
    assert burial == Burial(0, [], [])
    assert state(clean_redis) == before


def test_a_process_whose_record_was_lost_is_buried_all_the_same(dead, reaper, clean_redis):
    dead.reserve("a")
    clean_redis.delete("resque:django:process:abc123")
    assert dead.turn().state == "gone"
    reap(reaper, dead)
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [b"a"]
    assert not clean_redis.exists("resque:django:processes", "resque:django:process:abc123")


# -- the fence ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("buried", [False, True])
@pytest.mark.parametrize("kind", ["running", "start", "done", "failed", "crashed", "interrupted", "given back"])
def test_a_condemned_process_is_gone_and_its_late_reports_change_nothing(dead, reaper, clean_redis, kind, buried):
    clean_redis.set("resque:job:1:status", "waiting")
    first, _ = dead.reserve("a", "b")
    remains = reaper.condemn(dead)
    if buried:
        bury(reaper, dead, remains)
    clean_redis.rpush("resque:queue:default", "c")
    before = state(clean_redis)
    late = [ended(kind, first), Entry("beat", WORKER, record=b"I live")]
    for answer in (dead.turn(*late, wanted=5, renew=True, look=True), dead.again(*late, wanted=5)):
        assert (answer.state, answer.jobs, answer.refused) == ("gone", [], [])
    dead.number -= 1
    assert dead.again(wanted=1).state == "gone"  # also the turn that it had taken before
    assert state(clean_redis) == before


def test_a_condemned_process_that_says_goodbye_takes_nothing_with_it(dead, reaper, clean_redis):
    dead.reserve("a")
    remains = reaper.condemn(dead)
    assert dead.unregister() == 1
    assert bury(reaper, dead, remains) == Burial(0, ["1.1"], [])
    assert state(clean_redis).keys() == {"queue:default", "queues", "django:crashes"}


def test_a_condemned_process_does_not_come_back_under_its_name(dead, reaper, clean_redis):
    dead.reserve("a")
    reaper.condemn(dead)
    dead.register()
    assert dead.turn().state == "gone"


# -- what becomes of the jobs ------------------------------------------------------------------------------------------


def test_nothing_is_left_of_a_dead_process_but_its_jobs(dead, reaper, clean_redis):
    clean_redis.rpush("resque:queue:default", "z")
    jobs = dead.reserve("a", "b")
    assert [job.payload for job in jobs] == [b"z", b"a"]
    dead.turn(
        Entry("running", WORKER, jobs[0].token, record=b"what runs"),
        Entry("beat", WORKER, record=b"now"),
    )
    (third,) = dead.turn(wanted=1).jobs
    dead.turn(ended("failed", third))
    assert reap(reaper, dead) == 1
    assert state(clean_redis) == {
        "queue:default": [b"z", b"a"],
        "queues": {b"default"},
        "django:crashes": {digest(each).encode(): b"0" for each in (b"z", b"a")},
        "django:output:1": b"output",
        "django:recent": [b"failed"],
        "failed": [b"a record"],
        "stat:processed": b"1",
        "stat:failed": b"1",
    }


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250, 700])
def test_jobs_return_to_the_heads_of_their_queues_in_their_order(dead, reaper, clean_redis, count):
    numbers = [payload(number) for number in range(count)]
    for at in range(0, count, 7):  # from two queues in turn, and in batches
        dead.reserve(*numbers[at : at + 7], queue="odd" if at % 2 else "even")
    clean_redis.rpush("resque:queue:odd", "last")
    clean_redis.rpush("resque:queue:even", "last")
    assert reap(reaper, dead) == max(1, -(-count // 100))
    back = {b"odd": [], b"even": []}
    for at in range(0, count, 7):
        back[b"odd" if at % 2 else b"even"] += numbers[at : at + 7]
    assert clean_redis.lrange("resque:queue:odd", 0, -1) == [*back[b"odd"], b"last"]
    assert clean_redis.lrange("resque:queue:even", 0, -1) == [*back[b"even"], b"last"]
    assert clean_redis.hlen("resque:django:crashes") == count
    assert not clean_redis.exists("resque:django:reservations:abc123", "resque:django:processes", "resque:failed")


def test_large_jobs_are_buried_a_few_at_a_time(dead, reaper, clean_redis):
    jobs = [bytes([number]) * 600_000 for number in range(7)]
    dead.reserve(*jobs)
    assert reap(reaper, dead) == 4
    assert clean_redis.lrange("resque:queue:default", 0, -1) == jobs


def test_a_status_says_that_the_job_waits_again(dead, reaper, clean_redis):
    clean_redis.set("resque:job:id1:status", "running", ex=1000)
    dead.reserve(payload(1), payload(2))
    reap(reaper, dead)
    assert json.loads(clean_redis.get("resque:job:id1:status"))["status"] == 1
    assert 990 < clean_redis.ttl("resque:job:id1:status") <= 1000
    assert not clean_redis.exists("resque:job:id2:status")


def test_jobs_that_return_ring_the_bell_once_for_each_queue_that_was_empty(dead, reaper, clean_redis):
    dead.reserve("a", "b", queue="empty")
    dead.reserve("c", queue="busy")
    clean_redis.rpush("resque:queue:busy", "d")
    with clean_redis.pubsub() as bell:
        bell.subscribe("resque:django:bell")
        heard = bell.listen()
        next(heard)
        reap(reaper, dead)
        clean_redis.publish("resque:django:bell", "the end")
        assert [next(heard)["data"] for _ in range(2)] == [b"empty", b"the end"]


@pytest.mark.parametrize("raw", [b"", b"\n", b"\xff\xfe", b"[]", b"[" * 100_000, b"{}", b'{"class":1}', b"null"])
def test_payloads_that_are_no_jobs_return_as_they_are(dead, reaper, clean_redis, raw):
    dead.reserve(raw, payload(1))
    reap(reaper, dead)
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [raw, payload(1)]


def test_identical_jobs_all_return(dead, reaper, clean_redis):
    dead.reserve(*[b'{"class":"act","args":[]}'] * 30)
    reap(reaper, dead)
    assert clean_redis.llen("resque:queue:default") == 30
    assert list(clean_redis.hgetall("resque:django:crashes").values()) == [b"0"]


# -- suspects ----------------------------------------------------------------------------------------------------------


def test_a_death_makes_suspects_of_all_jobs_and_proves_nothing(dead, reaper, clean_redis):
    dead.reserve("a", "b", "c")
    reap(reaper, dead)
    assert clean_redis.hgetall("resque:django:crashes") == {digest(job).encode(): b"0" for job in (b"a", b"b", b"c")}
    assert 72 * 3600 - 5 < clean_redis.ttl("resque:django:crashes") <= 72 * 3600


def lives(taker: Callable[..., TurnTaker], reaper: TurnTaker) -> Iterator[TurnTaker]:
    """One worker process after the other; each dies when the next is asked for."""
    for number in range(1000):
        process = taker(f"life{number:02}")
        yield process
        reap(reaper, process)


def test_a_job_of_which_three_processes_died_alone_is_its_one_failure(taker, reaper, clean_redis):
    clean_redis.set("resque:job:id1:status", "waiting")
    clean_redis.rpush("resque:queue:default", payload(1))
    seen = []
    for process in lives(taker, reaper):
        jobs = process.turn(wanted=9).jobs
        if not jobs:
            break
        seen.append(jobs[0].crashes)
    assert seen == [None, 0, 1, 2]  # the first death made it a suspect
    (failure,) = failures(clean_redis)
    assert failure["exception"] == "PoisonJob"
    assert "each of 3 attempts" in failure["error"]
    assert failure["payload"] == json.loads(payload(1))
    assert failure["worker"] == "host~life03-1:42:default"
    assert clean_redis.get("resque:stat:processed") == clean_redis.get("resque:stat:failed") == b"1"
    assert json.loads(clean_redis.get("resque:job:id1:status"))["status"] == 3
    assert not clean_redis.exists("resque:django:crashes")


def test_a_poisoned_job_takes_no_other_with_it(taker, reaper, clean_redis):
    """A process performs what it is given; one job kills it, whichever else it holds."""
    good = [payload(number) for number in range(20)]
    poison = payload(666)
    clean_redis.rpush("resque:queue:default", *good[:10], poison, *good[10:])
    performed = []
    for process in lives(taker, reaper):
        jobs = list(process.turn(wanted=8).jobs)
        if not jobs:
            break
        while jobs and jobs[0].payload != poison:
            performed.append(jobs[0].payload)
            jobs = [*jobs[1:], *process.turn(ended("done", jobs[0], process.workers[0]), wanted=1).jobs]
    assert performed == good
    assert [failure["payload"]["id"] for failure in failures(clean_redis)] == ["id666"]
    assert clean_redis.get("resque:stat:processed") == b"21"


def test_a_death_with_one_suspect_counts_whatever_else_was_held(dead, reaper, clean_redis):
    clean_redis.hset("resque:django:crashes", digest(b"b"), 1)
    dead.reserve("a", "b", "c")
    remains = reaper.condemn(dead)
    assert [reserved.crashes for reserved, _ in remains.held] == [None, 1, None]
    bury(reaper, dead, remains)
    crashes = clean_redis.hgetall("resque:django:crashes")
    assert crashes == {digest(b"a").encode(): b"0", digest(b"b").encode(): b"2", digest(b"c").encode(): b"0"}


def test_a_death_with_two_suspects_counts_for_none(dead, reaper, clean_redis):
    clean_redis.hset("resque:django:crashes", mapping={digest(b"a"): 2, digest(b"b"): 2})
    dead.reserve("a", "b")
    reap(reaper, dead)
    assert list(clean_redis.hgetall("resque:django:crashes").values()) == [b"2", b"2"]


def test_a_death_counts_once_however_often_it_is_dealt_with(dead, reaper, other, clean_redis):
    clean_redis.hset("resque:django:crashes", digest(b"a"), 1)
    dead.reserve("a")
    reaper.condemn(dead)  # and dies itself
    clean_redis.hset("resque:django:process:abc123", "buried until", 1)
    reap(other, dead)
    assert clean_redis.hget("resque:django:crashes", digest(b"a")) == b"1"


@pytest.mark.parametrize("garbage", ["many", "", "1.5", "-3", "nan", "inf", "0x10"])
def test_a_count_that_is_no_count_hinders_nobody(dead, reaper, clean_redis, garbage):
    clean_redis.hset("resque:django:crashes", digest(b"b"), garbage)
    dead.reserve("a", "b", "c")
    reap(reaper, dead)
    assert clean_redis.llen("resque:queue:default") + clean_redis.llen("resque:failed") == 3


def test_no_more_than_ten_thousand_suspects_are_remembered(dead, reaper, clean_redis):
    clean_redis.hset("resque:django:crashes", mapping={str(number): 1 for number in range(9_990)})
    dead.reserve(*map(str, range(100_000, 100_050)))
    reap(reaper, dead)
    assert clean_redis.hlen("resque:django:crashes") == 10_000


# -- jobs that must not begin twice, and those that have failed already ------------------------------------------------


def test_a_job_that_must_not_begin_twice_is_a_failure_once(dead, reaper, other, clean_redis):
    begun, waits = dead.reserve(payload(1), payload(2))
    started(dead, begun)
    clean_redis.hset("resque:django:crashes", digest(begun.payload), 1)
    remains = reaper.condemn(dead)
    assert [(reserved.payload, worker) for reserved, worker in remains.held] == [
        (waits.payload, ""),
        (begun.payload, WORKER),
    ]
    bury(reaper, dead, remains)
    bury(reaper, dead, remains)
    (failure,) = failures(clean_redis)
    assert (failure["exception"], failure["worker"]) == ("DirtyExit", WORKER)
    assert failure["payload"] == json.loads(payload(1))
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [payload(2)]
    assert clean_redis.get("resque:stat:processed") == clean_redis.get("resque:stat:failed") == b"1"
    assert clean_redis.hkeys("resque:django:crashes") == [digest(payload(2)).encode()]


def test_the_worker_of_a_failure_is_the_one_that_had_begun_the_job(taker, reaper, clean_redis):
    workers = [f"host~abc123-{slot}:42:default" for slot in (1, 2, 3)]
    dead = taker("abc123", workers=workers)
    (reserved,) = dead.reserve(payload(1))
    dead.turn(Entry(START, workers[2], reserved.token, record=guard(once=True)))
    reap(reaper, dead)
    assert [failure["worker"] for failure in failures(clean_redis)] == [workers[2]]
    assert not clean_redis.exists("resque:workers")


def ruby(payload: bytes, exception: str = "Resque::PruneDeadWorkerDirtyExit", worker: str = WORKER) -> bytes:
    """The failure that Ruby's workers write of a job whose worker they take for dead."""
    return failure_record(
        payload=payload, queue="default", worker=worker, exception=exception, error="?", now=datetime.now(UTC)
    )


@pytest.mark.parametrize("exception", ["Resque::PruneDeadWorkerDirtyExit", "Resque::DirtyExit"])
def test_a_job_that_ruby_made_a_failure_is_dropped(dead, reaper, clean_redis, exception):
    dead.reserve(payload(1), payload(2))
    clean_redis.rpush("resque:failed", ruby(payload(1), exception))
    clean_redis.srem("resque:workers", WORKER)
    reap(reaper, dead)
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [payload(2)]
    assert clean_redis.llen("resque:failed") == 1
    assert clean_redis.get("resque:stat:processed") == b"1"
    assert clean_redis.get("resque:stat:failed") == b"1"  # Ruby's workers write the record and count nothing
    assert clean_redis.hkeys("resque:django:crashes") == [digest(payload(2)).encode()]


def test_one_failure_of_rubys_is_one_jobs_although_others_are_identical(dead, reaper, clean_redis):
    same = b'{"class":"act","args":[]}'
    dead.reserve(*[same] * 5)
    clean_redis.rpush("resque:failed", *[ruby(same)] * 2)
    clean_redis.srem("resque:workers", WORKER)
    reap(reaper, dead)
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [same] * 3
    assert clean_redis.get("resque:stat:processed") == b"2"


@pytest.mark.parametrize(
    "record",
    [
        ruby(payload(1), "ValueError"),  # it failed here before, and was retried
        ruby(payload(1), "DirtyExit"),
        ruby(payload(1), worker="host~another-1:42:default"),
        ruby(payload(2)),
        b"not JSON",
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"worker":"host~abc123-1:42:default","exception":"Resque::DirtyExit"}',
    ],
)
@pytest.mark.parametrize("how", ["pruned", "unregistered"])
def test_other_failures_take_no_job_away(dead, reaper, clean_redis, record, how):
    dead.reserve(payload(1))
    clean_redis.rpush("resque:failed", record)
    if how == "pruned":
        clean_redis.srem("resque:workers", WORKER)
    else:
        assert dead.unregister() == 1
    reap(reaper, dead)
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [payload(1)]
    assert clean_redis.lrange("resque:failed", 0, -1) == [record]


def test_failures_are_not_looked_at_while_the_workers_are_on_the_boards(dead, reaper, clean_redis):
    dead.reserve(payload(1))
    clean_redis.rpush("resque:failed", *[ruby(payload(number)) for number in range(150)])
    assert reaper.condemn(dead).failures == []
    clean_redis.srem("resque:workers", WORKER)
    assert len(reaper.condemn(dead).failures) == 100


# -- several reapers ---------------------------------------------------------------------------------------------------


def test_what_is_done_again_changes_nothing(dead, reaper, clean_redis):
    begun, _, _ = dead.reserve(payload(1), payload(2), payload(3))
    started(dead, begun)
    remains = reaper.condemn(dead)
    assert reaper.condemn(dead).held == remains.held
    assert sorted(bury(reaper, dead, remains).tokens) == ["1.1", "1.2", "1.3"]
    before = state(clean_redis)
    assert bury(reaper, dead, remains) == Burial(0, [], [])
    assert reaper.condemn(dead).state == "unknown"
    assert state(clean_redis) == before


def test_who_comes_too_late_buries_what_is_left_and_no_more(dead, reaper, clean_redis):
    dead.reserve(*map(payload, range(10)))
    remains = reaper.condemn(dead)
    bequests = entries.bequests(remains, 3)
    first = reaper.ask(reaper.reservations.bury(dead.process, remains.workers, bequests[:4]))
    assert (first.left, len(first.tokens)) == (6, 4)
    assert clean_redis.sismember("resque:workers", WORKER)
    second = reaper.ask(reaper.reservations.bury(dead.process, remains.workers, bequests))
    assert (second.left, len(second.tokens)) == (0, 6)
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [payload(number) for number in range(10)]


def test_many_reapers_that_find_the_same_dead_process_give_each_job_back_once(taker, clean_redis):
    count = 450
    dead = taker("abc123")
    for at in range(0, count, 50):
        dead.reserve(*map(payload, range(at, at + 50)))
    begun = dead.turn(wanted=0)
    assert begun.state == "ok"
    tokens = [token.decode() for token in clean_redis.hkeys("resque:django:reservations:abc123")]
    once = sorted(tokens)[::9]
    for at in range(0, len(once), 50):
        dead.turn(*[Entry(START, WORKER, token, record=guard(once=True)) for token in once[at : at + 50]])

    done: list[str] = []
    start = threading.Barrier(6)

    def hammer(number: int) -> None:
        reaper = TurnTaker(f"reap{number:02}", register=False)
        start.wait()
        while True:
            # Impatient ones: nobody waits for another, so that all of them have the same jobs in their hands.
            clean_redis_of_this.hset("resque:django:process:abc123", "buried until", 1)
            remains = reaper.condemn(dead)
            if remains.state == "unknown":
                break
            if remains.state == "dead":
                done.extend(bury(reaper, dead, remains).tokens)
        reaper.close()

    clean_redis_of_this = store().client
    threads = [threading.Thread(target=hammer, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    clean_redis.delete("resque:django:process:abc123")  # the last HSET of this test may have made it anew
    assert sorted(done) == sorted(tokens)
    queued = clean_redis.lrange("resque:queue:default", 0, -1)
    failed = failures(clean_redis)
    assert len(failed) == len(once)
    assert sorted(queued + [json.dumps(failure["payload"]).encode() for failure in failed]) == sorted(
        map(payload, range(count))
    )
    assert clean_redis.get("resque:stat:processed") == clean_redis.get("resque:stat:failed") == b"%d" % len(once)
    assert not clean_redis.exists("resque:django:reservations:abc123", "resque:django:processes", "resque:workers")


def test_reapers_and_the_dying_process_at_the_same_time_lose_no_job_and_double_none(taker, clean_redis):
    count = 300
    clean_redis.rpush("resque:queue:default", *map(payload, range(count)))
    performed: list[bytes] = []

    def work(number: int) -> None:
        """Perform jobs; again and again be taken for dead, and begin anew under another name."""
        life = 0
        process = TurnTaker(f"w{number}x{life:04}")
        told: list[Reserved] = []
        idle = 0
        while idle < 3:
            answer = process.turn(*[ended("done", job, process.workers[0]) for job in told], wanted=5)
            if answer.state == "gone":
                life, told = life + 1, []
                process.close()
                process = TurnTaker(f"w{number}x{life:04}")
                continue
            performed.extend(job.payload for job in told)  # what the answer says has been taken note of
            told = list(answer.jobs)
            idle = 0 if told or clean_redis_of_all.exists("resque:queue:default") else idle + 1
        process.close()

    def reap_all() -> None:
        reaper = TurnTaker(f"reap{threading.get_ident() % 97:02}", register=False)
        while any(thread.is_alive() for thread in workers):
            for member in clean_redis_of_all.zrange("resque:django:processes", 0, -1):
                name, _, identity = member.decode().partition(" ")
                victim = TurnTaker(name, register=False, identity=identity)
                reap(reaper, victim)
                victim.close()
            pause.wait(0.02)  # else nobody ever gets anything done
        reaper.close()

    clean_redis_of_all = store().client
    pause = threading.Event()
    workers = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    reapers = [threading.Thread(target=reap_all) for _ in range(2)]
    for thread in (*workers, *reapers):
        thread.start()
    for thread in (*workers, *reapers):
        thread.join()

    late = TurnTaker("last01")
    reaper = TurnTaker("reaper", register=False)
    for member in clean_redis.zrange("resque:django:processes", 0, -1):
        if not member.startswith(b"last01"):
            victim = TurnTaker(member.decode().partition(" ")[0], register=False)
            reap(reaper, victim)
            victim.close()
    while jobs := late.turn(wanted=5).jobs:
        late.turn(*[ended("done", job, late.workers[0]) for job in jobs])
        performed += [job.payload for job in jobs]
    late.close()
    reaper.close()
    assert int(clean_redis.get("resque:stat:processed")) == count
    poisoned = [json.dumps(failure["payload"]).encode() for failure in failures(clean_redis)]
    assert sorted(performed + poisoned) == sorted(map(payload, range(count)))


# -- keys that others have broken, and a server that is full -----------------------------------------------------------


def test_a_queue_that_is_no_list_any_more_costs_its_own_job_a_failure(dead, reaper, clean_redis):
    dead.reserve(payload(1), queue="broken")
    dead.reserve(payload(2), queue="sound")
    clean_redis.set("resque:queue:broken", "a string")
    burial = bury(reaper, dead, reaper.condemn(dead))
    assert (burial.left, sorted(burial.tokens)) == (0, ["1.1", "2.1"])
    assert "WRONGTYPE" in burial.trouble[0]
    (failure,) = failures(clean_redis)
    assert (failure["exception"], failure["queue"], failure["payload"]["id"]) == ("DirtyExit", "broken", "id1")
    assert clean_redis.lrange("resque:queue:sound", 0, -1) == [payload(2)]
    assert clean_redis.get("resque:queue:broken") == b"a string"


@pytest.mark.parametrize(
    "key",
    [
        "failed",
        "queues",
        "workers",
        "django:crashes",
        "django:processes",
        "django:process:abc123",
        "django:reservations:abc123",
    ],
)
def test_a_key_of_the_wrong_type_that_jobs_depend_on_stops_everything_before_it_is_begun(
    dead, reaper, clean_redis, key
):
    begun, _ = dead.reserve(payload(1), payload(2))
    started(dead, begun)
    known = Remains("dead", True, [WORKER], 2, [(begun, WORKER)])

    def broken(work: Callable[[], object]) -> None:
        kept = clean_redis.dump(f"resque:{key}")
        clean_redis.set(f"resque:{key}", "a string")
        before = state(clean_redis)
        with pytest.raises(StoreError, match="WRONGTYPE"):
            work()
        assert state(clean_redis) == before
        clean_redis.delete(f"resque:{key}")
        if kept is not None:
            clean_redis.restore(f"resque:{key}", 0, kept)

    if key != "queues":
        broken(lambda: reaper.condemn(dead))
    remains = reaper.condemn(dead)
    broken(lambda: bury(reaper, dead, known))
    bury(reaper, dead, remains)
    assert (clean_redis.llen("resque:queue:default"), clean_redis.llen("resque:failed")) == (1, 1)


@pytest.mark.parametrize(
    "key",
    ["stat:processed", "stat:failed", "workers:heartbeat", "job:id1:status", "job:id2:status", f"worker:{WORKER}"],
)
def test_a_key_of_the_wrong_type_that_people_look_at_hinders_nothing(dead, reaper, clean_redis, key):
    begun, _ = dead.reserve(payload(1), payload(2))
    started(dead, begun)
    clean_redis.delete(f"resque:{key}")
    clean_redis.zadd(f"resque:{key}", {"of another kind": 1})
    remains = reaper.condemn(dead)
    assert bury(reaper, dead, remains).left == 0
    assert clean_redis.lrange("resque:queue:default", 0, -1) == [payload(2)]
    assert clean_redis.llen("resque:failed") == 1
    assert not clean_redis.exists("resque:django:processes", "resque:workers")


def test_the_dead_are_buried_when_the_memory_is_full(dead, reaper, clean_redis):
    clean_redis.set("resque:job:id1:status", "running")
    begun, *_ = dead.reserve(*map(payload, range(150)))
    started(dead, begun)
    with full(clean_redis):
        with pytest.raises(redis.ResponseError, match="maxmemory"):
            clean_redis.set("a key", "a value")
        assert reap(reaper, dead) == 2
    assert clean_redis.llen("resque:queue:default") == 149
    assert [failure["payload"]["id"] for failure in failures(clean_redis)] == ["id0"]
    assert json.loads(clean_redis.get("resque:job:id1:status"))["status"] == 1
    assert not clean_redis.exists("resque:django:processes", "resque:django:reservations:abc123")


def test_scripts_that_are_flushed_are_not_missed(dead, reaper, clean_redis):
    dead.reserve("a")
    clean_redis.script_flush()
    remains = reaper.condemn(dead)
    clean_redis.script_flush()
    assert bury(reaper, dead, remains).left == 0


@pytest.mark.parametrize("namespace", ["resque", "{resque}", "a:site"])
def test_the_dead_are_buried_in_their_own_namespace(clean_redis, settings, namespace):
    settings.RESQUE = {**settings.RESQUE, "NAMESPACE": namespace}
    dead, reaper = TurnTaker("abc123"), TurnTaker("reaper", register=False)
    begun, _ = dead.reserve(payload(1), payload(2))
    dead.turn(Entry(START, WORKER, begun.token, record=guard(once=True)), Entry("beat", WORKER, record=b"now"))
    reap(reaper, dead)
    dead.close()
    reaper.close()
    left = {"queue:default", "queues", "failed", "stat:processed", "stat:failed", "django:crashes", "django:recent"}
    assert {key.decode() for key in clean_redis.keys()} == {f"{namespace}:{name}" for name in left}


# -- what a dispatcher decides (no Redis) ------------------------------------------------------------------------------


def remains_of(*held: tuple[Reserved, str], first: bool = True, more: int = 0, **fields: Any) -> Remains:
    return Remains("dead", first, [WORKER], len(held) + more, held, **fields)


def reserved(number: int, crashes: int | None = None, token: str = "") -> Reserved:
    return Reserved(token or f"1.{number}", "default", payload(number), crashes)


def decided(bequests: Sequence[Bequest]) -> list[tuple[str, str, int | None]]:
    return [(bequest.token, bequest.act, bequest.crashes) for bequest in bequests]


def test_what_was_taken_last_goes_back_first():
    tokens = ["9.2", "10.1", "9.10", "10.11", "9.9", "100.1"]
    found = entries.bequests(remains_of(*[(reserved(1, token=token), "") for token in tokens]), 3)
    assert [bequest.token for bequest in found] == ["100.1", "10.11", "10.1", "9.10", "9.9", "9.2"]


@pytest.mark.parametrize(
    ("remains", "expected"),
    [
        (remains_of((reserved(1), "")), [("1.1", "requeue", 0)]),
        (remains_of((reserved(1, 0), "")), [("1.1", "requeue", 1)]),
        (remains_of((reserved(1, 1), "")), [("1.1", "requeue", 2)]),
        (remains_of((reserved(1, 2), "")), [("1.1", "fail", 3)]),
        (remains_of((reserved(1, 2), ""), first=False), [("1.1", "requeue", 2)]),
        (remains_of((reserved(1, 2), ""), more=1), [("1.1", "requeue", 2)]),  # others are not seen yet
        (remains_of((reserved(1, 2), ""), (reserved(2), "")), [("1.2", "requeue", 0), ("1.1", "fail", 3)]),
        (remains_of((reserved(1, 2), ""), (reserved(2, 0), "")), [("1.2", "requeue", 0), ("1.1", "requeue", 2)]),
        (remains_of((reserved(1), WORKER)), [("1.1", "fail", 0)]),
        (remains_of((reserved(1, 1), WORKER)), [("1.1", "fail", 1)]),
        (remains_of((reserved(1, 1), WORKER), failures=[ruby(payload(1))]), [("1.1", "drop", 1)]),
        (remains_of(), []),
    ],
)
def test_a_dead_process_jobs_go_back_or_fail(remains, expected):
    assert decided(entries.bequests(remains, 3)) == expected


def test_a_process_whose_workers_are_not_known_has_failures_all_the_same():
    (bequest,) = entries.bequests(Remains("dead", True, [], 1, [(reserved(1, 2), "")]), 3)
    record = json.loads(bequest.record)
    assert (bequest.act, record["exception"]) == ("fail", "PoisonJob")
    assert record["worker"].count(":") >= 2  # anything else makes Ruby's pages fail


def test_the_status_of_a_bequest_says_what_becomes_of_the_job():
    (bequest,) = entries.bequests(remains_of((reserved(1), "")), 3)
    assert (bequest.status_id, json.loads(bequest.failed)["status"], json.loads(bequest.requeued)["status"]) == (
        "id1",
        3,
        1,
    )


@pytest.mark.parametrize("token", ["x", b"\xff\xfe", "", "1.2.3", "1.x"])
@pytest.mark.parametrize("reserved", [b"no line feed", b"default\n" + payload(7), b""])
def test_what_others_write_into_reservations_hinders_nobody(dead, reaper, clean_redis, token, reserved):
    dead.reserve(payload(1))
    clean_redis.hset("resque:django:reservations:abc123", token, reserved)
    reap(reaper, dead)
    assert payload(1) in clean_redis.lrange("resque:queue:default", 0, -1)
