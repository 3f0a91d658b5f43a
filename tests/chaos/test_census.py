"""The census itself: whatever is left behind is named."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.census import Census, left_behind, listening, marked, settled_here
from tests.chaos.supervisors import eventually


@contextmanager
def forgotten(folder: Path) -> Iterator[None]:
    """A thread, a child with its pipe, and an open file."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait, name="forgotten-1")
    thread.start()
    left = folder / "left-3"
    words = [sys.executable, "-c", "input()"]
    with left.open("w"), subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL):
        yield
    left.unlink()
    over.set()
    thread.join()


async def test_what_is_left_behind_is_named(tmp_path: Path) -> None:
    before = Census.here([tmp_path])
    assert left_behind(before, Census.here([tmp_path])) == []
    with forgotten(tmp_path):
        task = asyncio.create_task(asyncio.Event().wait(), name="lost-2")
        lines = left_behind(before, Census.here([tmp_path]))
        task.cancel()
    for name in ("forgotten-1", "lost-2", "input()", "left-3", "pipe:"):
        assert any(name in line for line in lines), (name, lines)
    kinds = {line.split(":")[0] for line in lines}
    assert kinds == {"fds", "threads", "tasks", "children", "files"}
    assert await settled_here(before) == []


def test_a_child_whose_end_nobody_took_note_of_is_a_zombie() -> None:
    before = Census.of(os.getpid())
    child = subprocess.Popen([sys.executable, "-c", ""])
    eventually(
        lambda: any("zombie" in line for line in left_behind(before, Census.of(os.getpid()))),
        "a zombie",
    )
    child.wait()


def test_processes_are_found_by_their_environment_and_their_ports() -> None:
    code = "import socket; s = socket.create_server(('127.0.0.1', 0)); input()"
    words = [sys.executable, "-c", code]
    with subprocess.Popen(words, stdin=subprocess.PIPE, env={"A_MARK": "x7"}) as child:
        eventually(lambda: listening([child.pid]), "a port")
        assert [process.pid for process in marked("A_MARK", "x7")] == [child.pid]
        assert marked("A_MARK", "x") == []
    assert marked("A_MARK", "x7") == []
