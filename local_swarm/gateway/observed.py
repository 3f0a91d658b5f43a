"""The ledger and the workers as they are told to metrics, events and spans."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from local_swarm.gateway.events import Events
from local_swarm.gateway.ledger import Lease, Ledger, Need
from local_swarm.gateway.metrics import Metrics
from local_swarm.gateway.ports import Fleet
from local_swarm.telemetry.spans import span


class ObservedLedger(Ledger):
    """Tells how long requests wait for their slots, and how many do: `waiting` whenever that has
    changed."""

    def __init__(
        self,
        *,
        metrics: Metrics,
        events: Events,
        waiting: Callable[[int], None],
        on_drained: Callable[[str, int], None],
    ) -> None:
        super().__init__(on_wait=metrics.queued, on_drained=on_drained)
        self._events = events
        self._on_waiting = waiting
        self._told_waiting = 0

    async def acquire(
        self, need: Need, *, within_s: float, again: bool = False
    ) -> tuple[Lease, ...]:
        asyncio.get_running_loop().call_soon(self._tell_waiting)  # by then it waits, or does not
        try:
            with span("queue", want=need.want, solo=need.solo):
                return await super().acquire(need, within_s=within_s, again=again)
        finally:
            self._tell_waiting()

    def _tell_waiting(self) -> None:
        if self.waiting != self._told_waiting:
            self._told_waiting = self.waiting
            self._on_waiting(self.waiting)
            self._events.publish("queue", {"waiting": self.waiting})


class WorkerWatch:
    """Publishes every change of a worker's state. Call it after each change of the fleet."""

    def __init__(self, fleet: Fleet, events: Events) -> None:
        self._fleet = fleet
        self._events = events
        self._known = dict(fleet.states())

    def __call__(self) -> None:
        states = self._fleet.states()
        for worker, state in states.items():
            if state is not self._known.get(worker):
                self._events.publish("worker", {"worker": worker, "state": state.value})
        self._known = dict(states)
