"""Where a running worker logs: dispatcher, performers, and what their jobs write."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from django_resque import enqueue
from tests.workers import WorkerProcess, told, until


def on_stderr(process: WorkerProcess) -> list[str]:
    """What the worker has said on its stderr after Django's system checks."""
    lines = process.log.splitlines()
    checks = [number for number, line in enumerate(lines) if line.startswith("\tHINT: ")]
    return lines[checks[-1] + 1 :] if checks else lines


def parsed(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_everything_that_was_on_stderr_is_in_the_file(worker, facts, tmp_path):
    path = tmp_path / "var" / "resque.log"
    said, failed = enqueue("act", "say", "something"), enqueue("act", "refuse", "no way")
    process = worker("--burst", "--log", str(path))
    assert process.wait() == 0
    log = path.read_text()
    for line in (
        " started: 1 performer(s) for ",
        f"[{said.id}] something on stdout",
        f"done act {said.id} [default] in ",
        f"failed act {failed.id} [default] after ",
        "ValueError: no way",
        " stopped",
    ):
        assert line in log
    assert "DEBUG" not in log
    assert on_stderr(process) == []


def test_two_workers_write_into_one_file_or_one_each(worker, tmp_path):
    for _ in range(2):
        worker("--burst", "--log", str(tmp_path / "both.log")).wait()
    assert (tmp_path / "both.log").read_text().count(" started: ") == 2
    first, second = (worker("--burst", "--log", str(tmp_path / "resque-{pid}.log")) for _ in range(2))
    assert [process.wait() for process in (first, second)] == [0, 0]
    assert (tmp_path / f"resque-{first.pid}.log").read_text().count(" started: ") == 1
    assert (tmp_path / f"resque-{second.pid}.log").read_text().count(" started: ") == 1


def test_after_a_rename_and_hup_dispatcher_and_performers_write_to_the_new_file(worker, facts, tmp_path):
    path, old = tmp_path / "resque.log", tmp_path / "resque.log.1"
    process = worker("--log", str(path))
    running = enqueue("act", "wait", "job")
    told(facts, "job:started")
    path.rename(old)
    process.process.send_signal(signal.SIGHUP)
    until(path.exists)
    before = old.read_text()
    facts.rpush("job:go", "now")
    told(facts, "job:ended")
    said = enqueue("act", "say", "something")
    until(lambda: f"[{said.id}] something on stdout" in path.read_text())
    process.process.send_signal(signal.SIGUSR2)
    until(lambda: "SIGUSR2: paused" in path.read_text())
    assert process.stop() == 0
    log = path.read_text()
    assert log.splitlines()[0].endswith("INFO    the log was opened anew")
    for line in (f"done act {running.id}", f"done act {said.id}", "SIGTERM: stopping", " stopped"):
        assert line in log
    assert old.read_text() == before
    assert on_stderr(process) == []


def test_a_rename_without_hup_is_seen_at_the_next_line(worker, facts, tmp_path):
    path = tmp_path / "resque.log"
    process = worker("--log", str(path))
    enqueue("act", "wait", "job")
    told(facts, "job:started")
    path.rename(tmp_path / "old")
    facts.rpush("job:go", "now")
    until(path.exists)
    assert process.stop() == 0
    assert "done act" in path.read_text()


def test_hup_without_a_file_is_ignored(worker, facts):
    process = worker()
    until(lambda: "started" in process.log)
    process.process.send_signal(signal.SIGHUP)
    until(lambda: "ignored signal SIGHUP" in process.log)
    assert process.stop() == 0


def test_lines_for_programs_are_json_whoever_writes_them(worker, facts, tmp_path):
    path = tmp_path / "resque.log"
    said, failed = enqueue("act", "say", "some\tthing"), enqueue("act", "refuse", "no way")
    killed = enqueue("act", "kill", "SIGKILL")
    assert worker("--burst", "--log", str(path), "--log-json", "--log-level=DEBUG").wait() == 0
    lines = parsed(path)
    assert len({line["worker"] for line in lines}) == 1
    assert len({line["pid"] for line in lines}) > 2
    assert {line["job_id"] for line in lines if "job_id" in line} == {said.id, failed.id, killed.id}
    (done,) = (line for line in lines if line["message"].startswith("done"))
    assert done["duration"] > 0
    assert (done["command"], done["queue"], done["level"]) == ("act", "default", "INFO")
    (failure,) = (line for line in lines if "exception" in line)
    assert failure["exception"].endswith("ValueError: no way")
    output = [line["message"] for line in lines if line["logger"] == "django_resque.output"]
    assert "some\tthing on stdout" in output
    assert "about to refuse" in output


def test_json_lines_on_stderr(worker):
    enqueue("act", "say", "something")
    process = worker("--burst", "--log-json")
    assert process.wait() == 0
    messages = [json.loads(line)["message"] for line in on_stderr(process)]
    assert "something on stdout" in messages
    assert messages[-1].endswith(" stopped")


def test_only_the_named_handler_receives_records(worker, tmp_path):
    failed = enqueue("act", "refuse", "no way")
    process = worker(
        "--burst",
        "--log-handler=extra",
        settings="tests.settings_with_log_handlers",
        env={"DJANGO_RESQUE_TEST_LOGS": str(tmp_path)},
    )
    assert process.wait() == 0
    messages = [line["message"] for line in parsed(tmp_path / "extra.log")]
    assert messages[-1].endswith(" stopped")
    assert any(message.startswith(f"failed act {failed.id}") for message in messages)
    assert on_stderr(process) == [f"[{failed.id}] about to refuse"]  # no record, but what the command wrote


def test_handlers_of_the_project_go_on_beside_the_file(worker, tmp_path):
    failed = enqueue("act", "refuse", "no way")
    process = worker(
        "--burst",
        "--log",
        str(tmp_path / "resque.log"),
        settings="tests.settings_with_log_handlers",
        env={"DJANGO_RESQUE_TEST_LOGS": str(tmp_path)},
    )
    assert process.wait() == 0
    assert f"failed act {failed.id}" in process.log
    assert " started: " not in process.log  # its level is WARNING there
    log = (tmp_path / "resque.log").read_text()
    assert f"failed act {failed.id}" in log
    assert " started: " in log


def test_failures_are_mailed_unasked_with_a_file_too(worker, tmp_path):
    mails = tmp_path / "mails"
    mails.mkdir()
    enqueue("act", "refuse", "no way")
    process = worker(
        "--burst",
        "--log",
        str(tmp_path / "log"),
        settings="tests.settings_with_admins",
        env={"DJANGO_RESQUE_TEST_MAILS": str(mails)},
    )
    assert process.wait() == 0
    (mail,) = mails.iterdir()
    assert "ValueError: no way" in mail.read_text()


def test_a_worker_that_cannot_log_does_not_start_and_says_what_to_do(worker, tmp_path):
    (tmp_path / "file").touch()
    process = worker("--log", str(tmp_path / "file" / "resque.log"))
    assert process.wait() == 1
    assert f"CommandError: The log {tmp_path}/file/resque.log cannot be written" in process.log
    assert "Traceback" not in process.log


def test_a_log_whose_folder_goes_away_is_continued_on_stderr(worker, facts, tmp_path):
    folder = tmp_path / "var"
    process = worker("--log", str(folder / "resque.log"))
    enqueue("act", "tell", "first")
    told(facts, "first")
    until(lambda: "done act" in (folder / "resque.log").read_text())
    folder.rename(tmp_path / "old")
    folder.touch()
    job = enqueue("act", "tell", "second")
    told(facts, "second")
    until(lambda: f"done act {job.id}" in process.log)
    assert "resque.log cannot be written: Not a directory. It goes on here." in process.log
    assert process.stop() == 0
