"""The workers that run and the plan they are of, and how both become others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from local_swarm.config import Config
from local_swarm.domain.worker import WorkerState
from local_swarm.errors import WorkerStartError
from local_swarm.supervisor.fleet import Fleet
from local_swarm.swarm.changes import Difference, Runs, difference
from local_swarm.swarm.compose import job
from local_swarm.swarm.crew import crew_of, model_files, room_of
from local_swarm.swarm.planning import Prepared, Present, prepare
from local_swarm.swarm.replanning import given_back
from local_swarm.swarm.rolling import Roll
from local_swarm.swarm.steps import Cycle
from local_swarm.telemetry.logs import get_logger

log = get_logger(__name__)

HOLDING = frozenset(
    {WorkerState.STARTING, WorkerState.READY, WorkerState.DRAINING, WorkerState.STOPPING}
)
"""States in which a worker has memory."""


class Takes(Protocol):
    async def take(self, prepared: Prepared) -> None:
        """From now on all holds that needs no other workers."""


@dataclass(frozen=True, slots=True)
class Next:
    """Another plan, and its workers."""

    prepared: Prepared
    crew: tuple[Runs, ...]


class Mover:
    """`prepared` is what runs now; its settings are those that hold."""

    def __init__(
        self, prepared: Prepared, crew: Sequence[Runs], fleet: Fleet, slots: Path | None = None
    ) -> None:
        self.prepared = prepared
        self.crew = tuple(crew)
        self.fleet = fleet
        self._slots = slots
        self.live: Takes

    async def take(self, config: Config) -> None:
        """Other settings, for which the workers are right as they are."""
        self.prepared = replace(self.prepared, config=config)
        await self.live.take(self.prepared)

    async def restart(self, chosen: Sequence[Runs]) -> Roll:
        """Raises WorkerStartError; the workers after the one that failed are as they were."""
        roll = Roll(self.fleet, self.crew, job)
        try:
            moves = Difference(changed=tuple(chosen))
            await roll.make(roll.plan(moves, room_of(self.prepared)))
        except WorkerStartError as error:
            raise _stopped(error, roll, chosen) from error
        finally:
            self._have(roll.crew)
        return roll

    async def next(self, config: Config, model: str | None) -> Next:
        """The plan for these settings in the place of the present one, made in a thread. Raises
        what `prepare` does."""
        return await asyncio.to_thread(self._next, config, model)

    def _next(self, config: Config, model: str | None) -> Next:
        states, said = self.fleet.states(), self.prepared.said
        running = (runs.plan for runs in self.crew if states.get(runs.id) in HOLDING)
        prepared = prepare(
            config,
            model=model,
            engine_args=said.engine_args,
            present=Present(self.prepared, given_back(running)),
        )
        prepared = replace(prepared, said=said)
        return Next(prepared, crew_of(prepared, self._slots))

    async def is_outdated(self) -> bool:
        """Whether somebody has replaced a file of the model."""
        files = await asyncio.to_thread(model_files, self.prepared)
        return any(runs.model != files for runs in self.crew)

    async def move(self, to: Next) -> Roll:
        """Raises WorkerStartError once the workers are what they were, as far as that can be."""
        roll = Roll(self.fleet, self.crew, job)
        moves = difference(self.crew, to.crew)
        is_swap = {runs.model for runs in to.crew} != {runs.model for runs in self.crew}
        try:
            for step in roll.plan(moves, room_of(to.prepared)):
                await roll.one(step)
                if is_swap and isinstance(step, Cycle):
                    is_swap = False
                    await self.live.take(to.prepared)
        except WorkerStartError as error:
            raise await self._back(roll, error) from error
        except Exception:
            roll.leave()
            self._have(roll.crew)
            raise
        self.prepared = to.prepared
        self._have(roll.crew)
        await self.live.take(self.prepared)
        return roll

    async def _back(self, roll: Roll, error: WorkerStartError) -> WorkerStartError:
        """Undoes what was done, and says so."""
        log.error("a worker could not start; the swarm goes back to what it was", why=error.message)
        try:
            await roll.make(roll.plan(roll.back_to(self.crew), room_of(self.prepared)))
            what = "The swarm runs as before."
        except WorkerStartError as second:
            what = f"Going back failed too: {second.message}"
            roll.leave()
        finally:
            self._have(roll.crew)
        await self.live.take(self.prepared)
        return WorkerStartError(f"{error.message}\n{what}", hint=error.hint)

    def _have(self, crew: Sequence[Runs]) -> None:
        self.crew = tuple(crew)
        plan = replace(self.prepared.plan, workers=tuple(runs.plan for runs in crew))
        self.prepared = replace(self.prepared, plan=plan)


def _stopped(error: WorkerStartError, roll: Roll, chosen: Sequence[Runs]) -> WorkerStartError:
    """Says how far a restart of several came."""
    cycled = ", ".join(roll.cycled)
    before = f"Restarted before it: {cycled}. " if cycled else ""
    rest = "The other workers were not touched." if len(chosen) > 1 else ""
    told = f"{before}{rest}".strip()
    return WorkerStartError(f"{error.message}\n{told}".rstrip(), hint=error.hint)
