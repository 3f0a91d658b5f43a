"""What a running swarm leaves on disk: who it is, how to reach it, whose children are whose.

The file lets `lswarm status` and `down` find the swarm, and lets the next start end what an
earlier one left behind. Only what is provably ours is ever touched: a process is ours when its
environment holds the random token of a run whose supervisor (pid and start time) is gone.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import msgspec
import psutil

from local_swarm.supervisor.process import RUN_TOKEN


class ProcessId(msgspec.Struct, frozen=True):
    """A process beyond doubt: pids come again, a pid with its start time does not."""

    pid: int
    start_time: float

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """Raises psutil.NoSuchProcess."""
        return cls(pid, psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """The live process, or None when it is gone or another one has its pid."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.start_time) < 0.05
            alive = process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return None
        return process if same and alive else None


class RunFile(msgspec.Struct, frozen=True):
    """One running swarm. `control_key` opens its gateway to this user's own commands."""

    supervisor: ProcessId
    url: str
    token: str
    control_key: str
    model: str
    version: int = 1


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
    """The file's content, or None when there is none or it is damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunFile)
    except (OSError, msgspec.DecodeError):
        return None


def remove(path: Path, token: str) -> None:
    """Removes the file if it is still the one of the swarm with `token`."""
    run = read(path)
    if run is not None and run.token == token:
        path.unlink(missing_ok=True)


def reap(run: RunFile) -> list[int]:
    """Ends what a dead supervisor left behind, its children's children too; returns their pids.

    Does nothing while that supervisor lives. Reads every process's environment: tens of
    milliseconds.
    """
    if run.supervisor.process() is not None:
        return []
    ended = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(RUN_TOKEN) == run.token:
                process.kill()
                ended.append(process.pid)
    return ended


def clean_up(directory: Path) -> list[int]:
    """Reaps after every dead supervisor whose run file lies here and removes the file."""
    ended = []
    for path in directory.glob("swarm-*.json"):
        run = read(path)
        if run is not None and run.supervisor.process() is None:
            ended += reap(run)
            remove(path, run.token)
    return ended
