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
RUN_TOKEN = "LSWARM_RUN_TOKEN"  # in every child's environment: proves whose it is


class ChildProcess:
    """A running child. Made by `spawn`, which must be called from the main thread."""

    def __init__(self, process: asyncio.subprocess.Process, log: WorkerLog) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> tuple[int | None, int | None]:
        """Pumps the output until the process has ended; returns (exit code, signal), one None."""
        stdout = self._process.stdout
        assert stdout is not None
        pump = asyncio.ensure_future(self._pump(stdout))
        try:
            code = await self._process.wait()
            # A grandchild may hold the pipe open: what the child wrote is there already.
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(pump, 0.5)
        finally:
            pump.cancel()
            self._log.end()
            # Nothing of the group may stay, also when the leader left others behind.
            self.kill()
            transport = getattr(self._process, "_transport", None)
            if transport is not None:
                transport.close()
        return (None, -code) if code < 0 else (code, None)

    async def _pump(self, stdout: asyncio.StreamReader) -> None:
        while chunk := await stdout.read(65536):
            self._log.feed(chunk)

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
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=child_environment(os.environ, spec.env, run_token),
        start_new_session=True,
    )
    return ChildProcess(process, log)


def child_environment(
    parent: Mapping[str, str], added: Mapping[str, str], run_token: str
) -> dict[str, str]:
    """The parent's environment plus what is asked; without our own settings (they hold keys) and
    the engine's (`LLAMA_ARG_*` would open doors that the flags leave closed)."""
    kept = {k: v for k, v in parent.items() if not k.startswith(DROPPED)}
    return {**kept, **added, RUN_TOKEN: run_token}
