"""The supervisor's side of the warden, the program that outlives it by a moment (`reaper.py`)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path

from local_swarm.supervisor import reaper
from local_swarm.telemetry.logs import get_logger

log = get_logger(__name__)

PROGRAM = Path(reaper.__file__)
END_S = 10.0  # its own patience, on a busy machine
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 30.0
HIDDEN = "LSWARM_"  # it needs none of our settings, and must not look like a child


class Warden:
    """Ends every child that is left, and what it started, when this process is gone, however that
    ends. Use as an async context manager around all of them; leaving it ends what a child left
    that went out of its group.

    A warden that dies is replaced and told everything again. One that cannot be started is a
    warning: on Linux the kernel still ends the children, and the next start what they left. There
    is none on Windows, where a job does the same. `born` and `gone` neither block nor raise.
    """

    def __init__(self, run_token: str) -> None:
        self._token = run_token
        self._children: dict[int, int] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._leash = -1
        self._over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Of the program, while it runs."""
        is_there = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and is_there else None

    async def __aenter__(self) -> Warden:
        if sys.platform != "win32":
            await self._start()
            self._task = asyncio.create_task(self._keep(), name="warden")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task is None:
            return
        self._over.set()
        self._let_go()
        try:
            await asyncio.wait({self._task}, timeout=END_S)
        finally:
            self._kill()
            await self._task

    def born(self, pid: int) -> None:
        """A child of this process that has not run anything yet."""
        start = reaper.started(pid) if reaper.HAS_PROC else 0
        if start is not None:
            self._children[pid] = start
            self._tell(f"+{pid} {start}\n")

    def gone(self, pid: int) -> None:
        """It has ended; nothing that it started is to live on."""
        self._children.pop(pid, None)
        self._tell(f"-{pid}\n")

    def _tell(self, words: str) -> None:
        if self._leash < 0:
            return
        try:
            os.write(self._leash, words.encode())
        except OSError:  # it is gone, or has not listened for long; another one is told everything
            self._kill()

    async def _keep(self) -> None:
        """As long as the swarm runs there is a warden."""
        pause_s = FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            if self._process is not None:
                await self._process.wait()
            self._let_go()
            if self._over.is_set():
                return
            if time.monotonic() - began > LONGEST_PAUSE_S:
                pause_s = FIRST_PAUSE_S
            log.warning("there is no warden; one is started", in_s=pause_s)
            await self._pause(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            await self._start()

    async def _pause(self, pause_s: float) -> None:
        over = asyncio.create_task(self._over.wait(), name="warden-over")
        try:
            await asyncio.wait({over}, timeout=pause_s)
        finally:
            over.cancel()

    async def _start(self) -> None:
        self._process = None
        if self._over.is_set():
            return
        held, leash = os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(PROGRAM)),
                stdin=held,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env={k: v for k, v in os.environ.items() if not k.startswith(HIDDEN)},
                cwd="/",
                start_new_session=True,
            )
        except OSError as exc:
            log.warning("the warden cannot be started", error=str(exc))
            os.close(leash)
            return
        except BaseException:
            os.close(leash)
            raise
        finally:
            os.close(held)
        os.set_blocking(leash, False)
        self._leash = leash
        lives = "".join(f"+{pid} {start}\n" for pid, start in self._children.items())
        self._tell(f"{self._token}\n{lives}")
        if self._over.is_set():
            self._let_go()

    def _let_go(self) -> None:
        leash, self._leash = self._leash, -1
        if leash >= 0:
            os.close(leash)

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
