"""The steps of a change, made with real processes: what is ready meanwhile, and what a failure
leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

import pytest

from local_swarm.domain.worker import WorkerState
from local_swarm.errors import WorkerStartError
from local_swarm.supervisor.fleet import Fleet
from local_swarm.supervisor.job import Job
from local_swarm.supervisor.keeper import Rest
from local_swarm.swarm.changes import Difference, Runs, difference
from local_swarm.swarm.rolling import Roll
from tests.supervisor.test_changes import drained, within
from tests.swarm.test_changes import room, runs
from tests.swarms import QUICK, Shape, fleet_of, until

BROKEN = "broken"


def job(worker: Runs) -> Job:
    """A fake that has the plan's slots, or cannot start."""
    script = {"start_exit": 3} if worker.how == BROKEN else {}
    made = Shape(slots=worker.plan.slots, script=script).job(0)
    return replace(made, id=worker.id)


def crew(count: int, **shape: object) -> list[Runs]:
    return [runs(f"w{number}", **shape) for number in range(count)]


@asynccontextmanager
async def rolling(count: int) -> AsyncIterator[tuple[Fleet, Roll]]:
    async with fleet_of(Shape(workers=count)) as fleet:
        draining = asyncio.create_task(drained(fleet))
        yield fleet, Roll(fleet, crew(count), job)
        draining.cancel()


@contextmanager
def watching(fleet: Fleet) -> Iterator[list[tuple[int, int]]]:
    """How many were ready, and how many expected, after every change."""
    seen = []
    stop = fleet.subscribe(lambda: seen.append((len(fleet.endpoints()), len(fleet.expected()))))
    yield seen
    stop()


async def go(roll: Roll, moves: Difference, cpu: int = 10_000) -> None:
    await within(roll.make(roll.plan(moves, room(cpu=cpu))))


async def test_all_are_restarted_and_one_is_ready_at_any_time() -> None:
    async with rolling(3) as (fleet, roll):
        pids = {worker: keeper.child.pid for worker, keeper in fleet.keepers.items()}
        with watching(fleet) as seen:
            await go(roll, Difference(changed=roll.crew))
        assert min(ready for ready, _ in seen) == 2
        assert all(fleet.keepers[worker].child.pid != pid for worker, pid in pids.items())
        assert roll.cycled == ["w0", "w1", "w2"]
        assert roll.done == [f"{worker} was restarted." for worker in roll.cycled]


async def test_one_alone_has_a_stand_in_that_goes_again() -> None:
    async with rolling(1) as (fleet, roll):
        with watching(fleet) as seen:
            await go(roll, Difference(changed=roll.crew))
        assert min(ready for ready, _ in seen) == 1
        assert list(fleet.keepers) == ["w0"]
        assert fleet.states() == {"w0": WorkerState.READY}
        assert roll.done[0] == "w1 was started to stand in for w0."


async def test_one_alone_without_room_stays_expected() -> None:
    async with rolling(1) as (fleet, roll):
        with watching(fleet) as seen:
            await go(roll, Difference(changed=roll.crew), cpu=110)
        assert min(ready for ready, _ in seen) == 0
        assert min(expected for _, expected in seen) == 1


async def test_a_worker_that_does_not_come_back_ends_it() -> None:
    async with rolling(3) as (fleet, roll):
        generations = {worker: k.worker.generation for worker, k in fleet.keepers.items()}
        broken = tuple(replace(each, how=BROKEN) if each.id == "w1" else each for each in roll.crew)
        with pytest.raises(WorkerStartError, match="w1 could not start"):
            await go(roll, Difference(changed=broken))
        assert roll.cycled == ["w0"]
        assert fleet.keepers["w2"].worker.generation == generations["w2"]
        assert len(fleet.endpoints()) == 2


async def test_without_another_that_is_ready_none_is_restarted() -> None:
    async with rolling(2) as (fleet, roll):
        planned = roll.plan(Difference(changed=roll.crew), room())
        await within(fleet.put_to_rest("w1", Rest.MEMORY))
        with pytest.raises(WorkerStartError, match="No other worker is ready"):
            await within(roll.make(planned))
        assert fleet.states()["w0"] is WorkerState.READY


async def test_nobody_waits_for_one_that_dies_again_and_again() -> None:
    far_apart = replace(QUICK, window_s=0.001)  # its deaths never spend the budget
    async with fleet_of(Shape(workers=2, policy=far_apart)) as fleet:
        roll = Roll(fleet, crew(2), job)
        planned = roll.plan(Difference(changed=roll.crew), room())
        other = fleet.keepers["w1"]
        other.job = job(replace(runs("w1"), how=BROKEN))
        assert other.child is not None
        other.child.kill()
        await until(fleet, lambda: len(fleet.endpoints()) == 1)
        with pytest.raises(WorkerStartError, match="No other worker is ready"):
            await within(roll.make(planned))
        assert fleet.states()["w0"] is WorkerState.READY


async def test_a_model_is_swapped_with_somebody_expected_at_any_time() -> None:
    async with rolling(2) as (fleet, roll):
        new = crew(2, model="n", slots=3)
        mixed = []
        fleet.subscribe(lambda: mixed.append({e.slots for e in fleet.endpoints()}))
        with watching(fleet) as seen:
            await go(roll, difference(roll.crew, new))
        assert min(expected for _, expected in seen) >= 1
        assert all(len(slots) <= 1 for slots in mixed)
        assert [e.slots for e in fleet.endpoints()] == [3, 3]


@pytest.mark.parametrize("failing", ["w0", "w1"])
async def test_a_swap_that_fails_goes_back_to_the_old_model(failing: str) -> None:
    async with rolling(2) as (fleet, roll):
        before = roll.crew
        new = [
            replace(each, how=BROKEN) if each.id == failing else each
            for each in crew(2, model="n", slots=3)
        ]
        with pytest.raises(WorkerStartError):
            await go(roll, difference(before, new))
        mixed = []
        fleet.subscribe(lambda: mixed.append({e.slots for e in fleet.endpoints()}))
        await go(roll, roll.back_to(before))
        assert set(roll.crew) == set(before)
        assert [e.slots for e in fleet.endpoints()] == [4, 4]
        assert all(len(slots) <= 1 for slots in mixed)


async def test_a_worker_that_cannot_be_added_leaves_the_others() -> None:
    async with rolling(2) as (fleet, roll):
        before = roll.crew
        new = [*before, replace(runs("w2"), how=BROKEN)]
        with pytest.raises(WorkerStartError, match="w2 could not start"):
            await go(roll, difference(before, new))
        assert roll.back_to(before) == Difference()
        assert set(fleet.keepers) == {"w0", "w1"}


async def test_a_stand_in_that_is_all_there_is_stays() -> None:
    async with rolling(1) as (fleet, roll):
        broken = replace(runs("w0"), how=BROKEN)
        planned = roll.plan(Difference(changed=roll.crew), room())
        planned = (planned[0], replace(planned[1], runs=broken), planned[2])
        with pytest.raises(WorkerStartError):
            await within(roll.make(planned))
        assert [e.id for e in fleet.endpoints()] == ["w1"]
        assert set(roll.now) == {"w0", "w1"}


async def test_what_rests_for_memory_is_changed_and_rests_on() -> None:
    async with rolling(2) as (fleet, roll):
        await within(fleet.put_to_rest("w1", Rest.MEMORY))
        await go(roll, difference(roll.crew, crew(2, slots=3)))
        assert fleet.states()["w1"] is WorkerState.STOPPED
        assert [e.slots for e in fleet.endpoints()] == [3]
        fleet.rouse("w1")
        await until(fleet, lambda: len(fleet.endpoints()) == 2)
        assert [e.slots for e in fleet.endpoints()] == [3, 3]


async def test_a_restart_keeps_what_a_worker_gave_up() -> None:
    async with rolling(2) as (fleet, roll):
        fleet.keepers["w0"].job = replace(fleet.keepers["w0"].job, given_up="a slot", slots=2)
        await go(roll, Difference(changed=roll.crew))
        assert {e.id: e.slots for e in fleet.endpoints()} == {"w0": 2, "w1": 4}
