"""Asks an engine's program what it is, without trusting it: bounded in time and output."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence

from local_swarm.engines.environment import DROPPED

MOST_OUTPUT_BYTES = 1 << 20
_GRACE_S = 0.1


def stdout_of(
    argv: Sequence[str], *, timeout_s: float, env: Mapping[str, str] | None = None
) -> str | None:
    """What the program printed to stdout; None when it could not be run or was late.

    `env` is added to what a worker would inherit. Blocks `timeout_s` at most, then kills the
    program and its children. The exit status is not looked at: a driver may crash at the end with
    everything told. It prints into a file, because a child of its own could hold a pipe open.
    """
    with tempfile.TemporaryFile() as out:
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.DEVNULL,
                env={**_inherited(), **(env or {})},
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except (OSError, ValueError):
            return None
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(process)
        out.seek(0)
        return out.read(MOST_OUTPUT_BYTES).decode(errors="replace")


def _inherited() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(DROPPED)}


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kills what is left of the program and its children; reaps it unless a driver holds it."""
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_S)
