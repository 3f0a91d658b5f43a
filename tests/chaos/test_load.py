"""Children are killed and frozen at random under mixed load: no voted request may notice."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import time
import urllib.request
from contextlib import suppress
from typing import Any

import pytest

from tests.chaos.census import Census, settled
from tests.chaos.conftest import Long
from tests.chaos.load import Blows, End, Lives, Load, Tally, batter, kinds, watched
from tests.chaos.supervisors import Home, Supervisor, eventually
from tests.swarms import free_port

pytestmark = pytest.mark.engine
ONE_THREAD = {"LSWARM_SWARM__THREADS": "1"}
SOON, LATER = Blows(1.0, 3.0), Blows(2.0, 20.0)
LAYOUTS = [
    pytest.param(("--workers", "2", "--slots", "2"), id="two-workers"),
    pytest.param(("--workers", "1", "--slots", "4"), id="one-worker"),
]


def load_time_s(home: Home, layout: tuple[str, ...]) -> float:
    """From the start of the engine to its readiness, with nobody around it: one worker, alone."""
    done = home.lswarm("plan", "--model", "builtin:demo", "--json", *layout, **ONE_THREAD)
    worker = json.loads(done.stdout)["workers"][0]
    port, argv = free_port(), worker["argv"]
    argv[argv.index("--port") + 1] = str(port)
    began = time.monotonic()
    engine = subprocess.Popen(
        argv,
        env={**os.environ, **worker["env"]},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def ready() -> bool:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as answer:
            return bool(answer.status == 200)
        return False

    try:
        eventually(ready, "the engine alone")
        return time.monotonic() - began
    finally:
        engine.kill()
        engine.wait()


async def battered(
    swarm: Supervisor, load: Load, blows: Blows, for_s: float
) -> tuple[Tally, Lives]:
    """The load goes on for so long, and until a child was killed and is back."""
    ends_at = time.monotonic() + for_s
    async with watched(swarm.url) as lives:

        def enough() -> bool:
            return time.monotonic() > ends_at and bool(lives.back_s)

        def pids() -> dict[str, int]:
            rows = swarm.workers().items()
            return {worker: row["pid"] for worker, row in rows if row["state"] == "ready"}

        hitting = asyncio.create_task(batter(pids, lives, blows), name="blows")
        try:
            tally = await load.run(enough)
        finally:
            hitting.cancel()
            await asyncio.gather(hitting, return_exceptions=True)
    return tally, lives


def spread(times_s: list[float]) -> str:
    ordered = sorted(times_s)
    tenths = [ordered[int(share * (len(ordered) - 1))] for share in (0, 0.5, 0.9, 1)]
    return "least {:.2f} s, median {:.2f} s, nine of ten {:.2f} s, most {:.2f} s".format(*tenths)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_voted_request_notices_that_children_are_killed_and_frozen(
    home: Home,
    figures: dict[str, Any],
    long: Long,
    layout: tuple[str, ...],
) -> None:
    alone_s = statistics.median(load_time_s(home, layout) for _ in range(long(1, 5)))
    swarm = home.up("--ctx", "1024", *layout, **ONE_THREAD).until_ready()
    model = swarm.get("/v1/models")["data"][0]["id"]
    folders = [home.path / "home" / name for name in ("run", "cache")]
    before = Census.of(swarm.pid, folders)
    load = Load(swarm.url, kinds(model), clients=6)
    tally, lives = asyncio.run(battered(swarm, load, long(SOON, LATER), long(6, 300)))
    figures |= tally.figures()
    figures["blows"] = f"{lives.kills} killed, {lives.frozen} frozen"
    figures["killed to ready"] = spread(lives.back_s)
    figures["the engine alone"] = f"{alone_s:.2f} s"
    assert tally.failures == []
    assert tally.count(End.ANSWERED, voted=True) > 0
    swarm.until_state(*["ready"] * len(swarm.states()))
    idle = {"waiting": 0, "in_flight": 0}
    swarm.until(lambda: swarm.get("/v1/swarm/status")["queue"] == idle, "an empty queue")
    take = lambda: Census.of(swarm.pid, folders)  # noqa: E731
    assert settled(take, before) == []
    assert swarm.stop() == 0
    home.no_orphans()
