"""Reads a model's files once, ahead of the workers that will map them.

Several workers that load one file from a slow disk at the same time make it jump between them; one
reader ahead of all of them reads in order, and they find the pages in memory.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path

CHUNK_BYTES = 8 << 20


def is_worth_it(files: Sequence[str], *, workers: int, available_bytes: int) -> bool:
    """Where more than one worker reads them and they stay in memory. Pure but for their sizes;
    a file that is not there is nobody's to warm."""
    if workers < 2:
        return False
    try:
        return sum(Path(file).stat().st_size for file in files) < available_bytes
    except OSError:
        return False


def warm(files: Sequence[str], stop: threading.Event) -> int:
    """Reads the files in order until `stop` is set; returns how many bytes. Blocks: for a thread.

    Raises nothing: whoever loads a file will say what is wrong with it.
    """
    read = 0
    buffer = bytearray(CHUNK_BYTES)
    for name in files:
        with contextlib.suppress(OSError), open(name, "rb", buffering=0) as file:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            while not stop.is_set() and (count := file.readinto(buffer)):
                read += count
    return read
