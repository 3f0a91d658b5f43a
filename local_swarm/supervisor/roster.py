"""The workers of a swarm, for whoever asks about them or waits for a change of theirs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping

from local_swarm.domain.endpoint import Endpoint
from local_swarm.domain.worker import Death, WorkerState, WorkerStatus
from local_swarm.hardware import ProcessMemory
from local_swarm.supervisor import view
from local_swarm.supervisor.keeper import Keeper, Rest
from local_swarm.telemetry.logs import get_logger

log = get_logger(__name__)

Listener = Callable[[], None]
MemoryOf = Callable[[Collection[int]], Mapping[int, ProcessMemory]]
"""What processes hold, by pid; may block."""


class Roster:
    """Changes nothing. Lives on one event loop."""

    def __init__(self, memory_of: MemoryOf) -> None:
        self.keepers: dict[str, Keeper] = {}
        self._memory_of = memory_of
        self._listeners: list[Listener] = []
        self._change = asyncio.Event()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Calls `listener` after every change of any worker; returns how to stop that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def changed(self) -> None:
        for listener in tuple(self._listeners):
            try:
                listener()
            except Exception:  # theirs, and no reason to lose hold of a worker
                log.exception("a change of the workers could not be told")
        change, self._change = self._change, asyncio.Event()
        change.set()

    def next_change(self) -> asyncio.Event:
        """Set at the next change of any worker. Take it first, then look, then wait: so no
        change is missed."""
        return self._change

    @property
    def is_asleep(self) -> bool:
        """Whether workers wait for the next request to be started."""
        return any(keeper.rest is Rest.ASLEEP for keeper in self.keepers.values())

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The workers that may take traffic now."""
        return self._those(lambda keeper: keeper.worker.state is WorkerState.READY)

    def draining(self) -> tuple[Endpoint, ...]:
        """The workers that finish what they have."""
        return self._those(lambda keeper: keeper.worker.state is WorkerState.DRAINING)

    def expected(self) -> tuple[Endpoint, ...]:
        """The workers that take traffic now or will again without anybody's help soon."""
        return self._those(lambda keeper: keeper.is_expected)

    def _those(self, such: Callable[[Keeper], bool]) -> tuple[Endpoint, ...]:
        return tuple(view.endpoint(keeper) for keeper in self.keepers.values() if such(keeper))

    def states(self) -> dict[str, WorkerState]:
        """What every worker is doing now, by its id."""
        return {worker: keeper.worker.state for worker, keeper in self.keepers.items()}

    def unsound(self) -> str | None:
        """Why a worker would be left alone for ever; None where all is well."""
        return next(filter(None, (keeper.unsound() for keeper in self.keepers.values())), None)

    async def status(self) -> tuple[WorkerStatus, ...]:
        """What `lswarm status` shows of each worker; memory is read in a thread (milliseconds)."""
        keepers = list(self.keepers.values())
        pids = [keeper.child.pid if keeper.child else None for keeper in keepers]
        held = await asyncio.to_thread(self._memory_of, [pid for pid in pids if pid])
        return tuple(
            view.status(keeper, held.get(pid) if pid else None)
            for keeper, pid in zip(keepers, pids, strict=True)
        )

    async def death_of(self, worker: str, generation: int, within_s: float) -> Death | None:
        """The end of that life, waiting for it up to `within_s` seconds; None if it lives on."""
        keeper = self.keepers.get(worker)
        deadline = time.monotonic() + within_s
        while keeper is not None:
            change = self.next_change()
            for death in keeper.deaths:
                if death.generation == generation:
                    return death
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            await _set_within(change, left)
        return None


async def _set_within(event: asyncio.Event, within_s: float) -> None:
    """Waits so long at most. Not `wait_for`: before Python 3.12 it loses a cancellation that comes
    as the event is set, and whoever asks goes on for a client that has left."""
    waiter = asyncio.create_task(event.wait(), name="change")
    try:
        await asyncio.wait({waiter}, timeout=within_s)
    finally:
        waiter.cancel()
