"""What a wheel and a source distribution hold beside the modules, which nothing else would miss before users do."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

import django_resque

# tox runs a copy of the tests that has no package beside it, and says where the sources are.
SOURCES = Path(os.environ.get("DJANGO_RESQUE_SOURCES") or Path(__file__).parent.parent)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both distributions, built as a release would build them."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(folder)]
    done = subprocess.run(command, cwd=SOURCES, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> set[str]:
    (path,) = built.glob("*.whl")
    with ZipFile(path) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def sdist(built: Path) -> set[str]:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def package_files() -> set[str]:
    """Every file below the package, as git would see them."""
    found = (path for path in (SOURCES / "django_resque").rglob("*") if path.is_file())
    return {str(path.relative_to(SOURCES)) for path in found if "__pycache__" not in path.parts}


def test_the_wheel_holds_every_file_of_the_package(wheel: set[str]):
    assert package_files() <= wheel


@pytest.mark.parametrize(
    "pattern",
    [
        "django_resque/py.typed",
        "django_resque/store/lua/turn.lua",
        "django_resque/store/lua/*.lua",
        "django_resque/templates/admin/django_resque/*.html",
        "django_resque/static/django_resque/*",
    ],
)
def test_the_wheel_holds_what_is_not_python(wheel: set[str], pattern: str):
    assert [name for name in wheel if Path(name).match(pattern)]


def test_the_wheel_holds_the_package_and_nothing_beside_it(wheel: set[str]):
    tops = {name.partition("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"django_resque"}


def test_the_wheel_registers_the_pytest_plugin_and_carries_the_licence(wheel: set[str]):
    names = {name.partition(".dist-info/")[2] for name in wheel}
    assert {"entry_points.txt", "licenses/LICENSE"} <= names


def test_the_source_distribution_holds_what_is_needed_to_test_and_document(sdist: set[str]):
    assert package_files() <= sdist
    assert {"LICENSE", "README.md", "CHANGELOG.md", "Makefile", "tox.ini", "pyproject.toml"} <= sdist
    assert {"tests/conftest.py", "testproject/manage.py", "docs/conf.py"} <= sdist
    assert not [name for name in sdist if "/var/" in name or name.endswith(".pyc")]


@pytest.mark.skipif("DJANGO_RESQUE_SOURCES" not in os.environ, reason="only tox installs a wheel")
def test_under_tox_it_is_the_wheel_that_is_tested():
    assert "site-packages" in Path(django_resque.__file__).parts
