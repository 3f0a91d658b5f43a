from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import uuid
from pathlib import Path

import psutil
import pytest

from local_swarm.domain.launch import LaunchSpec
from local_swarm.domain.worker import DeviceMemory, WorkerState
from local_swarm.supervisor.fleet import Fleet
from tests.swarms import PATIENCE_S, QUICK, Shape, fleet_of, states, until


def child_of(fleet, worker="w0"):
    child = fleet.keepers[worker].child
    assert child is not None
    return child


async def test_workers_become_ready_and_stop_without_leaving_anything(tmp_path: Path) -> None:
    async with fleet_of(Shape(workers=2, log_directory=tmp_path)) as fleet:
        pids = [child_of(fleet, w).pid for w in ("w0", "w1")]
        assert states(fleet) == [WorkerState.READY] * 2
    assert states(fleet) == [WorkerState.STOPPED] * 2
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert (tmp_path / "w0.log").read_text().startswith("w0 | ")


async def test_a_killed_worker_comes_back_with_a_new_generation() -> None:
    async with fleet_of(Shape()) as fleet:
        before = fleet.endpoints()[0]
        fleet.served("w0", before.generation)
        os.kill(child_of(fleet).pid, signal.SIGKILL)
        death = await fleet.death_of("w0", before.generation, PATIENCE_S)
        assert death is not None
        assert death.cause == "signal 9"
        await until(fleet, lambda: bool(fleet.endpoints()))
        assert fleet.endpoints()[0].generation == before.generation + 1


async def test_a_worker_that_cannot_start_fails_with_its_last_words() -> None:
    async with fleet_of(Shape(script={"start_exit": 3}), wait_ready=False) as fleet:
        await until(fleet, lambda: states(fleet) == [WorkerState.FAILED])
        assert fleet.endpoints() == ()
        assert fleet.expected() == ()
        deaths = fleet.keepers["w0"].deaths
        assert deaths[-1].exit_code == 3
        assert deaths[-1].log_tail


async def test_a_failed_worker_is_tried_again(tmp_path: Path) -> None:
    script = {
        "start_exit": 3,
        "start_exit_times": 4,
        "counter_file": str(tmp_path / "lives"),
    }
    async with fleet_of(Shape(script=script), wait_ready=False) as fleet:
        await until(fleet, lambda: states(fleet) == [WorkerState.FAILED])
        await until(fleet, lambda: states(fleet) == [WorkerState.READY])


async def test_a_slow_load_is_waited_for() -> None:
    async with fleet_of(Shape(script={"load_s": 0.3})) as fleet:
        assert fleet.keepers["w0"].worker.restarts == 0


async def test_a_worker_that_ignores_sigterm_is_killed() -> None:
    async with fleet_of(Shape(script={"sigterm": "ignore"})) as fleet:
        pid = child_of(fleet).pid
    assert states(fleet) == [WorkerState.STOPPED]
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("first", ["hurry", "stop"])
async def test_who_is_in_a_hurry_does_not_wait_for_the_ladder(first: str) -> None:
    patient = dataclasses.replace(QUICK, term_grace_s=1e6)
    shape = Shape(script={"sigterm": "ignore"}, policy=patient)
    async with fleet_of(shape) as fleet:
        if first == "hurry":
            fleet.hurry()
        stopping = asyncio.create_task(fleet.stop())
        await until(fleet, lambda: states(fleet) != [WorkerState.READY])
        if first == "stop":
            fleet.hurry()
        await asyncio.wait_for(stopping, PATIENCE_S)
        assert states(fleet) == [WorkerState.STOPPED]


async def test_stopping_while_starting_leaves_nothing() -> None:
    async with fleet_of(Shape(script={"load_s": 60}), wait_ready=False) as fleet:
        await until(fleet, lambda: fleet.keepers["w0"].child is not None)
    assert states(fleet) == [WorkerState.STOPPED]


async def test_stopping_before_the_first_process_exists_leaves_nothing() -> None:
    async with fleet_of(Shape(), wait_ready=False) as fleet:
        pass
    assert states(fleet) == [WorkerState.STOPPED]


async def test_a_program_that_does_not_exist_is_a_death_not_an_exception(tmp_path: Path) -> None:
    shape = Shape()
    job = shape.job(0)
    launch = job.launch

    def missing():
        return dataclasses.replace(launch(), argv=(str(tmp_path / "no-such-program"),))

    async with Fleet(
        [dataclasses.replace(job, launch=missing)], QUICK, run_token=uuid.uuid4().hex
    ) as fleet:
        fleet.start()
        await until(fleet, lambda: states(fleet) == [WorkerState.FAILED])
        assert any("no-such-program" in line for line in fleet.keepers["w0"].deaths[-1].log_tail)


@dataclasses.dataclass
class Watch:
    """Writes down when it is called."""

    calls: list[str]

    def before(self) -> None:
        self.calls.append("before")

    def ready(self) -> tuple[DeviceMemory, ...]:
        self.calls.append("ready")
        return (DeviceMemory("CUDA0", 1, 2),)

    def ended(self) -> None:
        self.calls.append("ended")


async def test_each_life_s_devices_are_measured_around_its_start() -> None:
    calls: list[str] = []
    job = Shape().job(0)

    def launch() -> LaunchSpec:
        calls.append("launch")
        return job.launch()

    watched = dataclasses.replace(job, launch=launch, watch=lambda: Watch(calls))
    async with Fleet([watched], QUICK, run_token=uuid.uuid4().hex) as fleet:
        fleet.start()
        await until(fleet, lambda: bool(fleet.endpoints()))
        (status,) = await fleet.status()
        assert status.device_memory == (DeviceMemory("CUDA0", 1, 2),)
        before = fleet.endpoints()[0]
        fleet.served("w0", before.generation)
        os.kill(child_of(fleet).pid, signal.SIGKILL)
        await fleet.death_of("w0", before.generation, PATIENCE_S)
        await until(fleet, lambda: bool(fleet.endpoints()))
    assert calls == ["before", "launch", "ready", "ended"] * 2


async def test_a_life_that_never_was_ready_ends_its_measuring() -> None:
    calls: list[str] = []
    job = Shape(script={"start_exit": 3}).job(0)
    watched = dataclasses.replace(job, watch=lambda: Watch(calls))
    policy = dataclasses.replace(QUICK, half_open_s=60.0)
    async with Fleet([watched], policy, run_token=uuid.uuid4().hex) as fleet:
        fleet.start()
        await until(fleet, lambda: states(fleet) == [WorkerState.FAILED])
    assert calls == ["before", "ended"] * len(fleet.keepers["w0"].deaths)


async def test_no_task_is_left_after_the_fleet() -> None:
    before = asyncio.all_tasks()
    async with fleet_of(Shape(workers=2)):
        pass
    assert asyncio.all_tasks() == before
