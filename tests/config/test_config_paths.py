"""Where things are kept, and for whom."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from local_swarm.config import ensured, user_paths
from local_swarm.config.paths import chosen
from local_swarm.errors import ConfigError

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")


def test_lswarm_home_holds_everything_and_is_not_created(tmp_path):
    home = tmp_path / "home"
    paths = user_paths({"LSWARM_HOME": str(home)})
    assert paths.config_file == home / "config" / "lswarm.toml"
    assert (paths.state, paths.cache, paths.run) == (home / "state", home / "cache", home / "run")
    assert not home.exists()


def test_run_files_never_lie_in_the_shared_temporary_directory(monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(Path(tempfile.gettempdir()) / "shared"))
    assert not user_paths({}).run.is_relative_to(Path(tempfile.gettempdir()) / "shared")


def test_without_a_runtime_directory_nothing_is_warned_about(monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert user_paths({}).run.is_absolute()


@posix
def test_a_directory_and_what_is_missing_above_it_are_for_the_user_alone(tmp_path):
    made = ensured(tmp_path / "a" / "b")
    assert [stat.S_IMODE(path.stat().st_mode) for path in (made, made.parent)] == [0o700, 0o700]


def test_a_directory_that_exists_is_left_as_it_is(tmp_path):
    before = tmp_path.stat().st_mode
    assert ensured(tmp_path) == tmp_path
    assert tmp_path.stat().st_mode == before


@pytest.mark.parametrize("inside", [".", "below"])
def test_a_file_in_the_way_is_told(tmp_path, inside):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be created"):
        ensured(tmp_path / "file" / inside)


def test_a_directory_set_by_hand_wins_over_the_usual_one(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert chosen("", tmp_path / "usual") == tmp_path / "usual"
    assert chosen("~/mine", tmp_path / "usual") == tmp_path / "mine"
