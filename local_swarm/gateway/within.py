"""Waits that have a limit and never lose a cancellation. Before Python 3.12 `asyncio.wait_for` does
where one comes just as its end comes, and then goes on for a client that has left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def result_within(awaitable: Awaitable[T], within_s: float) -> T:
    """What the awaitable returns or raises; asyncio.TimeoutError when the time is up. What has not
    ended is cancelled. A cancellation loses what has: not for what must be given back."""
    task = asyncio.ensure_future(awaitable)
    try:
        if not (await asyncio.wait({task}, timeout=within_s))[0]:
            raise asyncio.TimeoutError
    except (asyncio.CancelledError, asyncio.TimeoutError):
        task.cancel()
        task.add_done_callback(_forget)
        raise
    return task.result()


async def set_within(event: asyncio.Event, within_s: float | None) -> bool:
    """Whether it is set, waiting so long at most; None waits for ever."""
    if event.is_set():
        return True
    waiter = asyncio.create_task(event.wait(), name="change")
    try:
        await asyncio.wait({waiter}, timeout=within_s)
    finally:
        waiter.cancel()
    return event.is_set()


def _forget(task: asyncio.Future[T]) -> None:
    """Nobody is left to be told how it ended."""
    if not task.cancelled():
        task.exception()
