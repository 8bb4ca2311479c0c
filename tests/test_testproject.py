"""The testproject's own tests, under Django's test runner: they use this package as a project does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTPROJECT = Path(__file__).resolve().parent.parent / "testproject"


def manage(folder: Path, *command_line: str) -> str:
    """Run the testproject's ``manage.py``, with its data in ``folder``; what it says."""
    done = subprocess.run(
        [sys.executable, "manage.py", *command_line],
        cwd=TESTPROJECT,
        env={**os.environ, "TESTPROJECT_VAR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_testproject_passes_its_tests_under_djangos_test_runner(tmp_path: Path) -> None:
    output = manage(tmp_path, "test", "--buffer")
    assert "\nOK" in output
    assert not (tmp_path / "resque").exists(), "tests must not start a server"


def test_the_testproject_passes_the_system_checks(tmp_path: Path) -> None:
    assert "no issues" in manage(tmp_path, "check", "--fail-level", "WARNING")


def test_the_migrations_of_the_testproject_are_complete(tmp_path: Path) -> None:
    manage(tmp_path, "makemigrations", "--check", "--dry-run")
