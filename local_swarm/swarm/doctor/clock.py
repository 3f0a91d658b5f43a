"""Whether the clock can be right: peers refuse what was signed at another time."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import local_swarm
from local_swarm.swarm.doctor.directories import nearest
from local_swarm.swarm.doctor.finding import Context, Finding, error, note, ok

MOST_APART_S = 5.0
DAY_S = 86400.0
TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
TIMEX_BYTES = 512  # more than struct timex takes anywhere; all zero only asks
SET = "Set the clock, and have it kept: `timedatectl set-ntp true`, or the system's settings."


def check(context: Context) -> Iterator[Finding]:
    yield from judged(
        now=time.time(),
        installed=Path(local_swarm.__file__).stat().st_mtime,
        file_time=_file_time(nearest(context.paths.state)),
        synchronised=_synchronised(),
    )


def judged(
    *, now: float, installed: float, file_time: float | None, synchronised: bool | None
) -> Iterator[Finding]:
    """Times in seconds since 1970; `file_time` is that of a file that was written now."""
    if now < installed - DAY_S:
        yield error("The clock is earlier than the installation of this program.", SET)
        return
    if file_time is not None and abs(now - file_time) > MOST_APART_S:
        yield note(
            f"The clock and that of the state directory's disk are {now - file_time:+.0f} s apart.",
            SET,
        )
    if synchronised is False:
        yield note("The clock is not synchronised with a time server.", SET)
    else:
        yield ok("The clock is synchronised." if synchronised else "The clock is plausible.")


def _file_time(directory: Path) -> float | None:
    """The disk's own time: a network's differs from ours."""
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(b"now")
            file.flush()

            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return None


def _synchronised() -> bool | None:
    """What the Linux kernel knows of its clock; None where it does not tell."""
    if sys.platform != "linux":
        return None
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != TIME_ERROR
