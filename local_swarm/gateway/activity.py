"""How many requests want a worker, whom that is told, and the wish that there be none."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from local_swarm.errors import Overloaded

RETRY_AFTER_S = 10


class Activity:
    """`with activity:` around each request that needs a worker; `draining` refuses new ones.

    `wanted` is told how many there are, and how many of them wait for a slot, whenever either has
    changed.
    """

    def __init__(
        self, wanted: Callable[[int, int], None] = lambda in_flight, waiting: None
    ) -> None:
        self.in_flight = 0
        self.draining = False
        self._waiting = 0
        self._wanted = wanted
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: set[asyncio.Task[object] | None] = set()
        self._is_cut = False

    def __enter__(self) -> None:
        """Raises Overloaded where new requests are refused."""
        if self.draining:
            raise Overloaded("The swarm is stopping.", retry_after_s=RETRY_AFTER_S)
        if (task := _current_task()) is not None:
            self._tasks.add(task)
        self.in_flight += 1
        self._idle.clear()
        self._wanted(self.in_flight, self._waiting)

    def __exit__(self, kind: object, exc: BaseException | None, *_: object) -> None:
        """Raises Overloaded for a request that was cut off."""
        self._tasks.discard(_current_task())
        self.in_flight -= 1
        if self.in_flight == 0:
            self._idle.set()
        self._wanted(self.in_flight, self._waiting)
        if self._is_cut and isinstance(exc, asyncio.CancelledError):
            told = "The swarm stopped before the answer had ended."
            raise Overloaded(told, retry_after_s=RETRY_AFTER_S) from exc

    def queued(self, waiting: int) -> None:
        """So many requests wait for a slot now."""
        self._waiting = waiting
        self._wanted(self.in_flight, waiting)

    async def drain(self, within_s: float) -> bool:
        """Refuses new requests and waits for those in flight. False when time ran out."""
        self.draining = True
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._idle.wait(), within_s)
        return self.in_flight == 0

    async def cut(self, within_s: float) -> None:
        """Ends what is in flight; each client is told so, as long as that takes no more than
        `within_s` seconds."""
        self.draining = self._is_cut = True
        for task in self._tasks:
            if task is not None:
                task.cancel()
        await self.drain(within_s)


def _current_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop: nothing that could be cut off
        return None
