"""What a running swarm leaves on disk: who it is, how to reach it.

The file lets `lswarm status` and `down` find the swarm, and says who holds a port. It is not needed
to find what a dead swarm left behind: `orphans.py` does without it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import msgspec

from local_swarm.supervisor import orphans
from local_swarm.supervisor.identity import ProcessId as ProcessId
from local_swarm.supervisor.identity import Standing
from local_swarm.telemetry.logs import get_logger

log = get_logger(__name__)

VERSION = 2


class RunFile(msgspec.Struct, frozen=True):
    """One running swarm. `control_key` opens its gateway to this user's own commands."""

    supervisor: ProcessId
    url: str
    token: str
    control_key: str
    model: str
    version: int = VERSION


def write(path: Path, run: RunFile) -> None:
    """Replaces the file atomically, readable by its owner only. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(run))
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def read(path: Path) -> RunFile | None:
    """The file's content. None when there is none, it is damaged, or of another version: whoever
    wrote that may be alive, and nobody's children are judged by it."""
    try:
        run = msgspec.json.decode(path.read_bytes(), type=RunFile)
    except (OSError, msgspec.DecodeError):
        return None
    return run if run.version == VERSION else None


def remove(path: Path, token: str) -> None:
    """Removes the file if it is still the one of the swarm with `token`."""
    run = read(path)
    if run is not None and run.token == token:
        path.unlink(missing_ok=True)


def clean_up(directory: Path) -> list[int]:
    """Ends what dead supervisors left that keep their run files here, and removes those files.

    Returns the pids that were ended. A file that cannot be read stays, until a swarm takes its
    port; so does one from another container on this machine, of which nothing can be known. Blocks
    for some tens of milliseconds. Never raises.
    """
    ended = orphans.reap(directory)
    for path in directory.glob("swarm-*.json"):
        run = read(path)
        if run is None:
            log.warning("a run file that cannot be read is left alone", path=str(path))
        elif run.supervisor.standing() is Standing.GONE:
            with contextlib.suppress(OSError):  # nobody takes it for a running swarm
                remove(path, run.token)
    return ended
