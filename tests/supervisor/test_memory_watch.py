"""Workers that give memory up and take it back, as real processes; the readings are the test's."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from contextlib import asynccontextmanager
from itertools import count

import pytest
from structlog.testing import CapturingLogger

from local_swarm.domain.memory import GIB, MIB
from local_swarm.domain.worker import WorkerState
from local_swarm.errors import WorkerStartError
from local_swarm.supervisor.fleet import Fleet
from local_swarm.supervisor.job import Job, JobMemory, Where
from local_swarm.supervisor.keeper import Rest
from local_swarm.supervisor.memory import Policy, Room
from local_swarm.supervisor.memory_watch import MemoryWatch, Sensed
from tests.swarms import PATIENCE_S, QUICK, Shape, until

POLICY = Policy(min_free_bytes=GIB, relief_s=0.2, settle_s=0.05)
PLENTY = Sensed(host=Room(16 * GIB, 8 * GIB), oom_kills=0)
SHORT = Sensed(host=Room(16 * GIB, GIB // 2), oom_kills=0)


def giving(job: Job, slots: int) -> Job:
    """Holds 100 MiB for each slot, and gives up all but two."""

    def shrink(where: Where) -> Job | None:
        return giving(job, slots - 1) if where == "host" and slots > 2 else None

    memory = JobMemory(host_bytes=100 * MIB * slots)
    lacks = "" if slots == job.slots else f"{job.slots - slots} of {job.slots} slots"
    return dataclasses.replace(job, slots=slots, memory=memory, shrink=shrink, given_up=lacks)


@asynccontextmanager
async def swarm(workers: int, sensed: list[Sensed], watch: MemoryWatch | None = None):
    watch = watch or MemoryWatch(POLICY, lambda: sensed[0], every_s=0.01)
    jobs = [giving(Shape(slots=4).job(n), 4) for n in range(workers)]
    async with Fleet(jobs, QUICK, run_token=uuid.uuid4().hex, watches=[watch]) as fleet:
        fleet.start()
        await until(fleet, lambda: len(fleet.endpoints()) == workers)
        draining = asyncio.create_task(drain(fleet))
        yield fleet
        draining.cancel()


async def drain(fleet: Fleet) -> None:
    while True:
        change = fleet.next_change()
        for endpoint in fleet.draining():
            fleet.drained(endpoint.id, endpoint.generation)
        await change.wait()


async def test_slots_are_given_up_one_by_one_and_taken_back_when_there_is_room() -> None:
    sensed = [PLENTY]
    async with swarm(1, sensed) as fleet:
        sensed[0] = SHORT
        await until(fleet, lambda: [e.slots for e in fleet.endpoints()] == [2])
        assert (await fleet.status())[0].reduced == "2 of 4 slots"
        sensed[0] = PLENTY
        await until(fleet, lambda: [e.slots for e in fleet.endpoints()] == [4])
        assert (await fleet.status())[0].reduced is None


async def test_when_nothing_is_left_to_give_a_worker_rests_but_never_the_last() -> None:
    sensed = [SHORT]
    async with swarm(2, sensed) as fleet:
        await until(fleet, lambda: WorkerState.STOPPED in fleet.states().values())
        (rested,) = [k for k in fleet.keepers.values() if k.worker.state is WorkerState.STOPPED]
        assert rested.rest is Rest.MEMORY
        assert [e.slots for e in fleet.endpoints()] == [2]
        sensed[0] = PLENTY
        await until(fleet, lambda: sorted(e.slots for e in fleet.endpoints()) == [4, 4])


async def test_who_rests_runs_again_when_memory_is_no_longer_watched() -> None:
    watch = MemoryWatch(POLICY, lambda: SHORT, every_s=0.01)
    async with swarm(2, [SHORT], watch) as fleet:
        await until(fleet, lambda: WorkerState.STOPPED in fleet.states().values())
        watch.policy = None
        await until(fleet, lambda: len(fleet.endpoints()) == 2)


async def test_nothing_is_done_while_somebody_else_changes_the_workers() -> None:
    """Who begins while the memory is read counts too."""
    held, read = [False], asyncio.Semaphore(0)
    loop = asyncio.get_running_loop()

    def sense() -> Sensed:
        held[0] = True
        loop.call_soon_threadsafe(read.release)
        return SHORT

    watch = MemoryWatch(POLICY, sense, held=lambda: held[0], every_s=0.01)
    async with swarm(1, [], watch) as fleet:
        for _ in range(20):
            await asyncio.wait_for(read.acquire(), PATIENCE_S)
        assert [endpoint.slots for endpoint in fleet.endpoints()] == [4]
        held[0] = False
        watch.sense = lambda: SHORT
        await until(fleet, lambda: [e.slots for e in fleet.endpoints()] == [2])


async def test_a_shortage_that_nothing_helps_is_told_once(monkeypatch) -> None:
    log = CapturingLogger()
    monkeypatch.setattr("local_swarm.supervisor.memory_watch.log", log)
    figures = count(GIB // 4)
    read = asyncio.Semaphore(0)
    loop = asyncio.get_running_loop()

    def sense() -> Sensed:
        loop.call_soon_threadsafe(read.release)
        return Sensed(host=Room(16 * GIB, next(figures) * 64), oom_kills=0)

    lone = dataclasses.replace(Shape().job(0), memory=JobMemory(host_bytes=GIB))
    policy = dataclasses.replace(POLICY, min_free_bytes=1024 * GIB)
    watch = MemoryWatch(policy, sense, every_s=0.01)
    async with Fleet([lone], QUICK, run_token=uuid.uuid4().hex, watches=[watch]) as fleet:
        fleet.start()
        while not log.calls:
            await asyncio.wait_for(read.acquire(), PATIENCE_S)
        for _ in range(20):
            await asyncio.wait_for(read.acquire(), PATIENCE_S)
    (told,) = log.calls
    assert told.kwargs["why"].endswith("no worker can give up more")


async def test_a_step_that_a_worker_does_not_survive_is_undone() -> None:
    broken = Shape(script={"start_exit": 3}).job(0)
    async with swarm(1, [PLENTY]) as fleet:
        keeper = fleet.keepers["w0"]
        keeper.job = dataclasses.replace(keeper.job, shrink=lambda where: broken)
        with pytest.raises(WorkerStartError):
            await fleet.shrink("w0", "host")
        await until(fleet, lambda: bool(fleet.endpoints()))  # the half-open try
        assert keeper.larger == []


async def test_a_worker_that_does_not_come_back_smaller_does_not_end_the_watch() -> None:
    sensed = [PLENTY]
    async with swarm(1, sensed) as fleet:
        keeper = fleet.keepers["w0"]
        broken = Shape(script={"start_exit": 3}).job(0)
        keeper.job = dataclasses.replace(
            keeper.job, shrink=lambda where: dataclasses.replace(broken, given_up="everything")
        )
        sensed[0] = SHORT
        await until(fleet, lambda: keeper.worker.state is WorkerState.FAILED)
        keeper.job = giving(Shape(slots=4).job(0), 4)
        await until(fleet, lambda: bool(fleet.endpoints()))  # the half-open try
        await until(fleet, lambda: [e.slots for e in fleet.endpoints()] == [2])
