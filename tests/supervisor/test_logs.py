from __future__ import annotations

from pathlib import Path

import pytest

from local_swarm.supervisor.logs import WorkerLog


@pytest.mark.parametrize("backups", [0, 2])
def test_a_log_stays_within_its_size(tmp_path: Path, backups: int) -> None:
    log = WorkerLog("w", tmp_path / "w.log", max_bytes=1000, backups=backups)
    for number in range(500):
        log.feed(b"line %d of a worker\n" % number)
    log.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) == backups + 1
    assert all(file.stat().st_size <= 1000 for file in files)
    assert files[0].read_text().endswith("line 499 of a worker\n")


def test_the_lines_of_a_life_are_told_apart_from_those_before(tmp_path: Path) -> None:
    log = WorkerLog("w", None)
    log.feed(b"out of memory\n")
    log.begin()
    log.note("starting")
    log.feed(b"loading\n")
    assert log.life() == ("loading",)
    assert log.tail() == ("out of memory", "[supervisor] starting", "loading")
