"""What commands write: copied line by line with the job's id, and its end kept."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path

import pytest

from django_resque import log_target
from django_resque.worker.output import BACKLOG, BLOCK, TAIL, Output, Stderr
from tests.loggers import nothing_configured


class Written:
    """A file that is the worker's stderr."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def getvalue(self) -> bytes:
        """All that was written so far."""
        return self._path.read_bytes()


@pytest.fixture
def to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    """What the worker's stderr receives."""
    path = tmp_path / "stderr"
    with path.open("w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        yield Written(path)


@pytest.fixture
def output(to: Written) -> Iterator[Output]:
    output = Output(Stderr())
    yield output
    output.close()


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, Stderr]]:
    """The reading end of a pipe, and the worker's stderr that leads into it."""
    reading, writing = os.pipe()
    with open(writing, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        yield reading, Stderr()


def write(output: Output, data: bytes) -> None:
    """What a command does through its descriptors 1 and 2."""
    while data:
        data = data[os.write(output.fileno(), data) :]


def finish(output: Output, job_id: str = "8d1f") -> bytes:
    """What a job leaves that ends now."""
    return output.finish(job_id, output.size())


@pytest.mark.parametrize(
    ("written", "copied"),
    [
        (b"", ""),
        (b"one\n", "[8d1f] one\n"),
        (b"one\ntwo\n\nfour", "[8d1f] one\n[8d1f] two\n[8d1f] \n[8d1f] four\n"),
        (b"windows\r\n", "[8d1f] windows\n"),
        ("é\ttab\n".encode(), "[8d1f] é\ttab\n"),
        (b"10%\r20%\r\n", "[8d1f] 10%\\r20%\n"),
        (b"\x1b[31mred\x00\n", "[8d1f] \\x1b[31mred\\x00\n"),
        ("\u202eforged\u2028[other] line\n".encode(), "[8d1f] \\u202eforged\\u2028[other] line\n"),
        (b"\xff\xfe\xc3\n", "[8d1f] \ufffd\ufffd\ufffd\n"),
    ],
)
def test_every_line_is_copied_with_the_id_of_its_job(output: Output, written: bytes, copied: str, to: Written):
    write(output, written)
    assert finish(output) == written
    assert to.getvalue().decode() == copied


def test_a_line_is_copied_once_and_when_it_is_complete(output: Output, to: Written):
    copied, before = [], ""
    for part in (b"one\ntw", b"", b"o\nthr", "é".encode()[:1], "é".encode()[1:] + b"\n", b"end"):
        write(output, part)
        output.copy("8d1f", output.size())
        copied.append(to.getvalue().decode().removeprefix(before))
        before = to.getvalue().decode()
    assert copied == ["[8d1f] one\n", "", "[8d1f] two\n", "", "[8d1f] thré\n", ""]
    assert finish(output) == "one\ntwo\nthré\nend".encode()
    assert to.getvalue().decode() == before + "[8d1f] end\n"


def test_the_output_of_a_job_is_not_that_of_the_next(output: Output, to: Written):
    write(output, b"first")
    assert finish(output, "1") == b"first"
    assert finish(output, "2") == b""
    write(output, b"third")
    assert finish(output, "3") == b"third"
    assert to.getvalue() == b"[1] first\n[3] third\n"


def test_jobs_that_ended_before_anybody_looked_have_their_own_outputs(output: Output, to: Written):
    ends = []
    for written in (b"first\nend", b"", b"third\n", b"fourth"):
        write(output, written)
        ends.append(output.size())
    outputs = [output.finish(str(number), end) for number, end in enumerate(ends, 1)]
    assert outputs == [b"first\nend", b"", b"third\n", b"fourth"]
    assert to.getvalue() == b"[1] first\n[1] end\n[3] third\n[4] fourth\n"


def test_places_in_the_file_only_grow_and_its_memory_does_not(output: Output):
    for number in range(100):
        write(output, b"x" * 99_999 + b"\n")
        assert len(finish(output)) == TAIL
        assert output.size() == (number + 1) * 100_000
    assert os.fstat(output.fileno()).st_blocks * 512 <= BLOCK


@pytest.mark.parametrize("copied", [False, True])
def test_a_command_may_empty_the_file_as_a_shell_does(output: Output, to: Written, copied: bool):
    write(output, b"a job before\n" * 10)
    finish(output, "1")
    write(output, b"begins\n" * 3)
    if copied:
        output.copy("2", output.size())
    subprocess.run(["sh", "-c", "echo shell > /dev/stderr"], stderr=output.fileno(), check=True)
    write(output, b"ends\n")
    assert finish(output, "2").endswith(b"shell\nends\n")
    write(output, b"the next\n")
    assert finish(output, "3") == b"the next\n"
    assert to.getvalue().endswith(b"[2] shell\n[2] ends\n[3] the next\n")


def test_what_an_emptied_file_had_held_is_not_the_next_jobs(output: Output, to: Written):
    write(output, b"first\n")
    output.copy("1", output.size())
    os.ftruncate(output.fileno(), 0)
    assert finish(output, "1") == b"first\n"
    assert finish(output, "2") == b""
    assert to.getvalue() == b"[1] first\n"


@pytest.mark.parametrize("copies", [1, 7])
def test_the_end_of_much_output_is_kept_and_all_of_it_copied(output: Output, to: Written, copies: int):
    lines = [b"line %d\n" % number for number in range(200_000)]
    for number in range(copies):
        write(output, b"".join(lines[number::copies]))
        while output.copy("8d1f", output.size()):
            pass
    tail = finish(output)
    assert len(tail) == TAIL
    assert b"".join(lines[copies - 1 :: copies]).endswith(tail)
    assert sorted(to.getvalue().splitlines(keepends=True)) == sorted(b"[8d1f] " + line for line in lines)


def test_a_line_without_an_end_is_copied_before_it_ends(output: Output, to: Written):
    write(output, b"x" * 3_000_000)
    while output.copy("8d1f", output.size()):
        pass
    assert len(to.getvalue()) > 2_000_000
    finish(output)
    assert to.getvalue().count(b"x") == 3_000_000


def test_more_than_can_be_copied_at_the_end_is_left_out_and_counted(output: Output, to: Written):
    write(output, b"lost\n" + b"x" * BLOCK + b"\nthe end")
    assert finish(output).endswith(b"\nthe end")
    left_out, *_, end = to.getvalue().splitlines()
    assert left_out == b"[8d1f] (13 bytes of output left out)"
    assert end == b"[8d1f] the end"
    assert os.fstat(output.fileno()).st_blocks * 512 <= BLOCK


def test_a_backlog_takes_no_more_memory_than_it_may(output: Output, to: Written):
    for _ in range(2):
        write(output, b"x" * BACKLOG)
    assert output.copy("8d1f", output.size())
    assert os.fstat(output.fileno()).st_blocks * 512 <= 2 * BLOCK  # what is behind us is given back
    assert to.getvalue().startswith(b"[8d1f] (%d bytes of output left out)" % (2 * BACKLOG - BLOCK))


def test_the_output_of_jobs_can_be_kept_from_stderr(to: Written):
    output = Output(Stderr(quiet=True))
    write(output, b"one\n" + b"x" * 2 * BLOCK)
    output.copy("8d1f", output.size())
    assert finish(output) == b"x" * TAIL
    assert to.getvalue() == b""
    output.close()


def test_a_job_does_not_suffer_when_nobody_can_see_its_output(pipe: tuple[int, Stderr]):
    reading, stderr = pipe
    os.close(reading)
    output = Output(stderr)
    write(output, b"unheard\n")
    assert finish(output) == b"unheard\n"
    output.close()


def test_nobody_waits_for_a_reader_of_stderr_and_what_is_left_out_is_counted(pipe: tuple[int, Stderr]):
    reading, stderr = pipe
    stderr.write(b"x" * 1_000_000)
    read = os.read(reading, 1_000_000)
    stderr.write(b"heard\n")
    left_out = 1_000_000 - len(read)
    assert os.read(reading, 1_000).decode() == f"\n({left_out} bytes of output left out: nobody reads them)\nheard\n"
    os.close(reading)


# -- in the file of --log ----------------------------------------------------------------------------------------------


@nothing_configured()
def test_output_goes_to_the_file_that_is_logged_to_instead_of_stderr(to: Written, tmp_path: Path):
    log_target.to_file(str(tmp_path / "log"), logging.WARNING)
    output = Output(Stderr())
    write(output, b"one\n\x1bend")
    finish(output)
    output.close()
    assert (tmp_path / "log").read_text() == "[8d1f] one\n[8d1f] \\x1bend\n"
    assert to.getvalue() == b""


@pytest.mark.parametrize("file", [False, True])
@nothing_configured()
def test_output_is_json_where_the_log_is(tmp_path: Path, file: bool):
    path = tmp_path / "log"
    with path.open("a") as stderr, redirect_stderr(stderr):
        if file:
            log_target.to_file(str(path), logging.WARNING, as_json=True)
        else:
            log_target.to_stderr(logging.WARNING, as_json=True)
        output = Output(Stderr())
        write(output, b"one\n" + b"x" * (BLOCK + 1) + b"\nend")
        finish(output)
        output.close()
    assert [(line["job_id"], line["message"]) for line in map(json.loads, path.read_text().splitlines())] == [
        ("8d1f", "(9 bytes of output left out)"),
        ("8d1f", "x" * (BLOCK - 4)),
        ("8d1f", "end"),
    ]


@nothing_configured()
def test_quiet_jobs_do_not_write_to_the_file_either(to: Written, tmp_path: Path):
    log_target.to_file(str(tmp_path / "log"), logging.WARNING)
    output = Output(Stderr(quiet=True))
    write(output, b"one\n")
    assert finish(output) == b"one\n"
    output.close()
    assert (tmp_path / "log").read_text() == ""
