"""Makes the steps of a change with the fleet, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from local_swarm.domain.worker import WorkerState
from local_swarm.errors import WorkerStartError
from local_swarm.supervisor import keeper
from local_swarm.supervisor.fleet import Fleet
from local_swarm.supervisor.job import Job
from local_swarm.swarm.changes import Difference, Runs
from local_swarm.swarm.room import Room
from local_swarm.swarm.steps import Add, Cycle, Remove, Renew, Rest, Step, steps

Jobs = Callable[[Runs], Job]


class Roll:
    """One change. `now` is what the workers are by then, by id, also when a step has failed;
    `done` says in sentences what was done, `cycled` which workers were restarted."""

    def __init__(self, fleet: Fleet, crew: Iterable[Runs], jobs: Jobs) -> None:
        self.now = {runs.id: runs for runs in crew}
        self.done: list[str] = []
        self.cycled: list[str] = []
        self._fleet = fleet
        self._jobs = jobs

    @property
    def crew(self) -> tuple[Runs, ...]:
        return tuple(self.now.values())

    @property
    def ready(self) -> set[str]:
        states = self._fleet.states()
        return {worker for worker in self.now if states.get(worker) is WorkerState.READY}

    @property
    def _coming(self) -> set[str]:
        """Those that take traffic, or will soon."""
        places = self._fleet.keepers
        expected = {endpoint.id for endpoint in self._fleet.expected()}
        return {worker for worker in expected if not places[worker].cannot_start}

    def plan(self, moves: Difference, room: Room) -> tuple[Step, ...]:
        resting = {worker for worker in self.now if _rests(self._fleet.keepers[worker])}
        return steps(self.crew, moves, room, ready=self.ready, resting=resting)

    async def make(self, planned: Sequence[Step]) -> None:
        """Raises WorkerStartError when a worker does not come up; the steps after that one are
        not made."""
        for step in planned:
            await self.one(step)

    async def one(self, step: Step) -> None:
        match step:
            case Cycle(runs, alone):
                await self._cycle(runs, alone=alone)
            case Rest(worker):
                await self._fleet.put_to_rest(worker, keeper.Rest.CHANGE)
            case Renew(runs):
                self._renew(runs)
            case Add(runs, stands_in):
                await self._add(runs, stands_in)
            case Remove(worker):
                await self._remove(worker)

    async def _cycle(self, runs: Runs, *, alone: bool) -> None:
        job = None if runs is self.now[runs.id] else self._jobs(runs)
        if not alone:
            await self._another_ready(runs.id)
        self.now[runs.id] = runs
        await self._fleet.cycle(runs.id, job)
        self.cycled.append(runs.id)
        self.done.append(f"{runs.id} was restarted.")

    async def _another_ready(self, worker: str) -> None:
        """Waits for one; each that is expected becomes ready, or cannot start, in the end."""
        while True:
            change = self._fleet.next_change()
            if self.ready - {worker}:
                return
            if not self._coming - {worker}:
                raise WorkerStartError(
                    f"No other worker is ready, so {worker} was not restarted.",
                    hint=f"`lswarm restart {worker}` does it all the same.",
                )
            await change.wait()

    def _renew(self, runs: Runs) -> None:
        if runs is not self.now[runs.id]:
            place = self._fleet.keepers[runs.id]
            place.job, place.larger = self._jobs(runs), []
            self.now[runs.id] = runs
        self.done.append(f"{runs.id} is at rest and was not started.")

    async def _add(self, runs: Runs, stands_in: str) -> None:
        await self._fleet.add(self._jobs(runs))
        self.now[runs.id] = runs
        why = f" to stand in for {stands_in}" if stands_in else ""
        self.done.append(f"{runs.id} was started{why}.")

    async def _remove(self, worker: str) -> None:
        await self._fleet.remove(worker)
        self.now.pop(worker, None)
        self.done.append(f"{worker} was stopped.")

    def back_to(self, crew: Collection[Runs]) -> Difference:
        """What it takes to have these workers again, each under its own id."""
        before = {runs.id: runs for runs in crew}
        touched = {
            worker
            for worker, runs in self.now.items()
            if worker in before and (runs is not before[worker] or self._waits(worker))
        }
        return Difference(
            changed=tuple(runs for runs in crew if runs.id in touched),
            added=tuple(runs for runs in crew if runs.id not in self.now),
            removed=tuple(worker for worker in self.now if worker not in before),
        )

    def leave(self) -> None:
        """Where the change is given up half-way: nobody waits for a step that will not be made."""
        for worker in filter(self._waits, self.now):
            self._fleet.rouse(worker)

    def _waits(self, worker: str) -> bool:
        return self._fleet.keepers[worker].rest is keeper.Rest.CHANGE


def _rests(place: keeper.Keeper) -> bool:
    """For lack of memory or of work. What only sleeps is started, to see whether it does."""
    return place.rest in (keeper.Rest.SPARE, keeper.Rest.MEMORY)
