"""A service manager that listens, for the tests of what it is told."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PATIENCE_S = 10.0


class Listener:
    """What came through NOTIFY_SOCKET, in order."""

    def __init__(self, receiver: socket.socket) -> None:
        receiver.setblocking(False)
        self._receiver = receiver

    async def next(self) -> list[str]:
        """The lines of the next message; waits for it."""
        loop = asyncio.get_running_loop()
        data = await asyncio.wait_for(loop.sock_recv(self._receiver, 4096), PATIENCE_S)
        return data.decode().splitlines()

    async def until(self, line: str) -> None:
        """Drops what comes before a message with this line."""
        while line not in await self.next():
            pass

    def waiting(self) -> list[str]:
        """The lines that have come and were not taken."""
        lines: list[str] = []
        while True:
            try:
                lines += self._receiver.recv(4096).decode().splitlines()
            except BlockingIOError:
                return lines


@contextmanager
def listening(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    path = folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        yield Listener(receiver)
