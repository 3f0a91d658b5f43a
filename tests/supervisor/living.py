"""Processes that wait for their end, and what to ask about them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import psutil

from local_swarm.supervisor.reaper import RUN_TOKEN
from tests.swarms import PATIENCE_S

POLL_S = 0.01
WAITS = (sys.executable, "-I", "-S", "-c", "import signal; print(flush=True); signal.pause()")


def eventually(ask: Callable[[], object], what: str, within_s: float = PATIENCE_S) -> None:
    """Of other processes: there is no event to wait for."""
    deadline = time.monotonic() + within_s
    while not ask():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(POLL_S)


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def holders(token: str) -> list[str]:
    """The living with this token, wherever they have gone."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(RUN_TOKEN) == token and lives(process.pid):
                found.append(f"{process.pid} {' '.join(process.cmdline())}")
    return found


def runs(token: str, command: str) -> bool:
    """Whether one of them is this very command."""
    return any(holder.partition(" ")[2] == command for holder in holders(token))


@contextlib.contextmanager
def waiting(command: Sequence[str] = WAITS, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits for ever; it has begun, and is gone afterwards."""
    with subprocess.Popen(
        command, env={**os.environ, **env}, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()
