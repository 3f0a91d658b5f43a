"""What signals ask a command to do. Windows has no SIGHUP, and its event loops take no signal
handlers: there the plain ones are used, which was never seen on a real one."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

from local_swarm.errors import Interrupted

ENDING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
)
HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)
TERMINAL = "/dev/tty"


@asynccontextmanager
async def interruptible(
    asked: Callable[[], bool] = lambda: False, reload: Callable[[], None] | None = None
) -> AsyncIterator[None]:
    """Signals cancel what runs inside, which cleans up; raises Interrupted. Main thread only.

    `asked` is called first; when it returns True it has taken care of the signal itself. SIGHUP is
    as the others where there is no `reload`, or the terminal has gone that was there before.
    """
    task, interrupted = asyncio.current_task(), False
    assert task is not None
    had_terminal = has_terminal() and not is_ignored(HANGUP)

    def end() -> None:
        nonlocal interrupted
        if not asked():
            interrupted = True
            task.cancel()

    def hang_up() -> None:
        if reload is None or (had_terminal and not has_terminal()):
            end()
        else:
            reload()

    undo = [handle(number, end) for number in ENDING]
    if HANGUP is not None:
        undo.append(handle(HANGUP, hang_up))
    try:
        yield
    except asyncio.CancelledError:
        if not interrupted:
            raise
    finally:
        for each in undo:
            each()
    if interrupted:
        raise Interrupted("Interrupted.")


def handle(number: signal.Signals, act: Callable[[], None]) -> Callable[[], None]:
    """Calls `act` on the running loop when the signal comes; returns how to stop that."""
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(number, act)
    except NotImplementedError:
        return _handle_plainly(loop, number, act)
    return lambda: _forget(loop, number)


def _forget(loop: asyncio.AbstractEventLoop, number: signal.Signals) -> None:
    loop.remove_signal_handler(number)


def _handle_plainly(
    loop: asyncio.AbstractEventLoop, number: signal.Signals, act: Callable[[], None]
) -> Callable[[], None]:
    def on_signal(_: int, __: FrameType | None) -> Any:
        loop.call_soon_threadsafe(act)

    before = signal.signal(number, on_signal)
    return lambda: _restore(number, before)


def _restore(number: signal.Signals, before: Any) -> None:
    signal.signal(number, before)


def has_terminal(path: str = TERMINAL) -> bool:
    """Whether this process has a controlling terminal that is still there."""
    try:
        os.close(os.open(path, os.O_RDWR | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return False
    return True


def is_ignored(number: signal.Signals | None) -> bool:
    """Whether whoever started us wants it so (`nohup`)."""
    return number is not None and signal.getsignal(number) is signal.SIG_IGN
