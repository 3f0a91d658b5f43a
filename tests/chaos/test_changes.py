"""A swarm that is changed under load: nobody is refused, cut off or even made to ask again."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.chaos.census import Census, settled
from tests.chaos.conftest import Long
from tests.chaos.load import End, Load, kinds, watched
from tests.chaos.supervisors import Home, Supervisor

pytestmark = pytest.mark.engine
SETTINGS = "[swarm]\nworkers = 2\nslots = 2\nctx = {ctx}\nthreads = 1\n"


@contextlib.asynccontextmanager
async def under_load(swarm: Supervisor, load: Load) -> AsyncIterator[None]:
    """The load goes on as long as the context is open. A worker takes traffic at any time."""
    over = asyncio.Event()
    async with watched(swarm.url) as lives:
        loading = asyncio.create_task(load.run(over.is_set))
        yield
        over.set()
        await loading
    assert lives.fewest_ready >= 1, f"for a while no worker took traffic: {lives.story}"


def test_restart_scale_and_reload_under_load_cost_no_request(
    home: Home, figures: dict[str, Any], long: Long
) -> None:
    pytest.importorskip("xllamacpp", reason="the default engine is not installed")
    config = home.path / "lswarm.toml"
    config.write_text(SETTINGS.format(ctx=1024))
    swarm = home.up("--config", str(config)).until_ready()
    load = Load(swarm.url, kinds("swarm"), cancelled=0.0)
    before = Census.of(swarm.pid, [home.path / "home" / "run"])
    pids = {swarm.pid, *swarm.pids()}

    async def change() -> None:
        async with under_load(swarm, load):
            for number in range(long(1, 4)):
                for words in (("restart",), ("restart", "w1"), ("scale", "1"), ("scale", "2")):
                    done = await asyncio.to_thread(home.lswarm, *words)
                    assert done.returncode == 0, (words, done.stderr)
                config.write_text(SETTINGS.format(ctx=1280 + 256 * (number % 2)))
                done = await asyncio.to_thread(home.lswarm, "reload")
                assert done.returncode == 0, done.stderr

    asyncio.run(change())
    figures |= load.tally.figures()
    assert load.tally.failures == []
    assert load.tally.count(End.ANSWERED, voted=True) > 0
    assert load.tally.count(End.CUT) == 0
    assert not pids.intersection(swarm.pids()), "a worker was never restarted"
    take = lambda: Census.of(swarm.pid, [home.path / "home" / "run"])  # noqa: E731
    assert settled(take, before) == []
    assert swarm.stop() == 0
    home.no_orphans()


def test_sighup_applies_the_changed_settings(home: Home) -> None:
    config = home.path / "lswarm.toml"
    config.write_text(SETTINGS.format(ctx=1024))
    swarm = home.up("--config", str(config), **home.fakes()).until_ready()
    config.write_text(SETTINGS.format(ctx=512))
    swarm.process.send_signal(signal.SIGHUP)
    contexts = lambda: [row["ctx"] for row in swarm.workers().values()]  # noqa: E731
    swarm.until(lambda: contexts() == [512, 512], "the new context")
    config.write_text("[swarm]\nno_such_key = 1\n")
    swarm.process.send_signal(signal.SIGHUP)
    swarm.until(lambda: "no_such_key" in swarm.says(), "a complaint")
    swarm.until_state("ready", "ready")
    assert swarm.stop() == 0
    home.no_orphans()


def test_a_swarm_that_sleeps_wakes_under_load_and_leaves_nothing(home: Home, long: Long) -> None:
    pytest.importorskip("xllamacpp", reason="the default engine is not installed")
    sleepy = {"LSWARM_SWARM__IDLE_UNLOAD_S": "0.3", "LSWARM_SWARM__THREADS": "1"}
    swarm = home.up("--ctx", "1024", **sleepy).until_ready()
    swarm.until(lambda: swarm.states() == ["stopped"], "sleep")
    before = Census.of(swarm.pid)
    for _ in range(long(2, 20)):
        load = Load(swarm.url, kinds("swarm"), cancelled=0.0)
        asyncio.run(load.run(lambda load=load: load.sent > 8))
        assert load.tally.failures == []
        swarm.until(lambda: swarm.states() == ["stopped"], "sleep again")
    assert settled(lambda: Census.of(swarm.pid), before) == []
    assert swarm.stop() == 0
    home.no_orphans()
