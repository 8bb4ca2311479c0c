"""The table of ``docs/parity.md``: each row names tests that there are."""

from __future__ import annotations

import ast
import os
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("DJANGO_RESQUE_SOURCES") or Path(__file__).parent.parent)  # tox copies the tests alone
PAGE = ROOT / "docs" / "parity.md"
COLUMNS = ["feature", "there", "here", "test"]
NOTHING = "—"
REASONS = ("not yet", "not needed", "on purpose")
"""What a row without a test says in its place."""


def rows() -> list[list[str]]:
    """The cells of every row of every table, but for heads and rules."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in cells if row != COLUMNS and set("".join(row)) != {"-"}]


@cache
def functions(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_the_table_is_there():
    assert len(rows()) > 100


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_a_row_names_tests_that_exist_or_says_why_there_is_none(row: list[str]):
    assert len(row) == len(COLUMNS), row
    assert all(row), row
    feature, _, here, test = row
    if test == NOTHING:
        assert any(reason in here for reason in REASONS), f"{feature}: why is there no test?"
        return
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", test)
    assert named, f"{feature}: {test}"
    for path, name in named:
        assert (ROOT / path).is_file(), path
        assert name in functions(path), f"{path} has no {name}"
