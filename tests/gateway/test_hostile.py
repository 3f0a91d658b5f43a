"""Votes whose answers are hostile programs: who is served meanwhile, and what is left behind."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psutil
import pytest

from local_swarm import sandbox
from local_swarm.gateway import deliberation
from local_swarm.gateway.deciding import VoteSettings
from tests.swarms import PATIENCE_S, Shape, Swarm, swarm_of

PROMPT = 'def f(x: int) -> int:\n    """Add one."""\n'
PROGRAMS = [
    "def f(x):\n    while True:\n        x += 1\n",
    "def f(x):\n    return [x] * 10**12\n",
    "def f(x):\n    while True:\n        print(x)\n",
]
SHAPE = Shape(
    slots=7,
    ctx=4096,
    script={"answers": {"def f": [f"```python\n{p}```" for p in PROGRAMS], "": ["yes"]}},
)


@pytest.fixture(autouse=True)
def safe(monkeypatch: pytest.MonkeyPatch) -> None:
    if (why := sandbox.unavailable()) is not None:
        pytest.skip(f"no safe sandbox here: {why}")
    monkeypatch.setattr(deliberation, "PATIENCE_S", PATIENCE_S)


@asynccontextmanager
async def executing() -> AsyncIterator[Swarm]:
    async with swarm_of(SHAPE, votes=VoteSettings(execute=True)) as swarm:
        yield swarm


async def running() -> psutil.Process:
    """The process that has code run, once it has begun to."""

    async def wait() -> psutil.Process:
        while True:
            for child in psutil.Process().children():
                if child.cmdline()[-1:] == ["runs"] and child.children():
                    return child
            await asyncio.sleep(0.01)  # another process: there is no event to wait for

    return await asyncio.wait_for(wait(), PATIENCE_S)


async def test_others_are_answered_while_hostile_code_runs() -> None:
    async with executing() as swarm:
        hostile = asyncio.ensure_future(swarm.chat(PROMPT))
        process = await running()
        process.suspend()  # so that it is still at it, however quick or slow this machine is
        try:
            _, voted = await swarm.chat("x")
            status, solo = await swarm.chat("x", model="fake:solo")
            health, _ = await swarm.get("/health")
            _, fuzzy = await swarm.chat(PROMPT, swarm={"strategy": "fuzzy"})
            assert not hostile.done()
        finally:
            process.resume()
        _, found = await asyncio.wait_for(hostile, PATIENCE_S)
    assert (status, health) == (200, 200)
    assert voted["swarm"]["agreement"] == 1.0
    assert solo["choices"][0]["message"]["content"] == "yes"
    assert fuzzy["swarm"]["strategy"] == "fuzzy"
    assert found["swarm"]["answered"] == 3


async def test_a_client_that_leaves_while_code_runs_costs_the_next_nothing() -> None:
    async with executing() as swarm:
        leaving = asyncio.ensure_future(swarm.chat(PROMPT))
        process = await running()
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await swarm.fake_until(lambda state: state["busy"] == 0)
        _, body = await asyncio.wait_for(swarm.chat(PROMPT), PATIENCE_S)
        assert process.is_running()
    assert body["swarm"]["answered"] == 3


@pytest.mark.parametrize("how", [None, signal.SIGSTOP])
async def test_a_stop_while_code_runs_leaves_nothing_behind(how: Any) -> None:
    async with executing() as swarm:
        cut = asyncio.ensure_future(swarm.chat(PROMPT))
        process = await running()
        family = [process, *process.children(recursive=True)]
        if how is not None:
            process.send_signal(how)
    await asyncio.gather(cut, return_exceptions=True)
    _, alive = await asyncio.to_thread(psutil.wait_procs, family, PATIENCE_S)
    assert alive == []
