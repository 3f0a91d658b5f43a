"""How many requests are being answered, and the wish that there be none."""

from __future__ import annotations

import asyncio
import contextlib


class Activity:
    """`with activity:` around each request that generates; `draining` refuses new ones."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    def __enter__(self) -> None:
        self.in_flight += 1
        self._idle.clear()

    def __exit__(self, *exc: object) -> None:
        self.in_flight -= 1
        if self.in_flight == 0:
            self._idle.set()

    async def drain(self, within_s: float) -> bool:
        """Refuses new requests and waits for those in flight. False when time ran out."""
        self.draining = True
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._idle.wait(), within_s)
        return self.in_flight == 0
