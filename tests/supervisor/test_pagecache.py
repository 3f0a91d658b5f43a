from __future__ import annotations

import threading
from pathlib import Path

from local_swarm.supervisor.pagecache import CHUNK_BYTES, is_worth_it, warm


def test_every_part_of_a_model_is_read_once(tmp_path: Path) -> None:
    parts = [tmp_path / "a.gguf", tmp_path / "b.gguf"]
    parts[0].write_bytes(b"x" * (CHUNK_BYTES + 5))
    parts[1].write_bytes(b"y" * 3)
    assert warm([str(part) for part in parts], threading.Event()) == CHUNK_BYTES + 8


def test_a_stop_and_a_missing_file_end_it_quietly(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    (tmp_path / "a.gguf").write_bytes(b"x")
    assert warm([str(tmp_path / "a.gguf")], stop) == 0
    assert warm([str(tmp_path / "none.gguf")], threading.Event()) == 0


def test_it_is_worth_it_for_several_workers_and_files_that_stay_in_memory(tmp_path: Path) -> None:
    file = tmp_path / "a.gguf"
    file.write_bytes(b"x" * 100)
    assert is_worth_it([str(file)], workers=2, available_bytes=101)
    assert not is_worth_it([str(file)], workers=1, available_bytes=101)
    assert not is_worth_it([str(file)], workers=2, available_bytes=100)
    assert not is_worth_it([str(tmp_path / "none")], workers=2, available_bytes=100)
