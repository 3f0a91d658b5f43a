"""Our gateway as `lswarm up` serves it, in front of an upstream that the benchmark started.

Its workers are all the same upstream and never change, so that nothing but the gateway runs in
this process.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable

from bench import child
from local_swarm.consensus import STRATEGIES
from local_swarm.domain.endpoint import Endpoint
from local_swarm.domain.worker import Death, WorkerState, WorkerStatus
from local_swarm.gateway.app import GatewaySettings, serving
from local_swarm.gateway.deciding import VoteSettings
from local_swarm.gateway.turns import Served
from local_swarm.gateway.voted import VotedSettings

MODEL = "bench"
VOTERS = 3
CTX = 16384
MAX_QUEUE = 1024


class Steady:
    """A Fleet (gateway/ports.py) of workers to which nothing happens."""

    def __init__(self, url: str, workers: int, slots: int) -> None:
        self._endpoints = tuple(
            Endpoint(f"w{i}", url, "", slots, lanes=1, ctx=CTX, generation=1)
            for i in range(workers)
        )

    def endpoints(self) -> tuple[Endpoint, ...]:
        return self._endpoints

    def expected(self) -> tuple[Endpoint, ...]:
        return self._endpoints

    def draining(self) -> tuple[Endpoint, ...]:
        return ()

    @property
    def is_asleep(self) -> bool:
        return False

    def states(self) -> dict[str, WorkerState]:
        return {endpoint.id: WorkerState.READY for endpoint in self._endpoints}

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

    def served(self, worker: str, generation: int) -> None:
        pass

    def drained(self, worker: str, generation: int) -> None:
        pass

    def wanted(self, in_flight: int, waiting: int) -> None:
        pass

    async def death_of(self, worker: str, generation: int, within_s: float) -> Death | None:
        return None

    async def status(self) -> tuple[WorkerStatus, ...]:
        return ()


async def serve(listener: socket.socket) -> None:
    url, workers, slots = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    settings = GatewaySettings(
        served=Served(MODEL, ctx=CTX, context_train=CTX, voters=VOTERS),
        voted=VotedSettings(),
        strategies=frozenset(STRATEGIES),
        votes=VoteSettings(execute="execute" in sys.argv[4:]),
        max_queue=MAX_QUEUE,
    )
    async with serving(settings, Steady(url, workers, slots), listener):
        await asyncio.Event().wait()


if __name__ == "__main__":
    child.main(serve)
