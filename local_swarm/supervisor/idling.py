"""Stops workers that nobody needs, and starts them again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from local_swarm.domain.worker import WorkerState
from local_swarm.supervisor.fleet import Demand, Fleet
from local_swarm.supervisor.keeper import Keeper, Rest
from local_swarm.supervisor.load import Load, LoadSettings, Move, decide
from local_swarm.telemetry.logs import get_logger

log = get_logger(__name__)

EVERY_S = 1.0


@dataclass(slots=True)
class _Since:
    """Since when something has been so; None while it is not."""

    at: float | None = None

    def take(self, now: float, holds: bool) -> float | None:
        self.at = (now if self.at is None else self.at) if holds else None
        return self.at


@dataclass(slots=True)
class Idling:
    """A watch for `Fleet(watches=...)`. `settings` may be replaced while it runs; it does nothing
    while `held` says that somebody else is changing the workers."""

    settings: LoadSettings
    every_s: float = EVERY_S
    held: Callable[[], bool] = lambda: False
    _waiting: _Since = field(default_factory=_Since)
    _roomy: _Since = field(default_factory=_Since)
    _started: float = 0.0

    async def __call__(self, fleet: Fleet) -> None:
        while True:
            if not self.held():
                await self._act(fleet, decide(self._load(fleet), self.settings))
            await asyncio.sleep(self.every_s)

    def _load(self, fleet: Fleet) -> Load:
        now, demand = time.monotonic(), fleet.demand
        running = [k for k in fleet.keepers.values() if k.worker.state is WorkerState.READY]
        return Load(
            now,
            running=len(running),
            lasting=sum(k.is_expected for k in fleet.keepers.values()),
            spare=0 if fleet.is_asleep else len(_spare(fleet)),
            waiting_since=self._waiting.take(now, demand.waiting > 0),
            unwanted_since=None
            if demand.in_flight
            else max(demand.last, self._settled(fleet, now)),
            roomy_since=self._roomy.take(now, self._is_roomy(demand, len(running))),
        )

    def _settled(self, fleet: Fleet, now: float) -> float:
        """Since when no worker is starting: what has just been loaded is not unloaded."""
        if WorkerState.STARTING in fleet.states().values():
            self._started = now
        return self._started

    def _is_roomy(self, demand: Demand, running: int) -> bool:
        """Whether what is under way would fit into one worker less."""
        needed = demand.in_flight * self.settings.vote_workers
        return not demand.waiting and needed <= running - 1

    async def _act(self, fleet: Fleet, move: Move) -> None:
        match move:
            case Move.SLEEP:
                log.info("no request for a while: the workers are stopped until the next")
                awake = [k for k in fleet.keepers.values() if k.rest is None]
                await asyncio.gather(*(fleet.put_to_rest(k.job.id, Rest.ASLEEP) for k in awake))
            case Move.START:
                self._waiting.at = None
                worker = _spare(fleet)[0].job.id
                log.info("another worker is needed", worker=worker)
                fleet.rouse(worker)
            case Move.SPARE:
                self._roomy.at = None
                worker = _last_ready(fleet).job.id
                log.info("there is little to do: a worker is stopped", worker=worker)
                await fleet.put_to_rest(worker, Rest.SPARE)
            case Move.NOTHING:
                pass


def _spare(fleet: Fleet) -> list[Keeper]:
    return [k for k in fleet.keepers.values() if k.rest is Rest.SPARE]


def _last_ready(fleet: Fleet) -> Keeper:
    return [k for k in fleet.keepers.values() if k.worker.state is WorkerState.READY][-1]
