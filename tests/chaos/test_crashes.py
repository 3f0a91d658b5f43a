"""Crashes without end: what the supervisor holds is the same after a thousand as before."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from local_swarm.domain.worker import WorkerState
from local_swarm.supervisor.fleet import Fleet, LogSettings
from local_swarm.supervisor.restart import RestartPolicy
from tests.chaos.census import Census, growth, left_behind, settled, settled_here
from tests.chaos.conftest import SOAK, Long
from tests.chaos.supervisors import Home
from tests.swarms import Shape, states, until

# Back-offs that cost no time; workers fail and are tried again many times over.
RESTLESS = RestartPolicy(
    budget=3,
    backoff_initial_s=0.001,
    backoff_max_s=0.002,
    term_grace_s=1.0,
    half_open_s=0.005,
)
WARM_UP = 10
MEMORY_SHARE = 0.05


def crash(job: Any, how: str) -> Any:
    """The job with a command that ends at once: by itself, by a signal, or never begun."""
    commands = {
        "exit": ("sh", "-c", "echo so ends it; exit 3"),
        "signal": ("sh", "-c", "kill -SEGV $$"),
        "missing": ("/no/such/program",),
    }

    def launch() -> Any:
        return dataclasses.replace(job.launch(), argv=commands[how])

    return dataclasses.replace(job, launch=launch)


async def deaths(fleet: Fleet, count: int) -> None:
    """Until the workers have died so many more times."""
    lives = lambda: sum(k.worker.generation for k in fleet.keepers.values())  # noqa: E731
    enough = lives() + count
    while lives() < enough:
        await asyncio.wait_for(fleet.next_change().wait(), 20)


async def test_crashes_at_the_start_leave_nothing(
    tmp_path: Path, figures: dict[str, Any], long: Long
) -> None:
    jobs = [crash(Shape().job(i), how) for i, how in enumerate(("exit", "signal", "missing"))]
    start = Census.here()
    logs = LogSettings(directory=tmp_path)
    async with Fleet(jobs, RESTLESS, run_token="crashes", logs=logs) as fleet:
        fleet.start()
        await deaths(fleet, long(30, 200))
        before = Census.here([tmp_path])
        await deaths(fleet, long(60, 1000))
        await fleet.stop()
        assert states(fleet) == [WorkerState.STOPPED] * len(jobs)
        after = Census.here([tmp_path])
        figures["crashes"] = sum(keeper.worker.generation for keeper in fleet.keepers.values())
    report(figures, before, after)
    assert left_behind(before, after) == []
    assert await settled_here(start) == []


async def test_crashes_of_ready_workers_leave_nothing(
    tmp_path: Path, figures: dict[str, Any], long: Long
) -> None:
    shape = Shape(workers=2, policy=RESTLESS)
    async with Fleet(
        [shape.job(i) for i in range(2)], RESTLESS, run_token="crashes", logs=LogSettings()
    ) as fleet:
        fleet.start()
        await until(fleet, lambda: len(fleet.endpoints()) == 2)
        await kill_when_ready(fleet, WARM_UP)
        before = Census.here()
        await kill_when_ready(fleet, long(10, 200))
        after = Census.here()
        report(figures, before, after)
        assert await settled_here(before) == []


async def kill_when_ready(fleet: Fleet, times: int) -> None:
    """Kills a worker that is ready, so many times; at the end both are ready."""
    for number in range(times):
        keeper = fleet.keepers[f"w{number % 2}"]
        await until(fleet, lambda k=keeper: k.worker.state is WorkerState.READY)
        before = keeper.worker.generation
        os.kill(keeper.child.pid, signal.SIGKILL)
        await until(fleet, lambda k=keeper, g=before: k.worker.generation > g)
    await until(fleet, lambda: len(fleet.endpoints()) == 2)


def report(figures: dict[str, Any], before: Census, after: Census) -> None:
    """Memory is held against the limit only where there were enough crashes to tell a leak from
    what is allocated once."""
    share = growth(before, after)
    figures["before"], figures["after"] = before.counts(), after.counts()
    figures["memory"] = f"{before.memory_bytes >> 10} KiB, {share:+.1%}"
    assert not SOAK or share <= MEMORY_SHARE


@pytest.mark.engine
def test_crashes_under_a_serving_supervisor_leave_nothing(
    home: Home, figures: dict[str, Any], long: Long
) -> None:
    pytest.importorskip("xllamacpp", reason="the default engine is not installed")
    at_once = {"LSWARM_SUPERVISOR__STABLE_S": "0.001", "LSWARM_SWARM__THREADS": "1"}
    swarm = home.up("--ctx", "512", **at_once).until_ready()
    take = lambda: Census.of(swarm.pid, [home.path / "home" / "run"])  # noqa: E731

    def crashes(times: int) -> None:
        for _ in range(times):
            row = swarm.workers()["w0"]
            os.kill(row["pid"], signal.SIGKILL)
            swarm.until(lambda r=row["restarts"]: back(swarm.workers()["w0"], r), "ready again")

    crashes(long(3, WARM_UP))
    before = take()
    crashes(long(5, 300))
    after = take()
    report(figures, before, after)
    assert settled(take, before) == []
    assert swarm.stop() == 0
    home.no_orphans()


def back(row: dict[str, Any], restarts: int) -> bool:
    return row["state"] == "ready" and row["restarts"] > restarts
