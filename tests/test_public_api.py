"""What ``from django_resque import …`` gives: names that projects may rely on."""

from __future__ import annotations

import subprocess
import sys

import django_resque

NAMES = [
    "Job",
    "Retry",
    "current_job",
    "enqueue",
    "enqueue_at",
    "enqueue_in",
    "enqueue_many",
    "enqueue_on",
    "enqueue_to",
    "using",
]


def test_the_public_names_are_these_and_no_others():
    assert django_resque.__all__ == NAMES


def test_every_public_name_is_there_and_documented():
    for name in NAMES:
        assert getattr(django_resque, name).__doc__, f"{name} has no docstring"


def test_a_star_import_brings_the_public_names():
    names: dict[str, object] = {}
    exec("from django_resque import *", names)
    assert sorted(names.keys() - {"__builtins__"}) == NAMES


def test_an_unknown_name_is_an_attribute_error_that_names_it():
    missing = object()
    assert getattr(django_resque, "enqueue_all", missing) is missing


def test_importing_the_package_needs_no_settings_and_loads_neither_django_nor_redis():
    # pytest imports it to find its plugin in every project of the environment, the embedded server to find its module.
    code = "import django_resque, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "django_resque" in loaded
    assert not {"django", "redis", "django_redis"} & set(loaded)
