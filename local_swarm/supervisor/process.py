"""One child process: started under the guard, its output pumped, its end told once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from local_swarm.domain.launch import LaunchSpec
from local_swarm.supervisor.logs import WorkerLog
from local_swarm.supervisor.orphans import marks
from local_swarm.supervisor.output import Output, output_of
from local_swarm.supervisor.warden import Warden
from local_swarm.supervisor.windows_job import CREATE_NEW_PROCESS_GROUP, WindowsJob

GUARD = Path(__file__).with_name("guard.py")
DROPPED = ("LSWARM_", "LLAMA_ARG_", "LLAMA_API_KEY", "NOTIFY_SOCKET", "WATCHDOG_")


class Group(Protocol):
    """A child and what it started."""

    def terminate(self) -> None: ...

    def kill(self) -> None: ...

    def close(self) -> None:
        """Ends what the child, which is gone, has left."""


class ProcessGroup:
    """The group that the child leads (POSIX)."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def close(self) -> None:
        # While anything is left of a group no process gets its number: whoever has that pid now
        # is a stranger, and nothing is left.
        try:
            os.kill(self._pid, 0)
        except ProcessLookupError:
            self.kill()
        except PermissionError:
            return

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, number)


class ChildProcess:
    """A running child. Made by `spawn`, which must be called from the main thread.

    Its output comes through a pipe of our own: asyncio's would make `wait` wait until everyone
    who inherited the pipe has closed it, and a child that is gone would count as alive.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        group: Group,
        output: Output,
        warden: Warden | None,
    ) -> None:
        self._process = process
        self._group = group
        self._output = output
        self._warden = warden

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> tuple[int | None, int | None]:
        """Waits until the process has ended; returns (exit code, signal), one of them None.

        Then ends what is left of its group and closes its log's pipe. Call it once.
        """
        try:
            code = await self._process.wait()
        finally:
            self.kill()  # where this is cancelled
            self._group.close()
            if self._warden is not None:
                self._warden.gone(self.pid)
            await self._output.finish()
        return (None, -code) if code < 0 else (code, None)

    def terminate(self) -> None:
        """Asks the child and its group to end."""
        if self._process.returncode is None:  # else its pid may be another's
            self._group.terminate()

    def kill(self) -> None:
        """Ends the child and its group at once."""
        if self._process.returncode is None:
            self._group.kill()


async def spawn(
    spec: LaunchSpec, log: WorkerLog, *, run_token: str, warden: Warden | None = None
) -> ChildProcess:
    """Starts `spec` as the leader of a group. Raises OSError when nothing could be started.

    The child runs nothing before the warden (and, on Windows, its job) knows of it.
    """
    command = [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), *spec.argv]
    environment = child_environment(os.environ, spec.env, run_token)
    with _pipe() as (held, go), _pipe() as (output, written):
        process = await asyncio.create_subprocess_exec(
            *command, stdin=held, stdout=written, stderr=written, env=environment, **_apart()
        )
        group = _group_of(process)
        child = ChildProcess(process, group, output_of(os.dup(output), log), warden)
        if warden is not None:
            warden.born(process.pid)
        with contextlib.suppress(BrokenPipeError):  # it is gone already; `wait` tells
            os.write(go, b"\n")
        return child


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """Its reading and its writing end, closed with the context."""
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


def _apart() -> dict[str, Any]:
    """So that neither a Ctrl-C nor a signal to our group reaches the child."""
    if sys.platform == "win32":
        return {"creationflags": CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _group_of(process: asyncio.subprocess.Process) -> Group:
    """Raises OSError where there is no job for it; then it is gone."""
    if sys.platform == "win32":
        try:
            return WindowsJob(process.pid)
        except OSError:
            process.kill()
            raise
    return ProcessGroup(process.pid)


def child_environment(
    parent: Mapping[str, str], added: Mapping[str, str], run_token: str
) -> dict[str, str]:
    """The parent's environment plus what is asked, and the marks of this run; without our own
    settings (they hold keys), the engine's (`LLAMA_ARG_*` would open doors that the flags leave
    closed), and what the service manager told us alone."""
    kept = {k: v for k, v in parent.items() if not k.startswith(DROPPED)}
    return {**kept, **added, **marks(run_token)}
