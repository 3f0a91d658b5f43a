"""What a child writes, brought from its pipe into its log."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from typing import Protocol

from local_swarm.supervisor.logs import WorkerLog

PIPE_BYTES = 65536  # what a pipe holds
QUEUED = 4  # chunks that wait for the event loop
END_S = 2.0


class Output(Protocol):
    """Owns the reading end of a pipe, from the event loop's thread."""

    async def finish(self) -> None:
        """The child is gone: takes what it wrote last, and waits for nobody else who may hold the
        pipe."""


class LoopOutput:
    """The event loop reads."""

    def __init__(self, fd: int, log: WorkerLog) -> None:
        self._fd = fd
        self._log = log
        os.set_blocking(fd, False)
        asyncio.get_running_loop().add_reader(fd, self._read)

    def _read(self) -> None:
        """Takes some of what the child has written, never so much that a flood holds the loop."""
        try:
            chunk = os.read(self._fd, PIPE_BYTES)
        except BlockingIOError:
            return
        if chunk:
            self._log.feed(chunk)
        else:
            self._close()

    async def finish(self) -> None:
        if self._fd >= 0:
            self._read()
        self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
            self._log.end()


class ThreadOutput:
    """A thread reads: event loops on Windows cannot watch a pipe. Everyone who can hold the pipe
    there is of the child's job, and ended with it."""

    def __init__(self, fd: int, log: WorkerLog) -> None:
        self._fd = fd
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._room = threading.Semaphore(QUEUED)
        self._thread = threading.Thread(target=self._pump, name="worker output", daemon=True)
        self._thread.start()

    def _pump(self) -> None:
        with open(self._fd, "rb", buffering=0) as pipe, contextlib.suppress(OSError, RuntimeError):
            while chunk := pipe.read(PIPE_BYTES):
                self._room.acquire()
                self._loop.call_soon_threadsafe(self._feed, chunk)  # RuntimeError: it is closed

    def _feed(self, chunk: bytes) -> None:
        self._room.release()
        self._log.feed(chunk)

    async def finish(self) -> None:
        await asyncio.to_thread(self._thread.join, END_S)
        self._log.end()


def output_of(fd: int, log: WorkerLog) -> Output:
    return ThreadOutput(fd, log) if sys.platform == "win32" else LoopOutput(fd, log)
