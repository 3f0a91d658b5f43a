"""Directories of one run."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from local_swarm.storage import remove_left_behind, run_directory

HOLD = """
import sys
from pathlib import Path
from local_swarm.storage import run_directory
with run_directory(Path(sys.argv[1])) as directory:
    (directory / "prompt").write_text("secret")
    print(directory, flush=True)
    sys.stdin.read()
"""


def holder(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_it_is_there_for_the_run_and_its_owner_alone(tmp_path: Path) -> None:
    with run_directory(tmp_path / "slots") as directory:
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert stat.S_IMODE(directory.parent.stat().st_mode) == 0o700
        (directory / "prompt").write_text("secret")
    assert os.listdir(tmp_path / "slots") == []


def test_it_is_removed_where_the_run_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), run_directory(tmp_path):
        _ = 1 / 0
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_the_next_run_removes_what_a_killed_one_left_and_nothing_else(tmp_path: Path) -> None:
    lives, living = holder(tmp_path)
    dies, dead = holder(tmp_path)
    dies.send_signal(signal.SIGKILL)
    dies.communicate(timeout=30)
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    assert (dead / "prompt").exists()
    remove_left_behind(tmp_path)
    assert not dead.exists()
    assert (living / "prompt").exists()
    assert stranger.is_dir()
    lives.communicate("", timeout=30)
    assert os.listdir(tmp_path) == ["stranger"]


def test_one_that_is_just_being_made_is_left_alone(tmp_path: Path) -> None:
    """Its lock is there before it is."""
    (tmp_path / "abc.lock").touch()
    remove_left_behind(tmp_path)
    assert os.listdir(tmp_path) == ["abc.lock"]


def test_where_nothing_ever_was_nothing_is_removed(tmp_path: Path) -> None:
    remove_left_behind(tmp_path / "none")
    assert os.listdir(tmp_path) == []
