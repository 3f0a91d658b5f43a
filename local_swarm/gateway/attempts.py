"""The tries of one passed-through request: whether to make another, or how to give up."""

from __future__ import annotations

import asyncio
import time

from local_swarm.domain.endpoint import Endpoint
from local_swarm.errors import DeadlineExceeded
from local_swarm.gateway.fanout import DEATH_NOTICE_S
from local_swarm.gateway.ports import Fleet
from local_swarm.gateway.refusals import said_by_worker
from local_swarm.gateway.trouble import RETRY_PAUSE_S, Trouble
from local_swarm.gateway.upstream import Lost, Refused, TooLate, UpstreamError


class Attempts:
    """Lives as long as its request, which has `within_s` seconds from now."""

    def __init__(self, fleet: Fleet, within_s: float) -> None:
        self._fleet = fleet
        self._within_s = within_s
        self._deadline = time.monotonic() + within_s
        self._trouble = Trouble()

    @property
    def left_s(self) -> float:
        """Raises DeadlineExceeded when nothing is left."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self.too_late()
        return left

    def too_late(self) -> DeadlineExceeded:
        return DeadlineExceeded(f"No answer within {self._within_s:g} s.")

    async def failed(self, endpoint: Endpoint, error: UpstreamError) -> None:
        """Returns where another try makes sense, after a moment if the worker lives on.

        Raises the RequestError to give up with.
        """
        if isinstance(error, TooLate):
            raise self.too_late() from error
        if isinstance(error, Refused):
            said = said_by_worker(error)
            if said is not None:
                raise said from error
        within_s = DEATH_NOTICE_S if isinstance(error, Lost) else 0.0
        death = await self._fleet.death_of(endpoint.id, endpoint.generation, within_s)
        if death is not None:
            self._trouble.died(death)
        else:
            self._trouble.failed(error)
            await asyncio.sleep(RETRY_PAUSE_S)
        if (verdict := self._trouble.verdict()) is not None:
            raise verdict from error
