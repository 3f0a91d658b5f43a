"""Whether the kernel has killed for memory of late, from a count that only grows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

RECENT_S = 10.0

Count = Callable[[], int | None]


class OomKills:
    """`count` is what the kernel has killed so far, None where it does not tell. It counts others'
    processes too, so a kill of weeks ago says nothing of one now."""

    def __init__(self, count: Count) -> None:
        self.count = count
        self._before = self._last = count()

    def recent(self) -> bool:
        """Whether it has killed in the last RECENT_S seconds, or twice that."""
        now = self.count()
        return None not in (now, self._before) and now != self._before

    def look(self) -> None:
        """Every RECENT_S seconds."""
        self._before, self._last = self._last, self.count()

    async def watch(self, _: object) -> None:
        """For ever; a watch of the fleet."""
        while True:
            await asyncio.sleep(RECENT_S)
            self.look()
