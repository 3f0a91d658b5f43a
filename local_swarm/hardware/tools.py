"""Asks programs of the system, without trusting them: bounded in time and output, one at a time or
side by side. Every probe takes a `Runner`, so tests answer from recorded outputs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import IO

# Less than a probe's two seconds, so that a probe whose tool hangs still tells the rest.
TOOL_TIMEOUT_S = 1.7
MOST_OUTPUT_BYTES = 1 << 20
_GRACE_S = 0.1

Runner = Callable[[Sequence[str]], str]
"""A command line in, its stdout out; "" when there is no such program or it told nothing in time.
The exit status is not looked at: many tools exit with an error after a warning, the facts told."""


def run_tool(
    argv: Sequence[str],
    *,
    timeout_s: float = TOOL_TIMEOUT_S,
    most_bytes: int = MOST_OUTPUT_BYTES,
) -> str:
    """The system's `Runner`. Blocks `timeout_s` at most, then kills the program and its children.

    Output beyond `most_bytes` is not read. A program is only taken from a PATH entry that is
    absolute: what lies in the working directory is not ours to run.
    """
    program = shutil.which(argv[0])
    if program is None or not os.path.isabs(program):
        return ""
    try:
        process = _start([program, *argv[1:]])
    except (OSError, ValueError):
        return ""
    chunks: list[bytes] = []
    reader = threading.Thread(
        target=_read, args=(process.stdout, most_bytes, chunks), name="tool-output", daemon=True
    )
    reader.start()
    reader.join(timeout_s)
    late = reader.is_alive()
    _end(process, reader)
    return "" if late else b"".join(chunks).decode("utf-8", errors="replace")


def side_by_side(run: Runner, commands: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The outputs of all `commands`, run at the same time. Blocks as long as the slowest."""
    outputs = [""] * len(commands)

    def work(index: int) -> None:
        outputs[index] = run(commands[index])

    threads = [
        threading.Thread(target=work, args=(index,), name="tool", daemon=True)
        for index in range(len(commands))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tuple(outputs)


def _start(argv: Sequence[str]) -> subprocess.Popen[bytes]:
    hidden = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        bufsize=0,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "LC_ALL": "C"},
        start_new_session=True,
        creationflags=hidden,
    )


def _read(stream: IO[bytes] | None, most_bytes: int, chunks: list[bytes]) -> None:
    """Reads to the end or the bound, and closes; only the reader does, for it may outlast us."""
    if stream is None:
        return
    left = most_bytes
    with stream, contextlib.suppress(OSError):
        while left and (chunk := stream.read(min(left, 1 << 16))):
            chunks.append(chunk)
            left -= len(chunk)


def _end(process: subprocess.Popen[bytes], reader: threading.Thread) -> None:
    """Kills whatever is left of the group and reaps the program."""
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_S)
    reader.join(_GRACE_S)
