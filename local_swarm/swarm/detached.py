"""Starts a swarm that goes on without its terminal, and waits until it is ready. Blocking."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from local_swarm.errors import WorkerStartError
from local_swarm.swarm.own_log import VARIABLE

TIMEOUT_S = 600.0
POLL_S = 0.05
ENDS_IN_S = 10.0


def start(command: Sequence[str], logs: Path) -> str:
    """Runs the command in the background; returns its READY line.

    Raises WorkerStartError where it is not ready in time, and SystemExit with its exit code when
    it ends before, after it has said what it said. Ctrl-C ends the swarm too.
    """
    logs.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix="starting-", suffix=".log", dir=logs)
    os.close(handle)
    with open(name, "ab") as output, open(name, "rb") as written:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, VARIABLE: name},
            start_new_session=True,
        )
        try:
            return _ready_line(process, written)
        except SystemExit:
            Path(name).unlink(missing_ok=True)  # it has been shown
            raise
        except KeyboardInterrupt:  # of a terminal that the swarm does not have
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(ENDS_IN_S)
            Path(name).unlink(missing_ok=True)
            raise


def _ready_line(process: subprocess.Popen[bytes], written: BinaryIO) -> str:
    text, deadline = "", time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        code = process.poll()
        text += written.read().decode("utf-8", "replace")
        whole = text.split("\n")[:-1]
        if ready := next((line for line in whole if line.startswith("READY ")), None):
            return ready
        if code is not None:
            sys.stderr.write(text)
            raise SystemExit(code)
        time.sleep(POLL_S)
    process.terminate()
    raise WorkerStartError(f"Not ready after {TIMEOUT_S:.0f} s.", hint="See `lswarm logs`.")
