"""Workers that hang, are stopped, or are not needed: real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import uuid
from contextlib import asynccontextmanager

import psutil
import pytest

from local_swarm.domain.worker import Cause, WorkerState
from local_swarm.supervisor.fleet import Fleet
from local_swarm.supervisor.idling import Idling
from local_swarm.supervisor.keeper import Rest
from local_swarm.supervisor.load import LoadSettings
from local_swarm.supervisor.looking import Watcher
from local_swarm.supervisor.progress import Limits
from tests.swarms import PATIENCE_S, QUICK, Shape, until

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals that stop are POSIX's")


@asynccontextmanager
async def watched(watch, shape: Shape | None = None, *, ready: bool = True):
    shape = shape or Shape()
    jobs = [shape.job(n) for n in range(shape.workers)]
    async with Fleet(jobs, QUICK, run_token=uuid.uuid4().hex, watches=[watch]) as fleet:
        fleet.start()
        await until(fleet, lambda: not ready or len(fleet.endpoints()) == shape.workers)
        yield fleet


async def seen(condition) -> None:
    """Another process changes: there is no event to wait for."""

    async def poll() -> None:
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    await asyncio.wait_for(poll(), PATIENCE_S)


@posix
async def test_a_worker_that_was_stopped_is_told_to_go_on() -> None:
    async with watched(Watcher(Limits(), every_s=0.02)) as fleet:
        process = psutil.Process(fleet.keepers["w0"].child.pid)
        os.kill(process.pid, signal.SIGSTOP)
        await seen(lambda: process.status() != psutil.STATUS_STOPPED)
        assert fleet.keepers["w0"].worker.restarts == 0


async def test_a_worker_that_is_asked_and_does_nothing_is_killed_and_comes_back() -> None:
    """It sleeps where it should answer, its HTTP server too."""
    script = {"faults": [{"kind": "hang", "path": "/slots"}, {"kind": "hang", "path": "/health"}]}
    limits = Limits(hang_timeout_s=0.3, stall_timeout_s=60.0)
    async with watched(Watcher(limits, every_s=0.05, ask_after_s=0.05)) as fleet:
        keeper = fleet.keepers["w0"]
        url = f"http://127.0.0.1:{keeper.spec.port}/_fake/script"
        async with fleet.session.post(url, json=script) as response:
            assert response.status == 200
        fleet.wanted(1, 0)
        await until(fleet, lambda: bool(keeper.deaths))
        fleet.wanted(0, 0)
        assert keeper.deaths[0].kind is Cause.HUNG
        await until(fleet, lambda: bool(fleet.endpoints()))


async def test_a_worker_that_answers_is_left_alone_however_long_it_takes() -> None:
    limits = Limits(hang_timeout_s=0.2, stall_timeout_s=0.4)
    script = {"first_token_s": 30.0}
    asked = 0
    async with watched(
        Watcher(limits, every_s=0.02, ask_after_s=0.02), Shape(script=script)
    ) as fleet:
        keeper = fleet.keepers["w0"]
        fleet.wanted(1, 0)

        async def count() -> int:
            async with fleet.session.get(f"http://127.0.0.1:{keeper.spec.port}/_fake/state") as r:
                return (await r.json())["counts"].get("/slots", 0)

        while asked < 40:  # looks, which is more than twice the limits
            asked = await asyncio.wait_for(count(), PATIENCE_S)
            await asyncio.sleep(0.01)
        assert keeper.deaths == []


async def test_workers_sleep_when_nobody_asks_and_wake_when_somebody_does() -> None:
    settings = LoadSettings(idle_unload_s=0.05)
    async with watched(Idling(settings, every_s=0.01), Shape(workers=2)) as fleet:
        await until(
            fleet, lambda: set(fleet.states().values()) == {WorkerState.STOPPED} or _drain(fleet)
        )
        assert fleet.is_asleep
        fleet.wanted(1, 1)
        await until(fleet, lambda: len(fleet.endpoints()) == 2)


async def test_a_worker_more_than_is_needed_rests_until_requests_wait(monkeypatch) -> None:
    monkeypatch.setattr("local_swarm.supervisor.load.SPARE_AFTER_S", 0.05)
    monkeypatch.setattr("local_swarm.supervisor.load.START_AFTER_S", 0.0)
    settings = LoadSettings(min_workers=1)
    watch = Idling(settings, every_s=0.01)
    async with watched(watch, Shape(workers=2), ready=False) as fleet:  # it may rest at once
        await until(fleet, lambda: fleet.states()["w1"] is WorkerState.STOPPED or _drain(fleet))
        assert fleet.keepers["w1"].rest is Rest.SPARE
        assert [e.id for e in fleet.expected()] == ["w0"]
        fleet.wanted(5, 3)
        await until(fleet, lambda: len(fleet.endpoints()) == 2)


async def test_nobody_is_spare_while_all_others_sleep() -> None:
    """A spare worker would be started for nothing."""
    async with watched(Watcher(Limits()), Shape(workers=2)) as fleet:
        spare, other = fleet.keepers.values()
        spare.rest = Rest.SPARE
        assert Idling(LoadSettings())._load(fleet).spare == 1
        other.rest = Rest.ASLEEP
        assert Idling(LoadSettings())._load(fleet).spare == 0


def _drain(fleet: Fleet) -> bool:
    """What the gateway says of workers that have nothing to do."""
    for endpoint in fleet.draining():
        asyncio.get_running_loop().call_soon(fleet.drained, endpoint.id, endpoint.generation)
    return False
