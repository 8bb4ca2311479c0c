"""The line for a shell: what it gives the command is what the job has, whatever stands in it, and it shows no more than
it says."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from django_resque.command_line import to_type
from django_resque.log_format import clean

WORDS = [
    "a",
    "it's",
    "a\nb",
    "\x1b[2J",
    "tab\there",
    "\u202egpj",
    "back\\slash\n",
    "é\x85",
    "'\x07'",
    "",
    "-x",
    "\\u0041\x01",
]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_reads_the_same_words(shell: str):
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    line = to_type(WORDS)
    assert line is not None
    assert line.startswith("manage.py a ")
    program = 'f() { printf "%s\\0" "$@"; }; ' + line.replace("manage.py", "f", 1)
    said = subprocess.run([shell, "-c", program], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}).stdout
    assert said.decode().split("\0")[:-1] == WORDS


def test_nothing_in_it_is_obeyed_by_a_terminal():
    line = to_type(WORDS)
    assert line == clean(line or "")


@pytest.mark.parametrize("word", ["a\0b", "\ud800"])
def test_what_no_command_line_can_have_is_not_written(word: str):
    assert to_type(["act", word]) is None
