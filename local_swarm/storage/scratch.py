"""A directory that lives as long as one run, and what earlier runs left of theirs."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from local_swarm.storage.files import make_directory

LOCK = ".lock"


@contextlib.contextmanager
def run_directory(parent: Path) -> Iterator[Path]:
    """A new directory below `parent` for this user and this run alone, removed at the end.

    The run holds a lock beside its directory, which ends with its process however that dies: so
    `remove_left_behind` knows what is over. Blocks for small files. Raises OSError, and
    NotImplementedError on a file system without locks.
    """
    make_directory(parent)
    directory = parent / secrets.token_hex(8)
    from filelock import FileLock

    with FileLock(_lock_of(directory), mode=0o600):
        directory.mkdir(mode=0o700)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)
            _lock_of(directory).unlink(missing_ok=True)


def remove_left_behind(parent: Path) -> None:
    """Removes the directories here whose run was killed. Those of runs that live stay. Raises
    nothing."""
    for directory in left_behind(parent):
        shutil.rmtree(directory, ignore_errors=True)
        with contextlib.suppress(OSError):
            _lock_of(directory).unlink(missing_ok=True)


def left_behind(parent: Path) -> Iterator[Path]:
    """The directories here whose run was killed, each locked meanwhile. Raises nothing."""
    from filelock import FileLock, Timeout

    for lock in parent.glob(f"*{LOCK}"):
        directory = lock.with_name(lock.name.removesuffix(LOCK))
        if not directory.is_dir():
            continue  # a run that begins has its lock first
        with contextlib.suppress(OSError, Timeout, NotImplementedError), FileLock(lock, timeout=0):
            yield directory


def _lock_of(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}{LOCK}")
