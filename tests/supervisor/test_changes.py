"""Workers that are restarted, added, removed and put to rest while the fleet runs."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import os
import signal
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from local_swarm.domain.launch import LaunchSpec
from local_swarm.domain.worker import DeviceMemory, WorkerState
from local_swarm.errors import WorkerStartError
from local_swarm.supervisor import state as life
from local_swarm.supervisor.fleet import Fleet
from local_swarm.supervisor.job import Job, Where
from local_swarm.supervisor.keeper import Rest
from local_swarm.supervisor.process import ChildProcess, spawn
from local_swarm.swarm.starting import started
from tests.swarms import PATIENCE_S, QUICK, Shape, fleet_of, states, until


async def drained(fleet: Fleet) -> None:
    """What the gateway does: says that draining workers have nothing left."""
    while True:
        change = fleet.next_change()
        for endpoint in fleet.draining():
            fleet.drained(endpoint.id, endpoint.generation)
        await change.wait()


def within(work):
    return asyncio.wait_for(work, PATIENCE_S)


@pytest.fixture
async def fleet():
    async with fleet_of(Shape(workers=2)) as fleet:
        draining = asyncio.create_task(drained(fleet))
        yield fleet
        draining.cancel()


async def test_a_cycled_worker_is_another_process_and_not_charged(fleet: Fleet) -> None:
    before = fleet.keepers["w0"].child.pid
    await within(fleet.cycle("w0"))
    keeper = fleet.keepers["w0"]
    assert keeper.child.pid != before
    assert keeper.worker.charged == ()
    assert keeper.crashes == 0
    assert states(fleet) == [WorkerState.READY] * 2


async def test_a_cycle_may_change_what_the_worker_is(fleet: Fleet) -> None:
    job = dataclasses.replace(Shape(slots=2).job(0), id="w0")
    await within(fleet.cycle("w0", job))
    assert {e.id: e.slots for e in fleet.endpoints()} == {"w0": 2, "w1": 4}


async def test_what_a_worker_will_be_is_not_told_before_it_is(fleet: Fleet) -> None:
    fleet.keepers["w0"].job = dataclasses.replace(Shape(slots=2).job(0), id="w0")
    assert {e.id: e.slots for e in fleet.endpoints()} == {"w0": 4, "w1": 4}


async def test_a_draining_worker_takes_nothing_and_is_expected_back(fleet: Fleet) -> None:
    fleet.next_change()
    cycle = asyncio.create_task(fleet.cycle("w0"))
    await until(fleet, lambda: fleet.states()["w0"] is not WorkerState.READY)
    assert [e.id for e in fleet.endpoints()] == ["w1"]
    assert {e.id for e in fleet.expected()} == {"w0", "w1"}
    await within(cycle)


async def test_workers_are_added_and_removed(fleet: Fleet) -> None:
    await within(fleet.add(Shape().job(7)))
    assert {e.id for e in fleet.endpoints()} == {"w0", "w1", "w7"}
    await within(fleet.remove("w7"))
    assert {e.id for e in fleet.endpoints()} == {"w0", "w1"}
    assert "w7" not in fleet.keepers


async def test_a_worker_that_cannot_be_added_is_gone_again(fleet: Fleet) -> None:
    with pytest.raises(WorkerStartError, match="w7 could not start"):
        await within(fleet.add(Shape(script={"start_exit": 3}).job(7)))
    assert set(fleet.keepers) == {"w0", "w1"}


SLOW = dataclasses.replace(QUICK, window_s=0.001)
"""Its budget is never spent: as where a worker takes minutes until it dies."""


async def test_a_change_is_given_up_where_deaths_are_far_apart() -> None:
    async with fleet_of(Shape(workers=2, policy=SLOW)) as fleet:
        draining = asyncio.create_task(drained(fleet))
        broken = Shape(script={"start_exit": 3})
        with pytest.raises(WorkerStartError, match="w0 could not start"):
            await within(fleet.cycle("w0", broken.job(0)))
        with pytest.raises(WorkerStartError, match="w7 could not start"):
            await within(fleet.add(broken.job(7)))
        assert set(fleet.keepers) == {"w0", "w1"}
        await within(fleet.cycle("w0", Shape().job(0)))  # what was counted is forgotten
        draining.cancel()


async def test_a_start_is_given_up_where_deaths_are_far_apart() -> None:
    broken = Shape(policy=SLOW, script={"start_exit": 3})
    async with fleet_of(broken, wait_ready=False) as fleet:
        with pytest.raises(WorkerStartError, match="w0 could not start"):
            await within(started(fleet))


async def test_what_sleeps_is_expected_and_woken_by_the_first_request(fleet: Fleet) -> None:
    for worker in ("w0", "w1"):
        await within(fleet.put_to_rest(worker, Rest.ASLEEP))
    assert fleet.is_asleep
    assert fleet.endpoints() == ()
    assert len(fleet.expected()) == 2
    assert (await fleet.status())[0].reason == "asleep: it wakes with the next request"
    fleet.wanted(0, 0)
    assert fleet.is_asleep
    fleet.wanted(1, 1)
    await until(fleet, lambda: len(fleet.endpoints()) == 2)
    assert not fleet.is_asleep


async def test_what_rests_for_memory_is_not_expected_back(fleet: Fleet) -> None:
    await within(fleet.put_to_rest("w0", Rest.MEMORY))
    assert [e.id for e in fleet.expected()] == ["w1"]
    fleet.wanted(1, 1)
    assert fleet.states()["w0"] is WorkerState.STOPPED
    fleet.rouse("w0")
    await until(fleet, lambda: len(fleet.endpoints()) == 2)


def giving(job: Job) -> Job:
    """With two slots to give up, one at a time."""

    def shrink(where: Where) -> Job | None:
        slots = job.slots - 1
        smaller = dataclasses.replace(job, slots=slots, given_up=f"slots but {slots}")
        return giving(smaller) if slots >= 2 else None

    return dataclasses.replace(job, shrink=shrink)


async def test_a_worker_gives_memory_up_step_by_step_and_takes_it_back(fleet: Fleet) -> None:
    await within(fleet.cycle("w0", giving(Shape(slots=4).job(0))))
    assert await within(fleet.shrink("w0", "host"))
    assert await within(fleet.shrink("w0", "host"))
    assert not await within(fleet.shrink("w0", "host"))
    assert fleet.endpoints()[0].slots == 2
    assert (await fleet.status())[0].reduced == "slots but 2"
    assert await within(fleet.grow("w0"))
    assert fleet.endpoints()[0].slots == 3
    assert await within(fleet.grow("w0"))
    assert not await within(fleet.grow("w0"))
    assert (await fleet.status())[0].reduced is None


async def test_a_worker_that_was_killed_for_memory_comes_back_smaller() -> None:
    kills = [0]
    job = giving(Shape(slots=4).job(0))
    async with Fleet([job], QUICK, run_token=uuid.uuid4().hex, oom_kills=lambda: kills[0]) as fleet:
        fleet.start()
        await until(fleet, lambda: bool(fleet.endpoints()))
        kills[0] += 1
        os.kill(fleet.keepers["w0"].child.pid, signal.SIGKILL)
        await until(fleet, lambda: bool(fleet.keepers["w0"].deaths))
        await until(fleet, lambda: bool(fleet.endpoints()))
        (endpoint,) = fleet.endpoints()
        assert endpoint.slots == 3
        assert fleet.keepers["w0"].deaths[0].cause == "signal 9, out of memory"


async def test_slots_are_saved_once_however_often_it_is_said_that_they_are_idle(
    monkeypatch,
) -> None:
    saves, go_on = [], asyncio.Event()

    async def save(*args: object) -> None:
        saves.append(args)
        await go_on.wait()

    async with fleet_of(Shape()) as fleet:
        keeper = fleet.keepers["w0"]
        keeper.life.job = keeper.job = dataclasses.replace(keeper.job, slot_bytes=1)
        monkeypatch.setattr(keeper._slots, "save", save)
        cycle = asyncio.create_task(fleet.cycle("w0"))
        await until(fleet, lambda: bool(fleet.draining()))
        for _ in range(3):
            fleet.drained("w0", 1)
        go_on.set()
        await within(cycle)
        assert len(saves) == 1


async def test_nothing_is_changed_in_a_fleet_that_stops() -> None:
    async with fleet_of(Shape()) as fleet:
        await fleet.stop()
        with pytest.raises(WorkerStartError):
            await fleet.cycle("w0")
        with pytest.raises(WorkerStartError):
            await fleet.add(Shape().job(1))
        fleet.rouse("w0")
        assert states(fleet) == [WorkerState.STOPPED]


async def test_a_change_under_way_ends_when_the_fleet_stops() -> None:
    async with fleet_of(Shape()) as fleet:
        cycle = asyncio.create_task(fleet.cycle("w0"))  # nobody says that it is drained
        await until(fleet, lambda: bool(fleet.draining()))
    with pytest.raises(WorkerStartError):
        await within(cycle)


async def test_workers_on_one_device_start_one_after_the_other() -> None:
    shape = Shape(workers=3, script={"load_s": 0.1})
    most = 0
    async with fleet_of(shape, wait_ready=False) as fleet:

        def count() -> None:
            nonlocal most
            loading = [k for k in fleet.keepers.values() if k.child and not k.worker.ready_since]
            most = max(most, len(loading))

        fleet.subscribe(count)
        await until(fleet, lambda: len(fleet.endpoints()) == 3)
    assert most == 1


async def test_a_watch_that_fails_begins_again_and_ends_with_the_fleet(monkeypatch) -> None:
    monkeypatch.setattr("local_swarm.supervisor.fleet.WATCH_AGAIN_S", 0.0)
    begun = asyncio.Semaphore(0)

    async def watch(fleet: Fleet) -> None:
        begun.release()
        raise RuntimeError("a bug")

    async with Fleet([], QUICK, run_token=uuid.uuid4().hex, watches=[watch]) as fleet:
        fleet.start()
        for _ in range(3):
            await within(begun.acquire())
    assert [t.get_name() for t in asyncio.all_tasks() if t.get_name().startswith("watch")] == []


async def test_a_fleet_knows_whether_something_would_be_left_alone(fleet: Fleet) -> None:
    assert fleet.unsound() is None
    keeper = fleet.keepers["w0"]
    keeper.worker = dataclasses.replace(keeper.worker, state=WorkerState.BACKOFF)
    assert fleet.unsound() == "w0 is in backoff and nothing will wake it"
    keeper.worker = dataclasses.replace(keeper.worker, state=WorkerState.READY)


async def test_workers_are_not_put_to_sleep_under_a_request(fleet: Fleet) -> None:
    """It came after somebody had decided so: nobody would wake them for it."""
    fleet.wanted(1, 0)
    await within(fleet.put_to_rest("w0", Rest.ASLEEP))
    assert states(fleet) == [WorkerState.READY] * 2


async def test_a_worker_that_is_removed_is_not_woken_meanwhile(fleet: Fleet) -> None:
    await within(fleet.put_to_rest("w0", Rest.ASLEEP))
    forgetting, go_on = asyncio.Event(), asyncio.Event()

    async def forget() -> None:
        forgetting.set()
        await go_on.wait()

    fleet.keepers["w0"]._slots.forget = forget
    removing = asyncio.create_task(fleet.remove("w0"))
    await within(forgetting.wait())
    fleet.wanted(1, 1)
    go_on.set()
    await within(removing)
    assert states(fleet) == [WorkerState.READY]


async def test_a_listener_that_fails_costs_nobody_else_anything() -> None:
    def bug() -> None:
        raise RuntimeError("a bug")

    async with fleet_of(Shape(), wait_ready=False) as fleet:
        fleet.subscribe(bug)
        told = asyncio.Event()
        fleet.subscribe(told.set)
        await until(fleet, lambda: bool(fleet.endpoints()))
        assert told.is_set()
        assert fleet.keepers["w0"].worker.generation == 1


@dataclasses.dataclass
class Refusing:
    """A watch over the start of a worker during which something happens."""

    happens: Callable[[], None]

    def before(self) -> None:
        self.happens()

    def ready(self) -> tuple[DeviceMemory, ...]:
        return ()

    def ended(self) -> None:
        pass


async def test_a_start_that_was_called_off_starts_nothing() -> None:
    loop = asyncio.get_running_loop()
    called_off, launched = threading.Event(), []
    job = Shape().job(0)

    def stop() -> None:
        fleet.keepers["w0"].handle(life.Stop())
        called_off.set()

    def while_it_is_measured() -> None:
        loop.call_soon_threadsafe(stop)
        assert called_off.wait(PATIENCE_S)

    def launch() -> LaunchSpec:
        launched.append(1)
        return job.launch()

    job_ = dataclasses.replace(job, launch=launch, watch=lambda: Refusing(while_it_is_measured))
    async with Fleet([job_], QUICK, run_token=uuid.uuid4().hex) as fleet:
        fleet.start()
        await until(fleet, lambda: states(fleet) == [WorkerState.STOPPED])
    assert launched == []


async def test_a_process_that_is_no_longer_wanted_when_it_exists_is_killed(monkeypatch) -> None:
    async def slow(*args: Any, **named: Any) -> ChildProcess:
        child = await spawn(*args, **named)
        fleet.keepers["w0"].handle(life.Stop())
        return child

    monkeypatch.setattr("local_swarm.supervisor.keeper.spawn", slow)
    patient = dataclasses.replace(QUICK, term_grace_s=1e6)
    async with Fleet([Shape().job(0)], patient, run_token=uuid.uuid4().hex) as fleet:
        fleet.start()
        try:
            await until(fleet, lambda: states(fleet) == [WorkerState.STOPPED])
        finally:
            fleet.hurry()


async def test_what_cannot_be_started_for_now_is_tried_again_soon() -> None:
    job, tries = Shape().job(0), []

    def launch() -> LaunchSpec:
        tries.append(1)
        if len(tries) == 1:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        return job.launch()

    patient = dataclasses.replace(QUICK, half_open_s=1e6)
    jobs = [dataclasses.replace(job, launch=launch)]
    async with Fleet(jobs, patient, run_token=uuid.uuid4().hex) as fleet:
        fleet.start()
        await until(fleet, lambda: bool(fleet.endpoints()))
        assert len(tries) == 2


async def test_a_kill_long_after_the_kernel_killed_another_is_just_that(monkeypatch) -> None:
    monkeypatch.setattr("local_swarm.supervisor.oom.RECENT_S", 0.02)
    kills = [0]
    job = giving(Shape(slots=4).job(0))
    async with Fleet([job], QUICK, run_token=uuid.uuid4().hex, oom_kills=lambda: kills[0]) as fleet:
        fleet.start()
        await until(fleet, lambda: bool(fleet.endpoints()))
        kills[0] += 1
        await until_not(lambda: fleet.oom_kills.recent())
        os.kill(fleet.keepers["w0"].child.pid, signal.SIGKILL)
        await until(fleet, lambda: bool(fleet.keepers["w0"].deaths))
        assert fleet.keepers["w0"].deaths[0].cause == "signal 9"


async def until_not(holds: Callable[[], bool]) -> None:
    async def wait() -> None:
        while holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    await within(wait())
