"""The log of a detached swarm: where it goes, and that it stays small."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_swarm.swarm.own_log import OwnLog

PATIENCE_S = 20.0


@pytest.fixture
def output(tmp_path: Path) -> Iterator[int]:
    """A descriptor that leads to `starting.log`, as a detached swarm's stderr does."""
    file = os.open(tmp_path / "starting.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    yield file
    os.close(file)


def own_log(directory: Path, output: int, backups: int = 2) -> OwnLog:
    path = directory / "starting.log"
    return OwnLog(path, max_bytes=10, backups=backups, outputs=(output,))


def texts(directory: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in sorted(directory.iterdir())}


def test_it_moves_to_the_logs_of_its_port_and_keeps_the_one_before(
    tmp_path: Path, output: int
) -> None:
    logs = tmp_path / "8000"
    logs.mkdir()
    (logs / "swarm.log").write_text("the last run\n")
    log = own_log(tmp_path, output)
    os.write(output, b"before\n")
    log.move(logs)
    os.write(output, b"after\n")
    assert texts(logs) == {"swarm.log": "before\nafter\n", "swarm.log.1": "the last run\n"}
    assert not (tmp_path / "starting.log").exists()


def test_where_it_cannot_move_it_stays(tmp_path: Path, output: int) -> None:
    (tmp_path / "file").write_text("")
    log = own_log(tmp_path, output)
    log.move(tmp_path / "file" / "8000")
    assert log.path == tmp_path / "starting.log"


def test_a_large_file_makes_way_for_a_new_one(tmp_path: Path, output: int) -> None:
    logs = tmp_path / "8000"
    log = own_log(tmp_path, output)
    log.move(logs)
    for number in range(4):
        os.write(output, f"line {number} of it\n".encode())
        log.keep_small()
    os.write(output, b"end\n")
    assert texts(logs) == {
        "swarm.log": "end\n",
        "swarm.log.1": "line 3 of it\n",
        "swarm.log.2": "line 2 of it\n",
    }
    assert (logs / "swarm.log").stat().st_mode & 0o077 == 0


def test_a_small_file_stays(tmp_path: Path, output: int) -> None:
    log = own_log(tmp_path, output)
    os.write(output, b"short\n")
    log.keep_small()
    assert list(texts(tmp_path)) == ["starting.log"]


def test_without_backups_it_is_cut(tmp_path: Path, output: int) -> None:
    log = own_log(tmp_path, output, backups=0)
    os.write(output, b"a long line that is too much\n")
    log.keep_small()
    os.write(output, b"end\n")
    assert texts(tmp_path) == {"starting.log": "end\n"}


async def test_it_is_looked_at_again_and_again(tmp_path: Path, output: int) -> None:
    log = own_log(tmp_path, output)
    os.write(output, b"a long line that is too much\n")
    before = os.fstat(output).st_ino

    async def rotated() -> None:
        while os.fstat(output).st_ino == before:  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # files tell nobody when they change

    async with log.kept_small(every_s=0.01):
        await asyncio.wait_for(rotated(), PATIENCE_S)
