"""Talking to who sits at the terminal, or to the script that does not."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TextIO, TypeVar

from ..log_format import clean, clean_line

try:
    from rich import box
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Table
    from rich.text import Text

    HAS_RICH = True
except ImportError:  # it comes with the extra "cli"
    HAS_RICH = False

T = TypeVar("T")

_GAP = "  "
_BETWEEN_LINES = 1.0
"""Seconds between two lines that tell how far something is."""


class Stream(Protocol):
    """What is written to: a file, or Django's wrapper of one."""

    def write(self, text: str, /) -> Any: ...

    def flush(self) -> Any: ...

    def isatty(self) -> bool: ...


Told = Callable[[int, "int | None"], None]
"""Is called with how much is done, and of how much; None when that is not known."""


class Terminal:
    """What a verb writes to and asks.

    ``as_json``: the verb writes one JSON document, `line` and `table` write nothing, and nobody is asked. Everything is
    written with control characters escaped.
    """

    def __init__(self, stdout: Any, stderr: Any, *, as_json: bool = False, stdin: TextIO | None = None) -> None:
        self._stdout: Stream = stdout
        self._stderr: Stream = stderr
        self._stdin = stdin
        self.as_json = as_json

    # -- writing -------------------------------------------------------------------------------------------------------

    def line(self, text: str = "") -> None:
        """Write a line, or several, to standard output."""
        if not self.as_json:
            self._write(self._stdout, text)

    def note(self, text: str) -> None:
        """Write a line about what is going on to standard error, also with ``--json``."""
        self._write(_unwrapped(self._stderr), text)

    def remark(self, text: str) -> None:
        """Write a line for people: beside what `line` writes on a terminal, else to standard error, so that a script
        reads nothing but what it asked for."""
        if not self.as_json:
            (self.line if self._stdout.isatty() else self.note)(text)

    def error(self, text: str) -> None:
        """Write a line about what is wrong to standard error."""
        self._write(self._stderr, text)

    def json(self, data: Any) -> None:
        """Write ``data`` as one JSON document, if that was asked for; what JSON has no form for is written as text."""
        if self.as_json:
            self._stdout.write(json.dumps(data, indent=2, default=str) + "\n")

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Write a table: integers with separators and to the right, None as nothing, everything else as its text."""
        if self.as_json:
            return
        columns = [[row[at] for row in rows if row[at] is not None] for at in range(len(headers))]
        numeric = [bool(column) and all(map(_is_number, column)) for column in columns]
        cells = [[_cell(value) for value in row] for row in rows]
        console = self.console()
        if console is None:
            self._write_plain_table([headers, *cells], numeric)
        else:
            self._write_rich_table(console, headers, cells, numeric)

    def flush(self) -> None:
        """Have what was written so far appear, also in a pipe."""
        self._stdout.flush()

    @contextmanager
    def progress(self, title: str) -> Iterator[Told]:
        """Tell how far something is that takes long: the callable is told how much is done, and of how much.

        On standard error: a bar with rich on a terminal, else a line a second at most. Nothing with ``--json``.
        """
        stream = _unwrapped(self._stderr)
        if self.as_json:
            yield lambda done, total: None
        elif HAS_RICH and stream.isatty():
            with _bar(stream, clean(title)) as told:
                yield told
        else:
            yield _Lines(title, self.note)

    # -- asking --------------------------------------------------------------------------------------------------------

    @property
    def is_interactive(self) -> bool:
        """Whether somebody can be asked: standard input and output are terminals, and nothing reads JSON."""
        return not self.as_json and self._input.isatty() and self._stdout.isatty()

    def choose(self, title: str, items: Sequence[T], show: Callable[[T], str] = str) -> list[T]:
        """Ask which of ``items`` are meant, each shown as ``show`` says; in their order, none when nothing is typed."""
        self.line(title)
        width = len(str(len(items)))
        for number, item in enumerate(items, 1):
            self.line(f"{_GAP}{number:>{width}}  {show(item)}")
        while True:
            answer = self._ask("Number, several as 1,3 or 2-4, or all (nothing: none): ")
            try:
                return [items[at] for at in _chosen(answer, len(items))]
            except ValueError as error:
                self.line(str(error))

    def confirm(self, question: str) -> bool:
        """Ask; only yes is yes."""
        return self._ask(f"{clean(question)} [y/N] ").lower() in ("y", "yes")

    def _ask(self, prompt: str) -> str:
        """What is typed, nothing at the end of the input."""
        stdout = _unwrapped(self._stdout)  # Django's wrapper would end the line
        stdout.write(prompt)
        stdout.flush()
        answer = self._input.readline()
        if not answer.endswith("\n"):
            stdout.write("\n")
        return answer.strip()

    # -- how -----------------------------------------------------------------------------------------------------------

    def console(self) -> Console | None:
        """rich's console on standard output; None without rich, without a terminal, and with ``--json``."""
        stdout = _unwrapped(self._stdout)
        if not HAS_RICH or self.as_json or not stdout.isatty():
            return None
        return Console(file=stdout, highlight=False, markup=False, emoji=False)

    @property
    def _input(self) -> TextIO:
        return self._stdin or sys.stdin

    @staticmethod
    def _write(stream: Stream, text: str) -> None:
        stream.write(escaped(text) + "\n")

    def _write_plain_table(self, rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> None:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = [
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(row, widths, numeric, strict=True)
            ]
            self._stdout.write(_GAP.join(cells).rstrip() + "\n")

    @staticmethod
    def _write_rich_table(
        console: Console, headers: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool]
    ) -> None:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for header, right in zip(headers, numeric, strict=True):
            table.add_column(header, justify="right" if right else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(Text, row))
        console.print(table)


def escaped(text: str) -> str:
    """``text`` with whatever a terminal would obey escaped, but for tabs and the ends of lines."""
    return "\n".join(map(clean_line, text.split("\n")))


def _unwrapped(stream: Any) -> Any:
    """The stream itself; Django's wrapper ends each text with a line feed, and colours what goes to stderr."""
    return getattr(stream, "_out", stream)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if _is_number(value) else clean(str(value))


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _chosen(answer: str, count: int) -> list[int]:
    """The places, from 0, that are meant by ``answer``. Raises `ValueError`, which says why."""
    if answer.lower() in ("all", "a", "*"):
        return list(range(count))
    found: set[int] = set()
    for part in answer.replace(",", " ").split():
        first, dash, last = part.partition("-")
        try:
            low, high = int(first), int(last if dash else first)
        except ValueError:
            raise ValueError(f"{part} is no number") from None
        if not 1 <= low <= high <= count:
            raise ValueError(f"{part} is not among 1 to {count}")
        found.update(range(low - 1, high))
    return sorted(found)


class _Lines:
    """How far something is, in lines."""

    def __init__(self, title: str, write: Callable[[str], None]) -> None:
        self._title = title
        self._write = write
        self._next = time.monotonic() + _BETWEEN_LINES

    def __call__(self, done: int, total: int | None) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _BETWEEN_LINES
            self._write(f"{self._title}: {done:,}" + ("" if total is None else f" of {total:,}"))


@contextmanager
def _bar(stream: Any, title: str) -> Iterator[Told]:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=stream), transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


class CtrlC:
    """Takes note of Ctrl-C. As an exception it could come out of a destructor, of redis-py's pipelines for one, where
    Python drops it. The second one is raised all the same."""

    def __init__(self) -> None:
        self.to_end = False

    def __enter__(self) -> CtrlC:
        self._before = signal.signal(signal.SIGINT, self._asked)
        return self

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _asked(self, *_: object) -> None:
        if self.to_end:
            raise KeyboardInterrupt
        self.to_end = True

    def wait(self, seconds: float) -> None:
        """Sleep, unless and until it is asked to end."""
        until = time.monotonic() + seconds
        while not self.to_end and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))
