"""The worker as a process, from a job's push to what is left of it in Redis."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from django_resque import enqueue, enqueue_to, using
from django_resque.failure import Failure
from django_resque.store import store
from tests.processes_in_redis import lasting
from tests.workers import told, until


def failures() -> list[Failure]:
    return store().failures.latest()


def test_a_job_is_performed(worker, facts):
    enqueue("act", "tell", "greeting", "hello")
    assert worker("--burst").wait() == 0
    assert told(facts, "greeting") == "hello"
    assert store().stats.counters().processed == 1
    assert failures() == []


# -- how a job may end -------------------------------------------------------------------------------------------------


def test_an_exception_is_one_failure_with_what_a_person_needs(worker, facts):
    job = enqueue("act", "refuse", "no way: é")
    process = worker("--burst")
    assert process.wait() == 0
    (failure,) = failures()
    assert (failure.exception, failure.error) == ("ValueError", "no way: é")
    assert failure.job == job
    assert failure.queue == "default"
    assert any("raise ValueError(text)" in line for line in failure.backtrace)
    assert failure.extra["output"] == "about to refuse\n"
    assert failure.failed_at is not None
    counters = store().stats.counters()
    assert (counters.processed, counters.failed) == (1, 1)
    assert f"[{job.id}] about to refuse" in process.log
    assert "Traceback" in process.log  # exc_info reaches the log


@pytest.mark.parametrize(
    ("args", "exception", "error", "extra"),
    [
        (["complain"], "CommandError", "that will not do", {}),
        (["leave", 3], "CommandExited", "The command exited with status 3", {"exit_status": "3"}),
        (["leave_with", "fed up"], "CommandExited", "fed up", {"exit_status": "fed up"}),
        (["interrupt"], "KeyboardInterrupt", "", {}),
    ],
)
def test_every_way_to_give_up_is_one_failure(worker, args, exception, error, extra):
    enqueue("act", *args)
    assert worker("--burst").wait() == 0
    (failure,) = failures()
    assert (failure.exception, failure.error) == (exception, error)
    assert extra.items() <= failure.extra.items()


def test_leaving_with_status_0_is_success(worker):
    enqueue("act", "leave", 0)
    assert worker("--burst").wait() == 0
    assert failures() == []
    assert store().stats.counters().processed == 1


@pytest.mark.parametrize(
    ("payload", "exception", "error"),
    [
        (b'{"class":"no_such_command","args":[]}', "UnknownCommand", "no_such_command"),
        (b'{"class":"flush","args":[[{"interactive":false}]]}', "RefusedCommand", "flush"),
        (b'{"class":"../../etc/passwd","args":[]}', "UnknownCommand", "passwd"),
        (b'{"class":"act","args":[["tell"]]}', "InvalidArguments", "key"),
        (b'{"class":"act","args":[["tell","a","b","c"]]}', "InvalidArguments", ""),
        (b'{"class":"act","args":[["leave","three"]]}', "InvalidArguments", "three"),
        (b"not json", "InvalidPayload", "not valid JSON"),
        (b"", "InvalidPayload", "not valid JSON"),
        (b"\xff\x00\xfe", "InvalidPayload", "not UTF-8"),
        (b'["a list"]', "InvalidPayload", "not a JSON object"),
        (b'{"class":5}', "InvalidPayload", "names no command"),
        (b'{"class":"act","class":"act"}', "InvalidPayload", "twice"),
        (b'{"class":"act","args":[["tell",NaN]]}', "InvalidPayload", "NaN"),
        (b'{"class":"act","args":[["tell","\\ud800"]]}', "InvalidPayload", "surrogate"),
        (b'{"class":"act","args":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "InvalidPayload", ""),
    ],
)
def test_garbage_is_one_failure_and_the_worker_goes_on(worker, facts, clean_redis, payload, exception, error):
    clean_redis.rpush("resque:queue:default", payload)
    enqueue("act", "tell", "after")
    assert worker("--burst").wait() == 0
    told(facts, "after")
    (failure,) = failures()
    assert failure.exception == exception
    assert error in failure.error
    record = json.loads(failure.raw)
    assert isinstance(record["payload"], dict)
    assert isinstance(record["backtrace"], list)
    counters = store().stats.counters()
    assert (counters.processed, counters.failed) == (2, 1)


# -- crashes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "how"),
    [
        (["kill", "SIGKILL"], "killed by SIGKILL"),
        (["crash_in_c"], "killed by SIGSEGV"),
        (["vanish"], "exit status 0"),
        (["vanish", 7], "exit status 7"),
        (["close_everything"], "SIGKILL"),
        (["lie"], "SIGKILL"),
    ],
)
def test_the_third_crash_of_a_job_is_its_one_failure(worker, facts, args, how):
    job = enqueue("act", *args)
    enqueue("act", "tell", "after")
    process = worker("--burst")
    assert process.wait() == 0
    told(facts, "after")
    (failure,) = failures()
    assert failure.exception == "PoisonJob"
    assert how in failure.error
    assert failure.job == job
    counters = store().stats.counters()
    assert (counters.processed, counters.failed) == (2, 1)
    assert process.log.count("crashed act") == 2


def test_a_crashed_job_returns_to_the_head_of_its_queue(worker, facts, clean_redis):
    job = enqueue("act", "wait", "first")
    enqueue("act", "tell", "second")
    process = worker()
    pid = int(told(facts, "first:started"))
    os.kill(pid, signal.SIGKILL)
    assert int(told(facts, "first:started")) != pid  # again, and before the second
    assert facts.llen("second") == 0
    facts.rpush("first:go", "now")
    told(facts, "second")
    assert process.stop() == 0
    assert failures() == []
    assert store().stats.counters().processed == 2
    assert clean_redis.exists("resque:django:crashes") == 0
    assert job.id in process.log


def test_a_performer_that_dies_between_jobs_is_replaced(worker, facts):
    process = worker()
    (performer,) = until(process.children)
    os.kill(performer, signal.SIGKILL)
    enqueue("act", "tell", "still here")
    told(facts, "still here")
    assert process.stop() == 0
    assert "between two jobs" in process.log


def test_a_command_that_forks_and_comes_back_is_performed_once(worker, facts):
    enqueue("act", "fork_and_return", "forked")
    enqueue("act", "tell", "after")
    assert worker("--burst").wait() == 0
    told(facts, "after")
    assert facts.llen("forked") == 1
    assert store().stats.counters().processed == 2


# -- surroundings ------------------------------------------------------------------------------------------------------


def described(facts: Any, key: str) -> dict[str, Any]:
    return ast.literal_eval(told(facts, key))


def test_a_command_leaves_nothing_behind_for_the_next(worker, facts):
    enqueue("act", "describe", "before")
    enqueue("act", "make_a_mess")
    enqueue("act", "describe", "after")
    enqueue("act", "say", "still audible")
    process = worker("--burst")
    assert process.wait() == 0
    before, after = described(facts, "before"), described(facts, "after")
    for changing in ("job", "descriptors", "title"):
        before.pop(changing), after.pop(changing)
    assert before == after
    assert "still audible on stdout" in process.log
    assert failures() == []


def test_a_performer_holds_no_descriptor_of_the_dispatcher_or_of_its_siblings(worker, facts):
    enqueue("act", "describe", "about")
    process = worker("--burst", "-n", "3")
    assert process.wait() == 0
    about = described(facts, "about")
    sockets = [target for target in about["descriptors"] if target.startswith("socket:")]
    assert len(sockets) == 2  # its inbox and its reports
    assert not [target for target in about["descriptors"] if "epoll" in target]
    assert about["stdin"] == "/dev/null"
    assert about["oom_score_adj"] == "500"
    assert about["pgid"] == about["pid"]
    assert about["ppid"] == process.pid


def test_titles_name_a_resque_worker_and_no_arguments(worker, facts):
    enqueue("act", "describe", "about")
    process = worker("-q", "default,mail")
    about = described(facts, "about")
    assert about["title"].startswith("resque-")
    assert about["title"][7].isdigit()
    assert "Processing default since" in about["title"]
    title = Path(f"/proc/{process.pid}/cmdline").read_text().rstrip("\0")
    assert re.search(r"\[django \d+\.\d+\]: Waiting for default,mail$", title)
    assert process.stop() == 0


def test_output_appears_on_stderr_with_the_id_of_the_job(worker):
    job = enqueue("act", "say", "hello")
    process = worker("--burst")
    assert process.wait() == 0
    for stream in ("on stdout", "on stderr", "from a child"):
        assert f"[{job.id}] hello {stream}" in process.log


def test_current_job_is_known_to_the_command(worker, facts):
    job = enqueue_to("mail", "act", "describe", "about")
    assert worker("--burst", "-q", "mail").wait() == 0
    assert described(facts, "about")["job"] == [job.id, "act", "mail", 1]


# -- queues ------------------------------------------------------------------------------------------------------------


def test_queues_are_served_in_strict_order(worker, facts):
    for number in range(3):
        enqueue_to("low", "act", "tell", "order", f"low {number}")
        enqueue_to("high", "act", "tell", "order", f"high {number}")
    assert worker("--burst", "-q", "high,low").wait() == 0
    assert facts.lrange("order", 0, -1) == ["high 0", "high 1", "high 2", "low 0", "low 1", "low 2"]


def test_a_glob_finds_queues_that_appear_later(worker, facts):
    process = worker("-q", "mail*,!mail_later", "--interval", "0.05")
    until(lambda: store().workers.all())
    enqueue_to("mail_later", "act", "tell", "later")
    enqueue_to("mail_now", "act", "tell", "now")
    told(facts, "now")
    assert process.stop() == 0
    assert facts.llen("later") == 0
    assert store().queues.size("mail_later") == 1


def test_a_job_of_a_foreign_producer_is_found_by_the_poll(worker, facts, clean_redis):
    process = worker("--interval", "0.05")
    until(lambda: store().workers.all())
    clean_redis.rpush("resque:queue:default", '{"class":"act","args":["tell","foreign"]}')
    told(facts, "foreign")
    assert process.stop() == 0


def test_the_bell_wakes_an_idle_worker(worker, facts):
    process = worker("--interval", "3600")
    until(lambda: store().workers.all())
    for number in range(3):
        enqueue("act", "tell", f"rung {number}")
        told(facts, f"rung {number}")
    assert process.stop() == 0


def test_paused_workers_take_nothing(worker, facts, clean_redis):
    clean_redis.set("resque:pause-all-workers", " True ")
    enqueue("act", "tell", "resumed")
    process = worker("--interval", "0.05")
    until(lambda: "paused" in process.log)
    assert store().queues.size("default") == 1
    clean_redis.delete("resque:pause-all-workers")
    told(facts, "resumed")
    assert process.stop() == 0


def test_without_q_the_declared_queues_come_first_and_then_the_default(worker):
    process = worker()
    (registered,) = until(lambda: store().workers.all())
    assert registered.queues[-1] == "default"
    assert "*" not in registered.queues
    assert process.stop() == 0


# -- several performers, replacement -----------------------------------------------------------------------------------


def test_two_performers_work_at_the_same_time(worker, facts):
    enqueue("act", "wait", "a")
    enqueue("act", "wait", "b")
    process = worker("-n", "2")
    assert told(facts, "a:started") != told(facts, "b:started")
    workers = until(lambda: len(w := [w for w in store().workers.all() if w.job]) == 2 and w)
    assert {w.job.args[1] for w in workers} == {"a", "b"}
    facts.rpush("a:go", "now")
    facts.rpush("b:go", "now")
    told(facts, "a:ended")
    told(facts, "b:ended")
    assert process.stop() == 0


def test_a_performer_is_replaced_after_max_jobs(worker, facts):
    for _ in range(6):
        enqueue("act", "describe", "performers")
    assert worker("--burst", "--max-jobs", "2").wait() == 0
    pids = [described(facts, "performers")["pid"] for _ in range(6)]
    assert len(set(pids)) == 3
    assert store().stats.counters().processed == 6


def test_a_performer_that_has_grown_is_replaced(worker, facts):
    for _ in range(3):
        enqueue("act", "describe", "performers")
    assert worker("--burst", "--max-rss", "1").wait() == 0
    assert len({described(facts, "performers")["pid"] for _ in range(3)}) == 3


# -- stopping ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_running_job_is_finished_before_the_worker_stops(worker, facts, clean_redis, number):
    enqueue("act", "wait", "job")
    enqueue("act", "tell", "next")
    process = worker()
    told(facts, "job:started")
    process.process.send_signal(number)
    until(lambda: "stopping" in process.log)
    facts.rpush("job:go", "now")
    assert process.wait() == 0
    told(facts, "job:ended")
    assert store().queues.size("default") == 1
    assert store().stats.counters().processed == 1
    assert_nothing_is_left(clean_redis)


def test_what_outlives_the_grace_period_is_requeued_uncounted(worker, facts, clean_redis):
    job = enqueue("act", "wait", "job")
    enqueue("act", "tell", "next")
    process = worker("--grace", "0.2")
    told(facts, "job:started")
    assert process.stop() == 0
    (first, _) = store().queues.peek("default")
    assert json.loads(first)["id"] == job.id
    assert store().stats.counters().processed == 0
    assert clean_redis.hvals("resque:django:crashes") == [b"0"]  # it may have been begun, which it is told
    assert_nothing_is_left(clean_redis)


def test_a_second_signal_stops_at_once(worker, facts, clean_redis):
    enqueue("act", "wait", "job")
    process = worker("--grace", "3600")
    told(facts, "job:started")
    process.process.send_signal(signal.SIGTERM)
    until(lambda: "stopping" in process.log)
    # Some programs send two signals for one wish, so what comes within a second is not a second one.
    until(lambda: process.process.send_signal(signal.SIGTERM) or process.process.poll() is not None)
    assert process.wait() == 0
    assert store().queues.size("default") == 1
    assert_nothing_is_left(clean_redis)


def test_a_signal_to_the_whole_group_does_not_end_a_job(worker, facts):
    enqueue("act", "wait", "job")
    process = worker()
    performer = int(told(facts, "job:started"))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT):
        os.kill(performer, number)
    facts.rpush("job:go", "now")
    assert int(told(facts, "job:ended")) == performer
    assert process.stop() == 0


def test_performers_die_with_their_dispatcher(worker, facts):
    enqueue("act", "wait", "job")
    process = worker()
    performer = int(told(facts, "job:started"))
    process.stop(signal.SIGKILL)
    until(lambda: not Path(f"/proc/{performer}").exists())


def test_a_pidfile_is_there_while_the_worker_runs(worker, tmp_path):
    path = tmp_path / "worker.pid"
    process = worker("--pidfile", str(path))
    until(path.exists)
    until(path.read_text)
    assert int(path.read_text()) == process.pid
    until(lambda: store().workers.all())
    assert process.stop() == 0
    assert not path.exists()


def assert_nothing_is_left(clean_redis):
    """No worker, no process and no reservation."""
    results = {"queues", "queue:default", "stat:processed", "stat:failed", "django:recent", "django:crashes"}
    assert lasting(clean_redis) <= results


# -- the wire ----------------------------------------------------------------------------------------------------------


def test_a_working_worker_is_shown_as_the_family_shows_it(worker, facts, clean_redis):
    job = enqueue("act", "wait", "job")
    process = worker("-q", "default,mail")
    told(facts, "job:started")
    (worker_id,) = (str(raw, "utf-8") for raw in clean_redis.smembers("resque:workers"))
    host, pid, queues = worker_id.split(":")
    assert int(pid) == process.pid
    assert queues == "default,mail"
    assert host.endswith("-1")
    assert "~" in host
    current = until(lambda: clean_redis.get(f"resque:worker:{worker_id}"))
    working = json.loads(current)
    assert list(working) == ["queue", "run_at", "payload", "worker"]
    assert working["queue"] == "default"
    assert working["payload"]["id"] == job.id
    assert working["worker"] == f"{host}:{pid}"
    assert json.loads(clean_redis.get(f"resque:job:{job.id}:status"))["status"] == 2
    started = clean_redis.get(f"resque:worker:{worker_id}:started").decode()
    assert started == datetime.strptime(started, "%Y-%m-%d %H:%M:%S %z").strftime("%Y-%m-%d %H:%M:%S +0000")
    beat = clean_redis.hget("resque:workers:heartbeat", worker_id).decode()
    assert beat.endswith("+00:00")
    facts.rpush("job:go", "now")
    until(lambda: json.loads(clean_redis.get(f"resque:job:{job.id}:status"))["status"] == 4)
    assert clean_redis.ttl(f"resque:job:{job.id}:status") <= 3600
    assert clean_redis.get(f"resque:worker:{worker_id}") is None
    assert clean_redis.get(f"resque:stat:processed:{worker_id}") == b"1"
    assert process.stop() == 0


def test_an_untracked_job_has_no_status(worker, facts, clean_redis):
    job = using(track=False).enqueue("act", "tell", "done")
    assert clean_redis.exists(f"resque:job:{job.id}:status") == 0
    assert worker("--burst").wait() == 0
    assert clean_redis.exists(f"resque:job:{job.id}:status") == 0


def test_a_large_payload_reaches_the_performer_whole(worker, facts, clean_redis):
    text = "ä" * 200_000
    clean_redis.rpush("resque:queue:default", json.dumps({"class": "act", "args": [["tell", "large", text]]}))
    assert worker("--burst").wait() == 0
    assert told(facts, "large") == text


# -- Redis trouble -----------------------------------------------------------------------------------------------------


def test_a_worker_outlives_a_restart_of_redis(worker, facts, redis_server, clean_redis):
    enqueue("act", "wait", "job")
    process = worker("--interval", "0.05")
    told(facts, "job:started")
    redis_server.stop()
    until(lambda: "not available" in process.log)
    redis_server.start()
    until(lambda: "available again" in process.log)
    assert process.stop() == 0


def test_a_worker_that_was_declared_dead_registers_under_a_new_name(worker, facts, clean_redis):
    process = worker("--interval", "0.05")
    until(lambda: store().workers.all())
    clean_redis.flushall()
    until(lambda: "declared dead" in process.log)
    enqueue("act", "tell", "alive")
    told(facts, "alive")
    assert len(store().workers.all()) == 1
    assert process.stop() == 0


def test_a_queue_of_the_wrong_type_hinders_no_other(worker, facts, clean_redis):
    clean_redis.set("resque:queue:broken", "a string")
    enqueue("act", "tell", "fine")
    process = worker("-q", "broken,default", "--burst")
    assert process.wait() == 0
    told(facts, "fine")
    assert "WRONGTYPE" in process.log


# -- logging -----------------------------------------------------------------------------------------------------------


def test_a_failure_is_mailed_to_the_admins_unasked(worker, tmp_path):
    enqueue("act", "refuse", "no way")
    process = worker("--burst", settings="tests.settings_with_admins", env={"DJANGO_RESQUE_TEST_MAILS": str(tmp_path)})
    assert process.wait() == 0
    (mail,) = tmp_path.iterdir()
    assert "To: ada@example.com" in mail.read_text()
    assert "ValueError: no way" in mail.read_text()


def test_the_start_of_a_job_is_no_part_of_its_output(worker):
    enqueue("act", "refuse", "no way")
    process = worker("--burst", "-v", "2")
    assert process.wait() == 0
    (failure,) = failures()
    assert failure.extra["output"] == "about to refuse\n"
    assert "DEBUG   started act" in process.log


def test_a_log_handler_that_raises_ends_neither_job_nor_worker(worker, facts):
    enqueue("act", "kill", "SIGKILL")
    enqueue("act", "refuse", "no way")
    enqueue("act", "tell", "after")
    process = worker("--burst", settings="tests.settings_with_broken_log")
    assert process.wait() == 0
    told(facts, "after")
    assert [failure.exception for failure in failures()] == ["ValueError", "PoisonJob"]
    assert store().stats.counters().processed == 3


# -- what a command may do to its worker -------------------------------------------------------------------------------


def test_a_command_that_writes_without_end_keeps_nobody_waiting(worker, facts):
    enqueue("act", "chatter", "noise")
    process = worker("-n", "2", "--grace", "30", stdout=subprocess.DEVNULL)
    told(facts, "noise:started")
    for number in range(3):
        enqueue("act", "tell", f"heard {number}")
        told(facts, f"heard {number}")
    process.process.send_signal(signal.SIGTERM)
    facts.rpush("noise:go", "now")
    assert process.wait() == 0
    assert store().stats.counters().processed == 4


def test_a_worker_whose_stderr_nobody_reads_works_and_stops(worker, facts):
    reading, writing = os.pipe()
    process = worker("-v", "0", "--grace", "1", stdout=writing)
    enqueue("act", "chatter", "noise")
    told(facts, "noise:started")
    enqueue("act", "tell", "unheard")
    assert process.stop() == 0
    os.close(reading), os.close(writing)
    assert store().queues.size("default") == 2


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_a_worker_without_standard_streams_works(worker, facts, closed):
    enqueue("act", "say", "to nobody")
    enqueue("act", "refuse", "no way")
    enqueue("act", "tell", "after")
    shell = f"exec {sys.executable} -m django resque_worker --burst {closed}"
    assert worker(command=["sh", "-c", shell]).wait() == 0
    told(facts, "after")
    assert [failure.error for failure in failures()] == ["no way"]


def test_a_command_that_closes_its_stdout_is_done_once(worker, facts):
    enqueue("act", "close_stdout_below")
    enqueue("act", "say", "audible")
    process = worker("--burst")
    assert process.wait() == 0
    assert failures() == []
    assert store().stats.counters().processed == 2
    assert "audible on stdout" in process.log
    assert "crashed" not in process.log


def test_timers_and_blocked_signals_of_a_command_do_not_reach_the_next(worker, facts):
    enqueue("act", "leave_timers")
    enqueue("act", "find_timers", "left")
    assert worker("--burst").wait() == 0
    timer, blocked, names = ast.literal_eval(told(facts, "left"))
    assert timer == (0.0, 0.0)
    assert blocked == []
    assert "JST" not in names
    assert failures() == []
    assert store().stats.counters().processed == 2


# -- order, and what cannot be told ------------------------------------------------------------------------------------


def test_jobs_that_outlive_the_grace_period_are_requeued_in_their_order(worker, facts):
    jobs = [enqueue("act", "wait", f"job {number}") for number in range(6)]
    process = worker("-n", "4", "--grace", "0.2")
    for number in range(4):
        told(facts, f"job {number}:started")
    assert process.stop() == 0
    assert [json.loads(payload)["id"] for payload in store().queues.peek("default")] == [job.id for job in jobs]


def test_a_burst_serves_queues_that_come_into_being_meanwhile(worker, facts, clean_redis):
    enqueue("act", "wait", "job")
    process = worker("-q", "*", "--burst", "--interval", "3600")
    told(facts, "job:started")
    clean_redis.rpush("resque:queue:new", '{"class":"act","args":["tell","new"]}')
    clean_redis.sadd("resque:queues", "new")
    facts.rpush("job:go", "now")
    told(facts, "new")
    assert process.wait() == 0


def test_a_job_whose_end_cannot_be_told_is_named_in_the_log(worker, facts, redis_server):
    enqueue("act", "wait", "job")
    process = worker("--grace", "1")
    told(facts, "job:started")
    redis_server.kill()
    process.process.send_signal(signal.SIGTERM)
    assert process.wait() == 0
    assert "could not be told what became of 1 job" in process.log


def test_a_job_that_another_worker_has_now_ends_in_peace_and_unreported(worker, facts, clean_redis):
    enqueue("act", "wait", "job")
    process = worker("--grace", "30")
    told(facts, "job:started")
    clean_redis.flushdb()  # with it the process's registration and reservations
    until(lambda: "declared dead" in process.log)
    process.process.send_signal(signal.SIGTERM)
    until(lambda: "1 job(s) still running" in process.log)
    facts.rpush("job:go", "now")
    told(facts, "job:ended")
    assert process.wait() == 0
    assert store().stats.counters().processed == 0
    assert store().queues.size("default") == 0


def test_a_burst_over_queues_that_do_not_exist_ends(worker, clean_redis):
    enqueue("act", "tell", "x")
    assert worker("--burst", "-q", "x*").wait() == 0
    assert clean_redis.llen("resque:queue:default") == 1
