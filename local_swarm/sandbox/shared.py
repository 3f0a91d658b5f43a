"""The sandbox of this process."""

from __future__ import annotations

import atexit
import functools
import os
import threading

from local_swarm.errors import SandboxUnavailable
from local_swarm.sandbox.pool import Sandbox

_lock = threading.Lock()


@functools.cache
def unavailable() -> str | None:
    """Why answers' code cannot be run safely on this machine, else None. Blocks the first time:
    begins a sandbox, which tests its walls, and ends it."""
    try:
        with Sandbox(workers=1):
            return None
    except SandboxUnavailable as exc:
        return exc.message


def shared() -> Sandbox:
    """Begun on first use, which blocks, and closed at exit. Raises SandboxUnavailable."""
    with _lock:
        return _of_process(os.getpid())


@functools.cache
def _of_process(pid: int) -> Sandbox:
    """A forked process gets its own: workers serve one."""
    sandbox = Sandbox()
    atexit.register(_close, sandbox, pid)
    return sandbox


def _close(sandbox: Sandbox, pid: int) -> None:
    if os.getpid() == pid:
        sandbox.close()
