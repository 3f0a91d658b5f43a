"""One start at a time on each device, so that what each took of its memory can be told."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

LONGEST_TURN_S = 30.0
"""A start that takes longer no longer holds up the others."""


class StartGate:
    """Lives on one event loop."""

    def __init__(self, longest_s: float = LONGEST_TURN_S) -> None:
        self._longest_s = longest_s
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def turn(self, devices: Sequence[str]) -> AsyncIterator[Turn]:
        """Waits until nobody else starts on any of the devices. The turn ends with the context, by
        `over`, or after a while."""
        turn = Turn([self._locks[device] for device in sorted(set(devices))])
        try:
            await turn.begin(self._longest_s)
            yield turn
        finally:
            turn.over()


class Turn:
    def __init__(self, locks: Sequence[asyncio.Lock]) -> None:
        self._locks = locks
        self._held = contextlib.ExitStack()
        self._timer: asyncio.TimerHandle | None = None

    async def begin(self, longest_s: float) -> None:
        for lock in self._locks:  # in one order for all: no two wait for each other
            await lock.acquire()
            self._held.callback(lock.release)
        self._timer = asyncio.get_running_loop().call_later(longest_s, self.over)

    def over(self) -> None:
        """The start is over, well or not. May be said more than once."""
        if self._timer is not None:
            self._timer.cancel()
        self._held.close()
