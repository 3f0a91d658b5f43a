"""Whole files or none: whoever reads one sees what was there before or what is there now.

Everything here blocks. On Windows a file that another program has open for reading cannot be
replaced: that is an OSError there (documented, never seen on a real system).
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path

OWNER_ONLY = 0o600
LEFT_BEHIND = ".part"  # how the name of a file ends that is being written


def make_directory(directory: Path) -> None:
    """The directory with what is missing above it, for this user alone. Raises OSError."""
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)


def replace_file(path: Path, content: bytes, *, mode: int = OWNER_ONLY) -> None:
    """Puts `content` in the place of the file, and on the disk before that. Raises OSError, and
    then the file is what it was; its directory must be there."""
    handle, temporary = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name}.", suffix=LEFT_BEHIND
    )
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if mode != OWNER_ONLY:
            os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_directory(path.parent)


def sweep(directory: Path, name: str = "*", *, older_than_s: float = 0.0) -> None:
    """Removes what a writer of the file `name` (or of any) left that was killed meanwhile.

    By age where others may be writing now; 0 only under a lock that every writer holds. Raises
    nothing.
    """
    newest = time.time() - older_than_s
    for path in directory.glob(f".{name}.*{LEFT_BEHIND}"):
        with contextlib.suppress(OSError):
            if not older_than_s or path.stat().st_mtime < newest:
                path.unlink()


def _sync_directory(directory: Path) -> None:
    """So that the new name is on the disk too. Windows cannot open a directory, and need not."""
    with contextlib.suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
