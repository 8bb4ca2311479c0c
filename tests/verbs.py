"""Verbs of ``manage.py resque``, as a test runs them: in this process, or as a process of their own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from django.core.management import call_command
from django.core.management.base import CommandError

from tests.workers import ROOT


@dataclass(frozen=True)
class Ran:
    """What a verb wrote, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


def verb(*words: object) -> Ran:
    """``manage.py resque`` with these words, in this process."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("resque", *map(str, words), stdout=out, stderr=err)
        code = 0
    except CommandError as error:  # what manage.py would write and exit with
        err.write(f"{error}\n")
        # A parser that is not called from a command line raises what it would say, and exit with 2 after.
        code = 2 if str(error).startswith("Error: ") else error.returncode
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    return Ran(code, out.getvalue(), err.getvalue())


def process(*words: object, env: dict[str, str] | None = None, timeout: float = 60) -> Ran:
    """The same as a process of its own, without a terminal."""
    ran = subprocess.run(
        [sys.executable, "-m", "django", "resque", *map(str, words)],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": str(ROOT), **(env or {})},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)
