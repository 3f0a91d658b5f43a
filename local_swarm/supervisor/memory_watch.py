"""Gives memory back before the machine runs out of it, and takes it again. `pressure` decides."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from local_swarm.domain.worker import WorkerState
from local_swarm.errors import WorkerStartError
from local_swarm.supervisor import keeper as kept
from local_swarm.supervisor.fleet import Fleet
from local_swarm.supervisor.job import JobMemory, Where
from local_swarm.supervisor.keeper import Keeper
from local_swarm.supervisor.memory import (
    Decision,
    Held,
    Nothing,
    Policy,
    Reading,
    Rest,
    Restore,
    Room,
    Shed,
)
from local_swarm.supervisor.pressure import Watch, decide
from local_swarm.telemetry.logs import get_logger

log = get_logger(__name__)

EVERY_S = 5.0
BOTH: tuple[Where, ...] = ("host", "device")


@dataclass(frozen=True, slots=True)
class Sensed:
    """What the system tells of its memory now; `oom_kills` as counted since it started."""

    host: Room | None = None
    stalled: float | None = None
    oom_kills: int | None = None
    devices: Mapping[str, Room] = field(default_factory=dict)


@dataclass(slots=True)
class MemoryWatch:
    """A watch for `Fleet(watches=...)`. `sense` may block for a moment and is called in a thread;
    `busy` tells how many slots of a worker are busy. `policy` may be replaced while it runs, None
    for watching nothing: who rests then runs again. Nothing is done while `held`."""

    policy: Policy | None
    sense: Callable[[], Sensed]
    busy: Callable[[str], int] = lambda worker: 0
    held: Callable[[], bool] = lambda: False
    every_s: float = EVERY_S
    _kills: int | None = None
    _is_said: bool = False

    async def __call__(self, fleet: Fleet) -> None:
        watch = Watch()
        while True:
            policy = self.policy
            sensed = await asyncio.to_thread(self.sense) if policy else Sensed()
            if policy is None:
                _let_go(fleet)
            elif not self.held():
                watch, decision = decide(watch, self._reading(fleet, sensed), policy)
                await self._act(fleet, decision)
            await asyncio.sleep(self.every_s)

    def _reading(self, fleet: Fleet, sensed: Sensed) -> Reading:
        kills, self._kills = self._kills, sensed.oom_kills
        since = 0 if kills is None or sensed.oom_kills is None else sensed.oom_kills - kills
        keepers = list(fleet.keepers.values())
        running = [k for k in keepers if k.worker.has_process]
        return Reading(
            at=time.monotonic(),
            host=sensed.host,
            mapped_bytes=max((k.running.memory.mapped_bytes for k in running), default=0),
            stalled=sensed.stalled,
            oom_kills=since,
            devices=sensed.devices,
            workers=tuple(self._held(k) for k in keepers),
        )

    def _held(self, keeper: Keeper) -> Held:
        worker, memory = keeper.worker, keeper.running.memory
        rested = keeper.rest is kept.Rest.MEMORY and worker.state is WorkerState.STOPPED
        back = memory if rested else _step_back(keeper)
        return Held(
            id=keeper.job.id,
            ready=worker.state is WorkerState.READY,
            moving=worker.has_process and worker.state is not WorkerState.READY,
            rested=rested,
            busy_slots=self.busy(keeper.job.id),
            host_bytes=memory.host_bytes,
            on_devices=memory.on_devices,
            shrinks=frozenset(where for where in BOTH if keeper.job.shrink(where)),
            has_cache=memory.cache_bytes > 0,
            shrunk=len(keeper.larger),
            regains_bytes=back.host_bytes,
            regains_on=back.on_devices,
        )

    async def _act(self, fleet: Fleet, decision: Decision) -> None:
        try:
            match decision:
                case Shed(worker, where, why):
                    log.warning("memory is short", why=why, worker=worker)
                    await fleet.shrink(worker, where)
                case Rest(worker, why):
                    log.warning("memory is short: a worker rests", why=why, worker=worker)
                    await fleet.put_to_rest(worker, kept.Rest.MEMORY)
                case Restore(worker, why):
                    log.info("memory is free again", why=why, worker=worker)
                    if fleet.keepers[worker].rest is kept.Rest.MEMORY:
                        fleet.rouse(worker)
                    else:
                        await fleet.grow(worker)
                case Nothing(why):
                    self._say(why)
        except WorkerStartError as exc:
            log.warning("a worker did not come back after a change of its memory", error=str(exc))

    def _say(self, why: str) -> None:
        """Once, not every few seconds with other figures."""
        if why and not self._is_said:
            log.warning("memory is short", why=why)
        self._is_said = bool(why)


def _let_go(fleet: Fleet) -> None:
    for worker, keeper in fleet.keepers.items():
        if keeper.rest is kept.Rest.MEMORY:
            fleet.rouse(worker)


def _step_back(keeper: Keeper) -> JobMemory:
    """What taking back the last step would take."""
    if not keeper.larger:
        return JobMemory()
    now, then = keeper.job.memory, keeper.larger[-1].memory
    more = {d: then.on_devices[d] - now.on_devices.get(d, 0) for d in then.on_devices}
    return JobMemory(
        host_bytes=max(0, then.host_bytes - now.host_bytes),
        on_devices={device: size for device, size in more.items() if size > 0},
    )
