"""What a process holds: open files, threads, tasks, children, files on disk and memory.

Two of them, taken before and after, tell what was left behind, by name: `Census.of(pid)` for any
process of this machine, `Census.here()` for this one with its asyncio tasks. Linux only, for the
names come out of /proc.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

SETTLE_S = 10.0
POLL_S = 0.05
# asyncio's own threads for blocking calls: there are as many as were ever needed at once.
POOL_THREADS = min(32, (os.cpu_count() or 1) + 4)
POOL = "pool thread"  # and any thread of another process: all have its program's name
POOL_NAME = re.compile(r"asyncio_\d+$")
NUMBERS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Census:
    """Counts by what a thing is; `seen` has each thing itself, for the words of a failure."""

    fds: Counter[str] = field(default_factory=Counter)
    threads: Counter[str] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)
    children: Counter[str] = field(default_factory=Counter)
    files: Counter[str] = field(default_factory=Counter)
    memory_bytes: int = 0
    seen: tuple[str, ...] = ()

    @classmethod
    def of(cls, pid: int, folders: Iterable[Path] = ()) -> Census:
        """Another process, and the files in these folders. Raises psutil.NoSuchProcess."""
        process = psutil.Process(pid)
        fds = _fds(pid)
        children = [_described(child) for child in process.children(recursive=True)]
        files = [str(path) for folder in folders for path in folder.rglob("*") if path.is_file()]
        return cls(
            fds=Counter(map(_kind, fds)),
            threads=Counter({POOL: psutil.Process(pid).num_threads()}),
            children=Counter(_kind(child) for child in children),
            files=Counter(map(_kind, files)),
            memory_bytes=memory_of(process),
            seen=(*fds, *children, *files),
        )

    @classmethod
    def here(cls, folders: Iterable[Path] = ()) -> Census:
        """This process, from inside its event loop; what only waits for the collector is gone."""
        gc.collect()
        other = cls.of(os.getpid(), folders)
        named = [POOL_NAME.sub(POOL, thread.name) for thread in threading.enumerate()]
        tasks = [task.get_name() for task in asyncio.all_tasks()]
        return cls(
            fds=other.fds,
            threads=Counter(map(_kind, named)),
            tasks=Counter(map(_kind, tasks)),
            children=other.children,
            files=other.files,
            memory_bytes=other.memory_bytes,
            seen=(*other.seen, *named, *tasks),
        )

    def counts(self) -> dict[str, int]:
        parts = ("fds", "threads", "tasks", "children", "files")
        return {part: sum(getattr(self, part).values()) for part in parts}


def left_behind(before: Census, after: Census) -> list[str]:
    """What there is more of than before, one line for each kind; memory is not compared."""
    lines = []
    for part in ("fds", "threads", "tasks", "children", "files"):
        old, new = getattr(before, part), getattr(after, part)
        for kind in sorted(new):
            more = new[kind] - old[kind] - _allowed(part, kind)
            if more > 0:
                things = [t for t in after.seen if _kind(t) == kind and t not in before.seen]
                lines.append(f"{part}: {more} more of {kind}: {', '.join(things[:5])}")
    return lines


def settled(take: Callable[[], Census], before: Census) -> list[str]:
    """What is left behind once things have had SETTLE_S to end."""
    deadline = time.monotonic() + SETTLE_S
    while (lines := left_behind(before, take())) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return lines


async def settled_here(before: Census) -> list[str]:
    """The same of this process, whose loop goes on meanwhile."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        lines = left_behind(before, Census.here())
        if not lines or time.monotonic() > deadline:
            return lines
        await asyncio.sleep(POLL_S)


def growth(before: Census, after: Census) -> float:
    """How much more memory there is, as a share: 0.05 is 5%."""
    return after.memory_bytes / before.memory_bytes - 1


def memory_of(process: psutil.Process) -> int:
    """Resident bytes. Not what it shares with nobody: while a child is being forked that is
    next to nothing."""
    return int(process.memory_info().rss)


def marked(name: str, value: str) -> list[psutil.Process]:
    """The live processes with this in their environment, wherever they are by now."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            alive = process.status() != psutil.STATUS_ZOMBIE
            if alive and process.environ().get(name) == value:
                found.append(process)
    return found


def listening(pids: Iterable[int]) -> set[int]:
    """The TCP ports on which these processes listen."""
    ports = set()
    for pid in pids:
        with suppress(psutil.Error):
            connections = psutil.Process(pid).net_connections("tcp")
            ports |= {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}
    return ports


def _allowed(part: str, kind: str) -> int:
    return POOL_THREADS if part == "threads" and kind == POOL else 0


def _fds(pid: int) -> list[str]:
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found.append(os.readlink(entry))
    return found


def _described(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        if process.status() == psutil.STATUS_ZOMBIE:
            return f"zombie {process.name()}"
        return f"child {' '.join(process.cmdline()[:6])}"
    return "child that is gone"


def _kind(thing: str) -> str:
    """A thing without what differs from one to the next: inode, pid, port."""
    return NUMBERS.sub("N", thing)
