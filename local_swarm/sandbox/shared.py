"""The sandbox of this process."""

from __future__ import annotations

import atexit
import functools
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
        return _begun()


@functools.cache
def _begun() -> Sandbox:
    sandbox = Sandbox()
    atexit.register(sandbox.close)
    return sandbox
