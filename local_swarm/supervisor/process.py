"""One child process: started under the guard, its output pumped, its end told once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from local_swarm.domain.launch import LaunchSpec
from local_swarm.supervisor.logs import WorkerLog

GUARD = Path(__file__).with_name("guard.py")
DROPPED = ("LSWARM_", "LLAMA_ARG_", "LLAMA_API_KEY")
PIPE_BYTES = 65536  # what a pipe holds
RUN_TOKEN = "LSWARM_RUN_TOKEN"  # in every child's environment: proves whose it is


class ChildProcess:
    """A running child. Made by `spawn`, which must be called from the main thread.

    Its output comes through a pipe of our own: asyncio's would make `wait` wait until everyone
    who inherited the pipe has closed it, and a child that is gone would count as alive.
    """

    def __init__(self, process: asyncio.subprocess.Process, output: int, log: WorkerLog) -> None:
        self._process = process
        self._output = output
        self._log = log
        os.set_blocking(output, False)
        asyncio.get_running_loop().add_reader(output, self._read)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> tuple[int | None, int | None]:
        """Waits until the process has ended; returns (exit code, signal), one of them None.

        Then ends what is left of its group and closes its log's pipe.
        """
        try:
            code = await self._process.wait()
        finally:
            self.kill()
            self._read()
            self._close()
        return (None, -code) if code < 0 else (code, None)

    def _read(self) -> None:
        """Takes some of what the child has written, never so much that a flood holds the loop."""
        if self._output < 0:
            return
        try:
            chunk = os.read(self._output, PIPE_BYTES)
        except BlockingIOError:
            return
        if chunk:
            self._log.feed(chunk)
        else:
            self._close()

    def _close(self) -> None:
        if self._output >= 0:
            asyncio.get_running_loop().remove_reader(self._output)
            os.close(self._output)
            self._output = -1
            self._log.end()

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        """To the whole group: the child leads its own session."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


async def spawn(spec: LaunchSpec, log: WorkerLog, *, run_token: str) -> ChildProcess:
    """Starts `spec` in a session of its own. Raises OSError when nothing could be started."""
    command = [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), *spec.argv]
    output, written = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            env=child_environment(os.environ, spec.env, run_token),
            start_new_session=True,
        )
    except BaseException:
        os.close(output)
        raise
    finally:
        os.close(written)
    return ChildProcess(process, output, log)


def child_environment(
    parent: Mapping[str, str], added: Mapping[str, str], run_token: str
) -> dict[str, str]:
    """The parent's environment plus what is asked; without our own settings (they hold keys) and
    the engine's (`LLAMA_ARG_*` would open doors that the flags leave closed)."""
    kept = {k: v for k, v in parent.items() if not k.startswith(DROPPED)}
    return {**kept, **added, RUN_TOKEN: run_token}
