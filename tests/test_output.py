"""What commands write: copied line by line with the job's id, and its end kept."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator

import pytest

from django_resque.worker.output import BACKLOG, BLOCK, TAIL, Output, Stderr


@pytest.fixture
def to() -> io.BytesIO:
    """What the worker's stderr receives."""
    return io.BytesIO()


@pytest.fixture
def output(to: io.BytesIO) -> Iterator[Output]:
    output = Output(to)  # type: ignore[arg-type]  it writes to it, and no more
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
def test_every_line_is_copied_with_the_id_of_its_job(output: Output, written: bytes, copied: str, to: io.BytesIO):
    write(output, written)
    assert output.finish("8d1f") == written.decode("utf-8", "replace")
    assert to.getvalue().decode() == copied


def test_a_line_is_copied_once_and_when_it_is_complete(output: Output, to: io.BytesIO):
    copied = []
    for part in (b"one\ntw", b"", b"o\nthr", "é".encode()[:1], "é".encode()[1:] + b"\n", b"end"):
        write(output, part)
        output.copy("8d1f")
        copied.append(to.getvalue().decode())
        to.truncate(0), to.seek(0)
    assert copied == ["[8d1f] one\n", "", "[8d1f] two\n", "", "[8d1f] thré\n", ""]
    assert output.finish("8d1f") == "one\ntwo\nthré\nend"
    assert to.getvalue() == b"[8d1f] end\n"


def test_the_output_of_a_job_is_not_that_of_the_next(output: Output, to: io.BytesIO):
    write(output, b"first")
    assert output.finish("1") == "first"
    assert output.finish("2") == ""
    write(output, b"third")
    assert output.finish("3") == "third"
    assert to.getvalue() == b"[1] first\n[3] third\n"
    assert os.fstat(output.fileno()).st_size == 0


@pytest.mark.parametrize("copies", [1, 7])
def test_the_end_of_much_output_is_kept_and_all_of_it_copied(output: Output, to: io.BytesIO, copies: int):
    lines = [b"line %d\n" % number for number in range(200_000)]
    for number in range(copies):
        write(output, b"".join(lines[number::copies]))
        while output.copy("8d1f"):
            pass
    tail = output.finish("8d1f")
    assert len(tail) == TAIL
    assert b"".join(lines[copies - 1 :: copies]).endswith(tail.encode())
    assert sorted(to.getvalue().splitlines(keepends=True)) == sorted(b"[8d1f] " + line for line in lines)


def test_an_end_that_begins_inside_a_character_is_text_all_the_same(output: Output):
    write(output, "é".encode() * TAIL + b"x")
    assert output.finish("8d1f") == "\ufffd" + "é" * (TAIL // 2 - 1) + "x"


def test_a_line_without_an_end_is_copied_before_it_ends(output: Output, to: io.BytesIO):
    write(output, b"x" * 3_000_000)
    while output.copy("8d1f"):
        pass
    assert len(to.getvalue()) > 2_000_000
    output.finish("8d1f")
    assert to.getvalue().count(b"x") == 3_000_000


def test_more_than_can_be_copied_at_the_end_is_left_out_and_counted(output: Output, to: io.BytesIO):
    write(output, b"lost\n" + b"x" * BLOCK + b"\nthe end")
    assert output.finish("8d1f").endswith("\nthe end")
    left_out, *_, end = to.getvalue().splitlines()
    assert left_out == b"[8d1f] (13 bytes of output left out)"
    assert end == b"[8d1f] the end"
    assert os.fstat(output.fileno()).st_size == 0


def test_a_backlog_takes_no_more_memory_than_it_may(output: Output, to: io.BytesIO):
    for _ in range(2):
        write(output, b"x" * BACKLOG)
    assert output.copy("8d1f")
    assert os.fstat(output.fileno()).st_blocks * 512 <= 2 * BLOCK  # what is behind us is given back
    assert to.getvalue().startswith(b"[8d1f] (%d bytes of output left out)" % (2 * BACKLOG - BLOCK))


def test_a_job_does_not_suffer_when_nobody_can_see_its_output(pipe: tuple[int, Stderr]):
    reading, stderr = pipe
    os.close(reading)
    output = Output(stderr)
    write(output, b"unheard\n")
    assert output.finish("8d1f") == "unheard\n"
    output.close()


def test_nobody_waits_for_a_reader_of_stderr_and_what_is_left_out_is_counted(pipe: tuple[int, Stderr]):
    reading, stderr = pipe
    stderr.write(b"x" * 1_000_000)
    read = os.read(reading, 1_000_000)
    stderr.write(b"heard\n")
    left_out = 1_000_000 - len(read)
    assert os.read(reading, 1_000).decode() == f"\n({left_out} bytes of output left out: nobody reads them)\nheard\n"
    os.close(reading)
