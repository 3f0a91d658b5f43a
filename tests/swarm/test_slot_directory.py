"""The directory of a run's slots."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from local_swarm.config.paths import Paths
from local_swarm.swarm.slot_directory import slot_directory


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "config", tmp_path / "state", tmp_path / "cache", tmp_path / "run")


def test_prompts_are_gone_when_the_run_is_over(paths: Paths) -> None:
    with slot_directory(paths, keep=True) as directory:
        assert directory is not None
        (directory / "prompt").write_text("secret")
    assert os.listdir(paths.cache / "slots") == []


def test_nothing_is_made_where_slots_are_not_kept(paths: Paths) -> None:
    with slot_directory(paths, keep=False) as directory:
        assert directory is None
    assert not paths.cache.exists()


@pytest.mark.parametrize("keep", [True, False])
def test_what_a_killed_run_left_goes_with_the_next_start(paths: Paths, keep: bool) -> None:
    left = paths.cache / "slots" / "abc"
    left.mkdir(parents=True)
    left.with_name("abc.lock").touch()
    (left / "prompt").write_text("secret")
    with slot_directory(paths, keep=keep):
        assert not left.exists()


def test_where_it_cannot_be_made_the_swarm_starts_without(
    paths: Paths, caplog: pytest.LogCaptureFixture
) -> None:
    paths.cache.write_text("a file where the folder should be")
    with slot_directory(paths, keep=True) as directory:
        assert directory is None
    assert "not kept" in caplog.text
