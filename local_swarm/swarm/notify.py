"""Tells systemd how the service is doing (sd_notify(3)); does nothing where nobody listens.

Only the supervisor's own process tells (the unit's `NotifyAccess=main`). None of these calls blocks
for longer than it takes to hand over one datagram.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Protocol

from local_swarm.domain.worker import WorkerState

EXTEND_EVERY_S = 10.0
EXTENSION_S = 30.0
"""What a start is given from now on, again and again while it makes progress."""


class Crew(Protocol):
    """The workers, as far as the service manager is told about them."""

    def states(self) -> Mapping[str, WorkerState]: ...

    def next_change(self) -> asyncio.Event:
        """Set at the next change of any worker; asked before one looks, so none is missed."""


def notify(message: str) -> bool:
    """Sends e.g. `READY=1` to NOTIFY_SOCKET. True when there was somebody to tell."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    target = "\0" + address[1:] if address.startswith("@") else address
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
    ):
        sender.connect(target)
        sender.sendall(message.encode())
        return True
    return False


def is_watched() -> bool:
    """Whether somebody wants to be told at all."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def ready(status: str) -> None:
    """The swarm takes requests."""
    notify(f"READY=1\nSTATUS={_line(status)}")


def status(text: str) -> None:
    """What `systemctl status` shows, one line."""
    notify(f"STATUS={_line(text)}")


def reloading() -> None:
    """A changed configuration is being applied; `reloaded` must follow, whatever comes of it."""
    notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def reloaded(status: str = "") -> None:
    """The end of a reload, also of one that was refused."""
    notify("READY=1" + (f"\nSTATUS={_line(status)}" if status else ""))


def stopping(within_s: float) -> None:
    """It stops, and will have stopped within so many seconds."""
    notify(f"STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC={_usec(within_s)}")


def extend(seconds: float = EXTENSION_S) -> None:
    """The start takes longer, and so many seconds more at most."""
    notify(f"EXTEND_TIMEOUT_USEC={_usec(seconds)}")


@contextmanager
def preparing(every_s: float = EXTEND_EVERY_S) -> Iterator[None]:
    """Extends the time to start while blocking work is done inside (planning, a download). It is
    for work that ends by itself: a thread tells it, and would tell it of work that hangs."""
    if not is_watched():
        yield
        return
    over = threading.Event()

    def tell() -> None:
        extend()
        while not over.wait(every_s):
            extend()

    thread = threading.Thread(target=tell, name="notify-preparing", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@asynccontextmanager
async def starting(crew: Crew, every_s: float = EXTEND_EVERY_S) -> AsyncIterator[None]:
    """While workers load inside, tells how many are ready and extends the time to start. A loop
    that does not turn extends nothing."""

    async def tell() -> None:
        while True:
            extend()
            await asyncio.sleep(every_s)

    async with beside(tell(), "notify-extend"), following(crew):
        yield


@asynccontextmanager
async def following(crew: Crew, about: Callable[[], str] = str) -> AsyncIterator[None]:
    """The status line follows the workers; `about` comes after it."""

    async def follow() -> None:
        told = ""
        while True:
            change = crew.next_change()
            line = status_line(crew.states()) + (f"; {more}" if (more := about()) else "")
            if line != told:
                status(line)
            told = line
            await change.wait()

    async with beside(follow(), "notify-status"):
        yield


def status_line(states: Mapping[str, WorkerState]) -> str:
    """`ready: 2 of 3 workers, 1 starting`. Pure."""
    counts = Counter(states.values())
    is_up = counts[WorkerState.READY]
    word = "ready" if is_up else "not ready"
    others = [
        f"{counts[state]} {state.value}"
        for state in WorkerState
        if counts[state] and state is not WorkerState.READY
    ]
    return ", ".join([f"{word}: {is_up} of {len(states)} workers", *others])


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """A task that runs as long as the context is open. Raises in the end what it raised."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.result()


def _usec(seconds: float) -> int:
    return int(seconds * 1_000_000)


def _line(text: str) -> str:
    """A newline would begin another assignment."""
    return " ".join(text.split())
